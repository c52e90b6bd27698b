//! What of the registry is SQLite's own way: events that go in together, and staged samples that go.

use super::Sqlite;
use crate::AgentKey;
use crate::registry::EventRecord;

impl Sqlite {
    pub(crate) async fn insert_events(&self, events: &[EventRecord]) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        for event in events {
            sqlx::query(include_str!("add_event.sql"))
                .bind(event.id)
                .bind(event.at.0)
                .bind(event.agent.map(|agent| agent.0))
                .bind(&event.name)
                .bind(&event.kind)
                .bind(&event.detail)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Erases staged samples of an agent. They are looked for beside the writer: that passes over the keys of all agents.
    pub(crate) async fn erase_staged(&self, agent: AgentKey, limit: u32) -> Result<u64, sqlx::Error> {
        let rows: Vec<i64> = sqlx::query_scalar(include_str!("find_staged.sql"))
            .bind(agent.0)
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let rows: Vec<String> = rows.iter().map(i64::to_string).collect();
        sqlx::query(include_str!("erase_staged.sql"))
            .bind(agent.0)
            .bind(format!("[{}]", rows.join(",")))
            .execute(&self.worker)
            .await
            .map(|done| done.rows_affected())
    }
}
