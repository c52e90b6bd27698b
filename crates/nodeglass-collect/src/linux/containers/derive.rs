//! Two moments of a container made into its figures. Pure.

use std::time::{Duration, Instant};

use nodeglass_model::rates::{growth, per_second, percent};
use nodeglass_model::sample::ContainerMetrics;

use super::network::Traffic;
use super::reading::{IoCounters, Limits, Reading};

/// What was read of a container at one time.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    pub(super) at: Instant,
    pub(super) reading: Reading,
    /// On all devices; `None` where nothing counts.
    pub(super) io: Option<IoCounters>,
    /// `None` without a network of its own.
    pub(super) traffic: Option<Traffic>,
}

/// The figures of a container, without its keys. Without a moment before there are no rates.
pub(super) fn derive_container(
    before: Option<&Counters>,
    after: &Counters,
    limits: &Limits,
) -> ContainerMetrics {
    let used = after.reading.memory_in_use();
    let mut metrics = ContainerMetrics {
        cpu_limit_cores: limits.cores(),
        memory_bytes: used,
        memory_limit_bytes: limits.memory_bytes,
        memory_usage_percent: used
            .zip(limits.memory_bytes)
            // What was charged above the limit, while it was lowered, is over it for a moment.
            .and_then(|(used, limit)| percent(used.min(limit), limit)),
        pids: after.reading.pids,
        pids_limit: limits.pids,
        oom_kills: after.reading.oom_kills,
        ..ContainerMetrics::default()
    };
    if let Some(before) = before {
        derive_rates(before, after, &mut metrics);
    }
    metrics
}

fn derive_rates(before: &Counters, after: &Counters, metrics: &mut ContainerMetrics) {
    let elapsed = after.at.saturating_duration_since(before.at);
    let grown = |of: fn(&Reading) -> Option<u64>| growth(of(&before.reading)?, of(&after.reading)?);
    metrics.cpu_percent = grown(|reading| reading.cpu_us).and_then(|spent| share_of_core(spent, elapsed));
    metrics.cpu_throttled_percent = grown(|reading| reading.throttled_periods)
        .zip(grown(|reading| reading.periods))
        .and_then(|(throttled, periods)| percent(throttled.min(periods), periods));
    if let (Some(before), Some(after)) = (before.io, after.io) {
        metrics.read_bytes_per_sec = per_second(before.read_bytes, after.read_bytes, elapsed);
        metrics.write_bytes_per_sec = per_second(before.written_bytes, after.written_bytes, elapsed);
        metrics.read_ops_per_sec = per_second(before.reads, after.reads, elapsed);
        metrics.write_ops_per_sec = per_second(before.writes, after.writes, elapsed);
    }
    if let (Some(before), Some(after)) = (&before.traffic, &after.traffic)
        && before.namespace == after.namespace
    {
        metrics.bytes_recv_per_sec = per_second(before.received, after.received, elapsed);
        metrics.bytes_sent_per_sec = per_second(before.sent, after.sent, elapsed);
    }
}

/// Processor time in percent of one core; more than 100 on several. `None` if no time has passed.
fn share_of_core(spent_us: u64, elapsed: Duration) -> Option<f64> {
    let elapsed_us = elapsed.as_secs_f64() * 1e6;
    (elapsed_us > 0.0).then(|| spent_us as f64 / elapsed_us * 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(at: Instant, value: u64) -> Counters {
        Counters {
            at,
            reading: Reading {
                cpu_us: Some(value),
                periods: Some(value),
                throttled_periods: Some(value / 4),
                ..Reading::default()
            },
            io: Some(IoCounters {
                read_bytes: value,
                ..IoCounters::default()
            }),
            traffic: Some(Traffic {
                namespace: "net:[2]".into(),
                received: value,
                sent: value,
            }),
        }
    }

    #[test]
    fn rates_of_two_moments() {
        let start = Instant::now();
        let (before, after) = (
            moment(start, 0),
            moment(start + Duration::from_secs(2), 5_000_000),
        );
        let metrics = derive_container(Some(&before), &after, &Limits::default());
        assert_eq!(metrics.cpu_percent, Some(250.0), "5 s of processor time in 2 s");
        assert_eq!(metrics.cpu_throttled_percent, Some(25.0));
        assert_eq!(metrics.read_bytes_per_sec, Some(2_500_000));
        assert_eq!(metrics.bytes_recv_per_sec, Some(2_500_000));
        assert_eq!(metrics.memory_bytes, None, "nothing counts it");
    }

    #[test]
    fn without_periods_nothing_was_held_back_and_nothing_was_not() {
        let start = Instant::now();
        let (before, after) = (moment(start, 8), moment(start + Duration::from_secs(1), 8));
        let metrics = derive_container(Some(&before), &after, &Limits::default());
        assert_eq!(metrics.cpu_percent, Some(0.0));
        assert_eq!(metrics.cpu_throttled_percent, None);
    }

    #[test]
    fn another_network_is_no_continuation() {
        let start = Instant::now();
        let before = moment(start, 1);
        let mut after = moment(start + Duration::from_secs(1), 9);
        after.traffic.as_mut().unwrap().namespace = "net:[3]".into();
        let metrics = derive_container(Some(&before), &after, &Limits::default());
        assert_eq!(metrics.bytes_recv_per_sec, None);
        assert_eq!(metrics.read_bytes_per_sec, Some(8));
    }

    proptest! {
        #[test]
        fn counters_that_went_back_give_nothing(before: u32, after: u32, ms in 0u64..10_000) {
            let start = Instant::now();
            let later = start + Duration::from_millis(ms);
            let (first, second) = (moment(start, before.into()), moment(later, after.into()));
            let metrics = derive_container(Some(&first), &second, &Limits::default());
            let is_rate = after >= before && ms > 0;
            prop_assert_eq!(metrics.cpu_percent.is_some(), is_rate);
            prop_assert_eq!(metrics.read_bytes_per_sec.is_some(), is_rate);
            prop_assert_eq!(metrics.bytes_sent_per_sec.is_some(), is_rate);
            let in_range = metrics.cpu_throttled_percent.is_none_or(|share| (0.0..=100.0).contains(&share));
            prop_assert!(in_range);
        }
    }
}
