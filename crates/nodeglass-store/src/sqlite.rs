//! SQLite: one writer, several readers, WAL with full synchronisation, so that a commit survives a power loss.

pub(crate) mod backup;
mod chunks;
mod migrate;
mod registry;
mod retention;
mod rollups;
mod sides;
mod staging;
mod transaction;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use nodeglass_model::{AgentId, TimeRange, UnixMillis};
use sqlx::Row;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::time::Instant;

use self::transaction::Transaction;
use crate::boards::implement_boards;
use crate::both::enrolments::implement_enrolments;
use crate::both::implement_store;
use crate::error::{ACQUIRE_TIMEOUT, StoreError, within};
use crate::latest::LatestSeries;
use crate::tiers::{
    AgentRetention, ChunkHead, ChunkId, ClosedSlot, HourFigures, LatestSample, Levels, NewChunk, Outcome,
    Outline, PackedAgent, Removed, Retention, RollupChange, Rollups, SeriesName, Sizes, Slice, SlotId,
    SlotLimits, StoredChunk, StoredSample,
};
use crate::{
    AgentKey, AgentRecord, Appended, Latest, Ledger, Options, Position, StagedSample, TaskRecord, TokenHash,
};

/// How long to wait while another process writes, `agent add` beside a running server for one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two attempts to open a file that another program is making.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Sqlite {
    reader: SqlitePool,
    writer: SqlitePool,
    /// The same as `writer`: there can be only one.
    worker: SqlitePool,
    latest_series: LatestSeries,
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
    pub(crate) async fn open(url: &str, limits: &Options) -> Result<Self, StoreError> {
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
        // The first connection switches the file to its journal, which another program's may be about just now.
        let until = Instant::now() + BUSY_TIMEOUT;
        let writer = loop {
            match pool(1, options.clone()).await {
                Err(error) if migrate::is_busy(&error) && Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                done => break done.map_err(StoreError::Connect)?,
            }
        };
        migrate::run(&writer).await?;
        let reader = pool(limits.readers, options.read_only(true))
            .await
            .map_err(StoreError::Connect)?;
        let store = Self {
            reader,
            worker: writer.clone(),
            writer,
            latest_series: LatestSeries::default(),
        };
        within("write down the catalogue", store.fill_metrics()).await?;
        Ok(store)
    }

    async fn begin_write(&self) -> Result<Transaction, sqlx::Error> {
        Transaction::write(&self.writer).await
    }
}

implement_boards!(Sqlite, "sqlite");
implement_store!(Sqlite, "sqlite");
implement_enrolments!(Sqlite, Transaction, "sqlite");
crate::identities::sql::implement_identities!(Sqlite);
