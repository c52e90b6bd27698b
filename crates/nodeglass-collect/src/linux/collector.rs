//! What every collector of the Linux back end has in common: when it reads, how it says so, and what it may show again.

use std::time::{Duration, Instant};

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::{CollectFailure, CollectorMetrics, Sample};

use super::proc_file::ReadError;
use crate::gpu::GpuUses;
use crate::sampler::Depth;

/// How old a reading of a full sample may be to be shown again in light ones: two full samples' distance, so that a
/// level does not come and go from one second to the next.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The moment of a sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// What rates are worked out to.
    pub(crate) now: Instant,
    /// When the sample goes on without those that have not answered.
    pub(crate) until: Instant,
    /// How much is read.
    pub(crate) depth: Depth,
}

impl Moment {
    pub(super) fn is_full(&self) -> bool {
        self.depth == Depth::Full
    }
}

/// Reads one subsystem again and again.
pub(super) trait Collector: Send {
    /// Reads into the sample; what may hang is only asked here.
    ///
    /// # Errors
    /// The subsystem as a whole can't be read. What costs single devices is added to the sample's failures instead.
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError>;

    /// Takes the answers of what was asked, waiting for them until the sample's deadline; and reads what is
    /// ranked by the use of GPUs, or names others.
    fn finish(&mut self, _sample: &mut Sample, _moment: &Moment, _gpu: &GpuUses) {}

    /// Tells which of its metrics are wanted.
    fn set_filter(&mut self, _filter: &MetricFilter) {}
}

/// The time from one reading to the next.
#[derive(Debug, Default)]
pub(super) struct Lap(Option<Instant>);

impl Lap {
    /// The time since the last call; nothing at the first.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        self.0
            .replace(now)
            .map_or(Duration::ZERO, |before| now.saturating_duration_since(before))
    }
}

/// What full samples read and light samples show again while it is young.
#[derive(Debug)]
pub(super) struct Kept<T>(Option<(Instant, T)>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Kept<T> {
    pub(super) fn set(&mut self, now: Instant, value: T) {
        self.0 = Some((now, value));
    }

    /// The last reading and its age, unless that is too high.
    pub(super) fn young(&self, now: Instant) -> Option<(&T, Duration)> {
        self.within(now, KEPT_FOR)
    }

    /// The last reading and its age, if it is younger than `limit`.
    pub(super) fn within(&self, now: Instant, limit: Duration) -> Option<(&T, Duration)> {
        let (at, value) = self.0.as_ref()?;
        let age = now.saturating_duration_since(*at);
        (age < limit).then_some((value, age))
    }

    /// How old the last reading is, however old; `None` if there never was one.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        let (at, _) = self.0.as_ref()?;
        Some(now.saturating_duration_since(*at))
    }
}

/// Adds what could not be read to the sample.
pub(super) fn fail(sample: &mut Sample, collector: &str, reason: String) {
    sample.failures.push(CollectFailure {
        collector: collector.to_owned(),
        reason,
    });
}

/// Says how many devices a collector left out.
pub(super) fn leave_out(sample: &mut Sample, collector: &str, devices: usize) {
    if devices > 0 {
        let left_out = &mut entry(sample, collector).devices_left_out;
        *left_out = Some(left_out.unwrap_or(0).saturating_add(devices as u32));
    }
}

/// Says how old the last good reading is of what could not be read anew; the oldest counts.
pub(super) fn mark_stale(sample: &mut Sample, collector: &str, age: Duration) {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let stale = &mut entry(sample, collector).stale_ms;
    *stale = (*stale).max(Some(age));
}

fn entry<'a>(sample: &'a mut Sample, collector: &str) -> &'a mut CollectorMetrics {
    let known = sample
        .collectors
        .iter()
        .position(|entry| entry.collector == collector);
    let at = known.unwrap_or_else(|| {
        sample.collectors.push(CollectorMetrics {
            collector: collector.to_owned(),
            ..CollectorMetrics::default()
        });
        sample.collectors.len() - 1
    });
    &mut sample.collectors[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_shown_until_it_is_old() {
        let start = Instant::now();
        let mut kept = Kept::default();
        assert_eq!(kept.young(start), None);
        kept.set(start, 7);
        let later = start + Duration::from_secs(4);
        assert_eq!(kept.young(later), Some((&7, Duration::from_secs(4))));
        assert_eq!(kept.young(start + KEPT_FOR), None);
    }

    #[test]
    fn a_collector_has_one_entry_with_the_oldest_age_and_all_that_is_left_out() {
        let mut sample = Sample::default();
        leave_out(&mut sample, "disk", 0);
        assert_eq!(sample.collectors, [], "nothing to say");
        leave_out(&mut sample, "disk", 2);
        leave_out(&mut sample, "disk", 3);
        mark_stale(&mut sample, "disk", Duration::from_millis(900));
        mark_stale(&mut sample, "disk", Duration::from_millis(400));
        assert_eq!(sample.collectors.len(), 1);
        assert_eq!(sample.collectors[0].devices_left_out, Some(5));
        assert_eq!(sample.collectors[0].stale_ms, Some(900));
    }
}
