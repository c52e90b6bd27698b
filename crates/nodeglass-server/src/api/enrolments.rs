//! Strings that make hosts agents, for one host and for fleets, and the end of an agent's key; for admins.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use nodeglass_model::{AgentId, UnixMillis, label};
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::{AgentRecord, FleetToken, StoreError};
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::ToSchema;

use super::Api;
use super::body::JsonBody;
use super::manage::{Found, note};
use super::parameters::{Named, Parameters, wrong};
use super::session::no_store;
use super::tokens::whole_fleet;
use crate::access::Caller;
use crate::enrol::strings::{self, InvitedAs, LONGEST_VALID, NewFleetToken};
use crate::error::{ApiError, Problem};
use crate::events::Kind;
use crate::glob;
use crate::identity::IdentityError;
use crate::queries::inside;

/// How long a string for one host is good unless the caller says otherwise, and at least; in seconds.
const VALID: (u64, u64) = (3_600, 60);
/// The longest that a string for many hosts may be good, in seconds: ten years.
const LONGEST_FLEET: u64 = 315_360_000;
/// The most hosts that may use one string.
const MOST_USES: u64 = 1_000_000_000;

/// A host that is to be an agent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentToAdd {
    /// Its name: letters, digits, '.', '_' and '-'.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    name: String,
    /// Its labels from the start.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// How long the string is good; an hour without it.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 2_592_000)]
    valid_seconds: Option<u64>,
    /// Whether the host may take the place of an agent that there is, which goes on until the string is used.
    #[serde(default)]
    replace: bool,
}

/// A string that makes a host an agent.
#[derive(Serialize, ToSchema)]
pub(super) struct AddedAgent {
    /// The agent's name.
    agent_id: String,
    /// What `nodeglass-agent enroll` takes. It is good for one host, and can't be had again.
    enrolment: String,
    /// When it is worth nothing any more, in Unix milliseconds.
    #[schema(value_type = i64)]
    expires_at: UnixMillis,
}

fn checked(labels: &BTreeMap<String, String>) -> Result<(), ApiError> {
    label::check_all(labels).map_err(|error| wrong("labels", error.to_string()))
}

fn valid_for(seconds: u64, bounds: RangeInclusive<u64>) -> Result<Duration, ApiError> {
    inside("valid_seconds", seconds, bounds).map(Duration::from_secs)
}

/// Makes a string that makes a host an agent, as `nodeglass-server agent add` does.
#[utoipa::path(
    post, path = "/api/v1/agents", operation_id = "add_agent", tag = "agents",
    request_body = AgentToAdd,
    responses(
        (status = 201, description = "The string.", body = AddedAgent),
        (status = 409, description = "There is an agent of that name.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn add(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
    JsonBody(said): JsonBody<AgentToAdd>,
) -> Result<Response, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    let id: AgentId = said
        .name
        .parse()
        .map_err(|error: nodeglass_model::IdError| wrong("name", error.to_string()))?;
    let valid = valid_for(
        said.valid_seconds.unwrap_or(VALID.0),
        VALID.1..=LONGEST_VALID.as_secs(),
    )?;
    let labels = said.labels;
    checked(&labels)?;
    let (action, invited_as) = if said.replace {
        if !labels.is_empty() {
            let problem =
                "an agent that there is keeps its own: change them with PATCH /api/v1/agents/{id}/labels";
            return Err(wrong("labels", problem.to_owned()));
        }
        ("agent.replace", InvitedAs::Replacement)
    } else {
        ("agent.add", InvitedAs::New { labels })
    };
    let invited = strings::invite(api.store.as_ref(), &id, invited_as, valid, api.queries.clock()).await;
    let (key, token) = invited.map_err(|error| match error {
        StoreError::AgentExists(name) => ApiError::NameTaken(name),
        error => error.into(),
    })?;
    note(&api, &caller, action, id.as_str(), "");
    // Lists have it from now on, with its labels.
    api.queries.live().admit_enrolled(&AgentRecord {
        key,
        id: id.clone(),
        system_info: None,
    });
    if let Err(error) = api.registry().learn_all().await {
        // The string can't be had again, so it is given all the same; labels are read with the next look.
        warn!(agent = %id, error = %chain(&error), "what is known of a new agent can't be read");
    }
    let added = AddedAgent {
        agent_id: id.to_string(),
        expires_at: api.queries.now().plus(valid),
        enrolment: api.entrance.string(Some(id), &token),
    };
    Ok(no_store((StatusCode::CREATED, Json(added))))
}

/// Takes an agent's key and its string from it, for good.
///
/// Its session ends within moments, and its key opens none any more. What is stored of it stays.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/revoke", operation_id = "revoke_agent", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    responses(
        (status = 204, description = "It has neither any more."),
    ),
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Found(agent): Found,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    parameters.only(&[])?;
    if api.registry().registrar().revoke(&agent).await? {
        note(&api, &caller, "agent.revoke", agent.id.as_str(), "");
        let by = serde_json::json!({ "by": &*caller.name });
        api.registry().events().note(&agent, Kind::Revoked, &by);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A string that is to make many hosts agents.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FleetTokenToMake {
    /// Its name, unique among these, of revoked ones, too.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// How many hosts may use it; any number without it.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    max_uses: Option<u64>,
    /// How long it is good; for ever without it.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 315_360_000)]
    valid_seconds: Option<u64>,
    /// What the hosts' names must be like; any without it.
    #[serde(default)]
    #[schema(example = "web-*")]
    names: Option<String>,
    /// The labels that the agents are given.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// One of them as lists show it.
#[derive(Serialize, ToSchema)]
pub(super) struct FleetTokenBody {
    name: String,
    /// What the hosts' names must be like.
    names: String,
    labels: BTreeMap<String, String>,
    /// How many hosts have used it.
    uses: u64,
    /// How many may; absent for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u64>,
    /// Unix milliseconds, as the others.
    #[schema(value_type = i64)]
    created_at: UnixMillis,
    /// When it is worth nothing any more; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    expires_at: Option<UnixMillis>,
    /// When somebody made it worth nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    revoked_at: Option<UnixMillis>,
}

impl From<FleetToken> for FleetTokenBody {
    fn from(token: FleetToken) -> Self {
        Self {
            labels: serde_json::from_str(&token.labels).unwrap_or_default(),
            name: token.name,
            names: token.pattern,
            uses: token.uses,
            max_uses: token.max_uses,
            created_at: token.created_at,
            expires_at: token.until,
            revoked_at: token.revoked_at,
        }
    }
}

/// All of them.
#[derive(Serialize, ToSchema)]
pub(super) struct FleetTokensBody {
    fleet_tokens: Vec<FleetTokenBody>,
}

/// The string, shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeFleetToken {
    name: String,
    /// What `nodeglass-agent enroll` takes on each of the hosts. It can't be had again.
    enrolment: String,
}

/// Lists strings for many hosts, without what only those have who were given them.
#[utoipa::path(
    get, path = "/api/v1/fleet-tokens", operation_id = "fleet_tokens", tag = "agents",
    responses((status = 200, description = "All of them, revoked ones, too.", body = FleetTokensBody)),
)]
pub(super) async fn fleet_tokens(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<FleetTokensBody>, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    let tokens = api.store.fleet_tokens().await?;
    Ok(Json(FleetTokensBody {
        fleet_tokens: tokens.into_iter().map(FleetTokenBody::from).collect(),
    }))
}

/// Makes a string that makes many hosts agents, as `nodeglass-server fleet-token add` does.
#[utoipa::path(
    post, path = "/api/v1/fleet-tokens", operation_id = "add_fleet_token", tag = "agents",
    request_body = FleetTokenToMake,
    responses(
        (status = 201, description = "The string.", body = MadeFleetToken),
        (status = 409, description = "There is one of that name.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn add_fleet_token(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
    JsonBody(said): JsonBody<FleetTokenToMake>,
) -> Result<Response, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    strings::check_fleet_name(&said.name).map_err(|problem| wrong("name", problem))?;
    let names = said.names.unwrap_or_else(|| "*".to_owned());
    if names.len() > glob::LONGEST {
        let problem = format!("the pattern is longer than {} bytes", glob::LONGEST);
        return Err(wrong("names", problem));
    }
    if let Some(uses) = said.max_uses {
        inside("max_uses", uses, 1..=MOST_USES)?;
    }
    checked(&said.labels)?;
    let valid = said.valid_seconds;
    let fleet = NewFleetToken {
        name: said.name.clone(),
        max_uses: said.max_uses,
        valid: valid
            .map(|seconds| valid_for(seconds, VALID.1..=LONGEST_FLEET))
            .transpose()?,
        pattern: names,
        labels: strings::label_text(&said.labels),
    };
    let token = strings::add_fleet_token(api.store.as_ref(), fleet, api.queries.clock()).await?;
    let token = token.ok_or_else(|| IdentityError::NameTaken {
        what: "fleet token",
        name: said.name.clone(),
    })?;
    note(&api, &caller, "fleet_token.add", &said.name, "");
    let made = MadeFleetToken {
        enrolment: api.entrance.string(None, &token),
        name: said.name,
    };
    Ok(no_store((StatusCode::CREATED, Json(made))))
}

/// Makes a string for many hosts worth nothing. The agents that it made go on.
#[utoipa::path(
    delete, path = "/api/v1/fleet-tokens/{name}", operation_id = "revoke_fleet_token", tag = "agents",
    params(("name" = String, Path, description = "The string's name")),
    responses((status = 204, description = "It is worth nothing.")),
)]
pub(super) async fn revoke_fleet_token(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    if !api.store.revoke_fleet_token(&name, api.queries.now()).await? {
        let (what, name) = ("fleet token", name.chars().take(80).collect());
        return Err(IdentityError::UnknownName { what, name }.into());
    }
    note(&api, &caller, "fleet_token.revoke", &name, "");
    Ok(StatusCode::NO_CONTENT)
}
