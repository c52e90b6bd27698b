//! Gathers values into buckets, series by series: single ones, whole columns, and the figures of hours.

use std::collections::HashMap;

use super::HistoryQuery;
use super::answer::History;
use super::buckets::{Buckets, finish};
use crate::catalogue::{self, Dimension, Metric, OverDevices};
use crate::sample::Sample;
use crate::selector::DeviceChoice;
use crate::time::{TimeRange, UnixMillis};

/// The most values that an answer gathers at once: 200 series of 10,000 points, some 80 MB. A query that has more gets
/// fewer points.
const MAX_VALUES: usize = 2_000_000;

/// What is known of the values of one series over some time, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Partial {
    /// How many there were.
    pub count: u32,
    /// Their mean; of counters the last.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

/// The values of one metric of one device at some points.
#[derive(Debug, Clone, Copy)]
pub struct DeviceColumn<'a> {
    /// The device's label; empty for the host.
    pub label: &'a str,
    /// Whether a sum over devices leaves it out, because another device counts it.
    pub is_part: bool,
    /// A value for each point, in steps of the metric's unit; `None` where there is none.
    pub values: &'a [Option<f64>],
}

/// A series that is being gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SeriesPlace(usize);

/// Gathers an answer; values may come in any order, each once.
#[derive(Debug)]
pub struct Fold<'q> {
    query: &'q HistoryQuery,
    /// The part of the query's range that is gathered now.
    part: TimeRange,
    selections: Vec<Selection>,
    series: Vec<Buckets>,
    /// The most buckets of a series: what the query allows, or less if there are too many values.
    limit: usize,
    kept: usize,
    truncated: bool,
}

/// What is asked of one metric.
#[derive(Debug)]
struct Selection {
    metric: &'static Metric,
    device: DeviceChoice,
    /// The series of the total or of the one device.
    one: Option<SeriesPlace>,
    /// Those of every device, by label.
    every: HashMap<String, SeriesPlace>,
}

impl<'q> Fold<'q> {
    /// Starts an answer to `query`.
    pub fn new(query: &'q HistoryQuery) -> Self {
        let mut selections: Vec<Selection> = Vec::new();
        for selector in &query.selectors {
            let (metric, device) = (selector.metric(), selector.device().clone());
            // A series that is asked for twice is answered once.
            let is_covered = selections
                .iter()
                .any(|known| known.metric.id == metric.id && (known.device == device));
            if !is_covered {
                selections.push(Selection {
                    metric,
                    device,
                    one: None,
                    every: HashMap::new(),
                });
            }
        }
        let every: Vec<_> = selections
            .iter()
            .filter(|known| known.device == DeviceChoice::Every)
            .map(|known| known.metric.id)
            .collect();
        selections.retain(|known| {
            !matches!(known.device, DeviceChoice::One(_)) || !every.contains(&known.metric.id)
        });
        Self {
            query,
            part: query.range,
            selections,
            series: Vec::new(),
            limit: query.max_points as usize,
            kept: 0,
            truncated: false,
        }
    }

    /// Passes over columns' and samples' values outside this part of the query's range from now on, so that a long range
    /// is gathered part by part.
    pub fn narrow(&mut self, part: TimeRange) {
        self.part = TimeRange {
            start: part.start.max(self.query.range.start),
            end: part.end.min(self.query.range.end),
        };
    }

    /// Whether what comes at `at` or later has no place in the answer any more: every bucket it may have is there.
    pub fn is_full_before(&self, at: UnixMillis) -> bool {
        let start = at.floor(self.query.interval).0;
        let is_full = |series: &Buckets| {
            series.values.len() >= self.limit && series.values.last().is_some_and(|(last, _)| *last < start)
        };
        self.series.iter().any(is_full)
    }

    /// The metrics that are asked for, each once.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        let mut metrics: Vec<_> = self.selections.iter().map(|selection| selection.metric).collect();
        metrics.sort_by_key(|metric| metric.id);
        metrics.dedup_by_key(|metric| metric.id);
        metrics
    }

    /// Whether this series has a part in the answer; of a total, every device has.
    pub fn wants(&self, metric: &Metric, label: &str) -> bool {
        self.selections.iter().any(|selection| {
            selection.metric.id == metric.id
                && match &selection.device {
                    DeviceChoice::One(one) => one == label,
                    DeviceChoice::Total | DeviceChoice::Every => true,
                }
        })
    }

    /// Whether the total over a metric's devices is asked for.
    pub fn wants_total(&self, metric: &Metric) -> bool {
        let is_total =
            |known: &Selection| known.metric.id == metric.id && known.device == DeviceChoice::Total;
        self.selections.iter().any(is_total)
    }

    /// Whether any series of such devices has.
    pub fn wants_any(&self, dimension: Dimension) -> bool {
        let mut selections = self.selections.iter();
        selections.any(|selection| selection.metric.dimension() == dimension)
    }

    /// Adds a sample; one outside the range is passed over. `false` if it has nothing of what is asked for.
    pub fn sample(&mut self, sample: &Sample) -> bool {
        if !self.part.contains(sample.timestamp) {
            return false;
        }
        let mut is_there = false;
        for at in 0..self.selections.len() {
            is_there |= self.sample_of(at, sample);
        }
        self.keep_within_bounds();
        is_there
    }

    fn sample_of(&mut self, at: usize, sample: &Sample) -> bool {
        let Selection { metric, device, .. } = &self.selections[at];
        let metric = *metric;
        let label = match device {
            DeviceChoice::Every => {
                let devices =
                    catalogue::devices(sample).filter(|device| device.dimension == metric.dimension());
                let mut is_there = false;
                for device in devices {
                    if let Some(value) = device.value(sample, metric) {
                        let place = self.of_device(at, &device.label);
                        self.value(place, sample.timestamp, metric.unit.to_steps(value) as f64);
                        is_there = true;
                    }
                }
                return is_there;
            }
            DeviceChoice::Total => None,
            DeviceChoice::One(label) => Some(label.as_str()),
        };
        let Some(steps) = catalogue::steps(sample, metric, label) else {
            return false;
        };
        let place = self.one(at);
        self.value(place, sample.timestamp, steps);
        true
    }

    /// Adds the values of one metric of all devices at some points: every device that the query may ask for, and for
    /// totals all there are.
    pub fn columns(&mut self, metric: &'static Metric, times: &[UnixMillis], devices: &[DeviceColumn<'_>]) {
        for at in 0..self.selections.len() {
            let selection = &self.selections[at];
            if selection.metric.id != metric.id {
                continue;
            }
            match selection.device.clone() {
                DeviceChoice::Total => {
                    let place = self.one(at);
                    match devices {
                        [] => {}
                        [one] if metric.over_devices != OverDevices::Sum || !one.is_part => {
                            self.column(place, times, one.values);
                        }
                        several => self.column(place, times, &total(metric, times.len(), several)),
                    }
                }
                DeviceChoice::One(label) => {
                    if let Some(device) = devices.iter().find(|device| device.label == label) {
                        let place = self.one(at);
                        self.column(place, times, device.values);
                    }
                }
                DeviceChoice::Every => {
                    for device in devices {
                        let place = self.of_device(at, device.label);
                        self.column(place, times, device.values);
                    }
                }
            }
        }
    }

    /// Adds the figures of a total over devices that was taken from `at` on, within one bucket.
    pub fn partial_total(&mut self, metric: &'static Metric, at: UnixMillis, partial: Partial) {
        let is_it = |known: &Selection| known.metric.id == metric.id && known.device == DeviceChoice::Total;
        if let Some(index) = self.selections.iter().position(is_it) {
            let place = self.one(index);
            self.merge(place, at, partial);
        }
    }

    /// Adds the figures of a device's values that were taken from `at` on, within one bucket. They say nothing of totals
    /// over devices; those of the host itself have an empty label.
    pub fn partial(&mut self, metric: &'static Metric, label: &str, at: UnixMillis, partial: Partial) {
        for index in 0..self.selections.len() {
            let selection = &self.selections[index];
            if selection.metric.id != metric.id {
                continue;
            }
            let place = match &selection.device {
                DeviceChoice::Total if label.is_empty() => self.one(index),
                DeviceChoice::One(one) if one == label => self.one(index),
                DeviceChoice::Every => self.of_device(index, label),
                DeviceChoice::Total | DeviceChoice::One(_) => continue,
            };
            self.merge(place, at, partial);
        }
    }

    fn merge(&mut self, place: SeriesPlace, at: UnixMillis, partial: Partial) {
        if partial.count == 0 {
            return;
        }
        if let Some(bucket) = self.bucket(place, at) {
            let series = &mut self.series[place.0];
            let steps = f64::from(series.metric.unit.steps());
            series.values[bucket].1.merge(at.0, steps, partial);
        }
        self.keep_within_bounds();
    }

    /// Adds one value in steps.
    fn value(&mut self, place: SeriesPlace, at: UnixMillis, steps: f64) {
        if let Some(bucket) = self.bucket(place, at) {
            let gathered = &mut self.series[place.0].values[bucket].1;
            let before = gathered.kept();
            gathered.add(at.0, steps);
            self.kept += gathered.kept() - before;
        }
    }

    /// Adds values in steps, those outside the range are passed over.
    fn column(&mut self, place: SeriesPlace, times: &[UnixMillis], values: &[Option<f64>]) {
        let range = self.part;
        let points = times.len().min(values.len());
        let mut first = 0;
        while first < points {
            let at = times[first];
            if !range.contains(at) {
                first += 1;
                continue;
            }
            // Neighbours mostly share a bucket.
            let start = at.floor(self.query.interval);
            let low = start.max(range.start);
            let shared = low.0..start.plus(self.query.interval).min(range.end).0;
            let run = times[first..points]
                .iter()
                .take_while(|at| shared.contains(&at.0));
            let run = first..first + run.count();
            first = run.end;
            let (times, values) = (&times[run.clone()], &values[run]);
            if values.iter().all(Option::is_none) {
                continue;
            }
            if let Some(bucket) = self.bucket(place, at) {
                self.series[place.0].values[bucket].1.add_all(times, values);
            }
        }
        if self.query.aggregation == super::Aggregation::P95 {
            self.kept += values.len();
        }
        self.keep_within_bounds();
    }

    /// The place of the bucket that holds `at`, new or known; `None` if it comes after all that the answer may have.
    fn bucket(&mut self, place: SeriesPlace, at: UnixMillis) -> Option<usize> {
        let start = at.floor(self.query.interval).0;
        let found = self.series[place.0].find_or_add(start, self.query.aggregation, self.limit);
        self.kept += found.added;
        self.kept -= found.dropped;
        self.truncated |= found.is_over;
        found.place
    }

    /// Says that there is more than the answer has room for.
    pub fn mark_truncated(&mut self) {
        self.truncated = true;
    }

    /// Makes the answer shorter if it has gathered too much.
    fn keep_within_bounds(&mut self) {
        while self.kept > MAX_VALUES && self.limit > 1 {
            let mut starts: Vec<i64> = Vec::new();
            for series in &self.series {
                starts.extend(series.values.iter().map(|(start, _)| *start));
            }
            starts.sort_unstable();
            starts.dedup();
            self.limit = (starts.len().min(self.limit) / 2).max(1);
            let end = starts.get(self.limit).copied().unwrap_or(i64::MAX);
            self.kept = 0;
            for series in &mut self.series {
                series.values.retain(|(start, _)| *start < end);
                series.values.shrink_to_fit();
                self.kept += series.kept();
            }
            self.truncated = true;
        }
    }

    /// The series of a total or of one device.
    fn one(&mut self, selection: usize) -> SeriesPlace {
        let next = SeriesPlace(self.series.len());
        let selection = &mut self.selections[selection];
        let place = *selection.one.get_or_insert(next);
        if place == next {
            let name = match &selection.device {
                DeviceChoice::One(label) => format!("{}@{label}", selection.metric.path),
                DeviceChoice::Total | DeviceChoice::Every => selection.metric.path.to_owned(),
            };
            self.series.push(Buckets::new(name, selection.metric));
        }
        place
    }

    /// The series of one of all devices.
    fn of_device(&mut self, selection: usize, label: &str) -> SeriesPlace {
        let selection = &mut self.selections[selection];
        if let Some(place) = selection.every.get(label) {
            return *place;
        }
        let place = SeriesPlace(self.series.len());
        selection.every.insert(label.to_owned(), place);
        self.series.push(Buckets::new(
            format!("{}@{label}", selection.metric.path),
            selection.metric,
        ));
        place
    }

    /// The answer.
    pub fn finish(self) -> History {
        finish(self.series, self.limit, self.truncated)
    }
}

/// The totals over devices at each point.
fn total(metric: &Metric, points: usize, devices: &[DeviceColumn<'_>]) -> Vec<Option<f64>> {
    let counted = |device: &&DeviceColumn<'_>| metric.over_devices != OverDevices::Sum || !device.is_part;
    let devices: Vec<_> = devices.iter().filter(counted).collect();
    let at = |point: usize| {
        let values = devices
            .iter()
            .filter_map(|device| device.values.get(point).copied().flatten());
        metric.over_devices.fold_steps(values)
    };
    (0..points).map(at).collect()
}
