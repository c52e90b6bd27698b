//! PostgreSQL: groups of samples go in by `copy`, one transaction a group.

mod append;
mod chunks;
mod connect;
mod migrate;
mod partitions;
mod pool;
mod registry;
mod retention;
mod rollups;
mod session;
mod sides;
mod slots;
pub(crate) mod url;

use std::collections::HashSet;

use nodeglass_model::{AgentId, TimeRange, UnixMillis};
use sqlx::Row;

use self::append::{PlaceStatements, Repeats};
use self::connect::{Pools, connect};
use self::pool::Pool;
use self::session::Transaction;

use crate::boards::implement_boards;
use crate::both::enrolments::implement_enrolments;
use crate::both::implement_store;
use crate::error::{StoreError, within};
use crate::latest::LatestSeries;
use crate::tiers::{
    AgentRetention, ChunkHead, ChunkId, ClosedSlot, HourFigures, LatestSample, Levels, NewChunk, Outcome,
    Outline, PackedAgent, Removed, Retention, RollupChange, Rollups, SeriesName, Sizes, Slice, SlotId,
    SlotLimits, StoredChunk, StoredSample,
};
use crate::{
    AgentKey, AgentRecord, Appended, Latest, Ledger, Options, Position, StagedSample, TaskRecord, TokenHash,
};

/// Tables that slots of staging take turns in; the migration makes them.
const PLACES: usize = 8;

#[derive(Debug)]
pub(crate) struct Postgres {
    reader: Pool,
    writer: Pool,
    /// For compaction and retention, so that they hold up neither.
    worker: Pool,
    places: [PlaceStatements; PLACES],
    repeats: Repeats,
    latest_series: LatestSeries,
    /// Names of partitions that are known to be there.
    partitions: tokio::sync::Mutex<HashSet<String>>,
}

impl Postgres {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self, StoreError> {
        let Pools {
            reader,
            writer,
            worker,
        } = connect(url, options).await?;
        migrate::run(&writer).await?;
        let store = Self {
            reader,
            writer,
            worker,
            places: PlaceStatements::all(),
            repeats: Repeats::default(),
            latest_series: LatestSeries::default(),
            partitions: tokio::sync::Mutex::default(),
        };
        within("write down the catalogue", store.fill_metrics()).await?;
        Ok(store)
    }

    async fn begin_write(&self) -> Result<Transaction, sqlx::Error> {
        self.writer.begin().await
    }
}

implement_boards!(Postgres, "postgres");
implement_store!(Postgres, "postgres");
implement_enrolments!(Postgres, Transaction, "postgres");
crate::identities::sql::implement_identities!(Postgres);
