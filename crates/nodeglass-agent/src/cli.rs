//! The command line of `nodeglass-agent`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_runtime::config::Env;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::{signals, telemetry};
use tracing::info;

use crate::config::AgentConfig;
use crate::{agent, identity};

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
    /// Make this host an agent, with the string that `nodeglass-server agent add NAME` printed
    Enroll {
        /// The string
        enrolment: String,
    },
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// What went wrong; a [`nodeglass_runtime::config::ConfigError`] among the causes means exit code 64.
    pub async fn run(self) -> anyhow::Result<()> {
        let Options { config, data_dir } = self.options;
        let mut config = AgentConfig::load(config.as_deref(), Env::process())?;
        if let Some(data_dir) = data_dir {
            config.data_dir = data_dir;
        }
        match self.command.unwrap_or(Command::Run { local_only: false }) {
            Command::Run { local_only } => sample(config, local_only).await,
            Command::CheckConfig => {
                println!("the configuration is good");
                Ok(())
            }
            Command::Enroll { enrolment } => {
                let enrolment = Enrolment::decode(&enrolment)?;
                identity::save(&config.data_dir, &enrolment)?;
                println!(
                    "this host is now the agent {} of {}",
                    enrolment.agent, enrolment.server
                );
                println!(
                    "start it with: nodeglass-agent run --data-dir {}",
                    config.data_dir.display()
                );
                Ok(())
            }
        }
    }
}

async fn sample(config: AgentConfig, local_only: bool) -> anyhow::Result<()> {
    telemetry::init(config.log_format, "info");
    let mut termination = signals::install()?;
    let tasks = TaskGroup::new();
    if local_only {
        agent::start_local_only(config, &tasks)?;
    } else {
        let enrolment = identity::load(&config.data_dir)?;
        agent::start(config, enrolment, &tasks)?;
    }
    let stop = async {
        let signal = termination.received().await;
        info!(signal, "stopping");
    };
    tasks.run(stop, DRAIN).await?;
    Ok(())
}
