//! `nodeglass agent settings`: what is asked of agents, and what is in force there.

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{names, print, text};
use crate::client::Server;
use crate::print::table;

/// What is asked of one agent or several.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// Names, patterns (web-*), labels (label:env=prod) or groups (group:web), separated by commas
    agents: String,
    /// KEY=VALUE to ask for something (lists separated by commas), KEY- to leave it to the agent's groups and its own
    /// configuration; without any what is asked for is shown
    #[arg(value_name = "SETTING")]
    wanted: Vec<String>,
    #[command(flatten)]
    server: Server,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A setting as JSON has it.
fn value(key: &str, text: &str) -> anyhow::Result<Value> {
    Ok(match key {
        "enabled" => match text {
            "true" | "false" => Value::Bool(text == "true"),
            _ => bail!("{key}: write true or false"),
        },
        "collection_interval_seconds" | "local_interval_seconds" | "top_processes" => text
            .parse::<u32>()
            .with_context(|| format!("{key}: {text:?} is not a whole number"))?
            .into(),
        _ => text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .collect(),
    })
}

fn changes(settings: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut changes = Map::new();
    for setting in settings {
        match (setting.split_once('='), setting.strip_suffix('-')) {
            (Some((key, text)), _) => changes.insert(key.to_owned(), value(key, text)?),
            (None, Some(key)) => changes.insert(key.to_owned(), Value::Null),
            (None, None) => {
                bail!("{setting:?}: write KEY=VALUE to ask for something, KEY- to ask for it no more")
            }
        };
    }
    Ok(changes)
}

/// A setting as people read it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Array(entries) => {
            let entries: Vec<_> = entries.iter().filter_map(Value::as_str).collect();
            format!("[{}]", entries.join(", "))
        }
        other => other.to_string(),
    }
}

impl Settings {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let changes = Value::Object(changes(&self.wanted)?);
        let rest = self.server.rest()?;
        let mut all = Vec::new();
        for name in names(&rest, &self.agents).await? {
            let path = format!("agents/{name}/settings");
            let (method, body) = if self.wanted.is_empty() {
                (Method::GET, None)
            } else {
                (Method::PATCH, Some(&changes))
            };
            all.push(
                rest.json(method, &path, &[], body)
                    .await
                    .with_context(|| name.clone())?,
            );
        }
        if self.json {
            return print(&json!({ "agents": all }));
        }
        let mut rows = vec![
            ["AGENT", "SETTING", "WANTED", "BY", "IN FORCE"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for settings in &all {
            let name = text(&settings["agent_id"]);
            let none = Map::new();
            let of = |part: &str| settings[part].as_object().unwrap_or(&none).clone();
            let (wanted, in_force) = (of("wanted"), of("in_force"));
            let keys: std::collections::BTreeSet<_> = wanted.keys().chain(in_force.keys()).cloned().collect();
            for key in keys {
                rows.push(vec![
                    name.clone(),
                    key.clone(),
                    shown(wanted.get(&key).unwrap_or(&Value::Null)),
                    text(&settings["origins"][&key]),
                    shown(in_force.get(&key).unwrap_or(&Value::Null)),
                ]);
            }
            for problem in settings["problems"].as_array().into_iter().flatten() {
                rows.push(vec![
                    name.clone(),
                    text(&problem["key"]),
                    text(&problem["reason"]),
                ]);
            }
            if settings["applied"] == false {
                rows.push(vec![name, "what is wanted is not in force yet".to_owned()]);
            }
        }
        table(&rows);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_their_kind() {
        let said = [
            "enabled=false",
            "top_processes=5",
            "exclude_metrics=gpu, process",
            "exclude_disks=",
            "enabled-",
        ];
        let said = said.map(str::to_owned);
        assert_eq!(
            Value::Object(changes(&said[..4]).unwrap()),
            json!({ "enabled": false, "top_processes": 5, "exclude_metrics": ["gpu", "process"], "exclude_disks": [] })
        );
        assert_eq!(
            Value::Object(changes(&said[4..]).unwrap()),
            json!({ "enabled": null })
        );
        for wrong in ["enabled=maybe", "top_processes=many", "top_processes"] {
            assert!(changes(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
