//! What one agent is and does now.

use std::hash::Hash;

use axum::extract::State;
use axum::response::Response;
use futures_util::FutureExt;
use nodeglass_model::system::{SystemInfo, SystemParts};
use serde::Serialize;
use utoipa::ToSchema;

use super::format::write_json;
use super::parameters::{AgentName, Parameters};
use super::tag::{Known, Tag};
use super::{Api, guide, json, shapes};
use crate::access::Caller;
use crate::error::ApiError;

/// What a host is.
#[derive(Serialize, ToSchema)]
pub(super) struct SystemBody {
    /// The agent's name.
    agent_id: String,
    #[serde(flatten)]
    info: SystemInfo,
}

/// What a host is: its hardware, its software, its network interfaces.
///
/// It is what the agent last said. With `packages=true`, or any of the `include_` flags, the agent is asked now; with flags
/// it says those parts alone.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/system", operation_id = "agent_system", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("packages" = Option<bool>, Query, description = "The installed packages, too; the agent has to be connected"),
        ("include_hardware" = Option<bool>, Query, description = "Asked now: processors, memory, disks"),
        ("include_software" = Option<bool>, Query, description = "Asked now: system, host name, time since its start"),
        ("include_network" = Option<bool>, Query, description = "Asked now: network interfaces"),
    ),
    responses(
        (status = 200, description = "The host.", body = SystemBody),
        (status = 304, description = "Nothing has changed."),
    ),
)]
pub(super) async fn system(
    State(api): State<Api>,
    caller: Caller,
    AgentName(id): AgentName,
    known: Known,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    const PARTS: [&str; 3] = ["include_hardware", "include_software", "include_network"];
    let parameters = parameters.only(&["packages", PARTS[0], PARTS[1], PARTS[2]])?;
    let flag = |name| {
        parameters
            .parsed(name, "true or false")
            .map(|flag| flag.unwrap_or(false))
    };
    let packages = flag("packages")?;
    let info = if PARTS.iter().any(|name| parameters.text(name).is_some()) {
        let parts = SystemParts {
            hardware: flag(PARTS[0])?,
            // Packages are software.
            software: flag(PARTS[1])? || packages,
            network: flag(PARTS[2])?,
            packages,
        };
        api.queries.system_now(&caller, &id, parts).await?
    } else {
        let parts = SystemParts {
            packages,
            ..SystemParts::STANDARD
        };
        api.queries.system(&caller, &id, parts).await?
    };
    let mut body = Vec::new();
    write_json(&mut body, &SystemBody { agent_id: id, info });
    Ok(Tag::of(&body).answer(&known, || json(body.into())))
}

/// The latest sample, or with `hours` a few figures over time.
///
/// The sample has an `ETag`: who asks again with `If-None-Match` is told when there is none newer.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/metrics", operation_id = "agent_metrics", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("hours" = Option<u64>, Query, minimum = 1, maximum = 87_840,
            description = "Instead of the sample, some figures under plain names over so many hours"),
    ),
    responses(
        (status = 200, description = "The sample, or the figures.", body = shapes::Metrics),
        (status = 304, description = "There is no newer sample."),
    ),
)]
pub(super) async fn metrics(
    State(api): State<Api>,
    caller: Caller,
    AgentName(id): AgentName,
    known: Known,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["hours"])?;
    if parameters.text("hours").is_some() {
        // In a box of its own, so that the sample's caller does not pay for it.
        return guide::metrics(&api, &caller, &id, &parameters).boxed().await;
    }
    let (agent, live) = api.queries.metrics(&caller, &id).await?;
    let tag = Tag::new(api.queries.live(), |state| live.number.hash(state));
    Ok(tag.answer(&known, || json(live.snapshot(&agent.id))))
}
