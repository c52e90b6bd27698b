//! Removing what is too old, by whole partitions where all in one is, and what each tier takes on disk.

use std::collections::BTreeMap;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::METRICS;
use sqlx::Row;

use super::Postgres;
use super::partitions::{Parted, list};
use super::slots::gave_up_waiting;
use crate::both::rows::millis;
use crate::tiers::{MAX_CHUNK_SPAN, Removed, Retention, Sizes};

/// Rows deleted by one step: few enough that it is over in milliseconds.
const BATCH: i64 = 500;

/// Where nobody keeps anything for as long as this, whole days are too coarse.
const BY_DAYS: Duration = Duration::from_hours(3 * 24);

/// The shortest and the longest time that something is kept, of all agents, in milliseconds.
struct Keeping {
    default: i64,
    shortest: i64,
    longest: i64,
}

impl Keeping {
    /// Of agents that keep something for less than this, rows are deleted; of the others whole partitions go.
    fn rows_below(&self) -> i64 {
        if self.longest < millis(BY_DAYS) {
            i64::MAX
        } else {
            self.longest
        }
    }
}

impl Postgres {
    pub(crate) async fn remove_old(
        &self,
        retention: &Retention,
        now: UnixMillis,
    ) -> Result<Removed, sqlx::Error> {
        let (raw, rollups) = (millis(retention.raw), millis(retention.rollups));
        let row = sqlx::query(include_str!("keeping.sql"))
            .bind(raw)
            .bind(rollups)
            .fetch_one(&self.reader)
            .await?;
        let of_chunks = Keeping {
            default: raw,
            shortest: row.try_get(0)?,
            longest: row.try_get(1)?,
        };
        let of_rollups = Keeping {
            default: rollups,
            shortest: row.try_get(2)?,
            longest: row.try_get(3)?,
        };
        let mut removed = Removed::default();
        for (parted, keeping) in [(Parted::Chunks, &of_chunks), (Parted::Rollups, &of_rollups)] {
            removed.partitions += self.drop_old(parted, keeping, now).await?;
        }
        removed.chunks = self.remove_old_chunks(&of_chunks, now).await?;
        removed.rollups = self.remove_old_rollups(&of_rollups, now).await?;
        sqlx::query(include_str!("forget_latest.sql"))
            .bind(now.0)
            .bind(raw)
            .execute(&self.worker)
            .await?;
        removed.more = removed.chunks.max(removed.rollups) >= BATCH as u64;
        Ok(removed)
    }

    async fn drop_old(&self, parted: Parted, keeping: &Keeping, now: UnixMillis) -> Result<u64, sqlx::Error> {
        let mut transaction = self.reader.begin().await?;
        let partitions = list(&mut transaction, parted).await?;
        transaction.commit().await?;
        let mut dropped = 0;
        for partition in partitions.iter().filter(|one| !one.is_early()) {
            // A chunk lies where it begins.
            let end = match parted {
                Parted::Chunks => partition.end.plus(MAX_CHUNK_SPAN),
                Parted::Rollups => partition.end,
            };
            if end.0 > now.0.saturating_sub(keeping.longest) {
                continue;
            }
            match self.drop_partition(partition).await {
                // Somebody reads it. It is tried again with the next step.
                Err(error) if gave_up_waiting(&error) => {}
                other => {
                    other?;
                    dropped += 1;
                }
            }
        }
        Ok(dropped)
    }

    async fn remove_old_chunks(&self, keeping: &Keeping, now: UnixMillis) -> Result<u64, sqlx::Error> {
        let rows = old(include_str!("old_chunks.sql"), keeping, now)
            .fetch_all(&self.reader)
            .await?;
        let mut agents: BTreeMap<i32, (Vec<i64>, Vec<i32>)> = BTreeMap::new();
        for row in &rows {
            let (starts, revs) = agents.entry(row.try_get(0)?).or_default();
            starts.push(row.try_get(1)?);
            revs.push(row.try_get(2)?);
        }
        let mut removed = 0;
        for (agent, (starts, revs)) in agents {
            removed += sqlx::query(include_str!("remove_full.sql"))
                .bind(agent)
                .bind(&starts)
                .bind(&revs)
                .bind(starts.iter().min())
                .bind(starts.iter().max())
                .execute(&self.worker)
                .await?
                .rows_affected();
        }
        Ok(removed)
    }

    async fn remove_old_rollups(&self, keeping: &Keeping, now: UnixMillis) -> Result<u64, sqlx::Error> {
        let rows = old(include_str!("old_rollups.sql"), keeping, now)
            .fetch_all(&self.reader)
            .await?;
        let mut agents: BTreeMap<i32, (Vec<i32>, Vec<i64>)> = BTreeMap::new();
        for row in &rows {
            let (blocks, hours) = agents.entry(row.try_get(0)?).or_default();
            blocks.push(row.try_get(1)?);
            hours.push(row.try_get(2)?);
        }
        let mut removed = 0;
        for (agent, (blocks, hours)) in agents {
            removed += sqlx::query(include_str!("remove_rollups.sql"))
                .bind(agent)
                .bind(&blocks)
                .bind(&hours)
                .bind(hours.iter().min())
                .bind(hours.iter().max())
                .execute(&self.worker)
                .await?
                .rows_affected();
        }
        Ok(removed)
    }

    pub(crate) async fn measure_sizes(&self) -> Result<Sizes, sqlx::Error> {
        let row = sqlx::query(include_str!("sizes.sql"))
            .fetch_one(&self.reader)
            .await?;
        let bytes = |column: usize| row.try_get::<i64, _>(column).map(|bytes| bytes as u64);
        Ok(Sizes {
            staging: bytes(0)?,
            small_chunks: bytes(1)?,
            full_chunks: bytes(2)?,
            rollups: bytes(3)?,
        })
    }

    /// Writes the catalogue down for those who read the database with SQL.
    pub(super) async fn fill_metrics(&self) -> Result<(), sqlx::Error> {
        sqlx::query(include_str!("fill_metrics.sql"))
            .bind(
                METRICS
                    .iter()
                    .map(|metric| metric.id.0 as i16)
                    .collect::<Vec<_>>(),
            )
            .bind(METRICS.iter().map(|metric| metric.path).collect::<Vec<_>>())
            .bind(
                METRICS
                    .iter()
                    .map(|metric| metric.unit.name())
                    .collect::<Vec<_>>(),
            )
            .bind(
                METRICS
                    .iter()
                    .map(|metric| metric.kind.name())
                    .collect::<Vec<_>>(),
            )
            .bind(
                METRICS
                    .iter()
                    .map(|metric| metric.description)
                    .collect::<Vec<_>>(),
            )
            .execute(&self.writer)
            .await
            .map(drop)
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn old(statement: &'static str, keeping: &Keeping, now: UnixMillis) -> Query<'static> {
    sqlx::query(statement)
        .bind(now.0)
        .bind(keeping.shortest)
        .bind(keeping.default)
        .bind(keeping.rows_below())
        .bind(BATCH)
}
