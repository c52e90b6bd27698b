//! Samples between their taking and their storing, and the agent's recent history: a queue in memory, bounded in bytes
//! and in age.
//!
//! Every sample gets an identity here and keeps it until the server has stored it. What is stored stays as local history
//! until room or age takes it. What must go unstored goes oldest first, counted, with the reason and the time span.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nodeglass_chunk::row;
use nodeglass_model::history::{History, HistoryBuilder, HistoryQuery};
use nodeglass_model::{Sample, SampleId, SeqRange, TimeRange, UnixMillis};
use tokio::sync::Notify;

/// What one sample costs in memory beyond its row.
const OVERHEAD_BYTES: usize = 64;

/// The bounds of a buffer.
#[derive(Debug, Clone, Copy)]
pub struct BufferLimits {
    /// Bytes of all samples together.
    pub max_bytes: usize,
    /// The age at which a sample goes, stored or not.
    pub max_age: Duration,
}

/// Why samples went that were never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evicted {
    /// The buffer was full.
    Full,
    /// They were older than the local retention.
    TooOld,
}

/// Where every sample of this epoch is: `sampled` is the sum of the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// Samples taken.
    pub sampled: u64,
    /// Samples that the server has stored.
    pub acknowledged: u64,
    /// Samples that wait, sent or not.
    pub buffered: u64,
    /// Samples that the server refused, by its code.
    pub rejected: BTreeMap<String, u64>,
    /// Samples that went unstored, by reason, with the span of time that they are from.
    pub evicted: BTreeMap<Evicted, (u64, TimeRange)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Sent,
    /// Stored or refused: history only.
    Settled,
}

#[derive(Debug)]
struct Entry {
    timestamp: UnixMillis,
    row: Vec<u8>,
    state: State,
}

/// The buffer. Its calls take microseconds and never wait for anything.
#[derive(Debug)]
pub struct SampleBuffer {
    inner: Mutex<Inner>,
    pushed: Notify,
}

#[derive(Debug)]
struct Inner {
    epoch: u64,
    limits: BufferLimits,
    /// The `seq` of the first entry; the others follow without a gap.
    first_seq: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
    waiting: usize,
    sent: usize,
    books: Books,
}

impl SampleBuffer {
    /// An empty buffer. Its epoch is the time it was made, so that no two of an agent are the same.
    pub fn new(limits: BufferLimits, now: UnixMillis) -> Self {
        let inner = Inner {
            epoch: now.0.unsigned_abs(),
            limits,
            first_seq: 1,
            entries: VecDeque::new(),
            bytes: 0,
            waiting: 0,
            sent: 0,
            books: Books::default(),
        };
        Self {
            inner: Mutex::new(inner),
            pushed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch of its samples.
    pub fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// Takes a sample in; it is the live one until the next.
    pub fn push(&self, sample: &Sample) -> SampleId {
        let id = self.lock().push(sample);
        self.pushed.notify_one();
        id
    }

    /// Waits for a sample that was pushed since the last call.
    pub async fn pushed(&self) {
        self.pushed.notified().await;
    }

    /// The newest sample, if it was not sent yet; it counts as sent from now on.
    pub fn take_live(&self) -> Option<(SampleId, Sample)> {
        let mut inner = self.lock();
        let newest = inner.entries.len().checked_sub(1)?;
        inner.take(newest)
    }

    /// The oldest samples that were not sent yet, within the given bounds; they count as sent from now on.
    ///
    /// `in_flight` bounds what is sent and not acknowledged, so that a slow server is not flooded.
    pub fn take_backlog(&self, samples: usize, bytes: usize, in_flight: usize) -> Vec<(SampleId, Sample)> {
        let mut inner = self.lock();
        let mut taken = Vec::new();
        let mut taken_bytes = 0;
        for index in 0..inner.entries.len() {
            if inner.waiting == 0 || inner.sent >= in_flight || taken.len() >= samples || taken_bytes >= bytes
            {
                break;
            }
            if inner.entries[index].state == State::Waiting {
                taken_bytes += inner.entries[index].row.len();
                taken.extend(inner.take(index));
            }
        }
        taken
    }

    /// Whether there is something that was not sent yet, and room for it in flight.
    pub fn has_backlog(&self, in_flight: usize) -> bool {
        let inner = self.lock();
        inner.waiting > 0 && inner.sent < in_flight
    }

    /// Whether everything is stored or refused.
    pub fn is_settled(&self) -> bool {
        let inner = self.lock();
        inner.waiting + inner.sent == 0
    }

    /// Whether everything was sent at least.
    pub fn is_sent(&self) -> bool {
        self.lock().waiting == 0
    }

    /// Marks samples as stored.
    pub fn acknowledge(&self, ranges: &[SeqRange]) {
        let mut inner = self.lock();
        for range in ranges
            .iter()
            .filter(|range| range.epoch == inner.epoch)
            .collect::<Vec<_>>()
        {
            let last = range.last.min(inner.first_seq + inner.entries.len() as u64);
            for seq in range.first.max(inner.first_seq)..=last {
                if inner.settle(seq) {
                    inner.books.acknowledged += 1;
                }
            }
        }
    }

    /// Marks a sample as refused for good.
    pub fn reject(&self, id: SampleId, code: &str) {
        let mut inner = self.lock();
        if id.epoch == inner.epoch && inner.settle(id.seq) {
            *inner.books.rejected.entry(code.to_owned()).or_default() += 1;
        }
    }

    /// Marks what was sent and not acknowledged as not sent: after a broken session, or when the server asks for it.
    pub fn send_again(&self) {
        let mut inner = self.lock();
        for entry in inner
            .entries
            .iter_mut()
            .filter(|entry| entry.state == State::Sent)
        {
            entry.state = State::Waiting;
        }
        inner.waiting += inner.sent;
        inner.sent = 0;
    }

    /// History from what is still here, stored or not.
    pub fn history(&self, query: &HistoryQuery) -> History {
        // Rows are few and small; they are copied so that sampling never waits for a query.
        let rows: Vec<_> = {
            let inner = self.lock();
            let inside = inner
                .entries
                .iter()
                .filter(|entry| query.range.contains(entry.timestamp));
            inside.map(|entry| (entry.timestamp, entry.row.clone())).collect()
        };
        let mut rows = rows;
        rows.sort_by_key(|(timestamp, _)| *timestamp);
        let mut builder = HistoryBuilder::new(query);
        for (timestamp, row) in rows {
            let sample = row::decode(&row, timestamp).expect("a row that this buffer wrote");
            if builder.add(&sample).is_break() {
                break;
            }
        }
        builder.finish()
    }

    /// Samples that went unstored.
    pub fn lost(&self) -> u64 {
        self.lock().books.evicted.values().map(|(count, _)| count).sum()
    }

    /// Where every sample is.
    pub fn books(&self) -> Books {
        let inner = self.lock();
        Books {
            buffered: (inner.waiting + inner.sent) as u64,
            ..inner.books.clone()
        }
    }
}

impl Inner {
    fn push(&mut self, sample: &Sample) -> SampleId {
        let entry = Entry {
            timestamp: sample.timestamp,
            row: row::encode(sample),
            state: State::Waiting,
        };
        self.bytes += entry.cost();
        self.waiting += 1;
        self.books.sampled += 1;
        self.entries.push_back(entry);
        let id = SampleId {
            epoch: self.epoch,
            seq: self.first_seq + self.entries.len() as u64 - 1,
        };
        // The newest always stays, whatever the bounds.
        while self.entries.len() > 1 && self.bytes > self.limits.max_bytes {
            self.evict(Evicted::Full);
        }
        let oldest = sample.timestamp.minus(self.limits.max_age);
        while self.entries.len() > 1 && self.entries[0].timestamp < oldest {
            self.evict(Evicted::TooOld);
        }
        id
    }

    /// Lets the oldest entry go.
    fn evict(&mut self, reason: Evicted) {
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        self.first_seq += 1;
        self.bytes -= entry.cost();
        match entry.state {
            State::Settled => return,
            State::Waiting => self.waiting -= 1,
            State::Sent => self.sent -= 1,
        }
        let at = TimeRange {
            start: entry.timestamp,
            end: entry.timestamp,
        };
        let (count, span) = self.books.evicted.entry(reason).or_insert((0, at));
        *count += 1;
        *span = TimeRange {
            start: span.start.min(entry.timestamp),
            end: span.end.max(entry.timestamp),
        };
    }

    /// Takes the entry at `index` for sending, if it waits.
    fn take(&mut self, index: usize) -> Option<(SampleId, Sample)> {
        let entry = self
            .entries
            .get_mut(index)
            .filter(|entry| entry.state == State::Waiting)?;
        entry.state = State::Sent;
        self.waiting -= 1;
        self.sent += 1;
        let sample = row::decode(&entry.row, entry.timestamp).expect("a row that this buffer wrote");
        Some((
            SampleId {
                epoch: self.epoch,
                seq: self.first_seq + index as u64,
            },
            sample,
        ))
    }

    /// Settles a sample; `false` if it is gone or was settled before.
    fn settle(&mut self, seq: u64) -> bool {
        let index = seq
            .checked_sub(self.first_seq)
            .and_then(|index| usize::try_from(index).ok());
        let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) else {
            return false;
        };
        match entry.state {
            State::Settled => return false,
            State::Waiting => self.waiting -= 1,
            State::Sent => self.sent -= 1,
        }
        entry.state = State::Settled;
        true
    }
}

impl Entry {
    fn cost(&self) -> usize {
        self.row.len() + OVERHEAD_BYTES
    }
}

#[cfg(test)]
mod tests;
