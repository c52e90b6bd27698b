//! Slots of staging: opening, closing, reading and emptying them.
//!
//! Who appends holds a lock that is shared by all of them, for as long as its transaction lasts; who closes a slot takes
//! the same lock for itself, for a moment. So no sample goes into a slot after it was closed.

use nodeglass_model::UnixMillis;
use sqlx::{AssertSqlSafe, Row};

use super::session::Statements;
use super::{PLACES, Postgres};
use crate::both::rows::{staged, through};
use crate::tiers::{Outcome, PackedAgent, SlotId, SlotLimits};
use crate::{AgentKey, DROP_GRACE, LOCK_TIMEOUT, Position, StagedSample};

/// Whether an operation gave up waiting for a lock; it is tried again later.
pub(super) fn gave_up_waiting(error: &sqlx::Error) -> bool {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    error.code().as_deref() == Some(LOCK_NOT_AVAILABLE)
}

/// Makes the rest of a transaction give up rather than have others wait behind it.
pub(super) async fn limit_waiting(statements: &mut Statements) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('lock_timeout', $1, true)")
        .bind(LOCK_TIMEOUT.as_millis().to_string())
        .execute(statements)
        .await
        .map(drop)
}

impl Postgres {
    pub(crate) async fn close_open_slot(
        &self,
        now: UnixMillis,
        limits: SlotLimits,
    ) -> Result<bool, sqlx::Error> {
        let open = sqlx::query(include_str!("open_slot.sql"))
            .fetch_one(&self.writer)
            .await?;
        let (id, place): (i64, i16) = (open.try_get(0)?, open.try_get(1)?);
        let is_due = now.since(UnixMillis(open.try_get(2)?)) >= limits.age;
        let bytes: i64 = open.try_get(3)?;
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
        match self.close_slot_at(id, now).await {
            Err(error) if gave_up_waiting(&error) => Ok(false),
            Ok(true) => {
                tracing::debug!(slot = id, place, bytes, "closed a slot");
                Ok(true)
            }
            other => other,
        }
    }

    async fn close_slot_at(&self, id: i64, now: UnixMillis) -> Result<bool, sqlx::Error> {
        let mut transaction = self.writer.begin().await?;
        limit_waiting(&mut transaction).await?;
        sqlx::query(include_str!("lock_slots.sql"))
            .execute(&mut *transaction)
            .await?;
        let closed = sqlx::query(include_str!("close_slot.sql"))
            .bind(id)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if closed == 0 {
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
        // Closed slots keep their place until they are emptied, so that the two statements read the same one.
        let found = sqlx::query(include_str!("place_of_slot.sql"))
            .bind(slot.0)
            .fetch_optional(&self.reader)
            .await?;
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        let place = found.try_get::<i16, _>(0)? as usize % PLACES;
        let done = i32::try_from(found.try_get::<i64, _>(1)?).ok();
        let done = done.map(|agent| (AgentKey(agent), Position::LAST));
        let (agent, position) = after.max(done).unwrap_or((AgentKey(i32::MIN), Position::FIRST));
        let rows = sqlx::query(AssertSqlSafe(self.places[place].rows.as_str()))
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
        let mut transaction = self.worker.begin().await?;
        let advanced = sqlx::query(include_str!("advance_slot.sql"))
            .bind(slot.0)
            .bind(through(after))
            .bind(i64::from(last.0))
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if advanced == 0 {
            return Ok(Outcome::Stale);
        }
        let mut chunks = Vec::new();
        for one in packed {
            chunks.extend(one.chunks.iter().map(|chunk| (one.agent, chunk)));
        }
        super::chunks::insert(&mut transaction, include_str!("put_small.sql"), &chunks).await?;
        let mut agents: Vec<i32> = Vec::new();
        let (mut stored, mut duplicate, mut points) = (Vec::new(), Vec::new(), Vec::new());
        for one in packed {
            agents.push(one.agent.0);
            stored.push(one.stored as i64);
            duplicate.push(one.duplicate as i64);
            points.push(
                one.chunks
                    .iter()
                    .map(|chunk| i64::from(chunk.points))
                    .sum::<i64>(),
            );
        }
        sqlx::query(include_str!("count_packed.sql"))
            .bind(agents)
            .bind(stored)
            .bind(duplicate)
            .bind(points)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Outcome::Done)
    }

    /// Empties slots that are done for a while: who began to read before that, a backup for one, has to see the rows.
    pub(crate) async fn empty_slots(&self, now: UnixMillis) -> Result<bool, sqlx::Error> {
        let finished = sqlx::query(include_str!("finished_slots.sql"))
            .bind(now.minus(DROP_GRACE).0)
            .fetch_all(&self.reader)
            .await?;
        for row in finished {
            match self.empty_slot(row.try_get(0)?, row.try_get(1)?).await {
                Err(error) if gave_up_waiting(&error) => break,
                other => other?,
            }
        }
        Ok(false)
    }

    async fn empty_slot(&self, id: i64, place: i16) -> Result<(), sqlx::Error> {
        let mut transaction = self.worker.begin().await?;
        limit_waiting(&mut transaction).await?;
        let freed = sqlx::query(include_str!("free_place.sql"))
            .bind(id)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if freed > 0 {
            sqlx::query(AssertSqlSafe(
                self.places[place as usize % PLACES].truncate.as_str(),
            ))
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }
}
