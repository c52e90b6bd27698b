//! What the database has at the end: whether each sample of the fleet is there once and as it was sent, and in how many bytes.

use std::collections::HashSet;

use anyhow::{Context, ensure};
use nodeglass_model::{AgentId, Sample, SampleId, TimeRange, UnixMillis};
use nodeglass_store::{AgentKey, Position, Store};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

use crate::player::EPOCH;

/// Samples that are read at once.
const PAGE: u32 = 5_000;

/// What became of the fleet's samples.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Samples in the store, each counted once.
    pub(crate) stored: u64,
    /// Samples that were sent and are not in the store.
    pub(crate) lost: u64,
    /// Samples that the store has more than once.
    pub(crate) duplicate: u64,
    /// Samples that came to the server again, by its ledger.
    pub(crate) repeated: u64,
}

impl Found {
    /// Adds what became of one agent's samples, of which those from 1 to `sent` were sent. `check` is given each of them.
    pub(crate) async fn add(
        &mut self,
        store: &dyn Store,
        agent: AgentKey,
        sent: u64,
        mut check: impl FnMut(SampleId, Sample) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let range = TimeRange {
            start: UnixMillis(0),
            end: UnixMillis(i64::MAX),
        };
        let mut seen = HashSet::new();
        let mut after: Option<Position> = None;
        loop {
            let page = store.samples(agent, range, after, PAGE).await?;
            after = page.last().map(nodeglass_store::tiers::StoredSample::position);
            for staged in &page {
                if seen.insert(staged.id.seq) {
                    check(staged.id, staged.sample.clone())?;
                } else {
                    self.duplicate += 1;
                }
                ensure!(
                    staged.id.epoch == EPOCH && (1..=sent).contains(&staged.id.seq),
                    "the store has a sample that was never sent: {:?}",
                    staged.id
                );
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
        self.stored += seen.len() as u64;
        self.lost += sent - seen.len() as u64;
        self.repeated += store.ledger(agent).await?.duplicate;
        Ok(())
    }
}

/// The fleet's agents and their keys.
pub(crate) async fn keys(store: &dyn Store) -> anyhow::Result<Vec<(AgentId, AgentKey)>> {
    let agents = store.agents().await?;
    Ok(agents.into_iter().map(|agent| (agent.id, agent.key)).collect())
}

/// Questions of the database itself.
pub(crate) enum Engine {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Engine {
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite(SqlitePool::connect(url).await?))
        } else {
            Ok(Self::Postgres(PgPool::connect(url).await?))
        }
    }

    /// Bytes written ahead so far; `None` where the database does not say.
    pub(crate) async fn wal_bytes(&self) -> anyhow::Result<Option<f64>> {
        let Self::Postgres(pool) = self else {
            return Ok(None);
        };
        let query = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8";
        Ok(Some(sqlx::query_scalar(query).fetch_one(pool).await?))
    }

    /// The process that serves this connection, on the database's host.
    pub(crate) async fn process(&self) -> anyhow::Result<Option<i32>> {
        let Self::Postgres(pool) = self else {
            return Ok(None);
        };
        Ok(Some(
            sqlx::query_scalar("select pg_backend_pid()")
                .fetch_one(pool)
                .await?,
        ))
    }

    /// Commits next to nothing: how long that takes is how long a commit takes now. `false` where it can't be asked.
    pub(crate) async fn commit(&self) -> anyhow::Result<bool> {
        let Self::Postgres(pool) = self else {
            return Ok(false);
        };
        let query = "select pg_logical_emit_message(true, 'nodeglass-fleet', '')::text";
        sqlx::query(query).execute(pool).await?;
        Ok(true)
    }

    /// Bytes of each tier, tables with what belongs to them: `{"staging": {"table": …, "index": …}, …}`.
    pub(crate) async fn tiers(&self) -> anyhow::Result<Value> {
        let mut tiers = json!({});
        let mut add = |table: &str, bytes: i64, index: bool| {
            let known = ["staging", "chunk", "rollup"];
            let tier = known
                .into_iter()
                .find(|tier| table.starts_with(tier))
                .unwrap_or("other");
            let part = if index { "index" } else { "table" };
            let before = tiers[tier][part].as_i64().unwrap_or(0);
            tiers[tier][part] = (before + bytes).into();
        };
        match self {
            Self::Postgres(pool) => {
                let rows = sqlx::query(
                    "select relname::text, pg_table_size(oid), pg_indexes_size(oid) from pg_class
                     where relkind in ('r', 'm') and relnamespace = current_schema()::regnamespace",
                );
                for row in rows.fetch_all(pool).await? {
                    let table: String = row.get(0);
                    add(&table, row.get(1), false);
                    add(&table, row.get(2), true);
                }
            }
            Self::Sqlite(pool) => {
                let rows = sqlx::query(
                    "select tbl_name, sum(pgsize), type = 'index' from dbstat join sqlite_schema using (name)
                     group by tbl_name, type",
                );
                for row in rows.fetch_all(pool).await.context("SQLite's dbstat")? {
                    let table: String = row.get(0);
                    add(&table, row.get(1), row.get(2));
                }
            }
        }
        Ok(tiers)
    }
}
