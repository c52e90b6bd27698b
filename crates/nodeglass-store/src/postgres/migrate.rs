//! Migrations on PostgreSQL: each in a transaction of its own, one server at a time, and never in the way of ingest for long.
//!
//! `sqlx`'s own runner locks with a session's lock and names its statements; neither works behind a pooler.

use std::time::Duration;

use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, Error, Executor, Row};
use tokio::time::Instant;

use super::pool::Pool;
use super::session::Transaction;
use crate::StoreError;
use crate::migrate::{Applied, pending};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// The lock of whoever migrates: "nodeglas" in ASCII. Others may lock what they like beside it.
const LOCK: i64 = i64::from_be_bytes(*b"nodeglas");
/// How long one statement of a migration may take.
const STATEMENT: Duration = Duration::from_mins(30);
/// How long a migration waits for the tables that it changes. Whoever comes after it waits behind it, and that is ingest:
/// so briefly, and again and again.
const TABLES: Duration = Duration::from_millis(500);
/// How long a migration that did not get its tables lets others have them.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it is tried to get the tables, or for another server's migrations to end.
const PATIENCE: Duration = Duration::from_mins(10);

/// What has to be locked before a migration that copies rows into another table, so that none is written behind its back, and
/// does not say so itself: its text can't change any more.
const COPYING: [(i64, &str); 1] = [(11, "lock table series in share row exclusive mode")];

/// Brings the tables up to date. Several servers may do so at once: one does, the others wait for it.
///
/// # Errors
/// [`StoreError::Schema`] if they are newer; [`StoreError::Busy`] if the tables could not be had.
pub(crate) async fn run(pool: &Pool) -> Result<(), StoreError> {
    run_all(pool, &MIGRATIONS).await
}

pub(crate) async fn run_all(pool: &Pool, migrator: &Migrator) -> Result<(), StoreError> {
    let until = Instant::now() + PATIENCE;
    loop {
        // Without a lock first: mostly nothing is to be done, and then nothing is in anybody's way.
        let applied = applied(pool).await.map_err(StoreError::migration)?;
        if pending(migrator, &applied)?.is_empty() {
            return Ok(());
        }
        match step(pool, migrator).await {
            Ok(()) => {}
            Err(StoreError::Migration(error)) if is_busy(&error) && Instant::now() < until => {
                tracing::info!("the database's tables are in use; trying again to bring them up to date");
                tokio::time::sleep(PAUSE).await;
            }
            Err(StoreError::Migration(error)) if is_busy(&error) => return Err(StoreError::Busy),
            Err(error) => return Err(error),
        }
    }
}

/// What was applied, or nothing where there is not even a table for it.
async fn applied(pool: &Pool) -> Result<Vec<Applied>, Error> {
    let mut transaction = pool.begin().await?;
    let applied = applied_within(&mut transaction).await?;
    transaction.commit().await?;
    Ok(applied)
}

async fn applied_within(transaction: &mut Transaction) -> Result<Vec<Applied>, Error> {
    // Not to_regclass: within a transaction it may still say what was so before the lock was waited for.
    const IS_THERE: &str = "select exists (select from pg_catalog.pg_class \
                            where relname = '_sqlx_migrations' and pg_catalog.pg_table_is_visible(oid))";
    let exists: bool = sqlx::query_scalar(IS_THERE).fetch_one(&mut **transaction).await?;
    if !exists {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("select version, checksum from _sqlx_migrations order by version")
        .fetch_all(&mut **transaction)
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Applies the next migration, if another server has not done so meanwhile.
async fn step(pool: &Pool, migrator: &Migrator) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await.map_err(StoreError::migration)?;
    match apply_next(&mut transaction, migrator).await {
        Ok(()) => transaction.commit().await.map_err(StoreError::migration),
        Err(error) => {
            // At once, so that nobody waits for its locks until the server has noticed. Where that fails it is dropped.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

async fn apply_next(transaction: &mut Transaction, migrator: &Migrator) -> Result<(), StoreError> {
    locked(transaction).await.map_err(StoreError::migration)?;
    let applied = applied_within(transaction).await.map_err(StoreError::migration)?;
    match pending(migrator, &applied)?.first() {
        Some(next) => apply(transaction, next).await.map_err(StoreError::migration),
        None => Ok(()),
    }
}

/// Waits for its turn. The lock ends with the transaction.
async fn locked(transaction: &mut Transaction) -> Result<(), Error> {
    let limits = format!(
        "set local statement_timeout = {}; set local lock_timeout = {}",
        STATEMENT.as_millis(),
        PATIENCE.as_millis()
    );
    transaction.execute(AssertSqlSafe(limits)).await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut **transaction)
        .await?;
    let limit = format!("set local lock_timeout = {}", TABLES.as_millis());
    transaction.execute(AssertSqlSafe(limit)).await?;
    Ok(())
}

async fn apply(transaction: &mut Transaction, migration: &Migration) -> Result<(), Error> {
    let began = Instant::now();
    transaction.execute(include_str!("migrations_table.sql")).await?;
    for (_, lock) in COPYING
        .iter()
        .filter(|(version, _)| *version == migration.version)
    {
        transaction.execute(*lock).await?;
    }
    transaction.execute(migration.sql.clone()).await?;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values ($1, $2, true, $3, $4)",
    )
    .bind(migration.version)
    .bind(&*migration.description)
    .bind(&*migration.checksum)
    .bind(began.elapsed().as_nanos() as i64)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Whether somebody else holds what is wanted: a lock that was not had in time, or two that waited for each other.
fn is_busy(error: &Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

#[cfg(test)]
mod tests;
