//! The audit log: who changed what, and who was denied what.
//!
//! Entries go through a bounded queue to one task that writes them, so a slow database holds nobody up; what finds no room is
//! counted, and the count is an entry as soon as there is room. Denied calls can come in floods: of those alike the first is
//! written at once, and how many followed once a minute.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nodeglass_model::{Clock, UnixMillis};
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::Store;
use nodeglass_store::identities::{AuditRecord, Outcome};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::Caller;

/// Entries that wait to be written: more than people make in minutes, and about a megabyte.
const QUEUE: usize = 4_096;
/// Entries written at once.
const BATCH: usize = 256;
/// How long denials that are alike are gathered.
const WINDOW: Duration = Duration::from_mins(1);
/// Denials told apart in one window: so many entries a minute, twice, is the most that a flood writes.
const KINDS: usize = 256;
/// How often a database that does not take entries is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long the last entries may take when the server stops.
const LAST: Duration = Duration::from_secs(3);
/// How often old entries are removed.
const PRUNE: Duration = Duration::from_hours(1);
/// Letters of a text from outside that are kept.
const TEXT: usize = 200;

/// How much of the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLimits {
    /// For how long.
    pub keep: Duration,
    /// Entries at most; the oldest go first.
    pub most: u64,
}

/// Takes entries.
#[derive(Debug)]
pub struct Audit {
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<AuditRecord>,
    dropped: AtomicU64,
    dropped_ever: AtomicU64,
    denials: Mutex<HashMap<Denial, u64>>,
}

/// What denials have in common that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Denial {
    kind: &'static str,
    name: String,
    address: String,
    action: String,
    reason: &'static str,
}

impl Audit {
    /// A log, and the task that writes it.
    pub fn new(
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        limits: AuditLimits,
    ) -> (Arc<Self>, AuditWriter) {
        let (queue, entries) = mpsc::channel(QUEUE);
        let audit = Arc::new(Self {
            clock,
            queue,
            dropped: AtomicU64::new(0),
            dropped_ever: AtomicU64::new(0),
            denials: Mutex::default(),
        });
        let writer = AuditWriter {
            audit: audit.clone(),
            store,
            entries,
            limits,
        };
        (audit, writer)
    }

    /// Notes that a caller has changed something: `agent.rename`, which, and what else is worth knowing. No secrets.
    pub fn note(&self, caller: &Caller, action: &str, subject: &str, detail: &str) {
        self.put(self.entry(caller, action, subject, Outcome::Done, detail));
    }

    /// Notes that a change was allowed and did not work.
    pub fn failed(&self, caller: &Caller, action: &str, subject: &str, detail: &str) {
        self.put(self.entry(caller, action, subject, Outcome::Failed, detail));
    }

    /// Notes that a call was denied: what was called, and the code of why not.
    pub fn denied(&self, caller: &Caller, action: &str, subject: &str, reason: &'static str) {
        let denial = Denial {
            kind: caller.kind.name(),
            name: short(&caller.name),
            address: caller.address_text(),
            action: short(action),
            reason,
        };
        {
            let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = denials.get_mut(&denial) {
                *count += 1;
                return;
            }
            if denials.len() >= KINDS {
                let others = Denial::others();
                *denials.entry(others).or_default() += 1;
                return;
            }
            denials.insert(denial, 0);
        }
        self.put(self.entry(caller, action, subject, Outcome::Denied, reason));
    }

    /// Entries that found no room since the server started.
    pub fn dropped(&self) -> u64 {
        self.dropped_ever.load(Ordering::Relaxed)
    }

    fn entry(
        &self,
        caller: &Caller,
        action: &str,
        subject: &str,
        outcome: Outcome,
        detail: &str,
    ) -> AuditRecord {
        AuditRecord {
            id: 0,
            at: self.clock.now(),
            kind: caller.kind.name().to_owned(),
            name: short(&caller.name),
            address: caller.address_text(),
            action: short(action),
            subject: short(subject),
            outcome,
            detail: short(detail),
            request_id: caller.request_id().map(|id| short(id)).unwrap_or_default(),
            count: 1,
        }
    }

    fn put(&self, entry: AuditRecord) {
        if self.queue.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.dropped_ever.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What followed of each denial in the window that ends now.
    fn end_window(&self) -> Vec<AuditRecord> {
        let denials = std::mem::take(&mut *self.denials.lock().unwrap_or_else(PoisonError::into_inner));
        let now = self.clock.now();
        let followed = denials.into_iter().filter(|(_, count)| *count > 0);
        followed.map(|(denial, count)| denial.entry(now, count)).collect()
    }

    /// An entry that says how many found no room, if any did.
    fn end_drops(&self) -> Option<AuditRecord> {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        (dropped > 0).then(|| {
            warn!(dropped, "entries of the audit log found no room");
            server_entry(
                self.clock.now(),
                "audit.dropped",
                "entries found no room",
                dropped,
            )
        })
    }
}

impl Denial {
    /// More kinds than are told apart.
    fn others() -> Self {
        Self {
            kind: "nobody",
            name: String::new(),
            address: String::new(),
            action: "call".to_owned(),
            reason: "others",
        }
    }

    fn entry(self, at: UnixMillis, count: u64) -> AuditRecord {
        let Self {
            kind,
            name,
            address,
            action,
            reason,
        } = self;
        AuditRecord {
            id: 0,
            at,
            kind: kind.to_owned(),
            name,
            address,
            action,
            subject: String::new(),
            outcome: Outcome::Denied,
            detail: format!("{reason}; more of these in the minute before"),
            request_id: String::new(),
            count,
        }
    }
}

fn server_entry(at: UnixMillis, action: &str, detail: &str, count: u64) -> AuditRecord {
    AuditRecord {
        id: 0,
        at,
        kind: "server".to_owned(),
        name: String::new(),
        address: String::new(),
        action: action.to_owned(),
        subject: String::new(),
        outcome: Outcome::Done,
        detail: detail.to_owned(),
        request_id: String::new(),
        count,
    }
}

/// An entry for what a command beside the server has done.
pub fn of_command(at: UnixMillis, action: &str, subject: &str, detail: &str) -> AuditRecord {
    // Whoever may run it is not asked who they are; the system knows.
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    let user = user.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
    AuditRecord {
        kind: "command".to_owned(),
        name: short(&user),
        subject: short(subject),
        ..server_entry(at, action, &short(detail), 1)
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT).collect()
}

/// Writes entries, and removes old ones.
#[derive(Debug)]
pub struct AuditWriter {
    audit: Arc<Audit>,
    store: Arc<dyn Store>,
    entries: mpsc::Receiver<AuditRecord>,
    limits: AuditLimits,
}

impl AuditWriter {
    /// Goes on until `stop`, and then writes what is left, if the database takes it.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut windows = tokio::time::interval_at(Instant::now() + WINDOW, WINDOW);
        windows.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut prunes = tokio::time::interval(PRUNE);
        prunes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = self.entries.recv_many(&mut batch, BATCH) => if count == 0 { return },
                _ = windows.tick() => batch.extend(self.audit.end_window()),
                _ = prunes.tick() => self.prune().await,
                () = stop.cancelled() => break,
            }
            batch.extend(self.audit.end_drops());
            while !batch.is_empty() && !self.write(&mut batch).await {
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = stop.cancelled() => break,
                }
            }
        }
        batch.extend(self.audit.end_window());
        while let Ok(entry) = self.entries.try_recv() {
            batch.push(entry);
        }
        batch.extend(self.audit.end_drops());
        let last = tokio::time::timeout(LAST, self.write(&mut batch)).await;
        if !batch.is_empty() && last != Ok(true) {
            warn!(
                entries = batch.len(),
                "the last entries of the audit log could not be written"
            );
        }
    }

    /// Writes a batch and empties it; `false` if the database does not take it.
    async fn write(&self, batch: &mut Vec<AuditRecord>) -> bool {
        match self.store.append_audit(batch).await {
            Ok(()) => {
                batch.clear();
                true
            }
            Err(error) => {
                warn!(error = %chain(&error), entries = batch.len(), "the audit log waits for the database");
                false
            }
        }
    }

    async fn prune(&self) {
        let AuditLimits { keep, most } = self.limits;
        let before = self.audit.clock.now().minus(keep);
        match self.store.prune_audit(before, most).await {
            Ok(0) => {}
            Ok(removed) => info!(removed, "old entries of the audit log were removed"),
            Err(error) => warn!(error = %chain(&error), "old entries of the audit log stay for now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::SystemClock;
    use nodeglass_store::identities::AuditFilter;

    use super::*;

    async fn log() -> (Arc<Audit>, AuditWriter, Arc<dyn Store>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/store.db", directory.path().display());
        let store = nodeglass_store::open(&url).await.unwrap();
        let limits = AuditLimits {
            keep: Duration::from_hours(1),
            most: 1_000,
        };
        let (audit, writer) = Audit::new(Arc::new(SystemClock), store.clone(), limits);
        (audit, writer, store, directory)
    }

    async fn written(store: &Arc<dyn Store>) -> Vec<AuditRecord> {
        store.audit(&AuditFilter::default(), 10_000).await.unwrap()
    }

    #[tokio::test]
    async fn a_flood_of_denials_is_some_entries_with_a_count() {
        let (audit, writer, store, _directory) = log().await;
        let caller = Caller::anybody();
        for _ in 0..10_000 {
            audit.denied(&caller, "GET /api/v1/users", "", "forbidden");
        }
        for number in 0..10_000 {
            audit.denied(&caller, &format!("GET /{number}"), "", "forbidden");
        }
        audit.note(&caller, "token.add", "ci", "viewer");
        let stop = CancellationToken::new();
        stop.cancel();
        writer.run(stop).await;
        let entries = written(&store).await;
        assert!(entries.len() <= 2 * KINDS + 2, "{}", entries.len());
        let denied = entries.iter().filter(|entry| entry.outcome == Outcome::Denied);
        assert_eq!(denied.map(|entry| entry.count).sum::<u64>(), 20_000);
        let done: Vec<_> = entries
            .iter()
            .filter(|entry| entry.outcome == Outcome::Done)
            .collect();
        assert_eq!((done.len(), done[0].subject.as_str()), (1, "ci"));
        assert_eq!(audit.dropped(), 0);
    }

    #[tokio::test]
    async fn what_finds_no_room_is_counted() {
        let (audit, writer, store, _directory) = log().await;
        for _ in 0..QUEUE + 7 {
            audit.note(&Caller::anybody(), "token.add", "ci", "");
        }
        assert_eq!(audit.dropped(), 7);
        let stop = CancellationToken::new();
        stop.cancel();
        writer.run(stop).await;
        let entries = written(&store).await;
        assert_eq!(entries.len(), QUEUE + 1);
        let dropped = entries
            .iter()
            .find(|entry| entry.action == "audit.dropped")
            .unwrap();
        assert_eq!(dropped.count, 7);
    }
}
