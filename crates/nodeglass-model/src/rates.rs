//! Rates and shares out of two raw readings. Pure; a first reading or a counter that went back gives `None`, never a
//! spike and never a zero.

use std::time::Duration;

/// How much a counter grew, or `None` if it went back: it was reset, or its device was replaced.
pub fn growth(before: u64, after: u64) -> Option<u64> {
    after.checked_sub(before)
}

/// How much a counter grew per second, as a whole number. `None` after a reset, or if no time has passed.
pub fn per_second(before: u64, after: u64, elapsed: Duration) -> Option<u64> {
    let seconds = elapsed.as_secs_f64();
    let grown = growth(before, after)?;
    (seconds > 0.0).then(|| (grown as f64 / seconds).round() as u64)
}

/// `part` of `whole` in percent, rounded to 0.01. `None` if `whole` is nothing.
pub fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| to_step(part as f64 / whole as f64 * 100.0, 100))
}

/// The share of `elapsed` that a counter of busy milliseconds grew by, in percent, at most 100. `None` after a reset.
pub fn busy_percent(before_ms: u64, after_ms: u64, elapsed: Duration) -> Option<f64> {
    let busy_ms = growth(before_ms, after_ms)? as f64;
    let elapsed_ms = elapsed.as_secs_f64() * 1000.0;
    (elapsed_ms > 0.0).then(|| to_step((busy_ms / elapsed_ms * 100.0).min(100.0), 100))
}

/// Rounds to the nearest of `steps_per_unit` steps: `to_step(1.2345, 100)` is 1.23.
pub fn to_step(value: f64, steps_per_unit: u32) -> f64 {
    let steps = f64::from(steps_per_unit);
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reset_is_absent_rather_than_a_spike() {
        assert_eq!(per_second(1_000, 10, Duration::from_secs(1)), None);
        assert_eq!(busy_percent(1_000, 10, Duration::from_secs(1)), None);
    }

    #[test]
    fn no_time_gives_no_rate() {
        assert_eq!(per_second(1, 2, Duration::ZERO), None);
        assert_eq!(percent(0, 0), None);
    }

    #[test]
    fn rates_are_per_second_of_real_time() {
        assert_eq!(per_second(100, 1_100, Duration::from_millis(500)), Some(2_000));
        assert_eq!(busy_percent(0, 250, Duration::from_secs(1)), Some(25.0));
        assert_eq!(busy_percent(0, 1_010, Duration::from_secs(1)), Some(100.0));
        assert_eq!(percent(1, 3), Some(33.33));
    }

    proptest! {
        #[test]
        fn rates_are_never_negative_or_infinite(before: u64, after: u64, ms in 0u64..100_000_000) {
            let elapsed = Duration::from_millis(ms);
            let rate = per_second(before, after, elapsed);
            prop_assert_eq!(rate.is_some(), after >= before && ms > 0);
            if let Some(busy) = busy_percent(before, after, elapsed) {
                prop_assert!((0.0..=100.0).contains(&busy));
            }
        }

        #[test]
        fn rounding_twice_is_rounding_once(value in -1e9f64..1e9) {
            let once = to_step(value, 100);
            prop_assert_eq!(to_step(once, 100), once);
            prop_assert!((once - value).abs() <= 0.005_001);
        }
    }
}
