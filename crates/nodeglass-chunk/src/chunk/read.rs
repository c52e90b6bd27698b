//! A chunk that was opened: what is in it, and one series of it.

use nodeglass_model::catalogue::{self, Dimension, Metric, MetricId};
use nodeglass_model::{Sample, SampleId, TimeRange, UnixMillis};

use super::directory::{Column, Directory, Group};
use super::{ChunkError, MAGIC, MAX_DIRECTORY_BYTES, Rows, VERSION, piece, zip};
use crate::varint::Reader;

/// A chunk whose directory was read. Values are read when they are asked for, each series by itself.
#[derive(Debug)]
pub struct Chunk<'a> {
    pub(super) directory: Directory,
    pieces: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Reads the directory.
    ///
    /// # Errors
    /// Bytes that no [`Encoder`](super::Encoder) wrote, or a newer one than this program knows; keep them aside and
    /// report them, they are not worth a second try.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != MAGIC {
            return Err(ChunkError::NotAChunk);
        }
        let version = reader.byte()?;
        if version != VERSION {
            return Err(ChunkError::Version(version));
        }
        let size = usize::try_from(reader.unsigned()?)
            .ok()
            .filter(|size| *size <= MAX_DIRECTORY_BYTES)
            .ok_or(ChunkError::Malformed("a larger directory than a chunk may have"))?;
        let zipped = reader.unsigned()?;
        let directory = zip::unzip(reader.bytes(zipped)?, size)?;
        let pieces = reader.rest();
        Ok(Self {
            directory: Directory::read(&directory, pieces.len())?,
            pieces,
        })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.directory.points as usize
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.directory.points == 0
    }

    /// From the earliest sample to just after the latest, in whatever order they are. `None` without samples.
    pub fn time_range(&self) -> Option<TimeRange> {
        let Directory { earliest, span, .. } = self.directory;
        (!self.is_empty()).then(|| TimeRange {
            start: UnixMillis(earliest),
            end: UnixMillis(earliest.saturating_add_unsigned(span).saturating_add(1)),
        })
    }

    /// The identities of the samples, in order.
    pub fn ids(&self) -> impl Iterator<Item = SampleId> {
        self.directory.ids.iter().flat_map(|run| {
            (0..run.count).map(|after| SampleId {
                epoch: run.first.epoch,
                seq: run.first.seq.wrapping_add(u64::from(after)),
            })
        })
    }

    /// The times of the samples, in order.
    ///
    /// # Errors
    /// A piece that no encoder wrote.
    pub fn timestamps(&self) -> Result<Vec<UnixMillis>, ChunkError> {
        let times = match self.directory.times {
            Some(times) => piece::values(times, self.pieces, self.len(), &self.directory.pco_header)?,
            None => Vec::new(),
        };
        Ok(times.into_iter().map(UnixMillis).collect())
    }

    /// The series there are, as metric and label of the device; those of the host have an empty one. Metrics that this
    /// program doesn't know are left out.
    pub fn series(&self) -> Vec<(&'static Metric, &str)> {
        let mut series = Vec::new();
        for group in &self.directory.groups {
            for (metric, column) in known(group) {
                let mut runs = column.cells.runs().iter().peekable();
                let mut start = 0;
                for member in &group.members {
                    let device = &self.directory.devices[*member as usize];
                    let end = start + device.points.count();
                    while runs.next_if(|run| run.end <= start).is_some() {}
                    if runs.peek().is_some_and(|run| run.start < end) {
                        series.push((metric, self.directory.text(device.label)));
                    }
                    start = end;
                }
            }
        }
        series
    }

    /// The values of one series at all points; `None` if the chunk doesn't have it. Only its own piece is read, or
    /// that which it shares with other devices that were there for a short time.
    ///
    /// # Errors
    /// A piece that no encoder wrote.
    pub fn column(&self, metric: &Metric, label: &str) -> Result<Option<Vec<Option<f64>>>, ChunkError> {
        let dimension = metric.dimension() as u8;
        let devices = &self.directory.devices;
        let is_it = |member: &u32| self.directory.text(devices[*member as usize].label) == label;
        for group in (self.directory.groups.iter()).filter(|group| group.dimension == dimension) {
            let Some(at) = group.members.iter().position(is_it) else {
                continue;
            };
            let Some((metric, column)) = known(group).find(|(known, _)| known.id == metric.id) else {
                continue;
            };
            let count = |member: &u32| devices[*member as usize].points.count();
            let first: u32 = group.members[..at].iter().map(count).sum();
            let cells = self.cells(group, column)?;
            let mut values = vec![None; self.len()];
            let points = devices[group.members[at] as usize].points.places();
            for (point, value) in points.zip(&cells[first as usize..]) {
                values[point as usize] = value.map(|steps| metric.unit.of_steps(steps));
            }
            return Ok(values.iter().any(Option::is_some).then_some(values));
        }
        Ok(None)
    }

    /// The samples, one after the other, with no figures but those that are wanted, and the devices that have them;
    /// `wanted` is asked once for each series. Failures are there always.
    ///
    /// # Errors
    /// A piece that no encoder wrote.
    pub fn rows(&self, wanted: impl FnMut(&Metric, &str) -> bool) -> Result<Rows<'_>, ChunkError> {
        Rows::new(self, wanted)
    }

    /// The samples, whole.
    ///
    /// # Errors
    /// A piece that no encoder wrote.
    pub fn samples(&self) -> Result<Vec<(SampleId, Sample)>, ChunkError> {
        Ok(self.rows(|_, _| true)?.collect())
    }

    /// The values of a column at each cell of its group, in steps.
    pub(super) fn cells(&self, group: &Group, column: &Column) -> Result<Vec<Option<i64>>, ChunkError> {
        let count = column.cells.count() as usize;
        let values = piece::values(column.piece, self.pieces, count, &self.directory.pco_header)?;
        let mut cells = vec![None; group.cells as usize];
        for (cell, value) in column.cells.places().zip(values) {
            cells[cell as usize] = Some(value);
        }
        Ok(cells)
    }
}

/// The columns of a group whose metric this program knows and has for such devices.
pub(super) fn known(group: &Group) -> impl Iterator<Item = (&'static Metric, &Column)> {
    let dimension = Dimension::from_number(group.dimension);
    group.columns.iter().filter_map(move |column| {
        let metric = catalogue::by_id(MetricId(column.metric))?;
        (Some(metric.dimension()) == dimension).then_some((metric, column))
    })
}
