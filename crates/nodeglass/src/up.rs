//! `nodeglass up`: server and agent in one process, this host enrolled, nothing to set up.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use nodeglass_agent::agent;
use nodeglass_agent::config::AgentConfig;
use nodeglass_agent::identity::Identity;
use nodeglass_collect::read_host_name;
use nodeglass_model::AgentId;
use nodeglass_runtime::config::{Env, Secret};
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::tls::key::PrivateKey;
use nodeglass_runtime::{signals, telemetry};
use nodeglass_server::config::{Overrides, ServerConfig};
use nodeglass_server::server::Server;

use crate::local::default_data_dir;

/// Run server and agent in one process, with this host enrolled and nothing to set up.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where everything is kept [default: nodeglass in your data directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7080")]
    listen: SocketAddr,
    #[arg(
        long,
        value_name = "URL",
        help = "postgres://user:password@host/database or sqlite:///path/to/file [default: SQLite in the data directory]"
    )]
    database: Option<String>,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let data_dir = self.data_dir.map_or_else(default_data_dir, Ok)?;
        let overrides = Overrides {
            data_dir: Some(data_dir.clone()),
            listen: Some(self.listen),
            database: self.database,
        };
        let server_config = ServerConfig::load(None, Env::process(), overrides)?;
        let mut agent_config = AgentConfig::load(None, Env::process())?;
        agent_config.data_dir = data_dir.join("agent");

        telemetry::init(server_config.log_format, "warn");
        let mut termination = signals::install()?;
        let token_given = server_config.admin_token.is_some();
        let set_up = async {
            let server = Server::bind(server_config).await?;
            let identity = enrol(&server, &agent_config).await?;
            let new_token = server.admin_token().await?;
            greet(&server, new_token.as_ref(), token_given, &identity, &data_dir)?;
            anyhow::Ok((server, identity))
        };
        let (server, identity) = tokio::select! {
            ready = set_up => ready?,
            _ = termination.received() => return Ok(()),
        };

        // Two groups, so that the server still takes the agent's last samples when both are told to stop.
        let (serving, sampling) = (TaskGroup::new(), TaskGroup::new());
        let server_stopped = serving.shutdown_token();
        server.start(&serving, None).await?;
        agent::start(agent_config, identity, &sampling)?;
        let (asked, told) = tokio::sync::oneshot::channel();
        let agent = async {
            let stop = async {
                tokio::select! {
                    _ = termination.received() => {}
                    () = server_stopped.cancelled() => {}
                }
            };
            let ended = sampling.run(stop, nodeglass_agent::cli::DRAIN).await;
            let _ = asked.send(());
            ended
        };
        let agent_ended = async {
            let _ = told.await;
        };
        let (agent, server) = tokio::join!(agent, serving.run(agent_ended, nodeglass_server::cli::DRAIN));
        server.and(agent).map_err(Into::into)
    }
}

/// Hosts of one name that may share a database.
const NAMESAKES: u32 = 20;

/// Enrols this host with the server beside it, once; an identity that is there and known stays.
async fn enrol(server: &Server, config: &AgentConfig) -> anyhow::Result<Identity> {
    let ca_pin = server.ca_pin().map(|pin| pin.0);
    if let Ok(mut known) = Identity::load(&config.data_dir)
        && let Some(agent) = server.agent_of(&known.public_key()).await?
    {
        server.url().clone_into(&mut known.server);
        known.ca_pin = ca_pin;
        known.agent = agent;
        return Ok(known);
    }
    let host = read_host_name(&config.collect.host_root).filter(|name| name.parse::<AgentId>().is_ok());
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    // A name that is taken in a database of others is another host's; in our own it is ours.
    let names = std::iter::once(host.clone()).chain((2..=NAMESAKES).map(|number| format!("{host}-{number}")));
    for name in names {
        let agent: AgentId = name.parse()?;
        if server.is_embedded() || !server.has_agent(&agent).await? {
            let key = PrivateKey::generate()?;
            let enrolled = server.enrol(&agent, &key.public()).await?;
            let mut made = Identity::new(server.url().to_owned(), ca_pin, key, enrolled)?;
            made.save(&config.data_dir)?;
            return Ok(made);
        }
    }
    bail!("{NAMESAKES} agents are called {host} in this database: give this host another name")
}

/// Says where everything is. The token is shown at the start that makes it, and never again.
fn greet(
    server: &Server,
    new_token: Option<&Secret>,
    token_given: bool,
    identity: &Identity,
    data_dir: &Path,
) -> io::Result<()> {
    let token = match new_token {
        Some(token) => token.expose(),
        None if token_given => "the one in NODEGLASS_ADMIN_TOKEN",
        None => "the one printed at the first start (for another: nodeglass-server token add)",
    };
    let url = server.url();
    let ca = server.ca().map(|path| path.display().to_string());
    let option = |name: &str| ca.as_ref().map(|ca| format!(" {name} {ca}")).unwrap_or_default();
    let mut out = io::stdout().lock();
    writeln!(out, "Nodeglass is up.\n")?;
    writeln!(out, "  address  {url}")?;
    if let Some(ca) = &ca {
        writeln!(out, "  CA       {ca}")?;
    }
    writeln!(out, "  token    {token}")?;
    writeln!(out, "  agent    {} (this host)", identity.agent)?;
    writeln!(out, "  data     {}\n", data_dir.display())?;
    writeln!(out, "Put the token into NODEGLASS_TOKEN, then ask:")?;
    writeln!(out, "  nodeglass agents --server {url}{}", option("--ca"))?;
    writeln!(
        out,
        "  curl{} -H \"Authorization: Bearer $NODEGLASS_TOKEN\" {url}/api/v1/agents/{}/metrics\n",
        option("--cacert"),
        identity.agent
    )?;
    writeln!(out, "Ctrl-C stops it; what is stored stays.")?;
    out.flush()
}
