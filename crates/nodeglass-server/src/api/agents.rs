//! What agents are and do now.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use nodeglass_model::Sample;
use nodeglass_model::history::{MAX_SELECTORS, QueryError};
use nodeglass_model::selector::Selector;
use nodeglass_model::system::{SystemInfo, SystemParts};
use serde::Serialize;
use serde_json::{Map, Value};

use super::parameters::{AgentName, Parameters};
use super::{Api, guide, json};
use crate::error::ApiError;
use crate::live::Overview;

/// What the overview shows of each agent unless the caller names something else.
const OVERVIEW: [&str; 2] = ["cpu.usage_percent", "memory.usage_percent"];

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
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["hours"])?;
    if parameters.text("hours").is_some() {
        return guide::metrics(&api, &id, &parameters).await;
    }
    let (agent, live) = api.queries.metrics(&id).await?;
    // The sample's JSON is made once for all readers; the agent's name needs no escaping.
    let sample = live.json();
    let mut body = format!("{{\"agent_id\":\"{}\",", agent.id).into_bytes();
    body.extend_from_slice(&sample[1..]);
    Ok(json(Bytes::from(body)))
}

#[derive(Serialize)]
pub(super) struct AllBody {
    agents: Vec<AgentBody>,
}

#[derive(Serialize)]
struct AgentBody {
    agent_id: String,
    status: &'static str,
    last_metrics_update: Option<i64>,
    metrics: Option<Map<String, Value>>,
}

/// `GET /metrics/agents`: every agent with the metrics named by `metrics`, nested as in a sample.
pub(super) async fn all(State(api): State<Api>, parameters: Parameters) -> Result<Json<AllBody>, ApiError> {
    let parameters = parameters.only(&["metrics"])?;
    let named = parameters.list("metrics");
    let wanted = if named.is_empty() {
        OVERVIEW.to_vec()
    } else {
        named
    };
    if wanted.len() > MAX_SELECTORS {
        return Err(ApiError::Query(QueryError::TooManyMetrics(wanted.len())));
    }
    let selectors = wanted
        .into_iter()
        .map(Selector::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|unknown| ApiError::Query(unknown.into()))?;
    let agents = api.queries.agents().await;
    let agents = agents
        .iter()
        .map(|agent| {
            let Overview {
                connected,
                update,
                sample,
            } = agent.overview();
            AgentBody {
                agent_id: agent.id.to_string(),
                status: if connected { "connected" } else { "disconnected" },
                last_metrics_update: update.map(|at| at.0),
                metrics: sample.map(|live| nested(&live.sample, &selectors)),
            }
        })
        .collect();
    Ok(Json(AllBody { agents }))
}

/// Selected figures as in a sample's JSON: `{"cpu": {"usage_percent": 25.4}}`.
fn nested(sample: &Sample, selectors: &[Selector]) -> Map<String, Value> {
    let mut sections = Map::new();
    for selector in selectors {
        selector.each(sample, |name, value| {
            let (section, figure) = name.split_once('.').unwrap_or(("", &name));
            let section = sections
                .entry(section)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(section) = section.as_object_mut() {
                section.insert(figure.to_owned(), Value::from(value));
            }
        });
    }
    sections
}
