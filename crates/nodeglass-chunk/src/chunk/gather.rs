//! Samples into columns: for each device the points at which it was there, its attributes and its values.

use std::borrow::Cow;
use std::collections::HashMap;

use nodeglass_model::catalogue::{Dimension, Metric};
use nodeglass_model::{Sample, SampleId};

use super::lists::{Numbering, Timeline};
use super::presence::Presence;

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
    /// By rising number of their metric.
    pub(super) series: Vec<Series>,
}

/// One metric of one device.
pub(super) struct Series {
    pub(super) metric: &'static Metric,
    pub(super) cells: Presence,
    /// In steps.
    pub(super) values: Vec<i64>,
}

/// Goes through the samples once.
pub(super) fn gather(samples: &[(SampleId, Sample)]) -> Gathered<'_> {
    let mut gathered = Gathered::default();
    let mut finder = Finder::default();
    for (point, (_, sample)) in (0..).zip(samples) {
        let numbering = &mut gathered.numbering;
        let failures = sample.failures.iter();
        let pairs = failures.map(|it| (numbering.text(&it.collector), numbering.text(&it.reason)));
        let list = pairs.collect();
        gathered.failures.push(numbering.list(list));
        finder.begin();
        for dimension in Dimension::ALL {
            for index in 0..dimension.len(sample) {
                let figures = dimension.metrics().iter();
                let mut figures = figures
                    .filter_map(|metric| Some((*metric, metric.steps(sample, index)?)))
                    .peekable();
                if figures.peek().is_none() {
                    continue;
                }
                let label = dimension.label(sample, index);
                let track = finder.find(&mut gathered.tracks, dimension, label);
                if track.points.last() != Some(point) {
                    track.points.add(point..point + 1);
                    track.cells += 1;
                    let attributes = dimension.attributes(sample, index).into_iter();
                    let pairs = attributes.map(|(attribute, text)| (attribute as u32, numbering.text(text)));
                    let list = pairs.collect();
                    track.attributes.push(numbering.list(list));
                }
                track.add(figures);
            }
        }
    }
    gathered.tracks.sort_by_key(|track| track.dimension);
    gathered
}

/// Finds the track of a device.
#[derive(Default)]
struct Finder<'a> {
    numbers: HashMap<(Dimension, Cow<'a, str>), usize>,
    /// The tracks of the sample before, in its order, and of this one so far: devices mostly come in the same order, so
    /// they are looked for there first.
    before: Vec<usize>,
    now: Vec<usize>,
}

impl<'a> Finder<'a> {
    /// Begins with the next sample.
    fn begin(&mut self) {
        std::mem::swap(&mut self.before, &mut self.now);
        self.now.clear();
    }

    /// The track of this device, which is added if it is new.
    fn find<'t>(
        &mut self,
        tracks: &'t mut Vec<Track<'a>>,
        dimension: Dimension,
        label: Cow<'a, str>,
    ) -> &'t mut Track<'a> {
        let likely = self.before.get(self.now.len()).copied();
        let likely = likely.filter(|number| {
            let track = &tracks[*number];
            track.dimension == dimension && track.label == label
        });
        let number = likely.unwrap_or_else(|| {
            let new = tracks.len();
            let number = *self.numbers.entry((dimension, label.clone())).or_insert(new);
            if number == new {
                tracks.push(Track {
                    dimension,
                    label,
                    points: Presence::default(),
                    cells: 0,
                    attributes: Timeline::default(),
                    series: Vec::new(),
                });
            }
            number
        });
        self.now.push(number);
        &mut tracks[number]
    }
}

impl Track<'_> {
    /// Adds figures to the last cell; they come by rising number of their metric.
    fn add(&mut self, figures: impl Iterator<Item = (&'static Metric, i64)>) {
        let cell = self.cells - 1;
        let mut at = 0;
        for (metric, steps) in figures {
            let lower = |series: &&Series| series.metric.id < metric.id;
            at += self.series[at..].iter().take_while(lower).count();
            if self
                .series
                .get(at)
                .is_none_or(|series| series.metric.id != metric.id)
            {
                let series = Series {
                    metric,
                    cells: Presence::default(),
                    values: Vec::new(),
                };
                self.series.insert(at, series);
            }
            let series = &mut self.series[at];
            // A second device with the same label: the last value counts.
            if series.cells.last() == Some(cell) {
                series.values.pop();
            } else {
                series.cells.add(cell..cell + 1);
            }
            series.values.push(steps);
        }
    }
}
