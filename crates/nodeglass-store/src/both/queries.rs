//! Queries that both databases answer by the same steps.

/// Implements them for a type with the pools `reader`, `writer` and `worker` and the SQL files in the directory `$sql`.
macro_rules! implement_queries {
    ($type:ty, $sql:literal) => {
        impl $type {
            pub(crate) async fn find_closed_slots(&self) -> Result<Vec<ClosedSlot>, sqlx::Error> {
                let rows = sqlx::query(include_str!(concat!($sql, "/closed_slots.sql")))
                    .fetch_all(&self.reader)
                    .await?;
                rows.iter()
                    .map(|row| {
                        Ok(ClosedSlot {
                            id: SlotId(row.try_get(0)?),
                            done_through: i32::try_from(row.try_get::<i64, _>(1)?).ok().map(AgentKey),
                        })
                    })
                    .collect()
            }

            pub(crate) async fn read_staged(
                &self,
                agent: AgentKey,
                range: TimeRange,
                after: Option<Position>,
                limit: i64,
            ) -> Result<Vec<StagedSample>, sqlx::Error> {
                let after = after.unwrap_or(Position::FIRST);
                let rows = sqlx::query(include_str!(concat!($sql, "/staged.sql")))
                    .bind(agent.0)
                    .bind(range.start.0)
                    .bind(range.end.0)
                    .bind(after.timestamp.0)
                    .bind(after.id.epoch as i64)
                    .bind(after.id.seq as i64)
                    .bind(limit)
                    .fetch_all(&self.reader)
                    .await?;
                rows.iter()
                    .map(|row| $crate::both::rows::staged(agent, row, 0))
                    .collect()
            }

            pub(crate) async fn mark_slot_finished(
                &self,
                slot: SlotId,
                after: Option<AgentKey>,
                now: UnixMillis,
            ) -> Result<Outcome, sqlx::Error> {
                let done = sqlx::query(include_str!(concat!($sql, "/finish_slot.sql")))
                    .bind(slot.0)
                    .bind($crate::both::rows::through(after))
                    .bind(now.0)
                    .execute(&self.worker)
                    .await?
                    .rows_affected();
                Ok(if done > 0 {
                    Outcome::Done
                } else {
                    Outcome::Stale
                })
            }

            pub(crate) async fn find_mergeable(
                &self,
                min_points: u32,
                before: UnixMillis,
                limit: u32,
            ) -> Result<Vec<AgentKey>, sqlx::Error> {
                sqlx::query_scalar::<_, i32>(include_str!(concat!($sql, "/mergeable.sql")))
                    .bind(i64::from(min_points))
                    .bind(before.0)
                    .bind(i64::from(limit))
                    .fetch_all(&self.reader)
                    .await
                    .map(|agents| agents.into_iter().map(AgentKey).collect())
            }

            pub(crate) async fn save_retention(
                &self,
                agent: AgentKey,
                retention: AgentRetention,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(include_str!(concat!($sql, "/set_retention.sql")))
                    .bind(agent.0)
                    .bind(retention.raw.map($crate::both::rows::millis))
                    .bind(retention.rollups.map($crate::both::rows::millis))
                    .execute(&self.writer)
                    .await
                    .map(drop)
            }

            pub(crate) async fn list_retention(
                &self,
            ) -> Result<Vec<(AgentKey, AgentRetention)>, sqlx::Error> {
                let rows = sqlx::query(include_str!(concat!($sql, "/retention_overrides.sql")))
                    .fetch_all(&self.reader)
                    .await?;
                rows.iter()
                    .map($crate::both::rows::agent_retention)
                    .collect()
            }

            pub(crate) async fn list_series(&self, agent: AgentKey) -> Result<Vec<SeriesName>, sqlx::Error> {
                let rows = sqlx::query(include_str!(concat!($sql, "/series.sql")))
                    .bind(agent.0)
                    .fetch_all(&self.reader)
                    .await?;
                rows.iter()
                    .map(|row| {
                        Ok($crate::rollup::series_name(
                            row.try_get(1)?,
                            row.try_get(2)?,
                        ))
                    })
                    .collect()
            }
        }
    };
}
pub(crate) use implement_queries;
