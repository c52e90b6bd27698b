//! What is spoken at the socket: one JSON object a line, each answered with one line. Pure but for the registry.
//!
//! ```text
//! {"follow": {"task_id": "nightly", "pid": 4242}}
//! {"follow": {"task_id": "nightly", "cgroup": "/system.slice/backup.service"}}
//! {"follow": {"task_id": "nightly", "unit": "backup.service"}}
//! {"ended": {"task_id": "nightly", "exit_code": 0, "cpu_time_ms": 1200, "peak_memory_bytes": 1048576}}
//! {"list": {}}
//! ```
//!
//! The answer is `{"ok": {...}}`, with `tasks` for a list, or `{"error": {"code": "...", "message": "..."}}`.

use nodeglass_collect::{Follow, FollowError, Target, TaskEnd, TaskRegistry, TaskSummary, UnknownTask};
use nodeglass_model::{TaskId, UnixMillis};
use serde::{Deserialize, Serialize};

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Follow a task from now on.
    Follow(FollowRequest),
    /// The first process of a task ended.
    Ended(EndedRequest),
    /// Which tasks are there?
    List {},
}

/// What to follow: exactly one of process, control group and unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowRequest {
    /// What the task is called.
    pub task_id: TaskId,
    /// A process, with all that it started and will start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The path of a control group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// The name of a systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The program and its arguments, if it is better known than from the process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Whoever asks is the process's parent, adopts orphans, and will tell how it ended.
    #[serde(default)]
    pub by_parent: bool,
}

/// How the first process of a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedRequest {
    /// What the task is called.
    pub task_id: TaskId,
    /// Its exit code, 128 + N after signal N.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u32>,
    /// Processor time of all that was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_time_ms: Option<u64>,
    /// Peak resident memory of the largest process that was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was done.
    Ok(Done),
    /// It was refused.
    Error(Refusal),
}

/// What came of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The tasks that are followed, for a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<TaskEntry>>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind of refusal, for programs: `bad_request`, `not_found`, `task_exists`, ...
    pub code: String,
    /// What is wrong, and what to do, for people.
    pub message: String,
}

/// One task of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEntry {
    /// What it is called.
    pub task_id: TaskId,
    /// What runs, as far as it may be shown.
    pub command: String,
    /// When it began, in Unix milliseconds.
    pub started_at_ms: i64,
    /// Its first process ended; others may live on.
    pub ended: bool,
}

impl Answer {
    /// A refusal.
    pub fn refuse(code: &str, message: impl Into<String>) -> Self {
        Self::Error(Refusal {
            code: code.to_owned(),
            message: message.into(),
        })
    }
}

impl From<FollowError> for Answer {
    fn from(error: FollowError) -> Self {
        Self::refuse(error.code(), error.to_string())
    }
}

impl From<UnknownTask> for Answer {
    fn from(error: UnknownTask) -> Self {
        Self::refuse("not_found", error.to_string())
    }
}

impl From<TaskSummary> for TaskEntry {
    fn from(task: TaskSummary) -> Self {
        Self {
            task_id: task.id,
            command: task.command,
            started_at_ms: task.started_at.0,
            ended: task.is_ended,
        }
    }
}

/// Answers one line; `at` is now. It reads `/proc` and `/sys`, so it may block for a moment.
pub fn answer(line: &[u8], registry: &TaskRegistry, at: UnixMillis) -> Answer {
    match serde_json::from_slice(line) {
        Ok(request) => perform(request, registry, at).unwrap_or_else(|refusal| refusal),
        Err(error) => Answer::refuse(
            "bad_request",
            format!("this is no request: {error}; one line each, such as {{\"list\": {{}}}}"),
        ),
    }
}

fn perform(request: Request, registry: &TaskRegistry, at: UnixMillis) -> Result<Answer, Answer> {
    match request {
        Request::Follow(request) => {
            let target = match (request.pid, request.cgroup, request.unit) {
                (Some(pid), None, None) => Target::Process { pid },
                (None, Some(path), None) => Target::Cgroup { path },
                (None, None, Some(name)) => Target::Unit { name },
                _ => {
                    return Err(Answer::refuse(
                        "bad_request",
                        "name exactly one of pid, cgroup and unit",
                    ));
                }
            };
            let follow = Follow {
                id: request.task_id,
                target,
                command: request.command,
                by_parent: request.by_parent,
            };
            registry.follow(follow, at)?;
        }
        Request::Ended(request) => {
            let end = TaskEnd {
                exit_code: request.exit_code,
                cpu_time_ms: request.cpu_time_ms,
                peak_memory_bytes: request.peak_memory_bytes,
            };
            registry.ended(&request.task_id, end, at)?;
        }
        Request::List {} => {
            let tasks = registry.list().into_iter().map(Into::into).collect();
            return Ok(Answer::Ok(Done { tasks: Some(tasks) }));
        }
    }
    Ok(Answer::Ok(Done::default()))
}
