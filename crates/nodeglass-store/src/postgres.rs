//! PostgreSQL: groups of samples go in by `copy`, one transaction a group.

mod append;
mod chunks;
mod partitions;
mod retention;
mod rollups;
mod slots;

use std::collections::HashSet;
use std::str::FromStr;

use nodeglass_model::{AgentId, TimeRange, UnixMillis};
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use append::{PlaceStatements, Repeats};

use crate::both::{implement_store, token_hash};
use crate::error::{ACQUIRE_TIMEOUT, STATEMENT_TIMEOUT, StoreError, within};
use crate::tiers::{
    AgentRetention, ChunkHead, ChunkId, ClosedSlot, LatestSample, Levels, NewChunk, Outcome, Outline,
    PackedAgent, Removed, Retention, RollupChange, RollupPoint, SeriesName, Sizes, Slice, SlotId, SlotLimits,
    StoredChunk, StoredSample,
};
use crate::{
    AgentKey, AgentRecord, Appended, Latest, Ledger, Position, Role, StagedSample, TaskRecord, TokenHash,
};

/// Connections for queries. More would only compete for the same few cores.
const READERS: u32 = 6;
/// Connections for the writer and for changes, so that slow queries never hold up storing.
const WRITERS: u32 = 2;
/// Connections for compaction and retention, so that they hold up neither.
const WORKERS: u32 = 2;
/// Tables that slots of staging take turns in; the migration makes them.
const PLACES: usize = 8;

#[derive(Debug)]
pub(crate) struct Postgres {
    reader: PgPool,
    writer: PgPool,
    worker: PgPool,
    places: [PlaceStatements; PLACES],
    repeats: Repeats,
    /// Names of partitions that are known to be there.
    partitions: tokio::sync::Mutex<HashSet<String>>,
}

/// What a URL says, or that it can't be read.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    PgConnectOptions::from_str(url).map_err(|_| StoreError::Url)
}

impl Postgres {
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?
            .application_name("nodeglass")
            .options([("statement_timeout", STATEMENT_TIMEOUT.as_millis().to_string())]);
        let pool = |connections, options| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(true)
                .connect_with(options)
        };
        let writer = pool(WRITERS, options.clone())
            .await
            .map_err(StoreError::Connect)?;
        sqlx::migrate!("../../migrations/postgres")
            .run(&writer)
            .await
            .map_err(StoreError::migrate)?;
        let worker = pool(WORKERS, options.clone())
            .await
            .map_err(StoreError::Connect)?;
        let reader = pool(READERS, options).await.map_err(StoreError::Connect)?;
        let store = Self {
            reader,
            writer,
            worker,
            places: PlaceStatements::all(),
            repeats: Repeats::default(),
            partitions: tokio::sync::Mutex::default(),
        };
        within("write down the catalogue", store.fill_metrics()).await?;
        Ok(store)
    }
}

implement_store!(Postgres, "postgres");
