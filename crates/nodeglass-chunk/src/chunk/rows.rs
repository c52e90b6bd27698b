//! Columns back into samples, one at a time.

use std::vec;

use nodeglass_model::catalogue::{Attribute, Dimension, Metric};
use nodeglass_model::sample::CollectFailure;
use nodeglass_model::{Sample, SampleId, UnixMillis};

use super::directory::Descriptions;
use super::lists::{Cursor, Timeline};
use super::presence::Presence;
use super::{Chunk, ChunkError};

/// The samples of a [`Chunk`]: all that could go wrong has gone right by the time there is one.
pub struct Rows<'a> {
    descriptions: &'a Descriptions,
    points: vec::IntoIter<(SampleId, UnixMillis)>,
    failures: Cursor<'a>,
    devices: Vec<WantedDevice<'a>>,
    /// The values of each wanted column, at the cells of its group,
    columns: Vec<Vec<Option<f64>>>,
    /// The wanted devices that were there, by number in `devices`, with their cell: for the points to come.
    present: vec::IntoIter<(u32, u32)>,
    /// How many of those belong to each point.
    counts: vec::IntoIter<u32>,
    frame: Frame,
}

struct WantedDevice<'a> {
    dimension: Dimension,
    label: &'a str,
    attributes: Cursor<'a>,
    points: &'a Presence,
    /// Its first cell in the columns of its group.
    first_cell: u32,
    /// Its metrics, with the number of their column.
    metrics: Vec<(&'static Metric, usize)>,
}

/// A sample without its values. Devices seldom change from one point to the next, and finding their places in a sample
/// is most of the work.
#[derive(Default)]
struct Frame {
    sample: Sample,
    /// The devices in it, each with its list of attributes.
    devices: Vec<(u32, u32)>,
    /// Where each of them stands.
    places: Vec<usize>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        chunk: &'a Chunk<'_>,
        mut wanted: impl FnMut(&Metric, &str) -> bool,
    ) -> Result<Self, ChunkError> {
        let descriptions = chunk.descriptions()?;
        let mut attributes = descriptions.attributes.iter();
        let mut columns = Vec::new();
        let mut devices = Vec::new();
        for section in [&chunk.head.opened.own, chunk.shared()?] {
            for group in &section.groups {
                let dimension = Dimension::from_number(group.dimension);
                let mut first_cell = 0;
                let mut members: Vec<WantedDevice<'_>> = Vec::with_capacity(group.devices.len());
                for device in section.devices(group) {
                    let timeline = attributes.next();
                    members.push(WantedDevice {
                        dimension: dimension.unwrap_or(Dimension::Host),
                        label: section.label(device),
                        attributes: timeline.map(Timeline::cursor).unwrap_or_default(),
                        points: &device.points,
                        first_cell,
                        metrics: Vec::new(),
                    });
                    first_cell += device.points.count();
                }
                for (metric, column) in chunk.known_of(section, group) {
                    let mut is_wanted = false;
                    for device in &mut members {
                        if wanted(metric, device.label) {
                            device.metrics.push((metric, columns.len()));
                            is_wanted = true;
                        }
                    }
                    if is_wanted {
                        let values = column.read(chunk.slice(column.span())?)?;
                        columns.push(values.by_cell());
                    }
                }
                devices.extend(members.into_iter().filter(|device| !device.metrics.is_empty()));
            }
        }
        devices.sort_by_key(|device| device.dimension);
        let (counts, present) = by_point(&devices, chunk.len());
        let points: Vec<_> = chunk.ids().zip(chunk.timestamps()?).collect();
        Ok(Self {
            descriptions,
            points: points.into_iter(),
            failures: descriptions.failures.cursor(),
            devices,
            columns,
            present: present.into_iter(),
            counts: counts.into_iter(),
            frame: Frame::default(),
        })
    }

    /// Makes the frame one of these devices.
    fn frame(&mut self, devices: Vec<(u32, u32)>) {
        if self.frame.devices == devices {
            return;
        }
        let mut sample = Sample::default();
        let mut places = Vec::with_capacity(devices.len());
        for (number, attributes) in &devices {
            let device = &self.devices[*number as usize];
            // A chunk has each device once; but a disk may stand in the entry of its mount.
            let place = if device.dimension.holder() == device.dimension {
                device.dimension.add(&mut sample, device.label)
            } else {
                device.dimension.find_or_add(&mut sample, device.label)
            };
            for (attribute, text) in self.descriptions.list(*attributes) {
                if let Some(attribute) = u8::try_from(*attribute).ok().and_then(Attribute::from_number) {
                    let text = self.descriptions.text(*text);
                    device.dimension.describe(&mut sample, place, attribute, text);
                }
            }
            places.push(place);
        }
        self.frame = Frame {
            sample,
            devices,
            places,
        };
    }
}

/// How many devices were there at each point, and which, with the cell that each had.
fn by_point(devices: &[WantedDevice<'_>], points: usize) -> (Vec<u32>, Vec<(u32, u32)>) {
    let mut counts = vec![0_u32; points];
    for point in devices.iter().flat_map(|device| device.points.places()) {
        counts[point as usize] += 1;
    }
    let mut total = 0;
    let mut next: Vec<usize> = Vec::with_capacity(points);
    for count in &counts {
        next.push(total);
        total += *count as usize;
    }
    let mut present = vec![(0, 0); total];
    for (number, device) in (0..).zip(devices) {
        for (cell, point) in (device.first_cell..).zip(device.points.places()) {
            present[next[point as usize]] = (number, cell);
            next[point as usize] += 1;
        }
    }
    (counts, present)
}

impl Iterator for Rows<'_> {
    type Item = (SampleId, Sample);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, timestamp) = self.points.next()?;
        let count = self.counts.next()? as usize;
        let present: Vec<_> = self.present.by_ref().take(count).collect();
        let mut devices = Vec::with_capacity(count);
        for (device, _) in &present {
            devices.push((*device, self.devices[*device as usize].attributes.next()?));
        }
        self.frame(devices);
        let mut sample = self.frame.sample.clone();
        sample.timestamp = timestamp;
        for ((device, cell), place) in present.into_iter().zip(&self.frame.places) {
            for (metric, column) in &self.devices[device as usize].metrics {
                if let Some(value) = self.columns[*column][cell as usize] {
                    metric.set(&mut sample, *place, value);
                }
            }
        }
        let failures = self.failures.next()?;
        for (collector, reason) in self.descriptions.list(failures) {
            sample.failures.push(CollectFailure {
                collector: self.descriptions.text(*collector).to_owned(),
                reason: self.descriptions.text(*reason).to_owned(),
            });
        }
        Some((id, sample))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.points.size_hint()
    }
}

impl ExactSizeIterator for Rows<'_> {}
