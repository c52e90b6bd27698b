//! Who used a host: its tasks from start to end, and its processes at any moment.

use axum::Json;
use axum::extract::State;
use nodeglass_model::sample::ProcessEntry;
use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_store::TaskRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::{AgentName, Parameters, wrong};
use super::{Api, shapes};
use crate::access::Caller;
use crate::error::ApiError;
use crate::queries::{TASKS, task_state, unseen_since, within};

/// Tasks of an agent.
#[derive(Serialize, ToSchema)]
pub(super) struct TasksBody {
    /// Whose they are.
    agent_id: String,
    /// The latest start first.
    tasks: Vec<TaskBody>,
}

/// A task from start to end.
#[derive(Serialize, ToSchema)]
struct TaskBody {
    /// Its name.
    task_id: String,
    /// `running`, `ended`, or `lost`: not seen for a while, so its end is not known.
    #[schema(value_type = TaskState, inline)]
    state: &'static str,
    command: String,
    /// Unix milliseconds, as the others.
    started_at: i64,
    last_seen_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
}

/// How a task stands.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes three words")]
enum TaskState {
    Running,
    Ended,
    Lost,
}

impl TaskBody {
    fn new(task: TaskRecord, unseen_since: UnixMillis) -> Self {
        let state = task_state(&task, unseen_since);
        Self {
            task_id: task.task_id,
            state,
            command: task.command,
            started_at: task.started_at.0,
            last_seen_at: task.last_seen_at.0,
            ended_at: task.ended_at.map(|at| at.0),
            exit_code: task.exit_code,
            cpu_time_ms: task.cpu_time_ms,
            peak_memory_bytes: task.peak_memory_bytes,
        }
    }
}

/// The tasks that ran in a span of time, the latest start first.
///
/// `start` is `-24h` and `end` is `now` unless given.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/tasks", operation_id = "agent_tasks", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        shapes::Span,
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1_000, description = "How many; 100 without it"),
    ),
    responses((status = 200, description = "The tasks.", body = TasksBody)),
)]
pub(super) async fn tasks(
    State(api): State<Api>,
    caller: Caller,
    AgentName(id): AgentName,
    parameters: Parameters,
) -> Result<Json<TasksBody>, ApiError> {
    let parameters = parameters.only(&["start", "end", "limit"])?;
    let now = api.queries.now();
    let range = TimeRange {
        start: parameters.moment("start", "-24h", now)?,
        end: parameters.moment("end", "now", now)?,
    };
    if range.end <= range.start {
        return Err(wrong("end", "it must be after start".to_owned()));
    }
    let limit = within(
        "limit",
        parameters.parsed::<u32>("limit", "a whole number")?,
        TASKS,
    )?;
    let tasks = api.queries.tasks(&caller, &id, range, limit).await?;
    let interval = api.queries.agent(&caller, &id).await?.stored_interval();
    let unseen_since = unseen_since(now, interval);
    Ok(Json(TasksBody {
        agent_id: id,
        tasks: tasks
            .into_iter()
            .map(|task| TaskBody::new(task, unseen_since))
            .collect(),
    }))
}

/// Processes of an agent at one moment.
#[derive(Serialize, ToSchema)]
pub(super) struct ProcessesBody {
    /// Whose they are.
    agent_id: String,
    /// When they were read, in Unix milliseconds; absent if nothing was, in the two minutes before.
    #[schema(required)]
    timestamp: Option<UnixMillis>,
    processes: Vec<ProcessEntry>,
}

/// The processes that used most of a host at one moment, the busiest first.
///
/// They are the first by processor time, memory, disk I/O and GPU memory.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/processes", operation_id = "agent_processes", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("at" = Option<String>, Query, example = "-1h", description = "The moment, as in a span; `now` without it"),
    ),
    responses((status = 200, description = "The processes.", body = ProcessesBody)),
)]
pub(super) async fn processes(
    State(api): State<Api>,
    caller: Caller,
    AgentName(id): AgentName,
    parameters: Parameters,
) -> Result<Json<ProcessesBody>, ApiError> {
    let parameters = parameters.only(&["at"])?;
    let at = parameters.moment("at", "now", api.queries.now())?;
    let sample = api.queries.processes_at(&caller, &id, at).await?;
    let timestamp = sample.as_ref().map(|sample| sample.timestamp);
    let mut processes = sample.map(|sample| sample.processes.top).unwrap_or_default();
    let cpu = |process: &ProcessEntry| process.cpu_percent.unwrap_or(0.0);
    processes.sort_by(|one, other| cpu(other).total_cmp(&cpu(one)).then(one.pid.cmp(&other.pid)));
    Ok(Json(ProcessesBody {
        agent_id: id,
        timestamp,
        processes,
    }))
}
