//! The connection to a server, for the commands that ask it something.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use nodeglass_proto::connection::endpoint;
use nodeglass_proto::limits::{MAX_ANSWER_BYTES, MAX_MESSAGE_BYTES, REQUEST_TIMEOUT};
use nodeglass_proto::v1::metrics_service_client::MetricsServiceClient;
use nodeglass_runtime::tls::client::{Connector, Trust};
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::local;
use crate::rest::Rest;

/// Where a server listens that was told nothing.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7080";

/// Which server to ask, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Server {
    #[arg(
        long = "server",
        env = "NODEGLASS_SERVER",
        value_name = "URL",
        help = "The server's address [default: that of a server that runs on this host, else http://127.0.0.1:7080]"
    )]
    url: Option<String>,
    /// The CA that the server's certificate comes from, a PEM file [default: that of a server that runs on this host, else
    /// those that the system trusts]
    #[arg(long, env = "NODEGLASS_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The token that the server made for you
    #[arg(long, env = "NODEGLASS_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Puts the token on every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(crate) type Client = MetricsServiceClient<InterceptedService<Channel, Bearer>>;

impl Server {
    /// The server's address, with what stands before `://` if that was left out.
    fn address(&self) -> String {
        let Some(server) = &self.url else {
            return local::server().unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        };
        if server.contains("://") {
            return server.clone();
        }
        let (plain, tls) = (format!("http://{server}"), format!("https://{server}"));
        // Servers speak TLS beyond their own host; on it, those that do say so.
        if local::is_loopback(&plain) && local::ca_of(&tls).is_none() {
            plain
        } else {
            tls
        }
    }

    /// The server's address, the token with the word before it, and whose word is taken for who the server is; nobody's
    /// without TLS.
    fn resolve(&self) -> anyhow::Result<(String, String, Option<Trust>)> {
        let Some(token) = &self.token else {
            bail!(
                "no token: set NODEGLASS_TOKEN, or pass --token; `nodeglass up` prints one at its first start"
            );
        };
        let server = self.address();
        let trust = server.starts_with("https://").then(|| {
            let ca = self.ca.clone().or_else(|| local::ca_of(&server));
            ca.map_or(Trust::System, Trust::File)
        });
        Ok((server, format!("Bearer {token}"), trust))
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let (server, bearer, trust) = self.resolve()?;
        let bearer = bearer
            .parse()
            .ok()
            .context("the token has characters that no token has")?;
        let endpoint = endpoint(&server, concat!("nodeglass/", env!("CARGO_PKG_VERSION")))
            .with_context(|| {
                format!("{server:?} is not an address such as https://monitor.example.org:7080")
            })?
            .timeout(REQUEST_TIMEOUT);
        let connector = match trust {
            Some(trust) => Connector::new(trust).context("the server can't be verified")?,
            None => Connector::plain(),
        };
        let channel = endpoint
            .connect_with_connector(connector)
            .await
            .with_context(|| format!("can't reach a server at {server}; is it running there?"))?;
        Ok(MetricsServiceClient::with_interceptor(channel, Bearer(bearer))
            .accept_compressed(CompressionEncoding::Zstd)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
            .max_decoding_message_size(MAX_ANSWER_BYTES))
    }

    /// For calls of the REST API.
    pub(crate) fn rest(&self) -> anyhow::Result<Rest> {
        let (server, bearer, trust) = self.resolve()?;
        Rest::new(&server, bearer, trust)
    }
}

/// A call's failure as people read it: the server's own words.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(crate) fn refused(status: Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}
