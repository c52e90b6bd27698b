//! What a benchmark asks of the database itself: bytes of its tables, what it wrote ahead, how long a commit takes.

use anyhow::Context;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

/// A connection for questions of the database itself.
#[derive(Debug)]
pub enum Engine {
    /// PostgreSQL.
    Postgres(PgPool),
    /// SQLite.
    Sqlite(SqlitePool),
}

impl Engine {
    /// Connects.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite(SqlitePool::connect(url).await?))
        } else {
            Ok(Self::Postgres(PgPool::connect(url).await?))
        }
    }

    /// Bytes written ahead so far; `None` where the database does not say.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn wal_bytes(&self) -> anyhow::Result<Option<f64>> {
        let Self::Postgres(pool) = self else {
            return Ok(None);
        };
        let query = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8";
        Ok(Some(sqlx::query_scalar(query).fetch_one(pool).await?))
    }

    /// The process that serves this connection, on the database's host.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn process(&self) -> anyhow::Result<Option<i32>> {
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
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn commit(&self) -> anyhow::Result<bool> {
        let Self::Postgres(pool) = self else {
            return Ok(false);
        };
        let query = "select pg_logical_emit_message(true, 'nodeglass-fleet', '')::text";
        sqlx::query(query).execute(pool).await?;
        Ok(true)
    }

    /// Frees the room that removed rows left, as the database does by itself in time.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn vacuum(&self) -> anyhow::Result<()> {
        match self {
            Self::Postgres(pool) => sqlx::query("vacuum analyze").execute(pool).await.map(drop)?,
            // Its free pages are no tier's.
            Self::Sqlite(_) => {}
        }
        Ok(())
    }

    /// Bytes of each tier, tables with what belongs to them: `{"staging": {"table": …, "index": …}, …}`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn tiers(&self) -> anyhow::Result<Value> {
        let mut tiers = json!({});
        let mut add = |table: &str, bytes: i64, index: bool| {
            let known = ["staging", "chunk", "rollup"];
            let tier = match table {
                // The names of what rollups have.
                "series" => "rollup",
                _ => known
                    .into_iter()
                    .find(|tier| table.starts_with(tier))
                    .unwrap_or("other"),
            };
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
