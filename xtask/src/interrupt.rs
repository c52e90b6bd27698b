//! Ending in order when asked to: SIGINT and SIGTERM end the running step with everything that it started, and then what
//! the command itself holds is cleared away.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};

/// How long a step may take to end when asked to, before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a running step and the interrupt are looked at.
const PACE: Duration = Duration::from_millis(50);

/// Whether somebody has asked this command to end.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From here on, SIGINT and SIGTERM end the step that runs, and no longer the command at once.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub fn watch() -> anyhow::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, asked.clone()).context("can't listen for signals")?;
        }
        Ok(Self(asked))
    }

    /// Waits until a moment.
    ///
    /// # Errors
    /// The command was asked to end.
    pub fn sleep_until(&self, moment: Instant) -> anyhow::Result<()> {
        loop {
            ensure!(!self.0.load(Ordering::Relaxed), "interrupted");
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(PACE));
        }
    }

    /// Starts a step as the leader of a process group, so that all it starts can be ended with it.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Child> {
        eprintln!("» {}", crate::shown(command));
        // A process group that is not the terminal's can't read from it.
        command.process_group(0).stdin(Stdio::null());
        command
            .spawn()
            .with_context(|| format!("can't start {}", crate::shown(command)))
    }

    /// Waits until a step from [`Interrupt::start`] has ended.
    ///
    /// # Errors
    /// The command was asked to end; the step and all that it started have ended then.
    pub fn wait(&self, step: &mut Child) -> anyhow::Result<ExitStatus> {
        loop {
            if let Some(status) = step.try_wait()? {
                ensure!(!self.0.load(Ordering::Relaxed), "interrupted");
                return Ok(status);
            }
            if self.0.load(Ordering::Relaxed) {
                end_group(step)?;
                bail!("interrupted");
            }
            thread::sleep(PACE);
        }
    }

    /// Runs a step that must succeed.
    ///
    /// # Errors
    /// It can't be started, fails, or the command was asked to end.
    pub fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        let status = self.wait(&mut Self::start(command)?)?;
        ensure!(status.success(), "{} failed: {status}", crate::shown(command));
        Ok(())
    }
}

/// Asks a process group to end, and kills what does not.
fn end_group(leader: &mut Child) -> io::Result<()> {
    let group = Pid::from_child(leader);
    let until = Instant::now() + PATIENCE;
    // That a group is not there any more is what is wanted.
    let _ = kill_process_group(group, Signal::TERM);
    loop {
        // Reaps the leader: what is left of the group then are living processes.
        let ended = leader.try_wait()?.is_some();
        if ended && test_kill_process_group(group).is_err() {
            return Ok(());
        }
        if Instant::now() > until {
            let _ = kill_process_group(group, Signal::KILL);
            return leader.wait().map(drop);
        }
        thread::sleep(PACE);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[test]
    fn an_interrupt_ends_a_step_and_what_it_started() {
        let interrupt = Interrupt(Arc::new(AtomicBool::new(false)));
        let mut script = Command::new("sh");
        script
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped());
        let mut step = Interrupt::start(&mut script).unwrap();
        let mut output = BufReader::new(step.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        assert!(rustix::process::test_kill_process(grandchild).is_ok());

        interrupt.0.store(true, Ordering::Relaxed);
        let error = interrupt.wait(&mut step).unwrap_err();
        assert_eq!(error.to_string(), "interrupted");
        // Nobody holds the other end of the pipe any more.
        assert_eq!(output.read_line(&mut line).unwrap(), 0);
    }

    #[test]
    fn an_interrupt_ends_a_wait() {
        let interrupt = Interrupt(Arc::new(AtomicBool::new(false)));
        interrupt.sleep_until(Instant::now()).unwrap();
        interrupt.0.store(true, Ordering::Relaxed);
        let tomorrow = Instant::now() + Duration::from_hours(24);
        let error = interrupt.sleep_until(tomorrow).unwrap_err();
        assert_eq!(error.to_string(), "interrupted");
    }

    #[test]
    fn a_step_must_succeed() {
        let interrupt = Interrupt(Arc::new(AtomicBool::new(false)));
        interrupt.run(&mut Command::new("true")).unwrap();
        let error = interrupt
            .run(Command::new("sh").args(["-c", "exit 3"]))
            .unwrap_err();
        assert_eq!(error.to_string(), "sh -c exit 3 failed: exit status: 3");
    }
}
