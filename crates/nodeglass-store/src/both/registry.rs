//! The registry on both databases: statements that differ at most in a cast.

/// Implements [`Registry`](crate::registry::Registry) for a type with the pools `reader`, `writer` and `worker` and the SQL
/// files in the directory `$sql`.
macro_rules! implement_registry {
    ($type:ty, $sql:literal) => {
        #[async_trait::async_trait]
        impl $crate::registry::Registry for $type {
            async fn registered(
                &self,
                agent: Option<AgentKey>,
            ) -> Result<Vec<$crate::registry::Registered>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/registered.sql")))
                    .bind(agent.map(|agent| agent.0));
                let rows = within(
                    "read what is known of agents",
                    query.fetch_all(&self.reader),
                )
                .await?;
                Ok(rows
                    .into_iter()
                    .map(|row| $crate::registry::Registered {
                        agent: AgentKey(row.get(0)),
                        enrolled_at: UnixMillis(row.get(1)),
                        labels: row.get(2),
                        settings: row.get(4),
                        report: row.get(5),
                        seen: $crate::registry::Seen {
                            own_labels: row.get(3),
                            version: row.get(6),
                            epoch: row.get::<Option<i64>, _>(7).map(|epoch| epoch as u64),
                            booted_at: row.get::<Option<i64>, _>(8).map(UnixMillis),
                        },
                    })
                    .collect())
            }

            async fn aliases(&self) -> Result<Vec<$crate::registry::Alias>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/aliases.sql")));
                within("list former names", async {
                    let rows = query.fetch_all(&self.reader).await?;
                    let alias = |row| $crate::both::registry::alias(row);
                    rows.iter().map(alias).collect()
                })
                .await
            }

            async fn save_labels(&self, agent: AgentKey, json: &str) -> Result<(), $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/save_labels.sql")))
                    .bind(agent.0)
                    .bind(json);
                within("keep labels", query.execute(&self.writer))
                    .await
                    .map(drop)
            }

            async fn save_settings(&self, agent: AgentKey, json: &str) -> Result<(), $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/save_settings.sql")))
                    .bind(agent.0)
                    .bind(json);
                within("keep settings", query.execute(&self.writer))
                    .await
                    .map(drop)
            }

            async fn save_report(&self, agent: AgentKey, json: &str) -> Result<(), $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/save_report.sql")))
                    .bind(agent.0)
                    .bind(json);
                within("keep what is in force", query.execute(&self.writer))
                    .await
                    .map(drop)
            }

            async fn save_seen(
                &self,
                agent: AgentKey,
                seen: &$crate::registry::Seen,
            ) -> Result<(), $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/save_seen.sql")))
                    .bind(agent.0)
                    .bind(seen.own_labels.as_deref().unwrap_or("{}"))
                    .bind(&seen.version)
                    .bind(seen.epoch.map(|epoch| epoch as i64))
                    .bind(seen.booted_at.map(|at| at.0));
                within(
                    "keep what an agent says of itself",
                    query.execute(&self.writer),
                )
                .await
                .map(drop)
            }

            async fn groups(&self) -> Result<Vec<$crate::registry::GroupRecord>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/groups.sql")));
                let rows = within("list groups", query.fetch_all(&self.reader)).await?;
                Ok(rows
                    .into_iter()
                    .map(|row| $crate::registry::GroupRecord {
                        name: row.get(0),
                        place: row.get(1),
                        selector: row.get(2),
                        settings: row.get(3),
                    })
                    .collect())
            }

            async fn save_group(
                &self,
                group: &$crate::registry::GroupRecord,
            ) -> Result<(), $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/save_group.sql")))
                    .bind(&group.name)
                    .bind(group.place)
                    .bind(&group.selector)
                    .bind(&group.settings);
                within("keep a group", query.execute(&self.writer))
                    .await
                    .map(drop)
            }

            async fn remove_group(&self, name: &str) -> Result<bool, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/remove_group.sql"))).bind(name);
                let done = within("remove a group", query.execute(&self.writer)).await?;
                Ok(done.rows_affected() > 0)
            }

            async fn rename_agent(
                &self,
                agent: AgentKey,
                from: &AgentId,
                to: &AgentId,
                at: UnixMillis,
            ) -> Result<(), $crate::StoreError> {
                let renamed = within("rename an agent", async {
                    let mut transaction = self.begin_write().await?;
                    let renamed = sqlx::query(include_str!(concat!($sql, "/rename_agent.sql")))
                        .bind(agent.0)
                        .bind(to.as_str())
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    sqlx::query(include_str!(concat!($sql, "/add_alias.sql")))
                        .bind(agent.0)
                        .bind(from.as_str())
                        .bind(at.0)
                        .execute(&mut *transaction)
                        .await?;
                    sqlx::query(include_str!(concat!($sql, "/remove_alias.sql")))
                        .bind(agent.0)
                        .bind(to.as_str())
                        .execute(&mut *transaction)
                        .await?;
                    if renamed == 0 {
                        transaction.rollback().await?;
                        return Ok(false);
                    }
                    transaction.commit().await?;
                    Ok(true)
                })
                .await?;
                if renamed {
                    Ok(())
                } else {
                    Err($crate::StoreError::AgentExists(to.clone()))
                }
            }

            async fn forget_agent(
                &self,
                agent: AgentKey,
                keeps_data: bool,
                at: UnixMillis,
            ) -> Result<bool, $crate::StoreError> {
                within("forget an agent", async {
                    let mut transaction = self.begin_write().await?;
                    // Its key is worth nothing from now on, here and on servers beside this one.
                    take_key(&mut transaction, agent, at).await?;
                    let found = sqlx::query(include_str!(concat!($sql, "/forget_agent.sql")))
                        .bind(agent.0)
                        .bind(at.0)
                        .bind(keeps_data)
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    for statement in [
                        include_str!(concat!($sql, "/remove_invitation.sql")),
                        include_str!(concat!($sql, "/remove_identity.sql")),
                        include_str!(concat!($sql, "/forget_enrolment.sql")),
                        include_str!(concat!($sql, "/forget_registry.sql")),
                        include_str!(concat!($sql, "/forget_aliases.sql")),
                    ] {
                        sqlx::query(statement)
                            .bind(agent.0)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await?;
                    Ok(found > 0)
                })
                .await
            }

            async fn being_forgotten(&self) -> Result<Vec<$crate::registry::Forgotten>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/being_forgotten.sql")));
                within("list forgotten agents", async {
                    let rows = query.fetch_all(&self.reader).await?;
                    let forgotten = |row| $crate::both::registry::forgotten(row);
                    rows.iter().map(forgotten).collect()
                })
                .await
            }

            async fn erase_data(&self, agent: AgentKey, limit: u32) -> Result<u64, $crate::StoreError> {
                within("erase an agent's data", async {
                    let mut erased = self.erase_staged(agent, limit).await?;
                    for statement in [
                        include_str!(concat!($sql, "/erase_chunks.sql")),
                        include_str!(concat!($sql, "/erase_rollups.sql")),
                        include_str!(concat!($sql, "/erase_tasks.sql")),
                        include_str!(concat!($sql, "/erase_events.sql")),
                    ] {
                        let query = sqlx::query(statement).bind(agent.0).bind(i64::from(limit));
                        erased += query.execute(&self.worker).await?.rows_affected();
                    }
                    if erased > 0 {
                        return Ok(erased);
                    }
                    // What there is once of an agent goes last: it is needed to read the rest.
                    for statement in [
                        include_str!(concat!($sql, "/erase_series.sql")),
                        include_str!(concat!($sql, "/erase_latest.sql")),
                        include_str!(concat!($sql, "/erase_ledger.sql")),
                        include_str!(concat!($sql, "/erase_side.sql")),
                        include_str!(concat!($sql, "/forget_registry.sql")),
                    ] {
                        let query = sqlx::query(statement).bind(agent.0);
                        erased += query.execute(&self.worker).await?.rows_affected();
                    }
                    Ok(erased)
                })
                .await
            }

            async fn finish_forgetting(
                &self,
                agent: AgentKey,
                at: UnixMillis,
            ) -> Result<(), $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/finish_forgetting.sql")))
                    .bind(agent.0)
                    .bind(at.0);
                within(
                    "note that an agent is forgotten",
                    query.execute(&self.writer),
                )
                .await
                .map(drop)
            }

            async fn add_events(
                &self,
                events: &[$crate::registry::EventRecord],
            ) -> Result<(), $crate::StoreError> {
                within("keep events", self.insert_events(events)).await
            }

            async fn events(
                &self,
                query: &$crate::registry::EventQuery,
            ) -> Result<Vec<$crate::registry::EventRecord>, $crate::StoreError> {
                let statement = match query.agent {
                    Some(_) => include_str!(concat!($sql, "/events_of_agent.sql")),
                    None => include_str!(concat!($sql, "/events.sql")),
                };
                // With a comma on both sides of each, so that one is found as a whole.
                let kinds = query.kinds.iter().map(|kind| format!(",{kind},"));
                let mut read = sqlx::query(statement)
                    .bind(query.before.unwrap_or(i64::MAX))
                    .bind(query.range.start.0)
                    .bind(query.range.end.0)
                    .bind(kinds.collect::<String>())
                    .bind(i64::from(query.limit));
                if let Some(agent) = query.agent {
                    read = read.bind(agent.0);
                }
                let rows = within("read events", read.fetch_all(&self.reader)).await?;
                Ok(rows
                    .into_iter()
                    .map(|row| $crate::registry::EventRecord {
                        id: row.get(0),
                        at: UnixMillis(row.get(1)),
                        agent: row.get::<Option<i32>, _>(2).map(AgentKey),
                        name: row.get(3),
                        kind: row.get(4),
                        detail: row.get(5),
                    })
                    .collect())
            }

            async fn prune_events(&self, before: UnixMillis, limit: u32) -> Result<u64, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/prune_events.sql")))
                    .bind(before.0)
                    .bind(i64::from(limit));
                let done = within("remove old events", query.execute(&self.worker)).await?;
                Ok(done.rows_affected())
            }

            async fn prune_agent_events(
                &self,
                agent: AgentKey,
                keep: u32,
            ) -> Result<u64, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/prune_agent_events.sql")))
                    .bind(agent.0)
                    .bind(i64::from(keep));
                let done = within("remove an agent's old events", query.execute(&self.worker)).await?;
                Ok(done.rows_affected())
            }
        }
    };
}
pub(crate) use implement_registry;

use nodeglass_model::{AgentId, UnixMillis};
use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::AgentKey;
use crate::registry::{Alias, Forgotten};

/// A row of name, agent and time.
pub(crate) fn alias<'r, R>(row: &'r R) -> Result<Alias, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(Alias {
        id: name(row.try_get(0)?)?,
        agent: AgentKey(row.try_get(1)?),
        since: UnixMillis(row.try_get(2)?),
    })
}

/// A row of agent, name and time.
pub(crate) fn forgotten<'r, R>(row: &'r R) -> Result<Forgotten, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(Forgotten {
        agent: AgentKey(row.try_get(0)?),
        id: name(row.try_get(1)?)?,
        at: UnixMillis(row.try_get(2)?),
    })
}

fn name(text: String) -> Result<AgentId, sqlx::Error> {
    AgentId::try_from(text).map_err(|error| sqlx::Error::Decode(error.into()))
}
