//! Making agents.

use nodeglass_model::{AgentId, Clock, SystemClock};
use nodeglass_runtime::config::Secret;
use nodeglass_store::{Store, StoreError};

use crate::tokens;

/// Enrols an agent and gives its token, which can't be had again. With `replace`, an agent that is enrolled already
/// gets a new token; the one before is worth nothing then.
///
/// # Errors
/// [`StoreError::AgentExists`] without `replace`, or a database that does not answer.
pub async fn agent(store: &dyn Store, id: &AgentId, replace: bool) -> Result<Secret, StoreError> {
    let token = tokens::generate(tokens::AGENT);
    let hash = tokens::hash(token.expose());
    match store.enrol_agent(id, hash, SystemClock.now()).await {
        Err(StoreError::AgentExists(_)) if replace => {
            store.replace_agent_token(id, hash).await.map(|_| token)
        }
        done => done.map(|_| token),
    }
}
