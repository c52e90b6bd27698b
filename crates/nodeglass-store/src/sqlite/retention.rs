//! Removing what is too old or too much, a little at a time, and what each tier takes on disk.
//!
//! The file does not shrink: the room of what was removed is used for what comes next.

use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::METRICS;
use sqlx::Row;

use super::Sqlite;
use super::transaction::Transaction;
use crate::both::rows::millis;
use crate::tiers::{Removed, Retention, Sizes};

/// Rows deleted by one statement: few enough that the writer hardly waits.
const BATCH: i64 = 200;

impl Sqlite {
    pub(crate) async fn remove_old(
        &self,
        retention: &Retention,
        now: UnixMillis,
    ) -> Result<Removed, sqlx::Error> {
        let (raw, rollups) = (millis(retention.raw), millis(retention.rollups));
        let shortest = sqlx::query(include_str!("shortest.sql"))
            .bind(raw)
            .bind(rollups)
            .fetch_one(&self.reader)
            .await?;
        let (shortest_raw, shortest_rollups): (i64, i64) = (shortest.try_get(0)?, shortest.try_get(1)?);
        let mut chunks = sqlx::query(include_str!("remove_old_chunks.sql"))
            .bind(now.0)
            .bind(shortest_raw)
            .bind(raw)
            .bind(BATCH)
            .execute(&self.writer)
            .await?
            .rows_affected();
        let mut cut = None;
        if chunks == 0 && self.is_over(retention.max_bytes).await? {
            let ends: Vec<i64> = sqlx::query_scalar(include_str!("remove_oldest_chunks.sql"))
                .bind(BATCH)
                .fetch_all(&self.writer)
                .await?;
            chunks = ends.len() as u64;
            cut = ends.into_iter().max().map(UnixMillis);
        }
        sqlx::query(include_str!("forget_latest.sql"))
            .bind(now.0)
            .bind(raw)
            .execute(&self.writer)
            .await?;
        let rollups = sqlx::query(include_str!("remove_old_rollups.sql"))
            .bind(now.0)
            .bind(shortest_rollups)
            .bind(rollups)
            .bind(BATCH)
            .execute(&self.writer)
            .await?
            .rows_affected();
        Ok(Removed {
            chunks,
            rollups,
            partitions: 0,
            cut,
            more: chunks.max(rollups) >= BATCH as u64,
        })
    }

    /// Whether the file holds more than it may.
    async fn is_over(&self, max_bytes: Option<u64>) -> Result<bool, sqlx::Error> {
        let Some(max_bytes) = max_bytes else {
            return Ok(false);
        };
        let used: i64 = sqlx::query_scalar(include_str!("used_bytes.sql"))
            .fetch_one(&self.reader)
            .await?;
        Ok(used as u64 > max_bytes)
    }

    /// Passes over the whole file, which takes a while if it is large.
    pub(crate) async fn measure_sizes(&self) -> Result<Sizes, sqlx::Error> {
        let row = sqlx::query(include_str!("sizes.sql"))
            .fetch_one(&self.reader)
            .await?;
        let bytes = |column: usize| row.try_get::<i64, _>(column).map(|bytes| bytes as u64);
        // Both levels lie in one table. Small ones are counted by what is in them.
        let (chunks, small_chunks) = (bytes(1)?, bytes(2)?);
        Ok(Sizes {
            staging: bytes(0)?,
            small_chunks,
            full_chunks: chunks.saturating_sub(small_chunks),
            rollups: bytes(3)?,
        })
    }

    /// Writes the catalogue down for those who read the database with SQL.
    pub(super) async fn fill_metrics(&self) -> Result<(), sqlx::Error> {
        let mut transaction = Transaction::write(&self.writer).await?;
        for metric in METRICS {
            sqlx::query(include_str!("fill_metric.sql"))
                .bind(metric.id.0)
                .bind(metric.path)
                .bind(metric.unit.name())
                .bind(metric.kind.name())
                .bind(metric.description)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }
}
