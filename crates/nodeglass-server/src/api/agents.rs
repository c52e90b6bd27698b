//! What one agent is and does now.

use std::hash::Hash;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use nodeglass_model::system::{SystemInfo, SystemParts};
use serde::Serialize;

use super::parameters::{AgentName, Parameters};
use super::tag::Tag;
use super::{Api, guide, json};
use crate::error::ApiError;

#[derive(Serialize)]
pub(super) struct SystemBody {
    agent_id: String,
    #[serde(flatten)]
    info: SystemInfo,
}

/// `GET /agents/{id}/system`, with `packages=true` for the installed packages.
pub(super) async fn system(
    State(api): State<Api>,
    AgentName(id): AgentName,
    parameters: Parameters,
) -> Result<Json<SystemBody>, ApiError> {
    let parameters = parameters.only(&["packages"])?;
    let packages = parameters.parsed("packages", "true or false")?.unwrap_or(false);
    let info = api
        .queries
        .system(
            &id,
            SystemParts {
                packages,
                ..SystemParts::STANDARD
            },
        )
        .await?;
    Ok(Json(SystemBody { agent_id: id, info }))
}

/// `GET /agents/{id}/metrics`: the latest sample; with `hours`, the history of a few figures.
pub(super) async fn metrics(
    State(api): State<Api>,
    AgentName(id): AgentName,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["hours"])?;
    if parameters.text("hours").is_some() {
        return guide::metrics(&api, &id, &parameters).await;
    }
    let (agent, live) = api.queries.metrics(&id).await?;
    let tag = Tag::new(api.queries.live(), |state| live.number.hash(state));
    Ok(tag.answer(&headers, || json(live.snapshot(&agent.id))))
}
