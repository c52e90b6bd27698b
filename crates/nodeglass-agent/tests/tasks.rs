//! The commands `exec` and `track` as they are installed, against a task socket and a sampler of this host.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nodeglass_agent::tasks::socket::TaskSocket;
use nodeglass_collect::{CollectConfig, Depth, Sampler};
use nodeglass_model::sample::TaskProcessMetrics;
use nodeglass_model::{Clock, SystemClock};
use nodeglass_runtime::tasks::TaskGroup;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Long enough for a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// What an agent has of tasks: a socket, and a sampler that is asked by hand.
struct Agent {
    directory: TempDir,
    sampler: Sampler,
    _runtime: Runtime,
}

impl Agent {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sampler = Sampler::new(CollectConfig::default()).unwrap();
        let runtime = Runtime::new().unwrap();
        let path = directory.path().join("agent.sock");
        {
            let _entered = runtime.enter();
            let socket = TaskSocket::open(&path, sampler.tasks(), Arc::new(SystemClock)).unwrap();
            let tasks = TaskGroup::new();
            let stop = tasks.shutdown_token();
            runtime.spawn(socket.run(tasks, stop));
        }
        Self {
            directory,
            sampler,
            _runtime: runtime,
        }
    }

    /// Samples until the only task is as wanted.
    fn wait_for(&mut self, wanted: impl Fn(&TaskProcessMetrics) -> bool) -> TaskProcessMetrics {
        let until = Instant::now() + DEADLINE;
        let mut last = None;
        loop {
            let sample = self.sampler.sample(SystemClock.now(), Depth::Full);
            last = sample.processes.task_processes.into_iter().next().or(last);
            if let Some(task) = last.take_if(|task| wanted(task)) {
                return task;
            }
            assert!(Instant::now() < until, "it never comes to that: {last:?}");
        }
    }
}

/// `nodeglass-agent exec` with this data directory.
fn exec(data_dir: &Path, options: &[&str], command: &[&str]) -> Command {
    let mut exec = Command::new(env!("CARGO_BIN_EXE_nodeglass-agent"));
    exec.arg("exec").arg("--data-dir").arg(data_dir);
    exec.args(["--task", "job"]).args(options).arg("--").args(command);
    exec
}

fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// A command that was started, with its input and output; it ends with the test.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        line.trim().to_owned()
    }

    fn go_on(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_exit_code_is_the_program_s_with_and_without_an_agent() {
    let agent = Agent::start();
    let nobody = tempfile::tempdir().unwrap();
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -KILL $$"], 128 + 9),
        (&["no-such-program-anywhere"], 127),
        (&["/etc"], 126),
    ] {
        let alone = run(exec(nobody.path(), &[], command));
        assert_eq!(alone.status.code(), Some(code), "{command:?}");
        let message = String::from_utf8(alone.stderr).unwrap();
        let expected = if code == 126 || code == 127 {
            "can't run"
        } else {
            "task job is not followed"
        };
        assert!(message.contains(expected), "{message}");
    }
    let followed = run(exec(
        agent.directory.path(),
        &[],
        &["sh", "-c", "echo out; echo err >&2; exit 3"],
    ));
    assert_eq!(followed.status.code(), Some(3));
    assert_eq!(
        (followed.stdout, followed.stderr),
        (b"out\n".to_vec(), b"err\n".to_vec())
    );
}

#[test]
fn a_required_agent_that_is_not_there_keeps_the_program_from_running() {
    let nobody = tempfile::tempdir().unwrap();
    let touched = nobody.path().join("touched");
    let refused = run(exec(
        nobody.path(),
        &["--require-agent"],
        &["touch", touched.to_str().unwrap()],
    ));
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("no agent answers at")
    );
    assert!(!touched.exists());
}

#[test]
fn a_wrong_configuration_stops_nobody_s_work() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("agent.yaml");
    fs::write(&config, "nonsense: 1").unwrap();
    let with_config = |options: &[&str]| {
        let mut command = exec(directory.path(), options, &["sh", "-c", "exit 5"]);
        command.env("NODEGLASS_LOG", "off");
        let mut arguments = vec!["--config".to_owned(), config.display().to_string()];
        arguments.extend(
            command
                .get_args()
                .map(|argument| argument.to_str().unwrap().to_owned()),
        );
        let mut again = Command::new(command.get_program());
        again.args(arguments);
        run(again).status.code()
    };
    assert_eq!(with_config(&[]), Some(5));
    assert_eq!(with_config(&["--require-agent"]), Some(64));
}

#[test]
fn a_task_is_in_the_samples_from_its_start_to_its_end() {
    let mut agent = Agent::start();
    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo ready; read go; exit 3";
    let mut running = Running::start(exec(agent.directory.path(), &[], &["sh", "-c", script]));
    assert_eq!(running.line(), "ready");
    let task = agent.wait_for(|task| task.processes == Some(1));
    assert_eq!(task.task_id, "job");
    assert!(task.command.starts_with("sh -c i=0;"), "{}", task.command);
    assert!(
        task.cpu_time_ms >= Some(10) && task.memory_bytes > Some(0),
        "{task:?}"
    );
    assert_eq!((task.ended_at_ms, task.exit_code), (None, None));
    let now = SystemClock.now().0.unsigned_abs();
    assert!(
        task.started_at_ms
            .is_some_and(|at| at <= now + 1_000 && at + 60_000 > now),
        "{task:?}"
    );
    running.go_on();
    assert_eq!(running.0.wait().unwrap().code(), Some(3));
    let ended = agent.wait_for(|task| task.ended_at_ms.is_some());
    assert_eq!((ended.exit_code, ended.processes), (Some(3), Some(0)));
    assert!(ended.cpu_time_ms >= task.cpu_time_ms && ended.peak_memory_bytes >= task.peak_memory_bytes);
    let after = agent.sampler.sample(SystemClock.now(), Depth::Full);
    assert_eq!(after.processes.task_processes, []);
}

#[test]
fn signals_reach_the_program() {
    let nobody = tempfile::tempdir().unwrap();
    for (signal, name) in [("-TERM", "TERM"), ("-INT", "INT"), ("-USR1", "USR1")] {
        let script = format!("trap 'exit 9' {name}; echo ready; while :; do sleep 0.05; done");
        let mut command = exec(nobody.path(), &[], &["sh", "-c", &script]);
        command.stderr(Stdio::null());
        let mut running = Running::start(command);
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.0.wait().unwrap().code(), Some(9), "{name}");
    }
}

#[test]
fn an_orphan_that_nobody_saw_start_stays_in_the_task() {
    let mut agent = Agent::start();
    // Two shells in between end at once; what they leave behind is adopted.
    let script = "(sh -c 'sleep 60 >/dev/null 2>&1 </dev/null & echo $!'); read go";
    let mut running = Running::start(exec(agent.directory.path(), &[], &["sh", "-c", script]));
    let orphan = running.line();
    let task = agent.wait_for(|task| task.processes == Some(2));
    assert_eq!(task.ended_at_ms, None);
    running.go_on();
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let alone = agent.wait_for(|task| task.processes == Some(1));
    assert_eq!(
        (alone.ended_at_ms, alone.exit_code),
        (None, None),
        "the orphan lives on"
    );
    assert!(Command::new("kill").arg(&orphan).status().unwrap().success());
    let ended = agent.wait_for(|task| task.ended_at_ms.is_some());
    assert_eq!(ended.exit_code, Some(0));
}

#[test]
fn what_runs_already_can_be_tracked() {
    let mut agent = Agent::start();
    let mut sleep = Command::new("sleep");
    sleep.arg("60");
    let sleeping = Running::start(sleep);
    let data_dir: PathBuf = agent.directory.path().to_owned();
    let track = |target: &[&str]| {
        let mut track = Command::new(env!("CARGO_BIN_EXE_nodeglass-agent"));
        track
            .arg("track")
            .arg("--data-dir")
            .arg(&data_dir)
            .args(["--task", "job"])
            .args(target);
        run(track)
    };
    let pid = sleeping.0.id().to_string();
    assert_eq!(track(&["--pid", &pid]).status.code(), Some(0));
    assert_eq!(agent.wait_for(|_| true).command, "sleep 60");
    let again = track(&["--pid", &pid]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        String::from_utf8(again.stderr)
            .unwrap()
            .contains("being followed already")
    );
    assert_eq!(track(&[]).status.code(), Some(64), "a target is needed");
    assert_eq!(
        track(&["--pid", &pid, "--unit", "x.service"]).status.code(),
        Some(64),
        "one only"
    );
    drop(sleeping);
    let ended = agent.wait_for(|task| task.ended_at_ms.is_some());
    assert_eq!(ended.exit_code, None, "nobody waited for it here");
}
