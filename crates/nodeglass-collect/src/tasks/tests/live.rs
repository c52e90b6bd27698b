//! A tree of real processes whose parents end before their children.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nodeglass_model::Sample;
use nodeglass_model::sample::TaskProcessMetrics;

use super::{AT, config, process};
use crate::{Depth, Sampler};

/// A shell of the test's own that reads what to do from its input; it ends with the test.
struct Shell(Child);

impl Shell {
    fn start(script: &str) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self(command.spawn().unwrap())
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
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn wait_for(sampler: &mut Sampler, wanted: impl Fn(&TaskProcessMetrics) -> bool) -> TaskProcessMetrics {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let sample: Sample = sampler.sample(AT, Depth::Full);
        let task = sample.processes.task_processes.into_iter().next();
        if let Some(task) = task.filter(&wanted) {
            return task;
        }
        assert!(Instant::now() < deadline, "it never comes to that");
    }
}

#[test]
fn a_real_grandchild_keeps_its_task_alive_after_its_parents() {
    let mut sampler = Sampler::new(config(Path::new("/"))).unwrap();
    // The shell, a child that burns some time, and a grandchild that outlives both until it is killed.
    let mut shell = Shell::start(
        "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 60 >/dev/null 2>&1 </dev/null & echo $!; \
         read go'; read go",
    );
    let pid = shell.0.id();
    sampler.tasks().follow(process("live", pid), AT).unwrap();
    let grandchild = shell.line();
    let running = wait_for(&mut sampler, |task| task.processes >= Some(3));
    assert!(running.memory_bytes > Some(0));
    assert_eq!(running.pid, Some(pid));
    shell.go_on();
    shell.go_on();
    shell.0.wait().unwrap();
    let orphaned = wait_for(&mut sampler, |task| task.processes == Some(1));
    assert_eq!(orphaned.ended_at_ms, None);
    assert!(
        orphaned.cpu_time_ms >= Some(10),
        "the child's work is not forgotten: {orphaned:?}"
    );
    assert!(Command::new("kill").arg(&grandchild).status().unwrap().success());
    let ended = wait_for(&mut sampler, |task| task.ended_at_ms.is_some());
    assert_eq!(ended.processes, Some(0));
    assert_eq!(sampler.sample(AT, Depth::Full).processes.task_processes, []);
}
