//! A program of ours as a process: found, started, told to stop, and never left behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::PATIENCE;

/// The program of that name that was built beside this test.
///
/// # Panics
/// It was not built; `cargo xtask test` does.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let path = test
        .ancestors()
        .nth(2)
        .expect("target/debug/deps/test")
        .join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo xtask test`, or `cargo build --workspace`",
        path.display()
    );
    path
}

/// A command that runs a program of ours with nothing of the environment that would change what it does.
pub fn command(name: &str) -> Command {
    command_after(&[], name)
}

/// The same, started by the programs of `prefix`, each of which becomes the next.
pub fn command_after(prefix: &[String], name: &str) -> Command {
    let mut command = match prefix {
        [] => Command::new(program(name)),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program(name));
            command
        }
    };
    command.kill_on_drop(true).stdin(Stdio::null());
    for variable in [
        "NODEGLASS_ADMIN_TOKEN",
        "NODEGLASS_TOKEN",
        "NODEGLASS_SERVER",
        "NODEGLASS_CA",
        "NODEGLASS_LOG",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The log of a program that is started so often, or watched so closely, that the test's output is no place for it. Shown
/// if the test fails.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
}

/// The lines that are shown of a log.
const SHOWN_LINES: usize = 60;

impl Log {
    /// Keeps the log in a file.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Sends what a command logs to it, behind what is there.
    ///
    /// # Panics
    /// The file can't be written to.
    pub fn attach(&self, command: &mut Command) {
        let file = File::options().create(true).append(true).open(&self.path);
        command.stderr(file.expect("a file for the log"));
    }

    /// How many lines have a text in them.
    pub fn count(&self, text: &str) -> usize {
        let lines = self.text();
        lines.lines().filter(|line| line.contains(text)).count()
    }

    /// The lines that have a text in them.
    pub fn lines(&self, text: &str) -> Vec<String> {
        let all = self.text();
        all.lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap_or_default()).into_owned()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = self.text();
            let lines: Vec<_> = text.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("the end of {}:\n{}", self.path.display(), shown.join("\n"));
        }
    }
}

/// Runs a program of ours to its end.
///
/// # Panics
/// It can't be started, or does not end.
pub async fn run(command: &mut Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output())
        .await
        .expect("the program ends")
        .expect("the program starts")
}

/// A running program, killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it. Its log goes to the test's output.
    ///
    /// # Panics
    /// It can't be started.
    pub fn start(command: &mut Command) -> Self {
        Self {
            child: command.spawn().expect("the program starts"),
        }
    }

    /// Its pid.
    ///
    /// # Panics
    /// It has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().ok().flatten().is_some()
    }

    /// Takes what it prints.
    pub fn take_stdout(&mut self) -> Option<tokio::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// Takes what it logs.
    pub fn take_stderr(&mut self) -> Option<tokio::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Stops it in its tracks, as a host that swaps itself to death does. It can still be killed.
    ///
    /// # Panics
    /// It has ended.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Tells it to read its files anew.
    ///
    /// # Panics
    /// It has ended.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Tells it to stop, and waits until it has.
    ///
    /// # Panics
    /// It does not stop.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Kills it, as a power loss would.
    ///
    /// # Panics
    /// It does not die.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("a process of our own");
    }

    async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("the program ends")
            .expect("its status")
    }
}
