//! `nodeglass-server agent retention`: how long what is of single agents is kept.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use nodeglass_model::{AgentId, Clock, SystemClock};
use nodeglass_runtime::config::{parse_duration, show_duration};
use nodeglass_store::tiers::{AgentRetention, Retention};
use nodeglass_store::{AgentRecord, Store};

use crate::audit;
use crate::config::SPANS;

/// How long something is kept, said of one agent; without a name and more, all of which something was said.
#[derive(Debug, Args)]
pub(super) struct RetentionArgs {
    /// The agent
    name: Option<AgentId>,
    /// How long to keep its samples: 30d
    #[arg(long, value_name = "SPAN", value_parser = parse_span, requires = "name")]
    raw: Option<Duration>,
    /// How long to keep its hourly figures, not shorter than samples: 365d
    #[arg(long, value_name = "SPAN", value_parser = parse_span, requires = "name")]
    rollups: Option<Duration>,
    /// Keep both as long as the server's configuration says
    #[arg(long, requires = "name", conflicts_with_all = ["raw", "rollups"])]
    default: bool,
}

fn parse_span(text: &str) -> Result<Duration, String> {
    parse_duration(text, &SPANS)
}

fn shown(span: Option<Duration>) -> String {
    span.map_or_else(|| "default".to_owned(), show_duration)
}

impl RetentionArgs {
    /// Does what was asked for; gives what to print.
    ///
    /// # Errors
    /// There is no such agent, hourly figures would be kept for less than samples, or the database does not answer.
    pub(super) async fn run(self, store: &dyn Store, usual: &Retention) -> anyhow::Result<String> {
        let agents = store.agents().await?;
        let said = store.retention_overrides().await?;
        let Some(name) = self.name else {
            let rows = said.into_iter().filter_map(|(key, retention)| {
                let agent = agents.iter().find(|agent| agent.key == key)?;
                Some((agent, retention))
            });
            return Ok(table(rows));
        };
        let agent = agents.iter().find(|agent| agent.id == name);
        let agent = agent.with_context(|| {
            format!("there is no agent {name}; `nodeglass agents` lists those that there are")
        })?;
        let before = said.iter().find(|(key, _)| *key == agent.key);
        let mut retention = before.map_or_else(AgentRetention::default, |(_, retention)| *retention);
        if self.default {
            retention = AgentRetention::default();
        }
        retention.raw = self.raw.or(retention.raw);
        retention.rollups = self.rollups.or(retention.rollups);
        if self.default || self.raw.is_some() || self.rollups.is_some() {
            let (raw, rollups) = (
                retention.raw.unwrap_or(usual.raw),
                retention.rollups.unwrap_or(usual.rollups),
            );
            if rollups < raw {
                bail!(
                    "hourly figures of {name} would be kept for {} and its samples for {}: keep hourly figures as long at \
                     least, with --rollups, or samples for less, with --raw",
                    show_duration(rollups),
                    show_duration(raw)
                );
            }
            store.set_retention(agent.key, retention).await?;
            let (raw, rollups) = (shown(retention.raw), shown(retention.rollups));
            let detail = format!("samples {raw}, hourly figures {rollups}");
            let entry = audit::of_command(SystemClock.now(), "agent.retention", name.as_str(), &detail);
            store.append_audit(&[entry]).await?;
        }
        Ok(table([(agent, retention)].into_iter()))
    }
}

fn table<'a>(rows: impl Iterator<Item = (&'a AgentRecord, AgentRetention)>) -> String {
    let mut rows: Vec<_> = rows
        .map(|(agent, retention)| {
            let name = agent.id.to_string();
            [name, shown(retention.raw), shown(retention.rollups)]
        })
        .collect();
    rows.sort();
    rows.insert(0, ["AGENT", "SAMPLES", "HOURLY FIGURES"].map(str::to_owned));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (names, spans) = (width(0), width(1));
    let line = |[name, raw, rollups]: &[String; 3]| format!("{name:names$}  {raw:spans$}  {rollups}\n");
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use nodeglass_model::UnixMillis;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: RetentionArgs,
    }

    #[tokio::test]
    async fn what_is_said_of_an_agent_stays_until_something_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", directory.path().display());
        let store = nodeglass_store::open(&url).await.unwrap();
        for name in ["web-1", "db"] {
            store
                .enrol_agent(&name.parse().unwrap(), UnixMillis(0))
                .await
                .unwrap();
        }
        let days = |days: u64| Duration::from_hours(24 * days);
        let usual = Retention {
            raw: days(7),
            rollups: days(90),
            max_bytes: None,
        };
        let run = async |arguments: &str| {
            let words = std::iter::once("retention").chain(arguments.split_whitespace());
            let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
            let done = line.args.run(store.as_ref(), &usual).await;
            done.map_err(|error| error.to_string())
        };
        let head = "AGENT  SAMPLES  HOURLY FIGURES\n";
        assert_eq!(run("").await.unwrap(), head);
        assert_eq!(
            run("web-1").await.unwrap(),
            format!("{head}web-1  default  default\n")
        );
        assert_eq!(
            run("web-1 --raw 30d").await.unwrap(),
            format!("{head}web-1  30d      default\n")
        );
        run("web-1 --rollups 730d").await.unwrap();
        run("db --raw 12h").await.unwrap();
        let all = format!("{head}db     12h      default\nweb-1  30d      730d\n");
        assert_eq!(run("").await.unwrap(), all);
        for (arguments, words) in [
            ("web-1 --raw 731d", "its samples for 731d"),
            ("db --rollups 1h", "hourly figures of db would be kept for 1h"),
            ("db --raw 1s", "allowed are 1m to 3650d"),
            ("db --raw 1d --default", "cannot be used with"),
            ("--raw 1d", "required arguments"),
            ("web-2 --raw 1d", "there is no agent web-2"),
        ] {
            let error = run(arguments).await.unwrap_err();
            assert!(error.contains(words), "{arguments}: {error}");
        }
        assert_eq!(run("").await.unwrap(), all, "what is refused changes nothing");
        run("web-1 --default").await.unwrap();
        assert_eq!(run("").await.unwrap(), format!("{head}db     12h      default\n"));
        store.close().await;
    }
}
