//! A directory that was read: what is in a chunk, and which bytes of its payload have the values of which series.

use nodeglass_model::catalogue::{self, Dimension, Metric, MetricId};
use nodeglass_model::{SampleId, TimeRange, UnixMillis};

use super::directory::{self, Directory, Group};
use super::{ChunkError, MAGIC, MAX_DIRECTORY_BYTES, VERSION, piece, zip};
use crate::varint::Reader;

/// A chunk's directory, without its payload. It borrows nothing, so it can be kept for the next reader.
#[derive(Debug)]
pub struct Head {
    pub(super) directory: Directory,
    pub(super) times: Vec<u8>,
}

/// Some bytes of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first of them.
    pub offset: u32,
    /// How many: zero for values that the directory itself has, as those of a series that never changes.
    pub length: u32,
}

impl Head {
    /// Reads a directory as [`Parts`](super::Parts) has it.
    ///
    /// # Errors
    /// Bytes that no [`Encoder`](super::Encoder) wrote, or a newer one than this program knows; keep them aside and
    /// report them, they are not worth a second try.
    pub fn read(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != MAGIC {
            return Err(ChunkError::NotAChunk);
        }
        let version = reader.byte()?;
        if version != VERSION {
            return Err(ChunkError::Version(version));
        }
        let directory = read_zipped(&mut reader)?;
        let times = reader.rest().to_vec();
        if directory.times.map_or(0, |piece| piece.length) != times.len() as u64 {
            return Err(ChunkError::Malformed("other times than it says"));
        }
        Ok(Self { directory, times })
    }

    /// Reads a chunk of version 1 behind its first two bytes, and gives its payload; its times were the first piece.
    pub(super) fn read_version_1<'a>(mut reader: Reader<'a>) -> Result<(Self, &'a [u8]), ChunkError> {
        let directory = read_zipped(&mut reader)?;
        let times = reader
            .bytes(directory.times.map_or(0, |piece| piece.length))?
            .to_vec();
        Ok((Self { directory, times }, reader.rest()))
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.directory.points as usize
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.directory.points == 0
    }

    /// How many bytes of payload belong to this directory.
    pub fn payload_len(&self) -> u64 {
        self.directory.payload
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

    /// Whether the sample with this identity is in the chunk.
    pub fn contains(&self, id: SampleId) -> bool {
        self.directory.ids.iter().any(|run| {
            run.first.epoch == id.epoch && id.seq.wrapping_sub(run.first.seq) < u64::from(run.count)
        })
    }

    /// The times of the samples, in order.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn timestamps(&self) -> Result<Vec<UnixMillis>, ChunkError> {
        let times = match self.directory.times {
            Some(times) => piece::values(times, &self.times, self.len(), &self.directory.pco_header)?,
            None => Vec::new(),
        };
        Ok(times.into_iter().map(UnixMillis).collect())
    }

    /// The series there are, as metric and label of the device; those of the host have an empty one. Metrics that this
    /// program doesn't know are left out.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn series(&self) -> Result<Vec<(&'static Metric, &str)>, ChunkError> {
        let mut series = Vec::new();
        for (metric, column) in self.all_columns() {
            series.extend(column.labels().map(|label| (metric, label)));
        }
        Ok(series)
    }

    /// Where the values of one metric are: of one device each, or of several that share a piece.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn columns(&self, metric: &'static Metric) -> Result<Vec<Column<'_>>, ChunkError> {
        let columns = self.all_columns();
        Ok(columns
            .filter(|(known, _)| known.id == metric.id)
            .map(|(_, column)| column)
            .collect())
    }

    /// Where the values of one series are; `None` if the chunk doesn't have it.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn column(&self, metric: &'static Metric, label: &str) -> Result<Option<Column<'_>>, ChunkError> {
        let mut columns = self.columns(metric)?.into_iter();
        Ok(columns.find(|column| column.labels().any(|it| it == label)))
    }

    /// Which bytes of the payload have the values of one series; `None` if the chunk doesn't have it.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn span(&self, metric: &'static Metric, label: &str) -> Result<Option<Span>, ChunkError> {
        Ok(self.column(metric, label)?.map(|column| column.span()))
    }

    /// The values of one series at all points, from the bytes that [`Head::span`] names; `None` if the chunk doesn't have it.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn values(
        &self,
        metric: &'static Metric,
        label: &str,
        slice: &[u8],
    ) -> Result<Option<Vec<Option<f64>>>, ChunkError> {
        match self.column(metric, label)? {
            Some(column) => Ok(column.read(slice)?.of(label)),
            None => Ok(None),
        }
    }

    fn all_columns(&self) -> impl Iterator<Item = (&'static Metric, Column<'_>)> {
        self.directory.groups.iter().flat_map(move |group| {
            known(group).map(move |(metric, column)| {
                let column = Column {
                    head: self,
                    metric,
                    group,
                    column,
                };
                (metric, column)
            })
        })
    }
}

fn read_zipped(reader: &mut Reader<'_>) -> Result<Directory, ChunkError> {
    let size = usize::try_from(reader.unsigned()?)
        .ok()
        .filter(|size| *size <= MAX_DIRECTORY_BYTES)
        .ok_or(ChunkError::Malformed("a larger directory than a chunk may have"))?;
    let zipped = reader.unsigned()?;
    let directory = zip::unzip(reader.bytes(zipped)?, size)?;
    Directory::read(&directory)
}

/// The columns of a group whose metric this program knows and has for such devices.
pub(super) fn known(group: &Group) -> impl Iterator<Item = (&'static Metric, &directory::Column)> {
    let dimension = Dimension::from_number(group.dimension);
    group.columns.iter().filter_map(move |column| {
        let metric = catalogue::by_id(MetricId(column.metric))?;
        (Some(metric.dimension()) == dimension).then_some((metric, column))
    })
}

/// The values of one metric of one device, or of several that share a piece because they were there for a short time.
#[derive(Debug, Clone, Copy)]
pub struct Column<'h> {
    head: &'h Head,
    metric: &'static Metric,
    group: &'h Group,
    column: &'h directory::Column,
}

impl<'h> Column<'h> {
    /// Which bytes of the payload are needed to read it.
    pub fn span(&self) -> Span {
        Span {
            offset: self.column.piece.start as u32,
            length: self.column.piece.length as u32,
        }
    }

    /// The labels of the devices that have values in it.
    pub fn labels(&self) -> impl Iterator<Item = &'h str> + use<'h> {
        let directory = &self.head.directory;
        let mut runs = self.column.cells.runs().iter().peekable();
        let mut start = 0;
        self.group.members.iter().filter_map(move |member| {
            let device = &directory.devices[*member as usize];
            let end = start + device.points.count();
            while runs.next_if(|run| run.end <= start).is_some() {}
            let is_there = runs.peek().is_some_and(|run| run.start < end);
            start = end;
            is_there.then(|| directory.text(device.label))
        })
    }

    /// Reads the values from the bytes that [`Column::span`] names.
    ///
    /// # Errors
    /// Bytes that no encoder wrote, or those of another column.
    pub fn read(&self, slice: &[u8]) -> Result<Values<'h>, ChunkError> {
        let count = self.column.cells.count() as usize;
        let header = &self.head.directory.pco_header;
        let steps = piece::values(self.column.piece, slice, count, header)?;
        let mut cells = vec![None; self.group.cells as usize];
        for (cell, value) in self.column.cells.places().zip(steps) {
            cells[cell as usize] = Some(self.metric.unit.of_steps(value));
        }
        Ok(Values { column: *self, cells })
    }
}

/// What was read of a [`Column`].
#[derive(Debug)]
pub struct Values<'h> {
    column: Column<'h>,
    /// The value at each cell of the group.
    cells: Vec<Option<f64>>,
}

impl<'h> Values<'h> {
    /// The values of one device at all points of the chunk; `None` if it has none.
    pub fn of(&self, label: &str) -> Option<Vec<Option<f64>>> {
        self.iter().find(|(it, _)| *it == label).map(|(_, values)| values)
    }

    /// The values of each device at all points of the chunk.
    pub fn iter(&self) -> impl Iterator<Item = (&'h str, Vec<Option<f64>>)> {
        let Head { directory, .. } = self.column.head;
        let mut start = 0;
        self.column.group.members.iter().filter_map(move |member| {
            let device = &directory.devices[*member as usize];
            let cells = &self.cells[start..][..device.points.count() as usize];
            start += cells.len();
            cells.iter().any(Option::is_some).then(|| {
                let mut values = vec![None; directory.points as usize];
                for (point, value) in device.points.places().zip(cells) {
                    values[point as usize] = *value;
                }
                (directory.text(device.label), values)
            })
        })
    }
}
