//! What became of every sample.

use axum::Json;
use axum::extract::State;

use super::Api;
use super::parameters::{AgentName, Parameters};
use crate::access::Caller;
use crate::error::ApiError;
use crate::ledger::Statement;

/// What became of every sample: both sides of the ledger, and whether they balance.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/ledger", operation_id = "agent_ledger", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    responses((status = 200, description = "The ledger.", body = Statement)),
)]
pub(super) async fn ledger(
    State(api): State<Api>,
    caller: Caller,
    AgentName(id): AgentName,
    parameters: Parameters,
) -> Result<Json<Statement>, ApiError> {
    parameters.only(&[])?;
    Ok(Json(api.queries.ledger(&caller, &id).await?))
}
