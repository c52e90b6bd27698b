//! `nodeglass-server token`: tokens of people and programs.

use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;
use nodeglass_model::{Clock, SystemClock, UnixMillis};
use nodeglass_runtime::config::parse_duration;
use nodeglass_store::identities::TokenRecord;
use nodeglass_store::{Role, Store};

use crate::access::Selector;
use crate::audit;
use crate::identity::{NewToken, check_name};

/// How long a token may last.
const SPANS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24 * 3_650);

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, once
    Add {
        /// Whose it is: unique among tokens
        #[arg(value_parser = parse_name)]
        name: String,
        /// viewer reads, operator also asks agents for things, admin may do everything
        #[arg(long, default_value = "viewer", value_parser = parse_role)]
        role: Role,
        /// An agent that it may see, a pattern (web-*) or a label (env=prod); again for more. Without it all
        #[arg(long = "agents", value_name = "SELECTOR", value_delimiter = ',')]
        agents: Vec<String>,
        /// How long it is good: 90d
        #[arg(long, value_name = "SPAN", value_parser = parse_span)]
        expires: Option<Duration>,
        /// Take the place of one of that name, which is worth nothing any more
        #[arg(long)]
        replace: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List tokens, without the tokens themselves
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a token worth nothing; what it has open ends within seconds
    Revoke {
        /// Whose it is
        name: String,
    },
}

pub(super) fn parse_role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| "use viewer, operator or admin".to_owned())
}

pub(super) fn parse_name(name: &str) -> Result<String, String> {
    check_name(name).map(|()| name.to_owned())
}

fn parse_span(text: &str) -> Result<Duration, String> {
    parse_duration(text, &SPANS)
}

/// The selector of a command's words; all agents without any.
pub(super) fn selector(agents: &[String]) -> anyhow::Result<Selector> {
    if agents.is_empty() {
        return Ok(Selector::all());
    }
    Ok(Selector::of(agents)?)
}

impl TokenCommand {
    /// Does what was asked for; gives what to print.
    ///
    /// # Errors
    /// A name that is taken or that nobody has, or a database that does not answer.
    pub(super) async fn run(self, store: &dyn Store) -> anyhow::Result<String> {
        match self {
            Self::Add {
                name,
                role,
                agents,
                expires,
                replace,
                json,
            } => {
                let now = SystemClock.now();
                let new = NewToken {
                    agents: selector(&agents)?,
                    expires_at: expires.map(|span| now.plus(span)),
                    name,
                    role,
                };
                let (record, token) = new.make(now);
                if !store.add_token(&record, replace).await? {
                    bail!(
                        "there is a token {:?} already: choose another name, or have it replaced with --replace",
                        new.name
                    );
                }
                let action = if replace { "token.replace" } else { "token.add" };
                let entry = audit::of_command(now, action, &new.name, &new.describe());
                store.append_audit(&[entry]).await?;
                if json {
                    let shown = serde_json::json!({ "name": new.name, "token": token.expose() });
                    return Ok(format!("{shown}\n"));
                }
                Ok(format!("{}\n", token.expose()))
            }
            Self::List { json } => {
                let tokens = store.everybody().await?.tokens;
                Ok(if json {
                    as_json(&tokens)
                } else {
                    as_table(&tokens, SystemClock.now())
                })
            }
            Self::Revoke { name } => {
                if !store.remove_token(&name).await? {
                    bail!(
                        "there is no token {name:?}: `nodeglass-server token list` lists those that there are"
                    );
                }
                let entry = audit::of_command(SystemClock.now(), "token.revoke", &name, "");
                store.append_audit(&[entry]).await?;
                Ok(format!(
                    "{name} is revoked; what it has open ends within seconds\n"
                ))
            }
        }
    }
}

fn as_json(tokens: &[TokenRecord]) -> String {
    let rows = tokens.iter().map(|token| {
        serde_json::json!({
            "name": token.name,
            "role": token.role.name(),
            "agents": token.agents,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "last_used_at": token.last_used_at,
        })
    });
    format!("{}\n", serde_json::Value::Array(rows.collect()))
}

fn as_table(tokens: &[TokenRecord], now: UnixMillis) -> String {
    let head = ["NAME", "ROLE", "AGENTS", "MADE", "EXPIRES", "LAST USED"].map(str::to_owned);
    let rows = tokens.iter().map(|token| {
        let expires = match token.expires_at {
            None => "never".to_owned(),
            Some(end) if end <= now => format!("{end} (over)"),
            Some(end) => end.to_string(),
        };
        [
            token.name.clone(),
            token.role.name().to_owned(),
            token
                .agents
                .as_ref()
                .map_or("all".to_owned(), |agents| agents.join(",")),
            token.created_at.to_string(),
            expires,
            token.last_used_at.map_or("never".to_owned(), |at| at.to_string()),
        ]
    });
    table(std::iter::once(head).chain(rows).collect())
}

/// Rows with columns as wide as what is in them.
pub(super) fn table<const N: usize>(rows: Vec<[String; N]>) -> String {
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = vec![["A", "B"], ["long", "x"]]
            .into_iter()
            .map(|row| row.map(str::to_owned));
        assert_eq!(table(rows.collect()), "A     B\nlong  x\n");
    }
}
