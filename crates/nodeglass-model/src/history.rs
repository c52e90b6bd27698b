//! Samples into history: aligned buckets with one value for each series.
//!
//! The server uses it over its store and the agent over its journal, so both answer a query alike. What is asked stands
//! here; [`Fold`] gathers values from columns and from hourly figures, [`HistoryBuilder`] from whole samples, and all of
//! them come to the same [`History`].

mod aggregate;
mod answer;
mod buckets;
mod builder;
mod fold;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use aggregate::{Aggregation, UnknownAggregation};
pub use answer::{History, Prefer, Series};
pub use builder::HistoryBuilder;
pub use fold::{DeviceColumn, Fold, Partial};

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

/// A bucket that holds all of time after 1970.
const WHOLE: Duration = Duration::from_millis(i64::MAX as u64);

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
    /// What a bucket shows of the values in it.
    pub aggregation: Aggregation,
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
    /// A way to make one value of several that there is not.
    #[error(transparent)]
    Aggregation(#[from] UnknownAggregation),
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
            None => natural_interval(range, max_points, Duration::ZERO),
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
            aggregation: Aggregation::default(),
        })
    }

    /// The same query for another view of each bucket.
    pub fn with_aggregation(mut self, aggregation: Aggregation) -> Self {
        self.aggregation = aggregation;
        self
    }

    /// The same query for buckets of `least` at least; a width that was asked for stays.
    pub fn no_finer_than(mut self, least: Duration) -> Self {
        if !self.is_exact && self.interval < least {
            self.interval = natural_interval(self.range, self.max_points, least);
        }
        self
    }

    /// The same query for one bucket that holds the whole range.
    pub fn as_one_bucket(mut self) -> Self {
        self.interval = WHOLE;
        self.is_exact = true;
        self
    }

    /// Whether the answer is one bucket that holds the whole range.
    pub fn is_one_bucket(&self) -> bool {
        self.interval == WHOLE
    }
}

/// The narrowest natural bucket width of `least` or more with which `range` touches at most `max_points` buckets.
fn natural_interval(range: TimeRange, max_points: u32, least: Duration) -> Duration {
    let touched = |step: Duration| {
        let first = range.start.floor(step);
        range.end.since(first).as_millis().div_ceil(step.as_millis())
    };
    let fits = |step: &Duration| *step >= least && touched(*step) <= u128::from(max_points);
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
