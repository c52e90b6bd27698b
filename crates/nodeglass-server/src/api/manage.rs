//! Agents as people manage them: listing, labels, names, settings, letting go.

pub(super) mod events;
pub(super) mod groups;
pub(super) mod list;
pub(super) mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use nodeglass_model::AgentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::JsonBody;
use super::parameters::{AgentName, Parameters, wrong};
use super::tag::{Known, Tag};
use crate::access::Caller;
use crate::error::ApiError;
use crate::ledger::Gap;
use crate::live::LiveAgent;
use crate::registry::labels::{Origin, SaidLabels};
use list::AgentEntry;
use settings::SettingsBody;

/// The agent that a call names, to a caller who may see it: looked for before anything else of the call is looked at.
pub(super) struct Found(pub(super) Arc<LiveAgent>);

impl FromRequestParts<Api> for Found {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        let AgentName(id) = AgentName::from_request_parts(parts, api).await?;
        let find = async {
            let caller = Caller::of(&parts.extensions)?;
            api.queries.agent(&caller, &id).await
        };
        find.await.map(Self).map_err(IntoResponse::into_response)
    }
}

/// Notes who changed what.
pub(super) fn note(api: &Api, caller: &Caller, action: &str, subject: &str, detail: &str) {
    api.identity.audit.note(caller, action, subject, detail);
}

/// What was said, as the audit log has it.
fn said(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}

/// A label with who said it.
#[derive(Serialize, ToSchema)]
struct LabelBody {
    value: String,
    origin: Origin,
}

/// Everything that is known of an agent but its figures.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentBody {
    #[serde(flatten)]
    entry: AgentEntry,
    /// The labels with who said each: the agent's configuration, or somebody on the server.
    label_origins: BTreeMap<String, LabelBody>,
    /// Names that it had before; who asks for one is sent here.
    former_names: Vec<String>,
    /// The name that the host has for itself.
    hostname: Option<String>,
    /// When its host started, in Unix milliseconds, roughly.
    booted_at: Option<i64>,
    /// How often it sends when nobody looks on, in seconds; absent before its first session.
    collection_interval_seconds: Option<f64>,
    /// How often one of its samples is stored.
    stored_interval_seconds: Option<f64>,
    settings: SettingsBody,
}

fn detail(api: &Api, agent: &LiveAgent) -> AgentBody {
    let profile = agent.profile();
    let system = agent.system();
    let software = system.as_ref().and_then(|system| system.software.as_ref());
    let seconds = |interval: Option<std::time::Duration>| interval.map(|interval| interval.as_secs_f64());
    AgentBody {
        entry: AgentEntry::of(api, agent),
        label_origins: profile
            .labels
            .iter()
            .map(|label| {
                let body = LabelBody {
                    value: label.value.to_string(),
                    origin: label.origin,
                };
                (label.name.to_string(), body)
            })
            .collect(),
        former_names: profile.former.iter().map(ToString::to_string).collect(),
        hostname: software.map(|software| software.hostname.clone()),
        booted_at: profile.booted_at.map(|at| at.0),
        collection_interval_seconds: seconds(agent.collection_interval()),
        stored_interval_seconds: seconds(agent.stored_interval()),
        settings: SettingsBody::of(api, agent),
    }
}

/// Everything that is known of an agent but its figures.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}", operation_id = "agent", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, description = "The agent.", body = AgentBody),
        (status = 304, description = "Nothing has changed."),
    ),
)]
pub(super) async fn agent(
    State(api): State<Api>,
    Found(agent): Found,
    known: Known,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    parameters.only(&[])?;
    let body = serde_json::to_vec(&detail(&api, &agent)).map_err(|error| ApiError::Internal(error.into()))?;
    let tag = Tag::new(api.queries.live(), |state| std::hash::Hash::hash(&body, state));
    Ok(tag.answer(&known, || super::json(body.into())))
}

/// Labels by their names.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
pub(super) struct LabelsSaid(
    /// A value of null takes a label away.
    SaidLabels,
);

/// The labels of an agent.
#[derive(Serialize, ToSchema)]
pub(super) struct LabelsBody {
    /// Whose they are.
    agent_id: String,
    /// Labels by their names.
    labels: BTreeMap<String, LabelBody>,
}

fn labels(agent: &LiveAgent) -> LabelsBody {
    let labels = agent.labels();
    let body = |label: &crate::registry::labels::Label| LabelBody {
        value: label.value.to_string(),
        origin: label.origin,
    };
    LabelsBody {
        agent_id: agent.id.to_string(),
        labels: labels
            .iter()
            .map(|label| (label.name.to_string(), body(label)))
            .collect(),
    }
}

/// The labels of an agent, with who said each.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/labels", operation_id = "agent_labels", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    responses((status = 200, description = "The labels.", body = LabelsBody)),
)]
pub(super) async fn show_labels(
    Found(agent): Found,
    parameters: Parameters,
) -> Result<Json<LabelsBody>, ApiError> {
    parameters.only(&[])?;
    Ok(Json(labels(&agent)))
}

/// Sets some labels, and takes those away whose value is null.
///
/// What is said here covers what the agent's own configuration says.
#[utoipa::path(
    patch, path = "/api/v1/agents/{id}/labels", operation_id = "change_agent_labels", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    request_body = LabelsSaid,
    responses((status = 200, description = "The labels as they are now.", body = LabelsBody)),
)]
pub(super) async fn change_labels(
    State(api): State<Api>,
    caller: Caller,
    Found(agent): Found,
    parameters: Parameters,
    JsonBody(LabelsSaid(changes)): JsonBody<LabelsSaid>,
) -> Result<Json<LabelsBody>, ApiError> {
    parameters.only(&[])?;
    api.registry().label(&agent, &changes, false).await?;
    note(&api, &caller, "agent.label", agent.id.as_str(), &said(&changes));
    Ok(Json(labels(&agent)))
}

/// Sets all labels: those that are not given are taken away.
#[utoipa::path(
    put, path = "/api/v1/agents/{id}/labels", operation_id = "set_agent_labels", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    request_body = LabelsSaid,
    responses((status = 200, description = "The labels as they are now.", body = LabelsBody)),
)]
pub(super) async fn set_labels(
    State(api): State<Api>,
    caller: Caller,
    Found(agent): Found,
    parameters: Parameters,
    JsonBody(LabelsSaid(changes)): JsonBody<LabelsSaid>,
) -> Result<Json<LabelsBody>, ApiError> {
    parameters.only(&[])?;
    api.registry().label(&agent, &changes, true).await?;
    note(&api, &caller, "agent.label", agent.id.as_str(), &said(&changes));
    Ok(Json(labels(&agent)))
}

/// Another name for an agent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    /// The name: 1 to 128 letters, digits, '.', '_' and '-', starting with a letter or digit.
    name: String,
}

/// Gives an agent another name.
///
/// Its history stays. Its session and its streams end, and it goes on in a new session within moments. Calls for the old
/// name are redirected to the new one, until another agent is enrolled under it.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/rename", operation_id = "rename_agent", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    request_body = Rename,
    responses(
        (status = 200, description = "The agent under its new name.", body = AgentBody),
        (status = 409, description = "Another agent has the name."),
    ),
)]
pub(super) async fn rename(
    State(api): State<Api>,
    caller: Caller,
    Found(agent): Found,
    parameters: Parameters,
    JsonBody(Rename { name }): JsonBody<Rename>,
) -> Result<Json<AgentBody>, ApiError> {
    parameters.only(&[])?;
    let name: AgentId = name
        .parse()
        .map_err(|error: nodeglass_model::IdError| wrong("name", error.to_string()))?;
    let renamed = api.registry().rename(&agent, &name).await?;
    note(&api, &caller, "agent.rename", agent.id.as_str(), name.as_str());
    Ok(Json(detail(&api, &renamed)))
}

/// Forgets an agent: its session ends, its enrolment opens none any more, and no list has it.
///
/// With `data=delete` what is of it is erased in the background. With `data=keep` it stays as long as everything is kept,
/// and comes back to a host that is enrolled under the same name.
#[utoipa::path(
    delete, path = "/api/v1/agents/{id}", operation_id = "forget_agent", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("data" = String, Query, description = "What becomes of its history: delete or keep"),
    ),
    responses((status = 204, description = "It is forgotten.")),
)]
pub(super) async fn forget(
    State(api): State<Api>,
    caller: Caller,
    Found(agent): Found,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    let parameters = parameters.only(&["data"])?;
    let keeps_data = match parameters.text("data") {
        Some("keep") => true,
        Some("delete") => false,
        _ => {
            let problem = "say what becomes of its history: data=delete or data=keep".to_owned();
            return Err(wrong("data", problem));
        }
    };
    api.registry().forget(&agent, keeps_data).await?;
    let data = if keeps_data { "data kept" } else { "data deleted" };
    note(&api, &caller, "agent.forget", agent.id.as_str(), data);
    Ok(StatusCode::NO_CONTENT)
}

/// Spans without samples.
#[derive(Serialize, ToSchema)]
pub(super) struct GapsBody {
    /// Whose they are.
    agent_id: String,
    /// Unix milliseconds.
    start: i64,
    /// Unix milliseconds.
    end: i64,
    /// The spans, and why there is nothing.
    gaps: Vec<Gap>,
}

/// Spans without samples of an agent, and why.
///
/// Those that the agent knows of, what still waits there, the time since it is away, and what is not kept any more.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/gaps", operation_id = "agent_gaps", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("start" = Option<String>, Query, description = "Where to begin; 24 hours ago without it"),
        ("end" = Option<String>, Query, description = "Where to end; now without it"),
    ),
    responses((status = 200, description = "The gaps.", body = GapsBody)),
)]
pub(super) async fn gaps(
    State(api): State<Api>,
    Found(agent): Found,
    parameters: Parameters,
) -> Result<Json<GapsBody>, ApiError> {
    let parameters = parameters.only(&["start", "end"])?;
    let range = parameters.range("-24h", api.queries.now())?;
    Ok(Json(GapsBody {
        agent_id: agent.id.to_string(),
        start: range.start.0,
        end: range.end.0,
        gaps: api.queries.gaps(&agent, range).await?,
    }))
}
