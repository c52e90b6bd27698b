//! Samples into columns: for each device the points at which it was there, its attributes and its values.

use std::borrow::Cow;
use std::collections::HashMap;

use nodeglass_model::catalogue::{Dimension, Metric, Unit};
use nodeglass_model::{Sample, SampleId};

use super::lists::{Numbering, Timeline};
use super::piece::Numbers;
use super::presence::Presence;

/// The most that is set aside for the values of a series at first; most devices stay.
const FIRST_VALUES: usize = 64;

/// Samples as columns.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    /// By dimension, and within it in the order in which they were first seen.
    pub(super) tracks: Vec<Track<'a>>,
    pub(super) failures: Timeline,
    pub(super) numbering: Numbering,
}

/// One device over the points.
pub(super) struct Track<'a> {
    pub(super) dimension: Dimension,
    pub(super) label: Cow<'a, str>,
    pub(super) points: Presence,
    /// How many points those are; each is a cell of its series.
    pub(super) cells: u32,
    pub(super) attributes: Timeline,
    /// One for each metric of the dimension, by rising number; those without values are empty.
    pub(super) series: Vec<Series>,
}

/// One metric of one device.
pub(super) struct Series {
    pub(super) metric: &'static Metric,
    pub(super) cells: Presence,
    pub(super) numbers: Numbers,
    likely_values: usize,
}

/// A device's track, and the list of its attributes at one point.
#[derive(Clone, Copy)]
struct Place {
    track: usize,
    attributes: u32,
}

/// The devices of one dimension, in their order in the sample before and in this one so far; `None` for one without
/// figures. One that stands where it stood and is described as it was needs no look-up.
#[derive(Default)]
struct Seen {
    before: Vec<Option<Place>>,
    now: Vec<Option<Place>>,
}

/// Goes through the samples once. Values that are not finite count as absent.
pub(super) fn gather(samples: &[(SampleId, Sample)]) -> Gathered<'_> {
    let mut gathered = Gathered::default();
    let empty = gathered.numbering.list(Vec::new());
    let mut numbers = HashMap::new();
    let mut seen: [Seen; Dimension::ALL.len()] = Default::default();
    let likely_values = samples.len().min(FIRST_VALUES);
    let mut before: Option<&Sample> = None;
    for (point, (_, sample)) in (0..).zip(samples) {
        gathered.add_failures(sample, empty);
        for (dimension, seen) in Dimension::ALL.into_iter().zip(&mut seen) {
            std::mem::swap(&mut seen.before, &mut seen.now);
            seen.now.clear();
            for index in 0..dimension.len(sample) {
                let metrics = dimension.metrics().iter().enumerate();
                let mut figures = metrics.filter_map(|(at, metric)| {
                    let value = metric.value(sample, index)?;
                    value.is_finite().then_some((at, value))
                });
                let Some(first) = figures.next() else {
                    seen.now.push(None);
                    continue;
                };
                let is_same = |before: &Sample| dimension.is_same((before, index), (sample, index));
                let place = match (before, seen.before.get(index).copied().flatten()) {
                    (Some(before), Some(place)) if is_same(before) => place,
                    _ => gathered.find(&mut numbers, dimension, (sample, index), likely_values),
                };
                seen.now.push(Some(place));
                let track = &mut gathered.tracks[place.track];
                if track.points.last() != Some(point) {
                    track.points.add(point..point + 1);
                    track.cells += 1;
                    track.attributes.push(place.attributes);
                }
                let cell = track.cells - 1;
                track.series[first.0].add(cell, first.1);
                for (at, value) in figures {
                    track.series[at].add(cell, value);
                }
            }
        }
        before = Some(sample);
    }
    gathered.tracks.sort_by_key(|track| track.dimension);
    gathered
}

impl<'a> Gathered<'a> {
    fn add_failures(&mut self, sample: &Sample, empty: u32) {
        let numbering = &mut self.numbering;
        let mut list = empty;
        if !sample.failures.is_empty() {
            let failures = sample.failures.iter();
            let pairs = failures.map(|it| (numbering.text(&it.collector), numbering.text(&it.reason)));
            let pairs = pairs.collect();
            list = numbering.list(pairs);
        }
        self.failures.push(list);
    }

    /// Finds the track of a device, which is added if it is new.
    fn find(
        &mut self,
        numbers: &mut HashMap<(Dimension, Cow<'a, str>), usize>,
        dimension: Dimension,
        (sample, index): (&'a Sample, usize),
        likely_values: usize,
    ) -> Place {
        let label = dimension.label(sample, index);
        let new = self.tracks.len();
        let track = *numbers.entry((dimension, label.clone())).or_insert(new);
        if track == new {
            self.tracks.push(Track::new(dimension, label, likely_values));
        }
        let attributes = dimension.attributes(sample, index).into_iter();
        let pairs = attributes.map(|(attribute, text)| (attribute as u32, self.numbering.text(text)));
        let pairs = pairs.collect();
        Place {
            track,
            attributes: self.numbering.list(pairs),
        }
    }
}

impl<'a> Track<'a> {
    /// One that was nowhere yet.
    pub(super) fn new(dimension: Dimension, label: Cow<'a, str>, likely_values: usize) -> Self {
        let series = |metric: &&'static Metric| Series {
            metric,
            cells: Presence::default(),
            numbers: Numbers::Steps(Vec::new()),
            likely_values,
        };
        Self {
            dimension,
            label,
            points: Presence::default(),
            cells: 0,
            attributes: Timeline::default(),
            series: dimension.metrics().iter().map(series).collect(),
        }
    }
}

impl Series {
    /// Adds the value at a cell, which is the last or comes after it.
    #[inline]
    pub(super) fn add(&mut self, cell: u32, value: f64) {
        match (&mut self.numbers, exact_steps(self.metric.unit, value)) {
            (Numbers::Steps(all), Some(steps)) => {
                if all.is_empty() {
                    all.reserve(self.likely_values);
                }
                all.push(steps);
            }
            (Numbers::Floats(all), _) => all.push(value),
            (Numbers::Steps(_), None) => self.floats().push(value),
        }
        // A second device with the same label: the last value counts.
        if self.cells.last() == Some(cell) {
            let before = self.numbers.len() - 2;
            match &mut self.numbers {
                Numbers::Steps(all) => drop(all.remove(before)),
                Numbers::Floats(all) => drop(all.remove(before)),
            }
        } else {
            self.cells.add(cell..cell + 1);
        }
    }

    /// Its values, as floats from now on.
    pub(super) fn floats(&mut self) -> &mut Vec<f64> {
        if let Numbers::Steps(steps) = &mut self.numbers {
            let steps = Numbers::Steps(std::mem::take(steps));
            self.numbers = Numbers::Floats(steps.into_values(self.metric.unit));
        }
        match &mut self.numbers {
            Numbers::Floats(floats) => floats,
            Numbers::Steps(_) => unreachable!("they were made floats"),
        }
    }
}

/// The whole steps that a value is, if it is any number of them: then it comes back bit for bit. A zero has no sign.
#[inline]
fn exact_steps(unit: Unit, value: f64) -> Option<i64> {
    // Up to here, adding and taking away this rounds to a whole number.
    const ROUNDER: f64 = 6_755_399_441_055_744.0;
    const LIMIT: f64 = 1_125_899_906_842_624.0;
    let per_unit = unit.steps();
    let scaled = value * f64::from(per_unit);
    let steps = if scaled.abs() < LIMIT {
        ((scaled + ROUNDER) - ROUNDER) as i64
    } else {
        unit.to_steps(value)
    };
    let back = if per_unit == 1 {
        steps as f64
    } else {
        unit.of_steps(steps)
    };
    (back == value).then_some(steps)
}
