//! When what failed is tried again: soon at first, then ever more rarely.

use std::time::{Duration, Instant};

/// A driver that is being updated or reset is often back by then.
const FIRST: Duration = Duration::from_secs(5);

/// A GPU that is lost for good costs one attempt in this time.
const LONGEST: Duration = Duration::from_mins(5);

/// The time of the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    delay: Duration,
    at: Instant,
}

impl Retry {
    /// After a failure `now`: twice the delay of the failure before it, if there was one.
    pub(super) fn after(previous: Option<Self>, now: Instant) -> Self {
        let delay = previous.map_or(FIRST, |retry| (retry.delay * 2).min(LONGEST));
        Self {
            delay,
            at: now + delay,
        }
    }

    /// After `delay`, whatever was before.
    pub(super) fn once_in(delay: Duration, now: Instant) -> Self {
        Self {
            delay,
            at: now + delay,
        }
    }

    pub(super) fn is_due(self, now: Instant) -> bool {
        now >= self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_five_minutes() {
        let start = Instant::now();
        let (mut retry, mut now, mut delays) = (None, start, Vec::new());
        for _ in 0..9 {
            let next = Retry::after(retry, now);
            assert!(!next.is_due(next.at.checked_sub(Duration::from_millis(1)).unwrap()));
            assert!(next.is_due(next.at));
            delays.push((next.at - now).as_secs());
            (retry, now) = (Some(next), next.at);
        }
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }
}
