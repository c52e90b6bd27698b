//! SQLite: one writer, several readers, WAL with full synchronisation, so that a commit survives a power loss.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use nodeglass_model::{AgentId, SampleId, TimeRange, UnixMillis};
use sqlx::Row;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::both::{implement_store, token_hash};
use crate::error::{ACQUIRE_TIMEOUT, StoreError, within};
use crate::{
    AgentKey, AgentRecord, Appended, Latest, Ledger, Position, Role, StagedSample, TaskRecord, TokenHash,
};

/// Connections for queries; reading in SQLite is a matter of processor time, of which there is little.
const READERS: u32 = 4;
/// How long to wait while another process writes, `agent add` beside a running server for one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Sqlite {
    reader: SqlitePool,
    writer: SqlitePool,
}

/// What a URL says, or that it can't be read.
pub(crate) fn options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    SqliteConnectOptions::from_str(url).map_err(|_| StoreError::Url)
}

/// Makes the file readable by its owner alone, if it is not there yet; SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::Connect(error.into()))
        }
        _ => Ok(()),
    }
}

impl Sqlite {
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?;
        make_private(options.get_filename())?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |connections, options| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .connect_with(options)
        };
        let writer = pool(1, options.clone()).await.map_err(StoreError::Connect)?;
        sqlx::migrate!("../../migrations/sqlite")
            .run(&writer)
            .await
            .map_err(StoreError::migrate)?;
        let reader = pool(READERS, options.read_only(true))
            .await
            .map_err(StoreError::Connect)?;
        Ok(Self { reader, writer })
    }

    /// Stores a group in one transaction; says how many samples were new, by weight.
    async fn append_group(&self, samples: &[StagedSample]) -> Result<u64, sqlx::Error> {
        // Immediate: waits for other writers at the start, where it may, rather than failing in the middle.
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let mut counts: BTreeMap<AgentKey, (u64, u64)> = BTreeMap::new();
        for sample in samples {
            let is_new = sqlx::query(include_str!("sqlite/append.sql"))
                .bind(sample.timestamp.0)
                .bind(sample.agent.0)
                .bind(sample.id.epoch as i64)
                .bind(sample.id.seq as i64)
                .bind(&sample.payload[..])
                .execute(&mut *transaction)
                .await?
                .rows_affected()
                > 0;
            let (stored, duplicate) = counts.entry(sample.agent).or_default();
            *(if is_new { stored } else { duplicate }) += u64::from(sample.weight);
            sqlx::query(include_str!("sqlite/append_latest.sql"))
                .bind(sample.agent.0)
                .bind(sample.timestamp.0)
                .bind(sample.id.epoch as i64)
                .bind(sample.id.seq as i64)
                .execute(&mut *transaction)
                .await?;
        }
        for (agent, (stored, duplicate)) in &counts {
            sqlx::query(include_str!("sqlite/append_ledger.sql"))
                .bind(agent.0)
                .bind(*stored as i64)
                .bind(*duplicate as i64)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(counts.values().map(|(stored, _)| stored).sum())
    }
}

implement_store!(Sqlite, "sqlite");
