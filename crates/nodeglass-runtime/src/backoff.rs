//! How long to wait before trying again: longer each time, and never in step with others.

use std::time::Duration;

/// Delays that double from the first to the most, each drawn anew between half the step and the whole of it, so that
/// a thousand agents that lost their server together don't come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    step: Duration,
}

impl Backoff {
    /// Starts at `first` and never waits longer than `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        let first = first.min(most);
        Self {
            first,
            most,
            step: first,
        }
    }

    /// The next delay: between half the current step and the whole of it. The step then doubles.
    pub fn next_delay(&mut self) -> Duration {
        let step = self.step;
        self.step = step.saturating_mul(2).min(self.most);
        let half = step / 2;
        half + jitter(step.saturating_sub(half))
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.step = self.first;
    }
}

/// A random share of a span, from none to all of it, so that those who wait for the same don't all wait as long.
pub fn jitter(span: Duration) -> Duration {
    // Without randomness all wait half of it: worse for the server, but nobody waits too long or not at all.
    let share = getrandom::u64().unwrap_or(u64::MAX / 2);
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(((u128::from(nanos) * u128::from(share)) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn delays_stay_between_half_the_step_and_the_step(
            first in 1_u64..10_000_000_000, factor in 1_u64..1_000_000, rounds in 1_usize..80
        ) {
            let first = Duration::from_nanos(first);
            let most = first.saturating_mul(factor as u32);
            let mut backoff = Backoff::new(first, most);
            let mut step = first;
            for _ in 0..rounds {
                let delay = backoff.next_delay();
                prop_assert!(delay >= step / 2 && delay <= step, "{delay:?} of {step:?}");
                step = step.saturating_mul(2).min(most);
            }
            backoff.reset();
            prop_assert!(backoff.next_delay() <= first);
        }
    }

    #[test]
    fn delays_grow_and_differ() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 60 * second);
        let delays: Vec<_> = (0..8).map(|_| backoff.next_delay()).collect();
        assert!(delays[7] >= 30 * second && delays[0] <= second, "{delays:?}");
        let firsts: HashSet<_> = (0..16)
            .map(|_| Backoff::new(second, second).next_delay())
            .collect();
        assert!(firsts.len() > 8, "{firsts:?}");
    }

    #[test]
    fn the_first_is_never_longer_than_the_most() {
        let mut backoff = Backoff::new(Duration::from_secs(9), Duration::from_secs(1));
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }
}
