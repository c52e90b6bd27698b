//! What callers may ask, apart from how they ask: REST and gRPC both answer from here.

mod bounds;
mod control;
mod export;
mod grouped;
mod hours;
mod kept_hours;
mod many;
mod newcomers;
mod past;
mod pieces;
mod plan;
mod staged;
#[cfg(test)]
mod tests;
mod tiers;

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nodeglass_model::system::{SystemInfo, SystemParts};
use nodeglass_model::{Clock, TaskId, UnixMillis};
use nodeglass_proto::v1;
use nodeglass_proto::v1::metrics_request::RequestType;
use nodeglass_proto::v1::metrics_response::ResponseType;
use nodeglass_proto::v1::task_request::Task;
use nodeglass_proto::v1::task_response::Response;
use nodeglass_store::{AgentKey, Store, StoreError};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::Caller;
use crate::error::ApiError;
use crate::ingest::Answer;
use crate::ledger::AgentSide;
use crate::listener::Connection;
use crate::live::{Live, LiveAgent, LiveSample};
use crate::registry::Registry;
use crate::retention::Kept;
use crate::stream::{Place, Places};

/// How long an agent may take to answer.
const AGENT_ANSWER: Duration = Duration::from_secs(15);

/// Histories that are read at once; others wait. Each may take some hundred megabytes, and mostly takes a hundredth.
const READERS: usize = 8;

/// Agents whose sides are kept as the store has them: some hundred bytes each.
const SIDES: usize = 1_024;

/// Exports at once; each holds a page of samples while its reader takes them.
const EXPORTS: usize = 8;

pub use bounds::{FIRST, TASKS, inside, task_state, unseen_since, within};
pub use export::ExportQuery;
pub use grouped::Grouped;
use kept_hours::KeptHours;
pub use many::{MAX_AGENTS, Order, Reading, first};
use newcomers::Newcomers;
use pieces::Pieces;

pub use past::{HistoryAnswer, Resolution, Source, StoredHistory};

/// Shards of a cache, whatever number of processors there is: an entry is kept only if it fits into one.
const SHARDS: usize = 8;

/// A cache for about so many entries that holds no more than it may weigh.
fn bounded<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone>(
    entries: usize,
    weight: u64,
    weighter: W,
) -> Cache<K, V, W> {
    let mut options = OptionsBuilder::new();
    let options = options
        .shards(SHARDS)
        .estimated_items_capacity(entries)
        .weight_capacity(weight);
    let options = options.build().unwrap_or_else(|error| {
        unreachable!("both capacities are given: {error}");
    });
    Cache::with_options(
        options,
        weighter,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

/// Answers questions from the live store, the database and the agents.
#[derive(Debug)]
pub struct Queries {
    live: Arc<Live>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    streams: Places,
    limits: QueryLimits,
    kept: Arc<Kept>,
    tasks: AtomicU64,
    registry: Arc<Registry>,
    newcomers: Newcomers,
    /// Parts of chunks, for those who ask again.
    pieces: Pieces,
    /// Hourly figures, for those who ask again.
    kept_hours: KeptHours,
    /// Hourly figures that are read at once.
    figures: usize,
    /// What agents that have not spoken since the server started said before of their side of the ledger, and when it was read.
    sides: Cache<AgentKey, (Instant, Option<Arc<AgentSide>>)>,
    /// Room for those who read history.
    reading: Semaphore,
    /// Room for those who export.
    exporting: Arc<Semaphore>,
}

/// What the configuration allows callers.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Points in one answer.
    pub max_points: u32,
    /// Streams open at once, SSE and gRPC together.
    pub max_streams: usize,
    /// Whether there are streams at all.
    pub streams: bool,
}

impl Queries {
    /// Sets them up.
    pub fn new(
        live: Arc<Live>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        limits: QueryLimits,
        kept: Arc<Kept>,
        registry: Arc<Registry>,
    ) -> Self {
        let streams = Places::new(limits.max_streams);
        let tasks = AtomicU64::new(1);
        let newcomers = Newcomers::new(live.clone(), store.clone(), registry.clone());
        Self {
            live,
            store,
            clock,
            streams,
            limits,
            kept,
            tasks,
            registry,
            newcomers,
            pieces: Pieces::new(),
            kept_hours: KeptHours::new(),
            figures: hours::FIGURES,
            sides: Cache::new(SIDES),
            reading: Semaphore::new(READERS),
            exporting: Arc::new(Semaphore::new(EXPORTS)),
        }
    }

    /// The wall time.
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// What says so.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The most points in one answer.
    pub fn max_points(&self) -> u32 {
        self.limits.max_points
    }

    /// All agents, whoever may see them. Those enrolled in the last moments may be missing while the database is slow or away.
    pub async fn agents(&self) -> &Arc<Live> {
        self.newcomers.look_soon().await;
        &self.live
    }

    /// The live store.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// What people do with agents.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Looks for agents that were enrolled by another program, whenever one is missed, until `stop`.
    pub async fn look_for_newcomers(self: Arc<Self>, stop: CancellationToken) {
        self.newcomers.run(stop).await;
    }

    /// All agents that a caller may see, by name.
    pub async fn agents_of(&self, caller: &Caller) -> Vec<Arc<LiveAgent>> {
        let mut agents = self.agents().await.all();
        agents.retain(|agent| caller.may_see(agent));
        agents
    }

    /// The agent of that name, or that had it before and has another now, if the caller may see it. One that it may not see takes the same way as one that is not
    /// there, and as long.
    ///
    /// # Errors
    /// [`ApiError::UnknownAgent`], or a database that can't tell whether it was enrolled meanwhile.
    pub async fn agent(&self, caller: &Caller, id: &str) -> Result<Arc<LiveAgent>, ApiError> {
        let known = || self.live.find(id).or_else(|| self.live.renamed(id));
        let find = || known().filter(|agent| caller.may_see(agent));
        if let Some(agent) = find() {
            return Ok(agent);
        }
        let answered = self.newcomers.look_now().await;
        match find() {
            Some(agent) => Ok(agent),
            None if !answered => Err(ApiError::Database(StoreError::Timeout {
                operation: "list the agents",
            })),
            None => Err({
                if self.live.find(id).is_some() {
                    caller.note_foreign();
                }
                ApiError::UnknownAgent {
                    agent: id.chars().take(80).collect(),
                    nearest: self.live.nearest(id, |agent| caller.may_see(agent)),
                }
            }),
        }
    }

    /// What a host is: what its agent last said or, if packages are asked for, what it says now.
    ///
    /// # Errors
    /// An unknown agent, one that was never connected, or one that is away when it has to be asked.
    pub async fn system(
        &self,
        caller: &Caller,
        id: &str,
        parts: SystemParts,
    ) -> Result<SystemInfo, ApiError> {
        let agent = self.agent(caller, id).await?;
        if !parts.packages {
            let known = agent
                .system()
                .ok_or_else(|| ApiError::NoSystemInfo(agent.id.to_string()))?;
            let mut info = SystemInfo::clone(&known);
            info.hardware = info.hardware.filter(|_| parts.hardware);
            info.software = info.software.filter(|_| parts.software);
            info.network_interfaces = info.network_interfaces.filter(|_| parts.network);
            return Ok(info);
        }
        self.system_now(caller, id, parts).await
    }

    /// What a host is now, as its agent says when it is asked: these parts and no others.
    ///
    /// # Errors
    /// An unknown agent, or one that is away or silent.
    pub async fn system_now(
        &self,
        caller: &Caller,
        id: &str,
        parts: SystemParts,
    ) -> Result<SystemInfo, ApiError> {
        let agent = self.agent(caller, id).await?;
        match self
            .ask_for(&agent, RequestType::SystemInfo(parts.into()))
            .await?
        {
            ResponseType::SystemInfo(info) => Ok(info.into()),
            _ => Err(ApiError::Internal("an agent answered another question".into())),
        }
    }

    /// The latest sample.
    ///
    /// # Errors
    /// An unknown agent, or one that has not sent any.
    pub async fn metrics(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(Arc<LiveAgent>, Arc<LiveSample>), ApiError> {
        let agent = self.agent(caller, id).await?;
        let sample = agent
            .latest()
            .sample
            .ok_or_else(|| ApiError::NoMetrics(agent.id.to_string()))?;
        Ok((agent, sample))
    }

    /// Takes one of the streams, for a reader on that connection; it is free again once the place is dropped.
    ///
    /// # Errors
    /// Streams are switched off, or all taken.
    pub fn open_stream(&self, connection: Option<Connection>) -> Result<Place, ApiError> {
        if !self.limits.streams {
            return Err(ApiError::StreamsOff);
        }
        let place = self.streams.take(connection);
        place.ok_or_else(|| ApiError::TooManyStreams(self.streams.most()))
    }

    /// The places of the streams, whose readers are to be watched.
    pub fn streams(&self) -> &Places {
        &self.streams
    }

    /// Asks an agent for something and takes its answer apart.
    async fn ask_for(&self, agent: &LiveAgent, request: RequestType) -> Result<ResponseType, ApiError> {
        let task = Task::MetricsRequest(v1::MetricsRequest {
            request_type: Some(request),
        });
        let question = v1::TaskRequest {
            task: Some(task),
            ..Default::default()
        };
        let answer = self.ask(agent, question).await?;
        match answer.response {
            Some(Response::MetricsResponse(v1::MetricsResponse {
                response_type: Some(response),
            })) => Ok(response),
            _ => Err(ApiError::Internal(
                format!("{} answered something else: {}", agent.id, answer.error).into(),
            )),
        }
    }

    /// Hands a request to an agent and waits for its answer.
    ///
    /// # Errors
    /// An agent that is away or silent.
    pub async fn ask(
        &self,
        agent: &LiveAgent,
        mut request: v1::TaskRequest,
    ) -> Result<v1::TaskResponse, ApiError> {
        let asked_as = request.task_id.clone();
        let wrong_id = |error: nodeglass_model::IdError| ApiError::Parameter {
            name: "task_id",
            problem: error.to_string(),
        };
        if !asked_as.is_empty() {
            asked_as.parse::<TaskId>().map_err(wrong_id)?;
        }
        // A number of our own, so that two callers may use the same id.
        request.task_id = self.tasks.fetch_add(1, Ordering::Relaxed).to_string();
        request.agent_id = agent.id.to_string();
        let number = request.task_id.clone();
        let away = || ApiError::AgentAway(agent.id.to_string());
        let session = agent.session().ok_or_else(away)?;
        let (answer, answered) = oneshot::channel();
        if !session.ask(Answer { request, answer }).await {
            return Err(away());
        }
        let mut response = tokio::time::timeout(AGENT_ANSWER, answered)
            .await
            .map_err(|_| ApiError::AgentSilent(agent.id.to_string()))?
            .map_err(|_| away())?;
        response.task_id = if asked_as.is_empty() { number } else { asked_as };
        Ok(response)
    }
}
