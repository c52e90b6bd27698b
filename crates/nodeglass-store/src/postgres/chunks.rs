//! Chunks: finding them, reading whole ones and slices, replacing them.

use nodeglass_model::{TimeRange, UnixMillis};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::session::Statements;
use crate::AgentKey;
use crate::both::rows;
use crate::tiers::{
    ChunkHead, ChunkId, Level, Levels, MAX_CHUNK_SPAN, NewChunk, Outcome, Outline, RollupChange, Slice,
    StoredChunk,
};

/// The highest level that is wanted, as a number in the database.
fn highest(which: Levels) -> i16 {
    match which {
        Levels::Small => 0,
        Levels::All => 1,
    }
}

/// A chunk's head from a row with t0, rev, t1, level, n and directory from `first` on.
fn head(row: &PgRow, first: usize) -> Result<ChunkHead, sqlx::Error> {
    Ok(ChunkHead {
        id: ChunkId {
            t0: UnixMillis(row.try_get(first)?),
            rev: row.try_get(first + 1)?,
        },
        end: UnixMillis(row.try_get(first + 2)?),
        level: if row.try_get::<i16, _>(first + 3)? == 0 {
            Level::Small
        } else {
            Level::Full
        },
        points: row.try_get::<i32, _>(first + 4)? as u32,
        directory: row.try_get(first + 5)?,
    })
}

/// Inserts chunks by one of two statements.
pub(super) async fn insert(
    statements: &mut Statements,
    statement: &'static str,
    chunks: &[(AgentKey, &NewChunk)],
) -> Result<(), sqlx::Error> {
    let (mut agents, mut starts, mut ends, mut points) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut directories, mut payloads) = (Vec::new(), Vec::new());
    for (agent, chunk) in chunks {
        agents.push(agent.0);
        starts.push(chunk.t0.0);
        ends.push(chunk.end.0);
        points.push(chunk.points as i32);
        directories.push(chunk.directory.as_slice());
        payloads.push(chunk.payload.as_slice());
    }
    if agents.is_empty() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(agents)
        .bind(starts)
        .bind(ends)
        .bind(points)
        .bind(directories)
        .bind(payloads)
        .execute(statements)
        .await
        .map(drop)
}

impl Postgres {
    pub(crate) async fn find_overlapping(
        &self,
        ranges: &[(AgentKey, TimeRange)],
    ) -> Result<Vec<(AgentKey, ChunkHead)>, sqlx::Error> {
        let agents: Vec<i32> = ranges.iter().map(|(agent, _)| agent.0).collect();
        let column =
            |of: fn(&TimeRange) -> i64| ranges.iter().map(|(_, range)| of(range)).collect::<Vec<i64>>();
        let rows = sqlx::query(include_str!("overlapping.sql"))
            .bind(agents)
            .bind(column(|range| range.start.minus(MAX_CHUNK_SPAN).0))
            .bind(column(|range| range.start.0))
            .bind(column(|range| range.end.0))
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| Ok((AgentKey(row.try_get(0)?), head(row, 1)?)))
            .collect()
    }

    pub(crate) async fn read_outline(
        &self,
        agent: AgentKey,
        range: TimeRange,
        which: Levels,
        known: &[ChunkId],
    ) -> Result<Outline, sqlx::Error> {
        let (starts, revs) = columns(known);
        let rows = sqlx::query(include_str!("outline.sql"))
            .bind(agent.0)
            .bind(range.start.minus(MAX_CHUNK_SPAN).0)
            .bind(range.start.0)
            .bind(range.end.0)
            .bind(highest(which))
            .bind(starts)
            .bind(revs)
            .fetch_all(&self.reader)
            .await?;
        rows::outline(agent, &rows)
    }

    pub(crate) async fn list_heads(
        &self,
        agent: AgentKey,
        range: TimeRange,
        which: Levels,
        limit: i64,
    ) -> Result<Vec<ChunkHead>, sqlx::Error> {
        let rows = sqlx::query(include_str!("heads.sql"))
            .bind(agent.0)
            .bind(range.start.minus(MAX_CHUNK_SPAN).0)
            .bind(range.start.0)
            .bind(range.end.0)
            .bind(highest(which))
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(|row| head(row, 0)).collect()
    }

    pub(crate) async fn read_chunks(
        &self,
        agent: AgentKey,
        ids: &[ChunkId],
    ) -> Result<Vec<StoredChunk>, sqlx::Error> {
        let (starts, revs) = columns(ids);
        let rows = sqlx::query(include_str!("chunks.sql"))
            .bind(agent.0)
            .bind(starts)
            .bind(revs)
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredChunk {
                    head: head(row, 0)?,
                    payload: row.try_get(6)?,
                })
            })
            .collect()
    }

    pub(crate) async fn read_slices(
        &self,
        agent: AgentKey,
        slices: &[Slice],
    ) -> Result<Vec<Option<Vec<u8>>>, sqlx::Error> {
        let starts = || slices.iter().map(|slice| slice.chunk.t0.0);
        let (Some(first), Some(last)) = (starts().min(), starts().max()) else {
            return Ok(Vec::new());
        };
        let column = |of: fn(&Slice) -> i32| slices.iter().map(of).collect::<Vec<i32>>();
        let rows = sqlx::query(include_str!("slices.sql"))
            .bind(agent.0)
            .bind(starts().collect::<Vec<_>>())
            .bind(column(|slice| slice.chunk.rev))
            .bind(column(|slice| slice.offset as i32))
            .bind(column(|slice| slice.length as i32))
            .bind(first)
            .bind(last)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    pub(crate) async fn replace_chunks(
        &self,
        agent: AgentKey,
        old: &[ChunkId],
        new: &[NewChunk],
        rollups: &dyn RollupChange,
    ) -> Result<Outcome, sqlx::Error> {
        match self.replace_once(agent, old, new, rollups).await {
            // Another server has dropped one that this one knew.
            Err(error) if has_no_partition(&error) => {
                self.forget_partitions().await;
                self.replace_once(agent, old, new, rollups).await
            }
            done => done,
        }
    }

    async fn replace_once(
        &self,
        agent: AgentKey,
        old: &[ChunkId],
        new: &[NewChunk],
        rollups: &dyn RollupChange,
    ) -> Result<Outcome, sqlx::Error> {
        let hours = rollups.hours();
        self.make_partitions(new.iter().map(|chunk| chunk.t0), &hours)
            .await?;
        let mut transaction = self.worker.begin().await?;
        sqlx::query(include_str!("lock_agent.sql"))
            .bind(agent.0)
            .execute(&mut *transaction)
            .await?;
        let (starts, revs) = columns(old);
        let mut removed = sqlx::query(include_str!("remove_small.sql"))
            .bind(agent.0)
            .bind(&starts)
            .bind(&revs)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if removed < old.len() as u64 {
            removed += sqlx::query(include_str!("remove_full.sql"))
                .bind(agent.0)
                .bind(&starts)
                .bind(&revs)
                .bind(starts.iter().min())
                .bind(starts.iter().max())
                .execute(&mut *transaction)
                .await?
                .rows_affected();
        }
        if removed < old.len() as u64 {
            return Ok(Outcome::Stale);
        }
        let chunks: Vec<_> = new.iter().map(|chunk| (agent, chunk)).collect();
        insert(&mut transaction, include_str!("put_full.sql"), &chunks).await?;
        super::rollups::change(&mut transaction, agent, &hours, rollups).await?;
        sqlx::query(include_str!("note_merge.sql"))
            .bind(agent.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Outcome::Done)
    }
}

/// Whether there is no partition for a row.
fn has_no_partition(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_check_violation)
}

fn columns(ids: &[ChunkId]) -> (Vec<i64>, Vec<i32>) {
    ids.iter().map(|id| (id.t0.0, id.rev)).unzip()
}
