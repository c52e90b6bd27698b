//! The stream to the server: connects, keeps connected, sends the live sample first and the backlog behind it.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_journal::{Gap, Standing};
use nodeglass_model::{Clock, SampleId, UnixMillis};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_proto::limits::{MAX_MESSAGE_BYTES, REQUEST_TIMEOUT};
use nodeglass_proto::packed::{BackfillPacker, LivePacker, is_too_large};
use nodeglass_proto::pushback::pushed_back;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::agent_service_client::AgentServiceClient;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_proto::{seq_range_from_wire, v1};
use nodeglass_runtime::backoff::Backoff;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::telemetry::chain;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status, Streaming};
use tracing::{debug, info, warn};

use crate::dialer::{DialError, Dialer};
use crate::outbox::Outbox;
use crate::requests::Requests;

/// The pause after a first failure to connect, and the longest one.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A session that lasted this long was a good one: the next failure starts with the short pause again.
const GOOD_SESSION: Duration = Duration::from_secs(30);
/// Samples sent and not acknowledged at most; live ones always go.
const IN_FLIGHT: u64 = 2_000;
/// Messages that wait for the connection. Few, so that a live sample never waits behind much of a backlog.
const OUTBOUND_MESSAGES: usize = 4;
/// How long, when the agent stops, it waits for its last samples to be stored.
const DRAIN: Duration = Duration::from_secs(3);
/// How long it then waits for the server to close the session.
const GOODBYE: Duration = Duration::from_millis(500);
/// How long a backlog rests that can't be read.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// What becomes of a sample that no server would take.
const TOO_LARGE: &str = "too_large";
/// Signs of life until the server says how often it wants them.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(10);

/// Sends what is in the buffer to the server.
#[derive(Clone)]
pub struct Uplink {
    /// Where to, and as whom.
    pub enrolment: Enrolment,
    /// Connects to it.
    pub dialer: Dialer,
    /// What to send.
    pub outbox: Arc<Outbox>,
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
    #[error("the token can't be sent: enrol this host again")]
    Token,
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
        let mut session = Session {
            uplink: self,
            outbound,
            packer: LivePacker::default(),
            told_gaps: None,
            asked_interval: None,
        };
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

    /// Sends as often as somebody asks who looks on.
    fn watch(&self, watched: Option<Duration>) {
        self.requests.plan.send_if_modified(|plan| {
            let differs = plan.watched != watched;
            plan.watched = watched;
            differs
        });
    }

    /// Connects and calls, with the greeting as the first message.
    async fn open(
        &self,
        messages: mpsc::Receiver<v1::AgentMessage>,
        outbound: &mpsc::Sender<v1::AgentMessage>,
    ) -> Result<Streaming<v1::ServerMessage>, SessionError> {
        let channel = self.dialer.connect().await?;
        let token: MetadataValue<Ascii> = format!("Bearer {}", self.enrolment.token)
            .parse()
            .map_err(|_| SessionError::Token)?;
        let mut request = Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", token);
        let hello = v1::Hello {
            agent_id: self.enrolment.agent.to_string(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: self.outbox.journal.epoch(),
            system: self.requests.system_info().await.ok().as_ref().map(Into::into),
            collection_interval_ms: self.requests.plan.borrow().interval.as_millis() as u32,
        };
        // There is room: nothing was sent yet.
        let _ = outbound.try_send(v1::AgentMessage {
            message: Some(Up::Hello(hello)),
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
    packer: LivePacker,
    /// The spans without samples that the server was told of in this session.
    told_gaps: Option<VecDeque<Gap>>,
    /// The interval that the server last asked for.
    asked_interval: Option<u32>,
}

impl Session<'_> {
    /// Says and hears what there is until the session fails, or `stop` and all is settled.
    async fn talk(
        &mut self,
        inbound: &mut Streaming<v1::ServerMessage>,
        settings: &v1::Settings,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        let outbox = self.uplink.outbox.clone();
        let journal = &outbox.journal;
        let heartbeat_interval = heartbeat_interval(settings);
        let now = Instant::now();
        // The first at once.
        let mut next_heartbeat = now.checked_sub(heartbeat_interval / 4).unwrap_or(now);
        // A server that stores once in a while acknowledges once in a while: it has what was sent, and will store it.
        let is_done = || {
            if settings.persist_interval_ms == 0 {
                journal.is_settled()
            } else {
                journal.is_sent()
            }
        };
        let mut until: Option<Instant> = None;
        let mut reading_failed = false;
        let outbound = self.outbound.clone();
        // First the sample that is there: another interval may bring a newer one, and this one would come late.
        self.send_live().await?;
        self.adopt(settings);
        loop {
            if let Some(until) = until
                && (is_done() || Instant::now() >= until)
            {
                // The last word is ours: the books as they are left, and an end rather than a broken connection.
                let heartbeat = self.heartbeat();
                let _ = tokio::time::timeout(GOODBYE, self.send(Up::Heartbeat(heartbeat))).await;
                return Ok(());
            }
            tokio::select! {
                biased;
                message = inbound.message() => self.take(message)?,
                () = outbox.owed() => {
                    self.send_live().await?;
                    if Instant::now() >= next_heartbeat {
                        self.send_heartbeat(&mut next_heartbeat, heartbeat_interval).await?;
                    }
                }
                // It goes with a sample, in one piece; by itself only while none is due.
                () = tokio::time::sleep_until(next_heartbeat + heartbeat_interval / 4) => {
                    self.send_heartbeat(&mut next_heartbeat, heartbeat_interval).await?;
                }
                room = outbound.reserve(), if !reading_failed && journal.has_backlog(IN_FLIGHT) => {
                    let room = room.map_err(|_| SessionError::Gone)?;
                    match self.backlog().await {
                        Some(batch) => room.send(v1::AgentMessage { message: Some(Up::Samples(batch)) }),
                        None => reading_failed = true,
                    }
                }
                () = tokio::time::sleep(READ_AGAIN), if reading_failed => reading_failed = false,
                () = stop.cancelled(), if until.is_none() => until = Some(Instant::now() + DRAIN),
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
        }
    }

    /// Takes what the server said before the connection was gone: its last word says why, and may tell when to come back.
    async fn hear_out(&mut self, inbound: &mut Streaming<v1::ServerMessage>) -> Result<(), SessionError> {
        loop {
            let message = tokio::time::timeout(GOODBYE, inbound.message());
            self.take(message.await.map_err(|_| SessionError::Gone)?)?;
        }
    }

    /// Takes over what the server wants of its agents. An interval that it asks for once holds until it asks for another;
    /// what an operator asks for in between is not undone.
    fn adopt(&mut self, settings: &v1::Settings) {
        let millis = |millis: Option<u32>| millis.filter(|millis| *millis > 0);
        let wanted = millis(settings.collection_interval_ms);
        if std::mem::replace(&mut self.asked_interval, wanted) != wanted {
            let configured = self.uplink.requests.configured.interval;
            let interval = wanted.map_or(configured, |millis| Duration::from_millis(millis.into()));
            self.uplink.requests.plan.send_if_modified(|plan| {
                let differs = plan.interval != interval;
                plan.interval = interval;
                differs
            });
        }
        let watched = millis(settings.watch_interval_ms);
        self.uplink
            .watch(watched.map(|millis| Duration::from_millis(millis.into())));
    }

    fn take(&mut self, message: Result<Option<v1::ServerMessage>, Status>) -> Result<(), SessionError> {
        let message = match message {
            Ok(Some(message)) => message.message,
            Ok(None) => return Err(SessionError::Closed(Status::ok("without a word"))),
            Err(status) if status.code() == Code::PermissionDenied => {
                return Err(SessionError::Refused(status));
            }
            Err(status) => return Err(SessionError::Closed(status)),
        };
        let journal = &self.uplink.outbox.journal;
        match message {
            Some(Down::Acknowledgement(words)) => {
                let stored: Vec<_> = words.stored.into_iter().map(seq_range_from_wire).collect();
                journal.acknowledge(&stored);
                for refused in words.rejected {
                    let id = SampleId {
                        epoch: refused.epoch,
                        seq: refused.seq,
                    };
                    journal.reject(id, &refused.code);
                    warn!(
                        seq = id.seq,
                        code = refused.code,
                        reason = refused.message,
                        "the server refused a sample"
                    );
                }
            }
            Some(Down::Resend(_)) => journal.send_again(),
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
            Some(Down::Settings(settings)) => self.adopt(&settings),
            Some(Down::Welcome(_)) => debug!("the server greets in the middle of a session"),
            None => debug!("the server sent something that this version doesn't know"),
        }
        Ok(())
    }

    async fn send_live(&mut self) -> Result<(), SessionError> {
        match self.uplink.outbox.journal.take_live() {
            Some((id, sample)) if is_too_large(&sample) => {
                self.uplink.outbox.journal.reject(id, TOO_LARGE);
                Ok(())
            }
            Some((id, sample)) => {
                let batch = self.packer.pack(id, &sample);
                self.send(Up::Samples(batch)).await
            }
            None => Ok(()),
        }
    }

    async fn send_heartbeat(&mut self, next: &mut Instant, interval: Duration) -> Result<(), SessionError> {
        // A tenth earlier than asked for, so that the sample which is taken then is not a moment too soon.
        *next = Instant::now() + interval * 9 / 10;
        let heartbeat = self.heartbeat();
        self.send(Up::Heartbeat(heartbeat)).await
    }

    /// The next batch of what was not sent yet; `None` if it can't be read now.
    async fn backlog(&self) -> Option<v1::SampleBatch> {
        let outbox = self.uplink.outbox.clone();
        let packed = tokio::task::spawn_blocking(move || {
            let mut packer = BackfillPacker::default();
            outbox.journal.take_backlog(IN_FLIGHT, |id, sample| {
                if is_too_large(sample) {
                    outbox.journal.reject(id, TOO_LARGE);
                    ControlFlow::Continue(())
                } else if packer.add(id, sample) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            packer.finish()
        });
        packed.await.ok().flatten()
    }

    async fn send(&self, message: Up) -> Result<(), SessionError> {
        // A full queue is a connection that does not move; keepalive ends it.
        self.outbound
            .send(v1::AgentMessage {
                message: Some(message),
            })
            .await
            .map_err(|_| SessionError::Gone)
    }

    fn heartbeat(&mut self) -> v1::Heartbeat {
        let Standing {
            books,
            buffered,
            buffered_span,
            disk_bytes,
            memory_bytes,
            disk_error,
        } = self.uplink.outbox.journal.standing();
        let has_news = self.told_gaps.as_ref() != Some(&books.gaps);
        let gaps = if has_news {
            books.gaps.iter().map(gap_to_wire).collect()
        } else {
            Vec::new()
        };
        self.told_gaps = Some(books.gaps.clone());
        let millis = |at: UnixMillis| at.0.unsigned_abs();
        let by_reason = books.evicted.iter();
        v1::Heartbeat {
            sent_at: millis(self.uplink.clock.now()),
            sampled: books.sampled,
            acknowledged: books.acknowledged,
            buffered,
            evicted: books.lost(),
            rejected: books.rejected.values().sum(),
            local: books.local,
            journalled: books.journalled,
            sent: books.sent,
            evicted_by_reason: by_reason
                .map(|(reason, count)| (reason.name().to_owned(), *count))
                .collect(),
            rejected_by_code: books.rejected.into_iter().collect(),
            gaps,
            buffered_from: buffered_span.map(|span| millis(span.start)),
            buffered_to: buffered_span.map(|span| millis(span.end)),
            journal_disk_bytes: disk_bytes,
            journal_memory_bytes: memory_bytes,
            journal_error: disk_error.unwrap_or_default(),
            journal_damaged_segments: books.damaged_segments,
        }
    }
}

fn gap_to_wire(gap: &Gap) -> v1::Gap {
    v1::Gap {
        reason: gap.reason.name().to_owned(),
        from: gap.from.0.unsigned_abs(),
        to: gap.to.0.unsigned_abs(),
        samples: gap.samples,
    }
}

fn heartbeat_interval(settings: &v1::Settings) -> Duration {
    match settings.heartbeat_interval_ms {
        0 => DEFAULT_HEARTBEAT,
        millis => Duration::from_millis(millis.into()),
    }
}
