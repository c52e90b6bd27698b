//! The metric catalogue: one table that gives each metric its path, unit, kind, source and meaning.
//!
//! Flattening a sample, history columns, storage, validation, averaging and `docs/metrics.md` are all made from it, so
//! a metric is named once. A per-device series is `metric@device`; the bare path of a per-device metric is its total
//! over devices as [`Metric::over_devices`] says.

mod dimension;
mod metric;
mod table;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

pub use dimension::{Attribute, Dimension, Field};
pub use metric::{Kind, Metric, MetricId, OverDevices, Unit};
pub use table::METRICS;

use crate::sample::Sample;

static BY_PATH: LazyLock<HashMap<&'static str, &'static Metric>> =
    LazyLock::new(|| METRICS.iter().map(|metric| (metric.path, metric)).collect());

static BY_ID: LazyLock<Vec<Option<&'static Metric>>> = LazyLock::new(|| {
    let highest = METRICS.iter().map(|metric| metric.id.0).max().unwrap_or(0);
    let mut by_id = vec![None; usize::from(highest) + 1];
    for metric in METRICS {
        by_id[usize::from(metric.id.0)] = Some(metric);
    }
    by_id
});

/// The metric with this path, `cpu.usage_percent`.
pub fn by_path(path: &str) -> Option<&'static Metric> {
    BY_PATH.get(path).copied()
}

/// The metric with this number.
pub fn by_id(id: MetricId) -> Option<&'static Metric> {
    BY_ID.get(usize::from(id.0)).copied().flatten()
}

/// The three known paths most like `path`, the most like first; for error messages.
pub fn nearest(path: &str) -> Vec<&'static str> {
    let mut paths: Vec<(f64, &'static str)> = METRICS
        .iter()
        .map(|metric| (strsim::jaro_winkler(path, metric.path), metric.path))
        .collect();
    paths.sort_by(|a, b| b.0.total_cmp(&a.0));
    paths.into_iter().take(3).map(|(_, path)| path).collect()
}

/// One device's figures within a sample: a row of the flat form.
#[derive(Debug, Clone, PartialEq)]
pub struct Device<'a> {
    /// What kind of device.
    pub dimension: Dimension,
    /// Its label, as in `metric@label`; empty for the host itself.
    pub label: Cow<'a, str>,
    /// Where it stands in the sample.
    index: usize,
}

/// Every device of a sample, the host first.
pub fn devices(sample: &Sample) -> impl Iterator<Item = Device<'_>> {
    Dimension::ALL.into_iter().flat_map(move |dimension| {
        (0..dimension.len(sample)).map(move |index| Device {
            dimension,
            label: dimension.label(sample, index),
            index,
        })
    })
}

impl Device<'_> {
    /// The metrics that this device has a value for, with the value.
    pub fn values(&self, sample: &Sample) -> impl Iterator<Item = (&'static Metric, f64)> {
        self.dimension.metrics().iter().filter_map(move |metric| {
            metric
                .field
                .read(sample, self.index)
                .map(|value| (*metric, value))
        })
    }

    /// The value of one metric of this device's kind.
    pub fn value(&self, sample: &Sample, metric: &Metric) -> Option<f64> {
        metric.field.read(sample, self.index)
    }

    /// The texts that describe this device beyond its label.
    pub fn attributes<'a>(&self, sample: &'a Sample) -> Vec<(Attribute, &'a str)> {
        self.dimension.attributes(sample, self.index)
    }
}

/// The value of one series of a sample: of one device, or the total over devices if `device` is `None`.
pub fn value(sample: &Sample, metric: &Metric, device: Option<&str>) -> Option<f64> {
    let read = |index| metric.field.read(sample, index);
    match device {
        Some(label) => read(index_of(sample, metric, label)?),
        None => metric.over_devices.fold(counted(sample, metric).filter_map(read)),
    }
}

/// As [`value`], in steps of the metric's unit; of a mean over devices they are not whole.
pub fn steps(sample: &Sample, metric: &Metric, device: Option<&str>) -> Option<f64> {
    let read = |index| metric.steps(sample, index).map(|steps| steps as f64);
    match device {
        Some(label) => read(index_of(sample, metric, label)?),
        None => metric
            .over_devices
            .fold_steps(counted(sample, metric).filter_map(read)),
    }
}

fn index_of(sample: &Sample, metric: &Metric, label: &str) -> Option<usize> {
    let dimension = metric.dimension();
    (0..dimension.len(sample)).find(|index| dimension.label(sample, *index) == label)
}

/// The devices that a total is made of.
fn counted(sample: &Sample, metric: &Metric) -> impl Iterator<Item = usize> {
    let (dimension, over) = (metric.dimension(), metric.over_devices);
    (0..dimension.len(sample))
        .filter(move |index| over != OverDevices::Sum || dimension.is_root(sample, *index))
}

/// Whether a sum over devices leaves out the device with this label and these attributes, because another one counts it.
pub fn is_part<'a>(
    dimension: Dimension,
    label: &str,
    attributes: impl IntoIterator<Item = (Attribute, &'a str)>,
) -> bool {
    let mut sample = Sample::default();
    let index = dimension.add(&mut sample, label);
    for (attribute, text) in attributes {
        dimension.describe(&mut sample, index, attribute, text);
    }
    !dimension.is_root(&sample, index)
}

/// Sets or clears one value; a device that the sample does not have yet is added.
pub fn set(sample: &mut Sample, metric: &Metric, label: &str, value: Option<f64>) {
    let index = metric.dimension().find_or_add(sample, label);
    metric.field.write(sample, index, value);
}

/// Clears one metric on every device.
pub fn clear(sample: &mut Sample, metric: &Metric) {
    for index in 0..metric.dimension().len(sample) {
        metric.field.write(sample, index, None);
    }
}

/// Takes out the devices that have no value at all.
pub fn remove_empty_devices(sample: &mut Sample) {
    let is_empty = |sample: &Sample, dimensions: &[Dimension], index: usize| {
        !dimensions
            .iter()
            .flat_map(|dimension| dimension.metrics())
            .any(|metric| metric.field.read(sample, index).is_some())
    };
    for holder in Dimension::ALL.into_iter().filter(|kind| *kind != Dimension::Host) {
        for index in (0..holder.len(sample)).rev() {
            if !holder.views().is_empty() && is_empty(sample, holder.views(), index) {
                holder.remove(sample, index);
            }
        }
    }
}

/// Why a value can't be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{series} is {value}, outside {lowest} to {highest}: send a finite value in the metric's unit, or none"
)]
pub struct InvalidValue {
    series: String,
    value: f64,
    lowest: f64,
    highest: f64,
}

/// Checks every value of a sample against its unit's range.
///
/// # Errors
/// The first value that is not finite or lies outside the range.
pub fn check(sample: &Sample) -> Result<(), InvalidValue> {
    invalid(sample).next().map_or(Ok(()), |(_, _, wrong)| Err(wrong))
}

/// Clears every value that [`check`] would refuse, so that it costs its own figure and not the sample.
pub fn clear_invalid(sample: &mut Sample) -> Vec<InvalidValue> {
    let wrong: Vec<_> = invalid(sample).collect();
    wrong
        .into_iter()
        .map(|(metric, index, wrong)| {
            metric.field.write(sample, index, None);
            wrong
        })
        .collect()
}

/// The values outside their unit's range, with where they stand.
fn invalid(sample: &Sample) -> impl Iterator<Item = (&'static Metric, usize, InvalidValue)> {
    devices(sample).flat_map(move |device| {
        let wrong = device
            .values(sample)
            .filter(|(metric, value)| !metric.unit.range().contains(value));
        let wrong: Vec<_> = wrong.collect();
        wrong.into_iter().map(move |(metric, value)| {
            let range = metric.unit.range();
            let at = if device.label.is_empty() { "" } else { "@" };
            let series = format!("{}{at}{}", metric.path, device.label);
            let wrong = InvalidValue {
                series,
                value,
                lowest: *range.start(),
                highest: *range.end(),
            };
            (metric, device.index, wrong)
        })
    })
}

/// Rounds every value to its metric's step. An agent does it once, at the source; it changes nothing after that.
pub fn quantise(sample: &mut Sample) {
    for metric in METRICS {
        for index in 0..metric.dimension().len(sample) {
            if let Some(value) = metric.field.read(sample, index) {
                let rounded = crate::rates::to_step(value, metric.unit.steps());
                if rounded != value {
                    metric.field.write(sample, index, Some(rounded));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
