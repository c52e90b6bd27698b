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

/// How often something happened per second, kept to 0.01: for what may happen once in a minute. `None` after a reset,
/// or if no time has passed.
pub fn events_per_second(before: u64, after: u64, elapsed: Duration) -> Option<f64> {
    let seconds = elapsed.as_secs_f64();
    let grown = growth(before, after)?;
    (seconds > 0.0).then(|| to_step(grown as f64 / seconds, 100))
}

/// What each of the events of an interval cost on average, kept to 0.01: two counters, what they cost together and how
/// many they were. `None` after a reset of either, and if there were none.
pub fn mean_cost(cost: (u64, u64), count: (u64, u64)) -> Option<f64> {
    let cost = growth(cost.0, cost.1)?;
    let count = growth(count.0, count.1)?;
    (count > 0).then(|| to_step(cost as f64 / count as f64, 100))
}

/// How many things were under way on average, kept to 0.01: a counter of milliseconds that grows by one for each
/// thing and millisecond. `None` after a reset, or if no time has passed.
pub fn mean_under_way(before_ms: u64, after_ms: u64, elapsed: Duration) -> Option<f64> {
    let elapsed_ms = elapsed.as_secs_f64() * 1000.0;
    let grown = growth(before_ms, after_ms)?;
    (elapsed_ms > 0.0).then(|| to_step(grown as f64 / elapsed_ms, 100))
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

/// As [`busy_percent`], of a counter of microseconds.
pub fn busy_micros_percent(before_us: u64, after_us: u64, elapsed: Duration) -> Option<f64> {
    let busy_us = growth(before_us, after_us)? as f64;
    let elapsed_us = elapsed.as_secs_f64() * 1e6;
    (elapsed_us > 0.0).then(|| to_step((busy_us / elapsed_us * 100.0).min(100.0), 100))
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

    #[test]
    fn rare_events_keep_their_fraction() {
        assert_eq!(events_per_second(7, 8, Duration::from_mins(1)), Some(0.02));
        assert_eq!(events_per_second(8, 7, Duration::from_secs(1)), None);
        assert_eq!(busy_micros_percent(0, 1_234, Duration::from_secs(1)), Some(0.12));
    }

    #[test]
    fn means_need_something_to_share_by() {
        assert_eq!(mean_cost((1_000, 1_090), (10, 40)), Some(3.0), "90 / 30");
        assert_eq!(mean_cost((1_000, 1_090), (10, 10)), None, "nothing happened");
        assert_eq!(mean_cost((1_000, 90), (10, 40)), None, "a reset");
        assert_eq!(mean_under_way(0, 2_500, Duration::from_secs(1)), Some(2.5));
        assert_eq!(
            mean_under_way(4_294_967_000, 200, Duration::from_secs(1)),
            None,
            "wrapped"
        );
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
            let rates = [
                events_per_second(before, after, elapsed),
                mean_under_way(before, after, elapsed),
                busy_micros_percent(before, after, elapsed),
            ];
            for rate in rates {
                prop_assert_eq!(rate.is_some(), after >= before && ms > 0);
                prop_assert!(rate.is_none_or(|rate| rate.is_finite() && rate >= 0.0));
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
