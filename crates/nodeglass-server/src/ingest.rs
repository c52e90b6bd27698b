//! Taking samples from agents: who may, what is acceptable, where it goes.
//!
//! [`Ingest`] is the gRPC service; [`session`] is one agent's stream. An acceptable sample goes to the live store and to
//! the writer's queue; it is acknowledged only when the writer has committed it.

mod admission;
mod persist;
mod quota;
mod session;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nodeglass_model::catalogue::{self, Dimension};
use nodeglass_model::{Clock, Sample, SampleId, UnixMillis};
use nodeglass_proto::packed::Unpacked;
use nodeglass_proto::pushback::push_back;
use nodeglass_proto::v1::agent_service_server::AgentService;
use nodeglass_proto::{InvalidSample, v1};
use nodeglass_runtime::config::Secret;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_store::Store;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::access::Caller;
use crate::audit::Audit;
use crate::enrol::Registrar;
use crate::listener::Connection;
use crate::live::{Live, LiveAgent};
use crate::registry::Registry;
use crate::retention::Kept;
use crate::sides::Sides;
use crate::writer::{Entry, WriterQueue};

use admission::Admission;
pub use persist::PersistWindows;
pub(crate) use quota::Quota;
pub(crate) use session::gone;
pub use session::{Answer, Origin, SessionHandle};

/// How far ahead of the server's clock a sample may be. Hosts that keep time at all are within seconds; what lies
/// further ahead would hide real samples from the live view.
pub(crate) const MAX_AHEAD: Duration = Duration::from_mins(5);
/// How much older than all that is kept a sample may be: one that is taken and removed at once does no harm, and a clock that
/// was never set would spread samples over decades.
const MAX_BEHIND: Duration = Duration::from_hours(24);
/// How often samples are looked for whose persist interval ended without another sample to say so.
const SWEEP: Duration = Duration::from_secs(5);

/// What agents call, as the audit log has it.
const SESSION: &str = "/nodeglass.v1.AgentService/Session";
const ENROL: &str = "/nodeglass.v1.AgentService/Enrol";

/// What the server asks of its agents, and how it stores what they send.
#[derive(Debug, Clone)]
pub struct IngestSettings {
    /// How often an agent gives a sign of life.
    pub heartbeat_interval: Duration,
    /// What the server stores of each agent: one sample in this time, the mean of those that came. Zero: all.
    pub persist_interval: Duration,
    /// How often agents send; `None` leaves it to their own configuration.
    pub collection_interval: Option<Duration>,
}

/// What the service works with.
pub struct Parts {
    /// Who agents are.
    pub registrar: Arc<Registrar>,
    /// Where samples are shown.
    pub live: Arc<Live>,
    /// What is asked of agents.
    pub registry: Arc<Registry>,
    /// What is known of agents.
    pub store: Arc<dyn Store>,
    /// Where samples are stored.
    pub queue: WriterQueue,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// In which sessions run.
    pub tasks: TaskGroup,
    /// How long what comes is kept: what is older by far is not taken.
    pub kept: Arc<Kept>,
    /// Where it is noted who became an agent, and who was turned away.
    pub audit: Arc<Audit>,
    /// What agents hash under that are told to; all of a server's the same.
    pub privacy_key: Secret,
}

/// What came in so far, of all agents.
#[derive(Debug, Default)]
pub struct IngestBooks {
    /// Samples received, repeated ones included.
    pub received: AtomicU64,
    /// Samples refused for good.
    pub rejected: AtomicU64,
    /// Messages after which an agent was not read for a while, because it sends too fast.
    pub held_back: AtomicU64,
    /// Sessions refused because an agent opens them without end.
    pub sessions_refused: AtomicU64,
    /// Descriptions of hosts refused: too large, or too often.
    pub descriptions_refused: AtomicU64,
}

/// The service that agents talk to.
#[derive(Clone)]
pub struct Ingest {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    settings: IngestSettings,
    books: IngestBooks,
    sessions: AtomicU64,
    admission: Admission,
    sides: Arc<Sides>,
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Ingest {
    /// Sets the service up.
    pub fn new(parts: Parts, settings: IngestSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                parts,
                settings,
                books: IngestBooks::default(),
                sessions: AtomicU64::new(0),
                admission: Admission::new(),
                sides: Arc::default(),
            }),
        }
    }

    /// What came in so far.
    pub fn books(&self) -> &IngestBooks {
        &self.shared.books
    }

    /// Where it is noted what agents say of their sides of the ledger.
    pub(crate) fn sides(&self) -> &Arc<Sides> {
        &self.shared.sides
    }

    /// Sessions that were opened so far.
    pub fn sessions_opened(&self) -> u64 {
        self.shared.sessions.load(Ordering::Relaxed)
    }

    /// Hands on the samples of persist intervals that are over, until `stop`, and then all that are left. Cancels `last`
    /// when it has nothing more to hand on.
    pub async fn sweep(self, stop: CancellationToken, last: CancellationToken) {
        let persist = self.shared.settings.persist_interval;
        while !persist.is_zero() && !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => self.close_windows(|windows, now| windows.close_overdue(now, persist)),
                () = stop.cancelled() => {}
            }
        }
        stop.cancelled().await;
        self.close_windows(|windows, _| windows.close_all());
        last.cancel();
    }

    fn close_windows(&self, close: impl Fn(&mut PersistWindows, UnixMillis) -> Vec<persist::Closed>) {
        for agent in self.shared.live.all() {
            let mut windows = agent.windows.lock().unwrap_or_else(PoisonError::into_inner);
            let closed = close(&mut windows, self.shared.clock.now());
            drop(windows);
            for closed in closed {
                if !self.shared.queue.offer(closed.into_entry(agent.clone()))
                    && let Some(session) = agent.session()
                {
                    session.turn_away();
                }
            }
        }
    }
}

impl Ingest {
    /// Hands a sample on that was pushed; it is stored when the answer says so. Whatever interval agents' samples are stored at,
    /// each push is stored: whoever pushes chose how often. The live view shows it if it is the newest and `is_news`.
    ///
    /// # Errors
    /// It can't be stored, ever or now.
    pub(crate) fn take_pushed(
        &self,
        agent: &Arc<LiveAgent>,
        id: SampleId,
        mut sample: Sample,
        is_news: bool,
    ) -> Result<oneshot::Receiver<()>, NotTaken> {
        let shared = &self.shared;
        shared.books.received.fetch_add(1, Ordering::Relaxed);
        let checked = nodeglass_proto::check_sample(&mut sample).map(|()| Arrived::Whole(Box::new(sample)));
        let checked = shared.check(agent, id, checked).and_then(|mut arrived| {
            let described = arrived.described();
            if agent.quota().has_room(described, arrived.sample()) {
                Ok(arrived)
            } else {
                Err(Refusal::too_many_devices())
            }
        });
        let mut arrived = match checked {
            Ok(arrived) => arrived,
            Err(Refusal { code, message }) => {
                shared.books.rejected.fetch_add(1, Ordering::Relaxed);
                agent.count_rejection(code);
                return Err(NotTaken::Refused { code, message });
            }
        };
        let (told, stored) = oneshot::channel();
        let entry = Entry::new(agent.clone(), arrived.sample(), id, vec![id]).telling(told);
        if !shared.queue.offer(entry) {
            return Err(NotTaken::NoRoom);
        }
        let latest = agent.latest().update;
        if is_news && latest.is_none_or(|latest| latest <= arrived.timestamp()) {
            arrived.show(agent, id);
        }
        Ok(stored)
    }
}

/// Why a pushed sample is not on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It never will be.
    Refused {
        /// The code for it.
        code: &'static str,
        /// Why.
        message: String,
    },
    /// There is no room for it now.
    NoRoom,
}

/// A sample that will never be stored, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    fn too_many_devices() -> Self {
        let message =
            "more devices than a host has in a day: leave out those that come and go (devices, containers)";
        Self {
            code: "too_many_devices",
            message: message.to_owned(),
        }
    }
}

/// An acceptable sample, in the form that it came in: most are stored and not looked at.
enum Arrived<'a> {
    /// Boxed, as it is large and most come packed.
    Whole(Box<Sample>),
    Packed(Unpacked<'a>),
}

impl Arrived<'_> {
    fn timestamp(&self) -> UnixMillis {
        match self {
            Self::Whole(sample) => sample.timestamp,
            Self::Packed(packed) => packed.timestamp(),
        }
    }

    fn sample(&mut self) -> &Sample {
        match self {
            Self::Whole(sample) => sample,
            Self::Packed(packed) => packed.sample(),
        }
    }

    /// How many of its devices are described in it, processes left aside.
    fn described(&mut self) -> usize {
        match self {
            Self::Whole(sample) => catalogue::devices(sample)
                .filter(|device| device.dimension != Dimension::Process)
                .count(),
            Self::Packed(packed) => packed.described(),
        }
    }

    /// Shows it as the agent's latest.
    fn show(self, agent: &LiveAgent, id: SampleId) {
        match self {
            Self::Whole(sample) => agent.show(id, *sample),
            Self::Packed(packed) => match packed.written_row() {
                Some(row) if !agent.is_looked_at() => agent.show_row(id, packed.timestamp(), row),
                _ => agent.show_made(id, packed.layout(), |before| match before {
                    Some(before) => packed.into_sample_from(before),
                    None => packed.into_sample(),
                }),
            },
        }
    }
}

/// Where somebody calls from.
fn address<T>(request: &Request<T>) -> Option<IpAddr> {
    request.extensions().get::<Connection>()?.ip()
}

impl Shared {
    /// Notes that somebody was denied what agents may do, if that is why it failed.
    fn denied(&self, caller: &Caller, action: &str, status: &Status) {
        let reason = match status.code() {
            Code::Unauthenticated => "unauthenticated",
            Code::PermissionDenied => "permission_denied",
            _ => return,
        };
        self.audit.denied(caller, action, "", reason);
    }

    /// Checks one sample from the wire, which its conversion let through or not.
    fn check<'a>(
        &self,
        agent: &LiveAgent,
        id: SampleId,
        sample: Result<Arrived<'a>, InvalidSample>,
    ) -> Result<Arrived<'a>, Refusal> {
        let refuse = |code, message: String| Err(Refusal { code, message });
        if id.seq == 0 || i64::try_from(id.seq).is_err() || i64::try_from(id.epoch).is_err() {
            return refuse(
                "invalid_sample",
                format!("epoch {} and seq {} must be 1 to 2^63 - 1", id.epoch, id.seq),
            );
        }
        let sample = match sample {
            Ok(sample) => sample,
            Err(error) => {
                let code = match error {
                    InvalidSample::Value(_) => "invalid_value",
                    InvalidSample::TooManyDevices(_) | InvalidSample::LabelTooLong(_) => "too_large",
                    InvalidSample::NoTimestamp => "invalid_sample",
                };
                return refuse(code, error.to_string());
            }
        };
        let now = self.clock.now();
        let timestamp = sample.timestamp();
        if timestamp > now.plus(MAX_AHEAD) {
            let message = format!(
                "the sample is from {timestamp}, {} s ahead of the server's clock, at most {} s are taken: set the host's clock",
                timestamp.since(now).as_secs(),
                MAX_AHEAD.as_secs()
            );
            return refuse("future_timestamp", message);
        }
        let since = self.kept.since(agent.key, now);
        let oldest = since.samples.min(since.hours).minus(MAX_BEHIND);
        if timestamp < oldest {
            let message = format!(
                "the sample is from {timestamp}, nothing from before {oldest} is kept: set the host's clock"
            );
            return refuse("too_old", message);
        }
        Ok(sample)
    }

    /// Hands a checked sample to the writer; `false` if there was no room, and the agent has to send it again.
    fn keep(&self, agent: &Arc<LiveAgent>, id: SampleId, sample: &mut Arrived<'_>, backfill: bool) -> bool {
        if self.settings.persist_interval.is_zero() {
            let entry = match sample {
                Arrived::Packed(packed) if !packed.has_tasks() => {
                    Entry::of_row(agent.clone(), packed.timestamp(), packed.row(), id)
                }
                sample => Entry::new(agent.clone(), sample.sample(), id, vec![id]),
            };
            return self.queue.offer(entry.replayed(backfill));
        }
        let closed = {
            let mut windows = agent.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.add(
                id,
                sample.sample().clone(),
                self.settings.persist_interval,
                backfill,
            )
        };
        // Each is offered, whatever became of the one before.
        let offered = closed
            .into_iter()
            .map(|closed| self.queue.offer(closed.into_entry(agent.clone())));
        offered.filter(|taken| !taken).count() == 0
    }
}

#[tonic::async_trait]
impl AgentService for Ingest {
    type SessionStream = session::Answers;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        if let Err(delay) = self.shared.admission.admit() {
            let status = Status::unavailable("many agents connect at once: come back a little later");
            return Err(push_back(status, delay));
        }
        let address = address(&request);
        let (metadata, extensions, inbound) = request.into_parts();
        let connection = extensions.get::<Connection>().cloned();
        let headers = metadata.into_headers();
        let identified = self.shared.registrar.identify(connection.as_ref(), &headers);
        let known = identified.await.map_err(|not_known| {
            let status = Status::from(not_known);
            self.shared
                .denied(&Caller::nobody(address, None), SESSION, &status);
            status
        })?;
        let too_soon = known.agent.quota().begin();
        if let Err(delay) = too_soon {
            self.shared.books.sessions_refused.fetch_add(1, Ordering::Relaxed);
            let status =
                Status::resource_exhausted("this agent opens sessions without end: come back a little later");
            return Err(push_back(status, delay));
        }
        if let Some(connection) = &connection {
            connection.vouch();
            connection.belongs_to_agent();
        }
        let (outbound, answers) = session::channel();
        let number = self.shared.sessions.fetch_add(1, Ordering::Relaxed);
        let session = session::Session::new(self.shared.clone(), known, number, outbound, connection);
        self.shared.tasks.spawn_transient("session", session.run(inbound));
        Ok(Response::new(answers))
    }

    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        if let Err(delay) = self.shared.admission.admit() {
            let status = Status::unavailable("many hosts come at once: come back a little later");
            return Err(push_back(status, delay));
        }
        let address = address(&request);
        let enrolled = self.shared.registrar.enrol(request.into_inner()).await;
        let enrolled = enrolled.inspect_err(|status| {
            self.shared.denied(&Caller::nobody(address, None), ENROL, status);
        })?;
        let agent = &enrolled.agent_id;
        self.shared
            .audit
            .note(&Caller::agent(agent, address), "agent.enrol", agent, "");
        Ok(Response::new(enrolled))
    }
}
