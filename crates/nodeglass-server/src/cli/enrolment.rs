//! Commands about who agents are: strings for one host and for fleets, and revocation. They work on the database, whether the
//! server runs or not; one that does notices within a second.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use nodeglass_model::{AgentId, Clock, SystemClock, label};
use nodeglass_runtime::config::{Secret, parse_duration, show_duration};
use nodeglass_runtime::tls::Pin;
use nodeglass_store::{FleetToken, Store};

use super::Target;
use crate::enrol::strings::{self, Entrance, InvitedAs, LONGEST_VALID, NewFleetToken};
use crate::{audit, glob};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// A host that is to be an agent.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Its name: letters, digits, '.', '_' and '-'
    name: AgentId,
    /// How long the string is good, 1m to 30d
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_valid)]
    valid: Duration,
    /// Let another host, or this one with a new key, take the place of an agent that there is. It goes on until the string
    /// is used
    #[arg(long)]
    replace: bool,
    /// A label that the agent is given; may be said again. One that there is has its labels changed with the API
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label, conflicts_with = "replace")]
    labels: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum FleetCommand {
    /// Make a string that makes many hosts agents, and print it, once
    Add {
        /// What to call it
        name: String,
        /// How many hosts may use it; any number without this
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
        uses: Option<u64>,
        /// How long it is good: 30d; for ever without this
        #[arg(long, value_name = "SPAN", value_parser = parse_span)]
        valid: Option<Duration>,
        /// What the hosts' names must be like; * stands for any letters, ? for one
        #[arg(long, value_name = "PATTERN", default_value = "*")]
        names: String,
        /// A label that the agents are given; may be said again
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
        labels: Vec<(String, String)>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List them, without the strings
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make one worth nothing; the agents that it made go on
    Revoke {
        /// Which
        name: String,
    },
}

fn parse_valid(text: &str) -> Result<Duration, String> {
    parse_duration(text, &(MINUTE..=LONGEST_VALID))
}

fn parse_span(text: &str) -> Result<Duration, String> {
    parse_duration(text, &(MINUTE..=DAY * 3_660))
}

pub(super) fn parse_label(text: &str) -> Result<(String, String), String> {
    label::parse(text).map_err(|error| error.to_string())
}

/// Labels that were said one by one.
fn gathered(labels: Vec<(String, String)>) -> anyhow::Result<BTreeMap<String, String>> {
    let labels = labels.into_iter().collect();
    label::check_all(&labels)?;
    Ok(labels)
}

/// What a string has besides its token, and how it is shown.
fn string(target: &Target, agent: Option<AgentId>, token: &Secret, json: bool) -> anyhow::Result<String> {
    let entrance = Entrance {
        url: target.url.clone(),
        ca_pin: target.ca.as_deref().map(Pin::read).transpose()?,
    };
    let enrolment = entrance.string(agent, token);
    Ok(if json {
        serde_json::json!({ "enrolment": enrolment }).to_string()
    } else {
        enrolment
    })
}

/// Notes what was changed by a command.
async fn note(store: &dyn Store, action: &str, subject: &str, detail: &str) -> anyhow::Result<()> {
    let entry = audit::of_command(SystemClock.now(), action, subject, detail);
    Ok(store.append_audit(&[entry]).await?)
}

impl AddArgs {
    /// Makes the string.
    ///
    /// # Errors
    /// There is such an agent, or the database does not answer.
    pub(super) async fn run(self, store: &dyn Store, target: &Target) -> anyhow::Result<String> {
        let (action, invited_as) = if self.replace {
            ("agent.replace", InvitedAs::Replacement)
        } else {
            let labels = gathered(self.labels)?;
            ("agent.add", InvitedAs::New { labels })
        };
        let (_, token) = strings::invite(store, &self.name, invited_as, self.valid, &SystemClock).await?;
        note(store, action, self.name.as_str(), "").await?;
        string(target, Some(self.name), &token, self.json)
    }
}

/// Takes an agent's key from it; says what was done.
///
/// # Errors
/// There is no such agent, or the database does not answer.
pub(super) async fn revoke(store: &dyn Store, name: &AgentId) -> anyhow::Result<String> {
    let agents = store.agents().await?;
    let agent = agents.iter().find(|agent| agent.id == *name).with_context(|| {
        format!("there is no agent {name}; `nodeglass agents` lists those that there are")
    })?;
    Ok(if store.revoke_agent(agent.key, SystemClock.now()).await? {
        note(store, "agent.revoke", name.as_str(), "").await?;
        format!(
            "{name} is revoked: its session ends within seconds, and neither its key nor its string is good for another. What \
             is stored of it stays. To have it back: nodeglass-server agent add {name} --replace"
        )
    } else {
        format!("{name} has neither a key nor a string")
    })
}

impl FleetCommand {
    /// Does what was asked for; gives what to print.
    ///
    /// # Errors
    /// There is such a token already, or none to revoke, or the database does not answer.
    pub(super) async fn run(self, store: &dyn Store, target: &Target) -> anyhow::Result<String> {
        match self {
            Self::Add {
                name,
                uses,
                valid,
                names,
                labels,
                json,
            } => {
                strings::check_fleet_name(&name).map_err(anyhow::Error::msg)?;
                if names.len() > glob::LONGEST {
                    bail!("the pattern of the names is longer than {} bytes", glob::LONGEST);
                }
                let fleet = NewFleetToken {
                    name: name.clone(),
                    max_uses: uses,
                    valid,
                    pattern: names,
                    labels: strings::label_text(&gathered(labels)?),
                };
                let token = strings::add_fleet_token(store, fleet, &SystemClock).await?;
                let token = token.with_context(|| {
                    format!("there is a fleet token {name:?} already, or was: choose another name")
                })?;
                note(store, "fleet_token.add", &name, "").await?;
                string(target, None, &token, json)
            }
            Self::List { json } => Ok(list(&store.fleet_tokens().await?, json)),
            Self::Revoke { name } => {
                if !store.revoke_fleet_token(&name, SystemClock.now()).await? {
                    bail!(
                        "there is no fleet token {name:?} that is good for anything: `nodeglass-server fleet-token list`"
                    );
                }
                note(store, "fleet_token.revoke", &name, "").await?;
                Ok(format!("{name} is revoked; the agents that it made go on"))
            }
        }
    }
}

fn list(tokens: &[FleetToken], json: bool) -> String {
    if json {
        let tokens = tokens.iter().map(|token| {
            serde_json::json!({
                "name": token.name, "created_at": token.created_at.to_string(),
                "expires_at": token.until.map(|until| until.to_string()),
                "uses": token.uses, "max_uses": token.max_uses, "names": token.pattern,
                "labels": serde_json::from_str::<serde_json::Value>(&token.labels).unwrap_or_default(),
                "revoked_at": token.revoked_at.map(|at| at.to_string()),
            })
        });
        return serde_json::Value::Array(tokens.collect()).to_string();
    }
    let now = SystemClock.now();
    let mut rows = vec![["TOKEN", "USED", "ENDS", "NAMES", "LABELS"].map(str::to_owned)];
    rows.extend(tokens.iter().map(|token| {
        let most = token
            .max_uses
            .map_or_else(String::new, |most| format!(" of {most}"));
        let ends = match (token.revoked_at, token.until) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(until)) if until < now => "ended".to_owned(),
            (None, Some(until)) => format!("in {}", show_duration(whole_minutes(until.since(now)))),
            (None, None) => "never".to_owned(),
        };
        let labels: BTreeMap<String, String> = serde_json::from_str(&token.labels).unwrap_or_default();
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        [
            token.name.clone(),
            format!("{}{most}", token.uses),
            ends,
            token.pattern.clone(),
            labels.join(" "),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |row: &[String; 5]| {
        let [a, b, c, d] = widths;
        format!(
            "{:a$}  {:b$}  {:c$}  {:d$}  {}",
            row[0], row[1], row[2], row[3], row[4]
        )
        .trim_end()
        .to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A span as people want to read it.
fn whole_minutes(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs() / 60 * 60)
}
