//! One row of the catalogue: what a metric is, and where it stands in a sample.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::{Dimension, Field};
use crate::sample::Sample;

/// A metric's number on disk. Never changed and never used again for another metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MetricId(pub u16);

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its number on disk.
    pub id: MetricId,
    /// Its name everywhere: `cpu.usage_percent`.
    pub path: &'static str,
    /// What its values are measured in.
    pub unit: Unit,
    /// How its values behave over time.
    pub kind: Kind,
    /// What the bare path of a per-device metric means.
    pub over_devices: OverDevices,
    /// Where it is read on Linux.
    pub source: &'static str,
    /// What it means.
    pub description: &'static str,
    /// Its place in a sample.
    pub field: Field,
}

impl Metric {
    /// What kind of device the metric is of.
    pub fn dimension(&self) -> Dimension {
        self.field.dimension()
    }

    /// Its value of the device at `index`.
    pub fn value(&self, sample: &Sample, index: usize) -> Option<f64> {
        self.field.read(sample, index)
    }

    /// Sets the value of the device at `index`.
    pub fn set(&self, sample: &mut Sample, index: usize, value: f64) {
        self.field.write(sample, index, Some(value));
    }

    /// Its value of the device at `index`, in whole steps of its unit.
    pub fn steps(&self, sample: &Sample, index: usize) -> Option<i64> {
        let value = self.field.read(sample, index)?;
        Some(self.unit.to_steps(value))
    }

    /// Takes the value of the device at `index` away.
    pub fn clear(&self, sample: &mut Sample, index: usize) {
        self.field.write(sample, index, None);
    }

    /// Sets the value of the device at `index`, in whole steps of its unit.
    pub fn set_steps(&self, sample: &mut Sample, index: usize, steps: i64) {
        self.field.write(sample, index, Some(self.unit.of_steps(steps)));
    }

    /// Its name in Prometheus' exposition: `nodeglass_cpu_usage_percent`. As is the custom there, counters and nothing
    /// else end in `_total`, seconds are written out (`_per_second`), and times are in seconds.
    pub fn prometheus_name(&self) -> String {
        let name = self.path.replace('.', "_");
        let (stem, unit) = if let Some(stem) = name.strip_suffix("_per_sec") {
            (stem, "_per_second")
        } else if let Some(stem) = name.strip_suffix("_ms") {
            (stem, "_seconds")
        } else {
            (name.strip_suffix("_total").unwrap_or(&name), "")
        };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("nodeglass_{stem}{unit}{total}")
    }

    /// One of its values as it stands beside [`Metric::prometheus_name`]: milliseconds become seconds.
    pub fn prometheus_value(&self, value: f64) -> f64 {
        match self.unit {
            Unit::Milliseconds => value / 1000.0,
            _ => value,
        }
    }
}

/// How a metric's values behave over time, and so what a longer interval makes of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Worked out over the interval before the sample: rates and shares of time. Several make their mean.
    Rate,
    /// A level at the moment of the sample. An agent's window keeps the last; a history bucket shows the mean.
    Level,
    /// A count that only grows until its device or host starts anew. The last one counts.
    Counter,
}

impl Kind {
    /// The word for it in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Level => "level",
            Self::Counter => "counter",
        }
    }
}

/// How the values of several devices make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverDevices {
    /// They add up; a device that is a part of another is left out.
    Sum,
    /// The highest.
    Max,
    /// The arithmetic mean.
    Mean,
}

impl OverDevices {
    /// Makes one value of several; `None` of none.
    pub fn fold(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let mut count = 0_u32;
        let mut sum = 0.0;
        let mut highest = f64::NEG_INFINITY;
        for value in values {
            count += 1;
            sum += value;
            highest = highest.max(value);
        }
        (count > 0).then(|| match self {
            Self::Sum => sum,
            Self::Max => highest,
            Self::Mean => sum / f64::from(count),
        })
    }

    /// As [`Self::fold`], of values in steps. A mean is rounded to 1024ths of a step: sums of such totals come to the same
    /// in whatever order they are added.
    pub fn fold_steps(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let folded = self.fold(values)?;
        Some(match self {
            Self::Mean => (folded * 1024.0).round() / 1024.0,
            Self::Sum | Self::Max => folded,
        })
    }

    /// The word for it in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Max => "max",
            Self::Mean => "mean",
        }
    }
}

/// What a metric's values are measured in; gives them their step and their range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 0 to 100.
    Percent,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSec,
    /// Operations or packets per second, of which there are many.
    PerSec,
    /// Events per second, of which there may be one in a minute.
    EventsPerSec,
    /// A number of things.
    Count,
    /// Degrees Celsius.
    Celsius,
    /// Tasks, averaged.
    Load,
    /// Watts.
    Watts,
    /// Percent of one core's time: several cores make more than 100.
    PercentOfCore,
    /// Logical cores.
    Cores,
    /// Milliseconds.
    Milliseconds,
    /// Whole seconds.
    Seconds,
    /// A number of things, averaged over time.
    Average,
    /// Millions of turns per second of a clock.
    Megahertz,
    /// Turns per minute.
    Rpm,
    /// Events per minute.
    PerMinute,
    /// Whatever whoever gave the figure measures in; negative, too.
    Custom,
}

/// The largest whole number up to which a float is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Custom figures are kept to so many parts of one: far more digits than a program's own figures have meaning, and still
/// exact up to nine million millions.
const CUSTOM_STEPS: u32 = 1_000;

impl Unit {
    /// How many steps make one unit: values are kept to the nearest step.
    pub fn steps(self) -> u32 {
        match self {
            Self::Percent
            | Self::PercentOfCore
            | Self::Load
            | Self::Average
            | Self::Cores
            | Self::EventsPerSec
            | Self::PerMinute
            | Self::Milliseconds => 100,
            Self::Custom => CUSTOM_STEPS,
            Self::Celsius | Self::Watts => 10,
            Self::Bytes
            | Self::BytesPerSec
            | Self::PerSec
            | Self::Count
            | Self::Seconds
            | Self::Megahertz
            | Self::Rpm => 1,
        }
    }

    /// A value in whole steps.
    pub fn to_steps(self, value: f64) -> i64 {
        (value * f64::from(self.steps())).round() as i64
    }

    /// The value of whole steps.
    pub fn of_steps(self, steps: i64) -> f64 {
        steps as f64 / f64::from(self.steps())
    }

    /// The values that can be right.
    pub fn range(self) -> RangeInclusive<f64> {
        match self {
            Self::Percent => 0.0..=100.0,
            Self::Celsius => -273.15..=10_000.0,
            // Negative where a clock is behind; wide enough for Unix times.
            Self::Milliseconds => -1e13..=1e13,
            Self::PercentOfCore
            | Self::Load
            | Self::Watts
            | Self::Average
            | Self::Cores
            | Self::EventsPerSec
            | Self::PerMinute
            | Self::Megahertz
            | Self::Rpm => 0.0..=1e9,
            Self::Custom => -EXACT / f64::from(CUSTOM_STEPS)..=EXACT / f64::from(CUSTOM_STEPS),
            Self::Bytes | Self::BytesPerSec | Self::PerSec | Self::Count | Self::Seconds => 0.0..=EXACT,
        }
    }

    /// The values that can be right, in whole steps.
    pub fn steps_range(self) -> RangeInclusive<i64> {
        let steps = f64::from(self.steps());
        let range = self.range();
        (range.start() * steps).ceil() as i64..=(range.end() * steps).floor() as i64
    }

    /// The unit as people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Bytes => "bytes",
            Self::BytesPerSec => "bytes/s",
            Self::PerSec | Self::EventsPerSec => "1/s",
            Self::PercentOfCore => "% of a core",
            Self::Cores => "cores",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Megahertz => "MHz",
            Self::Rpm | Self::PerMinute => "1/min",
            Self::Custom => "any",
            Self::Count | Self::Average => "count",
            Self::Celsius => "°C",
            Self::Load => "tasks",
            Self::Watts => "W",
        }
    }
}

/// How to read and write one figure of a `T`.
pub struct Access<T> {
    pub(super) read: fn(&T) -> Option<f64>,
    pub(super) write: fn(&mut T, Option<f64>),
}

impl<T> std::fmt::Debug for Access<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}

/// A number type that a sample's fields have.
pub(super) trait Number: Copy {
    fn to_f64(self) -> f64;
    fn from_f64(value: f64) -> Self;
}

impl Number for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f64(value: f64) -> Self {
        value
    }
}

impl Number for u64 {
    fn to_f64(self) -> f64 {
        self as f64
    }
    fn from_f64(value: f64) -> Self {
        value.round() as Self
    }
}

impl Number for u32 {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn from_f64(value: f64) -> Self {
        value.round() as Self
    }
}
