//! Questions about several agents, and about what an agent did, in the wire's types. What is asked is checked where REST's
//! questions are: by [`crate::queries`].

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use nodeglass_model::history::HistoryQuery;
use nodeglass_model::selector::Selector;
use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_proto::v1;
use tonic::Status;

use crate::access::Caller;
use crate::error::ApiError;
use crate::live::LiveAgent;
use crate::queries::{
    FIRST, MAX_AGENTS, Order, Queries, Reading, StoredHistory, TASKS, first, task_state, unseen_since, within,
};

/// How far back tasks are listed unless the caller says otherwise.
const TASKS_OF: Duration = Duration::from_hours(24);

/// A query as the caller sent it; without a number of points it may have as many as there may be.
pub(super) fn query(
    queries: &Queries,
    query: Option<v1::MetricsQueryRequest>,
) -> Result<HistoryQuery, ApiError> {
    let mut query = query.unwrap_or_default();
    if query.max_points == 0 {
        query.max_points = queries.max_points();
    }
    Ok(HistoryQuery::try_from(query)?)
}

fn history(stored: &StoredHistory) -> v1::MetricsQueryResponse {
    v1::MetricsQueryResponse {
        source: "store".to_owned(),
        resolution: stored.resolution.name().to_owned(),
        ..v1::MetricsQueryResponse::new(&stored.query, &stored.history)
    }
}

/// The histories of several agents, read while they are taken.
pub(super) async fn fleet_history(
    queries: &Arc<Queries>,
    caller: &Caller,
    asked: v1::QueryFleetHistoryRequest,
) -> Result<impl Stream<Item = Result<v1::FleetHistory, Status>> + Send + use<>, ApiError> {
    let query = query(queries, asked.query)?;
    let agents = chosen(queries, caller, &asked.agents).await?;
    if agents.len() > MAX_AGENTS {
        return Err(ApiError::TooManyAgents(agents.len(), MAX_AGENTS));
    }
    if asked.together {
        let stored = queries.history_together(agents, &query).await?;
        let together = v1::FleetHistory {
            agent_id: String::new(),
            history: Some(history(&stored)),
        };
        return Ok(stream::iter([Ok(together)]).left_stream());
    }
    let each = queries.histories(agents, &query).map(|found| {
        let (agent, stored) = found?;
        Ok(v1::FleetHistory {
            agent_id: agent.id.to_string(),
            history: Some(history(&stored)),
        })
    });
    Ok(each.right_stream())
}

async fn chosen(
    queries: &Queries,
    caller: &Caller,
    agents: &[String],
) -> Result<Vec<Arc<LiveAgent>>, ApiError> {
    let agents: Vec<&str> = agents.iter().map(String::as_str).collect();
    queries.choose(caller, &agents).await
}

fn selector(metric: &str) -> Result<Selector, ApiError> {
    Selector::parse(metric).map_err(|unknown| ApiError::Query(unknown.into()))
}

/// The latest figures of a metric.
pub(super) async fn latest(
    queries: &Queries,
    caller: &Caller,
    asked: v1::GetLatestRequest,
) -> Result<v1::Readings, ApiError> {
    let selector = selector(&asked.metric)?;
    let agents = chosen(queries, caller, &asked.agents).await?;
    Ok(readings(&selector, "", &queries.latest_of(agents, &selector)))
}

/// Who has most or least of a metric.
pub(super) async fn top(
    queries: &Arc<Queries>,
    caller: &Caller,
    asked: v1::GetTopRequest,
) -> Result<v1::Readings, ApiError> {
    let selector = selector(&asked.metric)?;
    let count = within("k", (asked.k > 0).then_some(asked.k), FIRST)? as usize;
    let order = if asked.lowest {
        Order::Lowest
    } else {
        Order::Highest
    };
    let agents = chosen(queries, caller, &asked.agents).await?;
    let Some(start) = asked.start_timestamp else {
        if asked.end_timestamp.is_some() || !asked.aggregation.is_empty() {
            return Err(ApiError::Parameter {
                name: "start_timestamp",
                problem:
                    "an end or an aggregation needs a start; without one the latest figures are compared"
                        .to_owned(),
            });
        }
        let found = first(queries.latest_of(agents, &selector), order, count);
        return Ok(readings(&selector, "", &found));
    };
    if agents.len() > MAX_AGENTS {
        return Err(ApiError::TooManyAgents(agents.len(), MAX_AGENTS));
    }
    let now = queries.now().seconds().unsigned_abs();
    let span = v1::MetricsQueryRequest {
        metrics: vec![selector.to_string()],
        start_timestamp: start,
        end_timestamp: asked.end_timestamp.unwrap_or(now),
        aggregation: asked.aggregation,
        ..Default::default()
    };
    let (found, resolution) = queries.figures_over(agents, query(queries, Some(span))?).await?;
    Ok(readings(
        &selector,
        resolution.name(),
        &first(found, order, count),
    ))
}

fn readings(selector: &Selector, resolution: &str, readings: &[Reading]) -> v1::Readings {
    let readings = readings.iter().map(|reading| v1::Reading {
        agent_id: reading.agent.id.to_string(),
        device: reading
            .series
            .split_once('@')
            .map(|(_, device)| device.to_owned()),
        timestamp: reading.at.0.unsigned_abs(),
        value: reading.value,
    });
    v1::Readings {
        metric: selector.to_string(),
        unit: selector.metric().unit.name().to_owned(),
        resolution: resolution.to_owned(),
        readings: readings.collect(),
    }
}

/// The tasks of an agent.
pub(super) async fn tasks(
    queries: &Queries,
    caller: &Caller,
    asked: v1::ListTasksRequest,
) -> Result<v1::ListTasksResponse, ApiError> {
    let moment = |seconds: u64| UnixMillis::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1000));
    let now = queries.now();
    let end = asked.end_timestamp.map_or(now, moment);
    let range = TimeRange {
        start: asked.start_timestamp.map_or(end.minus(TASKS_OF), moment),
        end,
    };
    if range.end <= range.start {
        return Err(ApiError::Parameter {
            name: "end_timestamp",
            problem: "it must be after start_timestamp".to_owned(),
        });
    }
    let limit = within("limit", (asked.limit > 0).then_some(asked.limit), TASKS)?;
    let tasks = queries.tasks(caller, &asked.agent_id, range, limit).await?;
    let agent = queries.agent(caller, &asked.agent_id).await?;
    let unseen_since = unseen_since(now, agent.stored_interval());
    let tasks = tasks.into_iter().map(|task| v1::TaskRun {
        state: task_state(&task, unseen_since).to_owned(),
        task_id: task.task_id,
        command: task.command,
        started_at: task.started_at.0.unsigned_abs(),
        last_seen_at: task.last_seen_at.0.unsigned_abs(),
        ended_at: task.ended_at.map(|at| at.0.unsigned_abs()),
        exit_code: task.exit_code,
        cpu_time_ms: task.cpu_time_ms,
        peak_memory_bytes: task.peak_memory_bytes,
    });
    Ok(v1::ListTasksResponse {
        tasks: tasks.collect(),
    })
}

/// The processes of a host at some moment.
pub(super) async fn processes(
    queries: &Queries,
    caller: &Caller,
    asked: v1::GetProcessesRequest,
) -> Result<v1::ProcessesResponse, ApiError> {
    let at = match asked.at {
        None => queries.now(),
        Some(at) => {
            nodeglass_proto::check_timestamp(i64::try_from(at).ok()).map_err(|error| ApiError::Parameter {
                name: "at",
                problem: error.to_string(),
            })?
        }
    };
    let sample = queries.processes_at(caller, &asked.agent_id, at).await?;
    let timestamp = sample.as_ref().map(|sample| sample.timestamp.0.unsigned_abs());
    let mut processes = sample.map(|sample| sample.processes.top).unwrap_or_default();
    processes.sort_by(|one, other| {
        let cpu = |process: &nodeglass_model::sample::ProcessEntry| process.cpu_percent.unwrap_or(0.0);
        cpu(other).total_cmp(&cpu(one)).then(one.pid.cmp(&other.pid))
    });
    Ok(v1::ProcessesResponse {
        timestamp,
        processes: processes.iter().map(Into::into).collect(),
    })
}
