//! `exec`: runs a program as a task. The program has this one's input and output, gets the signals that this one gets,
//! and its exit code becomes this one's.
//!
//! On Linux this process adopts what the program's children leave behind while the program runs, so that they stay in
//! the task even if nobody saw them start.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Context;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nodeglass_model::TaskId;
use nodeglass_runtime::telemetry::chain;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpgrp, kill_process, waitpid};
use tokio::signal::unix::{self, SignalKind};
use tokio::task::spawn_blocking;

use super::client::{ClientError, ask};
use super::protocol::{EndedRequest, FollowRequest, Request};

/// As shells have it: the program was not found, and it was found but could not be started.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;
/// As shells have it: so much and the number of the signal that ended the program.
const BY_SIGNAL: i32 = 128;

/// What to run, and where to tell of it.
#[derive(Debug, Clone)]
pub struct Exec {
    /// What the task is called.
    pub task_id: TaskId,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// The agent's socket.
    pub socket: PathBuf,
    /// Without an agent that follows the task, the program does not run.
    pub require_agent: bool,
}

impl Exec {
    /// Runs the program to its end.
    ///
    /// # Errors
    /// There is no program, or an agent is required and does not follow the task; a program that was started by then is
    /// killed.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let (program, arguments) = self.command.split_first().context("there is no program to run")?;
        // The handlers are in place before the program is, so that no signal is lost.
        let mut signals = Signals::install().context("signals can't be received")?;
        if self.require_agent {
            self.tell(Request::List {}).await?;
        }
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
            eprintln!("warning: processes that the program leaves behind may be missed: {error}");
        }
        let child = match Command::new(program).args(arguments).spawn() {
            Ok(child) => child,
            Err(error) => {
                eprintln!("error: can't run {}: {error}", program.display());
                let is_missing = error.kind() == io::ErrorKind::NotFound;
                return Ok(if is_missing { NOT_FOUND } else { NOT_STARTED }.into());
            }
        };
        let child = Pid::from_child(&child);
        // Nobody waits for the program before it is followed, so it can be found even if it has ended by then.
        let told = self.tell(self.follow(child));
        tokio::pin!(told);
        let told = loop {
            tokio::select! {
                told = &mut told => break told,
                signal = signals.next() => forward(signal, child),
            }
        };
        let is_followed = match told {
            Ok(()) => true,
            Err(error) if self.require_agent => {
                // It may have ended by itself; that is as good.
                let _ = kill_process(child, Signal::KILL);
                return Err(error.into());
            }
            Err(error) => {
                eprintln!(
                    "warning: task {} is not followed: {}",
                    self.task_id,
                    chain(&error)
                );
                false
            }
        };
        let code = loop {
            if let Some(code) = reap(child)? {
                break code;
            }
            forward(signals.next().await, child);
        };
        if is_followed && let Err(error) = self.tell(self.ended(code)).await {
            eprintln!(
                "warning: the end of task {} is not told: {}",
                self.task_id,
                chain(&error)
            );
        }
        Ok(ExitCode::from(code))
    }

    async fn tell(&self, request: Request) -> Result<(), ClientError> {
        let path = self.socket.clone();
        let asked = spawn_blocking(move || ask(&path, &request)).await;
        asked.map_or_else(
            |error| {
                Err(ClientError::Unreachable {
                    path: self.socket.clone(),
                    source: io::Error::other(error),
                })
            },
            |asked| asked.map(|_| ()),
        )
    }

    fn follow(&self, child: Pid) -> Request {
        let arguments = self.command.iter();
        Request::Follow(FollowRequest {
            task_id: self.task_id.clone(),
            pid: Some(child.as_raw_nonzero().get().unsigned_abs()),
            cgroup: None,
            unit: None,
            command: arguments
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            by_parent: true,
        })
    }

    fn ended(&self, code: u8) -> Request {
        let used = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
        let cpu = used.as_ref().map(|used| used.user_time() + used.system_time());
        // Linux counts in KiB, and counts the memory that this program had when it became the other one. What is not
        // more than that says nothing of the task, whose own readings the agent has.
        let own = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |own| own.max_rss());
        let peak = used.as_ref().map(Usage::max_rss).filter(|peak| *peak > own);
        let peak = peak.and_then(|peak| u64::try_from(peak).ok());
        Request::Ended(EndedRequest {
            task_id: self.task_id.clone(),
            exit_code: Some(code.into()),
            cpu_time_ms: cpu.and_then(|time| u64::try_from(time.num_milliseconds()).ok()),
            peak_memory_bytes: peak.map(|kib| kib.saturating_mul(1024)),
        })
    }
}

/// Waits for every child that has ended, adopted ones too. Gives the exit code of the program if it is among them.
fn reap(child: Pid) -> io::Result<Option<u8>> {
    loop {
        match waitpid(None, WaitOptions::NOHANG)? {
            Some((pid, status)) if pid == child => return Ok(Some(exit_code(status))),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let signalled = || status.terminating_signal().map(|signal| BY_SIGNAL + signal);
    let code = status.exit_status().or_else(signalled);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Signals that this process gets instead of the program.
struct Signals {
    child: unix::Signal,
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    hang_up: unix::Signal,
    user_1: unix::Signal,
    user_2: unix::Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            child: unix::signal(SignalKind::child())?,
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            user_1: unix::signal(SignalKind::user_defined1())?,
            user_2: unix::signal(SignalKind::user_defined2())?,
        })
    }

    /// The next signal; `None` when a child ended.
    async fn next(&mut self) -> Option<Signal> {
        tokio::select! {
            _ = self.child.recv() => None,
            _ = self.terminate.recv() => Some(Signal::TERM),
            _ = self.interrupt.recv() => Some(Signal::INT),
            _ = self.quit.recv() => Some(Signal::QUIT),
            _ = self.hang_up.recv() => Some(Signal::HUP),
            _ = self.user_1.recv() => Some(Signal::USR1),
            _ = self.user_2.recv() => Some(Signal::USR2),
        }
    }
}

/// Hands a signal on. What a terminal's keys make, it sends to the program itself.
fn forward(signal: Option<Signal>, child: Pid) {
    let Some(signal) = signal else {
        return;
    };
    let is_of_terminal = matches!(signal, Signal::INT | Signal::QUIT)
        && rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp());
    if !is_of_terminal {
        // A program that has just ended needs no signal any more.
        let _ = kill_process(child, signal);
    }
}
