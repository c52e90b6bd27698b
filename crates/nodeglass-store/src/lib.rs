//! Durable storage: the [`Store`] trait, with PostgreSQL and SQLite behind it.
//!
//! It owns the tables, the transactions and the migrations, and how samples move through the tiers ([`tiers`]). Who may
//! read or write is the server's business. One conformance suite (`tests/conformance.rs`) runs on both databases.

pub mod boards;
mod both;
mod compact;
mod enrolments;
mod error;
pub mod identities;
mod latest;
mod migrate;
mod options;
mod postgres;
pub mod registry;
mod rollup;
mod samples;
mod sqlite;
pub mod tiers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nodeglass_model::{AgentId, SampleId, TimeRange, UnixMillis};

pub use compact::{CompactError, Compacted, Compactor};
pub use enrolments::{
    Claim, ClaimRefusal, Enrolled, Enrolments, FleetToken, Invitation, KeyHash, Revocation,
};
pub use error::StoreError;
use identities::Identities;
pub use options::Options;
use registry::Registry;
use tiers::{
    AgentRetention, ChunkId, HourFigures, LatestSample, Levels, Outline, Removed, Retention, Rollups,
    SeriesName, Sizes, Slice, StoredSample, Tiers,
};

/// How long a change of tables waits for those who use them, and they behind it. It is tried again later.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a slot is kept after all of it is in chunks, for those who began to read before: a backup sees either.
pub(crate) const DROP_GRACE: Duration = Duration::from_mins(1);
/// `done_through` of a slot of which no agent is done: less than any key.
pub(crate) const NO_AGENT: i64 = i32::MIN as i64 - 1;

/// An agent's short name within the database; it never leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey(pub i32);

/// SHA-256 of a token. Tokens are 256 random bits, so a plain hash is as good as a slow one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// One enrolled agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its short name.
    pub key: AgentKey,
    /// Its name.
    pub id: AgentId,
    /// What it last said it is, as JSON; `None` before its first session.
    pub system_info: Option<String>,
}

/// What a token of a person or program allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Viewer,
    /// Read, and ask agents for things.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// Its name in the database and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// A sample to store, or as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedSample {
    /// Whose it is.
    pub agent: AgentKey,
    /// Which it is.
    pub id: SampleId,
    /// When it was taken.
    pub timestamp: UnixMillis,
    /// What it says.
    pub payload: Vec<u8>,
    /// How many samples of the agent it stands for: 1, or more where a longer interval made one of several.
    pub weight: u32,
}

impl StagedSample {
    /// Its place among the samples of its agent.
    pub fn position(&self) -> Position {
        Position {
            timestamp: self.timestamp,
            id: self.id,
        }
    }
}

/// The order of one agent's samples: by time, then by identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// When the sample was taken.
    pub timestamp: UnixMillis,
    /// Which it is.
    pub id: SampleId,
}

impl Position {
    /// Before every sample.
    pub(crate) const FIRST: Self = Self {
        timestamp: UnixMillis(i64::MIN),
        id: SampleId { epoch: 0, seq: 0 },
    };
    /// After every sample.
    pub(crate) const LAST: Self = Self {
        timestamp: UnixMillis(i64::MAX),
        id: SampleId {
            epoch: i64::MAX as u64,
            seq: i64::MAX as u64,
        },
    };
}

/// What the store knows of what became of one agent's samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Samples stored, each counted once.
    pub stored: u64,
    /// Samples that came again after they were stored.
    pub duplicate: u64,
    /// What the agent last said of its own side, as it was given to [`Store::save_agent_sides`].
    pub agent_side: Option<String>,
}

/// A program that an agent followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    /// Whose it is.
    pub agent: AgentKey,
    /// Its name; with its start it names one run.
    pub task_id: String,
    /// When it began.
    pub started_at: UnixMillis,
    /// When the last sample was taken in which it was.
    pub last_seen_at: UnixMillis,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<UnixMillis>,
    /// How it ended; `None` while it runs, and where it is not known.
    pub exit_code: Option<i32>,
    /// What runs.
    pub command: String,
    /// Processor time so far.
    pub cpu_time_ms: Option<u64>,
    /// The most resident memory that was seen.
    pub peak_memory_bytes: Option<u64>,
}

/// What became of a group of samples, each counted with its weight; all of them are stored now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Samples that are new.
    pub stored: u64,
    /// Samples that were there already.
    pub duplicate: u64,
}

/// The newest stored sample of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// Whose it is.
    pub agent: AgentKey,
    /// When it was taken.
    pub timestamp: UnixMillis,
    /// What it says; `None` once retention has removed it.
    pub payload: Option<Vec<u8>>,
}

/// Where everything is kept. Every call has a deadline, and every call but [`Store::append`] may be repeated freely;
/// so may `append`, since a sample that is there already is counted as a duplicate and left alone.
#[async_trait]
pub trait Store: Tiers + Identities + Enrolments + Registry + boards::Boards {
    /// Asks the database for a sign of life.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Stores samples, and counts them in the ledger, in one transaction: after `Ok` they survive a crash, after an error
    /// none was stored.
    async fn append(&self, samples: &[StagedSample]) -> Result<Appended, StoreError>;

    /// What there is of an agent in a range: chunks, which are read by [`Store::slices`], and samples in none. Of chunks
    /// in `known` the directory is left out.
    async fn outline(
        &self,
        agent: AgentKey,
        range: TimeRange,
        which: Levels,
        known: &[ChunkId],
    ) -> Result<Outline, StoreError>;

    /// Parts of payloads, in this order; `None` of a chunk that is no longer there: read the outline again.
    async fn slices(&self, agent: AgentKey, slices: &[Slice]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// What the full chunks of an agent have of some series in the hours that begin within a range.
    async fn rollups(
        &self,
        agent: AgentKey,
        range: TimeRange,
        series: &[SeriesName],
        figures: HourFigures,
    ) -> Result<Rollups, StoreError>;

    /// Every series that was ever in the rollups of an agent.
    async fn series(&self, agent: AgentKey) -> Result<Vec<SeriesName>, StoreError>;

    /// At most `limit` samples of one agent in a range from all tiers, each once, oldest first, those after `after` if it
    /// is given; fewer only if there are no more. Those that can't be read are left out.
    async fn samples(
        &self,
        agent: AgentKey,
        range: TimeRange,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<StoredSample>, StoreError>;

    /// The newest sample of every enrolled agent: staged, or as it was last given to [`Store::save_latest`].
    async fn latest(&self) -> Result<Vec<Latest>, StoreError>;

    /// Keeps the newest samples of agents, some hundreds at a time; a sample that is older than what is there is let go.
    async fn save_latest(&self, samples: &[LatestSample]) -> Result<(), StoreError>;

    /// Takes a step towards removing what is older than it is to be kept. Samples in small chunks and in staging are kept
    /// until they are in full ones. On PostgreSQL what all agents keep equally long, and for three days or more, goes by
    /// whole days, so up to two days later. A latest sample that is too old leaves its time behind.
    async fn retain(&self, retention: &Retention, now: UnixMillis) -> Result<Removed, StoreError>;

    /// Says how long to keep what is of one agent; it stays so until it is said again.
    async fn set_retention(&self, agent: AgentKey, retention: AgentRetention) -> Result<(), StoreError>;

    /// The agents of which something is kept longer or shorter than of others.
    async fn retention_overrides(&self) -> Result<Vec<(AgentKey, AgentRetention)>, StoreError>;

    /// What each tier takes on disk. On SQLite it passes over the whole file.
    async fn sizes(&self) -> Result<Sizes, StoreError>;

    /// Every agent, by name.
    async fn agents(&self) -> Result<Vec<AgentRecord>, StoreError>;

    /// The keys of all agents, in no order.
    async fn keys(&self) -> Result<Vec<AgentKey>, StoreError>;

    /// Keeps what an agent says it is, as JSON.
    async fn save_system_info(&self, agent: AgentKey, json: &str) -> Result<(), StoreError>;

    /// What became of an agent's samples.
    async fn ledger(&self, agent: AgentKey) -> Result<Ledger, StoreError>;

    /// Keeps what agents say of their sides of the ledger, of all of them or of none.
    async fn save_agent_sides(&self, sides: &[(AgentKey, String)]) -> Result<(), StoreError>;

    /// What each agent last said of its side of the ledger; those that never did are left out.
    async fn agent_sides(&self) -> Result<Vec<(AgentKey, String)>, StoreError>;

    /// Keeps how tasks stand. What an older sample says of one is let go; an end that is known stays.
    async fn save_tasks(&self, tasks: &[TaskRecord]) -> Result<(), StoreError>;

    /// Removes tasks that were last seen longer ago than their agent's samples are kept, which is `keep` unless the agent
    /// has another; says how many it was.
    async fn prune_tasks(&self, keep: Duration, now: UnixMillis) -> Result<u64, StoreError>;

    /// At most `limit` tasks of an agent that ran within a range, the latest start first.
    async fn tasks(
        &self,
        agent: AgentKey,
        range: TimeRange,
        limit: u32,
    ) -> Result<Vec<TaskRecord>, StoreError>;

    /// Lets go of the database.
    async fn close(&self);
}

/// Opens the database at `url` and brings its tables up to date.
///
/// `postgres://user:password@host/database`, or `sqlite:///path/to/file`, which is made if it is not there.
///
/// # Errors
/// [`StoreError::Url`] for another kind of URL, [`StoreError::Connect`] if nobody answers, [`StoreError::Schema`] if
/// its tables are from a newer Nodeglass. No message has a password in it.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    open_with(url, &Options::default()).await
}

/// The same, used as `options` say.
///
/// # Errors
/// Those of [`open`].
pub async fn open_with(url: &str, options: &Options) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match Kind::of(url)? {
        Kind::Postgres => Arc::new(postgres::Postgres::open(url, options).await?),
        Kind::Sqlite => Arc::new(sqlite::Sqlite::open(url, options).await?),
    })
}

/// Copies the SQLite database at `url` into a new file, as it is at one moment, while a server goes on writing to it; gives
/// the copy's size in bytes.
///
/// # Errors
/// [`StoreError::Backup`] and [`StoreError::BackupExists`], then there is no copy; [`StoreError::NotSqlite`] for PostgreSQL.
pub async fn backup(url: &str, file: &std::path::Path) -> Result<u64, StoreError> {
    match Kind::of(url)? {
        Kind::Postgres => Err(StoreError::NotSqlite),
        Kind::Sqlite => sqlite::backup::backup(url, file).await,
    }
}

/// Checks a database's URL without connecting.
///
/// # Errors
/// [`StoreError::Url`] or [`StoreError::UrlParameter`].
pub fn check_url(url: &str) -> Result<(), StoreError> {
    match Kind::of(url)? {
        Kind::Postgres => postgres::url::options(url).map(drop),
        Kind::Sqlite => sqlite::options(url).map(drop),
    }
}

enum Kind {
    Postgres,
    Sqlite,
}

impl Kind {
    fn of(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            Some("sqlite") => Ok(Self::Sqlite),
            _ => Err(StoreError::Url),
        }
    }
}
