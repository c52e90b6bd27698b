//! What of the registry is PostgreSQL's own way: events that go in together, and staged samples that go.

use super::Postgres;
use crate::AgentKey;
use crate::registry::EventRecord;

impl Postgres {
    pub(crate) async fn insert_events(&self, events: &[EventRecord]) -> Result<(), sqlx::Error> {
        let column = |of: fn(&EventRecord) -> Option<String>| events.iter().map(of).collect::<Vec<_>>();
        sqlx::query(include_str!("add_events.sql"))
            .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.at.0).collect::<Vec<_>>())
            .bind(
                events
                    .iter()
                    .map(|event| event.agent.map(|agent| agent.0))
                    .collect::<Vec<_>>(),
            )
            .bind(column(|event| event.name.clone()))
            .bind(column(|event| Some(event.kind.clone())))
            .bind(column(|event| event.detail.clone()))
            .execute(&self.writer)
            .await
            .map(drop)
    }

    /// Erases staged samples of an agent. Their slots are emptied as a whole within minutes, so nothing is left to vacuum.
    pub(crate) async fn erase_staged(&self, agent: AgentKey, limit: u32) -> Result<u64, sqlx::Error> {
        sqlx::query(include_str!("erase_staged.sql"))
            .bind(agent.0)
            .bind(i64::from(limit))
            .execute(&self.worker)
            .await
            .map(|done| done.rows_affected())
    }
}
