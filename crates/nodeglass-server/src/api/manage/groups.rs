//! Groups of agents, and what is asked of all in one.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::Api;
use crate::api::body::JsonBody;
use crate::api::parameters::{Named, Parameters};
use crate::api::tokens::whole_fleet;
use crate::error::ApiError;
use crate::registry::groups::{ALL, Group, GroupSaid};
use crate::registry::settings::AgentSettings;

/// A group.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct GroupBody {
    /// Its name.
    name: String,
    /// Names, patterns (`web-*`) and labels (`label:env=prod`); an agent is in the group if any of them means it.
    agents: Vec<String>,
    /// Of two groups that ask for the same thing, the one with the higher place decides.
    place: i32,
    /// What is asked of them.
    settings: AgentSettings,
    /// How many agents are in it, of those that the caller may see.
    members: usize,
}

fn body(api: &Api, caller: &Caller, group: &Group) -> GroupBody {
    let mut members = 0;
    api.queries.live().after(None, |agent| {
        members += usize::from(caller.may_see(agent) && agent.profile().is_in(&group.name));
        true
    });
    let GroupSaid {
        agents,
        place,
        settings,
    } = group.said();
    GroupBody {
        name: group.name.clone(),
        agents,
        place,
        settings,
        members,
    }
}

/// Every group.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct GroupsBody {
    /// That of all agents first; what a later one asks for goes before what an earlier one does.
    groups: Vec<GroupBody>,
}

/// The group of all agents, as long as nothing is asked of it.
fn all() -> Group {
    Group::new(ALL, &GroupSaid::default()).expect("a group that asks for nothing")
}

/// Every group of agents.
#[utoipa::path(
    get, path = "/api/v1/groups", operation_id = "groups", tag = "groups",
    responses((status = 200, description = "The groups.", body = GroupsBody)),
)]
pub(in crate::api) async fn groups(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<GroupsBody>, ApiError> {
    parameters.only(&[])?;
    let known = api.registry().groups();
    let all = (!known.iter().any(|group| group.name == ALL)).then(all);
    let groups = all.iter().chain(known.iter());
    Ok(Json(GroupsBody {
        groups: groups.map(|group| body(&api, &caller, group)).collect(),
    }))
}

/// One group of agents.
#[utoipa::path(
    get, path = "/api/v1/groups/{name}", operation_id = "group", tag = "groups",
    params(("name" = String, Path, description = "The group's name; all for that of all agents")),
    responses((status = 200, description = "The group.", body = GroupBody)),
)]
pub(in crate::api) async fn group(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named,
    parameters: Parameters,
) -> Result<Json<GroupBody>, ApiError> {
    parameters.only(&[])?;
    let known = api.registry().groups();
    let found = known.iter().find(|group| group.name == name);
    match found {
        Some(group) => Ok(Json(body(&api, &caller, group))),
        None if name == ALL => Ok(Json(body(&api, &caller, &all()))),
        None => Err(unknown(&name)),
    }
}

fn unknown(name: &str) -> ApiError {
    ApiError::UnknownGroup(name.chars().take(80).collect())
}

/// Makes a group, or says anew whom it has and what is asked of them.
///
/// The group `all` has all agents; what is asked of it is the default for all.
#[utoipa::path(
    put, path = "/api/v1/groups/{name}", operation_id = "set_group", tag = "groups",
    params(("name" = String, Path, description = "The group's name; all for that of all agents")),
    request_body = GroupSaid,
    responses((status = 200, description = "The group.", body = GroupBody)),
)]
pub(in crate::api) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named,
    parameters: Parameters,
    JsonBody(said): JsonBody<GroupSaid>,
) -> Result<Json<GroupBody>, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    let group = api.registry().save_group(&name, &said).await?;
    super::note(&api, &caller, "group.set", &name, &super::said(&said));
    Ok(Json(body(&api, &caller, &group)))
}

/// Removes a group; its agents stay.
#[utoipa::path(
    delete, path = "/api/v1/groups/{name}", operation_id = "remove_group", tag = "groups",
    params(("name" = String, Path, description = "The group's name")),
    responses((status = 204, description = "It is gone.")),
)]
pub(in crate::api) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    if api.registry().remove_group(&name).await? {
        super::note(&api, &caller, "group.remove", &name, "");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown(&name))
    }
}
