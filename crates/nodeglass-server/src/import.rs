//! Taking back what was exported: lines of JSON become stored samples, each once however often it is given.
//!
//! Imported samples go past the live view, which is of now. Those with an identity are counted in the ledger, since they are
//! samples of the agent, stored; those without are not, since no agent knows of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nodeglass_chunk::chunk::Head;
use nodeglass_chunk::row::{self, Compressor};
use nodeglass_model::{AgentId, Clock, Sample, SampleId, TimeRange, UnixMillis};
use nodeglass_store::tiers::Levels;
use nodeglass_store::{AgentKey, AgentRecord, StagedSample, Store, StoreError};
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::warn;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::error::ApiError;
use crate::ingest::MAX_AHEAD;
use crate::live::LiveAgent;
use crate::queries::Queries;
use crate::record::{NO_EPOCH, Record};
use crate::retention::Kept;
use crate::writer::{newest_tasks, tasks_of};

/// The largest body of one call: some hundred samples of a large host.
pub const MAX_IMPORT_BYTES: usize = 8 << 20;
/// Samples that are refused and named one by one in an answer; the rest are counted.
const NAMED: usize = 20;
/// Samples that lie further apart are looked for apart among those that are stored: each look reads the beginnings of all
/// chunks between them.
const FAR: Duration = Duration::from_hours(6);

/// Stores what is given to it.
#[derive(Debug)]
pub struct Importer {
    store: Arc<dyn Store>,
    queries: Arc<Queries>,
    clock: Arc<dyn Clock>,
    kept: Arc<Kept>,
    compress: bool,
    turns: Semaphore,
}

/// A call's turn: one is done after the other.
#[derive(Debug)]
pub struct Turn<'a>(#[expect(dead_code, reason = "it is held")] SemaphorePermit<'a>);

/// What became of the lines of one call.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Imported {
    /// Samples stored that were new.
    pub stored: u64,
    /// Samples that were there already.
    pub duplicate: u64,
    /// Samples that were refused.
    pub refused: u64,
    /// The first of them.
    pub refusals: Vec<Refusal>,
}

/// A sample that was not stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refusal {
    /// Which line of the body it is, from 1 on.
    pub line: usize,
    /// `expired`, `future_timestamp` or `invalid_sample`.
    pub code: &'static str,
    /// Why, for a person.
    pub message: String,
}

/// A sample that can be stored.
struct Good {
    id: SampleId,
    sample: Sample,
}

impl Importer {
    /// Stores what is not too old to be kept.
    pub fn new(
        store: Arc<dyn Store>,
        queries: Arc<Queries>,
        clock: Arc<dyn Clock>,
        kept: Arc<Kept>,
        compress: bool,
    ) -> Self {
        let turns = Semaphore::new(1);
        Self {
            store,
            queries,
            clock,
            kept,
            compress,
            turns,
        }
    }

    /// Waits for one's turn.
    ///
    /// # Errors
    /// The server stops.
    pub async fn turn(&self) -> Result<Turn<'_>, ApiError> {
        self.turns
            .acquire()
            .await
            .map(Turn)
            .map_err(|_| ApiError::Overloaded)
    }

    /// Stores the samples of a body. A line that is no record makes the whole call fail, with nothing stored; a record that
    /// can't be stored costs itself alone.
    ///
    /// # Errors
    /// A body that can't be read, an agent that is not enrolled and may not be made, or a database that does not answer:
    /// then some samples may be stored, and the same call may be made again.
    pub async fn import(
        &self,
        _: &Turn<'_>,
        caller: &Caller,
        body: &[u8],
        create: bool,
    ) -> Result<Imported, ApiError> {
        let records = read(body)?;
        let mut imported = Imported::default();
        let mut agents: BTreeMap<&str, Arc<LiveAgent>> = BTreeMap::new();
        for (_, record) in &records {
            if !agents.contains_key(record.agent_id.as_str()) {
                let agent = self.agent(caller, &record.agent_id, create).await?;
                agents.insert(&record.agent_id, agent);
            }
        }
        self.kept.look(self.store.as_ref()).await?;
        let now = self.clock.now();
        let mut good: BTreeMap<AgentKey, Vec<Good>> = BTreeMap::new();
        for (line, record) in &records {
            let Some(agent) = agents.get(record.agent_id.as_str()) else {
                continue;
            };
            match accept(record, now, self.kept.since(agent.key, now).samples) {
                Ok(sample) => good.entry(agent.key).or_default().push(sample),
                Err((code, message)) => imported.refuse(*line, code, message),
            }
        }
        drop(records);
        for (agent, mut samples) in good {
            samples.sort_by_key(|good| (good.sample.timestamp, good.id));
            let near = |one: &Good, other: &Good| other.sample.timestamp.since(one.sample.timestamp) <= FAR;
            for near in samples.chunk_by(near) {
                self.store_near(agent, near, &mut imported).await?;
            }
        }
        Ok(imported)
    }

    /// The agent of that name, which is made if it may be.
    async fn agent(&self, caller: &Caller, name: &str, create: bool) -> Result<Arc<LiveAgent>, ApiError> {
        let not_enrolled = match self.queries.agent(caller, name).await {
            Err(ApiError::UnknownAgent { agent, .. }) => agent,
            found => return found,
        };
        if !create {
            return Err(ApiError::NotEnrolled(not_enrolled));
        }
        let id: AgentId = name
            .parse()
            .map_err(|error: nodeglass_model::IdError| ApiError::Parameter {
                name: "agent_id",
                problem: error.to_string(),
            })?;
        // Whether there is one already that the caller may not see must not show.
        if !caller.may_make(&id) {
            return Err(ApiError::NotEnrolled(not_enrolled));
        }
        // It has no key: `agent add --replace` makes a host this agent.
        match self.store.enrol_agent(&id, self.clock.now()).await {
            Ok(key) => Ok(self.queries.live().admit(&AgentRecord {
                key,
                id,
                system_info: None,
            })),
            // Somebody else was faster.
            Err(StoreError::AgentExists(_)) => self.queries.agent(caller, name).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Stores what is new of samples of one agent that lie near each other, oldest first.
    async fn store_near(
        &self,
        agent: AgentKey,
        samples: &[Good],
        imported: &mut Imported,
    ) -> Result<(), ApiError> {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Ok(());
        };
        let range = TimeRange {
            start: first.sample.timestamp,
            end: last.sample.timestamp.plus(Duration::from_millis(1)),
        };
        let is_known = self.known(agent, range).await?;
        let mut given = HashSet::new();
        let (mut staged, mut tasks) = (Vec::new(), Vec::new());
        let mut compressor = self.compress.then(Compressor::new);
        for Good { id, sample } in samples {
            if is_known(*id) || !given.insert(*id) {
                imported.duplicate += 1;
                continue;
            }
            let row = row::encode(sample);
            let small = compressor
                .as_mut()
                .and_then(|compressor| compressor.compress(&row).ok());
            staged.push(StagedSample {
                agent,
                id: *id,
                timestamp: sample.timestamp,
                payload: small.unwrap_or(row),
                weight: u32::from(id.epoch != NO_EPOCH),
            });
            tasks.extend(tasks_of(agent, sample));
            tokio::task::consume_budget().await;
        }
        if staged.is_empty() {
            return Ok(());
        }
        let tasks = newest_tasks(tasks.iter());
        if !tasks.is_empty() {
            self.store.save_tasks(&tasks).await?;
        }
        // What somebody else stored since we looked is counted there.
        let duplicate = self.store.append(&staged).await?.duplicate;
        imported.duplicate += duplicate;
        imported.stored += (staged.len() as u64).saturating_sub(duplicate);
        Ok(())
    }

    /// Tells which samples of a range are stored.
    async fn known(&self, agent: AgentKey, range: TimeRange) -> Result<impl Fn(SampleId) -> bool, ApiError> {
        let outline = self.store.outline(agent, range, Levels::All, &[]).await?;
        let heads = outline.chunks.iter().filter_map(|chunk| {
            Head::read(chunk.directory.as_deref()?)
                .inspect_err(
                    |error| warn!(agent = agent.0, at = %chunk.id.t0, %error, "a stored chunk can't be read"),
                )
                .ok()
        });
        let heads: Vec<Head> = heads.collect();
        let staged: HashSet<SampleId> = outline.staged.iter().map(|staged| staged.id).collect();
        Ok(move |id| staged.contains(&id) || heads.iter().any(|head| head.contains(id)))
    }
}

impl Imported {
    fn refuse(&mut self, line: usize, code: &'static str, message: String) {
        self.refused += 1;
        if self.refusals.len() < NAMED {
            self.refusals.push(Refusal { line, code, message });
        }
    }
}

/// The records of a body, with their lines.
fn read(body: &[u8]) -> Result<Vec<(usize, Record)>, ApiError> {
    let lines = body.split(|byte| *byte == b'\n').zip(1..);
    let lines = lines.filter(|(text, _)| !text.trim_ascii().is_empty());
    lines
        .map(|(text, line)| match serde_json::from_slice(text) {
            Ok(record) => Ok((line, record)),
            Err(error) => Err(ApiError::Parameter {
                name: "body",
                problem: format!(
                    "line {line} is no sample ({error}): nothing of this call was stored; correct the line and send it again"
                ),
            }),
        })
        .collect()
}

/// The sample of a record, if it may be stored.
fn accept(record: &Record, now: UnixMillis, since: UnixMillis) -> Result<Good, (&'static str, String)> {
    let invalid = |error: crate::record::InvalidRecord| ("invalid_sample", error.to_string());
    let id = record.id().map_err(invalid)?;
    let sample = record.sample().map_err(invalid)?;
    let at = sample.timestamp;
    if at > now.plus(MAX_AHEAD) {
        let message = format!(
            "the sample is from {at}, and it is {now} here: correct its time, or set the server's clock"
        );
        return Err(("future_timestamp", message));
    }
    if at < since {
        let message = format!(
            "the sample is from {at}, and samples are kept back to {since} here: to keep it, raise metrics.storage.retention_period, or run `nodeglass-server agent retention` for this agent"
        );
        return Err(("expired", message));
    }
    Ok(Good { id, sample })
}
