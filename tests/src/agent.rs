//! The real agent as a process.

use std::path::Path;
use std::time::Duration;

use nodeglass_journal::{JournalConfig, Sync};
use tempfile::TempDir;

use crate::process::{Log, Process, command, command_after, run};
use crate::server::Server;

/// An agent enrolled with a server.
#[derive(Debug)]
pub struct Agent {
    process: Option<Process>,
    prefix: Vec<String>,
    log: Option<Log>,
    directory: TempDir,
}

/// A sample each second, so that tests have much to look at soon.
pub const EACH_SECOND: &str = "metrics: {collection_interval: 1s}";

impl Agent {
    /// Enrols a host of that name and starts its agent.
    pub async fn start(server: &Server, name: &str) -> Self {
        Self::start_with(server, name, EACH_SECOND).await
    }

    /// The same with a configuration of the test's own.
    pub async fn start_with(server: &Server, name: &str, config: &str) -> Self {
        Self::enrolled(&server.add_agent(name).await, config).await
    }

    /// Starts the agent of an enrolment string.
    ///
    /// # Panics
    /// It can't be enrolled or started.
    pub async fn enrolled(enrolment: &str, config: &str) -> Self {
        let mut agent = Self::prepared(enrolment, config).await;
        agent.start_again();
        agent
    }

    /// Enrols an agent and leaves it to the test to start it.
    ///
    /// # Panics
    /// It can't be enrolled.
    pub async fn prepared(enrolment: &str, config: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut enroll = command("nodeglass-agent");
        enroll
            .args(["enroll", enrolment, "--data-dir"])
            .arg(directory.path());
        let output = run(&mut enroll).await;
        assert!(
            output.status.success(),
            "enroll failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::write(directory.path().join("agent.yaml"), config).expect("a file in a temporary directory");
        Self {
            process: None,
            prefix: Vec::new(),
            log: None,
            directory,
        }
    }

    /// Keeps its log in a file from the next start on, where [`Agent::logged`] finds it.
    pub fn keep_log(&mut self) {
        self.log = Some(Log::new(&self.directory.path().join("agent.log")));
    }

    /// How many lines of its log have a text in them, if it is kept.
    pub fn logged(&self, text: &str) -> usize {
        self.log.as_ref().map_or(0, |log| log.count(text))
    }

    /// Has it started by other programs from the next start on, each of which becomes the next.
    pub fn start_behind(&mut self, prefix: Vec<String>) {
        self.prefix = prefix;
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    /// Its journal, to be opened when it has ended.
    pub fn journal(&self) -> JournalConfig {
        JournalConfig {
            directory: Some(self.data_dir().join("journal")),
            max_bytes: 64 << 20,
            max_memory_bytes: 8 << 20,
            max_age: Duration::from_hours(24),
            sync: Sync::Never,
        }
    }

    /// Its pid.
    ///
    /// # Panics
    /// It does not run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running agent").pid()
    }

    /// Starts it, or starts it again.
    pub fn start_again(&mut self) {
        let mut command = command_after(&self.prefix, "nodeglass-agent");
        command.args(["run", "--data-dir"]).arg(self.directory.path());
        command
            .arg("--config")
            .arg(self.directory.path().join("agent.yaml"));
        if let Some(log) = &self.log {
            log.attach(&mut command);
        }
        self.process = Some(Process::start(&mut command));
    }

    /// Kills it, as a power loss would.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Stops it in its tracks, without a word to anybody.
    pub fn freeze(&self) {
        if let Some(process) = &self.process {
            process.freeze();
        }
    }

    /// Tells it to stop; gives its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.process.take()?.terminate().await.code()
    }
}
