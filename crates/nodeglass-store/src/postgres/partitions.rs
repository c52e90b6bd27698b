//! Partitions of full chunks and of rollups: made when a chunk needs them, dropped whole when all in them is too old.

use std::collections::BTreeMap;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use sqlx::{AssertSqlSafe, Row};

use super::Postgres;
use super::session::Statements;
use super::slots::limit_waiting;

/// What a partition of full chunks spans.
const DAY: Duration = Duration::from_hours(24);
/// What a partition of rollups spans.
const MONTH: Duration = Duration::from_hours(24 * 30);

/// A table that is partitioned by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parted {
    Chunks,
    Rollups,
}

impl Parted {
    fn table(self) -> &'static str {
        match self {
            Self::Chunks => "chunk_full",
            Self::Rollups => "rollup",
        }
    }

    fn span(self) -> Duration {
        match self {
            Self::Chunks => DAY,
            Self::Rollups => MONTH,
        }
    }

    /// A partition's name: `chunk_20261121`, by its first day.
    fn name(self, start: UnixMillis) -> String {
        let prefix = match self {
            Self::Chunks => "chunk",
            Self::Rollups => "rollup",
        };
        let day: String = (start.to_string().chars())
            .filter(char::is_ascii_digit)
            .take(8)
            .collect();
        format!("{prefix}_{day}")
    }

    fn statement(self, start: UnixMillis) -> String {
        let (table, name) = (self.table(), self.name(start));
        // What arrays hold is of no use to the planner, and costs much to count.
        let made = match self {
            Self::Chunks => " with (toast_tuple_target = 4080)".to_owned(),
            Self::Rollups => ["count", "mean", "min", "max"]
                .iter()
                .fold(String::new(), |made, column| {
                    format!("{made}; alter table {name} alter column {column} set statistics 0")
                }),
        };
        let end = start.plus(self.span()).0;
        format!(
            "create table {name} (like {table} including defaults including storage){made}; \
             alter table {table} attach partition {name} for values from ({}) to ({end})",
            start.0
        )
    }
}

/// A partition: its name, and just after what it holds.
#[derive(Debug, Clone)]
pub(super) struct Partition {
    pub(super) name: String,
    pub(super) end: UnixMillis,
}

impl Partition {
    /// Whether it is the one for everything before the first day, which stays.
    pub(super) fn is_early(&self) -> bool {
        self.name.ends_with("_early")
    }
}

pub(super) async fn list(statements: &mut Statements, parted: Parted) -> Result<Vec<Partition>, sqlx::Error> {
    let rows = sqlx::query(include_str!("partitions.sql"))
        .bind(parted.table())
        .fetch_all(statements)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Partition {
                name: row.try_get(0)?,
                end: UnixMillis(row.try_get(1)?),
            })
        })
        .collect()
}

impl Postgres {
    /// Sees to it that there are partitions for chunks that begin at these times, and for these hours.
    pub(super) async fn make_partitions(
        &self,
        chunks: impl Iterator<Item = UnixMillis>,
        hours: &[UnixMillis],
    ) -> Result<(), sqlx::Error> {
        let mut wanted = BTreeMap::new();
        let chunks = chunks.map(|at| (Parted::Chunks, at));
        for (parted, at) in chunks.chain(hours.iter().map(|hour| (Parted::Rollups, *hour))) {
            let start = at.floor(parted.span());
            wanted.insert(parted.name(start), (parted, start));
        }
        {
            let known = self.partitions.lock().await;
            wanted.retain(|name, _| !known.contains(name));
        }
        for (name, (parted, start)) in wanted {
            self.make_partition(parted, start).await?;
            self.partitions.lock().await.insert(name);
        }
        Ok(())
    }

    /// Looks for partitions anew.
    pub(super) async fn forget_partitions(&self) {
        self.partitions.lock().await.clear();
    }

    async fn make_partition(&self, parted: Parted, start: UnixMillis) -> Result<(), sqlx::Error> {
        let mut transaction = self.worker.begin().await?;
        limit_waiting(&mut transaction).await?;
        sqlx::query(include_str!("lock_partitions.sql"))
            .execute(&mut *transaction)
            .await?;
        let there = list(&mut transaction, parted).await?;
        let name = parted.name(start);
        let is_there = there
            .iter()
            .any(|one| one.name == name || (one.is_early() && start < one.end));
        if !is_there {
            sqlx::raw_sql(AssertSqlSafe(parted.statement(start)))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Drops a partition; whoever reads or merges meanwhile waits no longer than the lock timeout, and who appends never.
    pub(super) async fn drop_partition(&self, partition: &Partition) -> Result<(), sqlx::Error> {
        self.partitions.lock().await.remove(&partition.name);
        let mut transaction = self.worker.begin().await?;
        limit_waiting(&mut transaction).await?;
        sqlx::query(include_str!("lock_partitions.sql"))
            .execute(&mut *transaction)
            .await?;
        let statement = format!("drop table if exists {}", partition.name);
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}
