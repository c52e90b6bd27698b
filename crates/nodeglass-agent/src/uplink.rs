//! The stream to the server: connects, keeps connected, sends the live sample first and the backlog behind it.

mod session;

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::{Clock, UnixMillis};
use nodeglass_proto::limits::{MAX_MESSAGE_BYTES, REQUEST_TIMEOUT};
use nodeglass_proto::proof::told_time;
use nodeglass_proto::pushback::pushed_back;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::agent_service_client::AgentServiceClient;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_runtime::backoff::Backoff;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::telemetry::chain;
use nodeglass_runtime::tls::key::KeyError;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status, Streaming};
use tracing::{debug, info, warn};

use crate::dialer::{DialError, Dialer};
use crate::identity::Identity;
use crate::outbox::Outbox;
use crate::privacy::PrivacyKey;
use crate::requests::Requests;
use session::Session;

/// The pause after a first failure to connect, and the longest one.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A session that lasted this long was a good one: the next failure starts with the short pause again.
const GOOD_SESSION: Duration = Duration::from_secs(30);
/// Messages that wait for the connection. Few, so that a live sample never waits behind much of a backlog.
const OUTBOUND_MESSAGES: usize = 4;
/// How long it then waits for the server to close the session.
const GOODBYE: Duration = Duration::from_millis(500);

/// Sends what is in the buffer to the server.
#[derive(Clone)]
pub struct Uplink {
    /// Where to, and as whom.
    pub identity: Identity,
    /// Connects to it.
    pub dialer: Dialer,
    /// What to send.
    pub outbox: Arc<Outbox>,
    /// Answers what the server asks.
    pub requests: Arc<Requests>,
    /// What hashes what says who and where.
    pub privacy: PrivacyKey,
    /// The wall time.
    pub clock: Arc<dyn Clock>,
    /// Runs the answers.
    pub tasks: TaskGroup,
}

/// Why a session could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("the key can't be proved")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Connect(#[from] DialError),
    #[error("the server refused: {}", .0.message())]
    Refused(Status),
    #[error("the server does not answer")]
    Silent,
    #[error("the server closed the session: {}", .0.message())]
    Closed(Status),
    #[error("the connection is gone")]
    Gone,
    #[error("the server spoke out of turn: an agent's session begins with its welcome")]
    NoWelcome,
}

impl SessionError {
    /// When the server said that we are to come back.
    fn told_pause(&self) -> Option<Duration> {
        match self {
            Self::Refused(status) | Self::Closed(status) => pushed_back(status),
            _ => None,
        }
    }
}

impl Uplink {
    /// Connects and sends until `stop`, then waits a moment for the last samples to be stored.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        let mut connected_before = true;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let ended = self.session(&stop, &mut connected_before).await;
            self.outbox.journal.send_again();
            // Nobody looks on through a session that has ended.
            self.watch(None);
            if stop.is_cancelled() {
                break;
            }
            if began.elapsed() >= GOOD_SESSION {
                backoff.reset();
            }
            let own = backoff.next_delay();
            // A server that has no room knows best when it will have some.
            let told = ended.as_ref().err().and_then(SessionError::told_pause);
            let pause = told.unwrap_or(own);
            if let Err(error) = ended {
                let (server, error) = (&self.identity.server, chain(&error).to_string());
                let pause_s = pause.as_secs_f32();
                // Once when it begins; somebody who looks for more asks for it.
                if std::mem::replace(&mut connected_before, false) {
                    warn!(
                        server,
                        error, pause_s, "no session with the server; samples are kept meanwhile"
                    );
                } else {
                    debug!(server, error, pause_s, "still no session with the server");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        self.outbox.journal.flush();
        let buffered = self.outbox.journal.standing().buffered;
        if buffered > 0 {
            info!(
                samples = buffered,
                "stopping with samples that the server has not stored; they are kept for the next start"
            );
        }
    }

    async fn session(&self, stop: &CancellationToken, connected: &mut bool) -> Result<(), SessionError> {
        let opening = async {
            let mut at = None;
            loop {
                let (outbound, messages) = mpsc::channel(OUTBOUND_MESSAGES);
                match self.open(messages, &outbound, at).await {
                    // By the server's clock, then: ours need not be right for it to know us.
                    Err(SessionError::Refused(status)) if at.is_none() && told_time(&status).is_some() => {
                        at = told_time(&status);
                    }
                    opened => {
                        let (inbound, welcome) = self.welcome(opened?).await?;
                        return Ok::<_, SessionError>((outbound, inbound, welcome));
                    }
                }
            }
        };
        let (outbound, mut inbound, welcome) = tokio::select! {
            opened = opening => opened?,
            () = stop.cancelled() => return Ok(()),
        };
        info!(server = %self.identity.server, agent = %self.identity.agent, "session opened");
        *connected = true;
        if self.privacy.adopt(&welcome.privacy_key) {
            // The hello had to leave out what was to be hashed.
            self.describe(&outbound).await;
        }
        let settings = welcome.settings.unwrap_or_default();
        let mut session = Session::new(self, outbound);
        match session.talk(&mut inbound, &settings, stop).await {
            Ok(()) => {
                drop(session);
                // What the server still says is let go by; to leave before it has closed would cut our last word off.
                let closed = async { while let Ok(Some(_)) = inbound.message().await {} };
                let _ = tokio::time::timeout(GOODBYE, closed).await;
                Ok(())
            }
            Err(SessionError::Gone) => session.hear_out(&mut inbound).await,
            Err(error) => Err(error),
        }
    }

    /// Says once more what this host is.
    async fn describe(&self, outbound: &mpsc::Sender<v1::AgentMessage>) {
        if let Ok(system) = self.requests.system_info().await {
            let message = Some(Up::System(Box::new((&system).into())));
            // If the session has ended, the next one begins with it.
            let _ = outbound.send(v1::AgentMessage { message }).await;
        }
    }

    /// Sends as often as somebody asks who looks on.
    fn watch(&self, watched: Option<Duration>) {
        self.requests.plan.send_if_modified(|plan| {
            let differs = plan.watched != watched;
            plan.watched = watched;
            differs
        });
    }

    /// Connects and calls, with the greeting as the first message; proves the key as of `at`, or now.
    async fn open(
        &self,
        messages: mpsc::Receiver<v1::AgentMessage>,
        outbound: &mpsc::Sender<v1::AgentMessage>,
        at: Option<UnixMillis>,
    ) -> Result<Streaming<v1::ServerMessage>, SessionError> {
        let channel = self.dialer.connect().await?;
        // Whether the server sees our certificate, or a proxy before it did, is not ours to know; it takes either.
        let proof = self.identity.proof(at.unwrap_or_else(|| self.clock.now()))?;
        let proof: MetadataValue<Ascii> = proof.parse().expect("letters that headers may have");
        let mut request = Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", proof);
        let hello = v1::Hello {
            agent_id: self.identity.agent.to_string(),
            instance: self.identity.instance.to_be_bytes().to_vec(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: self.outbox.journal.epoch(),
            system: self.requests.system_info().await.ok().as_ref().map(Into::into),
            collection_interval_ms: self.requests.configured.interval.as_millis() as u32,
            labels: self.requests.labels.clone().into_iter().collect(),
            wants_privacy_key: self.privacy.privacy.needs_key(),
        };
        // There is room: nothing was sent yet.
        let _ = outbound.try_send(v1::AgentMessage {
            message: Some(Up::Hello(Box::new(hello))),
        });
        let mut client = AgentServiceClient::new(channel)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let response = tokio::time::timeout(REQUEST_TIMEOUT, client.session(request))
            .await
            .map_err(|_| SessionError::Silent)?
            .map_err(SessionError::Refused)?;
        Ok(response.into_inner())
    }

    async fn welcome(
        &self,
        mut inbound: Streaming<v1::ServerMessage>,
    ) -> Result<(Streaming<v1::ServerMessage>, v1::Welcome), SessionError> {
        let first = tokio::time::timeout(REQUEST_TIMEOUT, inbound.message())
            .await
            .map_err(|_| SessionError::Silent)?
            .map_err(SessionError::Refused)?;
        match first.and_then(|first| first.message) {
            Some(Down::Welcome(welcome)) => {
                let agent = &self.identity.agent;
                if !welcome.agent_id.is_empty() && welcome.agent_id != agent.as_str() {
                    info!(%agent, name = welcome.agent_id, "the server has another name for this agent");
                }
                Ok((inbound, welcome))
            }
            _ => Err(SessionError::NoWelcome),
        }
    }
}
