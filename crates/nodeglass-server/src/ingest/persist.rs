//! Storing less often than samples come: one sample in each persist interval, the mean of those that came in it.
//!
//! A sample that waits here is not acknowledged; when its interval's sample is committed, all that went into it are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::window::Window;
use nodeglass_model::{Sample, SampleId, UnixMillis};

use crate::live::LiveAgent;
use crate::writer::Entry;

/// How long after its end an interval waits for stragglers if no later sample closes it.
const GRACE: Duration = Duration::from_secs(15);

/// The open intervals of one agent, live samples and backfill apart: each comes in order of time by itself.
#[derive(Debug, Default)]
pub struct PersistWindows {
    live: BTreeMap<UnixMillis, Open>,
    backfill: BTreeMap<UnixMillis, Open>,
}

#[derive(Debug, Default)]
struct Open {
    window: Window,
    ids: Vec<SampleId>,
}

/// An interval that is over.
#[derive(Debug)]
pub(crate) struct Closed {
    sample: Sample,
    ids: Vec<SampleId>,
}

impl Closed {
    /// The interval's sample under the identity of its last one, for the writer.
    pub(crate) fn into_entry(self, agent: Arc<LiveAgent>) -> Entry {
        let Self { sample, ids } = self;
        let id = ids.last().copied().unwrap_or(SampleId { epoch: 0, seq: 0 });
        Entry::new(agent, &sample, id, ids)
    }
}

impl Open {
    fn close(self) -> Option<Closed> {
        let Self { window, ids } = self;
        window.finish().map(|sample| Closed { sample, ids })
    }
}

impl PersistWindows {
    /// Adds a sample, unless it is waiting here already; gives the intervals that it shows to be over.
    pub(crate) fn add(
        &mut self,
        id: SampleId,
        sample: Sample,
        interval: Duration,
        backfill: bool,
    ) -> Vec<Closed> {
        let start = sample.timestamp.floor(interval);
        let waits = |open: &BTreeMap<_, Open>| open.get(&start).is_some_and(|open| open.ids.contains(&id));
        if waits(&self.live) || waits(&self.backfill) {
            return Vec::new();
        }
        let windows = if backfill {
            &mut self.backfill
        } else {
            &mut self.live
        };
        let still_open = windows.split_off(&start);
        let over = std::mem::replace(windows, still_open);
        let open = windows.entry(start).or_default();
        open.window.add(sample);
        open.ids.push(id);
        over.into_values().filter_map(Open::close).collect()
    }

    /// Takes the intervals that ended a while ago.
    pub(crate) fn close_overdue(&mut self, now: UnixMillis, interval: Duration) -> Vec<Closed> {
        let mut over = Vec::new();
        for windows in [&mut self.live, &mut self.backfill] {
            let still_open = windows.split_off(&now.minus(interval + GRACE));
            over.extend(
                std::mem::replace(windows, still_open)
                    .into_values()
                    .filter_map(Open::close),
            );
        }
        over
    }

    /// Takes all intervals, over or not.
    pub(crate) fn close_all(&mut self) -> Vec<Closed> {
        let live = std::mem::take(&mut self.live).into_values();
        live.chain(std::mem::take(&mut self.backfill).into_values())
            .filter_map(Open::close)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRTY: Duration = Duration::from_secs(30);

    fn add(
        windows: &mut PersistWindows,
        second: i64,
        usage: f64,
        backfill: bool,
    ) -> Vec<(i64, Option<f64>, usize)> {
        let mut sample = Sample {
            timestamp: UnixMillis::from_seconds(second),
            ..Default::default()
        };
        sample.cpu.usage_percent = Some(usage);
        let id = SampleId {
            epoch: 1,
            seq: second.unsigned_abs() + 1,
        };
        summary(windows.add(id, sample, THIRTY, backfill))
    }

    fn summary(closed: Vec<Closed>) -> Vec<(i64, Option<f64>, usize)> {
        closed
            .into_iter()
            .map(|closed| {
                (
                    closed.sample.timestamp.seconds(),
                    closed.sample.cpu.usage_percent,
                    closed.ids.len(),
                )
            })
            .collect()
    }

    #[test]
    fn an_interval_is_the_mean_of_its_samples_and_covers_them_all() {
        let mut windows = PersistWindows::default();
        for (second, usage) in [(0, 10.0), (5, 20.0), (25, 60.0)] {
            assert_eq!(add(&mut windows, second, usage, false), []);
        }
        assert_eq!(add(&mut windows, 30, 1.0, false), [(25, Some(30.0), 3)]);
    }

    #[test]
    fn a_sample_that_is_sent_again_counts_once() {
        let mut windows = PersistWindows::default();
        add(&mut windows, 0, 10.0, false);
        add(&mut windows, 0, 10.0, true);
        add(&mut windows, 5, 30.0, true);
        assert_eq!(add(&mut windows, 31, 1.0, false), [(0, Some(10.0), 1)]);
    }

    #[test]
    fn backfill_does_not_close_live_intervals() {
        let mut windows = PersistWindows::default();
        add(&mut windows, 300, 50.0, false);
        add(&mut windows, 0, 10.0, true);
        assert_eq!(add(&mut windows, 30, 20.0, true), [(0, Some(10.0), 1)]);
        assert_eq!(add(&mut windows, 305, 70.0, false), []);
    }

    #[test]
    fn time_and_the_end_close_what_no_sample_does() {
        let mut windows = PersistWindows::default();
        add(&mut windows, 0, 10.0, false);
        assert_eq!(
            summary(windows.close_overdue(UnixMillis::from_seconds(44), THIRTY)),
            []
        );
        assert_eq!(
            summary(windows.close_overdue(UnixMillis::from_seconds(46), THIRTY)),
            [(0, Some(10.0), 1)]
        );
        add(&mut windows, 60, 20.0, true);
        assert_eq!(summary(windows.close_all()), [(60, Some(20.0), 1)]);
    }
}
