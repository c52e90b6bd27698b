//! What samples that become part of full chunks add to the hourly rollups.
//!
//! Values are added up in whole steps of their metric's unit, so it does not matter in which parts an hour comes. What
//! a counter ended with is the last value of all samples of the hour, those included that were in full chunks before.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use nodeglass_chunk::chunk::{ChunkError, Head};
use nodeglass_model::catalogue::{self, Dimension, Kind, Metric, MetricId, Unit};
use nodeglass_model::{TimeRange, UnixMillis};

use super::slice;
use crate::Position;
use crate::tiers::{RollupChange, SeriesName, Summary};

/// What one row of the rollup covers.
const HOUR: Duration = Duration::from_hours(1);

/// What the samples of an hour add to one series, in steps.
#[derive(Debug, Clone, Copy)]
struct Part {
    count: u32,
    sum: i128,
    lowest: i64,
    highest: i64,
    /// The last value of all samples that were looked at, new or not.
    last: (Position, i64),
}

impl Part {
    fn new(at: Position, steps: i64) -> Self {
        Self {
            count: 0,
            sum: 0,
            lowest: i64::MAX,
            highest: i64::MIN,
            last: (at, steps),
        }
    }

    fn add(&mut self, steps: i64) {
        self.count += 1;
        self.sum += i128::from(steps);
        self.lowest = self.lowest.min(steps);
        self.highest = self.highest.max(steps);
    }

    fn see(&mut self, at: Position, steps: i64) {
        if at >= self.last.0 {
            self.last = (at, steps);
        }
    }

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.lowest = self.lowest.min(other.lowest);
        self.highest = self.highest.max(other.highest);
        self.see(other.last.0, other.last.1);
    }

    /// What a series has with this part, when it had `before`.
    fn onto(&self, before: Option<&Summary>, metric: &Metric) -> Summary {
        let unit = metric.unit;
        let (before_count, before_sum) = before.map_or((0, 0), |it| (it.count, sum_of(it, unit)));
        let count = before_count.saturating_add(self.count);
        let (min, max) = (unit.of_steps(self.lowest), unit.of_steps(self.highest));
        Summary {
            count,
            mean: match metric.kind {
                Kind::Counter => unit.of_steps(self.last.1),
                Kind::Rate | Kind::Level => {
                    (before_sum + self.sum) as f64 / f64::from(unit.steps()) / f64::from(count)
                }
            },
            min: before.map_or(min, |it| it.min.min(min)),
            max: before.map_or(max, |it| it.max.max(max)),
        }
    }
}

/// The sum in steps that a mean was made of; exact below 2⁵⁰ steps or so, and beyond that as near as floats are.
fn sum_of(summary: &Summary, unit: Unit) -> i128 {
    (summary.mean * f64::from(summary.count) * f64::from(unit.steps())).round() as i128
}

/// What is added to one hour.
#[derive(Debug, Default)]
struct Hour {
    /// When the first new sample was taken; `None` while there is none.
    first_new: Option<UnixMillis>,
    series: BTreeMap<MetricId, BTreeMap<String, Part>>,
}

/// What new samples of full chunks add to the hours of an agent.
#[derive(Debug, Default)]
pub(super) struct Addition {
    hours: BTreeMap<UnixMillis, Hour>,
}

impl Addition {
    /// Takes in a full chunk: those of its samples count for which `is_new`, the others only say what came last.
    ///
    /// # Errors
    /// A chunk that can't be read.
    pub(super) fn add(
        &mut self,
        head: &Head,
        payload: &[u8],
        is_new: impl Fn(&Position) -> bool,
    ) -> Result<(), ChunkError> {
        let places = positions(head)?;
        let new: Vec<bool> = places.iter().map(is_new).collect();
        let hours = hours(&places);
        for (start, points) in &hours {
            let first_new = points.clone().find(|point| new[*point]);
            let first_new = first_new.map(|point| places[point].timestamp);
            let hour = self.hours.entry(*start).or_default();
            hour.first_new = hour.first_new.into_iter().chain(first_new).min();
        }
        let mut metrics: Vec<&'static Metric> =
            head.series()?.into_iter().map(|(metric, _)| metric).collect();
        metrics.sort_unstable_by_key(|metric| metric.id);
        metrics.dedup_by_key(|metric| metric.id);
        metrics.retain(|metric| is_rolled_up(metric));
        for metric in metrics {
            for column in head.columns(metric)? {
                let values = column.read(slice(payload, column.span())?)?;
                for series in values.series() {
                    let mut points = series.points().peekable();
                    for (start, hour) in &hours {
                        let mut part: Option<Part> = None;
                        while let Some((point, value)) = points.next_if(|(point, _)| *point < hour.end) {
                            let steps = metric.unit.to_steps(value);
                            let part = part.get_or_insert(Part::new(places[point], steps));
                            part.see(places[point], steps);
                            if new[point] {
                                part.add(steps);
                            }
                        }
                        if let Some(part) = part {
                            self.join(*start, metric.id, series.label(), &part);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn join(&mut self, start: UnixMillis, metric: MetricId, label: &str, part: &Part) {
        let hour = self.hours.entry(start).or_default();
        let devices = hour.series.entry(metric).or_default();
        match devices.get_mut(label) {
            Some(there) => there.join(part),
            None => drop(devices.insert(label.to_owned(), *part)),
        }
    }

    /// Whether a full chunk over `range` may have later values of a counter than the new samples of the same hour, so
    /// that it has to be [seen](Self::see).
    pub(super) fn may_lie_before(&self, range: TimeRange) -> bool {
        self.hours.iter().any(|(start, hour)| {
            let is_later = hour.first_new.is_some_and(|first| first < range.end);
            is_later && range.start < start.plus(HOUR)
        })
    }

    /// Looks at a full chunk that stays as it is, for what counters ended with.
    ///
    /// # Errors
    /// A chunk that can't be read.
    pub(super) fn see(&mut self, head: &Head, payload: &[u8]) -> Result<(), ChunkError> {
        let places = positions(head)?;
        for (start, points) in hours(&places) {
            let Some(hour) = self.hours.get_mut(&start) else {
                continue;
            };
            for (id, devices) in &mut hour.series {
                let counter = catalogue::by_id(*id).filter(|metric| metric.kind == Kind::Counter);
                let Some(metric) = counter else { continue };
                for column in head.columns(metric)? {
                    let values = column.read(slice(payload, column.span())?)?;
                    for series in values.series() {
                        let Some(part) = devices.get_mut(series.label()) else {
                            continue;
                        };
                        for (point, value) in series.points().filter(|(point, _)| points.contains(point)) {
                            part.see(places[point], metric.unit.to_steps(value));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl RollupChange for Addition {
    fn hours(&self) -> Vec<UnixMillis> {
        let changed = self.hours.iter().filter(|(_, hour)| hour.first_new.is_some());
        changed.map(|(start, _)| *start).collect()
    }

    fn apply(&self, hour: UnixMillis, before: &BTreeMap<SeriesName, Summary>) -> Vec<(SeriesName, Summary)> {
        let mut series = Vec::new();
        for (id, devices) in self.hours.get(&hour).iter().flat_map(|hour| &hour.series) {
            let Some(metric) = catalogue::by_id(*id) else {
                continue;
            };
            for (label, part) in devices.iter().filter(|(_, part)| part.count > 0) {
                let name = SeriesName {
                    metric: *id,
                    device: (metric.dimension() != Dimension::Host).then(|| label.clone()),
                };
                let summary = part.onto(before.get(&name), metric);
                series.push((name, summary));
            }
        }
        series
    }
}

/// Whether a series has a place in the rollups. Processes come and go: an hour of thousands of them says nothing.
fn is_rolled_up(metric: &Metric) -> bool {
    metric.dimension() != Dimension::Process
}

/// Where the samples of a chunk stand.
pub(super) fn positions(head: &Head) -> Result<Vec<Position>, ChunkError> {
    let times = head.timestamps()?.into_iter();
    Ok(times
        .zip(head.ids())
        .map(|(timestamp, id)| Position { timestamp, id })
        .collect())
}

/// The hours of samples in order, each with its samples.
fn hours(places: &[Position]) -> Vec<(UnixMillis, Range<usize>)> {
    let of = |at: &Position| at.timestamp.floor(HOUR);
    let mut start = 0;
    let hours = places.chunk_by(|one, next| of(one) == of(next)).map(|hour| {
        let points = start..start + hour.len();
        start = points.end;
        (of(&hour[0]), points)
    });
    hours.collect()
}
