//! What was: history, processes and tasks of any time, and what became of every sample.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::history::{History, HistoryQuery, Prefer};
use nodeglass_model::{Sample, TimeRange, UnixMillis};
use nodeglass_proto::v1::metrics_request::RequestType;
use nodeglass_proto::v1::metrics_response::ResponseType;
use nodeglass_store::TaskRecord;
use tokio::time::Instant;
use tracing::debug;

use super::Queries;
use super::plan::{Plan, plan};
use crate::access::Caller;
use crate::error::ApiError;
use crate::ledger::{AgentSide, Gap, Statement};
use crate::live::LiveAgent;
use crate::retention::Since;

/// How old what the store has of an agent's side may be: a page asks for many charts of a host at once.
const SIDE_AGE: Duration = Duration::from_secs(1);
/// Samples read from the store at a time; one page is a few milliseconds of work.
const PAGE: u32 = 2_000;
/// How far before a moment its processes are looked for: the longest interval that most agents have, and some.
const LOOK_BACK: Duration = Duration::from_mins(2);

/// History, and what is missing in it.
#[derive(Debug)]
pub struct HistoryAnswer {
    /// The query that it answers: its buckets may be wider than what was asked needs.
    pub query: HistoryQuery,
    /// The buckets.
    pub history: History,
    /// Spans of the range without samples, and why.
    pub gaps: Vec<Gap>,
    /// Where the buckets are from.
    pub source: Source,
    /// What they are made of.
    pub resolution: Resolution,
}

/// What the store has of one agent.
#[derive(Debug)]
pub struct StoredHistory {
    /// The buckets.
    pub history: History,
    /// The query that they answer.
    pub query: HistoryQuery,
    /// What they are made of.
    pub resolution: Resolution,
}

/// What buckets are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Samples.
    Raw,
    /// The figures of whole hours, and the samples that are not among them yet.
    Hour,
}

impl Resolution {
    /// The word for it in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Hour => "hour",
        }
    }
}

/// Where history is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The store.
    Store,
    /// The agent's journal.
    Agent,
    /// The store, with the agent's journal over it.
    StoreAndAgent,
}

impl Source {
    /// The word for it in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Agent => "agent",
            Self::StoreAndAgent => "store+agent",
        }
    }
}

impl Queries {
    /// Spans without samples of an agent, and why, as far as they reach into a range.
    ///
    /// # Errors
    /// A database that does not answer.
    pub async fn gaps(&self, agent: &LiveAgent, range: TimeRange) -> Result<Vec<Gap>, ApiError> {
        let side = self.side(agent).await?;
        Ok(self.gaps_with(agent, side, range, self.since(agent).samples))
    }

    fn gaps_with(
        &self,
        agent: &LiveAgent,
        side: Option<AgentSide>,
        range: TimeRange,
        since: UnixMillis,
    ) -> Vec<Gap> {
        let away_since = agent.latest().update.filter(|_| !agent.is_connected());
        let side = side.unwrap_or_default();
        let mut gaps = side.gaps_in(range, away_since, self.now());
        if range.start < since {
            gaps.insert(0, Gap::expired(range, since));
        }
        gaps
    }

    /// History from the store, with what only the agent knows: finer detail than it sends, and what it could not send yet.
    ///
    /// # Errors
    /// An unknown agent, a query that needs what is not kept any more, or a database that does not answer.
    pub async fn history(
        &self,
        caller: &Caller,
        id: &str,
        query: HistoryQuery,
    ) -> Result<HistoryAnswer, ApiError> {
        let agent = self.agent(caller, id).await?;
        let side = self.side(&agent).await?;
        let StoredHistory {
            mut history,
            query,
            resolution,
        } = self.stored_history(&agent, query).await?;
        let is_finer = query.is_exact
            && agent
                .stored_interval()
                .is_some_and(|interval| query.interval < interval);
        let mut source = Source::Store;
        if agent.is_connected() && (is_finer || side.as_ref().is_some_and(|side| side.waits_in(query.range)))
        {
            match self.local_history(&agent, &query).await {
                Ok(local) if local.is_empty() => {}
                Ok(local) => {
                    source = if history.is_empty() {
                        Source::Agent
                    } else {
                        Source::StoreAndAgent
                    };
                    let prefer = if is_finer { Prefer::Other } else { Prefer::Own };
                    history.overlay(&local, prefer, query.max_points);
                }
                // What the store has is an answer, too.
                Err(error) => debug!(agent = %agent.id, %error, "the agent's own history is left out"),
            }
        }
        let since = self.since(&agent);
        let since = match resolution {
            Resolution::Raw => since.samples,
            Resolution::Hour => since.hours,
        };
        let gaps = self.gaps_with(&agent, side, query.range, since);
        Ok(HistoryAnswer {
            query,
            history,
            gaps,
            source,
            resolution,
        })
    }

    /// Since when what is of an agent is kept. What is older is not shown, whether it is still there or not.
    pub(super) fn since(&self, agent: &LiveAgent) -> Since {
        self.kept.since(agent.key, self.now())
    }

    /// History from the store alone.
    ///
    /// # Errors
    /// A query that needs what is not kept any more, or a database that does not answer.
    pub async fn stored_history(
        &self,
        agent: &LiveAgent,
        query: HistoryQuery,
    ) -> Result<StoredHistory, ApiError> {
        let plan = plan(query, self.since(agent))?;
        self.planned_history(agent, plan).await
    }

    /// History from the store alone, from the tier of a plan.
    pub(super) async fn planned_history(
        &self,
        agent: &LiveAgent,
        plan: Plan,
    ) -> Result<StoredHistory, ApiError> {
        let Plan { query, resolution } = plan;
        let since = self.since(agent);
        let _turn = self.reading.acquire().await.map_err(|_| ApiError::Overloaded)?;
        let history = match resolution {
            Resolution::Raw => self.raw_history(agent, &query, since.samples).await?,
            Resolution::Hour => self.hourly_history(agent, &query, since.hours).await?,
        };
        Ok(StoredHistory {
            history,
            query,
            resolution,
        })
    }

    /// History from the agent's journal.
    async fn local_history(&self, agent: &LiveAgent, query: &HistoryQuery) -> Result<History, ApiError> {
        match self
            .ask_for(agent, RequestType::QueryRequest(query.into()))
            .await?
        {
            ResponseType::QueryResponse(response) => Ok(response.into()),
            _ => Err(ApiError::Internal("an agent answered another question".into())),
        }
    }

    /// What an agent last said of its side of the ledger; `None` if it never said anything.
    async fn side(&self, agent: &LiveAgent) -> Result<Option<AgentSide>, ApiError> {
        if let Some(side) = agent.side() {
            return Ok(Some(side));
        }
        if let Some((read, side)) = self.sides.get(&agent.key)
            && read.elapsed() < SIDE_AGE
        {
            return Ok(side.as_deref().cloned());
        }
        let kept = self.store.ledger(agent.key).await?.agent_side;
        let side: Option<AgentSide> = kept.and_then(|json| serde_json::from_str(&json).ok());
        let shared = side.clone().map(Arc::new);
        self.sides.insert(agent.key, (Instant::now(), shared));
        Ok(side)
    }

    /// What became of an agent's samples.
    ///
    /// # Errors
    /// An unknown agent, or a database that does not answer.
    pub async fn ledger(&self, caller: &Caller, id: &str) -> Result<Statement, ApiError> {
        let agent = self.agent(caller, id).await?;
        // The agent's side first: what is stored meanwhile is in the store's counts, never missing from them.
        let side = self.side(&agent).await?;
        let store = self.store.ledger(agent.key).await?;
        Ok(Statement::new(
            agent.id.to_string(),
            side,
            &store,
            agent.rejected(),
        ))
    }

    /// The tasks of an agent that ran within a range, the latest start first.
    ///
    /// # Errors
    /// An unknown agent, or a database that does not answer.
    pub async fn tasks(
        &self,
        caller: &Caller,
        id: &str,
        range: TimeRange,
        limit: u32,
    ) -> Result<Vec<TaskRecord>, ApiError> {
        let agent = self.agent(caller, id).await?;
        Ok(self.store.tasks(agent.key, range, limit).await?)
    }

    /// The last stored sample at or before a moment that has processes in it; `None` if there is none shortly before.
    ///
    /// # Errors
    /// An unknown agent, or a database that does not answer.
    pub async fn processes_at(
        &self,
        caller: &Caller,
        id: &str,
        at: UnixMillis,
    ) -> Result<Option<Sample>, ApiError> {
        let agent = self.agent(caller, id).await?;
        let range = TimeRange {
            start: at.minus(LOOK_BACK).max(self.since(&agent).samples),
            end: at.plus(Duration::from_millis(1)),
        };
        if range.start >= range.end {
            return Ok(None);
        }
        let stored = self.store.samples(agent.key, range, None, PAGE).await?;
        let mut samples = stored.into_iter().rev().map(|stored| stored.sample);
        Ok(samples.find(|sample| !sample.processes.top.is_empty()))
    }
}
