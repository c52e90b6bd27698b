//! `nodeglass agent`: agents as people manage them, by way of the server's API.

mod settings;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::client::Server;
use crate::print::{moment, table};
use crate::rest::Rest;
use settings::Settings;

/// Show and change what agents are called, what is said of them, and what is asked of them.
#[derive(Debug, Args)]
pub(crate) struct Agent {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List agents with their labels
    List(List),
    /// Show all that is known of an agent but its figures
    Show(One),
    /// Set labels (env=prod), or take them away (env-), of one agent or several
    Label(Label),
    /// Give an agent another name; its history stays
    Rename(Rename),
    /// Let go of an agent, with its history or without
    Forget(Forget),
    /// Show what is asked of an agent and what is in force, or ask for something else (`top_processes=5`)
    Settings(Settings),
    /// Show what happened
    Events(Events),
}

/// Which agents, and how they are shown.
#[derive(Debug, Args)]
struct List {
    /// Only these: names, patterns (web-*), labels (label:env=prod), groups (group:web)
    agents: Vec<String>,
    #[command(flatten)]
    server: Server,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct One {
    /// The agent
    name: String,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
struct Label {
    /// Names, patterns (web-*), labels (label:env=prod) or groups (group:web), separated by commas
    agents: String,
    /// NAME=VALUE to set a label, NAME- to take it away; without any the labels are shown
    labels: Vec<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
struct Rename {
    /// The agent
    name: String,
    /// Its other name
    to: String,
    #[command(flatten)]
    server: Server,
}

/// What becomes of what is stored of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Data {
    /// It is erased
    Delete,
    /// It stays as long as everything does, and comes back to a host that is enrolled under the name
    Keep,
}

#[derive(Debug, Args)]
struct Forget {
    /// The agent
    name: String,
    /// What becomes of its history
    #[arg(long)]
    data: Data,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
struct Events {
    /// Only of these: names, patterns (web-*), labels (label:env=prod), groups (group:web)
    agents: Vec<String>,
    /// Only these kinds: connected, lost, restarted, ...
    #[arg(long, value_delimiter = ',')]
    kind: Vec<String>,
    /// Not before this moment: -1h, 2026-05-01T00:00:00Z
    #[arg(long, allow_hyphen_values = true)]
    start: Option<String>,
    /// How many, the newest
    #[arg(long, default_value_t = 100)]
    limit: u32,
    #[command(flatten)]
    server: Server,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Agent {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::List(list) => list.run().await,
            Command::Show(one) => {
                let path = format!("agents/{}", one.name);
                print(&one.server.rest()?.json(Method::GET, &path, &[], None).await?)
            }
            Command::Label(label) => label.run().await,
            Command::Rename(rename) => {
                let path = format!("agents/{}/rename", rename.name);
                let body = json!({ "name": rename.to });
                let rest = rename.server.rest()?;
                rest.json(Method::POST, &path, &[], Some(&body)).await.map(drop)
            }
            Command::Forget(forget) => {
                let data = match forget.data {
                    Data::Delete => "delete",
                    Data::Keep => "keep",
                };
                let path = format!("agents/{}", forget.name);
                let parameters = [("data", data.to_owned())];
                let rest = forget.server.rest()?;
                rest.json(Method::DELETE, &path, &parameters, None)
                    .await
                    .map(drop)
            }
            Command::Settings(settings) => settings.run().await,
            Command::Events(events) => events.run().await,
        }
    }
}

fn print(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// The agents that entries stand for, with what the server says of each; all of them without an entry.
async fn find(rest: &Rest, agents: &[String]) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let mut parameters = vec![("agents", agents.join(","))];
        parameters.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = rest.json(Method::GET, "agents", &parameters, None).await?;
        found.extend(page["agents"].as_array().into_iter().flatten().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(found),
        }
    }
}

/// The names of agents that entries stand for, at least one.
async fn names(rest: &Rest, agents: &str) -> anyhow::Result<Vec<String>> {
    let found = find(rest, &[agents.to_owned()]).await?;
    let names = found.iter().filter_map(|agent| agent["agent_id"].as_str());
    let names: Vec<_> = names.map(str::to_owned).collect();
    ensure!(
        !names.is_empty(),
        "no agent fits {agents}; `nodeglass agent list` shows those that there are"
    );
    Ok(names)
}

/// Labels as they are written: env=prod,site=eu.
fn labels(agent: &Value) -> String {
    let labels = agent["labels"].as_object().into_iter().flatten();
    let label = |(name, value): (&String, &Value)| format!("{name}={}", value.as_str().unwrap_or_default());
    labels.map(label).collect::<Vec<_>>().join(",")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let agents = find(&self.server.rest()?, &self.agents).await?;
        if self.json {
            return print(&json!({ "agents": agents }));
        }
        let mut rows = vec![
            ["AGENT", "STATUS", "LAST UPDATE", "VERSION", "LABELS", "GROUPS"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(agents.iter().map(|agent| {
            let groups = agent["groups"].as_array().into_iter().flatten();
            vec![
                text(&agent["agent_id"]),
                text(&agent["status"]),
                moment(agent["last_metrics_update"].as_u64()),
                text(&agent["version"]),
                labels(agent),
                groups.filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            ]
        }));
        table(&rows);
        Ok(())
    }
}

/// What is said of labels on the command line.
fn changes(labels: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut changes = Map::new();
    for label in labels {
        match (label.split_once('='), label.strip_suffix('-')) {
            (Some((name, value)), _) => changes.insert(name.to_owned(), value.into()),
            (None, Some(name)) => changes.insert(name.to_owned(), Value::Null),
            (None, None) => bail!("{label:?}: write NAME=VALUE to set a label, NAME- to take it away"),
        };
    }
    Ok(changes)
}

impl Label {
    async fn run(self) -> anyhow::Result<()> {
        let changes = Value::Object(changes(&self.labels)?);
        let rest = self.server.rest()?;
        let mut rows = Vec::new();
        for name in names(&rest, &self.agents).await? {
            let path = format!("agents/{name}/labels");
            let (method, body) = if self.labels.is_empty() {
                (Method::GET, None)
            } else {
                (Method::PATCH, Some(&changes))
            };
            let answer = rest
                .json(method, &path, &[], body)
                .await
                .with_context(|| name.clone())?;
            for (label, said) in answer["labels"].as_object().into_iter().flatten() {
                let label = format!("{label}={}", said["value"].as_str().unwrap_or_default());
                rows.push(vec![name.clone(), label, text(&said["origin"])]);
            }
        }
        table(&rows);
        Ok(())
    }
}

impl Events {
    async fn run(self) -> anyhow::Result<()> {
        let mut parameters = vec![
            ("agents", self.agents.join(",")),
            ("kind", self.kind.join(",")),
            ("limit", self.limit.to_string()),
        ];
        parameters.extend(self.start.map(|start| ("start", start)));
        let rest = self.server.rest()?;
        let answer = rest.json(Method::GET, "events", &parameters, None).await?;
        if self.json {
            return print(&answer);
        }
        let events = answer["events"].as_array().into_iter().flatten();
        let rows: Vec<_> = events
            .map(|event| {
                let detail = &event["detail"];
                vec![
                    moment(event["timestamp"].as_u64()),
                    text(&event["agent_id"]),
                    text(&event["kind"]),
                    if detail.is_null() {
                        String::new()
                    } else {
                        detail.to_string()
                    },
                ]
            })
            .collect();
        table(&rows);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_taken_away() {
        let said = ["env=prod", "rack-", "a=b=c"].map(str::to_owned);
        let changes = Value::Object(changes(&said).unwrap());
        assert_eq!(changes, json!({ "env": "prod", "rack": null, "a": "b=c" }));
        assert!(super::changes(&["env".to_owned()]).is_err());
        let agent = json!({ "labels": { "env": "prod", "site": "eu" } });
        assert_eq!(labels(&agent), "env=prod,site=eu");
    }
}
