//! TLS on the listener: which certificate is shown, how it is kept current without anybody noticing, which key an agent shows,
//! and what becomes of connections that speak no TLS.

mod names;
mod plain;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use nodeglass_runtime::signals::Hangup;
use nodeglass_runtime::telemetry::chain;
use nodeglass_runtime::tls::authority::{Authority, server_name};
use nodeglass_runtime::tls::identity::Identity;
use nodeglass_runtime::tls::key::PublicKey;
use nodeglass_runtime::tls::peer::{AGENT_ALPN, AgentCertificates};
use nodeglass_runtime::tls::{BUFFER_BYTES, Pin, TlsError};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig as TlsConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::config::{OwnCertificate, ServerConfig, Transport, host_of};
use crate::listener::Wire;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the files are looked at. A change is taken over when it is as old as this, so never halfway through one.
const POLL: Duration = Duration::from_secs(2);
/// How often a certificate of the server's own is checked for renewal and for names that the host has got.
const CHECK: Duration = Duration::from_mins(1);
/// How often somebody is told that a certificate that he brought ends soon.
const REMIND: Duration = Duration::from_hours(24);
/// When it is soon.
const ENDS_SOON: Duration = Duration::from_hours(24 * 14);

/// The certificate that new connections are shown. Open connections keep what they began with.
pub struct Tls {
    source: Source,
    /// By what agents are known that show certificates of their own.
    agents: AgentCertificates,
    /// Of the CA, if agents are to know it.
    pin: Option<Pin>,
    current: ArcSwap<Current>,
}

struct Current {
    identity: Identity,
    config: Arc<TlsConfig>,
    /// The same for agents, who are asked for a certificate.
    of_agents: Arc<TlsConfig>,
}

impl Current {
    fn new(identity: Identity) -> Result<Self, TlsError> {
        Ok(Self {
            config: Arc::new(identity.server_config()?),
            of_agents: Arc::new(identity.agents_config()?),
            identity,
        })
    }
}

enum Source {
    Made {
        authority: Arc<Authority>,
        directory: PathBuf,
        listen: SocketAddr,
        public_host: Option<String>,
    },
    Own(OwnCertificate),
}

/// What tells that a file was changed: its length, its time, and which file it is.
type Stamp = (u64, Option<SystemTime>, u64);

/// The CA of a server's own, under its data directory.
pub fn authority_directory(data_dir: &Path) -> PathBuf {
    data_dir.join("tls")
}

impl Tls {
    /// What the configuration asks for, on a server that listens at `listen`; `None` if that is plain HTTP. Agents'
    /// certificates are from `authority`, whatever is shown to them.
    ///
    /// # Errors
    /// The certificate can't be used, or none can be made; the message says what to do.
    pub fn open(
        config: &ServerConfig,
        listen: SocketAddr,
        authority: &Arc<Authority>,
    ) -> Result<Option<Self>, TlsError> {
        let source = match &config.transport {
            Transport::Plain => return Ok(None),
            Transport::Made => Source::Made {
                authority: authority.clone(),
                directory: authority_directory(&config.data_dir),
                listen,
                public_host: config.public_url.as_deref().and_then(host_of).map(str::to_owned),
            },
            Transport::Own(own) => Source::Own(own.clone()),
        };
        let (identity, pin) = source.load()?;
        Ok(Some(Self {
            source,
            agents: AgentCertificates::of(authority.certificate())?,
            pin,
            current: ArcSwap::from_pointee(Current::new(identity)?),
        }))
    }

    /// The pin by which agents know the CA; `None` if it is one that systems know.
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }

    /// The file of the CA, if systems don't know it.
    pub fn ca(&self) -> Option<PathBuf> {
        match &self.source {
            Source::Made { directory, .. } => Some(Authority::certificate_path(directory)),
            Source::Own(own) => own.ca.clone(),
        }
    }

    /// Whether clients that connect to this host find its name in the certificate.
    pub fn covers(&self, host: &str) -> bool {
        server_name(host).is_some_and(|name| self.current.load().identity.covers(&name))
    }

    /// Shakes hands; gives the key of an agent that showed a certificate of ours which holds. Who speaks plain HTTP is told so.
    ///
    /// # Errors
    /// There is no TLS connection; it has been ended.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<Wire>, Option<PublicKey>), String> {
        let shaken = async {
            if let Some(answer) = plain::answer_to(&stream).await? {
                plain::turn_away(stream, answer).await?;
                return Err(std::io::Error::other("plain HTTP on a TLS port"));
            }
            let start = LazyConfigAcceptor::new(Acceptor::default(), Wire::from(stream)).await?;
            let offered = start.client_hello().alpn();
            let is_agent = offered.is_some_and(|mut offered| offered.any(|one| one == AGENT_ALPN));
            let config = {
                let current = self.current.load();
                Arc::clone(if is_agent {
                    &current.of_agents
                } else {
                    &current.config
                })
            };
            start
                .into_stream_with(config, |connection| {
                    connection.set_buffer_limit(Some(BUFFER_BYTES));
                })
                .await
        };
        let stream = match tokio::time::timeout(HANDSHAKE, shaken).await {
            Ok(shaken) => shaken.map_err(|error| error.to_string())?,
            Err(_) => return Err("the handshake took too long".to_owned()),
        };
        let key = self.key_of(&stream);
        Ok((stream, key))
    }

    /// The key of the agent at the other end; `None` if it showed no certificate that counts.
    fn key_of(&self, stream: &TlsStream<Wire>) -> Option<PublicKey> {
        let shown = stream.get_ref().1.peer_certificates()?;
        self.agents
            .key(shown, SystemTime::now())
            // It may prove its key all the same.
            .inspect_err(|error| debug!(%error, "an agent's certificate does not count"))
            .ok()
    }

    /// Takes over what changes in the files, and renews what is to be renewed, until `stop`. A certificate that can't be
    /// used is refused, and the one before stays.
    pub async fn keep_current(self: Arc<Self>, mut hangup: Option<Hangup>, stop: CancellationToken) {
        let mut watch = Watch::new(&self.source);
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.received().await,
                    None => std::future::pending().await,
                }
            };
            let was_asked = tokio::select! {
                () = tokio::time::sleep(POLL) => false,
                () = asked => true,
                () = stop.cancelled() => return,
            };
            let tls = self.clone();
            let looked = tokio::task::spawn_blocking(move || {
                tls.look(&mut watch, was_asked);
                watch
            });
            match looked.await {
                Ok(looked) => watch = looked,
                Err(error) => {
                    error!(%error, "looking after the certificate failed");
                    watch = Watch::new(&self.source);
                }
            }
        }
    }

    fn look(&self, watch: &mut Watch, was_asked: bool) {
        if watch.is_due(&self.source, was_asked) {
            match self.reload() {
                Ok(true) => info!("new connections are shown another certificate"),
                Ok(false) if was_asked => info!("the certificate is as it was"),
                Ok(false) => {}
                Err(error) => error!(
                    error = %chain(&error),
                    "the new certificate is refused, the one before stays in use"
                ),
            }
            watch.loaded(&self.source);
        }
        let end = self.current.load().identity.end();
        if let Some(ends_in) = watch.reminds(&self.source, end) {
            let days = ends_in.as_secs() / 86_400;
            warn!(days, "the server's certificate ends soon: renew it");
        }
    }

    /// Whether there is another certificate now.
    fn reload(&self) -> Result<bool, TlsError> {
        let (identity, pin) = self.source.load()?;
        if let Source::Own(OwnCertificate {
            certificate,
            ca: Some(ca),
            ..
        }) = &self.source
            && pin != self.pin
        {
            // Agents know the CA of their enrolment; a new one is for who starts the server anew and enrols them again.
            return Err(TlsError::OtherCa {
                certificate: certificate.clone(),
                ca: ca.clone(),
                source: tokio_rustls::rustls::CertificateError::UnknownIssuer.into(),
            });
        }
        if identity.is_same(&self.current.load().identity) {
            return Ok(false);
        }
        self.current.store(Arc::new(Current::new(identity)?));
        Ok(true)
    }
}

impl Source {
    fn load(&self) -> Result<(Identity, Option<Pin>), TlsError> {
        let now = SystemTime::now();
        match self {
            Self::Made {
                authority,
                listen,
                public_host,
                ..
            } => {
                let names = names::of_this_host(*listen, public_host.as_deref());
                Ok((authority.identity(&names, now)?, Some(authority.pin())))
            }
            Self::Own(OwnCertificate { certificate, key, ca }) => {
                let identity = Identity::load(certificate, key, ca.as_deref(), now)?;
                Ok((identity, ca.as_deref().map(Pin::read).transpose()?))
            }
        }
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let files = match self {
            Self::Made { authority, .. } => authority.identity_files().to_vec(),
            Self::Own(OwnCertificate { certificate, key, ca }) => [Some(certificate), Some(key), ca.as_ref()]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        };
        let stamp = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
            Some((metadata.len(), metadata.modified().ok(), inode))
        };
        files.iter().map(stamp).collect()
    }
}

/// When the certificate is to be loaded again.
struct Watch {
    loaded: Vec<Option<Stamp>>,
    seen: Vec<Option<Stamp>>,
    checked: Instant,
    reminded: Option<Instant>,
}

impl Watch {
    fn new(source: &Source) -> Self {
        let stamps = source.stamps();
        Self {
            loaded: stamps.clone(),
            seen: stamps,
            checked: Instant::now(),
            reminded: None,
        }
    }

    /// Somebody asks for it, the files have changed and stayed so since the last look, or it is time.
    fn is_due(&mut self, source: &Source, was_asked: bool) -> bool {
        let stamps = source.stamps();
        let has_settled = stamps != self.loaded && stamps == self.seen;
        let is_time = matches!(source, Source::Made { .. }) && self.checked.elapsed() >= CHECK;
        self.seen = stamps;
        was_asked || has_settled || is_time
    }

    fn loaded(&mut self, source: &Source) {
        self.checked = Instant::now();
        // What was read is at least as new as what was seen before. What is made by loading is known.
        self.loaded = match source {
            Source::Made { .. } => source.stamps(),
            Source::Own(_) => self.seen.clone(),
        };
    }

    /// In how long a certificate ends that somebody has to renew, once a day when it is soon.
    fn reminds(&mut self, source: &Source, end: SystemTime) -> Option<Duration> {
        let ends_in = end.duration_since(SystemTime::now()).unwrap_or_default();
        let is_wanted = matches!(source, Source::Own(_))
            && ends_in < ENDS_SOON
            && self.reminded.is_none_or(|at| at.elapsed() >= REMIND);
        is_wanted.then(|| {
            self.reminded = Some(Instant::now());
            ends_in
        })
    }
}
