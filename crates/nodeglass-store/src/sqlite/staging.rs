//! Staging: storing groups of samples in the open slot, and what becomes of slots.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use nodeglass_model::UnixMillis;
use sqlx::{Row, SqliteConnection};

use super::Sqlite;
use super::chunks::{insert, level_number};
use super::transaction::Transaction;
use crate::both::rows::{staged, through};
use crate::tiers::{Level, Outcome, PackedAgent, SlotId, SlotLimits};
use crate::{AgentKey, Position, StagedSample};

/// Rows of a finished slot removed by one transaction: a few milliseconds.
const BATCH: i64 = 4_000;

struct Slot {
    id: i64,
    is_open: bool,
    min: i64,
    max: i64,
}

impl Sqlite {
    /// Stores a group in one transaction; says how many samples were new, by weight.
    pub(crate) async fn append_group(&self, samples: &[StagedSample]) -> Result<u64, sqlx::Error> {
        if samples.is_empty() {
            return Ok(0);
        }
        let mut group: Vec<&StagedSample> = samples.iter().collect();
        group.sort_by_key(|sample| (sample.timestamp, sample.agent, sample.id, Reverse(sample.weight)));
        let mut transaction = Transaction::write(&self.writer).await?;
        let (open, closed) = slots(&mut transaction).await?;
        let (mut stored, mut bytes) = (0, 0);
        let mut duplicate: BTreeMap<AgentKey, u64> = BTreeMap::new();
        for sample in &group {
            let is_new = !is_known(&mut transaction, &closed, sample).await?
                && sqlx::query(include_str!("append.sql"))
                    .bind(open.id)
                    .bind(sample.timestamp.0)
                    .bind(sample.agent.0)
                    .bind(sample.id.epoch as i64)
                    .bind(sample.id.seq as i64)
                    .bind(sample.weight)
                    .bind(&sample.payload[..])
                    .execute(&mut *transaction)
                    .await?
                    .rows_affected()
                    > 0;
            if is_new {
                stored += u64::from(sample.weight);
                bytes += sample.payload.len();
            } else {
                *duplicate.entry(sample.agent).or_default() += u64::from(sample.weight);
            }
        }
        sqlx::query(include_str!("extend_slot.sql"))
            .bind(open.id)
            .bind(group.first().map(|sample| sample.timestamp.0))
            .bind(group.last().map(|sample| sample.timestamp.0))
            .bind(bytes as i64)
            .execute(&mut *transaction)
            .await?;
        for (agent, weight) in &duplicate {
            sqlx::query(include_str!("append_duplicates.sql"))
                .bind(agent.0)
                .bind(*weight as i64)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(stored)
    }

    pub(crate) async fn close_open_slot(
        &self,
        now: UnixMillis,
        limits: SlotLimits,
    ) -> Result<bool, sqlx::Error> {
        let open = sqlx::query(include_str!("open_slot.sql"))
            .fetch_one(&self.reader)
            .await?;
        let id: i64 = open.try_get(0)?;
        let is_due = now.since(UnixMillis(open.try_get(1)?)) >= limits.age;
        let bytes: i64 = open.try_get(2)?;
        if !is_due && (bytes as u64) < limits.bytes {
            return Ok(false);
        }
        if bytes == 0 {
            sqlx::query(include_str!("postpone_slot.sql"))
                .bind(id)
                .bind(now.0)
                .execute(&self.writer)
                .await?;
            return Ok(false);
        }
        let mut transaction = Transaction::write(&self.writer).await?;
        let closed = sqlx::query(include_str!("close_slot.sql"))
            .bind(id)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if closed == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::query(include_str!("start_slot.sql"))
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    pub(crate) async fn read_slot_rows(
        &self,
        slot: SlotId,
        after: Option<(AgentKey, Position)>,
        limit: u32,
    ) -> Result<Vec<StagedSample>, sqlx::Error> {
        let done: Option<i64> = sqlx::query_scalar(include_str!("done_through.sql"))
            .bind(slot.0)
            .fetch_optional(&self.reader)
            .await?;
        let Some(done) = done else {
            return Ok(Vec::new());
        };
        let done = i32::try_from(done)
            .ok()
            .map(|agent| (AgentKey(agent), Position::LAST));
        let (agent, position) = after.max(done).unwrap_or((AgentKey(i32::MIN), Position::FIRST));
        let rows = sqlx::query(include_str!("slot_rows.sql"))
            .bind(slot.0)
            .bind(agent.0)
            .bind(position.timestamp.0)
            .bind(position.id.epoch as i64)
            .bind(position.id.seq as i64)
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| staged(AgentKey(row.try_get(0)?), row, 1))
            .collect()
    }

    pub(crate) async fn put_small_chunks(
        &self,
        slot: SlotId,
        after: Option<AgentKey>,
        last: AgentKey,
        packed: &[PackedAgent],
        now: UnixMillis,
    ) -> Result<Outcome, sqlx::Error> {
        let mut transaction = Transaction::write(&self.writer).await?;
        let advanced = sqlx::query(include_str!("advance_slot.sql"))
            .bind(slot.0)
            .bind(through(after))
            .bind(last.0)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if advanced == 0 {
            transaction.rollback().await?;
            return Ok(Outcome::Stale);
        }
        for one in packed {
            for chunk in &one.chunks {
                insert(&mut transaction, one.agent, level_number(Level::Small), chunk).await?;
            }
            let points: u32 = one.chunks.iter().map(|chunk| chunk.points).sum();
            sqlx::query(include_str!("count_packed.sql"))
                .bind(one.agent.0)
                .bind(one.stored as i64)
                .bind(one.duplicate as i64)
                .bind(points)
                .bind(now.0)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Outcome::Done)
    }

    /// Removes a batch of the rows of slots that are done, or the slot once it has none.
    pub(crate) async fn empty_slots(&self, _: UnixMillis) -> Result<bool, sqlx::Error> {
        let finished: Vec<i64> = sqlx::query_scalar(include_str!("finished_slots.sql"))
            .fetch_all(&self.reader)
            .await?;
        let Some(slot) = finished.first() else {
            return Ok(false);
        };
        let mut transaction = Transaction::write(&self.writer).await?;
        let removed = sqlx::query(include_str!("empty_slot.sql"))
            .bind(slot)
            .bind(BATCH)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        let is_empty = removed < BATCH as u64;
        if is_empty {
            sqlx::query(include_str!("remove_slot.sql"))
                .bind(slot)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(!is_empty || finished.len() > 1)
    }
}

/// The open slot, and those closed ones that still have rows to be compacted.
async fn slots(connection: &mut SqliteConnection) -> Result<(Slot, Vec<Slot>), sqlx::Error> {
    let rows = sqlx::query(include_str!("slots_for_append.sql"))
        .fetch_all(connection)
        .await?;
    let (mut open, mut closed) = (None, Vec::new());
    for row in rows {
        let slot = Slot {
            id: row.try_get(0)?,
            is_open: row.try_get(1)?,
            min: row.try_get(2)?,
            max: row.try_get(3)?,
        };
        if slot.is_open {
            open = Some(slot);
        } else {
            closed.push(slot);
        }
    }
    Ok((open.ok_or(sqlx::Error::RowNotFound)?, closed))
}

/// Whether a sample is in a slot that was closed.
async fn is_known(
    connection: &mut SqliteConnection,
    closed: &[Slot],
    sample: &StagedSample,
) -> Result<bool, sqlx::Error> {
    for slot in closed {
        if !(slot.min..=slot.max).contains(&sample.timestamp.0) {
            continue;
        }
        let is_there: bool = sqlx::query_scalar(include_str!("append_known.sql"))
            .bind(slot.id)
            .bind(sample.timestamp.0)
            .bind(sample.agent.0)
            .bind(sample.id.epoch as i64)
            .bind(sample.id.seq as i64)
            .fetch_one(&mut *connection)
            .await?;
        if is_there {
            return Ok(true);
        }
    }
    Ok(false)
}
