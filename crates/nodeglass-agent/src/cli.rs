//! The command line of `nodeglass-agent`.

#[cfg(unix)]
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use nodeglass_collect::read_host_name;
use nodeglass_model::AgentId;
#[cfg(unix)]
use nodeglass_model::TaskId;
use nodeglass_proto::enrolment::Enrolment;
#[cfg(unix)]
use nodeglass_runtime::config::ConfigReader;
use nodeglass_runtime::config::Env;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::{private, signals, telemetry};
use tracing::info;

use crate::config::AgentConfig;
use crate::enrol::{Name, enrol};
use crate::identity::Identity;
#[cfg(unix)]
use crate::tasks::client;
#[cfg(unix)]
use crate::tasks::exec::Exec;
#[cfg(unix)]
use crate::tasks::protocol::{FollowRequest, Request};
use crate::{agent, identity};

/// More than any enrolment string has, in bytes.
const LONGEST_STRING: u64 = 64 << 10;
/// How long a stopping agent may take to finish what it has in hand.
pub const DRAIN: Duration = Duration::from_secs(8);

/// Samples this host and streams the samples to a server.
#[derive(Debug, Parser)]
#[command(name = "nodeglass-agent", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// The configuration file; defaults and environment without one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the enrolment lies
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sample and send; the same as no command
    Run {
        /// Serve the local endpoint and nothing else: no server, no enrolment
        #[arg(long)]
        local_only: bool,
    },
    /// Check the configuration, and do nothing else
    CheckConfig,
    /// Make this host an agent, with the string that `nodeglass-server agent add NAME` or `fleet-token add` printed
    Enroll {
        /// The string; - reads it from standard input, where no other program sees it
        enrolment: String,
        /// What the agent is called, if the string is for many hosts [default: this host's name, with a number if it is taken]
        #[arg(long)]
        name: Option<AgentId>,
    },
    /// Run a program as a task that the running agent follows, with everything that it starts. Its exit code becomes
    /// this command's. Without an agent it runs all the same
    #[cfg(unix)]
    Exec {
        /// What the task is called
        #[arg(long, value_name = "ID")]
        task: TaskId,
        /// Don't run the program unless an agent follows it
        #[arg(long)]
        require_agent: bool,
        /// The program and its arguments
        #[arg(required = true, last = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Let the running agent follow what runs already, as a task
    #[cfg(unix)]
    Track {
        /// What the task is called
        #[arg(long, value_name = "ID")]
        task: TaskId,
        #[command(flatten)]
        target: TrackTarget,
    },
}

#[cfg(unix)]
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct TrackTarget {
    /// A process, with everything that it started and will start
    #[arg(long)]
    pid: Option<u32>,
    /// A control group: its path as in /proc/PID/cgroup
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    /// A systemd unit
    #[arg(long, value_name = "NAME")]
    unit: Option<String>,
}

impl Cli {
    /// Does what was asked for. The exit code is 0, or that of the program that was run.
    ///
    /// # Errors
    /// What went wrong; a [`nodeglass_runtime::config::ConfigError`] among the causes means exit code 64.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Options { config, data_dir } = self.options;
        let mut loaded = AgentConfig::load(config.as_deref(), Env::process());
        let command = self.command.unwrap_or(Command::Run { local_only: false });
        #[cfg(unix)]
        if let (
            Command::Exec {
                require_agent: false, ..
            },
            Err(error),
        ) = (&command, &loaded)
        {
            // Somebody's work does not wait for the configuration of its monitoring.
            eprintln!("warning: the agent's configuration is not used: {error}");
            loaded = AgentConfig::read(ConfigReader::parse("defaults", "", Env::empty()));
        }
        let mut config = loaded?;
        if let Some(data_dir) = data_dir {
            config.data_dir = data_dir;
        }
        match command {
            Command::Run { local_only } => sample(config, local_only).await?,
            Command::CheckConfig => println!("the configuration is good"),
            Command::Enroll { enrolment, name } => enroll(&config, &enrolment, name).await?,
            #[cfg(unix)]
            Command::Exec {
                task: task_id,
                require_agent,
                command,
            } => {
                let exec = Exec {
                    task_id,
                    command,
                    socket: config.tasks_socket(),
                    require_agent,
                };
                return exec.run().await;
            }
            #[cfg(unix)]
            Command::Track {
                task: task_id,
                target,
            } => {
                let follow = Request::Follow(FollowRequest {
                    task_id: task_id.clone(),
                    pid: target.pid,
                    cgroup: target.cgroup,
                    unit: target.unit,
                    command: Vec::new(),
                    by_parent: false,
                });
                client::ask(&config.tasks_socket(), &follow)?;
                println!("task {task_id} is followed until its last process ends");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn enroll(config: &AgentConfig, string: &str, name: Option<AgentId>) -> anyhow::Result<()> {
    let enrolment = match string {
        "-" => Enrolment::decode(&io::read_to_string(io::stdin().take(LONGEST_STRING))?)?,
        string => Enrolment::decode(string)?,
    };
    private::make_dir(&config.data_dir)?;
    // Held to the end, so that no agent goes on here as somebody else.
    let _lock = agent::lock(&config.data_dir)?;
    let host = || -> Option<AgentId> { read_host_name(&config.collect.host_root)?.parse().ok() };
    let name = match name {
        Some(name) => Some(Name::Said(name)),
        None => host().map(Name::Proposed),
    };
    let key = identity::pending_key(&config.data_dir, &enrolment.token)?;
    let mut made = enrol(&enrolment, key, name, config.trust.clone()).await?;
    let before = Identity::load(&config.data_dir).ok();
    if let Some(before) = before.filter(|before| before.agent != made.agent) {
        set_journal_aside(config, &before.agent)?;
    }
    made.save(&config.data_dir)?;
    println!("this host is now the agent {} of {}", made.agent, made.server);
    println!(
        "start it with: nodeglass-agent run --data-dir {}",
        config.data_dir.display()
    );
    Ok(())
}

/// Puts away the journal of the agent that this host was before, or was copied from: what is in it is another's.
fn set_journal_aside(config: &AgentConfig, before: &AgentId) -> anyhow::Result<()> {
    let Some(journal) = config.journal().directory.filter(|journal| journal.exists()) else {
        return Ok(());
    };
    let mut aside = journal.with_file_name(format!("journal-of-{before}"));
    for number in 2.. {
        if !aside.exists() {
            break;
        }
        aside = journal.with_file_name(format!("journal-of-{before}-{number}"));
    }
    std::fs::rename(&journal, &aside)
        .with_context(|| format!("can't rename {} to {}", journal.display(), aside.display()))?;
    println!(
        "the journal of the agent {before}, which this host was before, is now {}: it is not sent under the new name",
        aside.display()
    );
    Ok(())
}

async fn sample(config: AgentConfig, local_only: bool) -> anyhow::Result<()> {
    telemetry::init(config.log_format, "info");
    let mut termination = signals::install()?;
    let tasks = TaskGroup::new();
    if local_only {
        agent::start_local_only(config, &tasks)?;
    } else {
        let identity = Identity::load(&config.data_dir)?;
        agent::start(config, identity, &tasks)?;
    }
    let stop = async {
        let signal = termination.received().await;
        info!(signal, "stopping");
    };
    tasks.run(stop, DRAIN).await?;
    Ok(())
}
