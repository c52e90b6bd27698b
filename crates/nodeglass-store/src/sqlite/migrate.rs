//! Migrations on SQLite: all that are missing in one transaction, which only one program at a time can be in.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqlitePool;
use sqlx::{Error, Executor, Row};
use tokio::time::Instant;

use super::transaction::Transaction;
use crate::StoreError;
use crate::migrate::{Applied, pending};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// How long another program's migrations are waited for.
const PATIENCE: Duration = Duration::from_mins(10);
/// The pause between two attempts; SQLite itself has waited some seconds in each.
const PAUSE: Duration = Duration::from_millis(100);

/// Brings the tables up to date. Several programs may do so at once: one does, the others wait for it.
///
/// # Errors
/// [`StoreError::Schema`] if they are newer; [`StoreError::Busy`] if another program keeps the file.
pub(crate) async fn run(writer: &SqlitePool) -> Result<(), StoreError> {
    run_all(writer, &MIGRATIONS).await
}

pub(crate) async fn run_all(writer: &SqlitePool, migrator: &Migrator) -> Result<(), StoreError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match attempt(writer, migrator).await {
            Err(StoreError::Migration(error)) if is_busy(&error) && Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(StoreError::Migration(error)) if is_busy(&error) => return Err(StoreError::Busy),
            done => return done,
        }
    }
}

async fn attempt(writer: &SqlitePool, migrator: &Migrator) -> Result<(), StoreError> {
    let mut transaction = Transaction::write(writer).await.map_err(StoreError::migration)?;
    transaction
        .execute(include_str!("migrations_table.sql"))
        .await
        .map_err(StoreError::migration)?;
    let rows = sqlx::query("select version, checksum from _sqlx_migrations order by version")
        .fetch_all(&mut *transaction)
        .await
        .map_err(StoreError::migration)?;
    let applied: Vec<Applied> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for migration in pending(migrator, &applied)? {
        let began = Instant::now();
        transaction
            .execute(migration.sql.clone())
            .await
            .map_err(StoreError::migration)?;
        sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             values ($1, $2, true, $3, $4)",
        )
        .bind(migration.version)
        .bind(&*migration.description)
        .bind(&*migration.checksum)
        .bind(began.elapsed().as_nanos() as i64)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::migration)?;
    }
    transaction.commit().await.map_err(StoreError::migration)
}

/// Whether another connection holds the file: `SQLITE_BUSY` or `SQLITE_LOCKED`, with whatever more it says of it.
pub(crate) fn is_busy(error: &Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| matches!(code & 0xff, 5 | 6))
}
