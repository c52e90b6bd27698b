//! What happened, to one agent and to all.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use nodeglass_store::registry::{EventQuery, EventRecord};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Found;
use crate::access::Caller;
use crate::api::Api;
use crate::api::parameters::{Parameters, wrong};
use crate::error::ApiError;
use crate::events::Kind;
use crate::queries::within;

/// Events in one answer unless the caller says otherwise, and at most.
const LIMIT: (u32, u32) = (100, 1_000);
/// Events that are read at a time, where some may not be shown.
const PAGE: u32 = 1_000;
/// Pages that are read for one answer to a caller who may see few agents.
const MAX_PAGES: u32 = 20;

/// Something that happened.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct EventBody {
    /// Its number; later events have higher ones.
    id: i64,
    /// When, in Unix milliseconds.
    timestamp: i64,
    /// To whom, by the name that it has now; null for the server itself.
    #[schema(required)]
    agent_id: Option<String>,
    /// What: `connected`, `lost`, `restarted`, ...
    kind: String,
    /// More of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

/// What happened, the newest first.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct EventsBody {
    events: Vec<EventBody>,
    /// What to give as `before` for those that came earlier, if there may be some.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
}

/// What a query asks for.
fn query(api: &Api, parameters: &Parameters) -> Result<EventQuery, ApiError> {
    let kinds = parameters.list("kind");
    let known = |kind: &&str| Kind::ALL.iter().any(|known| known.name() == *kind);
    if let Some(unknown) = kinds.iter().find(|kind| !known(kind)) {
        let unknown: String = unknown.chars().take(40).collect();
        let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        return Err(wrong(
            "kind",
            format!("there is no {unknown:?}; there are {}", all.join(", ")),
        ));
    }
    let limit = within(
        "limit",
        parameters.parsed::<u32>("limit", "a whole number")?,
        LIMIT,
    )?;
    Ok(EventQuery {
        agent: None,
        kinds: kinds.into_iter().map(str::to_owned).collect(),
        range: parameters.range("1970-01-01T00:00:00Z", api.queries.now())?,
        before: parameters.parsed::<i64>("before", "the number of an event")?,
        limit,
    })
}

fn body(api: &Api, record: EventRecord) -> EventBody {
    let now = record.agent.and_then(|key| api.queries.live().of_key(key));
    EventBody {
        id: record.id,
        timestamp: record.at.0,
        agent_id: now.map(|agent| agent.id.to_string()).or(record.name),
        kind: record.kind,
        detail: record
            .detail
            .and_then(|detail| serde_json::from_str(&detail).ok()),
    }
}

/// What happened to an agent, the newest first.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/events", operation_id = "agent_events", tag = "events",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("kind" = Option<String>, Query, description = "Only these kinds, separated by commas"),
        ("start" = Option<String>, Query, description = "Not before this moment"),
        ("end" = Option<String>, Query, description = "Before this moment; now without it"),
        ("before" = Option<i64>, Query, description = "Only events with lower numbers: the `next_before` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many at most; 100 without it"),
    ),
    responses((status = 200, description = "The events.", body = EventsBody)),
)]
pub(in crate::api) async fn of_agent(
    State(api): State<Api>,
    Found(agent): Found,
    parameters: Parameters,
) -> Result<Json<EventsBody>, ApiError> {
    let parameters = parameters.only(&["kind", "start", "end", "before", "limit"])?;
    let query = EventQuery {
        agent: Some(agent.key),
        ..query(&api, &parameters)?
    };
    let found = api.store.events(&query).await?;
    let is_full = found.len() == query.limit as usize;
    let next_before = found.last().filter(|_| is_full).map(|event| event.id);
    Ok(Json(EventsBody {
        events: found.into_iter().map(|record| body(&api, record)).collect(),
        next_before,
    }))
}

/// What happened in the whole fleet, the newest first.
///
/// What happened to groups, and to agents that were forgotten, is shown to those who may see all agents.
#[utoipa::path(
    get, path = "/api/v1/events", operation_id = "events", tag = "events",
    params(
        ("agents" = Option<String>, Query, description = "Only of those that any of these means, separated by commas: names, \
            patterns, labels (`label:env=prod`), groups (`group:web`)"),
        ("kind" = Option<String>, Query, description = "Only these kinds, separated by commas"),
        ("start" = Option<String>, Query, description = "Not before this moment"),
        ("end" = Option<String>, Query, description = "Before this moment; now without it"),
        ("before" = Option<i64>, Query, description = "Only events with lower numbers: the `next_before` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many at most; 100 without it"),
    ),
    responses((status = 200, description = "The events.", body = EventsBody)),
)]
pub(in crate::api) async fn of_fleet(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<EventsBody>, ApiError> {
    let parameters = parameters.only(&["agents", "kind", "start", "end", "before", "limit"])?;
    let mut query = query(&api, &parameters)?;
    let limit = query.limit as usize;
    let named = parameters.list("agents");
    let chosen = match named.as_slice() {
        [] => None,
        named => {
            let agents = api.queries.choose(&caller, named).await?.into_iter();
            Some(agents.map(|agent| agent.key).collect::<HashSet<_>>())
        }
    };
    let sees_all = caller.agents.is_all();
    let shows = |record: &EventRecord| match (record.agent, &chosen) {
        (Some(key), Some(chosen)) => chosen.contains(&key),
        (_, None) if sees_all => true,
        (Some(key), None) => api
            .queries
            .live()
            .of_key(key)
            .is_some_and(|agent| caller.may_see(&agent)),
        // When the server was away, everybody may know who asks for what came of it.
        (None, None) => record.kind == Kind::ServerStarted.name(),
        (None, Some(_)) => false,
    };
    let is_plain = sees_all && chosen.is_none();
    query.limit = if is_plain { query.limit } else { PAGE };
    let (mut events, mut next_before) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let found = api.store.events(&query).await?;
        let is_last = found.len() < query.limit as usize;
        for record in found {
            query.before = Some(record.id);
            if shows(&record) {
                events.push(body(&api, record));
                if events.len() == limit {
                    break;
                }
            }
        }
        next_before = query.before.filter(|_| !is_last || events.len() == limit);
        if is_last || events.len() == limit {
            break;
        }
    }
    Ok(Json(EventsBody { events, next_before }))
}
