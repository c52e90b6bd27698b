//! The command line of `nodeglass-server`.

mod enrolment;
mod retention;
mod token;
mod user;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use nodeglass_model::AgentId;
use nodeglass_runtime::config::{ConfigError, Env, Secret};
use nodeglass_runtime::signals::Hangup;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::tls::authority::Authority;
use nodeglass_runtime::{private, signals, telemetry};
use tracing::info;

use self::enrolment::{AddArgs, FleetCommand};
use self::retention::RetentionArgs;
use self::token::TokenCommand;
use self::user::UserCommand;
use crate::api;
use crate::config::{Overrides, ServerConfig, Transport, embedded};
use crate::server::Server;
use crate::state::ServerState;
use crate::tls::authority_directory;

/// How long a stopping server may take to finish what it has in hand.
pub const DRAIN: Duration = Duration::from_secs(15);

/// Takes samples from agents, keeps them, and answers for them.
#[derive(Debug, Parser)]
#[command(name = "nodeglass-server", version)]
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
    /// Where the embedded database and the server's state lie
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "The database: postgres://user:password@host/database or sqlite:///path/to/file"
    )]
    database: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve; the same as no command
    Run,
    /// Check the configuration, and do nothing else
    CheckConfig,
    /// Agents
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Strings that make many hosts agents, for images and auto-scaling
    #[command(subcommand)]
    FleetToken(FleetCommand),
    /// Tokens of people and programs
    #[command(subcommand)]
    Token(TokenCommand),
    /// People who sign in with a password
    #[command(subcommand)]
    User(UserCommand),
    /// Print the OpenAPI document of the REST API
    Openapi,
    /// Copy the SQLite database into a file, while the server runs
    Backup {
        /// The file, which must not be there yet
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// Add an agent, and print the string that makes a host this agent: `nodeglass-agent enroll STRING`, once
    Add(AddArgs),
    /// End an agent's session, and take its key and its string from it, for good
    Revoke {
        /// Its name
        name: AgentId,
    },
    /// Say how long what is of an agent is kept, or list what was said
    Retention(RetentionArgs),
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// What went wrong; a [`ConfigError`] among the causes means exit code 64.
    pub async fn run(self) -> anyhow::Result<()> {
        let config = self.options.load()?;
        match self.command.unwrap_or(Command::Run) {
            Command::Run => serve(config).await,
            Command::Openapi => {
                println!("{:#}", api::openapi());
                Ok(())
            }
            Command::CheckConfig => {
                println!("the configuration is good");
                Ok(())
            }
            Command::Backup { file } => {
                let target = Target::find(&config)?;
                let size = nodeglass_store::backup(target.database.expose(), &file).await?;
                println!("{}: {size} bytes", file.display());
                let keys = authority_directory(&config.data_dir);
                if keys.exists() {
                    println!(
                        "the server's keys are not in it: keep a copy of {}, too, or agents will not know a server that is restored without it",
                        keys.display()
                    );
                }
                Ok(())
            }
            Command::Agent(AgentCommand::Add(add)) => {
                let target = Target::find(&config)?;
                let store = nodeglass_store::open(target.database.expose()).await?;
                println!("{}", add.run(store.as_ref(), &target).await?);
                Ok(())
            }
            Command::Agent(AgentCommand::Revoke { name }) => {
                let target = Target::find(&config)?;
                let store = nodeglass_store::open(target.database.expose()).await?;
                println!("{}", enrolment::revoke(store.as_ref(), &name).await?);
                Ok(())
            }
            Command::FleetToken(fleet) => {
                let target = Target::find(&config)?;
                let store = nodeglass_store::open(target.database.expose()).await?;
                println!("{}", fleet.run(store.as_ref(), &target).await?);
                Ok(())
            }
            Command::Agent(AgentCommand::Retention(retention)) => {
                let target = Target::find(&config)?;
                let store = nodeglass_store::open(target.database.expose()).await?;
                print!("{}", retention.run(store.as_ref(), &config.retention).await?);
                Ok(())
            }
            Command::Token(command) => {
                let target = Target::find(&config)?;
                let store = nodeglass_store::open(target.database.expose()).await?;
                print!("{}", command.run(store.as_ref()).await?);
                Ok(())
            }
            Command::User(command) => {
                let target = Target::find(&config)?;
                let store = nodeglass_store::open(target.database.expose()).await?;
                print!("{}", command.run(store.as_ref()).await?);
                Ok(())
            }
        }
    }
}

/// Where a command beside a server finds it.
struct Target {
    url: String,
    /// The CA that its certificate comes from, if systems don't know it.
    ca: Option<PathBuf>,
    database: Secret,
}

impl Target {
    /// What the server of this data directory left there; else what the configuration says.
    fn find(config: &ServerConfig) -> anyhow::Result<Self> {
        let state = ServerState::load(&config.data_dir)?;
        private::make_dir(&config.data_dir)?;
        let configured = config.public_url.clone();
        let url = configured.or_else(|| state.as_ref().map(|state| state.url.clone()));
        let ca = match (&state, &config.transport) {
            (Some(state), _) => state.ca.clone(),
            (None, Transport::Plain) => None,
            (None, Transport::Own(own)) => own.ca.clone(),
            (None, Transport::Made) => {
                // The server that starts later finds the CA that the agent is told of now.
                let directory = authority_directory(&config.data_dir);
                Authority::open(&directory)?;
                Some(Authority::certificate_path(&directory))
            }
        };
        let database = match (&config.database, state) {
            (Some(database), _) => database.clone(),
            (None, Some(state)) => Secret::from(state.database),
            (None, None) => embedded(&config.data_dir),
        };
        Ok(Self {
            url: url.unwrap_or_else(|| format!("{}://{}", config.transport.scheme(), config.listen)),
            ca,
            database,
        })
    }
}

impl Options {
    fn load(&self) -> Result<ServerConfig, ConfigError> {
        let overrides = Overrides {
            data_dir: self.data_dir.clone(),
            listen: self.listen,
            database: self.database.clone(),
        };
        ServerConfig::load(self.config.as_deref(), Env::process(), overrides)
    }
}

async fn serve(config: ServerConfig) -> anyhow::Result<()> {
    telemetry::init(config.log_format, "info");
    let mut termination = signals::install()?;
    let hangup = Hangup::install()?;
    let tasks = TaskGroup::new();
    let start = async {
        let server = Server::bind(config).await?;
        if let Some(token) = server.admin_token().await? {
            println!("admin token, shown this once: {}", token.expose());
        }
        server.start(&tasks, Some(hangup)).await
    };
    // Waiting for a database can take a while; who wants to stop it need not wait too.
    tokio::select! {
        started = start => started?,
        signal = termination.received() => {
            info!(signal, "stopped before it had started");
            return Ok(());
        }
    }
    let stop = async {
        let signal = termination.received().await;
        info!(signal, "stopping");
    };
    tasks.run(stop, DRAIN).await?;
    Ok(())
}
