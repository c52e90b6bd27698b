//! A directory that was read: what is in a chunk, and which bytes of its payload have the values of which series.

mod column;

use std::sync::OnceLock;

use nodeglass_model::catalogue::{self, Attribute, Dimension, Metric, MetricId};
use nodeglass_model::{SampleId, TimeRange, UnixMillis};

use super::directory::{Basics, Descriptions, Device, Group, Opened, Section, Version1};
use super::piece::Numbers;
use super::{ChunkError, MAGIC, VERSION, piece};
use crate::varint::Reader;

pub use column::{Column, Series, Values};

/// A chunk's directory, without its payload. It borrows nothing, so it can be kept for the next reader.
///
/// Opening one reads what leads to the values of lasting devices. What was there for a short time only, and what
/// describes devices, is read when it is asked for, once.
#[derive(Debug)]
pub struct Head {
    pub(super) opened: Opened,
    shared: OnceLock<Section>,
    descriptions: OnceLock<Descriptions>,
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
        Ok(Self {
            opened: Opened::read(reader)?,
            shared: OnceLock::new(),
            descriptions: OnceLock::new(),
        })
    }

    /// Reads a chunk of version 1 behind its first two bytes, and gives its payload.
    pub(super) fn read_version_1(reader: Reader<'_>) -> Result<(Self, &[u8]), ChunkError> {
        let Version1 {
            basics,
            own,
            shared,
            descriptions,
            payload,
        } = Version1::read(reader)?;
        let opened = Opened {
            basics,
            own,
            kinds: u64::MAX,
            ..Opened::default()
        };
        let head = Self {
            opened,
            shared: shared.into(),
            descriptions: descriptions.into(),
        };
        Ok((head, payload))
    }

    /// The devices that share pieces, and their columns.
    pub(super) fn shared(&self) -> Result<&Section, ChunkError> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let shared = self.opened.read_shared()?;
        Ok(self.shared.get_or_init(|| shared))
    }

    /// What describes samples and devices.
    pub(super) fn descriptions(&self) -> Result<&Descriptions, ChunkError> {
        if let Some(descriptions) = self.descriptions.get() {
            return Ok(descriptions);
        }
        let descriptions = self.opened.read_descriptions(self.shared()?)?;
        Ok(self.descriptions.get_or_init(|| descriptions))
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.opened.basics.points as usize
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.opened.basics.points == 0
    }

    /// How many bytes of payload belong to this directory.
    pub fn payload_len(&self) -> u64 {
        self.opened.basics.payload
    }

    /// From the earliest sample to just after the latest, in whatever order they are. `None` without samples.
    pub fn time_range(&self) -> Option<TimeRange> {
        let Basics { earliest, span, .. } = self.opened.basics;
        (!self.is_empty()).then(|| TimeRange {
            start: UnixMillis(earliest),
            end: UnixMillis(earliest.saturating_add_unsigned(span).saturating_add(1)),
        })
    }

    /// The identities of the samples, in order.
    pub fn ids(&self) -> impl Iterator<Item = SampleId> {
        self.opened.basics.ids.iter().flat_map(|run| {
            (0..run.count).map(|after| SampleId {
                epoch: run.first.epoch,
                seq: run.first.seq.wrapping_add(u64::from(after)),
            })
        })
    }

    /// Whether the sample with this identity is in the chunk.
    pub fn contains(&self, id: SampleId) -> bool {
        self.opened.basics.ids.iter().any(|run| {
            run.first.epoch == id.epoch && id.seq.wrapping_sub(run.first.seq) < u64::from(run.count)
        })
    }

    /// The times of the samples, in order.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn timestamps(&self) -> Result<Vec<UnixMillis>, ChunkError> {
        let Basics {
            times, pco_header, ..
        } = &self.opened.basics;
        let Some((piece, bytes)) = times else {
            return Ok(Vec::new());
        };
        match piece::numbers(*piece, bytes, self.len(), pco_header)? {
            Numbers::Steps(times) => Ok(times.into_iter().map(UnixMillis).collect()),
            Numbers::Floats(_) => Err(ChunkError::Malformed("times that are no whole numbers")),
        }
    }

    /// The series there are, as metric and label of the device; those of the host have an empty one. Metrics that this
    /// program doesn't know are left out.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn series(&self) -> Result<Vec<(&'static Metric, &str)>, ChunkError> {
        let mut series = Vec::new();
        for section in [&self.opened.own, self.shared()?] {
            let groups = section.groups.iter();
            for (metric, column) in groups.flat_map(|group| self.known_of(section, group)) {
                series.extend(column.labels().map(|label| (metric, label)));
            }
        }
        Ok(series)
    }

    /// Where the values of one metric are: of one device each, or of several that share a piece.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn columns(&self, metric: &'static Metric) -> Result<Vec<Column<'_>>, ChunkError> {
        let own = &self.opened.own;
        let of_own = own
            .groups
            .iter()
            .filter_map(|group| self.find(own, group, metric));
        let mut columns: Vec<_> = of_own.collect();
        let dimension = metric.dimension() as u8;
        if self.opened.has_shared(dimension) {
            let shared = self.shared()?;
            let of_shared = shared.groups.iter();
            columns.extend(of_shared.filter_map(|group| self.find(shared, group, metric)));
        }
        Ok(columns)
    }

    /// Where the values of one series are; `None` if the chunk doesn't have it.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn column(&self, metric: &'static Metric, label: &str) -> Result<Option<Column<'_>>, ChunkError> {
        let own = &self.opened.own;
        let has_label = |group: &&Group| own.devices(group).iter().any(|device| own.label(device) == label);
        let mut groups = own.groups.iter().filter(has_label);
        if let Some(column) = groups.find_map(|group| self.find(own, group, metric)) {
            return Ok(Some(column));
        }
        if !self.opened.has_shared(metric.dimension() as u8) {
            return Ok(None);
        }
        let shared = self.shared()?;
        let mut columns = shared
            .groups
            .iter()
            .filter_map(|group| self.find(shared, group, metric));
        Ok(columns.find(|column| column.labels().any(|it| it == label)))
    }

    /// The column of a metric in a group.
    fn find<'h>(
        &'h self,
        section: &'h Section,
        group: &'h Group,
        metric: &'static Metric,
    ) -> Option<Column<'h>> {
        if group.dimension != metric.dimension() as u8 {
            return None;
        }
        let column = section
            .columns(group)
            .iter()
            .find(|column| column.metric == metric.id.0)?;
        Some(Column {
            head: self,
            metric,
            section,
            group,
            entry: column,
        })
    }

    /// The columns of a group whose metric this program knows and has for such devices.
    pub(super) fn known_of<'h>(
        &'h self,
        section: &'h Section,
        group: &'h Group,
    ) -> impl Iterator<Item = (&'static Metric, Column<'h>)> {
        let dimension = Dimension::from_number(group.dimension);
        section.columns(group).iter().filter_map(move |column| {
            let metric = catalogue::by_id(MetricId(column.metric))?;
            let is_known = Some(metric.dimension()) == dimension;
            is_known.then_some((
                metric,
                Column {
                    head: self,
                    metric,
                    section,
                    group,
                    entry: column,
                },
            ))
        })
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

    /// The texts that last described a device; none if the chunk doesn't have it.
    ///
    /// # Errors
    /// Bytes that no encoder wrote.
    pub fn attributes(
        &self,
        dimension: Dimension,
        label: &str,
    ) -> Result<Vec<(Attribute, &str)>, ChunkError> {
        let descriptions = self.descriptions()?;
        let sections = [&self.opened.own, self.shared()?];
        let devices = sections
            .iter()
            .flat_map(|section| section.devices.iter().map(move |device| (section, device)));
        let is_it = |(section, device): &(&&Section, &Device)| {
            device.dimension == dimension as u8 && section.label(device) == label
        };
        let place = devices.into_iter().position(|device| is_it(&device));
        let timeline = place.and_then(|place| descriptions.attributes.get(place));
        let list = timeline.and_then(|timeline| descriptions.lists.get(timeline.last()? as usize));
        let known = |(number, text): &(u32, u32)| {
            let attribute = Attribute::from_number(u8::try_from(*number).ok()?)?;
            Some((attribute, descriptions.texts.get(*text)?))
        };
        Ok(list.into_iter().flatten().filter_map(known).collect())
    }
}
