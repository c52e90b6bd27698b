//! `GET /agents/{id}/ledger`: what became of every sample.

use axum::Json;
use axum::extract::State;

use super::Api;
use super::parameters::{AgentName, Parameters};
use crate::error::ApiError;
use crate::ledger::Statement;

/// Both sides of the ledger, and whether they balance.
pub(super) async fn ledger(
    State(api): State<Api>,
    AgentName(id): AgentName,
    parameters: Parameters,
) -> Result<Json<Statement>, ApiError> {
    parameters.only(&[])?;
    Ok(Json(api.queries.ledger(&id).await?))
}
