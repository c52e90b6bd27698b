//! Which tier answers a query: samples, or the figures of whole hours.
//!
//! Samples are exact and are what most queries get. Hours take their place where buckets are whole hours anyway, where so
//! much time is asked for that samples would take long to read, and where samples are not kept any more.

use std::time::Duration;

use nodeglass_model::TimeRange;
use nodeglass_model::catalogue::{Dimension, Kind, OverDevices};
use nodeglass_model::history::{Aggregation, HistoryQuery};
use nodeglass_model::selector::{DeviceChoice, Selector};

use super::Resolution;
use crate::error::ApiError;
use crate::retention::Since;

/// What hourly figures are of.
pub(super) const HOUR: Duration = Duration::from_hours(1);
/// The longest span that is answered from samples unless it is asked for: 240,000 of them at five seconds.
const LONG: Duration = Duration::from_hours(14 * 24);
/// From this on, one figure for a whole span may be of whole hours: their ends are a hundredth of it.
const LONG_FOR_ONE: Duration = Duration::from_hours(4 * 24);
/// Samples go a little later than they might.
const SLACK: Duration = Duration::from_hours(1);

/// How a query is answered.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The query, with buckets as wide as the tier needs.
    pub(super) query: HistoryQuery,
    /// The tier.
    pub(super) resolution: Resolution,
}

/// How well hours tell what samples would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Not at all.
    Not,
    /// But for devices that were there for a part of an hour.
    Nearly,
    /// Exactly.
    Exactly,
}

/// Chooses the tier for a query, by since when each is kept.
///
/// # Errors
/// A figure was asked for by name that only samples tell, of a time whose samples are not kept any more.
pub(super) fn plan(query: HistoryQuery, since: Since) -> Result<Plan, ApiError> {
    let is_old = query.range.start.plus(SLACK) < since.samples;
    let fits = query
        .selectors
        .iter()
        .map(|selector| fit(selector, query.aggregation));
    let fit = fits.min().unwrap_or(Fit::Not);
    if is_old && fit == Fit::Not && query.aggregation != Aggregation::Usual {
        let selector = query
            .selectors
            .iter()
            .find(|selector| self::fit(selector, query.aggregation) == Fit::Not);
        let of = selector
            .map(|selector| format!(" of {selector}"))
            .unwrap_or_default();
        return Err(ApiError::NeedsSamples {
            what: format!("{}{of}", query.aggregation),
            since: since.samples,
        });
    }
    let is_one = query.is_one_bucket();
    let length = query.range.length();
    let is_long = (!query.is_exact && length > LONG) || (is_one && length >= LONG_FOR_ONE);
    let hours = query.clone().no_finer_than(HOUR);
    let is_whole = |query: &HistoryQuery| query.interval.as_secs().is_multiple_of(HOUR.as_secs());
    // An agent's hours may be kept for less than its samples.
    let has_hours = since.hours <= query.range.start.max(since.samples);
    let takes_hours = match fit {
        _ if !has_hours => false,
        Fit::Not => false,
        Fit::Nearly => is_old || is_long,
        Fit::Exactly => is_old || is_long || (!is_one && is_whole(&query)),
    };
    Ok(if takes_hours && (is_one || is_whole(&hours)) {
        Plan {
            query: hours,
            resolution: Resolution::Hour,
        }
    } else {
        Plan {
            query,
            resolution: Resolution::Raw,
        }
    })
}

fn fit(selector: &Selector, aggregation: Aggregation) -> Fit {
    let metric = selector.metric();
    // Processes come and go: hours leave them out.
    if metric.dimension() == Dimension::Process || !aggregation.is_in_partials(metric.kind) {
        return Fit::Not;
    }
    if metric.dimension() == Dimension::Host || *selector.device() != DeviceChoice::Total {
        return Fit::Exactly;
    }
    let is_told = match aggregation {
        Aggregation::Usual | Aggregation::Avg | Aggregation::Last => {
            metric.kind != Kind::Counter || metric.over_devices == OverDevices::Sum
        }
        Aggregation::Sum => metric.over_devices == OverDevices::Sum,
        Aggregation::Max => metric.over_devices == OverDevices::Max,
        Aggregation::Min | Aggregation::P95 => false,
    };
    if is_told { Fit::Nearly } else { Fit::Not }
}

/// The hours that a range touches.
pub(super) fn whole_hours(range: TimeRange) -> TimeRange {
    let end = range.end.floor(HOUR);
    TimeRange {
        start: range.start.floor(HOUR),
        end: if end < range.end { end.plus(HOUR) } else { end },
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::UnixMillis;

    use super::*;

    const DAY: i64 = 86_400;
    const NOW: i64 = 20_000 * DAY + 1_234;

    /// Asks for the last `days`, where samples are kept for 30 days and hours for 500: the tier, and a bucket's width.
    fn ask(
        metric: &str,
        days: i64,
        interval: Option<u64>,
        points: u32,
        agg: &str,
    ) -> Result<(Resolution, u64), ApiError> {
        ask_of((30, 500), metric, days, interval, points, agg)
    }

    fn ask_of(
        (samples, hours): (u32, u32),
        metric: &str,
        days: i64,
        interval: Option<u64>,
        points: u32,
        agg: &str,
    ) -> Result<(Resolution, u64), ApiError> {
        let now = UnixMillis::from_seconds(NOW);
        let range = TimeRange {
            start: UnixMillis::from_seconds(NOW - days * DAY),
            end: now,
        };
        let query = HistoryQuery::new(&[metric], range, interval, Some(points))
            .unwrap()
            .with_aggregation(agg.parse().unwrap_or_default());
        let ago = |days: u32| now.minus(Duration::from_hours(24) * days);
        let since = Since {
            samples: ago(samples),
            hours: ago(hours).floor(HOUR),
        };
        plan(query, since).map(|plan| (plan.resolution, plan.query.interval.as_secs()))
    }

    #[test]
    fn samples_answer_what_is_recent_and_hours_what_is_long_or_old() {
        use Resolution::{Hour, Raw};
        for (metric, days, interval, points, agg, expected) in [
            ("cpu.usage_percent", 1, None, 1_000, "", (Raw, 120)),
            ("cpu.usage_percent", 7, None, 10_000, "", (Raw, 120)),
            ("cpu.usage_percent", 7, Some(3_600), 10_000, "", (Hour, 3_600)),
            ("cpu.usage_percent", 7, Some(5_400), 10_000, "", (Raw, 5_400)),
            ("cpu.usage_percent", 28, None, 10_000, "", (Hour, 3_600)),
            ("cpu.usage_percent", 28, None, 1_000, "max", (Hour, 3_600)),
            ("cpu.usage_percent", 28, None, 10_000, "p95", (Raw, 300)),
            ("cpu.usage_percent", 28, Some(60), 10_000, "", (Raw, 60)),
            ("cpu.usage_percent", 400, None, 10_000, "", (Hour, 3_600)),
            ("cpu.usage_percent", 400, None, 100, "", (Hour, 5 * DAY as u64)),
            // Totals over devices are exact from samples, so hours wait until they are needed.
            (
                "network.bytes_sent_per_sec",
                7,
                Some(3_600),
                10_000,
                "",
                (Raw, 3_600),
            ),
            ("network.bytes_sent_per_sec", 28, None, 10_000, "", (Hour, 3_600)),
            (
                "network.bytes_sent_per_sec@eth0",
                7,
                Some(3_600),
                10_000,
                "",
                (Hour, 3_600),
            ),
            ("network.errors_in", 60, None, 10_000, "", (Hour, 3_600)),
            ("disk.usage_percent", 60, None, 10_000, "max", (Hour, 3_600)),
            // The last of a level is no figure of an hour, nor is anything of processes.
            ("cpu.usage_percent", 7, Some(3_600), 10_000, "last", (Raw, 3_600)),
            ("process.cpu_percent@*", 60, None, 10_000, "", (Raw, 600)),
        ] {
            let found = ask(metric, days, interval, points, agg).unwrap();
            assert_eq!(found, expected, "{metric} {days} {interval:?} {points} {agg}");
        }
    }

    #[test]
    fn what_only_samples_tell_is_refused_where_there_are_none() {
        for (metric, agg) in [
            ("cpu.usage_percent", "p95"),
            ("cpu.usage_percent", "last"),
            ("network.bytes_sent_per_sec", "min"),
        ] {
            let error = ask(metric, 31, None, 1_000, agg).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("{agg} of {metric}")),
                "{error}"
            );
            assert!(ask(metric, 30, None, 1_000, agg).is_ok());
        }
    }

    #[test]
    fn what_an_agent_keeps_decides() {
        use Resolution::{Hour, Raw};
        for (kept, days, expected) in [
            // The same three days, where samples are kept for less, and for more.
            ((1, 90), 3, Hour),
            ((7, 90), 3, Raw),
            ((60, 90), 28, Hour),
            // Hours that went before the samples are no answer.
            ((60, 10), 28, Raw),
            ((60, 29), 28, Hour),
            // Nor are they of a time of which nothing is left; but hours reach as far as samples.
            ((7, 7), 90, Hour),
            ((7, 6), 90, Raw),
        ] {
            let found = ask_of(kept, "cpu.usage_percent", days, None, 10_000, "").unwrap();
            assert_eq!(found.0, expected, "{kept:?} {days}");
        }
    }

    #[test]
    fn hours_are_whole() {
        let hours = |start, end| {
            let range = TimeRange {
                start: UnixMillis(start),
                end: UnixMillis(end),
            };
            let whole = whole_hours(range);
            (whole.start.0 / 3_600_000, whole.end.0 / 3_600_000)
        };
        assert_eq!(hours(3_600_000, 7_200_000), (1, 2));
        assert_eq!(hours(3_599_999, 7_200_001), (0, 3));
    }
}
