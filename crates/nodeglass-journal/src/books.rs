//! The books: what became of every sample that the server was promised.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use nodeglass_model::{TimeRange, UnixMillis};
use serde::{Deserialize, Serialize};

/// Spans without samples that are remembered; older ones are only counted.
const MAX_GAPS: usize = 64;
/// Losses that follow each other this closely are one.
const TOUCHING: Duration = Duration::from_mins(1);

/// Why samples went, or were never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There was no room for more, on disk or in memory.
    Full,
    /// They were older than what is kept.
    TooOld,
    /// The file that they lay in was damaged.
    Damaged,
    /// The agent did not run.
    NotRunning,
    /// The agent was told not to sample.
    Stopped,
}

impl Reason {
    /// The word for it in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooOld => "too_old",
            Self::Damaged => "damaged",
            Self::NotRunning => "not_running",
            Self::Stopped => "stopped",
        }
    }

    /// Whether samples of this span were taken and lost, rather than never taken.
    pub fn is_loss(self) -> bool {
        !matches!(self, Self::NotRunning | Self::Stopped)
    }
}

/// A span of time without samples, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Why.
    pub reason: Reason,
    /// The first sample that is missing, or the last that is there.
    pub from: UnixMillis,
    /// The last sample that is missing, or the first that is there again.
    pub to: UnixMillis,
    /// How many were taken and lost; 0 where none was taken.
    pub samples: u64,
}

/// What became of every sample since the journal was made: `sampled` is `acknowledged`, all of `rejected`, all of
/// `evicted` and what is still owed together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Samples taken for the server.
    pub sampled: u64,
    /// Of those, written to disk as they were taken; the rest went to memory first.
    pub journalled: u64,
    /// How often one was sent since the agent started, repetitions included.
    #[serde(skip)]
    pub sent: u64,
    /// Samples that the server has stored.
    pub acknowledged: u64,
    /// Samples that the server refused, by its code.
    pub rejected: BTreeMap<String, u64>,
    /// Samples that went unstored, by reason.
    pub evicted: BTreeMap<Reason, u64>,
    /// Samples taken for the local history, those for the server included.
    pub local: u64,
    /// Files of the journal that were damaged and put aside.
    #[serde(default)]
    pub damaged_segments: u64,
    /// Spans without samples, the oldest first.
    pub gaps: VecDeque<Gap>,
}

impl Books {
    /// Samples that went unstored.
    pub fn lost(&self) -> u64 {
        self.evicted.values().sum()
    }

    /// Counts samples that went, with the time that they are from where it is known.
    pub(crate) fn lose(&mut self, reason: Reason, samples: u64, span: Option<TimeRange>) {
        if samples == 0 {
            return;
        }
        *self.evicted.entry(reason).or_default() += samples;
        if let Some(TimeRange { start, end }) = span {
            self.note(Gap {
                reason,
                from: start,
                to: end,
                samples,
            });
        }
    }

    /// Takes samples back that were counted as lost: they had been sent, and the server has stored them after all.
    pub(crate) fn find_again(&mut self, reason: Reason, samples: u64) {
        if let Some(evicted) = self.evicted.get_mut(&reason) {
            *evicted = evicted.saturating_sub(samples);
        }
        self.evicted.retain(|_, count| *count > 0);
        self.acknowledged += samples;
        let mut of_reason = self.gaps.iter_mut().rev().filter(|gap| gap.reason == reason);
        if let Some(gap) = of_reason.next() {
            gap.samples = gap.samples.saturating_sub(samples);
        }
        self.gaps.retain(|gap| gap.samples > 0 || !gap.reason.is_loss());
    }

    /// Remembers a span without samples. Losses that touch become one.
    pub(crate) fn note(&mut self, gap: Gap) {
        if let Some(last) = self.gaps.back_mut()
            && last.reason == gap.reason
            && gap.reason.is_loss()
            && gap.from <= last.to.plus(TOUCHING)
        {
            last.from = last.from.min(gap.from);
            last.to = last.to.max(gap.to);
            last.samples += gap.samples;
            return;
        }
        self.gaps.push_back(gap);
        if self.gaps.len() > MAX_GAPS {
            // A crash loop must not push out what was lost.
            let harmless = self.gaps.iter().position(|gap| !gap.reason.is_loss());
            self.gaps.remove(harmless.unwrap_or(0));
        }
    }

    /// Adds the books of a journal that was found again.
    pub(crate) fn add(&mut self, found: Self) {
        self.sampled += found.sampled;
        self.journalled += found.journalled;
        self.acknowledged += found.acknowledged;
        self.local += found.local;
        self.damaged_segments += found.damaged_segments;
        for (code, count) in found.rejected {
            *self.rejected.entry(code).or_default() += count;
        }
        for (reason, count) in found.evicted {
            *self.evicted.entry(reason).or_default() += count;
        }
        let own = std::mem::replace(&mut self.gaps, found.gaps);
        for gap in own {
            self.note(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64) -> TimeRange {
        TimeRange {
            start: UnixMillis(from),
            end: UnixMillis(from + 5),
        }
    }

    #[test]
    fn losses_are_counted_and_spans_remembered() {
        let gap = |reason, from| Gap {
            reason,
            from: span(from).start,
            to: span(from).end,
            samples: 0,
        };
        let mut books = Books::default();
        books.lose(Reason::Full, 3, Some(span(10)));
        books.lose(Reason::Full, 2, Some(span(20)));
        books.lose(Reason::Damaged, 1, None);
        books.lose(Reason::Full, 0, Some(span(0)));
        books.note(gap(Reason::NotRunning, 30));
        books.note(gap(Reason::NotRunning, 90));
        assert_eq!(books.lost(), 6);
        assert_eq!(
            books.evicted,
            BTreeMap::from([(Reason::Full, 5), (Reason::Damaged, 1)])
        );
        let spans: Vec<_> = books
            .gaps
            .iter()
            .map(|gap| (gap.from.0, gap.to.0, gap.samples))
            .collect();
        assert_eq!(spans, [(10, 25, 5), (30, 35, 0), (90, 95, 0)]);
        for at in 0..100 {
            books.note(gap(Reason::Stopped, at * 10));
        }
        assert_eq!(books.gaps.len(), MAX_GAPS);
        assert_eq!(
            books.gaps[0].reason,
            Reason::Full,
            "what was lost is remembered longest"
        );
    }
}
