//! The real agent as a process.

use tempfile::TempDir;

use crate::process::{Process, command, run};
use crate::server::Server;

/// An agent enrolled with a server.
#[derive(Debug)]
pub struct Agent {
    process: Option<Process>,
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
        let mut agent = Self {
            process: None,
            directory,
        };
        agent.start_again();
        agent
    }

    /// Starts it, or starts it again.
    pub fn start_again(&mut self) {
        let mut command = command("nodeglass-agent");
        command.args(["run", "--data-dir"]).arg(self.directory.path());
        command
            .arg("--config")
            .arg(self.directory.path().join("agent.yaml"));
        self.process = Some(Process::start(&mut command));
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
