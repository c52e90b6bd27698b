//! PostgreSQL: groups of samples go in as arrays, one statement a group.

use std::str::FromStr;

use nodeglass_model::{AgentId, SampleId, TimeRange, UnixMillis};
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::both::{implement_store, token_hash};
use crate::error::{ACQUIRE_TIMEOUT, STATEMENT_TIMEOUT, StoreError, within};
use crate::{
    AgentKey, AgentRecord, Appended, Latest, Ledger, Position, Role, StagedSample, TaskRecord, TokenHash,
};

/// Connections for queries. More would only compete for the same few cores.
const READERS: u32 = 6;
/// Connections for the writer and for changes, so that slow queries never hold up storing.
const WRITERS: u32 = 2;

#[derive(Debug)]
pub(crate) struct Postgres {
    reader: PgPool,
    writer: PgPool,
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
        let reader = pool(READERS, options).await.map_err(StoreError::Connect)?;
        Ok(Self { reader, writer })
    }

    /// Stores a group in one transaction; says how many samples were new, by weight.
    async fn append_group(&self, samples: &[StagedSample]) -> Result<u64, sqlx::Error> {
        let timestamps: Vec<i64> = samples.iter().map(|sample| sample.timestamp.0).collect();
        let agents: Vec<i32> = samples.iter().map(|sample| sample.agent.0).collect();
        let epochs: Vec<i64> = samples.iter().map(|sample| sample.id.epoch as i64).collect();
        let seqs: Vec<i64> = samples.iter().map(|sample| sample.id.seq as i64).collect();
        let weights: Vec<i32> = samples.iter().map(|sample| sample.weight as i32).collect();
        let payloads: Vec<&[u8]> = samples.iter().map(|sample| sample.payload.as_slice()).collect();

        let mut transaction = self.writer.begin().await?;
        let stored: i64 = sqlx::query_scalar(include_str!("postgres/append.sql"))
            .bind(&timestamps)
            .bind(&agents)
            .bind(&epochs)
            .bind(&seqs)
            .bind(&payloads)
            .bind(&weights)
            .fetch_one(&mut *transaction)
            .await?;
        sqlx::query(include_str!("postgres/append_latest.sql"))
            .bind(&timestamps)
            .bind(&agents)
            .bind(&epochs)
            .bind(&seqs)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(stored as u64)
    }
}

implement_store!(Postgres, "postgres");
