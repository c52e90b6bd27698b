//! The agents' sides of the ledger, those of many agents in one transaction.

use super::Sqlite;
use crate::AgentKey;

impl Sqlite {
    pub(crate) async fn put_sides(&self, sides: &[(AgentKey, String)]) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        for (agent, books) in sides {
            sqlx::query(include_str!("save_agent_side.sql"))
                .bind(agent.0)
                .bind(books)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }
}
