//! The commands beside a running server: agents, tokens, and whatever else it is told.

use std::process::Output;
use std::time::Duration;

use nodeglass_agent::identity::Identity;
use nodeglass_model::{AgentId, SystemClock};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_server::enrol::strings::{self, InvitedAs};
use serde_json::Value;

use super::Server;
use crate::enrolled::by_string;
use crate::process::{command, run};

/// How long strings are good.
const VALID: Duration = Duration::from_hours(1);

impl Server {
    /// Adds an agent; gives the string that makes a host this agent.
    ///
    /// # Panics
    /// It can't be added.
    pub async fn add_agent(&self, name: &str) -> String {
        enrolment_in(&self.command(&["agent", "add", name, "--json"]).await)
    }

    /// Adds so many agents, `host-0` and so on, by way of the database, which is faster than by the command; gives the strings.
    ///
    /// # Panics
    /// They can't be added.
    pub async fn add_agents(&self, count: usize) -> Vec<String> {
        let template = Enrolment::decode(&self.add_agent("host-0").await).expect("an enrolment string");
        let store = nodeglass_store::open(&self.database).await.expect("the database");
        let mut strings = vec![template.encode()];
        for number in 1..count {
            let agent: AgentId = format!("host-{number}").parse().expect("a name");
            let token =
                strings::invite(store.as_ref(), &agent, InvitedAs::default(), VALID, &SystemClock).await;
            let enrolment = Enrolment {
                agent: Some(agent),
                token: token.expect("a string").1.expose().to_owned(),
                ..template.clone()
            };
            strings.push(enrolment.encode());
        }
        store.close().await;
        strings
    }

    /// Enrols a host; gives its identity.
    ///
    /// # Panics
    /// It can't be enrolled.
    pub async fn enrolment(&self, name: &str) -> Identity {
        by_string(&self.add_agent(name).await).await
    }

    /// The identity of a host that takes the place of an agent.
    ///
    /// # Panics
    /// There is no such agent.
    pub async fn replaced_enrolment(&self, name: &str) -> Identity {
        let printed = self.command(&["agent", "add", name, "--json", "--replace"]).await;
        by_string(&enrolment_in(&printed)).await
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
        let output = self.output(arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a command beside the server complains of.
    ///
    /// # Panics
    /// It does not fail.
    pub async fn failing_command(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        let mut command = command("nodeglass-server");
        command.args(arguments).arg("--data-dir").arg(self.data_dir());
        run(&mut command).await
    }
}

/// The enrolment string in what `agent add --json` prints.
///
/// # Panics
/// There is none.
pub fn enrolment_in(printed: &str) -> String {
    let printed: Value = serde_json::from_str(printed).expect("JSON");
    printed["enrolment"].as_str().expect("an enrolment").to_owned()
}
