//! Tasks: programs that somebody asked to be followed, from their first process to their last.
//!
//! The registry holds them; whoever starts or ends one talks to it, and the sampler measures all of them in each full
//! sample. A task that ended is in one more sample, with its end, and then leaves. How a tree of processes or a control
//! group is measured is left to the back end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(target_os = "linux")]
use std::time::Instant;

use nodeglass_model::sample::TaskProcessMetrics;
use nodeglass_model::{TaskId, UnixMillis};

use crate::command_line::CommandLineRules;
use crate::config::CollectConfig;
#[cfg(target_os = "linux")]
use crate::linux::{Measured, Process, TaskReader, Tracked};

/// Tasks at a time: each costs a walk through the table of processes, and has a device of its own in each sample.
pub const MAX_TASKS: usize = 256;

/// How many samples a task without processes waits for whoever promised to tell its end: the news may come a moment
/// after the last process is gone.
const SAMPLES_TO_WAIT: u8 = 2;

/// What a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A process, with all that it started and will start. Its figures begin with the process.
    Process {
        /// Its number.
        pid: u32,
    },
    /// A control group. Its figures begin when it is first followed.
    Cgroup {
        /// Its path in the hierarchy: `/system.slice/x.service`.
        path: String,
    },
    /// The control group of a systemd unit. Its figures begin when it is first followed.
    Unit {
        /// Its name: `x.service`.
        name: String,
    },
}

/// A wish to follow a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// What it is called.
    pub id: TaskId,
    /// What to follow.
    pub target: Target,
    /// The program and its arguments; empty where the process itself is to be asked. Secrets in it are hidden as in
    /// the command lines of processes.
    pub command: Vec<String>,
    /// Whoever asks is the parent of the process, adopts what its descendants leave behind, and will tell how it
    /// ended.
    pub by_parent: bool,
}

/// How the first process of a task ended, from whoever waited for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskEnd {
    /// Its exit code, 128 + N after signal N; `None` where it is not known.
    pub exit_code: Option<u32>,
    /// Processor time of all that was waited for, in milliseconds.
    pub cpu_time_ms: Option<u64>,
    /// Peak resident memory of the largest process that was waited for, in bytes.
    pub peak_memory_bytes: Option<u64>,
}

/// Why a task can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Another task has the name.
    #[error("task {0} is being followed already: choose another name, or wait until it has ended")]
    Taken(TaskId),
    /// There is no room.
    #[error("{MAX_TASKS} tasks are being followed, which is the most: wait until one has ended")]
    TooMany,
    /// Tasks are not wanted.
    #[error("tasks are not tracked here: set metrics.process_tracking.track_task_processes")]
    Off,
    /// This system can't do it.
    #[error("tasks can be followed on Linux only, by the linux back end")]
    Unsupported,
    /// There is nothing to follow.
    #[error("there is no {0}")]
    Missing(String),
    /// What is named can't be followed.
    #[error("{0}")]
    Invalid(String),
}

impl FollowError {
    /// A word for the kind of error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Taken(_) => "task_exists",
            Self::TooMany => "too_many_tasks",
            Self::Off => "not_tracked",
            Self::Unsupported => "unsupported",
            Self::Missing(_) => "not_found",
            Self::Invalid(_) => "invalid_target",
        }
    }
}

/// No task has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no task {0} is being followed")]
pub struct UnknownTask(pub TaskId);

/// One task as [`TaskRegistry::list`] shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSummary {
    /// What it is called.
    pub id: TaskId,
    /// What it is.
    pub target: Target,
    /// What runs, as far as it may be shown.
    pub command: String,
    /// When it began.
    pub started_at: UnixMillis,
    /// Whether its end was told; processes that it left behind may live on.
    pub is_ended: bool,
}

/// The tasks of one sampler. Clones are the same registry.
#[derive(Clone)]
pub struct TaskRegistry(Arc<Mutex<Registry>>);

struct Registry {
    tasks: Vec<Task>,
    rules: CommandLineRules,
    is_wanted: bool,
    #[cfg(target_os = "linux")]
    reader: Option<TaskReader>,
}

struct Task {
    id: TaskId,
    target: Target,
    command: String,
    started_at: UnixMillis,
    by_parent: bool,
    end: Option<(TaskEnd, UnixMillis)>,
    /// Samples since the last process was gone.
    #[cfg(target_os = "linux")]
    waited: u8,
    #[cfg(target_os = "linux")]
    came: Instant,
    #[cfg(target_os = "linux")]
    tracked: Tracked,
}

impl TaskRegistry {
    /// A registry whose tasks `reader` measures.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(config: &CollectConfig, reader: TaskReader) -> Self {
        let registry = Self::unsupported(config);
        registry.lock().reader = Some(reader);
        registry
    }

    /// A registry that refuses every task.
    pub(crate) fn unsupported(config: &CollectConfig) -> Self {
        Self(Arc::new(Mutex::new(Registry {
            tasks: Vec::new(),
            rules: CommandLineRules::new(config.process_commands, &config.redact),
            is_wanted: true,
            #[cfg(target_os = "linux")]
            reader: None,
        })))
    }

    /// Follows a task from now on; `at` is now. It is in the next full sample.
    ///
    /// # Errors
    /// The name is taken, there is no room, or there is nothing to follow; the message says what to do.
    pub fn follow(&self, follow: Follow, at: UnixMillis) -> Result<(), FollowError> {
        let mut registry = self.lock();
        if !registry.is_wanted {
            return Err(FollowError::Off);
        }
        if registry.tasks.iter().any(|task| task.id == follow.id) {
            return Err(FollowError::Taken(follow.id));
        }
        if registry.tasks.len() >= MAX_TASKS {
            return Err(FollowError::TooMany);
        }
        let task = registry.begin(follow, at)?;
        registry.tasks.push(task);
        Ok(())
    }

    /// Tells how the first process of a task ended; `at` is now. The task goes on while other processes of it live.
    ///
    /// # Errors
    /// No task has this name: it ended and is reported already, or never began.
    pub fn ended(&self, id: &TaskId, end: TaskEnd, at: UnixMillis) -> Result<(), UnknownTask> {
        let mut registry = self.lock();
        let task = registry.tasks.iter_mut().find(|task| task.id == *id);
        let task = task.ok_or_else(|| UnknownTask(id.clone()))?;
        task.end = Some((end, at));
        Ok(())
    }

    /// The tasks that are followed, in the order in which they came.
    pub fn list(&self) -> Vec<TaskSummary> {
        let registry = self.lock();
        let tasks = registry.tasks.iter();
        tasks
            .map(|task| TaskSummary {
                id: task.id.clone(),
                target: task.target.clone(),
                command: task.command.clone(),
                started_at: task.started_at,
                is_ended: task.end.is_some(),
            })
            .collect()
    }

    /// Whether tasks are followed at all; those that were are forgotten where they no longer are.
    pub(crate) fn set_wanted(&self, wanted: bool) {
        let mut registry = self.lock();
        registry.is_wanted = wanted;
        if !wanted {
            registry.tasks.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // What is under the lock holds after each statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(not(target_os = "linux"))]
impl Registry {
    #[expect(clippy::unused_self, reason = "the same call as on Linux")]
    fn begin(&mut self, _: Follow, _: UnixMillis) -> Result<Task, FollowError> {
        Err(FollowError::Unsupported)
    }
}

#[cfg(target_os = "linux")]
impl Registry {
    fn begin(&mut self, follow: Follow, at: UnixMillis) -> Result<Task, FollowError> {
        let reader = self.reader.as_mut().ok_or(FollowError::Unsupported)?;
        let tracked = reader.begin(&follow.target, follow.by_parent)?;
        let age_ms = i64::try_from(reader.age_ms(&tracked)).unwrap_or(0);
        let command = match &follow.target {
            _ if !follow.command.is_empty() => self.rules.show_arguments(&follow.command),
            Target::Process { pid } => self.rules.show(&reader.command_line(*pid)),
            Target::Cgroup { path } => format!("cgroup {path}"),
            Target::Unit { name } => format!("unit {name}"),
        };
        Ok(Task {
            id: follow.id,
            target: follow.target,
            command,
            started_at: UnixMillis(at.0.saturating_sub(age_ms)),
            by_parent: follow.by_parent,
            end: None,
            waited: 0,
            came: Instant::now(),
            tracked,
        })
    }
}

#[cfg(target_os = "linux")]
impl TaskRegistry {
    /// Whether there is any task to measure.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().tasks.is_empty()
    }

    /// Measures every task in the table of processes as scanned at `now`, and lets those go that have ended. `at` is the
    /// sample's time.
    pub(crate) fn measure(
        &self,
        at: UnixMillis,
        now: Instant,
        processes: &[Process],
    ) -> Vec<TaskProcessMetrics> {
        let mut registry = self.lock();
        let Registry { tasks, reader, .. } = &mut *registry;
        let Some(reader) = reader else {
            return Vec::new();
        };
        let mut entries = Vec::with_capacity(tasks.len());
        tasks.retain_mut(|task| {
            // A task that came after the scan can't be in the table.
            if task.came > now {
                return true;
            }
            let measured = reader.measure(&mut task.tracked, processes, now);
            let is_over = measured.is_over && task.is_told();
            entries.push(task.entry(measured, is_over.then_some(at)));
            !is_over
        });
        entries.sort_by(|one, other| one.task_id.cmp(&other.task_id));
        entries
    }

    /// Marks the processes that belong to tasks, so that the next scan reads all of their figures.
    pub(crate) fn mark(&self, processes: &mut [Process]) {
        for task in &self.lock().tasks {
            task.tracked.mark(processes);
        }
    }
}

#[cfg(target_os = "linux")]
impl Task {
    /// Whether there is nobody left to wait for who would tell the end. Called once in each sample without processes.
    fn is_told(&mut self) -> bool {
        self.waited = self.waited.saturating_add(1);
        self.end.is_some() || !self.by_parent || self.waited > SAMPLES_TO_WAIT
    }

    fn entry(&self, measured: Measured, over_at: Option<UnixMillis>) -> TaskProcessMetrics {
        let Measured {
            mut metrics,
            lived_on,
            ..
        } = measured;
        let millis = |at: UnixMillis| Some(at.0.unsigned_abs());
        metrics.task_id = self.id.to_string();
        metrics.command.clone_from(&self.command);
        metrics.started_at_ms = millis(self.started_at);
        let end = self.end.map(|(end, _)| end).unwrap_or_default();
        metrics.cpu_time_ms = metrics.cpu_time_ms.max(end.cpu_time_ms);
        metrics.peak_memory_bytes = metrics.peak_memory_bytes.max(end.peak_memory_bytes);
        if let Some(over_at) = over_at {
            metrics.exit_code = end.exit_code;
            // Processes that lived on after the first one end the task when they are found gone.
            let told_at = self.end.map(|(_, at)| at).filter(|_| !lived_on);
            metrics.ended_at_ms = millis(told_at.unwrap_or(over_at));
        }
        metrics
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
