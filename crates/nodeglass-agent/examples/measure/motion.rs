//! Samples that move as recorded ones did, for as long as one likes and the same each time.
//!
//! It wanders over the record, to the second before or after or none, and every series moves as it did in the second where
//! it comes to: a rate takes that second's value, a level or a counter makes that second's step. Each move is stretched or shrunk by up to a tenth, so
//! that no value comes back because the record is short; what stood still stands still. Levels that have strayed far from
//! where they were seen turn round. Devices and texts are those of that second.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use nodeglass_collect::Depth;
use nodeglass_model::catalogue::{self, Dimension, Kind, Metric, MetricId};
use nodeglass_model::rates::to_step;
use nodeglass_model::{Sample, UnixMillis};

/// How far a level may stray from where it was seen, in widths of the range in which it was seen.
const STRAY: f64 = 16.0;

/// How many values a sample has.
pub(crate) fn values(sample: &Sample) -> usize {
    catalogue::devices(sample)
        .map(|device| device.values(sample).count())
        .sum()
}

/// A series by the place that it has here.
type Place = usize;

/// One second that was recorded.
struct Second {
    sample: Sample,
    /// Every value, where it stands in the sample, and what it had grown by.
    moves: Vec<Move>,
}

struct Move {
    metric: &'static Metric,
    index: usize,
    place: Place,
    value: f64,
    step: f64,
}

/// A level or a counter where it is now, and where it may be.
struct Series {
    now: f64,
    seen: RangeInclusive<f64>,
}

/// Goes on from what was recorded.
pub(crate) struct Motion {
    /// Light ones, and full ones.
    seconds: [Vec<Second>; 2],
    /// Where it is among them.
    here: [usize; 2],
    series: Vec<Series>,
    random: Random,
}

impl Motion {
    /// One that moves as `recorded` did.
    pub(crate) fn new(recorded: Vec<(Depth, Sample)>) -> Self {
        let mut places: HashMap<(MetricId, String), Place> = HashMap::new();
        let mut series: Vec<Series> = Vec::new();
        let mut before: HashMap<Place, f64> = HashMap::new();
        let mut seconds = [Vec::new(), Vec::new()];
        for (depth, sample) in recorded {
            let mut moves = Vec::new();
            for (metric, index, value) in each_value(&sample) {
                let label = metric.dimension().label(&sample, index).into_owned();
                let place = *places.entry((metric.id, label)).or_insert_with(|| {
                    series.push(Series {
                        now: value,
                        seen: value..=value,
                    });
                    series.len() - 1
                });
                let seen = &mut series[place].seen;
                *seen = seen.start().min(value)..=seen.end().max(value);
                // Full samples are rarer: what only they have made its step since the last of them.
                let step = before.insert(place, value).map_or(0.0, |before| value - before);
                moves.push(Move {
                    metric,
                    index,
                    place,
                    value,
                    step,
                });
            }
            seconds[usize::from(depth == Depth::Full)].push(Second { sample, moves });
        }
        Self {
            seconds,
            here: [0; 2],
            series,
            random: Random(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// The next sample, taken at `at`. One of such a depth must have been recorded.
    pub(crate) fn next(&mut self, at: UnixMillis, depth: Depth) -> Sample {
        let kind = usize::from(depth == Depth::Full);
        let last = self.seconds[kind].len() - 1;
        let here = &mut self.here[kind];
        *here = match self.random.below(3) {
            0 => here.saturating_sub(1),
            1 => (*here + 1).min(last),
            _ => *here,
        };
        let second = &self.seconds[kind][*here];
        let mut sample = second.sample.clone();
        sample.timestamp = at;
        for Move {
            metric,
            index,
            place,
            value,
            step,
        } in &second.moves
        {
            let stretch = 0.9 + 0.2 * self.random.part();
            let series = &mut self.series[*place];
            let range = metric.unit.range();
            let moved = match metric.kind {
                Kind::Rate => value * stretch,
                Kind::Counter => series.now + step.max(0.0) * stretch,
                Kind::Level => series.now + series.turned(*step) * stretch,
            };
            let moved = to_step(moved.clamp(*range.start(), *range.end()), metric.unit.steps());
            series.now = moved;
            metric.set(&mut sample, *index, moved);
        }
        sample
    }
}

impl Series {
    /// A step, towards where the level was seen if it has strayed from there.
    fn turned(&self, step: f64) -> f64 {
        let (low, high) = (*self.seen.start(), *self.seen.end());
        let room = (high - low) * STRAY;
        if self.now > high + room {
            -step.abs()
        } else if self.now < low - room {
            step.abs()
        } else {
            step
        }
    }
}

/// Moves every third level and counter by one step of its unit.
pub(crate) fn step_each_third(sample: &mut Sample) {
    let stepping: Vec<_> = each_value(sample)
        .filter(|(metric, ..)| metric.kind != Kind::Rate)
        .step_by(3)
        .collect();
    for (metric, index, value) in stepping {
        let steps = f64::from(metric.unit.steps());
        let stepped = to_step(value + 1.0 / steps, metric.unit.steps());
        if metric.unit.range().contains(&stepped) {
            metric.set(sample, index, stepped);
        }
    }
}

fn each_value(sample: &Sample) -> impl Iterator<Item = (&'static Metric, usize, f64)> {
    Dimension::ALL.into_iter().flat_map(move |kind| {
        (0..kind.len(sample)).flat_map(move |index| {
            let metrics = kind.metrics().iter();
            metrics.filter_map(move |metric| Some((*metric, index, metric.value(sample, index)?)))
        })
    })
}

/// A small generator of numbers that look random (xorshift64*): the same ones each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
