//! Where samples go when they are taken: into the journal, to the uplink, and to whoever wants the latest.

use std::sync::Arc;
use std::time::Instant;

use nodeglass_journal::{Journal, Role};
use nodeglass_model::{Sample, SampleId};
use tokio::sync::{Notify, watch};

/// The way from sampling to everything else.
#[derive(Debug)]
pub struct Outbox {
    /// What the server is owed, and the local history.
    pub journal: Journal,
    owed: Notify,
    latest: watch::Sender<Option<Arc<Sample>>>,
}

impl Outbox {
    /// One that puts samples into `journal`.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            owed: Notify::new(),
            latest: watch::Sender::new(None),
        }
    }

    /// Takes a sample in. One that the server is owed is the live one until the next. Writes to the disk.
    pub fn put(&self, sample: &Arc<Sample>, role: Role, at: Instant) -> Option<SampleId> {
        let id = self.journal.append(sample, role, at);
        if id.is_some() {
            self.owed.notify_one();
        }
        id
    }

    /// Shows a whole sample, as it was read, to whoever wants the latest.
    pub fn show(&self, sample: &Arc<Sample>) {
        self.latest.send_replace(Some(sample.clone()));
    }

    /// Waits for an owed sample that came since the last call.
    pub async fn owed(&self) {
        self.owed.notified().await;
    }

    /// The latest whole sample.
    pub fn latest(&self) -> watch::Receiver<Option<Arc<Sample>>> {
        self.latest.subscribe()
    }
}
