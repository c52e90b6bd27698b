//! For hosts and programs without an agent of ours: registration, signs of life, and pushes of figures as JSON.

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::JsonBody;
use super::parameters::{AgentName, Parameters, wrong};
use crate::access::Caller;
use crate::error::{ApiError, Problem};
use crate::push::{MAX_KEY_BYTES, Push, Registration};

/// What makes a repeated push known.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What became of a push.
#[derive(Serialize, ToSchema)]
pub(super) struct Pushed {
    /// `success`: it is stored.
    #[schema(example = "success")]
    status: &'static str,
    /// Whose it is.
    agent_id: String,
    /// The time that it has, in Unix milliseconds.
    timestamp: i64,
    /// Whether the same push came before; it is stored once.
    repeated: bool,
}

/// Pushes figures of a host or program that has no agent.
///
/// The answer comes when they are stored. A push that is repeated as it was, under the same `Idempotency-Key` or with the same
/// `timestamp`, is stored once. Each push is stored, however often they come. Takes a token that may see the agent.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/metrics", operation_id = "push_metrics", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("idempotency-key" = Option<String>, Header, max_length = 128,
            description = "What makes this push known if it is repeated; visible ASCII"),
    ),
    request_body = Push,
    responses(
        (status = 200, description = "They are stored.", body = Pushed),
        (status = 409, description = "Another push had the same key or time, or the agent reports by itself.",
            body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A figure can't be right.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn push(
    State(api): State<Api>,
    caller: Caller,
    AgentName(id): AgentName,
    headers: HeaderMap,
    parameters: Parameters,
    JsonBody(push): JsonBody<Push>,
) -> Result<Json<Pushed>, ApiError> {
    parameters.only(&[])?;
    let agent = api.queries.agent(&caller, &id).await?;
    let key = key(&headers)?;
    let pushed = api.pushes.push(&agent, &push, key).await?;
    Ok(Json(Pushed {
        status: "success",
        agent_id: agent.id.to_string(),
        timestamp: pushed.at.0,
        repeated: pushed.is_repeated,
    }))
}

/// What is known of a registered agent.
#[derive(Serialize, ToSchema)]
pub(super) struct Registered {
    /// `registered`
    #[schema(example = "registered")]
    status: &'static str,
    /// Its name.
    agent_id: String,
    /// Whether it was made now.
    created: bool,
}

/// Registers a host or program that will push its figures. It may be done again at any time.
///
/// Takes a token whose agents, if it names some, are to have this one among them.
#[utoipa::path(
    post, path = "/api/v1/agents/register", operation_id = "register_agent", tag = "agents",
    request_body = Registration,
    responses(
        (status = 200, description = "It was registered before.", body = Registered),
        (status = 201, description = "It is registered.", body = Registered),
        (status = 404, description = "The caller may not make an agent of this name.",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The agent reports by itself.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn register(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
    JsonBody(registration): JsonBody<Registration>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    parameters.only(&[])?;
    let (agent, created) = api.pushes.register(&caller, &registration).await?;
    if created {
        api.identity
            .audit
            .note(&caller, "agent.register", agent.id.as_str(), "");
    }
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let body = Registered {
        status: "registered",
        agent_id: agent.id.to_string(),
        created,
    };
    Ok((status, Json(body)))
}

/// A sign of life. What it says beyond that it is there is nobody's business yet.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Heartbeat {
    /// When it was sent.
    #[serde(rename = "timestamp")]
    _timestamp: Option<serde_json::Value>,
    /// How it does.
    #[serde(rename = "status")]
    _status: Option<String>,
}

/// What became of a sign of life.
#[derive(Serialize, ToSchema)]
pub(super) struct Heard {
    /// `success`
    #[schema(example = "success")]
    status: &'static str,
    /// Whose it was.
    agent_id: String,
}

/// A sign of life of a host that pushes: it is shown as connected for three of its intervals.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/heartbeat", operation_id = "heartbeat", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    request_body = Option<Heartbeat>,
    responses(
        (status = 200, description = "It was heard.", body = Heard),
        (status = 409, description = "The agent reports by itself.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn heartbeat(
    State(api): State<Api>,
    caller: Caller,
    AgentName(id): AgentName,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<Heard>, ApiError> {
    parameters.only(&[])?;
    let agent = api.queries.agent(&caller, &id).await?;
    // Most have no body at all.
    if !body.is_empty() {
        serde_json::from_slice::<Option<Heartbeat>>(&body)
            .map_err(|error| ApiError::Body(error.to_string()))?;
    }
    api.pushes.heartbeat(&agent)?;
    Ok(Json(Heard {
        status: "success",
        agent_id: agent.id.to_string(),
    }))
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let visible = key
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    visible.map(Some).ok_or_else(|| {
        let problem = format!("use 1 to {MAX_KEY_BYTES} visible ASCII characters, other ones for each push");
        wrong("Idempotency-Key", problem)
    })
}
