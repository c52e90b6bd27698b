//! How a task group can fail.

use std::error::Error;

/// The task that brought the group down, or the tasks that kept it from ending.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A task ended with an error.
    #[error("task {task} failed")]
    Failed {
        /// Its name.
        task: &'static str,
        /// Its error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A task panicked.
    #[error("task {task} panicked: {message}")]
    Panicked {
        /// Its name.
        task: &'static str,
        /// What the panic said.
        message: String,
    },
    /// A task ended well, but nobody had asked it to.
    #[error("task {task} ended though nobody asked it to")]
    Ended {
        /// Its name.
        task: &'static str,
    },
    /// Tasks were asked to end and did not within the deadline.
    #[error("not ended within the deadline: {}", tasks.join(", "))]
    Overran {
        /// Their names, each once.
        tasks: Vec<&'static str>,
    },
}
