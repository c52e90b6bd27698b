//! The writer: commits samples of all agents in groups, and only then has them acknowledged.
//!
//! While the database is away the group at hand is tried again and again and the queue behind it fills up to its bound
//! in bytes. What finds no room is turned away unacknowledged, and its agent is asked for it again later.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nodeglass_chunk::row::{self, Compressor};
use nodeglass_model::{Sample, SampleId, UnixMillis};
use nodeglass_runtime::backoff::Backoff;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::{AgentKey, Appended, StagedSample, Store, StoreError, TaskRecord};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::live::LiveAgent;
use crate::telemetry::histogram::Histogram;

/// How long a group is gathered at least: long enough to share one commit among several agents.
const GATHER: Duration = Duration::from_millis(200);
/// How long a group is gathered while many agents send: a commit costs the database much the same for ten samples and for a
/// thousand. Nobody waits for these acknowledgements: the live view has the samples already, and their agents have room.
const GATHER_MANY: Duration = Duration::from_secs(1);
/// From so many samples within [`GATHER`] on there are many agents.
const MANY: usize = 16;
/// Samples in one group at most; a statement of this size takes tens of milliseconds.
const MAX_GROUP: usize = 4_000;
/// What one queued sample costs beyond its own bytes.
const OVERHEAD_BYTES: usize = 256;
/// The pause after a first failed commit, and the longest one.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// How long samples are still tried to be stored after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A sample on its way into the store.
pub(crate) struct Entry {
    agent: Arc<LiveAgent>,
    timestamp: UnixMillis,
    row: Bytes,
    id: SampleId,
    covers: Vec<SampleId>,
    tasks: Vec<TaskRecord>,
    /// Its agent goes on with its backlog when this one is acknowledged.
    replayed: bool,
    /// Who waits for it beside a session: whoever pushed it.
    told: Option<oneshot::Sender<()>>,
}

impl Entry {
    /// A sample with its identity in the store, and those of the agent's samples that are acknowledged with it.
    pub(crate) fn new(agent: Arc<LiveAgent>, sample: &Sample, id: SampleId, covers: Vec<SampleId>) -> Self {
        Self {
            timestamp: sample.timestamp,
            row: row::encode(sample).into(),
            id,
            covers,
            tasks: tasks_of(agent.key, sample),
            agent,
            replayed: false,
            told: None,
        }
    }

    /// A sample of which only its row is at hand, and which says nothing of tasks.
    pub(crate) fn of_row(agent: Arc<LiveAgent>, timestamp: UnixMillis, row: Bytes, id: SampleId) -> Self {
        Self {
            agent,
            timestamp,
            row,
            id,
            covers: vec![id],
            tasks: Vec::new(),
            replayed: false,
            told: None,
        }
    }

    /// Says whether it is from a backlog.
    pub(crate) fn replayed(self, replayed: bool) -> Self {
        Self { replayed, ..self }
    }

    /// Has somebody told when it is stored.
    pub(crate) fn telling(self, told: oneshot::Sender<()>) -> Self {
        Self {
            told: Some(told),
            ..self
        }
    }

    /// What it costs in memory while it waits.
    fn bytes(&self) -> usize {
        let tasks = self.tasks.iter().map(|task| OVERHEAD_BYTES + task.command.len());
        self.row.len() + OVERHEAD_BYTES + tasks.sum::<usize>()
    }
}

/// A text without the one character that databases don't take.
fn plain(text: &str) -> String {
    text.replace('\0', "")
}

/// The newest word on each task.
pub(crate) fn newest_tasks<'a>(tasks: impl Iterator<Item = &'a TaskRecord>) -> Vec<TaskRecord> {
    let mut newest: BTreeMap<(AgentKey, &str, UnixMillis), &TaskRecord> = BTreeMap::new();
    for task in tasks {
        let known = newest
            .entry((task.agent, &task.task_id, task.started_at))
            .or_insert(task);
        if known.last_seen_at < task.last_seen_at {
            *known = task;
        }
    }
    newest.into_values().cloned().collect()
}

/// How the tasks of a sample stand. One without a start was not begun by an agent of ours, and is in the sample only.
pub(crate) fn tasks_of(agent: AgentKey, sample: &Sample) -> Vec<TaskRecord> {
    let millis = |at: u64| UnixMillis(at as i64);
    let tasks = sample.processes.task_processes.iter();
    tasks
        .filter_map(|task| {
            Some(TaskRecord {
                agent,
                task_id: plain(&task.task_id),
                started_at: millis(task.started_at_ms?),
                last_seen_at: sample.timestamp,
                ended_at: task.ended_at_ms.map(millis),
                exit_code: task.exit_code.map(|code| code as i32),
                command: plain(&task.command),
                cpu_time_ms: task.cpu_time_ms,
                peak_memory_bytes: task.peak_memory_bytes,
            })
        })
        .collect()
}

struct Queued {
    entry: Entry,
    _room: OwnedSemaphorePermit,
}

/// What waits in the queue, so that the writer need not wake up for each sample to see whether its group is full.
#[derive(Debug, Default)]
struct Depth {
    waiting: AtomicUsize,
    enough: Notify,
}

impl Depth {
    fn one_more(&self) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) + 1 == MAX_GROUP {
            self.enough.notify_one();
        }
    }
}

/// Where samples are handed in.
#[derive(Debug, Clone)]
pub struct WriterQueue {
    entries: mpsc::UnboundedSender<Queued>,
    depth: Arc<Depth>,
    room: Arc<Semaphore>,
    /// Free room from which on samples that were turned away are asked for: half of all, so that it lasts a while.
    roomy_bytes: usize,
    queue_bytes: usize,
    books: Arc<WriterBooks>,
}

/// What the writer has done so far.
#[derive(Debug, Default)]
pub struct WriterBooks {
    /// Samples stored that were new.
    pub stored: AtomicU64,
    /// Samples that were stored before.
    pub duplicate: AtomicU64,
    /// Samples turned away because the queue was full; their agents send them again.
    pub turned_away: AtomicU64,
    /// Commits that failed.
    pub failed_commits: AtomicU64,
    /// Whether the last commit failed.
    pub is_failing: AtomicBool,
    /// How long commits took that succeeded.
    pub commits: Histogram,
}

impl WriterQueue {
    /// Hands in a sample; `false` if there is no room for it.
    pub(crate) fn offer(&self, entry: Entry) -> bool {
        let wanted = u32::try_from(entry.bytes()).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(wanted) else {
            self.books.turned_away.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        self.depth.one_more();
        self.entries.send(Queued { entry, _room: room }).is_ok()
    }

    /// Whether it makes sense to ask for samples that were turned away.
    pub(crate) fn is_roomy(&self) -> bool {
        self.room.available_permits() >= self.roomy_bytes && !self.books.is_failing.load(Ordering::Relaxed)
    }

    /// Memory of what waits, and the most that it may be.
    pub fn bytes(&self) -> (usize, usize) {
        let free = self.room.available_permits();
        (self.queue_bytes.saturating_sub(free), self.queue_bytes)
    }

    /// What the writer has done so far.
    pub fn books(&self) -> &WriterBooks {
        &self.books
    }
}

/// The task that stores.
pub struct Writer {
    store: Arc<dyn Store>,
    entries: mpsc::UnboundedReceiver<Queued>,
    depth: Arc<Depth>,
    books: Arc<WriterBooks>,
    compressor: Option<Compressor>,
}

impl Writer {
    /// A writer to `store` and its queue, which holds at most `queue_bytes`. The channel itself needs no other bound.
    pub fn new(store: Arc<dyn Store>, compress: bool, queue_bytes: usize) -> (WriterQueue, Self) {
        let (sender, entries) = mpsc::unbounded_channel();
        let (books, depth) = (Arc::new(WriterBooks::default()), Arc::<Depth>::default());
        let queue = WriterQueue {
            entries: sender,
            depth: depth.clone(),
            room: Arc::new(Semaphore::new(queue_bytes)),
            roomy_bytes: queue_bytes / 2,
            queue_bytes,
            books: books.clone(),
        };
        (
            queue,
            Self {
                store,
                entries,
                depth,
                books,
                compressor: compress.then(Compressor::new),
            },
        )
    }

    /// Stores until `stop`, and what is queued then. Stop it last: who offers samples must have ended by then.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut group = Vec::new();
        while self.gather(&mut group, &stop).await {
            // Nothing comes after those that are erased.
            group.retain(|queued: &Queued| !queued.entry.agent.is_erased());
            let samples = self.pack(&group);
            let tasks = newest_tasks(group.iter().flat_map(|queued| &queued.entry.tasks));
            if !self.commit(&samples, &tasks, &stop).await {
                warn!(
                    samples = group.len(),
                    "stopping with samples not stored; agents that run on send them again"
                );
                return;
            }
            acknowledge(group.drain(..));
        }
    }

    /// Fills `group` with what comes within [`gather_time`]; `false` once there is nothing left and nothing will come.
    async fn gather(&mut self, group: &mut Vec<Queued>, stop: &CancellationToken) -> bool {
        let first = tokio::select! {
            biased;
            first = self.entries.recv() => first,
            () = stop.cancelled() => self.entries.try_recv().ok(),
        };
        let Some(first) = first else { return false };
        group.push(first);
        self.depth.waiting.fetch_sub(1, Ordering::Relaxed);
        let began = Instant::now();
        let mut until = began + GATHER;
        loop {
            self.take_what_waits(group);
            if group.len() >= MAX_GROUP || stop.is_cancelled() {
                return true;
            }
            if Instant::now() >= until {
                let replayed = group.iter().filter(|queued| queued.entry.replayed).count();
                let longer = began + gather_time(group.len(), replayed);
                if longer <= until {
                    return true;
                }
                until = longer;
            }
            tokio::select! {
                () = self.depth.enough.notified() => {}
                () = tokio::time::sleep_until(until) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn take_what_waits(&mut self, group: &mut Vec<Queued>) {
        let before = group.len();
        while group.len() < MAX_GROUP
            && let Ok(next) = self.entries.try_recv()
        {
            group.push(next);
        }
        self.depth
            .waiting
            .fetch_sub(group.len() - before, Ordering::Relaxed);
    }

    fn pack(&mut self, group: &[Queued]) -> Vec<StagedSample> {
        let compressor = &mut self.compressor;
        let mut small = |row: &[u8]| {
            compressor
                .as_mut()
                .and_then(|compressor| compressor.compress(row).ok())
        };
        group
            .iter()
            .map(|Queued { entry, .. }| StagedSample {
                agent: entry.agent.key,
                id: entry.id,
                timestamp: entry.timestamp,
                payload: small(&entry.row).unwrap_or_else(|| entry.row.to_vec()),
                weight: entry.covers.len() as u32,
            })
            .collect()
    }

    /// Stores a group and the tasks in it, however long the database is away; `false` if the server stops before it is back.
    ///
    /// After a failure that is not the connection's the group is tried in smaller parts: a statement that takes too
    /// long gets through in the end.
    async fn commit(&self, samples: &[StagedSample], tasks: &[TaskRecord], stop: &CancellationToken) -> bool {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut give_up: Option<Instant> = None;
        let (mut rest, mut size) = (samples, samples.len());
        let mut tasks = tasks;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(size.clamp(1, rest.len()));
            // Tasks first: what a sample says of one is kept before the sample is acknowledged.
            let kept = match tasks {
                [] => Ok(()),
                tasks => self.store.save_tasks(tasks).await,
            };
            let appended = match kept {
                Err(error) if error.is_unreachable() => Err(error),
                kept => {
                    let began = Instant::now();
                    if let Err(error) = kept {
                        // They are said again with the next sample; samples must not wait for them.
                        warn!(error = %chain(&error), tasks = tasks.len(), "tasks can't be kept");
                    }
                    tasks = &[];
                    let appended = self.store.append(part).await;
                    if appended.is_ok() {
                        self.books.commits.add(began.elapsed());
                    }
                    appended
                }
            };
            match appended {
                Ok(appended) => {
                    self.count(appended);
                    rest = after;
                    size = size.saturating_mul(2);
                    continue;
                }
                Err(error) => {
                    self.books.failed_commits.fetch_add(1, Ordering::Relaxed);
                    if !self.books.is_failing.swap(true, Ordering::Relaxed) {
                        warn!(error = %chain(&error), "samples can't be stored; trying until they can");
                    }
                    if matches!(error, StoreError::Timeout { .. }) || !error.is_unreachable() {
                        size = part.len() / 2;
                    }
                }
            }
            if stop.is_cancelled() && Instant::now() >= *give_up.get_or_insert_with(|| Instant::now() + DRAIN)
            {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
        true
    }

    fn count(&self, appended: Appended) {
        self.books.stored.fetch_add(appended.stored, Ordering::Relaxed);
        self.books
            .duplicate
            .fetch_add(appended.duplicate, Ordering::Relaxed);
        if self.books.is_failing.swap(false, Ordering::Relaxed) {
            info!("the database takes samples again");
        }
    }
}

/// How long a group is gathered that has so many samples after [`GATHER`], and so many of them from backlogs.
fn gather_time(samples: usize, replayed: usize) -> Duration {
    if samples >= MANY && replayed * 2 <= samples {
        GATHER_MANY
    } else {
        GATHER
    }
}

/// Tells each agent's session, and whoever pushed, which samples are stored now.
fn acknowledge(group: impl Iterator<Item = Queued>) {
    let mut by_agent: HashMap<AgentKey, (Arc<LiveAgent>, Vec<SampleId>)> = HashMap::new();
    for Queued { mut entry, .. } in group {
        if let Some(told) = entry.told.take() {
            // Nobody waits any more if the caller has given up.
            let _ = told.send(());
            continue;
        }
        let (_, ids) = by_agent
            .entry(entry.agent.key)
            .or_insert_with(|| (entry.agent, Vec::new()));
        ids.extend(entry.covers);
    }
    for (agent, ids) in by_agent.into_values() {
        if let Some(session) = agent.session() {
            session.acknowledge(ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_waits_for_is_gathered_for_long() {
        assert_eq!(
            gather_time(MANY - 1, 0),
            GATHER,
            "a few agents: a commit more or less is nothing"
        );
        assert_eq!(gather_time(MANY, 0), GATHER_MANY);
        assert_eq!(
            gather_time(2_000, 2_000),
            GATHER,
            "backlogs wait for their acknowledgements"
        );
        assert_eq!(gather_time(2_000, 10), GATHER_MANY);
    }
}
