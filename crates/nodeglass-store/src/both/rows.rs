//! What both databases read out of rows, and write into them, alike.

use std::time::Duration;

use nodeglass_model::{SampleId, UnixMillis};
use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::tiers::{AgentRetention, ChunkId, HoursVersion, Level, Outline, OutlinedChunk};
use crate::{AgentKey, FleetToken, NO_AGENT, StagedSample};

/// A span in milliseconds, as the database has it.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A span as the database has it; `None` for null.
fn span(millis: Option<i64>) -> Option<Duration> {
    millis.map(|millis| Duration::from_millis(millis.unsigned_abs()))
}

/// How long something is kept that is not kept as long as all: a row of agent, samples and rollups.
pub(crate) fn agent_retention<'r, R>(row: &'r R) -> Result<(AgentKey, AgentRetention), sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
{
    let retention = AgentRetention {
        raw: span(row.try_get(1)?),
        rollups: span(row.try_get(2)?),
    };
    Ok((AgentKey(row.try_get(0)?), retention))
}

/// A fleet token from a row of `fleet_tokens.sql`.
pub(crate) fn fleet_token<'r, R>(row: &'r R) -> FleetToken
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let moment = |at: Option<i64>| at.map(UnixMillis);
    FleetToken {
        name: row.get(0),
        created_at: UnixMillis(row.get(1)),
        until: moment(row.get(2)),
        max_uses: row.get::<Option<i64>, _>(3).map(i64::unsigned_abs),
        uses: row.get::<i64, _>(4).unsigned_abs(),
        pattern: row.get(5),
        labels: row.get(6),
        revoked_at: moment(row.get(7)),
    }
}

/// `done_through` in the database.
pub(crate) fn through(agent: Option<AgentKey>) -> i64 {
    agent.map_or(NO_AGENT, |agent| i64::from(agent.0))
}

/// A staged sample from a row with time, epoch, number, weight and payload from `first` on.
pub(crate) fn staged<'r, R>(agent: AgentKey, row: &'r R, first: usize) -> Result<StagedSample, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(StagedSample {
        agent,
        timestamp: UnixMillis(row.try_get(first)?),
        id: SampleId {
            epoch: row.try_get::<i64, _>(first + 1)? as u64,
            seq: row.try_get::<i64, _>(first + 2)? as u64,
        },
        weight: row.try_get::<i32, _>(first + 3)? as u32,
        payload: row.try_get(first + 4)?,
    })
}

/// An outline from the rows of `outline.sql`, in whatever order: of staged samples, as [`staged`] reads them, with the level -1
/// behind; of chunks, with time, revision, nothing, points and directory, and their level; the version of the hours with -2.
pub(crate) fn outline<'r, R>(agent: AgentKey, rows: &'r [R]) -> Result<Outline, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut outline = Outline::default();
    for row in rows {
        match row.try_get::<i32, _>(5)? {
            -2 => outline.hours = HoursVersion(row.try_get(0)?),
            -1 => outline.staged.push(staged(agent, row, 0)?),
            level => outline.chunks.push(OutlinedChunk {
                id: ChunkId {
                    t0: UnixMillis(row.try_get(0)?),
                    rev: row.try_get::<i64, _>(1)? as i32,
                },
                level: if level == 0 { Level::Small } else { Level::Full },
                points: row.try_get::<i32, _>(3)? as u32,
                directory: row.try_get(4)?,
            }),
        }
    }
    outline.chunks.sort_unstable_by_key(|chunk| chunk.id);
    outline.staged.sort_unstable_by_key(StagedSample::position);
    Ok(outline)
}
