//! The group of all tasks of a process: each has a name, and they end together.
//!
//! Nothing else spawns. So no task can die unseen: one that ends though it should live, or panics, brings the group
//! down, and with that the process, with an error that names it.

mod error;
mod living;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::TaskError;
use living::Living;

use crate::telemetry::chain;

/// How long aborted tasks get to let go of what they hold. A task that blocks its thread never does.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// What a task panicked with.
type Panic = Box<dyn Any + Send>;
/// Why a task ended by itself, without success.
type TaskFailure = Box<dyn Error + Send + Sync>;

/// The tasks of a process. Clones are the same group, so any part can keep one and spawn later.
#[derive(Clone, Default)]
pub struct TaskGroup(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Asks all tasks to end.
    shutdown: CancellationToken,
    /// Drops the tasks that did not end when asked to.
    abort: CancellationToken,
    tracker: TaskTracker,
    /// How many tasks of each name live.
    living: Mutex<BTreeMap<&'static str, usize>>,
    /// The first only: others mostly follow from it.
    failure: Mutex<Option<TaskError>>,
    transient_panics: AtomicU64,
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskGroup").field(&lock(&self.0.living)).finish()
    }
}

impl TaskGroup {
    /// A group without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Is cancelled when the group is to end: every task watches it. Cancelling it ends the group.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.0.shutdown.clone()
    }

    /// Spawns a task that lives until shutdown. If it ends before, well or not, or panics at any time, or fails while
    /// shutting down, the group fails.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), TaskFailure>> + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        self.enter(name, task, move |outcome| match outcome {
            Err(panic) => shared.fail(TaskError::Panicked {
                task: name,
                message: panic_message(panic.as_ref()),
            }),
            Ok(Err(source)) => shared.fail(TaskError::Failed { task: name, source }),
            Ok(Ok(())) if !shared.shutdown.is_cancelled() => shared.fail(TaskError::Ended { task: name }),
            Ok(Ok(())) => tracing::debug!(task = name, "task ended"),
        });
    }

    /// Spawns a task that may end by itself: one connection, one session. A panic is logged and counted, and the group
    /// goes on. It is waited for while the group ends, so it watches the shutdown token too.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn_transient<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        self.enter(name, task, move |outcome| {
            if let Err(panic) = outcome {
                shared.transient_panics.fetch_add(1, Ordering::Relaxed);
                let message = panic_message(panic.as_ref());
                tracing::error!(task = name, message, "task panicked");
            }
        });
    }

    /// How many transient tasks have panicked.
    pub fn transient_panics(&self) -> u64 {
        self.0.transient_panics.load(Ordering::Relaxed)
    }

    /// Lives until `stop`, the first failure, or the cancellation of the shutdown token. Then asks all tasks to end,
    /// waits for them at most `deadline`, and drops the rest.
    ///
    /// # Errors
    /// The first failure; if there was none, the tasks that did not end in time. End the process with
    /// [`FAILED`](crate::exit::FAILED).
    pub async fn run(self, stop: impl Future<Output = ()>, deadline: Duration) -> Result<(), TaskError> {
        let shared = &self.0;
        tokio::select! {
            () = stop => {}
            () = shared.shutdown.cancelled() => {}
        }
        shared.shutdown.cancel();
        shared.tracker.close();
        if tokio::time::timeout(deadline, shared.tracker.wait())
            .await
            .is_err()
        {
            let tasks = lock(&shared.living).keys().copied().collect();
            shared.fail(TaskError::Overran { tasks });
            shared.abort.cancel();
            if tokio::time::timeout(ABORT_GRACE, shared.tracker.wait())
                .await
                .is_err()
            {
                tracing::warn!("some tasks block their threads and can't be dropped");
            }
        }
        lock(&shared.failure).take().map_or(Ok(()), Err)
    }

    /// Runs a task with its name entered among the living, and judges how it ended. A dropped task is not judged.
    fn enter<F, T>(&self, name: &'static str, task: F, judge: impl FnOnce(Result<T, Panic>) + Send + 'static)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let entry = Entry::new(&self.0, name);
        self.0.tracker.spawn(Living::new(task, judge, entry));
    }
}

impl Shared {
    /// Keeps the first failure and lets the group end. The failure is logged by whoever gets it from
    /// [`TaskGroup::run`]; those that come after it are logged here.
    fn fail(&self, failure: TaskError) {
        let mut first = lock(&self.failure);
        if first.is_some() {
            tracing::error!("{}", chain(&failure));
        } else {
            *first = Some(failure);
        }
        drop(first);
        self.shutdown.cancel();
    }
}

/// A living task's name, until it is dropped.
struct Entry {
    shared: Arc<Shared>,
    name: &'static str,
}

impl Entry {
    fn new(shared: &Arc<Shared>, name: &'static str) -> Self {
        *lock(&shared.living).entry(name).or_default() += 1;
        Self {
            shared: Arc::clone(shared),
            name,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut living = lock(&self.shared.living);
        if let Some(count) = living.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                living.remove(self.name);
            }
        }
    }
}

/// Nothing panics while it holds one of these locks, so a poisoned one is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    }
}
