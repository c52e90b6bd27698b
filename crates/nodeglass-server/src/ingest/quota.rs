//! What one agent may ask of the server: sessions, messages and samples at a pace, and so many devices in a day. It belongs
//! to the agent and not to its session, so that whoever begins anew has no more of it.
//!
//! Who sends too fast is not read until its turn comes, which its connection passes on to it; nothing is lost. Samples with
//! more new devices than a day may have are refused.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use nodeglass_model::Sample;
use nodeglass_model::catalogue::{self, Dimension};
use tokio::time::Instant;

/// Sessions that an agent may open: one that flaps is back within seconds, one that does nothing else is slowed.
const SESSIONS: Pace = Pace::new(2, 30);
/// Messages: a live sample and a heartbeat now and then, or a backlog as fast as it is acknowledged, which is some tens.
const MESSAGES: Pace = Pace::new(100, 500);
/// Samples: the burst is two days of one each second, sent at once; beyond it a backlog of a month is here within hours.
const SAMPLES: Pace = Pace::new(100, 200_000);
/// Kilobytes, unpacked: what a message costs grows with them. Two days of a sample each second are some megabytes, packed.
const KILOBYTES: Pace = Pace::new(256, 8 << 10);
/// The longest that a session is not read at a time, well below the silence after which it is taken for dead.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Devices by their labels that an agent may have in a day, processes left aside: each becomes series of hourly figures, which
/// are kept for months. A host that starts a container every two seconds has fewer.
const DEVICES: usize = 50_000;
const DAY: Duration = Duration::from_hours(24);
/// Devices that may be described before they are told apart: so hosts that never change cost no memory for it.
const FEW: usize = 5_000;

/// A pace: so many in a second, and so many at once after a rest.
#[derive(Debug, Clone, Copy)]
struct Pace {
    gap: Duration,
    rest: Duration,
    /// When the next would be due, had all come in time.
    due: Option<Instant>,
}

impl Pace {
    const fn new(per_second: u32, at_once: u32) -> Self {
        let gap = Duration::from_nanos(1_000_000_000 / per_second as u64);
        Self {
            gap,
            rest: Duration::from_nanos(gap.as_nanos() as u64 * at_once as u64),
            due: None,
        }
    }

    /// Counts some, and gives how long to wait before more are taken.
    fn take(&mut self, count: u32, now: Instant) -> Duration {
        let rested = now.checked_sub(self.rest);
        let due = match (self.due, rested) {
            (Some(due), Some(rested)) => due.max(rested),
            (Some(due), None) => due,
            (None, Some(rested)) => rested,
            // The clock is younger than a rest.
            (None, None) => now,
        };
        let due = due + self.gap * count;
        self.due = Some(due);
        due.saturating_duration_since(now)
    }
}

/// What is left of an agent's share.
#[derive(Debug)]
pub(crate) struct Quota {
    sessions: Pace,
    messages: Pace,
    samples: Pace,
    kilobytes: Pace,
    devices: Devices,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            sessions: SESSIONS,
            messages: MESSAGES,
            samples: SAMPLES,
            kilobytes: KILOBYTES,
            devices: Devices::default(),
        }
    }
}

impl Quota {
    /// Lets a session begin.
    ///
    /// # Errors
    /// It comes too soon, and is to come back after the time given.
    pub(super) fn begin(&mut self) -> Result<(), Duration> {
        match self.sessions.take(1, Instant::now()) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    /// Counts a message of so many samples and bytes, and gives when the next is read; `None` at once.
    pub(super) fn message(&mut self, samples: usize, bytes: usize) -> Option<Instant> {
        let now = Instant::now();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let samples = self.samples.take(count(samples), now);
        let kilobytes = self.kilobytes.take(count(bytes.div_ceil(1024)), now);
        let wait = self
            .messages
            .take(1, now)
            .max(samples)
            .max(kilobytes)
            .min(LONGEST_WAIT);
        (!wait.is_zero()).then(|| now + wait)
    }

    /// Whether a sample may have its devices, of which so many are described in it.
    pub(super) fn has_room(&mut self, described: usize, sample: &Sample) -> bool {
        self.devices.have_room(described, sample, Instant::now())
    }
}

/// The devices of a day.
#[derive(Debug, Default)]
struct Devices {
    since: Option<Instant>,
    described: usize,
    /// Their labels, hashed; `None` while there are few.
    known: Option<Box<(RandomState, HashSet<u64>)>>,
}

impl Devices {
    fn have_room(&mut self, described: usize, sample: &Sample, now: Instant) -> bool {
        if self
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= DAY)
        {
            *self = Self {
                since: Some(now),
                ..Self::default()
            };
        }
        self.described = self.described.saturating_add(described);
        if self.described <= FEW {
            return true;
        }
        let (hasher, known) = &mut **self.known.get_or_insert_default();
        let labels = catalogue::devices(sample).filter(|device| device.dimension != Dimension::Process);
        let named = labels.map(|device| hasher.hash_one((device.dimension as u8, &*device.label)));
        let new: HashSet<u64> = named.filter(|hash| !known.contains(hash)).collect();
        let has_room = known.len() + new.len() <= DEVICES;
        if has_room {
            known.extend(new);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::sample::UnitMetrics;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_sends_too_fast_waits_and_who_does_not_never_does() {
        tokio::time::advance(DAY).await;
        let mut quota = Quota::default();
        let at_once = std::iter::repeat_with(|| quota.message(1, 100))
            .take_while(Option::is_none)
            .count();
        assert_eq!(at_once, 500);
        // A second's worth is let go in a second.
        tokio::time::advance(Duration::from_millis(1_010)).await;
        let again = std::iter::repeat_with(|| quota.message(1, 100))
            .take_while(Option::is_none)
            .count();
        assert!((99..=101).contains(&again), "{again}");

        let mut quota = Quota::default();
        for _ in 0..10_000 {
            assert_eq!(quota.message(1, 100), None);
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        // Two days' backlog in full batches, as fast as acknowledgements come.
        for _ in 0..360 {
            assert_eq!(quota.message(500, 30_000), None);
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        let wait = (0..100)
            .filter_map(|_| quota.message(500, 30_000))
            .last()
            .expect("it was too much");
        assert!(wait <= Instant::now() + LONGEST_WAIT, "nobody is taken for dead");
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_begin_at_a_pace_of_their_own() {
        tokio::time::advance(DAY).await;
        let mut quota = Quota::default();
        let begun = (0..1000).filter(|_| quota.begin().is_ok()).count();
        assert_eq!(begun, 30);
    }

    fn units(from: usize, count: usize) -> Sample {
        let unit = |number| UnitMetrics {
            unit: format!("{number}.service"),
            failed: Some(1),
        };
        Sample {
            units: (from..from + count).map(unit).collect(),
            ..Sample::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn devices_that_come_and_go_without_end_are_refused_and_known_ones_are_not() {
        let mut devices = Devices::default();
        let mut taken = 0;
        for round in 0..100 {
            let sample = units(round * 1000, 1000);
            taken += usize::from(devices.have_room(1000, &sample, Instant::now()));
        }
        assert!(
            (50..=56).contains(&taken),
            "{taken} of 100 with a thousand new devices each"
        );
        let known = units(20_000, 1000);
        assert!(devices.have_room(1000, &known, Instant::now()));
        tokio::time::advance(DAY).await;
        assert!(
            devices.have_room(1000, &units(99_000, 1000), Instant::now()),
            "a day later"
        );

        // The same thousand, described again and again, as each batch of a backlog does.
        let mut steady = Devices::default();
        let all = (0..500).filter(|_| steady.have_room(1000, &known, Instant::now()));
        assert_eq!(all.count(), 500);
    }
}
