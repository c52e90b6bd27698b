//! What the server says of itself: figures for Prometheus at `/metrics`, and the log of calls.
//!
//! Counters stand where they are counted, as atomics; they are read when somebody asks. [`families`] has their names, [`calls`]
//! counts calls.

pub mod calls;
mod exposition;
pub mod families;
pub mod histogram;
mod process;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nodeglass_runtime::telemetry::chain;
use nodeglass_store::Store;
use nodeglass_store::tiers::Sizes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::audit::Audit;
use crate::compaction::Totals;
use crate::events::Events;
use crate::ingest::Ingest;
use crate::live::Live;
use crate::stream::Places;
use crate::writer::WriterQueue;

use calls::Calls;
pub use exposition::Format;
use exposition::Page;
use families as f;
use process::Process;

/// How long what the store takes on disk is taken for true: on SQLite the whole file is passed over for it.
const SIZES_HOLD: Duration = Duration::from_mins(10);

/// Where all figures are read.
pub struct Telemetry {
    /// Where calls are counted.
    pub calls: Arc<Calls>,
    /// What agents and pushers send.
    pub ingest: Ingest,
    /// What waits for the store.
    pub queue: WriterQueue,
    /// Who is there.
    pub live: Arc<Live>,
    /// Who reads.
    pub streams: Places,
    /// What compaction does.
    pub compaction: Arc<Totals>,
    /// What the store takes.
    pub sizes: Arc<StoreSizes>,
    /// What is noted of agents.
    pub events: Arc<Events>,
    /// What is noted of callers.
    pub audit: Arc<Audit>,
}

/// What the store takes on disk, as it was found the last time.
#[derive(Debug, Default)]
pub struct StoreSizes {
    found: Mutex<Option<(Instant, Sizes)>>,
    wanted: Notify,
}

impl StoreSizes {
    /// Looks when somebody asks, now and then, until `stop`.
    pub async fn run(self: Arc<Self>, store: Arc<dyn Store>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = self.wanted.notified() => {}
                () = stop.cancelled() => return,
            }
            match store.sizes().await {
                Ok(sizes) => *self.lock() = Some((Instant::now(), sizes)),
                Err(error) => debug!(error = %chain(&error), "what the store takes is not known"),
            }
        }
    }

    /// What is known, which may be nothing yet. It is looked for if it is old.
    fn read(&self) -> Option<Sizes> {
        let found = *self.lock();
        if found.is_none_or(|(at, _)| at.elapsed() > SIZES_HOLD) {
            self.wanted.notify_one();
        }
        found.map(|(_, sizes)| sizes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Sizes)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is added up over all agents.
#[derive(Debug, Default)]
struct Fleet {
    connected: u64,
    disconnected: u64,
    sessions: u64,
    ledger: BTreeMap<&'static str, u64>,
}

impl Telemetry {
    /// All figures, as they are now.
    pub fn page(&self, format: Format) -> String {
        let mut page = Page::new(format);
        page.each(&f::BUILD, [(env!("CARGO_PKG_VERSION"), 1)]);
        self.samples(&mut page);
        let fleet = self.fleet();
        page.each(
            &f::AGENTS,
            [
                ("connected", fleet.connected),
                ("disconnected", fleet.disconnected),
            ],
        );
        page.one(&f::SESSIONS, fleet.sessions);
        page.one(&f::SESSIONS_OPENED, self.ingest.sessions_opened());
        let streams = self.streams.books();
        page.one(&f::STREAMS, streams.open);
        page.one(&f::STREAMS_LIMIT, self.streams.most());
        page.one(&f::STREAMS_OPENED, streams.opened);
        page.one(&f::STREAMS_REFUSED, streams.refused);
        page.one(&f::READERS_CUT, streams.cut);
        let calls = self.calls.read();
        let labelled = calls
            .iter()
            .map(|(labels, reading)| (labels.iter().map(String::as_str).collect(), *reading));
        page.histograms(&f::REQUESTS, labelled);
        page.one(&f::REQUESTS_IN_FLIGHT, self.calls.in_flight());
        if let Some(sizes) = self.sizes.read() {
            page.each(
                &f::STORE,
                [
                    ("staging", sizes.staging),
                    ("small_chunks", sizes.small_chunks),
                    ("full_chunks", sizes.full_chunks),
                    ("rollups", sizes.rollups),
                ],
            );
        }
        let compaction = self.compaction.read();
        page.one(&f::SLOTS_BEHIND, compaction.slots_behind);
        page.one(&f::COMPACTED, compaction.done.samples);
        page.one(&f::COMPACTION_MERGES, compaction.done.merges);
        page.one(&f::COMPACTION_FAILURES, compaction.failures);
        page.one(&f::COMPACTION_UNREADABLE, compaction.done.unreadable);
        page.one(&f::EVENTS_DROPPED, self.events.dropped());
        page.one(&f::AUDIT_DROPPED, self.audit.dropped());
        page.each(&f::LEDGER, fleet.ledger);
        process(&mut page);
        page.finish()
    }

    fn samples(&self, page: &mut Page) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ingest = self.ingest.books();
        page.one(&f::RECEIVED, read(&ingest.received));
        page.one(&f::REJECTED, read(&ingest.rejected));
        let writer = self.queue.books();
        page.one(&f::STORED, read(&writer.stored));
        page.one(&f::DUPLICATE, read(&writer.duplicate));
        page.one(&f::TURNED_AWAY, read(&writer.turned_away));
        page.histograms(&f::COMMIT, [(Vec::new(), writer.commits.read())]);
        page.one(&f::COMMIT_FAILED, read(&writer.failed_commits));
        page.one(
            &f::COMMIT_FAILING,
            u8::from(writer.is_failing.load(Ordering::Relaxed)),
        );
        let (used, limit) = self.queue.bytes();
        page.one(&f::QUEUE, used);
        page.one(&f::QUEUE_LIMIT, limit);
    }

    fn fleet(&self) -> Fleet {
        let mut fleet = Fleet::default();
        for state in ["sampled", "acknowledged", "buffered", "rejected", "evicted"] {
            fleet.ledger.insert(state, 0);
        }
        for agent in self.live.all() {
            fleet.sessions += u64::from(agent.session().is_some());
            if agent.is_connected() {
                fleet.connected += 1;
            } else {
                fleet.disconnected += 1;
            }
            let Some(side) = agent.side() else { continue };
            let mut add = |state, count: u64| *fleet.ledger.entry(state).or_default() += count;
            add("sampled", side.sampled);
            add("acknowledged", side.acknowledged);
            add("buffered", side.buffered);
            add("rejected", side.rejected.values().sum());
            add("evicted", side.evicted.values().sum());
        }
        fleet
    }
}

fn process(page: &mut Page) {
    if let Some(process) = Process::read() {
        page.one(&f::CPU, process.cpu_seconds);
        page.one(&f::RESIDENT, process.resident_bytes);
        page.one(&f::VIRTUAL, process.virtual_bytes);
        page.one(&f::THREADS, process.threads);
        if let Some(started) = process.started_at {
            page.one(&f::STARTED, started);
        }
    }
    if let Some(files) = Process::open_files() {
        page.one(&f::FILES, files);
    }
    if let Some(most) = Process::max_files() {
        page.one(&f::FILES_LIMIT, most);
    }
}
