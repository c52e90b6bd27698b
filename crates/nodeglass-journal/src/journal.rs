//! The journal as its users see it: samples in, samples to send, words of the server, books.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nodeglass_chunk::row::RowError;
use nodeglass_model::catalogue::Metric;
use nodeglass_model::history::{History, HistoryBuilder, HistoryQuery};
use nodeglass_model::{Sample, SampleId, SeqRange, TimeRange, UnixMillis};
use tracing::warn;

use crate::books::{Books, Gap, Reason};
use crate::ids::{self, IdSet};
use crate::keeper::{Job, Keeper};
use crate::record::Role;
use crate::recovery::{self, Recovery, State};
use crate::segment::{self, ReadError, Segment, Source};
use crate::storage::Storage;
use crate::{JournalConfig, Sync};

/// The journal. Its calls take microseconds, but for those that say that they read.
#[derive(Debug)]
pub struct Journal {
    /// Let go before what it works on, so that it finishes its jobs.
    keeper: Keeper,
    shared: Arc<Shared>,
}

/// What the journal and its thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) storage: Storage,
    /// Owed samples that were not sent yet, or have to be sent again.
    waiting: IdSet,
    /// Owed samples that were sent and of which the server has said nothing.
    sent: IdSet,
    /// The newest owed sample.
    newest: Option<(SampleId, Arc<Sample>)>,
    /// Whether it was never asked for as the live one.
    is_fresh: bool,
    books: Books,
    /// Samples that were let go after they had been sent and before the server said anything: lost, unless it still does.
    doubtful: Vec<(Reason, IdSet)>,
    /// How often in a row a segment could not be read.
    failed_reads: u32,
}

/// How often a file is tried that can't be read, unless the reason is sure to pass.
const READS: u32 = 20;
/// By how much an epoch is up to chance, in milliseconds; no matter beside the time between two starts.
const EPOCH_CHANCE: u64 = 1_000;

/// Where every sample is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What became of them.
    pub books: Books,
    /// Samples that wait for the server's word.
    pub buffered: u64,
    /// From the oldest to the newest of them, roughly.
    pub buffered_span: Option<TimeRange>,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes in memory, because the disk takes nothing.
    pub memory_bytes: u64,
    /// Why the disk takes nothing.
    pub disk_error: Option<String>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// Opens the journal in a directory, or begins one. It always works: what is damaged is put aside, and a directory
    /// that can't be used is done without; the recovery says so.
    ///
    /// Reads every file in it: less than a second for the largest journal.
    pub fn open(config: JournalConfig, now: UnixMillis, at: Instant) -> (Self, Recovery) {
        let (found, recovery) = recovery::recover(&config, now, at);
        // No two lives of a journal have the same epoch, nor a directory that turns up later a file of the same number. Some
        // chance, so that neither have two copies of a host that start at the same moment.
        let chance = RandomState::new().build_hasher().finish() % EPOCH_CHANCE;
        let epoch = now.0.unsigned_abs().max(found.epoch + 1) + chance;
        let mut inner = Inner {
            storage: Storage::new(config, epoch, now, at),
            waiting: IdSet::default(),
            sent: IdSet::default(),
            newest: None,
            is_fresh: false,
            books: Books::default(),
            doubtful: Vec::new(),
            failed_reads: 0,
        };
        inner.take_over(found, &recovery, at);
        let shared = Arc::new(Shared {
            inner: Mutex::new(inner),
        });
        let keeper = Keeper::start(&shared);
        let journal = Self { keeper, shared };
        {
            let mut inner = journal.shared.lock();
            let unpacked = inner.storage.unpacked();
            // The books as they were found are written down at once, before anything that they were made from is packed.
            inner.roll(now, at);
            journal.hand_on(&mut inner);
            for number in unpacked {
                journal.keeper.hand(Job::Pack(number));
            }
        }
        (journal, recovery)
    }

    /// The epoch of the samples that are taken now.
    pub fn epoch(&self) -> u64 {
        self.shared.lock().storage.epoch()
    }

    /// Appends a sample. Those that the server is owed get an identity.
    pub fn append(&self, sample: &Arc<Sample>, role: Role, at: Instant) -> Option<SampleId> {
        let mut inner = self.shared.lock();
        let inner = &mut *inner;
        if let Some((config, born)) = inner.storage.looks_again(at) {
            let (found, recovery) = recovery::recover(&config, born, at);
            if inner.take_over(found, &recovery, at) {
                // The books of both are written down together.
                inner.roll(sample.timestamp, at);
            }
        }
        if inner.storage.must_roll(at) {
            inner.roll(sample.timestamp, at);
        }
        let mut written = inner.storage.append(sample, role, at);
        if written.is_none() {
            // The disk refused. The next segment is begun in memory, which takes everything.
            inner.roll(sample.timestamp, at);
            written = inner.storage.append(sample, role, at);
        }
        self.hand_on(inner);
        let written = written?;
        let id = written.id;
        inner.books.local += u64::from(role.is_local());
        if let Some(id) = id {
            inner.books.sampled += 1;
            inner.books.journalled += u64::from(written.on_disk);
            inner.waiting.insert(id);
            inner.newest = Some((id, sample.clone()));
            inner.is_fresh = true;
        }
        if let Some(file) = written.sync {
            match inner.storage.sync_policy() {
                Sync::Always => {
                    if let Err(error) = file.sync_data() {
                        warn!(%error, "the journal could not be pushed down to the disk");
                    }
                }
                Sync::Within(_) | Sync::Never => self.keeper.hand(Job::Sync(file)),
            }
        }
        id
    }

    /// Gives the journal's thread what it has to do.
    fn hand_on(&self, inner: &mut Inner) {
        for job in inner.storage.jobs() {
            self.keeper.hand(job);
        }
    }

    /// Notes a span in which no sample was taken, and writes it down.
    pub fn note_gap(&self, reason: Reason, from: UnixMillis, to: UnixMillis, at: Instant) {
        let mut inner = self.shared.lock();
        inner.books.note(Gap {
            reason,
            from,
            to,
            samples: 0,
        });
        inner.roll(to, at);
        self.hand_on(&mut inner);
    }

    /// The newest owed sample, if it was not sent yet; it counts as sent from now on.
    pub fn take_live(&self) -> Option<(SampleId, Arc<Sample>)> {
        let mut inner = self.shared.lock();
        inner.is_fresh = false;
        let (id, sample) = inner.newest.clone()?;
        inner.take(id).then(|| {
            inner.books.sent += 1;
            (id, sample)
        })
    }

    /// Whether there is a sample that [`Journal::take_live`] has not been asked for yet.
    pub fn has_live(&self) -> bool {
        self.shared.lock().is_fresh
    }

    /// Hands out owed samples that were not sent yet, the oldest first, until `take` breaks; the one at which it breaks
    /// still counts as not sent. At most `in_flight` are out at a time. Reads a file; where that fails it is to be tried
    /// again in a while.
    ///
    /// While a sample is handed out, it may go to make room for others. It counts as sent by then, so that the server's word
    /// of it is heard after all.
    pub fn take_backlog(&self, in_flight: u64, mut take: impl FnMut(SampleId, &Sample) -> ControlFlow<()>) {
        loop {
            let (number, source) = {
                let mut inner = self.shared.lock();
                let Some(first) = inner.waiting.first() else {
                    return;
                };
                if inner.sent.count() >= in_flight {
                    return;
                }
                let Some(segment) = inner.storage.holder(first) else {
                    // It can't be: what is owed lies somewhere. If it is so all the same, it is said rather than hidden.
                    inner.waiting.remove(first);
                    inner.books.lose(Reason::Damaged, 1, None);
                    continue;
                };
                (segment.number, segment.source())
            };
            let mut went_on = ControlFlow::Continue(());
            let mut taken = 0;
            let read = source.bytes().and_then(|bytes| {
                segment::read_samples(&bytes, Role::is_owed, &everything, |id, sample| {
                    if went_on.is_break() {
                        return;
                    }
                    let mut inner = self.shared.lock();
                    if !inner.waiting.contains(id) {
                        return;
                    }
                    if inner.sent.count() >= in_flight {
                        went_on = ControlFlow::Break(());
                        return;
                    }
                    inner.take(id);
                    drop(inner);
                    went_on = take(id, &sample);
                    let mut inner = self.shared.lock();
                    if went_on.is_continue() {
                        taken += 1;
                        inner.books.sent += u64::from(inner.is_out(id));
                    } else {
                        inner.put_back(id);
                    }
                })
            });
            if went_on.is_break() {
                return;
            }
            match read {
                Ok(()) if taken > 0 => self.shared.lock().failed_reads = 0,
                // The segment does not have what its index says: the same as damage.
                Ok(()) => self.lose_unreadable(number, &ReadError::Record(RowError::Cut)),
                Err(error) => {
                    let mut inner = self.shared.lock();
                    inner.failed_reads += 1;
                    if error.is_passing() || (error.may_pass() && inner.failed_reads < READS) {
                        return;
                    }
                    inner.failed_reads = 0;
                    drop(inner);
                    self.lose_unreadable(number, &error);
                }
            }
        }
    }

    /// Counts what still waits in a segment that can't be read.
    fn lose_unreadable(&self, number: u64, error: &ReadError) {
        let mut inner = self.shared.lock();
        let inner = &mut *inner;
        let Some(segment) = inner.storage.segment(number) else {
            return;
        };
        let runs = segment.index.owed.iter();
        let lost = runs.map(|run| ids::count(&inner.waiting.remove_run(*run))).sum();
        inner.books.lose(Reason::Damaged, lost, segment.index.span);
        if lost > 0 {
            warn!(%error, lost, "a segment of the journal can't be read; its samples are counted as lost");
        }
    }

    /// Whether there is something that was not sent yet, and room for it in flight.
    pub fn has_backlog(&self, in_flight: u64) -> bool {
        let inner = self.shared.lock();
        !inner.waiting.is_empty() && inner.sent.count() < in_flight
    }

    /// Whether the server has said something of every sample.
    pub fn is_settled(&self) -> bool {
        let inner = self.shared.lock();
        inner.waiting.is_empty() && inner.sent.is_empty()
    }

    /// Whether everything was sent at least.
    pub fn is_sent(&self) -> bool {
        self.shared.lock().waiting.is_empty()
    }

    /// Notes that the server has stored samples.
    pub fn acknowledge(&self, runs: &[SeqRange]) {
        let mut inner = self.shared.lock();
        for run in runs.iter().filter(|run| run.first <= run.last) {
            let settled = inner.settle(*run);
            inner.books.acknowledged += ids::count(&settled);
            let inner = &mut *inner;
            for (reason, doubtful) in &mut inner.doubtful {
                let stored = ids::count(&doubtful.remove_run(*run));
                if stored > 0 {
                    inner.books.find_again(*reason, stored);
                }
            }
            inner.storage.words.stored.extend(settled);
        }
    }

    /// Notes that the server has refused a sample for good.
    pub fn reject(&self, id: SampleId, code: &str) {
        let mut inner = self.shared.lock();
        if !inner.settle(run_of(id)).is_empty() {
            *inner.books.rejected.entry(code.to_owned()).or_default() += 1;
            inner.storage.words.refused.push((id, code.to_owned()));
        }
    }

    /// What was sent and not settled counts as not sent: after a broken session, or when the server asks for it.
    pub fn send_again(&self) {
        let mut inner = self.shared.lock();
        // Of those that are gone nothing will be heard any more.
        inner.doubtful.clear();
        for run in inner.sent.drain() {
            inner.waiting.insert_run(run);
        }
    }

    /// Writes down what the server said since the last sample. Called before the agent ends.
    pub fn flush(&self) {
        let mut inner = self.shared.lock();
        if let Some(file) = inner.storage.flush() {
            self.keeper.hand(Job::Sync(file));
        }
        self.hand_on(&mut inner);
    }

    /// Local history. Reads the files of its range.
    pub fn history(&self, query: &HistoryQuery) -> History {
        let sources: Vec<Source> = {
            let inner = self.shared.lock();
            let inside = inner.storage.segments().filter(|segment| {
                let reaches = |span: TimeRange| span.start < query.range.end && span.end >= query.range.start;
                segment.index.span.is_some_and(reaches)
            });
            inside.map(Segment::source).collect()
        };
        let wanted = |metric: &Metric, device: &str| {
            let mut selectors = query.selectors.iter();
            selectors.any(|selector| selector.covers(metric, device))
        };
        let mut builder = HistoryBuilder::new(query);
        for source in sources {
            let read = source.bytes().and_then(|bytes| {
                segment::read_samples(&bytes, Role::is_local, &wanted, |_, sample| {
                    // Samples of a clock that was set back may still have a place in a full answer.
                    let _ = builder.add(&sample);
                })
            });
            if let Err(error) = read {
                warn!(%error, "a part of the local history can't be read");
            }
        }
        builder.finish()
    }

    /// Closed segments that are not packed yet. Those of a few samples stay as they are.
    pub fn unpacked(&self) -> usize {
        self.shared.lock().storage.unpacked().len()
    }

    /// Samples that went unstored.
    pub fn lost(&self) -> u64 {
        self.shared.lock().books.lost()
    }

    /// Where every sample is.
    pub fn standing(&self) -> Standing {
        let inner = self.shared.lock();
        let time_of = |id: SampleId| inner.storage.holder(id)?.index.time_of(id);
        let first = inner.waiting.first().into_iter().chain(inner.sent.first()).min();
        let last = inner.waiting.last().into_iter().chain(inner.sent.last()).max();
        let span = first.and_then(time_of).zip(last.and_then(time_of));
        Standing {
            buffered: inner.waiting.count() + inner.sent.count(),
            buffered_span: span.map(|(start, end)| TimeRange { start, end }),
            books: inner.books.clone(),
            disk_bytes: inner.storage.disk_bytes(),
            memory_bytes: inner.storage.memory_bytes(),
            disk_error: inner.storage.disk_error(),
        }
    }
}

#[cfg(test)]
impl Journal {
    /// Ends as a killed process does: what is not written by now never is.
    pub(crate) fn crash(self) {
        self.shared.lock().storage.words = crate::record::Words::default();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Inner {
    /// Moves a waiting sample to those that are out; `false` if it does not wait.
    fn take(&mut self, id: SampleId) -> bool {
        let waited = self.waiting.remove(id);
        if waited {
            self.sent.insert(id);
        }
        waited
    }

    /// Whether the server's word of a sample is waited for, kept or gone.
    fn is_out(&self, id: SampleId) -> bool {
        self.sent.contains(id) || self.doubtful.iter().any(|(_, gone)| gone.contains(id))
    }

    /// Has a sample wait again that was taken and not sent.
    fn put_back(&mut self, id: SampleId) {
        if self.sent.remove(id) {
            self.waiting.insert(id);
        }
    }

    /// Takes samples out of what is owed; those that were.
    fn settle(&mut self, run: SeqRange) -> Vec<SeqRange> {
        let mut settled = self.sent.remove_run(run);
        settled.extend(self.waiting.remove_run(run));
        settled
    }

    /// Takes over what was found in the directory; `false` if it can't be used.
    fn take_over(&mut self, found: State, recovery: &Recovery, at: Instant) -> bool {
        if let Some(reason) = &recovery.error {
            self.storage.not_found(reason.clone(), at);
            return false;
        }
        for run in found.owed.runs() {
            self.waiting.insert_run(run);
        }
        self.books.add(found.books);
        self.storage
            .take_over(found.segments, found.next_number, found.lock);
        true
    }

    /// Closes the open segment and begins another, after letting the oldest go as far as age and room ask for it.
    fn roll(&mut self, now: UnixMillis, at: Instant) {
        let going = self.storage.outgrown(now, at);
        for (segment, reason) in &going {
            self.count_out(segment, *reason);
        }
        let owed = self.waiting.runs().chain(self.sent.runs()).collect::<IdSet>();
        self.storage.begin(now, at, &owed, &self.books, going);
    }

    /// Counts what is still owed in a segment that goes.
    fn count_out(&mut self, segment: &Segment, reason: Reason) {
        let runs = || segment.index.owed.iter();
        let doubtful: IdSet = runs().flat_map(|run| self.sent.remove_run(*run)).collect();
        let waiting: Vec<SeqRange> = runs().flat_map(|run| self.waiting.remove_run(*run)).collect();
        let lost: IdSet = doubtful.runs().chain(waiting).collect();
        if !doubtful.is_empty() {
            self.doubtful.push((reason, doubtful));
        }
        if lost.is_empty() {
            return;
        }
        // The time of those that were owed, if it can be had; else that of the whole segment.
        let mut span: Option<TimeRange> = None;
        let _ = segment.source().bytes().and_then(|bytes| {
            segment::read_samples(&bytes, Role::is_owed, &nothing, |id, sample| {
                if lost.contains(id) {
                    let at = sample.timestamp;
                    let all = span.get_or_insert(TimeRange { start: at, end: at });
                    all.start = all.start.min(at);
                    all.end = all.end.max(at);
                }
            })
        });
        self.books.lose(reason, lost.count(), span.or(segment.index.span));
    }
}

fn run_of(id: SampleId) -> SeqRange {
    SeqRange {
        epoch: id.epoch,
        first: id.seq,
        last: id.seq,
    }
}

fn everything(_: &Metric, _: &str) -> bool {
    true
}

fn nothing(_: &Metric, _: &str) -> bool {
    false
}
