//! The connection to a server, for the commands that ask it something.

use anyhow::{Context, bail};
use clap::Args;
use nodeglass_proto::connection::endpoint;
use nodeglass_proto::limits::{MAX_ANSWER_BYTES, MAX_MESSAGE_BYTES, REQUEST_TIMEOUT};
use nodeglass_proto::v1::metrics_service_client::MetricsServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Which server to ask, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// The server's address
    #[arg(
        long,
        env = "NODEGLASS_SERVER",
        default_value = "http://127.0.0.1:7080",
        value_name = "URL"
    )]
    server: String,
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
    /// Connects.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let Some(token) = &self.token else {
            bail!(
                "no token: set NODEGLASS_TOKEN, or pass --token; `nodeglass up` prints one at its first start"
            );
        };
        let bearer = format!("Bearer {token}")
            .parse()
            .ok()
            .context("the token has characters that no token has")?;
        let server = if self.server.contains("://") {
            self.server.clone()
        } else {
            format!("http://{}", self.server)
        };
        let channel = endpoint(&server, concat!("nodeglass/", env!("CARGO_PKG_VERSION")))
            .with_context(|| format!("{server:?} is not an address such as http://127.0.0.1:7080"))?
            .timeout(REQUEST_TIMEOUT)
            .connect()
            .await
            .with_context(|| format!("can't reach a server at {server}; is it running there?"))?;
        Ok(MetricsServiceClient::with_interceptor(channel, Bearer(bearer))
            .accept_compressed(CompressionEncoding::Zstd)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
            .max_decoding_message_size(MAX_ANSWER_BYTES))
    }
}

/// A call's failure as people read it: the server's own words.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(crate) fn refused(status: Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}
