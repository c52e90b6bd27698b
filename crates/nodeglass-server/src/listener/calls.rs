//! The calls of one HTTP/2 connection: each is a task of its own, which can be ended without the others.

use std::sync::{Arc, OnceLock};

use hyper::rt::Executor;
use tokio::task::AbortHandle;

tokio::task_local! {
    static OWN: Call;
}

/// A call of an HTTP/2 connection.
#[derive(Debug, Clone, Default)]
pub struct Call(Arc<OnceLock<AbortHandle>>);

impl Call {
    /// The one that this task answers; `None` on an HTTP/1 connection, which has one at a time.
    pub fn own() -> Option<Self> {
        OWN.try_with(Clone::clone).ok()
    }

    /// Ends it with all that is on its way. Its reader is told, as soon as the connection takes anything.
    pub fn end(&self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

/// Runs the calls of a connection.
#[derive(Debug, Clone)]
pub(super) struct Calls;

impl<F> Executor<F> for Calls
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, answering: F) {
        let call = Call::default();
        let task = tokio::spawn(OWN.scope(call.clone(), answering));
        // Nobody else sets it.
        let _ = call.0.set(task.abort_handle());
    }
}
