//! `nodeglass-server user`: people who sign in with a password, which is never an argument: others see those.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use nodeglass_model::{Clock, SystemClock};
use nodeglass_runtime::config::Secret;
use nodeglass_store::identities::{Change, UserRecord};
use nodeglass_store::{Role, Store};

use super::token::{parse_name, parse_role, selector, table};
use crate::audit;
use crate::identity::passwords;

/// The variable that a script may put a password into.
const PASSWORD: &str = "NODEGLASS_PASSWORD";

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make a user; asks for the password, or takes a line of standard input, or `NODEGLASS_PASSWORD`
    Add {
        /// The name that it signs in with
        #[arg(value_parser = parse_name)]
        name: String,
        /// viewer reads, operator also asks agents for things, admin may do everything
        #[arg(long, default_value = "viewer", value_parser = parse_role)]
        role: Role,
        /// An agent that it may see, a pattern (web-*) or a label (env=prod); again for more. Without it all
        #[arg(long = "agents", value_name = "SELECTOR", value_delimiter = ',')]
        agents: Vec<String>,
    },
    /// List users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change what a user may do; what it has open ends within seconds
    Change {
        /// The user
        name: String,
        /// viewer, operator or admin
        #[arg(long, value_parser = parse_role)]
        role: Option<Role>,
        /// The agents that it may see
        #[arg(
            long = "agents",
            value_name = "SELECTOR",
            value_delimiter = ',',
            conflicts_with = "all_agents"
        )]
        agents: Vec<String>,
        /// It may see all agents
        #[arg(long)]
        all_agents: bool,
    },
    /// Give a user another password, as `user add` takes it; its sessions end
    Passwd {
        /// The user
        name: String,
        /// Have it sign in without one-time codes, too: for one who has lost the device
        #[arg(long)]
        reset_totp: bool,
    },
    /// Remove a user; what it has open ends within seconds
    Remove {
        /// The user
        name: String,
    },
}

impl UserCommand {
    /// Does what was asked for; gives what to print.
    ///
    /// # Errors
    /// A name that is taken or that nobody has, a password that is not taken, or a database that does not answer.
    pub(super) async fn run(self, store: &dyn Store) -> anyhow::Result<String> {
        let now = SystemClock.now();
        let (action, subject, detail, said) = match self {
            Self::Add { name, role, agents } => {
                let agents = selector(&agents)?;
                let record = UserRecord {
                    password_hash: passwords::hash(&read_password(&name)?),
                    name: name.clone(),
                    role,
                    agents: agents.entries(),
                    created_at: now,
                    password_changed_at: now,
                    totp_secret: None,
                };
                if !store.add_user(&record).await? {
                    bail!(
                        "there is a user {name:?} already: choose another name, or change it with `user change`"
                    );
                }
                let said = format!("{name} may sign in now");
                ("user.add", name, crate::identity::describe(role, &agents), said)
            }
            Self::List { json } => {
                let users = store.everybody().await?.users;
                return Ok(if json { as_json(&users) } else { as_table(&users) });
            }
            Self::Change {
                name,
                role,
                agents,
                all_agents,
            } => {
                let agents = match (all_agents, agents.is_empty()) {
                    (true, _) => Some(None),
                    (false, true) => None,
                    (false, false) => Some(selector(&agents)?.entries()),
                };
                let change = Change {
                    role,
                    agents,
                    expires_at: None,
                };
                ensure!(
                    change != Change::default(),
                    "say what to change: --role, --agents or --all-agents"
                );
                ensure!(store.change_user(&name, &change).await?, unknown(&name));
                let said = format!("{name} is changed; what it has open ends within seconds");
                (
                    "user.change",
                    name,
                    crate::identity::describe_change(&change),
                    said,
                )
            }
            Self::Passwd { name, reset_totp } => {
                let known = store.everybody().await?.users;
                ensure!(known.iter().any(|user| user.name == name), unknown(&name));
                let hash = passwords::hash(&read_password(&name)?);
                ensure!(store.set_password(&name, &hash, now, None).await?, unknown(&name));
                if reset_totp {
                    store.set_totp(&name, None, &[]).await?;
                }
                let detail = if reset_totp {
                    "and without one-time codes"
                } else {
                    ""
                };
                let said = format!("{name} has another password");
                ("user.password", name, detail.to_owned(), said)
            }
            Self::Remove { name } => {
                ensure!(store.remove_user(&name).await?, unknown(&name));
                let said = format!("{name} is removed; what it has open ends within seconds");
                ("user.remove", name, String::new(), said)
            }
        };
        let entry = audit::of_command(now, action, &subject, &detail);
        store.append_audit(&[entry]).await?;
        Ok(format!("{said}\n"))
    }
}

fn unknown(name: &str) -> String {
    format!("there is no user {name:?}: `nodeglass-server user list` lists those that there are")
}

/// A user's new password: the variable's, what somebody types, or a line of standard input.
fn read_password(name: &str) -> anyhow::Result<Secret> {
    let text = match std::env::var(PASSWORD) {
        Ok(password) => password,
        Err(_) if std::io::stdin().is_terminal() => {
            let password = ask(&format!("password for {name}: "))?;
            ensure!(
                ask("once more: ")? == password,
                "the two passwords differ: begin again"
            );
            password
        }
        Err(_) => {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            ensure!(
                read.context("standard input")? > 0,
                "there is no password: type one, give a line of standard input, or set {PASSWORD}"
            );
            line.trim_end_matches(['\n', '\r']).to_owned()
        }
    };
    let password = Secret::from(text);
    passwords::check(name, &password)?;
    Ok(password)
}

/// Asks at the terminal, without showing what is typed.
fn ask(question: &str) -> anyhow::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let shown = tcgetattr(&stdin).context("the terminal")?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).context("the terminal")?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    // Whatever was read: a terminal that shows nothing is no use to anybody.
    tcsetattr(&stdin, OptionalActions::Now, &shown).context("the terminal")?;
    writeln!(stderr)?;
    read.context("the terminal")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn as_json(users: &[UserRecord]) -> String {
    let rows = users.iter().map(|user| {
        serde_json::json!({
            "name": user.name,
            "role": user.role.name(),
            "agents": user.agents,
            "created_at": user.created_at,
            "password_changed_at": user.password_changed_at,
            "one_time_codes": user.totp_secret.is_some(),
        })
    });
    format!("{}\n", serde_json::Value::Array(rows.collect()))
}

fn as_table(users: &[UserRecord]) -> String {
    let head = ["NAME", "ROLE", "AGENTS", "MADE", "PASSWORD OF", "CODES"].map(str::to_owned);
    let rows = users.iter().map(|user| {
        [
            user.name.clone(),
            user.role.name().to_owned(),
            user.agents
                .as_ref()
                .map_or("all".to_owned(), |agents| agents.join(",")),
            user.created_at.to_string(),
            user.password_changed_at.to_string(),
            if user.totp_secret.is_some() { "yes" } else { "no" }.to_owned(),
        ]
    });
    table(std::iter::once(head).chain(rows).collect())
}
