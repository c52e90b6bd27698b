//! Chunks: finding them, reading whole ones and slices, replacing them.

use nodeglass_model::{TimeRange, UnixMillis};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Sqlite;
use super::transaction::Transaction;
use crate::AgentKey;
use crate::both::rows;
use crate::tiers::{
    ChunkHead, ChunkId, Level, Levels, MAX_CHUNK_SPAN, NewChunk, Outcome, Outline, RollupChange, Slice,
    StoredChunk,
};

/// A level as a number in the database.
pub(super) fn level_number(level: Level) -> i64 {
    match level {
        Level::Small => 0,
        Level::Full => 1,
    }
}

fn level(number: i64) -> Level {
    match number {
        0 => Level::Small,
        _ => Level::Full,
    }
}

/// The highest level that is wanted.
fn highest(which: Levels) -> i64 {
    level_number(match which {
        Levels::Small => Level::Small,
        Levels::All => Level::Full,
    })
}

/// A chunk's head from a row with t0, rev, t1, level, n and directory.
fn head(row: &SqliteRow) -> Result<ChunkHead, sqlx::Error> {
    Ok(ChunkHead {
        id: ChunkId {
            t0: UnixMillis(row.try_get(0)?),
            rev: row.try_get(1)?,
        },
        end: UnixMillis(row.try_get(2)?),
        level: level(row.try_get(3)?),
        points: row.try_get(4)?,
        directory: row.try_get(5)?,
    })
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    agent: AgentKey,
    level: i64,
    chunk: &NewChunk,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("put_chunk.sql"))
        .bind(agent.0)
        .bind(chunk.t0.0)
        .bind(chunk.end.0)
        .bind(level)
        .bind(chunk.points)
        .bind(&chunk.directory[..])
        .bind(&chunk.payload[..])
        .execute(connection)
        .await
        .map(drop)
}

async fn overlapping(
    connection: &mut SqliteConnection,
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
        .fetch_all(connection)
        .await?;
    rows.iter().map(head).collect()
}

impl Sqlite {
    pub(crate) async fn find_overlapping(
        &self,
        ranges: &[(AgentKey, TimeRange)],
    ) -> Result<Vec<(AgentKey, ChunkHead)>, sqlx::Error> {
        // One transaction: a chunk and what replaced it are never both seen, nor neither.
        let mut transaction = Transaction::read(&self.reader).await?;
        let mut found = Vec::new();
        for (agent, range) in ranges {
            let heads = overlapping(&mut transaction, *agent, *range, Levels::All, i64::MAX).await?;
            found.extend(heads.into_iter().map(|head| (*agent, head)));
        }
        transaction.commit().await?;
        Ok(found)
    }

    pub(crate) async fn read_outline(
        &self,
        agent: AgentKey,
        range: TimeRange,
        which: Levels,
        known: &[ChunkId],
    ) -> Result<Outline, sqlx::Error> {
        let revs: Vec<String> = known.iter().map(|id| id.rev.to_string()).collect();
        let rows = sqlx::query(include_str!("outline.sql"))
            .bind(agent.0)
            .bind(range.start.minus(MAX_CHUNK_SPAN).0)
            .bind(range.start.0)
            .bind(range.end.0)
            .bind(highest(which))
            .bind(format!("[{}]", revs.join(",")))
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
        let mut connection = self.reader.acquire().await?;
        overlapping(&mut connection, agent, range, which, limit).await
    }

    pub(crate) async fn read_chunks(
        &self,
        agent: AgentKey,
        ids: &[ChunkId],
    ) -> Result<Vec<StoredChunk>, sqlx::Error> {
        let mut transaction = Transaction::read(&self.reader).await?;
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        let mut chunks = Vec::new();
        for id in ids {
            let row = sqlx::query(include_str!("chunk.sql"))
                .bind(agent.0)
                .bind(id.t0.0)
                .bind(id.rev)
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some(row) = row {
                chunks.push(StoredChunk {
                    head: head(&row)?,
                    payload: row.try_get(6)?,
                });
            }
        }
        transaction.commit().await?;
        Ok(chunks)
    }

    pub(crate) async fn read_slices(
        &self,
        agent: AgentKey,
        slices: &[Slice],
    ) -> Result<Vec<Option<Vec<u8>>>, sqlx::Error> {
        let mut transaction = Transaction::read(&self.reader).await?;
        let mut found = Vec::with_capacity(slices.len());
        for slice in slices {
            let bytes = sqlx::query_scalar(include_str!("slice.sql"))
                .bind(agent.0)
                .bind(slice.chunk.t0.0)
                .bind(slice.chunk.rev)
                .bind(slice.offset)
                .bind(slice.length)
                .fetch_optional(&mut *transaction)
                .await?;
            found.push(bytes);
        }
        transaction.commit().await?;
        Ok(found)
    }

    pub(crate) async fn replace_chunks(
        &self,
        agent: AgentKey,
        old: &[ChunkId],
        new: &[NewChunk],
        rollups: &dyn RollupChange,
    ) -> Result<Outcome, sqlx::Error> {
        let mut transaction = Transaction::write(&self.writer).await?;
        for id in old {
            let removed = sqlx::query(include_str!("remove_chunk.sql"))
                .bind(agent.0)
                .bind(id.t0.0)
                .bind(id.rev)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            if removed == 0 {
                transaction.rollback().await?;
                return Ok(Outcome::Stale);
            }
        }
        for chunk in new {
            insert(&mut transaction, agent, level_number(Level::Full), chunk).await?;
        }
        super::rollups::change(&mut transaction, agent, rollups).await?;
        sqlx::query(include_str!("note_merge.sql"))
            .bind(agent.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Outcome::Done)
    }
}
