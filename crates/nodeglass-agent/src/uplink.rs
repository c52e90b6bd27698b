//! The stream to the server: connects, keeps connected, sends the live sample first and the backlog behind it.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::{Clock, SampleId};
use nodeglass_proto::connection::endpoint;
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_proto::limits::{MAX_BATCH_BYTES, MAX_BATCH_SAMPLES, MAX_MESSAGE_BYTES, REQUEST_TIMEOUT};
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::agent_service_client::AgentServiceClient;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_proto::{seq_range_from_wire, v1};
use nodeglass_runtime::backoff::Backoff;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::telemetry::chain;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status, Streaming};
use tracing::{debug, info, warn};

use crate::buffer::SampleBuffer;
use crate::requests::Requests;

/// The pause after a first failure to connect, and the longest one.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A session that lasted this long was a good one: the next failure starts with the short pause again.
const GOOD_SESSION: Duration = Duration::from_secs(30);
/// Samples sent and not acknowledged at most; live ones always go.
const IN_FLIGHT: usize = 2_000;
/// Messages that wait for the connection. Few, so that a live sample never waits behind much of a backlog.
const OUTBOUND_MESSAGES: usize = 4;
/// How long, when the agent stops, it waits for its last samples to be stored.
const DRAIN: Duration = Duration::from_secs(3);
/// How long it then waits for the server to close the session.
const GOODBYE: Duration = Duration::from_millis(500);
/// Signs of life until the server says how often it wants them.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(10);

/// Sends what is in the buffer to the server.
#[derive(Clone)]
pub struct Uplink {
    /// Where to, and as whom.
    pub enrolment: Enrolment,
    /// What to send.
    pub buffer: Arc<SampleBuffer>,
    /// Answers what the server asks.
    pub requests: Arc<Requests>,
    /// The wall time.
    pub clock: Arc<dyn Clock>,
    /// Runs the answers.
    pub tasks: TaskGroup,
}

/// Why a session could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("the enrolment names the server {0:?}, which is not an address: enrol this host again")]
    Address(String),
    #[error("the token can't be sent: enrol this host again")]
    Token,
    #[error("can't reach the server")]
    Connect(#[from] tonic::transport::Error),
    #[error("the server refused: {}", .0.message())]
    Refused(Status),
    #[error("the server does not answer")]
    Silent,
    #[error("the server closed the session: {}", .0.message())]
    Closed(Status),
    #[error("the server spoke out of turn: an agent's session begins with its welcome")]
    NoWelcome,
}

impl Uplink {
    /// Connects and sends until `stop`, then waits a moment for the last samples to be stored.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        let mut connected_before = true;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let ended = self.session(&stop, &mut connected_before).await;
            self.buffer.send_again();
            if stop.is_cancelled() {
                break;
            }
            if began.elapsed() >= GOOD_SESSION {
                backoff.reset();
            }
            let pause = backoff.next_delay();
            if let Err(error) = ended {
                let (server, error) = (&self.enrolment.server, chain(&error).to_string());
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
        let books = self.buffer.books();
        if books.buffered > 0 {
            warn!(
                samples = books.buffered,
                "stopping with samples that the server has not acknowledged"
            );
        }
    }

    async fn session(&self, stop: &CancellationToken, connected: &mut bool) -> Result<(), SessionError> {
        let (outbound, messages) = mpsc::channel(OUTBOUND_MESSAGES);
        let opening = async {
            let inbound = self.open(messages, &outbound).await?;
            self.welcome(inbound).await
        };
        let (mut inbound, settings) = tokio::select! {
            opened = opening => opened?,
            () = stop.cancelled() => return Ok(()),
        };
        info!(server = %self.enrolment.server, agent = %self.enrolment.agent, "session opened");
        *connected = true;
        Session {
            uplink: self,
            outbound,
        }
        .talk(&mut inbound, &settings, stop)
        .await
    }

    /// Connects and calls, with the greeting as the first message.
    async fn open(
        &self,
        messages: mpsc::Receiver<v1::AgentMessage>,
        outbound: &mpsc::Sender<v1::AgentMessage>,
    ) -> Result<Streaming<v1::ServerMessage>, SessionError> {
        let server = &self.enrolment.server;
        let channel = endpoint(server, concat!("nodeglass-agent/", env!("CARGO_PKG_VERSION")))
            .map_err(|_| SessionError::Address(server.clone()))?
            .connect()
            .await?;
        let token: MetadataValue<Ascii> = format!("Bearer {}", self.enrolment.token)
            .parse()
            .map_err(|_| SessionError::Token)?;
        let mut request = Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", token);
        let hello = v1::Hello {
            agent_id: self.enrolment.agent.to_string(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: self.buffer.epoch(),
            system: self.requests.system_info().await.ok().as_ref().map(Into::into),
            collection_interval_ms: self.requests.plan.borrow().interval.as_millis() as u32,
        };
        // There is room: nothing was sent yet.
        let _ = outbound.try_send(v1::AgentMessage {
            message: Some(Up::Hello(hello)),
        });
        let mut client = AgentServiceClient::new(channel)
            .send_compressed(CompressionEncoding::Zstd)
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
    ) -> Result<(Streaming<v1::ServerMessage>, v1::Settings), SessionError> {
        let first = tokio::time::timeout(REQUEST_TIMEOUT, inbound.message())
            .await
            .map_err(|_| SessionError::Silent)?
            .map_err(SessionError::Refused)?;
        match first.and_then(|first| first.message) {
            Some(Down::Welcome(welcome)) => Ok((inbound, welcome.settings.unwrap_or_default())),
            _ => Err(SessionError::NoWelcome),
        }
    }
}

struct Session<'a> {
    uplink: &'a Uplink,
    outbound: mpsc::Sender<v1::AgentMessage>,
}

impl Session<'_> {
    async fn talk(
        self,
        inbound: &mut Streaming<v1::ServerMessage>,
        settings: &v1::Settings,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        self.adopt(settings);
        let buffer = &self.uplink.buffer;
        let mut heartbeat = tokio::time::interval(heartbeat_interval(settings));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A server that stores once in a while acknowledges once in a while: it has what was sent, and will store it.
        let is_done = || {
            if settings.persist_interval_ms == 0 {
                buffer.is_settled()
            } else {
                buffer.is_sent()
            }
        };
        let mut until: Option<Instant> = None;
        self.send_live().await?;
        loop {
            if let Some(until) = until
                && (is_done() || Instant::now() >= until)
            {
                // The last word is ours: the server sees an end, not a broken connection.
                drop(self.outbound);
                let _ = tokio::time::timeout(GOODBYE, inbound.message()).await;
                return Ok(());
            }
            tokio::select! {
                biased;
                message = inbound.message() => self.take(message)?,
                () = buffer.pushed() => self.send_live().await?,
                _ = heartbeat.tick() => self.send(Up::Heartbeat(self.heartbeat())).await?,
                room = self.outbound.reserve(), if buffer.has_backlog(IN_FLIGHT) => {
                    let room = room.map_err(|_| gone())?;
                    let samples = buffer.take_backlog(MAX_BATCH_SAMPLES, MAX_BATCH_BYTES, IN_FLIGHT);
                    room.send(v1::AgentMessage { message: Some(Up::Samples(batch(samples, true))) });
                }
                () = stop.cancelled(), if until.is_none() => until = Some(Instant::now() + DRAIN),
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
        }
    }

    /// Takes over what the server wants of its agents.
    fn adopt(&self, settings: &v1::Settings) {
        if let Some(millis) = settings.collection_interval_ms.filter(|millis| *millis > 0) {
            let interval = Duration::from_millis(millis.into());
            self.uplink.requests.plan.send_if_modified(|plan| {
                let differs = plan.interval != interval;
                plan.interval = interval;
                differs
            });
        }
    }

    fn take(&self, message: Result<Option<v1::ServerMessage>, Status>) -> Result<(), SessionError> {
        let message = match message {
            Ok(Some(message)) => message.message,
            Ok(None) => return Err(SessionError::Closed(Status::ok("without a word"))),
            Err(status) if status.code() == Code::PermissionDenied => {
                return Err(SessionError::Refused(status));
            }
            Err(status) => return Err(SessionError::Closed(status)),
        };
        let buffer = &self.uplink.buffer;
        match message {
            Some(Down::Acknowledgement(words)) => {
                let stored: Vec<_> = words.stored.into_iter().map(seq_range_from_wire).collect();
                buffer.acknowledge(&stored);
                for refused in words.rejected {
                    let id = SampleId {
                        epoch: refused.epoch,
                        seq: refused.seq,
                    };
                    buffer.reject(id, &refused.code);
                    warn!(
                        seq = id.seq,
                        code = refused.code,
                        reason = refused.message,
                        "the server refused a sample"
                    );
                }
            }
            Some(Down::Resend(_)) => buffer.send_again(),
            Some(Down::TaskRequest(request)) => {
                let (requests, outbound) = (self.uplink.requests.clone(), self.outbound.clone());
                self.uplink.tasks.spawn_transient("request", async move {
                    let response = requests.answer(request).await;
                    // If the session has ended, so has the question.
                    let _ = outbound
                        .send(v1::AgentMessage {
                            message: Some(Up::TaskResponse(response)),
                        })
                        .await;
                });
            }
            Some(Down::Welcome(welcome)) => self.adopt(&welcome.settings.unwrap_or_default()),
            None => debug!("the server sent something that this version doesn't know"),
        }
        Ok(())
    }

    async fn send_live(&self) -> Result<(), SessionError> {
        match self.uplink.buffer.take_live() {
            Some(live) => self.send(Up::Samples(batch(vec![live], false))).await,
            None => Ok(()),
        }
    }

    async fn send(&self, message: Up) -> Result<(), SessionError> {
        // A full queue is a connection that does not move; keepalive ends it.
        self.outbound
            .send(v1::AgentMessage {
                message: Some(message),
            })
            .await
            .map_err(|_| gone())
    }

    fn heartbeat(&self) -> v1::Heartbeat {
        let books = self.uplink.buffer.books();
        v1::Heartbeat {
            sent_at: self.uplink.clock.now().0.unsigned_abs(),
            sampled: books.sampled,
            acknowledged: books.acknowledged,
            buffered: books.buffered,
            evicted: self.uplink.buffer.lost(),
            rejected: books.rejected.values().sum(),
        }
    }
}

fn gone() -> SessionError {
    SessionError::Closed(Status::unavailable("the connection is gone"))
}

fn heartbeat_interval(settings: &v1::Settings) -> Duration {
    match settings.heartbeat_interval_ms {
        0 => DEFAULT_HEARTBEAT,
        millis => Duration::from_millis(millis.into()),
    }
}

/// Samples for the wire.
fn batch(samples: Vec<(SampleId, nodeglass_model::Sample)>, backfill: bool) -> v1::SampleBatch {
    let samples = samples
        .into_iter()
        .map(|(id, sample)| v1::Sample {
            epoch: id.epoch,
            seq: id.seq,
            data: Some((&sample).into()),
        })
        .collect();
    let batch = v1::SampleBatch { samples, backfill };
    debug_assert!(batch.encoded_len() < MAX_MESSAGE_BYTES);
    batch
}
