//! The server's process, which ends at the latest with the process that started it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, anyhow};

/// A started server.
#[derive(Debug)]
pub(super) struct Server {
    pid: u32,
    /// Waits for it. The kernel tells a process of the end of the thread that started it, so this one lives as long
    /// as the server does.
    keeper: JoinHandle<io::Result<ExitStatus>>,
}

impl Server {
    /// Starts it as `command` says.
    ///
    /// # Errors
    /// The program can't be started.
    pub(super) fn start(mut command: Command) -> anyhow::Result<Self> {
        // A group of its own: Ctrl-C is for the one who started it, who then stops it in order.
        command.process_group(0);
        let (started, pid) = mpsc::channel();
        let keeper = thread::spawn(move || {
            let mut child = command.spawn()?;
            // Whoever started this thread waits for the message.
            let _ = started.send(child.id());
            child.wait()
        });
        match pid.recv() {
            Ok(pid) => Ok(Self { pid, keeper }),
            Err(_) => Err(joined(keeper)
                .err()
                .unwrap_or_else(|| anyhow!("it ended at once")))
            .context("can't start postgres"),
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.keeper.is_finished()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The system lost track of it.
    pub(super) fn wait(self) -> anyhow::Result<ExitStatus> {
        joined(self.keeper)
    }
}

fn joined(keeper: JoinHandle<io::Result<ExitStatus>>) -> anyhow::Result<ExitStatus> {
    let status = keeper
        .join()
        .map_err(|_| anyhow!("the server's keeper panicked"))?;
    Ok(status?)
}

/// The beginning of a command line that has the kernel send the program SIGINT, to PostgreSQL a fast shutdown, when the
/// process that started it dies in whatever way. Empty where there is no such thing: then a killed process leaves its
/// server behind.
pub(super) fn ends_with_its_starter() -> &'static [&'static str] {
    const PREFIX: [&str; 3] = ["setpriv", "--pdeathsig", "INT"];
    let works = Command::new(PREFIX[0])
        .args(&PREFIX[1..])
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if works { &PREFIX } else { &[] }
}
