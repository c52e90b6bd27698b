//! How long something takes, counted in buckets: adding is a few atomic steps and takes no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, in milliseconds: from a live read to the longest that a call may take.
pub const BOUNDS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 30_000];

/// Durations by bucket; what is longer than every bound is in the count alone.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_MS.len()],
    count: AtomicU64,
    sum_micros: AtomicU64,
}

/// A histogram as it was at some moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// How many took no longer than each bound.
    pub cumulative: [u64; BOUNDS_MS.len()],
    /// How many there were.
    pub count: u64,
    /// What they took together.
    pub sum_seconds: f64,
}

impl Histogram {
    /// Counts one.
    pub fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MS.partition_point(|bound| bound * 1_000 < micros);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How it stands. The count is never less than what is in the buckets, whoever adds meanwhile.
    pub fn read(&self) -> Reading {
        let mut cumulative = [0; BOUNDS_MS.len()];
        let mut sum = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            sum += bucket.load(Ordering::Relaxed);
            cumulative[at] = sum;
        }
        Reading {
            cumulative,
            count: self.count.load(Ordering::Relaxed).max(sum),
            sum_seconds: self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for millis in [0, 1, 3, 30_000, 40_000] {
            histogram.add(Duration::from_millis(millis));
        }
        let reading = histogram.read();
        assert_eq!(reading.cumulative[..4], [2, 2, 3, 3]);
        assert_eq!((reading.cumulative[12], reading.count), (4, 5));
        assert!((reading.sum_seconds - 70.004).abs() < 1e-9);
    }
}
