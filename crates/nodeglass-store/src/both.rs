//! What both databases do alike: every operation whose SQL differs at most in a cast.
//!
//! sqlx types its queries by database, so this is one text expanded for each rather than one generic function.

pub(crate) mod enrolments;
pub(crate) mod queries;
pub(crate) mod registry;
pub(crate) mod rows;
pub(crate) mod tiers;

use crate::{KeyHash, TokenHash};

/// Implements [`Store`](crate::Store) for a type with the pools `reader`, `writer` and `worker` and the SQL files in the
/// directory `$sql`, and [`Tiers`](crate::tiers::Tiers) by what the type does itself.
macro_rules! implement_store {
    ($type:ty, $sql:literal) => {
        #[async_trait::async_trait]
        impl $crate::Store for $type {
            async fn ping(&self) -> Result<(), $crate::StoreError> {
                let query = sqlx::query("select 1");
                within("answer", query.execute(&self.reader))
                    .await
                    .map(drop)
            }

            async fn append(&self, samples: &[StagedSample]) -> Result<Appended, $crate::StoreError> {
                let stored = within("store samples", self.append_group(samples)).await?;
                let given: u64 = samples.iter().map(|sample| u64::from(sample.weight)).sum();
                Ok(Appended {
                    stored,
                    duplicate: given.saturating_sub(stored),
                })
            }

            async fn outline(
                &self,
                agent: AgentKey,
                range: TimeRange,
                which: Levels,
                known: &[ChunkId],
            ) -> Result<Outline, $crate::StoreError> {
                let read = self.read_outline(agent, range, which, known);
                within("read an outline", read).await
            }

            async fn slices(
                &self,
                agent: AgentKey,
                slices: &[Slice],
            ) -> Result<Vec<Option<Vec<u8>>>, $crate::StoreError> {
                within("read parts of chunks", self.read_slices(agent, slices)).await
            }

            async fn rollups(
                &self,
                agent: AgentKey,
                range: TimeRange,
                series: &[SeriesName],
                figures: HourFigures,
            ) -> Result<Rollups, $crate::StoreError> {
                within(
                    "read rollups",
                    self.read_rollups(agent, range, series, figures),
                )
                .await
            }

            async fn series(&self, agent: AgentKey) -> Result<Vec<SeriesName>, $crate::StoreError> {
                within("list series", self.list_series(agent)).await
            }

            async fn samples(
                &self,
                agent: AgentKey,
                range: TimeRange,
                after: Option<Position>,
                limit: u32,
            ) -> Result<Vec<StoredSample>, $crate::StoreError> {
                $crate::samples::page(self, agent, range, after, limit).await
            }

            async fn latest(&self) -> Result<Vec<Latest>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/latest.sql")));
                let rows = within("read the latest samples", query.fetch_all(&self.reader)).await?;
                Ok(rows
                    .into_iter()
                    .map(|row| Latest {
                        agent: AgentKey(row.get(0)),
                        timestamp: UnixMillis(row.get(1)),
                        payload: row.get(2),
                    })
                    .collect())
            }

            async fn save_latest(&self, samples: &[LatestSample]) -> Result<(), $crate::StoreError> {
                within("keep the latest samples", self.keep_latest(samples)).await
            }

            async fn retain(
                &self,
                retention: &Retention,
                now: UnixMillis,
            ) -> Result<Removed, $crate::StoreError> {
                within("remove what is too old", self.remove_old(retention, now)).await
            }

            async fn set_retention(
                &self,
                agent: AgentKey,
                retention: AgentRetention,
            ) -> Result<(), $crate::StoreError> {
                within(
                    "keep an agent's retention",
                    self.save_retention(agent, retention),
                )
                .await
            }

            async fn retention_overrides(
                &self,
            ) -> Result<Vec<(AgentKey, AgentRetention)>, $crate::StoreError> {
                within("list retention", self.list_retention()).await
            }

            async fn sizes(&self) -> Result<Sizes, $crate::StoreError> {
                within("measure what it holds", self.measure_sizes()).await
            }

            async fn agents(&self) -> Result<Vec<AgentRecord>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/agents.sql")));
                within("list agents", async {
                    query
                        .fetch_all(&self.reader)
                        .await?
                        .iter()
                        .map(agent_record)
                        .collect()
                })
                .await
            }

            async fn keys(&self) -> Result<Vec<AgentKey>, $crate::StoreError> {
                let query = sqlx::query_scalar(include_str!(concat!($sql, "/keys.sql")));
                let keys: Vec<i32> = within("list the agents' keys", query.fetch_all(&self.reader)).await?;
                Ok(keys.into_iter().map(AgentKey).collect())
            }

            async fn save_system_info(&self, agent: AgentKey, json: &str) -> Result<(), $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/save_system_info.sql")))
                    .bind(agent.0)
                    .bind(json);
                within("keep system information", query.execute(&self.writer))
                    .await
                    .map(drop)
            }

            async fn ledger(&self, agent: AgentKey) -> Result<Ledger, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/ledger.sql"))).bind(agent.0);
                let row = within("read the ledger", query.fetch_one(&self.reader)).await?;
                Ok(Ledger {
                    stored: row.get::<i64, _>(0) as u64,
                    duplicate: row.get::<i64, _>(1) as u64,
                    agent_side: row.get(2),
                })
            }

            async fn save_agent_sides(&self, sides: &[(AgentKey, String)]) -> Result<(), $crate::StoreError> {
                within(
                    "keep the agents' sides of the ledger",
                    self.put_sides(sides),
                )
                .await
            }

            async fn agent_sides(&self) -> Result<Vec<(AgentKey, String)>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/agent_sides.sql")));
                let rows = within(
                    "list the agents' sides of the ledger",
                    query.fetch_all(&self.reader),
                )
                .await?;
                Ok(rows
                    .into_iter()
                    .map(|row| (AgentKey(row.get(0)), row.get(1)))
                    .collect())
            }

            async fn save_tasks(&self, tasks: &[TaskRecord]) -> Result<(), $crate::StoreError> {
                within("keep tasks", async {
                    let mut transaction = self.begin_write().await?;
                    for task in tasks {
                        sqlx::query(include_str!(concat!($sql, "/save_task.sql")))
                            .bind(task.agent.0)
                            .bind(&task.task_id)
                            .bind(task.started_at.0)
                            .bind(task.last_seen_at.0)
                            .bind(task.ended_at.map(|at| at.0))
                            .bind(task.exit_code)
                            .bind(&task.command)
                            .bind(task.cpu_time_ms.map(|millis| millis as i64))
                            .bind(task.peak_memory_bytes.map(|bytes| bytes as i64))
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await
                })
                .await
            }

            async fn prune_tasks(
                &self,
                keep: std::time::Duration,
                now: UnixMillis,
            ) -> Result<u64, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/prune_tasks.sql")))
                    .bind(now.0)
                    .bind($crate::both::rows::millis(keep));
                within("remove old tasks", query.execute(&self.writer))
                    .await
                    .map(|done| done.rows_affected())
            }

            async fn tasks(
                &self,
                agent: AgentKey,
                range: TimeRange,
                limit: u32,
            ) -> Result<Vec<TaskRecord>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/tasks.sql")))
                    .bind(agent.0)
                    .bind(range.start.0)
                    .bind(range.end.0)
                    .bind(i64::from(limit));
                let rows = within("list tasks", query.fetch_all(&self.reader)).await?;
                let count = |value: Option<i64>| value.map(|value| value as u64);
                Ok(rows
                    .into_iter()
                    .map(|row| TaskRecord {
                        agent,
                        task_id: row.get(0),
                        started_at: UnixMillis(row.get(1)),
                        last_seen_at: UnixMillis(row.get(2)),
                        ended_at: row.get::<Option<i64>, _>(3).map(UnixMillis),
                        exit_code: row.get(4),
                        command: row.get(5),
                        cpu_time_ms: count(row.get(6)),
                        peak_memory_bytes: count(row.get(7)),
                    })
                    .collect())
            }

            async fn close(&self) {
                self.reader.close().await;
                self.writer.close().await;
                self.worker.close().await;
            }
        }

        $crate::both::queries::implement_queries!($type, $sql);
        $crate::both::tiers::implement_tiers!($type);
        $crate::both::registry::implement_registry!($type, $sql);

        /// A row of key, id and system information.
        fn agent_record<'r, R>(row: &'r R) -> Result<AgentRecord, sqlx::Error>
        where
            R: Row,
            usize: sqlx::ColumnIndex<R>,
            i32: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
            String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
        {
            Ok(AgentRecord {
                key: AgentKey(row.get(0)),
                id: AgentId::try_from(row.get::<String, _>(1))
                    .map_err(|error| sqlx::Error::Decode(error.into()))?,
                system_info: row.get(2),
            })
        }
    };
}
pub(crate) use implement_store;

/// A stored token hash.
pub(crate) fn token_hash(bytes: &[u8]) -> Result<TokenHash, sqlx::Error> {
    bytes
        .try_into()
        .map(TokenHash)
        .map_err(|_| sqlx::Error::Decode("a token hash that is not 32 bytes long".into()))
}

/// A stored hash of a key.
pub(crate) fn key_hash(bytes: &[u8]) -> Result<KeyHash, sqlx::Error> {
    bytes
        .try_into()
        .map(KeyHash)
        .map_err(|_| sqlx::Error::Decode("a hash of a key that is not 32 bytes long".into()))
}
