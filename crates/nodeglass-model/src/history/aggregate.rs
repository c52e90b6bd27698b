//! What a bucket shows of the values in it.
//!
//! Values are whole steps of their metric's unit ([`Unit::to_steps`](crate::catalogue::Unit::to_steps)), so that sums are
//! exact and come out alike in whatever order and from wherever the values come.

use std::fmt;
use std::str::FromStr;

use super::fold::Partial;
use crate::catalogue::{Kind, Metric};
use crate::time::UnixMillis;

/// How several values make one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Aggregation {
    /// The mean of rates and levels, the last of counters.
    #[default]
    Usual,
    /// The arithmetic mean.
    Avg,
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// The latest; of several at one moment the highest.
    Last,
    /// The sum.
    Sum,
    /// The lowest value that 95 of 100 values do not exceed.
    P95,
}

/// A text that is no aggregation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown aggregation {0:?}: use avg, min, max, last, sum or p95, or none for means and the last of counters"
)]
pub struct UnknownAggregation(String);

impl Aggregation {
    /// Those with a name.
    const NAMED: [Self; 6] = [Self::Avg, Self::Min, Self::Max, Self::Last, Self::Sum, Self::P95];

    /// Its name in queries; empty for the usual one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Last => "last",
            Self::Sum => "sum",
            Self::P95 => "p95",
        }
    }

    /// What it is for values of this kind.
    fn of(self, kind: Kind) -> Self {
        match (self, kind) {
            (Self::Usual, Kind::Counter) => Self::Last,
            (Self::Usual, Kind::Rate | Kind::Level) => Self::Avg,
            (named, _) => named,
        }
    }

    /// Whether the figures of an hour (count, mean, lowest, highest; of counters the last instead of the mean) say enough.
    pub fn is_in_partials(self, kind: Kind) -> bool {
        match self.of(kind) {
            Self::Min | Self::Max => true,
            Self::Avg | Self::Sum => kind != Kind::Counter,
            Self::Last => kind == Kind::Counter,
            Self::Usual | Self::P95 => false,
        }
    }
}

impl FromStr for Aggregation {
    type Err = UnknownAggregation;

    fn from_str(text: &str) -> Result<Self, UnknownAggregation> {
        let known = Self::NAMED.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| UnknownAggregation(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The values of one bucket of one series, in steps.
#[derive(Debug, Clone)]
pub(super) enum Gathered {
    Mean { sum: f64, count: u32 },
    Lowest(f64),
    Highest(f64),
    Last { at: i64, value: f64 },
    Sum(f64),
    All(Vec<f64>),
}

impl Gathered {
    /// Nothing yet.
    pub(super) fn new(aggregation: Aggregation, metric: &Metric) -> Self {
        match aggregation.of(metric.kind) {
            Aggregation::Usual | Aggregation::Avg => Self::Mean { sum: 0.0, count: 0 },
            Aggregation::Min => Self::Lowest(f64::INFINITY),
            Aggregation::Max => Self::Highest(f64::NEG_INFINITY),
            Aggregation::Last => Self::Last {
                at: i64::MIN,
                value: f64::NEG_INFINITY,
            },
            Aggregation::Sum => Self::Sum(0.0),
            Aggregation::P95 => Self::All(Vec::new()),
        }
    }

    /// Adds a value.
    pub(super) fn add(&mut self, at: i64, value: f64) {
        match self {
            Self::Mean { sum, count } => {
                *sum += value;
                *count += 1;
            }
            Self::Lowest(lowest) => *lowest = lowest.min(value),
            Self::Highest(highest) => *highest = highest.max(value),
            Self::Last {
                at: last,
                value: kept,
            } => {
                if at > *last {
                    (*last, *kept) = (at, value);
                } else if at == *last {
                    *kept = kept.max(value);
                }
            }
            Self::Sum(sum) => *sum += value,
            Self::All(all) => all.push(value),
        }
    }

    /// Adds the values that there are at some times.
    pub(super) fn add_all(&mut self, times: &[UnixMillis], values: &[Option<f64>]) {
        if let Self::Mean { sum, count } = self {
            for value in values.iter().flatten() {
                *sum += value;
                *count += 1;
            }
            return;
        }
        for (at, value) in times.iter().zip(values) {
            if let Some(value) = value {
                self.add(at.0, *value);
            }
        }
    }

    /// Adds the figures of several values that were taken from `at` on.
    pub(super) fn merge(&mut self, at: i64, steps: f64, partial: Partial) {
        // The sum of whole steps is whole; the mean's last digit is made good so.
        let partial_sum = || (partial.mean * steps * f64::from(partial.count)).round();
        match self {
            Self::Mean { sum, count } => {
                *sum += partial_sum();
                *count += partial.count;
            }
            Self::Sum(sum) => *sum += partial_sum(),
            Self::Lowest(_) => self.add(at, (partial.min * steps).round()),
            Self::Highest(_) => self.add(at, (partial.max * steps).round()),
            // Of a counter it is the last; values that came since are later.
            Self::Last { .. } => self.add(at, (partial.mean * steps).round()),
            Self::All(_) => {}
        }
    }

    /// How many values it keeps.
    pub(super) fn kept(&self) -> usize {
        match self {
            Self::All(all) => all.len().max(1),
            _ => 1,
        }
    }

    /// The one value, in the metric's unit.
    pub(super) fn value(&mut self, metric: &Metric) -> f64 {
        let value = match self {
            Self::Mean { sum, count } => *sum / f64::from(*count),
            Self::Lowest(value) | Self::Highest(value) | Self::Last { value, .. } | Self::Sum(value) => {
                *value
            }
            Self::All(all) => {
                let place = (all.len() * 95).div_ceil(100).saturating_sub(1);
                if all.is_empty() {
                    return f64::INFINITY;
                }
                *all.select_nth_unstable_by(place, f64::total_cmp).1
            }
        };
        let steps = f64::from(metric.unit.steps());
        if value.fract() == 0.0 {
            value / steps
        } else {
            // Two digits more than the values have: a mean is finer than what it is made of.
            (value * 100.0).round() / (steps * 100.0)
        }
    }
}
