//! A task as it runs: it ends by itself, by a panic, or when the group drops what did not end in time.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use pin_project_lite::pin_project;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{Entry, Panic};

pin_project! {
    /// A task whose name is entered among the living until it is dropped. An async block would hold the task twice, as what it was
    /// given and as what it waits for; a server has two for each agent, of some kilobytes.
    pub(super) struct Living<Task, Judge> {
        #[pin]
        task: CatchUnwind<AssertUnwindSafe<Task>>,
        #[pin]
        dropped: WaitForCancellationFutureOwned,
        judge: Option<Judge>,
        entry: Entry,
    }
}

impl<Task: Future, Judge> Living<Task, Judge> {
    /// A task, and who judges how it ended.
    pub(super) fn new(task: Task, judge: Judge, entry: Entry) -> Self {
        Self {
            task: AssertUnwindSafe(task).catch_unwind(),
            dropped: entry.shared.abort.clone().cancelled_owned(),
            judge: Some(judge),
            entry,
        }
    }
}

impl<Task, Judge> Future for Living<Task, Judge>
where
    Task: Future,
    Judge: FnOnce(Result<Task::Output, Panic>),
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if let Poll::Ready(outcome) = this.task.poll(context) {
            if let Some(judge) = this.judge.take() {
                judge(outcome);
            }
            return Poll::Ready(());
        }
        let dropped = this.dropped.poll(context);
        if dropped.is_ready() {
            tracing::warn!(task = this.entry.name, "task dropped");
        }
        dropped
    }
}
