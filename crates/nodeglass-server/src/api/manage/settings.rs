//! What is asked of an agent, and what is in force there: side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Found;
use crate::access::Caller;
use crate::api::Api;
use crate::api::body::JsonBody;
use crate::api::parameters::{Parameters, wrong};
use crate::error::ApiError;
use crate::live::LiveAgent;
use crate::registry::settings::{AgentSettings, INTERVALS, Problem};

/// How long a call that changes something waits for the agent to say what is in force.
const APPLY: Duration = Duration::from_secs(5);

/// What is asked of an agent, and what is in force.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct SettingsBody {
    /// Whose they are.
    agent_id: String,
    /// What is asked of this agent alone.
    own: AgentSettings,
    /// What is asked of it, together with what is asked of all and of its groups.
    wanted: AgentSettings,
    /// Who asks for each: `server` (its configuration), `group:NAME`, `agent`.
    origins: BTreeMap<String, String>,
    /// What the agent last said is in force; null if it never said, as agents of older versions don't.
    #[schema(required)]
    in_force: Option<AgentSettings>,
    /// What the agent could not do, and why.
    problems: Vec<Problem>,
    /// Whether what is in force is about what is wanted now. An agent that is away is asked when it comes back.
    applied: bool,
}

impl SettingsBody {
    pub(super) fn of(api: &Api, agent: &LiveAgent) -> Self {
        let profile = agent.profile();
        let wanted = api.registry().wanted(agent);
        let report = profile.report.as_deref();
        Self {
            agent_id: agent.id.to_string(),
            own: profile.settings.as_deref().cloned().unwrap_or_default(),
            applied: report.is_some_and(|report| report.revision == wanted.revision()),
            wanted: wanted.settings,
            origins: wanted
                .origins
                .into_iter()
                .map(|(key, who)| (key.to_owned(), who))
                .collect(),
            in_force: report.map(|report| report.in_force.clone()),
            problems: report.map(|report| report.problems.clone()).unwrap_or_default(),
        }
    }
}

/// What is asked of an agent, and what is in force there.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/settings", operation_id = "agent_settings", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    responses((status = 200, description = "Both, side by side.", body = SettingsBody)),
)]
pub(in crate::api) async fn show(
    State(api): State<Api>,
    Found(agent): Found,
    parameters: Parameters,
) -> Result<Json<SettingsBody>, ApiError> {
    parameters.only(&[])?;
    Ok(Json(SettingsBody::of(&api, &agent)))
}

async fn changed(api: &Api, caller: &Caller, agent: &LiveAgent) -> Json<SettingsBody> {
    let own = agent.profile().settings.as_deref().cloned().unwrap_or_default();
    super::note(
        api,
        caller,
        "agent.settings",
        agent.id.as_str(),
        &super::said(&own),
    );
    api.registry().applied(agent, APPLY).await;
    Json(SettingsBody::of(api, agent))
}

/// Says all that is asked of an agent alone; what is not given is left to its groups, to all, to its own configuration.
///
/// The agent does it at once, without a restart; the answer comes once it has, or after 5 s with `applied: false`.
#[utoipa::path(
    put, path = "/api/v1/agents/{id}/settings", operation_id = "set_agent_settings", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    request_body = AgentSettings,
    responses((status = 200, description = "What is asked for, and what is in force.", body = SettingsBody)),
)]
pub(in crate::api) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Found(agent): Found,
    parameters: Parameters,
    JsonBody(settings): JsonBody<AgentSettings>,
) -> Result<Json<SettingsBody>, ApiError> {
    parameters.only(&[])?;
    api.registry().set_settings(&agent, |_| Ok(settings)).await?;
    Ok(changed(&api, &caller, &agent).await)
}

/// Changes some of what is asked of an agent alone; what is null is left to its groups, to all, to its own configuration.
#[utoipa::path(
    patch, path = "/api/v1/agents/{id}/settings", operation_id = "change_agent_settings", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    request_body = AgentSettings,
    responses((status = 200, description = "What is asked for, and what is in force.", body = SettingsBody)),
)]
pub(in crate::api) async fn change(
    State(api): State<Api>,
    caller: Caller,
    Found(agent): Found,
    parameters: Parameters,
    JsonBody(patch): JsonBody<Map<String, Value>>,
) -> Result<Json<SettingsBody>, ApiError> {
    parameters.only(&[])?;
    api.registry()
        .set_settings(&agent, |before| before.patched(&patch))
        .await?;
    Ok(changed(&api, &caller, &agent).await)
}

/// What becomes of an agent's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::api) enum Action {
    /// Sample, as often as is said, what is named.
    Start,
    /// Sample no more.
    Stop,
    /// Sample as often as is said.
    UpdateInterval,
}

/// A change of what an agent samples, and how often.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct StreamChange {
    /// What becomes of its samples.
    action: Action,
    /// The time from one sample to the next, 1 to 3600; 0 or none is what the agent's own configuration says.
    #[serde(default)]
    #[schema(maximum = 3_600)]
    interval_seconds: u32,
    /// What to collect: metrics, or beginnings of their names. Empty is everything.
    #[serde(default)]
    metrics: Vec<String>,
}

/// Starts, stops or slows down an agent's samples.
///
/// It is the same as changing `enabled`, `collection_interval_seconds` and `collected_metrics` of its settings.
#[utoipa::path(
    patch, path = "/api/v1/agents/{id}/metrics/stream", operation_id = "change_agent_stream", tag = "agents",
    params(("id" = String, Path, description = "The agent's name")),
    request_body = StreamChange,
    responses((status = 200, description = "What is asked for, and what is in force.", body = SettingsBody)),
)]
pub(in crate::api) async fn stream(
    State(api): State<Api>,
    caller: Caller,
    Found(agent): Found,
    parameters: Parameters,
    JsonBody(said): JsonBody<StreamChange>,
) -> Result<Json<SettingsBody>, ApiError> {
    parameters.only(&[])?;
    if said.action != Action::Start && !said.metrics.is_empty() {
        let problem =
            "they go with START; STOP and UPDATE_INTERVAL leave what is collected as it is".to_owned();
        return Err(wrong("metrics", problem));
    }
    if said.interval_seconds > *INTERVALS.end() {
        let problem = format!("{} is more than {}", said.interval_seconds, INTERVALS.end());
        return Err(wrong("interval_seconds", problem));
    }
    let StreamChange {
        action,
        interval_seconds,
        metrics,
    } = said;
    api.registry()
        .set_settings(&agent, |before| {
            Ok(match action {
                Action::Start => before.started(interval_seconds, metrics),
                Action::Stop => before.stopped(),
                Action::UpdateInterval => before.with_interval(interval_seconds),
            })
        })
        .await?;
    Ok(changed(&api, &caller, &agent).await)
}
