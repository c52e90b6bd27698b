//! Several chunks of one agent into others, column by column: no sample is made on the way.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use nodeglass_model::catalogue::Dimension;
use nodeglass_model::{SampleId, UnixMillis};

use super::directory::{Basics, Section, id_runs};
use super::gather::{Gathered, Series, Track};
use super::lists::{Numbering, Timeline};
use super::piece::Numbers;
use super::{Chunk, ChunkError, Effort, EncodeError, Encoder, Parts};

/// Stands for the place of a point that is not taken.
const NOWHERE: u32 = u32::MAX;

/// Why chunks can't be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// One of them holds what no encoder wrote.
    #[error("a chunk to be merged can't be read")]
    Chunk(#[from] ChunkError),
    /// What they hold doesn't go into one: take fewer points at once.
    #[error("merged chunks can't be written")]
    Encode(#[from] EncodeError),
}

/// The samples of several chunks in the order in which they are kept: by time and then identity, each once. Of a sample
/// that is in two of them, that of the first counts; one of another time is another sample, as it is in the store.
///
/// Metrics and kinds of devices that this program doesn't know are left out of what is made, as they are from samples.
pub struct Merge<'c> {
    chunks: &'c [Chunk<'c>],
    points: Vec<Point>,
    duplicates: usize,
}

/// Where a sample is.
#[derive(Debug, Clone, Copy)]
struct Point {
    time: UnixMillis,
    id: SampleId,
    chunk: u32,
    /// Its number in that chunk.
    at: u32,
}

impl<'c> Merge<'c> {
    /// Puts the samples of these chunks in order.
    ///
    /// # Errors
    /// A chunk whose times no encoder wrote.
    pub fn of(chunks: &'c [Chunk<'c>]) -> Result<Self, ChunkError> {
        let mut points = Vec::with_capacity(chunks.iter().map(|chunk| chunk.len()).sum());
        for (number, chunk) in (0..).zip(chunks) {
            let times = chunk.timestamps()?.into_iter();
            points.extend((0..).zip(chunk.ids()).zip(times).map(|((at, id), time)| Point {
                time,
                id,
                chunk: number,
                at,
            }));
        }
        let all = points.len();
        // Stable: of two that are one, that of the first chunk stays in front.
        points.sort_by_key(|point| (point.time, point.id.epoch, point.id.seq));
        points.dedup_by_key(|point| (point.time, point.id));
        let duplicates = all - points.len();
        Ok(Self {
            chunks,
            points,
            duplicates,
        })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// How many samples were in a chunk before, too, and are left out.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// The identities and times of the samples, in order.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (SampleId, UnixMillis)> {
        self.points.iter().map(|point| (point.id, point.time))
    }

    /// Makes a chunk of some of the samples. Takes some 40 bytes for each of their figures while it works.
    ///
    /// # Errors
    /// A chunk that no encoder wrote; or samples that don't go into one, as [`Encoder::parts`] says.
    ///
    /// # Panics
    /// If there are not so many samples.
    pub fn parts(
        &self,
        encoder: &mut Encoder,
        range: Range<usize>,
        effort: Effort,
    ) -> Result<Parts, MergeError> {
        let points = &self.points[range];
        let basics = Basics {
            points: Encoder::count(points.len())?,
            ids: id_runs(points.iter().map(|point| point.id)),
            ..Basics::default()
        };
        let times: Vec<i64> = points.iter().map(|point| point.time.0).collect();
        let mut gatherer = Gatherer::default();
        let mut failures = vec![0; points.len()];
        for (number, chunk) in (0..).zip(self.chunks) {
            let mut places = vec![NOWHERE; chunk.len()];
            let of_chunk = (0..).zip(points).filter(|(_, point)| point.chunk == number);
            let mut is_there = false;
            for (place, point) in of_chunk {
                places[point.at as usize] = place;
                is_there = true;
            }
            if is_there {
                gatherer.add(chunk, &places, &mut failures)?;
            }
        }
        Ok(encoder.finish(basics, &times, gatherer.finish(&failures), effort)?)
    }
}

/// Columns of several chunks, put together.
#[derive(Default)]
struct Gatherer<'c> {
    numbers: HashMap<(Dimension, &'c str), usize>,
    loose: Vec<Loose<'c>>,
    numbering: Numbering,
}

/// A device whose values are not in order yet.
struct Loose<'c> {
    track: Track<'c>,
    /// The places at which it was there, with the list of its attributes.
    places: Vec<(u32, u32)>,
    /// The place of each value of each of its series.
    of_series: Vec<Vec<u32>>,
}

impl<'c> Gatherer<'c> {
    /// Adds a chunk, whose points go to these places.
    fn add(&mut self, chunk: &'c Chunk<'_>, places: &[u32], failures: &mut [u32]) -> Result<(), ChunkError> {
        let descriptions = chunk.descriptions()?;
        let mut lists = Translation::default();
        let of_points = descriptions.failures.cursor().zip(places);
        for (list, place) in of_points.filter(|(_, place)| **place != NOWHERE) {
            failures[*place as usize] = lists.of_failures(list, descriptions, &mut self.numbering);
        }
        let mut lists = Translation::default();
        let mut attributes = descriptions.attributes.iter();
        for section in [&chunk.head.opened.own, chunk.shared()?] {
            for group in &section.groups {
                let mut cells = Vec::with_capacity(group.cells as usize);
                // Where the cells of each device end, and where the device is here.
                let mut ends = Vec::with_capacity(group.devices.len());
                for device in section.devices(group) {
                    let timeline = attributes.next().map(Timeline::cursor).unwrap_or_default();
                    let known = Dimension::from_number(device.dimension);
                    let loose = known.map(|dimension| self.find(dimension, section.label(device)));
                    for (point, list) in device.points.places().zip(timeline) {
                        let place = places[point as usize];
                        cells.push(place);
                        if let Some(loose) = loose.filter(|_| place != NOWHERE) {
                            let list = lists.of_attributes(list, descriptions, &mut self.numbering);
                            self.loose[loose].places.push((place, list));
                        }
                    }
                    ends.push((cells.len() as u32, loose));
                }
                self.add_columns(chunk, section, group, &cells, &ends)?;
            }
        }
        Ok(())
    }

    fn add_columns(
        &mut self,
        chunk: &'c Chunk<'_>,
        section: &'c Section,
        group: &'c super::directory::Group,
        cells: &[u32],
        ends: &[(u32, Option<usize>)],
    ) -> Result<(), ChunkError> {
        for (metric, column) in chunk.known_of(section, group) {
            let metrics = metric.dimension().metrics();
            let Ok(at) = metrics.binary_search_by_key(&metric.id, |metric| metric.id) else {
                continue;
            };
            let numbers = column.numbers(chunk.slice(column.span())?)?;
            let mut devices = ends.iter();
            let mut device = devices.next();
            for (number, cell) in column.cells().places().enumerate() {
                while device.is_some_and(|(end, _)| *end <= cell) {
                    device = devices.next();
                }
                let place = cells[cell as usize];
                if let (Some((_, Some(loose))), true) = (device, place != NOWHERE) {
                    let loose = &mut self.loose[*loose];
                    loose.of_series[at].push(place);
                    loose.track.series[at].push(&numbers, number);
                }
            }
        }
        Ok(())
    }

    /// Where a device is here; it is added if it is new.
    fn find(&mut self, dimension: Dimension, label: &'c str) -> usize {
        let new = self.loose.len();
        let number = *self.numbers.entry((dimension, label)).or_insert(new);
        if number == new {
            self.loose.push(Loose {
                track: Track::new(dimension, Cow::Borrowed(label), 0),
                places: Vec::new(),
                of_series: vec![Vec::new(); dimension.metrics().len()],
            });
        }
        number
    }

    fn finish(mut self, failures: &[u32]) -> Gathered<'c> {
        let mut gathered = Gathered::default();
        // Lists of failures were numbered from 1, so that 0 is none.
        let none = self.numbering.list(Vec::new());
        for list in failures {
            gathered.failures.push(list.checked_sub(1).unwrap_or(none));
        }
        gathered.numbering = self.numbering;
        let tracks = self.loose.into_iter().map(Loose::finish);
        gathered.tracks = tracks.filter(|track| track.cells > 0).collect();
        gathered.tracks.sort_by_key(|track| track.dimension);
        gathered
    }
}

impl<'c> Loose<'c> {
    /// Puts everything in order.
    fn finish(mut self) -> Track<'c> {
        // A chunk has a device once; whoever wrote it twice meant the last.
        self.places.sort_by_key(|(place, _)| *place);
        self.places.dedup_by(|next, before| {
            let is_same = next.0 == before.0;
            if is_same {
                before.1 = next.1;
            }
            is_same
        });
        for (place, list) in &self.places {
            self.track.points.add(*place..*place + 1);
            self.track.attributes.push(*list);
        }
        self.track.cells = self.places.len() as u32;
        for (series, places) in self.track.series.iter_mut().zip(&mut self.of_series) {
            if !places.is_sorted_by(|one, next| one < next) {
                series.reorder(places);
            }
            let mut cells = (0..).zip(&self.places);
            for place in places {
                if let Some((cell, _)) = cells.find(|(_, (at, _))| at == place) {
                    series.cells.add(cell..cell + 1);
                }
            }
        }
        self.track
    }
}

impl Series {
    /// Adds one of some numbers, whatever they are, without saying where it belongs.
    #[inline]
    fn push(&mut self, numbers: &Numbers, number: usize) {
        match (&mut self.numbers, numbers) {
            (Numbers::Steps(all), Numbers::Steps(steps)) => all.push(steps[number]),
            (Numbers::Floats(all), Numbers::Steps(steps)) => {
                all.push(self.metric.unit.of_steps(steps[number]));
            }
            (_, Numbers::Floats(floats)) => self.floats().push(floats[number]),
        }
    }

    /// Puts the numbers in the order of their places; of two at one place the last counts.
    fn reorder(&mut self, places: &mut Vec<u32>) {
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|at| places[*at]);
        let mut kept: Vec<usize> = Vec::with_capacity(order.len());
        for at in order {
            match kept.last_mut() {
                Some(last) if places[*last] == places[at] => *last = at,
                _ => kept.push(at),
            }
        }
        self.numbers = match &self.numbers {
            Numbers::Steps(all) => Numbers::Steps(kept.iter().map(|at| all[*at]).collect()),
            Numbers::Floats(all) => Numbers::Floats(kept.iter().map(|at| all[*at]).collect()),
        };
        *places = kept.iter().map(|at| places[*at]).collect();
    }
}

/// The numbers that lists of a chunk have here, each found once.
#[derive(Default)]
struct Translation(HashMap<u32, u32>);

impl Translation {
    /// One more than the number of a list of failures.
    fn of_failures(
        &mut self,
        list: u32,
        descriptions: &super::directory::Descriptions,
        numbering: &mut Numbering,
    ) -> u32 {
        *self.0.entry(list).or_insert_with(|| {
            let pairs = descriptions.list(list).iter();
            let pairs = pairs.map(|(collector, reason)| {
                let collector = numbering.text(descriptions.text(*collector));
                (collector, numbering.text(descriptions.text(*reason)))
            });
            let pairs = pairs.collect();
            1 + numbering.list(pairs)
        })
    }

    fn of_attributes(
        &mut self,
        list: u32,
        descriptions: &super::directory::Descriptions,
        numbering: &mut Numbering,
    ) -> u32 {
        *self.0.entry(list).or_insert_with(|| {
            let pairs = descriptions.list(list).iter();
            let pairs = pairs.map(|(attribute, text)| (*attribute, numbering.text(descriptions.text(*text))));
            let pairs = pairs.collect();
            numbering.list(pairs)
        })
    }
}
