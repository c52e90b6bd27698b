//! The three tiers as compaction sees them: slots of staged samples, chunks, hourly rollups.
//!
//! Samples are appended to the open slot of staging. A slot that is closed never changes again: compaction turns its
//! rows into small chunks, agent after agent, and then it is dropped whole. Small chunks become full ones, and what full
//! chunks hold is summed up in rollups. So each sample is in exactly one place, in every state that a reader can see.
//!
//! What is in a chunk is the business of `nodeglass-chunk`; here it is two strings of bytes, the directory that every
//! reader needs and the payload of which most read a slice.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use nodeglass_model::catalogue::MetricId;
use nodeglass_model::{Sample, SampleId, TimeRange, UnixMillis};

use crate::{AgentKey, Position, StagedSample, StoreError};

/// The longest time that one chunk may span, from its earliest sample to its latest. Readers look so far before a range
/// for chunks that reach into it.
pub const MAX_CHUNK_SPAN: Duration = Duration::from_hours(24);

/// A stretch of arrival time in staging. Later ones have greater numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub i64);

/// When a slot is closed and another opened: at whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotLimits {
    /// How long it is open.
    pub age: Duration,
    /// How large it becomes, about.
    pub bytes: u64,
}

/// A slot whose samples are on their way into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedSlot {
    /// Which it is.
    pub id: SlotId,
    /// The agents up to this one are done; `None` if none is.
    pub done_through: Option<AgentKey>,
}

/// Where one chunk is, among those of its agent. A chunk never changes: one that was rewritten has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The time of its earliest sample.
    pub t0: UnixMillis,
    /// Tells chunks with one beginning apart. Never used twice.
    pub rev: i32,
}

/// How far a chunk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What one slot had of one agent. Not in the rollups yet.
    Small,
    /// About 720 points, as dense as it gets; what they say is in the rollups.
    Full,
}

/// What every reader of a chunk needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkHead {
    /// Where it is; `id.t0` is the time of its earliest sample.
    pub id: ChunkId,
    /// Just after its latest sample.
    pub end: UnixMillis,
    /// How far it has come.
    pub level: Level,
    /// How many samples it holds.
    pub points: u32,
    /// Its directory.
    pub directory: Vec<u8>,
}

/// A whole chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChunk {
    /// What every reader needs.
    pub head: ChunkHead,
    /// Its values.
    pub payload: Vec<u8>,
}

/// A chunk to keep; the store gives it its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChunk {
    /// The time of its earliest sample.
    pub t0: UnixMillis,
    /// Just after its latest sample, at most [`MAX_CHUNK_SPAN`] after `t0`.
    pub end: UnixMillis,
    /// How many samples it holds.
    pub points: u32,
    /// Its directory.
    pub directory: Vec<u8>,
    /// Its values.
    pub payload: Vec<u8>,
}

/// What became of one agent's rows of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedAgent {
    /// Whose rows.
    pub agent: AgentKey,
    /// The small chunks that they became.
    pub chunks: Vec<NewChunk>,
    /// The weights of the rows that are in those chunks.
    pub stored: u64,
    /// The weights of the rows that were left out, since they were stored before.
    pub duplicate: u64,
}

/// Which chunks are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Levels {
    /// All.
    All,
    /// Those that the rollups don't cover.
    Small,
}

/// A chunk in an outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlinedChunk {
    /// Where it is.
    pub id: ChunkId,
    /// How far it has come.
    pub level: Level,
    /// How many samples it holds.
    pub points: u32,
    /// Its directory; `None` for a chunk that the reader said to know.
    pub directory: Option<Vec<u8>>,
}

/// Which state of an agent's hours something belongs to. It changes whenever a merge does something to them; what goes by
/// age does not change it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoursVersion(pub i64);

/// What there is of one agent in a range, at one moment: each sample is in a chunk or staged. One that was sent twice may be
/// in both until compaction finds it: it is recognised by its id where the outline has its chunk, and not where hours have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Chunks with samples in the range, by beginning; they may overlap, and reach beyond the range.
    pub chunks: Vec<OutlinedChunk>,
    /// Samples of the range that are in no chunk yet, oldest first.
    pub staged: Vec<StagedSample>,
    /// The state of the hours, which hold what is in full chunks. As long as it stays the same there are no other full chunks,
    /// apart from what goes by age.
    pub hours: HoursVersion,
}

/// A part of a chunk's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slice {
    /// Of which chunk.
    pub chunk: ChunkId,
    /// Where it begins in the payload.
    pub offset: u32,
    /// How long it is.
    pub length: u32,
}

/// A series of an agent: a metric, and the device that it is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesName {
    /// The metric.
    pub metric: MetricId,
    /// The device's label; `None` for a metric of the whole host.
    pub device: Option<String>,
}

/// The samples of one series in one hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many samples had a value; never 0.
    pub count: u32,
    /// Their mean; of a counter, the last.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Summary {
    /// Of samples whose lowest and highest nobody wants.
    pub(crate) fn of_mean(count: u32, mean: f64) -> Self {
        Self {
            count,
            mean,
            min: mean,
            max: mean,
        }
    }
}

/// What full chunks have of one series in one hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RollupPoint {
    /// When the hour begins.
    pub hour: UnixMillis,
    /// The samples of the series; the lowest and the highest are kept with 24 significant bits.
    pub summary: Summary,
}

/// What full chunks have of several series by the hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rollups {
    /// The state that they were read in.
    pub version: HoursVersion,
    /// The hours of each series, oldest first, in the order in which the series were asked for.
    pub series: Vec<Vec<RollupPoint>>,
}

/// What is wanted of hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HourFigures {
    /// Counts and means; a reader leaves the lowest and the highest alone, which may be the mean.
    Means,
    /// Everything.
    All,
}

/// What one hour has of each of an agent's series.
pub type Hour = BTreeMap<SeriesName, Summary>;

/// What a merge adds to the rollups. The store asks it while the rollups of the agent are locked, so that two merges that
/// touch one hour add up.
pub trait RollupChange: Send + Sync {
    /// The beginnings of the hours that change.
    fn hours(&self) -> Vec<UnixMillis>;

    /// The series of an hour that change, as they are afterwards, from what the hour had before.
    fn apply(&self, hour: UnixMillis, before: &Hour) -> Vec<(SeriesName, Summary)>;
}

/// No change.
impl RollupChange for () {
    fn hours(&self) -> Vec<UnixMillis> {
        Vec::new()
    }

    fn apply(&self, _: UnixMillis, _: &Hour) -> Vec<(SeriesName, Summary)> {
        Vec::new()
    }
}

/// A sample as it was taken, wherever it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSample {
    /// Which it is.
    pub id: SampleId,
    /// What it says; `sample.timestamp` is when it was taken.
    pub sample: Sample,
}

impl StoredSample {
    /// Its place among the samples of its agent.
    pub fn position(&self) -> Position {
        Position {
            timestamp: self.sample.timestamp,
            id: self.id,
        }
    }
}

/// The newest sample of one agent, to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct LatestSample {
    /// Whose it is.
    pub agent: AgentKey,
    /// Which it is.
    pub id: SampleId,
    /// When it was taken.
    pub timestamp: UnixMillis,
    /// What it says, as a row of `nodeglass_chunk::row`. Its figures are kept beside it for those who read the database with SQL.
    pub payload: Vec<u8>,
}

/// How long to keep what is in each tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Samples.
    pub raw: Duration,
    /// Hourly rollups.
    pub rollups: Duration,
    /// On SQLite, the most that the file may hold: the oldest full chunks go first. `None` for no bound; PostgreSQL has none.
    pub max_bytes: Option<u64>,
}

/// How long to keep what is of one agent, where it is not as for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgentRetention {
    /// Samples.
    pub raw: Option<Duration>,
    /// Hourly rollups.
    pub rollups: Option<Duration>,
}

/// What a step of retention removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Full chunks, one by one.
    pub chunks: u64,
    /// Rows of rollups, one by one.
    pub rollups: u64,
    /// Whole partitions of either.
    pub partitions: u64,
    /// The latest end of full chunks that went because the file held too much, whatever their age; `None` if none did.
    pub cut: Option<UnixMillis>,
    /// Whether there is more that could be removed at once.
    pub more: bool,
}

/// What each tier takes on disk, with its indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Samples in no chunk yet.
    pub staging: u64,
    /// Small chunks.
    pub small_chunks: u64,
    /// Full chunks.
    pub full_chunks: u64,
    /// Rollups and the names of their series.
    pub rollups: u64,
}

/// Whether a step of compaction was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It was, whole.
    Done,
    /// Nothing was changed: somebody else did it first, or what it began from is no longer there. Look again.
    Stale,
}

/// The steps that compaction is made of. Each is one transaction: after a crash anywhere, the rest is still to be done.
/// Several servers may take them at once.
#[async_trait]
pub trait Tiers: Send + Sync + fmt::Debug {
    /// Closes the open slot and opens another if it has reached one of the limits; says whether it did. An empty one stays
    /// open. Where all places for slots are taken, because compaction is behind, it stays open, too.
    async fn close_slot(&self, now: UnixMillis, limits: SlotLimits) -> Result<bool, StoreError>;

    /// Slots that are closed and not finished, oldest first.
    async fn closed_slots(&self) -> Result<Vec<ClosedSlot>, StoreError>;

    /// At most `limit` rows of a closed slot in order of agent, time and id, those after `after` if it is given; rows of
    /// agents that are done are left out. A page costs least with some thousands of rows.
    async fn slot_rows(
        &self,
        slot: SlotId,
        after: Option<(AgentKey, Position)>,
        limit: u32,
    ) -> Result<Vec<StagedSample>, StoreError>;

    /// The chunks of both levels that overlap the ranges, each agent given at most once.
    async fn overlapping(
        &self,
        ranges: &[(AgentKey, TimeRange)],
    ) -> Result<Vec<(AgentKey, ChunkHead)>, StoreError>;

    /// Keeps the small chunks of the agents after `after` and up to `through`, counts their samples in the ledger, and
    /// takes note that the slot is done so far.
    ///
    /// [`Outcome::Stale`] if the slot is not done exactly up to `after`.
    async fn put_small(
        &self,
        slot: SlotId,
        after: Option<AgentKey>,
        through: AgentKey,
        packed: &[PackedAgent],
        now: UnixMillis,
    ) -> Result<Outcome, StoreError>;

    /// Takes note that a slot has no rows after the agent `after`: all of it is in chunks.
    ///
    /// [`Outcome::Stale`] if the slot is not done exactly up to `after`.
    async fn finish_slot(
        &self,
        slot: SlotId,
        after: Option<AgentKey>,
        now: UnixMillis,
    ) -> Result<Outcome, StoreError>;

    /// Takes a step towards dropping finished slots, and says whether there is more that could be dropped at once.
    async fn drop_slots(&self, now: UnixMillis) -> Result<bool, StoreError>;

    /// At most `limit` agents with `min_points` points in small chunks, or whose small chunks wait since `before`.
    async fn mergeable(
        &self,
        min_points: u32,
        before: UnixMillis,
        limit: u32,
    ) -> Result<Vec<AgentKey>, StoreError>;

    /// Chunks of an agent that overlap a range, without their payload, by beginning, at most `limit`.
    async fn heads(
        &self,
        agent: AgentKey,
        range: TimeRange,
        which: Levels,
        limit: u32,
    ) -> Result<Vec<ChunkHead>, StoreError>;

    /// At most `limit` samples of an agent in a range that are in no chunk yet, oldest first, those after `after` if it is
    /// given.
    async fn staged(
        &self,
        agent: AgentKey,
        range: TimeRange,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<StagedSample>, StoreError>;

    /// Whole chunks of an agent by beginning; those that are no longer there are left out.
    async fn chunks(&self, agent: AgentKey, ids: &[ChunkId]) -> Result<Vec<StoredChunk>, StoreError>;

    /// Puts full chunks in the place of others, and adds what is new in them to the rollups.
    ///
    /// [`Outcome::Stale`] if one of `old` is no longer there.
    async fn replace(
        &self,
        agent: AgentKey,
        old: &[ChunkId],
        new: &[NewChunk],
        rollups: &dyn RollupChange,
    ) -> Result<Outcome, StoreError>;
}
