//! Letting sessions begin at a bounded pace, so that a fleet that lost its server together does not come back together.
//!
//! Who comes too soon is told when to come back: each a moment of its own, evenly spread behind those told before.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nodeglass_proto::pushback::LONGEST;
use nodeglass_runtime::backoff::jitter;
use tokio::time::Instant;

/// Sessions that may begin in a second: 10,000 agents are back within 20 s.
const PER_SECOND: u32 = 500;
/// Sessions that may begin at once after a rest. Agents that were spread by chance are not turned away.
const AT_ONCE: u32 = 1_000;
/// How soon somebody may come back at the earliest.
const SOON: Duration = Duration::from_millis(500);
/// By how much nobody knows beforehand when somebody comes back.
const JITTER: Duration = Duration::from_secs(1);

/// The pace.
#[derive(Debug)]
pub(super) struct Admission(Mutex<Turns>);

#[derive(Debug)]
struct Turns {
    /// When the next session's turn would be, had all come in time.
    due: Instant,
    /// When the next one that is turned away is to come back.
    booked: Instant,
}

impl Admission {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let turns = Turns {
            due: rested(now),
            booked: now,
        };
        Self(Mutex::new(turns))
    }

    /// Lets a session begin.
    ///
    /// # Errors
    /// It comes too soon, and is to come back after the time given.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.due = turns.due.max(rested(now));
        if turns.due <= now {
            turns.due += gap();
            return Ok(());
        }
        drop(turns);
        Err(self.later())
    }

    /// When somebody who is sent away now is to come back.
    pub(super) fn later(&self) -> Duration {
        let now = Instant::now();
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.booked = turns.booked.clamp(now + SOON, now + LONGEST) + gap();
        turns.booked - now + jitter(JITTER)
    }
}

/// The time between two turns.
fn gap() -> Duration {
    Duration::from_secs(1) / PER_SECOND
}

/// When the first turn was due of those that may be taken at once now.
fn rested(now: Instant) -> Instant {
    now.checked_sub(gap() * (AT_ONCE - 1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fleet_that_comes_at_once_is_spread_and_all_of_it_is_in_soon() {
        // The clock may not be old enough for a rest.
        tokio::time::advance(Duration::from_secs(10)).await;
        let (began, admission) = (Instant::now(), Admission::new());
        let mut coming: BinaryHeap<Reverse<Instant>> = (0..10_000).map(|_| Reverse(began)).collect();
        let (mut in_second, mut tries) = (vec![0_u32; 120], 0);
        while let Some(Reverse(at)) = coming.pop() {
            tokio::time::advance(at - Instant::now()).await;
            tries += 1;
            match admission.admit() {
                Ok(()) => in_second[(at - began).as_secs() as usize] += 1,
                Err(delay) => coming.push(Reverse(at + delay)),
            }
        }
        assert_eq!(in_second.iter().sum::<u32>(), 10_000);
        assert!(in_second[0] >= AT_ONCE, "{in_second:?}");
        let most = PER_SECOND + PER_SECOND / 10;
        assert!(in_second[1..].iter().all(|count| *count <= most), "{in_second:?}");
        assert_eq!(in_second[30..].iter().sum::<u32>(), 0, "{in_second:?}");
        assert!(
            tries < 20_000,
            "{tries} tries: who comes back when it was told is mostly let in"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_in_time_is_let_in() {
        let admission = Admission::new();
        for _ in 0..2_000 {
            assert_eq!(admission.admit(), Ok(()));
            tokio::time::advance(gap()).await;
        }
    }
}
