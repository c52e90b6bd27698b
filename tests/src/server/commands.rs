//! The commands beside a running server: agents, tokens, and whatever else it is told.

use nodeglass_proto::enrolment::Enrolment;
use serde_json::Value;

use super::Server;
use crate::process::{command, run};

impl Server {
    /// Enrols a host; gives the enrolment string.
    ///
    /// # Panics
    /// It can't be enrolled.
    pub async fn add_agent(&self, name: &str) -> String {
        enrolment_in(&self.command(&["agent", "add", name, "--json"]).await)
    }

    /// Enrols a host; gives what the string holds.
    ///
    /// # Panics
    /// It can't be enrolled.
    pub async fn enrolment(&self, name: &str) -> Enrolment {
        Enrolment::decode(&self.add_agent(name).await).expect("an enrolment")
    }

    /// What the string holds of an agent that is enrolled and gets another token.
    ///
    /// # Panics
    /// There is no such agent.
    pub async fn replaced_enrolment(&self, name: &str) -> Enrolment {
        let printed = self.command(&["agent", "add", name, "--json", "--replace"]).await;
        Enrolment::decode(&enrolment_in(&printed)).expect("an enrolment")
    }

    /// Makes a token of a role, under a name of the test's own: the server has made some.
    pub async fn add_token(&self, name: &str, role: &str) -> String {
        let name = format!("test-{name}");
        let printed = self.command(&["token", "add", &name, "--role", role]).await;
        printed.trim().to_owned()
    }

    /// What a command beside the server prints.
    ///
    /// # Panics
    /// It fails.
    pub async fn command(&self, arguments: &[&str]) -> String {
        let mut command = command("nodeglass-server");
        command.args(arguments).arg("--data-dir").arg(self.data_dir());
        let output = run(&mut command).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }
}

/// The enrolment in what `agent add --json` prints.
fn enrolment_in(printed: &str) -> String {
    let printed: Value = serde_json::from_str(printed).expect("JSON");
    printed["enrolment"].as_str().expect("an enrolment").to_owned()
}
