//! Compaction: rows of closed slots into small chunks, and small chunks into full ones with their hourly rollups.
//!
//! It decides what goes where and makes the bytes; [`Tiers`] keeps them. Every step is bounded in memory and ends in one
//! short transaction, so it may be broken off anywhere, several servers may do it on one database, and ingest waits for
//! none of it.
//!
//! A sample is counted once because whatever becomes a small chunk was in no chunk before: rows that some chunk has
//! already are left out and counted as duplicates. Full chunks are made of small ones and of what they replace, so the
//! rollups take only what comes from the small ones.

mod batch;
mod merge;
mod pack;
mod plan;
mod rollup;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_chunk::chunk::{ChunkError, EncodeError, Encoder, Span};
use nodeglass_chunk::row::RowError;
use nodeglass_model::{TimeRange, UnixMillis};

use crate::tiers::{ChunkId, Level, Levels, NewChunk, Outcome, StoredChunk, Tiers};
use crate::{AgentKey, StoreError};

use batch::Batch;
use pack::{DAY, FEWEST_POINTS, POINTS};
use plan::{Cluster, Outlined};

/// Rows of a slot that one step takes, unless a single agent has more: 2 MB or so.
const PAGE: u32 = 4_000;

/// Small chunks are merged once they have enough points, or once they are so old at most: until then they are in no rollup.
const MERGE_AGE: Duration = Duration::from_hours(2);

/// How many agents are looked up at once that have something to merge.
const DUE_AGENTS: u32 = 64;

/// The most small chunks that one step looks at.
const SMALL_CHUNKS: u32 = 512;

/// How long an agent is left alone whose chunks can't be merged, or of which there is nothing left but what can't be read.
const REST: Duration = Duration::from_hours(1);

/// However old late samples are, they are merged.
const ALL_TIME: TimeRange = TimeRange {
    start: UnixMillis(i64::MIN),
    end: UnixMillis(i64::MAX),
};

/// Full chunks within this time of small ones may have later samples of the same hour.
const ROLLUP_REACH: Duration = Duration::from_hours(1);

/// Why a step of compaction was not taken. Nothing is changed; another try may go better once the cause is gone.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chunk that can't be read.
    #[error("a chunk can't be read")]
    Chunk(#[from] ChunkError),
    /// A row that this program is too old for.
    #[error("a staged sample can't be read")]
    Row(#[source] RowError),
    /// A chunk that can't be written.
    #[error("a chunk can't be written")]
    Encode(#[from] EncodeError),
    /// Samples that were in a chunk and fit into none now.
    #[error("{0} samples fit into no chunk")]
    Refused(u64),
    /// The work panicked.
    #[error("compaction failed")]
    Panic(#[source] tokio::task::JoinError),
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Slots that are in chunks whole.
    pub slots: u64,
    /// Staged samples that are in small chunks now.
    pub samples: u64,
    /// Weight of staged samples that were in a chunk already.
    pub duplicates: u64,
    /// Staged samples that can't be read and are lost: the disk, or somebody else, has changed them.
    pub unreadable: u64,
    /// Small chunks that were made.
    pub small_chunks: u64,
    /// Merges of small chunks into full ones.
    pub merges: u64,
    /// Samples in those merges, those of rewritten full chunks included.
    pub merged_samples: u64,
    /// Full chunks that were made.
    pub full_chunks: u64,
    /// Bytes of rows and chunks that were read.
    pub bytes_in: u64,
    /// Bytes of chunks that were written.
    pub bytes_out: u64,
    /// Agents of which a chunk was found that can't be read, or that were passed over for another reason.
    pub troubled_agents: u64,
    /// Steps that another server took first.
    pub stale: u64,
}

impl AddAssign for Compacted {
    fn add_assign(&mut self, other: Self) {
        self.slots += other.slots;
        self.samples += other.samples;
        self.duplicates += other.duplicates;
        self.unreadable += other.unreadable;
        self.small_chunks += other.small_chunks;
        self.merges += other.merges;
        self.merged_samples += other.merged_samples;
        self.full_chunks += other.full_chunks;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.troubled_agents += other.troubled_agents;
        self.stale += other.stale;
    }
}

/// Takes the steps of compaction, and remembers what is worth to remember between them; all of it may be forgotten.
pub struct Compactor {
    /// Rows that a step reads at once.
    page: u32,
    /// How old small chunks become.
    merge_age: Duration,
    encoder: Option<Encoder>,
    slots_behind: usize,
    /// Agents to merge next.
    due: VecDeque<AgentKey>,
    /// Agents that are left alone, and until when.
    resting: BTreeMap<AgentKey, UnixMillis>,
    /// Chunks that can't be read. The rest of their agents' is merged without them.
    damaged: HashSet<(AgentKey, ChunkId)>,
}

impl std::fmt::Debug for Compactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compactor")
            .field("due", &self.due)
            .field("resting", &self.resting)
            .field("damaged", &self.damaged)
            .finish_non_exhaustive()
    }
}

impl Default for Compactor {
    fn default() -> Self {
        Self::with_page(PAGE)
    }
}

impl Compactor {
    /// One that reads so many rows at once, at least one: fewer make shorter steps, and more of them.
    pub fn with_page(rows: u32) -> Self {
        Self {
            page: rows.max(1),
            merge_age: MERGE_AGE,
            encoder: None,
            slots_behind: 0,
            due: VecDeque::new(),
            resting: BTreeMap::new(),
            damaged: HashSet::new(),
        }
    }

    /// The same one, which leaves no small chunk as it is for longer than this, nor for longer than two hours: what is in
    /// small chunks is kept, however old it is.
    pub fn merging_after(self, age: Duration) -> Self {
        Self {
            merge_age: age.min(MERGE_AGE),
            ..self
        }
    }

    /// Turns some more rows of the oldest closed slot into small chunks; `None` if no slot is waiting.
    ///
    /// # Errors
    /// The database, or a row or chunk that this program is too old for. Nothing was changed; try again later.
    pub async fn pack_slot(
        &mut self,
        store: &dyn Tiers,
        now: UnixMillis,
    ) -> Result<Option<Compacted>, CompactError> {
        let slots = store.closed_slots().await?;
        self.slots_behind = slots.len();
        let Some(slot) = slots.into_iter().next() else {
            return Ok(None);
        };
        let mut batch = Batch::default();
        let whole = batch.read(store, &slot, self).await?;
        let outcome = match batch.packed.last() {
            None => store.finish_slot(slot.id, slot.done_through, now).await?,
            Some(last) => {
                let through = last.agent;
                store
                    .put_small(slot.id, slot.done_through, through, &batch.packed, now)
                    .await?
            }
        };
        if outcome == Outcome::Stale {
            return Ok(Some(Compacted {
                stale: 1,
                ..Compacted::default()
            }));
        }
        if batch.packed.is_empty() && whole {
            batch.done.slots = 1;
        }
        Ok(Some(batch.done))
    }

    /// How many closed slots were waiting at the last look.
    pub fn slots_behind(&self) -> usize {
        self.slots_behind
    }

    /// Merges small chunks of one agent; `None` if nothing is due.
    ///
    /// # Errors
    /// The database. Nothing was changed; try again later. A chunk that can't be read is counted and stays as it is.
    pub async fn merge(
        &mut self,
        store: &dyn Tiers,
        now: UnixMillis,
    ) -> Result<Option<Compacted>, CompactError> {
        if self.due.is_empty() {
            self.resting.retain(|_, until| *until > now);
            let limit = DUE_AGENTS.saturating_add(self.resting.len() as u32);
            let mut due = store.mergeable(POINTS, now.minus(self.merge_age), limit).await?;
            due.retain(|agent| !self.resting.contains_key(agent));
            // Two servers go through them in different orders, and seldom come upon the same agent.
            let order = RandomState::new();
            due.sort_by_cached_key(|agent| order.hash_one(agent));
            self.due = due.into();
        }
        let Some(agent) = self.due.pop_front() else {
            return Ok(None);
        };
        match self.merge_agent(store, agent, now).await {
            Err(CompactError::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(agent = agent.0, error = %error, source = ?std::error::Error::source(&error),
                    "an agent's chunks can't be merged and stay as they are for an hour");
                self.resting.insert(agent, now.plus(REST));
                Ok(Some(Compacted {
                    troubled_agents: 1,
                    ..Compacted::default()
                }))
            }
            done => done.map(Some),
        }
    }

    async fn merge_agent(
        &mut self,
        store: &dyn Tiers,
        agent: AgentKey,
        now: UnixMillis,
    ) -> Result<Compacted, CompactError> {
        let stale = Compacted {
            stale: 1,
            ..Compacted::default()
        };
        let mut heads = store.heads(agent, ALL_TIME, Levels::Small, SMALL_CHUNKS).await?;
        let before = heads.len();
        heads.retain(|head| !self.damaged.contains(&(agent, head.id)));
        if heads.is_empty() && before > 0 {
            self.resting.insert(agent, now.plus(REST));
            return Ok(Compacted::default());
        }
        let Some(day) = heads.first().map(|head| head.id.t0.floor(DAY)) else {
            return Ok(stale);
        };
        let small: Vec<Outlined> = heads
            .iter()
            .filter(|head| head.id.t0.floor(DAY) == day)
            .map(Outlined::from)
            .collect();
        let around = around(&small, day);
        let around = store.overlapping(&[(agent, around)]).await?;
        let full: Vec<Outlined> = (around.iter().map(|(_, head)| head))
            .filter(|head| head.level == Level::Full && head.id.t0.floor(DAY) == day)
            .filter(|head| !self.damaged.contains(&(agent, head.id)))
            .map(Outlined::from)
            .collect();
        let Some(cluster) = Cluster::first(&small, &full) else {
            return Ok(stale);
        };
        let ids = cluster.ids();
        let chunks = store.chunks(agent, &ids).await?;
        if chunks.len() != ids.len() {
            return Ok(stale);
        }
        let beside = beside(&cluster, &full);
        let beside = if beside.is_empty() {
            Vec::new()
        } else {
            store.chunks(agent, &beside).await?
        };
        let mut done = Compacted {
            merges: 1,
            merged_samples: chunks.iter().map(|it| u64::from(it.head.points)).sum(),
            bytes_in: chunks
                .iter()
                .map(|it| (it.head.directory.len() + it.payload.len()) as u64)
                .sum(),
            ..Compacted::default()
        };
        let taken = Arc::new((chunks, beside));
        let of_merge = taken.clone();
        let merge = self.work(move |encoder| merge::merge(encoder, &of_merge.0, &of_merge.1));
        let merged = match merge.await {
            Err(CompactError::Chunk(_)) if self.note_damaged(agent, &taken).await? => {
                // Once more, without them.
                self.due.push_front(agent);
                return Ok(Compacted {
                    troubled_agents: 1,
                    ..Compacted::default()
                });
            }
            merged => merged?,
        };
        done.full_chunks = merged.chunks.len() as u64;
        done.bytes_out = size(&merged.chunks);
        let outcome = store
            .replace(agent, &ids, &merged.chunks, &merged.rollups)
            .await?;
        Ok(if outcome == Outcome::Done { done } else { stale })
    }

    /// Finds those chunks that can't be read: the disk, or somebody else, has changed them. `false` if there are none.
    async fn note_damaged(
        &mut self,
        agent: AgentKey,
        taken: &Arc<(Vec<StoredChunk>, Vec<StoredChunk>)>,
    ) -> Result<bool, CompactError> {
        let all = taken.clone();
        let found = self
            .work(move |encoder| {
                let mut found = Vec::new();
                for chunk in all.0.iter().chain(&all.1) {
                    match merge::merge(encoder, std::slice::from_ref(chunk), &[]) {
                        // One that is too new is no damage.
                        Ok(_) | Err(CompactError::Chunk(ChunkError::Version(_))) => {}
                        Err(CompactError::Chunk(error)) => found.push((chunk.head.id, error)),
                        Err(error) => return Err(error),
                    }
                }
                Ok(found)
            })
            .await?;
        for (id, error) in &found {
            tracing::error!(agent = agent.0, t0 = %id.t0, %error, "a chunk can't be read and stays as it is; the others are merged");
            self.damaged.insert((agent, *id));
        }
        Ok(!found.is_empty())
    }

    /// Does what takes processor time on a thread that may take it.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Encoder) -> Result<T, CompactError> + Send + 'static,
    ) -> Result<T, CompactError> {
        let mut encoder = self.encoder.take().unwrap_or_default();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut encoder);
            (encoder, done)
        });
        let (encoder, done) = done.await.map_err(CompactError::Panic)?;
        self.encoder = Some(encoder);
        done
    }
}

/// Where full chunks are to be looked for that go with these small ones: those that overlap them, those of the same hours,
/// and the one before if they alone would make a short chunk.
fn around(small: &[Outlined], day: UnixMillis) -> TimeRange {
    let start = small.iter().map(|it| it.range.start).min().unwrap_or(day);
    let end = small.iter().map(|it| it.range.end).max().unwrap_or(day);
    let is_short = plan::points(small) < u64::from(FEWEST_POINTS);
    TimeRange {
        start: if is_short {
            day
        } else {
            start.minus(ROLLUP_REACH).max(day)
        },
        end: end.plus(ROLLUP_REACH).min(day.plus(DAY)),
    }
}

/// Full chunks that stay, and may have later samples of the hours that the small chunks of a cluster are in.
fn beside(cluster: &Cluster, full: &[Outlined]) -> Vec<ChunkId> {
    let first = cluster.small.iter().map(|it| it.range.start).min();
    let end = cluster.range().end.plus(ROLLUP_REACH);
    full.iter()
        .filter(|it| !cluster.full.contains(it))
        .filter(|it| first.is_some_and(|first| it.range.end > first) && it.range.start < end)
        .map(|it| it.id)
        .collect()
}

fn size(chunks: &[NewChunk]) -> u64 {
    let sizes = chunks.iter().map(|it| it.directory.len() + it.payload.len());
    sizes.sum::<usize>() as u64
}

/// Some bytes of a payload.
fn slice(payload: &[u8], span: Span) -> Result<&[u8], ChunkError> {
    let rest = payload.get(span.offset as usize..).ok_or(ChunkError::Cut)?;
    rest.get(..span.length as usize).ok_or(ChunkError::Cut)
}
