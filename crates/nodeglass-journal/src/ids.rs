//! Sets of sample ids, kept as runs: a day's samples are one entry.

use std::collections::BTreeMap;

use nodeglass_model::{SampleId, SeqRange};

/// A set of sample ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IdSet {
    /// The last number of each run, by its epoch and first number. Runs neither touch nor overlap.
    runs: BTreeMap<(u64, u64), u64>,
    count: u64,
}

impl IdSet {
    /// How many ids it has.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lowest id: the oldest sample.
    pub(crate) fn first(&self) -> Option<SampleId> {
        let ((epoch, seq), _) = self.runs.first_key_value()?;
        Some(SampleId {
            epoch: *epoch,
            seq: *seq,
        })
    }

    /// The highest id: the newest sample.
    pub(crate) fn last(&self) -> Option<SampleId> {
        let ((epoch, _), last) = self.runs.last_key_value()?;
        Some(SampleId {
            epoch: *epoch,
            seq: *last,
        })
    }

    pub(crate) fn contains(&self, id: SampleId) -> bool {
        self.run_at(id).is_some()
    }

    /// The run that `id` is in.
    fn run_at(&self, id: SampleId) -> Option<(u64, u64)> {
        let ((epoch, first), last) = self.runs.range(..=(id.epoch, id.seq)).next_back()?;
        (*epoch == id.epoch && id.seq <= *last).then_some((*first, *last))
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = SeqRange> {
        self.runs.iter().map(|((epoch, first), last)| SeqRange {
            epoch: *epoch,
            first: *first,
            last: *last,
        })
    }

    pub(crate) fn insert(&mut self, id: SampleId) {
        self.insert_run(SeqRange {
            epoch: id.epoch,
            first: id.seq,
            last: id.seq,
        });
    }

    /// Adds all of a run.
    pub(crate) fn insert_run(&mut self, run: SeqRange) {
        self.remove_run(run);
        let SeqRange {
            epoch,
            mut first,
            mut last,
        } = run;
        self.count += last - first + 1;
        if let Some((before, end)) = first
            .checked_sub(1)
            .and_then(|seq| self.run_at(SampleId { epoch, seq }))
        {
            self.runs.remove(&(epoch, before));
            debug_assert_eq!(end + 1, first);
            first = before;
        }
        if let Some(end) = last
            .checked_add(1)
            .and_then(|seq| self.runs.remove(&(epoch, seq)))
        {
            last = end;
        }
        self.runs.insert((epoch, first), last);
    }

    /// Takes a run out; what of it was there.
    pub(crate) fn remove_run(&mut self, run: SeqRange) -> Vec<SeqRange> {
        let SeqRange { epoch, first, last } = run;
        let mut removed = Vec::new();
        let start = self
            .run_at(SampleId { epoch, seq: first })
            .map_or(first, |(first, _)| first);
        let touched: Vec<((u64, u64), u64)> = self
            .runs
            .range((epoch, start)..=(epoch, last))
            .map(|(key, end)| (*key, *end))
            .collect();
        for ((_, begin), end) in touched {
            self.runs.remove(&(epoch, begin));
            if begin < first {
                self.runs.insert((epoch, begin), first - 1);
            }
            if end > last {
                self.runs.insert((epoch, last + 1), end);
            }
            let taken = SeqRange {
                epoch,
                first: begin.max(first),
                last: end.min(last),
            };
            self.count -= taken.last - taken.first + 1;
            removed.push(taken);
        }
        removed
    }

    /// Takes one id out; whether it was there.
    pub(crate) fn remove(&mut self, id: SampleId) -> bool {
        let run = SeqRange {
            epoch: id.epoch,
            first: id.seq,
            last: id.seq,
        };
        !self.remove_run(run).is_empty()
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self) -> Vec<SeqRange> {
        let runs = self.runs().collect();
        *self = Self::default();
        runs
    }
}

impl FromIterator<SeqRange> for IdSet {
    fn from_iter<I: IntoIterator<Item = SeqRange>>(runs: I) -> Self {
        let mut set = Self::default();
        for run in runs {
            set.insert_run(run);
        }
        set
    }
}

/// How many ids some runs have.
pub(crate) fn count(runs: &[SeqRange]) -> u64 {
    runs.iter().map(|run| run.last - run.first + 1).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nodeglass_model::contiguous;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 1..3_u64, 1..40_u64, 0..9_u64), 0..60)) {
            let (mut set, mut model) = (IdSet::default(), BTreeSet::new());
            for (add, epoch, first, more) in steps {
                let run = SeqRange { epoch, first, last: first + more };
                let ids = (run.first..=run.last).map(|seq| SampleId { epoch, seq });
                if add {
                    set.insert_run(run);
                    model.extend(ids);
                } else {
                    let there: Vec<_> = ids.filter(|id| model.remove(id)).collect();
                    prop_assert_eq!(set.remove_run(run), contiguous(there));
                }
                prop_assert_eq!(set.count(), model.len() as u64);
                prop_assert_eq!((set.first(), set.last()), (model.first().copied(), model.last().copied()));
                prop_assert_eq!(set.runs().collect::<Vec<_>>(), contiguous(model.iter().copied().collect()));
            }
        }
    }
}
