//! The agents' sides of the ledger, those of many agents in one statement.

use super::Postgres;
use crate::AgentKey;

impl Postgres {
    pub(crate) async fn put_sides(&self, sides: &[(AgentKey, String)]) -> Result<(), sqlx::Error> {
        // In the order of the key: writers that meet on the same agents meet in one order.
        let mut sides: Vec<_> = sides.iter().collect();
        sides.sort_unstable_by_key(|(agent, _)| *agent);
        let agents: Vec<i32> = sides.iter().map(|(agent, _)| agent.0).collect();
        let books: Vec<&str> = sides.iter().map(|(_, books)| books.as_str()).collect();
        let query = sqlx::query(include_str!("save_agent_sides.sql"));
        query.bind(agents).bind(books).execute(&self.writer).await?;
        Ok(())
    }
}
