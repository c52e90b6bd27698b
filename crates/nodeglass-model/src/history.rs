//! Samples into history: aligned buckets with one value for each series.
//!
//! The server uses it over its store and the agent over its buffer, so both answer a query alike.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::catalogue::{Kind, Metric};
use crate::rates::to_step;
use crate::sample::Sample;
use crate::selector::Selector;
use crate::time::{TimeRange, UnixMillis};

/// The most points that any query gets.
pub const MAX_POINTS: u32 = 10_000;
/// The most selectors in one query.
pub const MAX_SELECTORS: usize = 200;
/// The longest span that a query may ask for.
pub const MAX_SPAN: Duration = Duration::from_hours(10 * 366 * 24);
/// The widest bucket that a query may ask for.
pub const MAX_INTERVAL: Duration = Duration::from_hours(366 * 24);

/// Bucket widths that people find natural, in seconds; the narrowest that fits is taken.
const NATURAL_SECONDS: [u64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400,
    172_800, 432_000,
];

/// A history query that has been checked.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// What is asked for.
    pub selectors: Vec<Selector>,
    /// The span of time.
    pub range: TimeRange,
    /// The width of a bucket, whole seconds.
    pub interval: Duration,
    /// Whether that width was asked for, rather than found to fit.
    pub is_exact: bool,
    /// The most points in the answer.
    pub max_points: u32,
}

/// Why a query makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A metric that nobody has.
    #[error(transparent)]
    UnknownMetric(#[from] crate::selector::UnknownMetric),
    /// No metric named.
    #[error("name at least one metric: metrics=cpu.usage_percent,memory.usage_percent")]
    NoMetrics,
    /// Too many named.
    #[error("{0} metrics asked for; at most {MAX_SELECTORS} in one query")]
    TooManyMetrics(usize),
    /// The end is not after the start.
    #[error("the range ends at {end}, not after its start {start}: swap start and end, or widen it")]
    EmptyRange {
        /// The start asked for.
        start: UnixMillis,
        /// The end asked for.
        end: UnixMillis,
    },
    /// More time than we ever keep.
    #[error("the range spans {} days; at most {} days", .0.as_secs() / 86_400, MAX_SPAN.as_secs() / 86_400)]
    RangeTooLong(Duration),
    /// A bucket width that is nothing or absurd.
    #[error("interval must be 1 to {} whole seconds", MAX_INTERVAL.as_secs())]
    Interval,
    /// A number of points that is nothing or too many.
    #[error("max_points must be 1 to {MAX_POINTS}")]
    MaxPoints,
}

impl HistoryQuery {
    /// Checks a query. Without an interval the narrowest natural one is taken that keeps to `max_points`; with one,
    /// an answer that would have more points is cut and says so.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn new(
        metrics: &[impl AsRef<str>],
        range: TimeRange,
        interval_seconds: Option<u64>,
        max_points: Option<u32>,
    ) -> Result<Self, QueryError> {
        let TimeRange { start, end } = range;
        let max_points = max_points.unwrap_or(MAX_POINTS);
        if metrics.is_empty() {
            return Err(QueryError::NoMetrics);
        }
        if metrics.len() > MAX_SELECTORS {
            return Err(QueryError::TooManyMetrics(metrics.len()));
        }
        if end <= start {
            return Err(QueryError::EmptyRange { start, end });
        }
        if range.length() > MAX_SPAN {
            return Err(QueryError::RangeTooLong(range.length()));
        }
        if !(1..=MAX_POINTS).contains(&max_points) {
            return Err(QueryError::MaxPoints);
        }
        let interval = match interval_seconds {
            None => natural_interval(range, max_points),
            Some(seconds) => Duration::from_secs(seconds),
        };
        if interval.is_zero() || interval > MAX_INTERVAL {
            return Err(QueryError::Interval);
        }
        let selectors = metrics
            .iter()
            .map(|text| Selector::parse(text.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            selectors,
            range,
            interval,
            is_exact: interval_seconds.is_some(),
            max_points,
        })
    }
}

/// The narrowest natural bucket width with which `range` touches at most `max_points` buckets.
fn natural_interval(range: TimeRange, max_points: u32) -> Duration {
    let touched = |step: Duration| {
        let first = range.start.floor(step);
        range.end.since(first).as_millis().div_ceil(step.as_millis())
    };
    let fits = |step: &Duration| touched(*step) <= u128::from(max_points);
    NATURAL_SECONDS
        .map(Duration::from_secs)
        .into_iter()
        .find(fits)
        .unwrap_or_else(|| {
            let days = range.length().as_secs().div_ceil(86_400 * u64::from(max_points));
            // One more than the span needs will do, since its ends seldom lie on the grid.
            [days, days + 1]
                .map(|days| Duration::from_secs(days * 86_400))
                .into_iter()
                .find(fits)
                .unwrap_or(MAX_INTERVAL)
        })
}

/// One bucket of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The bucket's start, a multiple of the interval.
    pub timestamp: UnixMillis,
    /// A value for each series that has one in this bucket.
    pub values: BTreeMap<String, f64>,
}

/// An answer: the buckets that have values, oldest first; a gap in the data is a gap here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The buckets.
    pub points: Vec<Point>,
    /// Whether there was more than `max_points` allow.
    pub truncated: bool,
}

/// Whose values an overlay keeps where both answers have a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefer {
    /// Those that are there: the other answer may know only a part of the bucket.
    Own,
    /// Those of the other answer, which knows more.
    Other,
}

impl History {
    /// Takes over the buckets of another answer to the same query.
    pub fn overlay(&mut self, other: Self, prefer: Prefer, max_points: u32) {
        let mut points: BTreeMap<UnixMillis, Point> = std::mem::take(&mut self.points)
            .into_iter()
            .map(|point| (point.timestamp, point))
            .collect();
        for point in other.points {
            match (points.get_mut(&point.timestamp), prefer) {
                (Some(there), Prefer::Other) => there.values.extend(point.values),
                (Some(_), Prefer::Own) => {}
                (None, _) => drop(points.insert(point.timestamp, point)),
            }
        }
        self.truncated |= other.truncated || points.len() > max_points as usize;
        self.points = points.into_values().take(max_points as usize).collect();
    }
}

/// Builds an answer from samples, which may come in any order.
#[derive(Debug)]
pub struct HistoryBuilder<'a> {
    query: &'a HistoryQuery,
    buckets: BTreeMap<UnixMillis, BTreeMap<String, Gathered>>,
    truncated: bool,
}

#[derive(Debug)]
struct Gathered {
    metric: &'static Metric,
    sum: f64,
    count: u32,
    last: f64,
}

impl Gathered {
    fn value(&self) -> f64 {
        match self.metric.kind {
            Kind::Counter => self.last,
            // Two digits more than the values have: a mean is finer than what it is made of.
            Kind::Rate | Kind::Level => {
                to_step(self.sum / f64::from(self.count), self.metric.unit.steps() * 100)
            }
        }
    }
}

impl<'a> HistoryBuilder<'a> {
    /// Starts an answer to `query`.
    pub fn new(query: &'a HistoryQuery) -> Self {
        Self {
            query,
            buckets: BTreeMap::new(),
            truncated: false,
        }
    }

    /// Adds a sample; those outside the range are passed over. `Break` once the answer is full: samples that are later
    /// than this one have no place in it any more, earlier ones still do.
    pub fn add(&mut self, sample: &Sample) -> ControlFlow<()> {
        if !self.query.range.contains(sample.timestamp) {
            return ControlFlow::Continue(());
        }
        let bucket = sample.timestamp.floor(self.query.interval);
        let is_full = self.buckets.len() >= self.query.max_points as usize;
        let is_last = self.buckets.keys().next_back().is_none_or(|last| bucket > *last);
        if is_full && is_last {
            self.truncated = true;
            return ControlFlow::Break(());
        }
        let series = self.buckets.entry(bucket).or_default();
        for selector in &self.query.selectors {
            let metric = selector.metric();
            selector.each(sample, |name, value| {
                let gathered = series.entry(name).or_insert(Gathered {
                    metric,
                    sum: 0.0,
                    count: 0,
                    last: value,
                });
                gathered.sum += value;
                gathered.count += 1;
                gathered.last = value;
            });
        }
        if series.is_empty() {
            self.buckets.remove(&bucket);
        } else if self.buckets.len() > self.query.max_points as usize {
            self.buckets.pop_last();
            self.truncated = true;
        }
        ControlFlow::Continue(())
    }

    /// The answer.
    pub fn finish(self) -> History {
        let points = self.buckets.into_iter().map(|(timestamp, series)| Point {
            timestamp,
            values: series
                .into_iter()
                .map(|(name, gathered)| (name, gathered.value()))
                .collect(),
        });
        History {
            points: points.collect(),
            truncated: self.truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange {
            start: UnixMillis::from_seconds(start),
            end: UnixMillis::from_seconds(end),
        }
    }

    fn sample(at_ms: i64, usage: f64) -> Sample {
        let mut sample = Sample {
            timestamp: UnixMillis(at_ms),
            ..Default::default()
        };
        sample.cpu.usage_percent = Some(usage);
        sample
    }

    fn answer(query: &HistoryQuery, samples: &[Sample]) -> History {
        let mut builder = HistoryBuilder::new(query);
        for sample in samples {
            if builder.add(sample).is_break() {
                break;
            }
        }
        builder.finish()
    }

    #[test]
    fn buckets_are_aligned_means_and_gaps_stay() {
        let query = HistoryQuery::new(&["cpu.usage_percent"], range(100, 400), Some(60), None).unwrap();
        let samples = [
            sample(99_999, 90.0),
            sample(100_000, 10.0),
            sample(119_000, 20.0),
            sample(300_000, 30.0),
            sample(400_000, 90.0),
        ];
        let found: Vec<_> = answer(&query, &samples)
            .points
            .iter()
            .map(|point| (point.timestamp.seconds(), point.values["cpu.usage_percent"]))
            .collect();
        assert_eq!(found, [(60, 15.0), (300, 30.0)]);
    }

    #[test]
    fn an_answer_that_is_full_says_so() {
        let query = HistoryQuery::new(&["cpu.usage_percent"], range(0, 100), Some(1), Some(2)).unwrap();
        let samples: Vec<_> = (0..3).map(|second| sample(second * 1000, 1.0)).collect();
        let full = answer(&query, &samples);
        assert_eq!((full.points.len(), full.truncated), (2, true));
        let reversed: Vec<_> = samples.iter().rev().cloned().collect();
        assert_eq!(
            answer(&query, &reversed),
            full,
            "the order of the samples does not matter"
        );
        let just = answer(&query, &samples[..2]);
        assert_eq!((just.points.len(), just.truncated), (2, false));
    }

    #[test]
    fn a_finer_answer_comes_over_a_coarser_one() {
        let query = HistoryQuery::new(&["cpu.usage_percent"], range(0, 100), Some(1), None).unwrap();
        let mut coarse = answer(&query, &[sample(0, 1.0), sample(5_000, 1.0), sample(9_000, 1.0)]);
        let fine = answer(&query, &[sample(5_000, 2.0), sample(6_000, 3.0)]);
        let mut kept = coarse.clone();
        kept.overlay(fine.clone(), Prefer::Own, 10);
        let values: Vec<_> = kept
            .points
            .iter()
            .map(|point| point.values["cpu.usage_percent"])
            .collect();
        assert_eq!(values, [1.0, 1.0, 3.0, 1.0], "only what is missing is taken over");
        coarse.overlay(fine, Prefer::Other, 3);
        let values: Vec<_> = coarse
            .points
            .iter()
            .map(|point| (point.timestamp.seconds(), point.values["cpu.usage_percent"]))
            .collect();
        assert_eq!(values, [(0, 1.0), (5, 2.0), (6, 3.0)]);
        assert!(coarse.truncated);
    }

    #[test]
    fn senseless_queries_are_refused() {
        let new = |metrics: &[&str], start, end, interval, points| {
            HistoryQuery::new(metrics, range(start, end), interval, points).unwrap_err()
        };
        let cpu = &["cpu.usage_percent"][..];
        assert_eq!(new(&[], 0, 1, None, None), QueryError::NoMetrics);
        assert!(matches!(
            new(&["cpu"], 0, 1, None, None),
            QueryError::UnknownMetric(_)
        ));
        assert!(matches!(
            new(cpu, 5, 5, None, None),
            QueryError::EmptyRange { .. }
        ));
        assert!(matches!(
            new(cpu, 0, 1_690_537_800, None, None),
            QueryError::RangeTooLong(_)
        ));
        assert_eq!(new(cpu, 0, 1, Some(0), None), QueryError::Interval);
        assert_eq!(new(cpu, 0, 1, Some(u64::MAX), None), QueryError::Interval);
        assert_eq!(new(cpu, 0, 1, None, Some(0)), QueryError::MaxPoints);
        assert_eq!(new(cpu, 0, 1, None, Some(MAX_POINTS + 1)), QueryError::MaxPoints);
    }

    proptest! {
        #[test]
        fn the_natural_interval_keeps_to_the_points(
            start in 0i64..2_000_000_000, length in 1i64..300_000_000, points in 1u32..=MAX_POINTS
        ) {
            let span = range(start, start + length);
            let step = natural_interval(span, points);
            let buckets = span.end.since(span.start.floor(step)).as_millis().div_ceil(step.as_millis());
            prop_assert!(buckets <= u128::from(points) || step == MAX_INTERVAL);
        }
    }
}
