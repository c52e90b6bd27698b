//! Gathers whole samples.

use std::ops::ControlFlow;

use super::fold::Fold;
use super::{History, HistoryQuery};
use crate::sample::Sample;
use crate::time::UnixMillis;

/// Builds an answer from samples, which may come in any order.
#[derive(Debug)]
pub struct HistoryBuilder<'q> {
    query: &'q HistoryQuery,
    fold: Fold<'q>,
    /// The starts of the buckets that have values, rising: as many as the answer may have.
    starts: Vec<UnixMillis>,
}

impl<'q> HistoryBuilder<'q> {
    /// Starts an answer to `query`.
    pub fn new(query: &'q HistoryQuery) -> Self {
        Self {
            query,
            fold: Fold::new(query),
            starts: Vec::new(),
        }
    }

    /// Adds a sample; those outside the range are passed over. `Break` once the answer is full: samples that are later
    /// than this one have no place in it any more, earlier ones still do.
    pub fn add(&mut self, sample: &Sample) -> ControlFlow<()> {
        if !self.query.range.contains(sample.timestamp) {
            return ControlFlow::Continue(());
        }
        if !self.fold.sample(sample) {
            return ControlFlow::Continue(());
        }
        let bucket = sample.timestamp.floor(self.query.interval);
        if let Err(free) = self.starts.binary_search(&bucket) {
            let is_full = self.starts.len() >= self.query.max_points as usize;
            if is_full && free == self.starts.len() {
                return ControlFlow::Break(());
            }
            if is_full {
                self.starts.pop();
            }
            self.starts.insert(free, bucket);
        }
        ControlFlow::Continue(())
    }

    /// The answer.
    pub fn finish(self) -> History {
        self.fold.finish()
    }
}
