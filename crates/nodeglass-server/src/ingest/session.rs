//! One agent's stream, from its greeting to its end.

mod answers;
mod handle;
mod notes;
mod place;
mod samples;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use nodeglass_model::system::SystemInfo;
use nodeglass_proto::codec::encoded_len;
use nodeglass_proto::limits::{MAX_BATCH_SAMPLES, MAX_MESSAGE_BYTES};
use nodeglass_proto::packed::Unpacker;
use nodeglass_proto::pushback::push_back;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::server_message::Message as Down;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::WatchStream;
use tonic::{Status, Streaming};
use tracing::{debug, info};

pub use handle::{Answer, Origin, SessionHandle};

pub(super) use answers::{Answers, channel};

use answers::Outbound;
use handle::Word;

use super::Shared;
use crate::enrol::{Known, NotKnown};
use crate::listener::Connection;
use crate::live::LiveAgent;
use crate::sides::Speaker;

/// How long an agent may take to greet.
const GREETING: Duration = Duration::from_secs(10);
/// A session without a word for this many heartbeats is dead.
const SILENT_HEARTBEATS: u32 = 3;
/// How long, when the server stops, a session stays open for what the writer still commits.
const DRAIN: Duration = Duration::from_secs(3);
/// How often a session that was turned away looks for room.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);
/// Requests waiting for one agent; people don't ask more at once.
const REQUESTS: usize = 16;

/// The end of a session whose agent is no more what it was.
pub(crate) fn gone() -> End {
    Status::aborted("the agent was given another name, or forgotten: its next session tells")
}

/// The next whole second of this process: those who wait for about the same time wake it once.
fn rounded_up(at: Instant) -> Instant {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let passed = at.saturating_duration_since(*BEGIN);
    at + Duration::from_secs(passed.as_secs() + 1).saturating_sub(passed)
}

/// Why a session ends; the agent is told.
type End = Status;

/// What follows from something that came: a word to the agent, and then perhaps the end.
#[derive(Default)]
struct Next {
    say: Option<Down>,
    end: Option<End>,
}

impl Next {
    fn say(message: Down) -> Self {
        Self {
            say: Some(message),
            end: None,
        }
    }

    fn end(end: End) -> Self {
        Self {
            say: None,
            end: Some(end),
        }
    }
}

pub(super) struct Session {
    shared: Arc<Shared>,
    agent: Arc<LiveAgent>,
    number: u64,
    outbound: Outbound,
    origin: Arc<Origin>,
    /// The session whose place it takes, whose agent is gone.
    instead_of: Option<u64>,
    /// Who wants to know whether the agent is there, by the number that it is to say.
    probes: Vec<(u64, oneshot::Sender<()>)>,
    /// When the agent was given a certificate.
    certified: Option<Instant>,
    questions: HashMap<String, oneshot::Sender<v1::TaskResponse>>,
    /// Whether the writer turned some away, which the agent must send again.
    turned_away: bool,
    /// When to look whether there is room for them.
    look_for_room: Instant,
    /// Boxed, as it is large; `None` while it is at work.
    unpacker: Option<Box<Unpacker>>,
    /// How often the agent was asked to send while somebody looks on.
    watched: Option<Duration>,
    /// What was last asked of the agent.
    asked: u64,
    /// How often it samples where nothing is asked of it.
    own_interval: Duration,
    /// What its clock said at its last sign of life, and when that was.
    clock: Option<(u64, Instant)>,
    /// Has the agent's side of the ledger kept.
    speaker: Speaker,
    /// Until when nothing more is read, because the agent sends too fast.
    held_back: Option<Instant>,
    /// Whether the devices of the last live sample, and of the last of a backlog, were more than there may be.
    too_many_devices: [bool; 2],
    /// How often it may still say what it is in this minute, and since when that is.
    descriptions: (u8, Instant),
    /// Whether a refusal was logged; the rest is only counted, so that a broken agent can't fill the log.
    refusal_logged: bool,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        known: Known,
        number: u64,
        outbound: Outbound,
        connection: Option<Connection>,
    ) -> Self {
        Self {
            speaker: shared.sides.open(&known.agent),
            shared,
            agent: known.agent,
            number,
            outbound,
            origin: Arc::new(Origin {
                key: known.key,
                connection,
                instance: OnceLock::new(),
            }),
            instead_of: None,
            probes: Vec::new(),
            certified: None,
            questions: HashMap::new(),
            turned_away: false,
            look_for_room: Instant::now(),
            unpacker: None,
            watched: None,
            asked: 0,
            own_interval: Duration::ZERO,
            clock: None,
            held_back: None,
            too_many_devices: [false; 2],
            descriptions: (notes::DESCRIPTIONS, Instant::now()),
            refusal_logged: false,
        }
    }

    /// Runs to the session's end.
    pub(super) async fn run(mut self, mut inbound: Streaming<v1::AgentMessage>) {
        // What is done once is boxed, so that it takes no room for as long as the session lasts; there are thousands of them.
        let end = match Box::pin(self.greet(&mut inbound)).await {
            Ok(()) => self.talk(&mut inbound).await,
            Err(end) => end,
        };
        self.note_end(&end);
        self.agent.close_session(self.number);
        info!(agent = %self.agent.id, reason = end.message(), "session ended");
        self.outbound.end(end);
    }

    /// Takes the agent's greeting and answers it.
    async fn greet(&mut self, inbound: &mut Streaming<v1::AgentMessage>) -> Result<(), End> {
        let first = tokio::time::timeout(GREETING, inbound.message())
            .await
            .map_err(|_| {
                Status::deadline_exceeded("no hello came: send one within 10 s of opening the session")
            })??;
        let Some(Up::Hello(mut hello)) = first.and_then(|first| first.message) else {
            return Err(Status::invalid_argument("the first message must be a hello"));
        };
        let system = hello.system.take().map(SystemInfo::from);
        let registry = &self.shared.registry;
        registry
            .greeted(&self.agent, &hello, system.as_ref(), &self.shared.tasks)
            .await;
        if self.agent.gone().is_cancelled() {
            return Err(gone());
        }
        // One that was renamed while it was away goes by its old name once more.
        let profile = self.agent.profile();
        let is_former = profile.former.iter().any(|name| name.as_str() == hello.agent_id);
        if hello.agent_id != self.agent.id.as_str() && !is_former {
            return Err(Status::permission_denied(format!(
                "this key belongs to the agent {}, not to {:?}: enrol the host under its own name",
                self.agent.id, hello.agent_id
            )));
        }
        if let Some((instance, _)) = hello.instance.split_first_chunk() {
            let _ = self.origin.instance.set(u64::from_be_bytes(*instance));
        }
        self.take_place().await?;
        info!(agent = %self.agent.id, version = hello.agent_version, "session opened");
        if let Some(system) = system {
            self.keep_system_info(system);
        }
        self.own_interval = Duration::from_millis(hello.collection_interval_ms.into());
        let settings = self.settings();
        let welcome = v1::Welcome {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            server_time: self.shared.clock.now().0.unsigned_abs(),
            settings: Some(settings),
            agent_id: self.agent.id.to_string(),
            privacy_key: if hello.wants_privacy_key {
                self.shared.privacy_key.expose().to_owned()
            } else {
                String::new()
            },
        };
        self.send(Down::Welcome(welcome)).await
    }

    /// What is asked of the agent now.
    fn settings(&mut self) -> v1::Settings {
        let settings = &self.shared.settings;
        let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        let wanted = self.shared.registry.wanted(&self.agent);
        let mut asked = wanted.to_wire();
        if wanted.is_by_server("collection_interval_seconds") {
            // As exactly as the configuration says it.
            asked.collection_interval_ms = settings.collection_interval.map(millis);
        }
        self.asked = asked.revision;
        let interval = asked.collection_interval_ms;
        let sent = interval.map_or(self.own_interval, |millis| Duration::from_millis(millis.into()));
        self.agent
            .set_intervals(sent, sent.max(settings.persist_interval));
        self.watched = self.watch_interval();
        if let Some(connection) = &self.origin.connection {
            connection.set_looked_at(self.watched.is_some());
        }
        v1::Settings {
            heartbeat_interval_ms: millis(settings.heartbeat_interval),
            max_message_bytes: MAX_MESSAGE_BYTES as u32,
            collection_interval_ms: interval,
            persist_interval_ms: millis(settings.persist_interval),
            watch_interval_ms: self.watched.map(millis),
            agent: Some(asked),
        }
    }

    /// The shortest interval that somebody asks for who looks on, if it is shorter than the agent's own.
    fn watch_interval(&self) -> Option<Duration> {
        let own = self.agent.collection_interval().unwrap_or(Duration::MAX);
        let onlookers = self.agent.onlookers();
        let shortest = onlookers.borrow().keys().next().copied();
        shortest.filter(|interval| *interval < own)
    }

    /// Everything after the greeting.
    async fn talk(&mut self, inbound: &mut Streaming<v1::AgentMessage>) -> End {
        let (words, mut said) = mpsc::unbounded_channel();
        let (requests, mut questions) = mpsc::channel(REQUESTS);
        let handle = SessionHandle {
            number: self.number,
            origin: self.origin.clone(),
            settled: self.outbound.settled.clone(),
            words,
            requests,
        };
        if !self.agent.open_session(handle, self.instead_of) {
            let later = self.shared.admission.later();
            return push_back(
                Status::aborted("two sessions of this agent were opened at once"),
                later,
            );
        }
        // Behind it: whoever revokes a key looks for its session after that.
        if !self.shared.registrar.still_knows(&self.origin.key) {
            return NotKnown::Revoked.into();
        }

        let stop = self.shared.tasks.shutdown_token();
        let silence = self.shared.settings.heartbeat_interval * SILENT_HEARTBEATS;
        let mut heard = Instant::now();
        // What is waited for from the beginning to the end is waited for once: to begin anew with each message costs more
        // than the message.
        let mut stopping = pin!(stop.cancelled());
        let mut quiet = pin!(tokio::time::sleep_until(rounded_up(heard + silence)));
        // Begins with those who look on now: somebody may have come since the welcome.
        let mut onlookers = WatchStream::new(self.agent.onlookers());
        loop {
            let next = tokio::select! {
                // Silence last: what has come while the session was busy is no silence.
                biased;
                () = &mut stopping => {
                    // A moment for what the writer still commits, so that a restart has little to send again.
                    let _ = tokio::time::timeout(DRAIN, self.outbound.settled.all()).await;
                    // All are sent away at once; they are not to be back at once.
                    Next::end(push_back(Status::unavailable("the server is stopping"), self.shared.admission.later()))
                }
                Some(word) = said.recv() => self.heed(word),
                Some(question) = questions.recv() => self.ask(*question),
                Some(_) = onlookers.next() => {
                    let (watched, asked) = (self.watched, self.asked);
                    let settings = self.settings();
                    if self.watched == watched && self.asked == asked {
                        Next::default()
                    } else {
                        Next::say(Down::Settings(settings))
                    }
                }
                () = tokio::time::sleep_until(self.look_for_room), if self.turned_away => self.ask_again(),
                () = tokio::time::sleep_until(self.held_back.unwrap_or_else(Instant::now)), if self.held_back.is_some() => {
                    self.held_back = None;
                    heard = Instant::now();
                    Next::default()
                }
                message = inbound.message(), if self.held_back.is_none() => {
                    heard = Instant::now();
                    match message {
                        Ok(Some(message)) => {
                            self.hold_back(&message);
                            self.take(message)
                        }
                        Ok(None) => Next::end(Status::ok("the agent closed it")),
                        Err(status) => Next::end(status),
                    }
                }
                () = &mut quiet => {
                    if heard.elapsed() < silence {
                        quiet.as_mut().reset(rounded_up(heard + silence));
                        continue;
                    }
                    // Nobody is there who would take an answer.
                    if let Some(connection) = &self.origin.connection {
                        connection.cut_if_alone();
                    }
                    Next::end(Status::deadline_exceeded(format!("no word from the agent for {} s", silence.as_secs())))
                }
            };
            if let Some(message) = next.say
                && let Err(gone) = self.send(message).await
            {
                return gone;
            }
            if let Some(end) = next.end {
                return end;
            }
        }
    }

    fn send(&self, message: Down) -> impl Future<Output = Result<(), End>> {
        self.outbound.send(message, &self.shared.tasks)
    }

    /// Reads nothing more until it is this agent's turn, if it sends too fast.
    fn hold_back(&mut self, message: &v1::AgentMessage) {
        let (mut samples, mut bytes) = (0, encoded_len(message));
        if let Some(Up::Samples(batch)) = &message.message {
            samples = batch.samples.len();
            if let Some(packed) = &batch.packed {
                let runs = packed.ids.iter();
                let counts = runs.map(|run| run.last.saturating_sub(run.first).saturating_add(1));
                let count = counts.fold(0, u64::saturating_add);
                samples += usize::try_from(count)
                    .unwrap_or(usize::MAX)
                    .min(MAX_BATCH_SAMPLES);
                bytes = bytes.saturating_add(packed.unpacked_bytes as usize);
            }
        }
        self.held_back = self.agent.quota().message(samples, bytes);
        if self.held_back.is_some() {
            self.shared.books.held_back.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&mut self, message: v1::AgentMessage) -> Next {
        match message.message {
            Some(Up::Samples(batch)) => self.take_samples(batch),
            Some(Up::Heartbeat(heartbeat)) => {
                debug!(agent = %self.agent.id, ?heartbeat, "heartbeat");
                let has_news = !heartbeat.gaps.is_empty();
                if has_news {
                    self.shared.registry.note_gaps(&self.agent, &heartbeat.gaps);
                }
                self.watch_clock(heartbeat.sent_at);
                self.agent.change_side(|side| side.update(heartbeat));
                self.speaker.said(has_news);
                Next::default()
            }
            Some(Up::TaskResponse(response)) => {
                if let Some(answer) = self.questions.remove(&response.task_id) {
                    // Nobody waits any more if the caller has given up.
                    let _ = answer.send(*response);
                }
                Next::default()
            }
            Some(Up::System(system)) => {
                self.keep_system_info(SystemInfo::from(*system));
                Next::default()
            }
            Some(Up::ProbeAnswer(answer)) => {
                self.answer_probe(answer.nonce);
                Next::default()
            }
            Some(Up::CertificateRequest(_)) => self.certify(),
            Some(Up::Settings(report)) => {
                self.shared
                    .registry
                    .take_report(&self.agent, report, &self.shared.tasks);
                Next::default()
            }
            Some(Up::Hello(_)) => {
                Next::end(Status::invalid_argument("a session has one hello, at its start"))
            }
            None => Next::end(Status::invalid_argument(
                "a message of a kind that this server doesn't know",
            )),
        }
    }

    /// Heeds a word from the rest of the server.
    fn heed(&mut self, word: Word) -> Next {
        match word {
            Word::TurnedAway => self.turned_away = true,
            Word::End(why) => return Next::end(*why),
            Word::Probe(asker) => self.probe(asker),
        }
        Next::default()
    }

    fn ask(&mut self, question: Answer) -> Next {
        let Answer { request, answer } = question;
        // Those whose callers have given up.
        self.questions.retain(|_, answer| !answer.is_closed());
        self.questions.insert(request.task_id.clone(), answer);
        Next::say(Down::TaskRequest(request))
    }

    /// Asks for what was turned away, once there is room again.
    fn ask_again(&mut self) -> Next {
        self.look_for_room = Instant::now() + LOOK_FOR_ROOM;
        if !self.shared.queue.is_roomy() {
            return Next::default();
        }
        self.turned_away = false;
        Next::say(Down::Resend(v1::Resend {}))
    }
}
