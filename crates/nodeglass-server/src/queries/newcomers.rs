//! Agents that were enrolled by another program, `agent add`, while the server runs.
//!
//! One task asks the store for them when somebody misses one. Who only lists what there is waits a moment for it, and not
//! at all while the store does not answer: live reads depend on no database.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_runtime::telemetry::chain;
use nodeglass_store::{Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::live::Live;
use crate::registry::Registry;

/// How often at most the store is asked.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long the answer may take.
const LOOK: Duration = Duration::from_secs(10);
/// How long a list waits for it.
const LIST_WAIT: Duration = Duration::from_millis(50);

/// Looks for new agents.
#[derive(Debug)]
pub(super) struct Newcomers {
    live: Arc<Live>,
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    wanted: Notify,
    looked: watch::Sender<Looked>,
}

/// How the last look went.
#[derive(Debug, Clone, Copy)]
struct Looked {
    /// When it began.
    began: Option<Instant>,
    /// Whether the store answered.
    answered: bool,
}

impl Newcomers {
    pub(super) fn new(live: Arc<Live>, store: Arc<dyn Store>, registry: Arc<Registry>) -> Self {
        let looked = Looked {
            began: None,
            answered: true,
        };
        Self {
            live,
            store,
            registry,
            wanted: Notify::new(),
            looked: watch::Sender::new(looked),
        }
    }

    /// Looks whenever that is wanted, until `stop`.
    pub(super) async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.wanted.notified() => {}
                () = stop.cancelled() => return,
            }
            let began = Some(Instant::now());
            let answered = tokio::select! {
                answered = tokio::time::timeout(LOOK, self.look()) => answered.unwrap_or(false),
                () = stop.cancelled() => return,
            };
            self.looked.send_replace(Looked { began, answered });
        }
    }

    async fn look(&self) -> bool {
        match self.admit_newcomers().await {
            Ok(has_new) => {
                // What is said of them is not worth another failure: it is read again when they greet.
                if has_new && let Err(error) = self.registry.learn_all().await {
                    debug!(error = %chain(&error), "labels of agents enrolled lately may be missing");
                }
                true
            }
            Err(error) => {
                debug!(error = %chain(&error), "agents enrolled lately may be missing");
                false
            }
        }
    }

    /// Makes those known that the store knows; says whether anything is to be read of what is said of them. What they are is read
    /// if one is missing: of ten thousand agents that takes longer than any list of them.
    async fn admit_newcomers(&self) -> Result<bool, StoreError> {
        if self.live.has_learnt_all(&self.store.keys().await?) {
            return Ok(false);
        }
        let mut has_new = false;
        for record in self.store.agents().await? {
            has_new |= !self.live.admit(&record).is_learnt();
        }
        Ok(has_new)
    }

    /// Has the store asked, and waits a moment for its answer.
    pub(super) async fn look_soon(&self) {
        let Looked { answered, .. } = *self.looked.borrow();
        let look = self.look_since(Instant::now());
        if answered {
            // If it takes longer, the next list has them.
            let _ = tokio::time::timeout(LIST_WAIT, look).await;
        }
        // Without an answer the last time nobody waits; the look was asked for all the same.
    }

    /// Has the store asked, unless it was in the last second, and waits for its answer; `false` if it gives none.
    pub(super) async fn look_now(&self) -> bool {
        self.look_since(Instant::now()).await
    }

    fn look_since(&self, now: Instant) -> impl Future<Output = bool> {
        let mut looked = self.looked.subscribe();
        let is_recent = move |looked: &Looked| {
            let since = now.checked_sub(LOOK_AGAIN);
            looked
                .began
                .is_some_and(|began| since.is_some_and(|since| began > since))
        };
        if !is_recent(&looked.borrow()) {
            self.wanted.notify_one();
        }
        async move {
            let found = looked.wait_for(is_recent).await.map(|looked| looked.answered);
            found.unwrap_or(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::UnixMillis;

    use super::*;

    #[tokio::test]
    async fn who_lists_agents_has_those_that_were_enrolled_beside_however_many() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("database").display());
        let store = nodeglass_store::open(&url).await.unwrap();
        let live = Arc::new(Live::default());
        let clock = Arc::new(nodeglass_model::SystemClock);
        let registry = Arc::new(Registry::of_test(live.clone(), store.clone(), clock).await);
        let newcomers = Newcomers::new(live.clone(), store.clone(), registry);
        let mut enrolled = 0;
        for more in [1, 99, 0, 1, 200] {
            for _ in 0..more {
                let id = format!("host-{enrolled}").parse().unwrap();
                store.enrol_agent(&id, UnixMillis(1)).await.unwrap();
                enrolled += 1;
            }
            // One of them has greeted.
            let records = store.agents().await.unwrap();
            live.admit(&records[records.len() - 1]);
            assert!(newcomers.look().await);
            let all = live.all();
            assert!(all.len() == enrolled && all.iter().all(|agent| agent.is_learnt()));
        }
    }
}
