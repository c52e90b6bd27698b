//! A directory from bytes, each part by itself; checked as it is read.

use std::borrow::Cow;

use nodeglass_model::SampleId;

use super::{Basics, Column, Descriptions, IdRun, Section, write::kind_bit};
use crate::chunk::lists::{Texts, Timeline, read_lists};
use crate::chunk::piece::Piece;
use crate::chunk::presence::Presence;
use crate::chunk::{ChunkError, MAX_DEVICES, MAX_DIRECTORY_BYTES, MAX_PIECES, MAX_POINTS, zip};
use crate::varint::Reader;

const TOO_LARGE: ChunkError = ChunkError::Malformed("a larger directory than a chunk may have");

/// A part that was not read yet.
#[derive(Debug, Default, Clone)]
pub(in crate::chunk) struct Part {
    size: usize,
    /// Whether it is under zstd.
    zipped: bool,
    bytes: Vec<u8>,
}

impl Part {
    /// Takes a part off the front; gives where it stands.
    fn take<'a>(reader: &mut Reader<'a>) -> Result<(usize, bool, &'a [u8]), ChunkError> {
        let size = usize::try_from(reader.unsigned()?).ok();
        let size = size
            .filter(|size| *size <= MAX_DIRECTORY_BYTES)
            .ok_or(TOO_LARGE)?;
        let zipped = reader.unsigned()?;
        let bytes = reader.bytes(if zipped == 0 { size as u64 } else { zipped })?;
        Ok((size, zipped != 0, bytes))
    }

    fn keep((size, zipped, bytes): (usize, bool, &[u8])) -> Self {
        Self {
            size,
            zipped,
            bytes: bytes.to_vec(),
        }
    }

    pub(in crate::chunk) fn is_empty(&self) -> bool {
        self.size == 0
    }

    fn open(&self) -> Result<Cow<'_, [u8]>, ChunkError> {
        open((self.size, self.zipped, &self.bytes))
    }
}

fn open((size, zipped, bytes): (usize, bool, &[u8])) -> Result<Cow<'_, [u8]>, ChunkError> {
    if zipped {
        zip::unzip(bytes, size).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(bytes))
    }
}

/// What is read of a directory at once, and what only who needs it reads.
#[derive(Debug, Default)]
pub(in crate::chunk) struct Opened {
    pub(in crate::chunk) basics: Basics,
    pub(in crate::chunk) own: Section,
    /// The bits of the dimensions in the shared part.
    pub(in crate::chunk) kinds: u64,
    pub(in crate::chunk) shared: Part,
    pub(in crate::chunk) descriptions: Part,
}

impl Opened {
    /// Reads a directory behind its magic and version.
    pub(in crate::chunk) fn read(mut reader: Reader<'_>) -> Result<Self, ChunkError> {
        let mut basics = Basics {
            points: reader.short()?,
            ..Basics::default()
        };
        if basics.points > MAX_POINTS {
            return Err(ChunkError::Malformed("more points than a chunk may have"));
        }
        if basics.points > 0 {
            basics.earliest = reader.signed()?;
            basics.span = reader.unsigned()?;
            let (piece, _) = Piece::read(&mut reader, 0)?;
            basics.times = Some((piece, reader.bytes(piece.length)?.to_vec()));
        }
        let length = reader.unsigned()?;
        basics.pco_header.extend_from_slice(reader.bytes(length)?);
        basics.ids = read_ids(&mut reader, basics.points)?;
        basics.payload = u64::from(reader.short()?);
        let own = open(Part::take(&mut reader)?)?;
        let own = read_own(&own, &basics)?;
        let kinds = reader.unsigned()?;
        let shared = Part::keep(Part::take(&mut reader)?);
        let descriptions = Part::keep(Part::take(&mut reader)?);
        if !reader.is_empty() {
            return Err(ChunkError::Malformed("more than a directory"));
        }
        if shared.is_empty() {
            check_end(&basics, &own, &Section::default())?;
        }
        Ok(Self {
            basics,
            own,
            kinds,
            shared,
            descriptions,
        })
    }

    /// Whether devices of this dimension share pieces.
    pub(in crate::chunk) fn has_shared(&self, dimension: u8) -> bool {
        self.kinds & kind_bit(dimension) != 0
    }

    pub(in crate::chunk) fn read_shared(&self) -> Result<Section, ChunkError> {
        if self.shared.is_empty() {
            return Ok(Section::default());
        }
        let bytes = self.shared.open()?;
        let shared = read_shared(&bytes, &self.basics, end_of(&self.own, 0))?;
        if shared
            .groups
            .iter()
            .any(|group| !self.has_shared(group.dimension))
        {
            return Err(ChunkError::Malformed("other devices than it says"));
        }
        check_end(&self.basics, &self.own, &shared)?;
        Ok(shared)
    }

    pub(in crate::chunk) fn read_descriptions(&self, shared: &Section) -> Result<Descriptions, ChunkError> {
        let bytes = self.descriptions.open()?;
        let mut reader = Reader::new(&bytes);
        let texts = Texts::read(&mut reader)?;
        let lists = read_lists(&mut reader)?;
        let failures = Timeline::read(&mut reader, self.basics.points, lists.len())?;
        let devices = self.own.devices.iter().chain(&shared.devices);
        let mut attributes = Vec::with_capacity(self.own.devices.len() + shared.devices.len());
        for device in devices {
            attributes.push(Timeline::read(&mut reader, device.points.count(), lists.len())?);
        }
        if !reader.is_empty() {
            return Err(ChunkError::Malformed("more than descriptions"));
        }
        let descriptions = Descriptions {
            texts,
            lists,
            failures,
            attributes,
        };
        match descriptions.excess(&self.own, shared) {
            Some(what) => Err(ChunkError::Malformed(what)),
            None => Ok(descriptions),
        }
    }
}

/// Where the pieces of a section end.
fn end_of(section: &Section, start: u64) -> u64 {
    section
        .columns
        .last()
        .map_or(start, |last| last.piece.start + last.piece.length)
}

/// Checks that the sections keep to the limits and have the whole payload.
fn check_end(basics: &Basics, own: &Section, shared: &Section) -> Result<(), ChunkError> {
    if let Some(what) = super::excess(own, shared) {
        return Err(ChunkError::Malformed(what));
    }
    if end_of(shared, end_of(own, 0)) == basics.payload {
        Ok(())
    } else {
        Err(ChunkError::Malformed("other pieces than its payload"))
    }
}

fn read_own(bytes: &[u8], basics: &Basics) -> Result<Section, ChunkError> {
    let mut reader = Reader::new(bytes);
    let mut own = Section::default();
    let devices = reader.unsigned()?.min(u64::from(MAX_DEVICES) + 1);
    // An entry takes some bytes, so what is reserved is in proportion to what there is.
    own.devices.reserve((devices as usize).min(bytes.len() / 4));
    own.groups.reserve((devices as usize).min(bytes.len() / 4));
    own.columns.reserve(bytes.len() / 6);
    let mut end = 0;
    for number in 0..devices {
        let dimension = reader.byte()?;
        let label = reader.text()?;
        let points = read_points(&mut reader, basics.points)?;
        own.add_device(dimension, label, points);
        let cells = own.add_group(number as usize);
        read_columns(&mut reader, &mut own, cells, &mut end)?;
    }
    // What is opened is kept for the next reader, by the thousand.
    own.columns.shrink_to_fit();
    own.groups.shrink_to_fit();
    own.devices.shrink_to_fit();
    check(&reader, own, 0, basics)
}

fn read_shared(bytes: &[u8], basics: &Basics, start: u64) -> Result<Section, ChunkError> {
    let mut reader = Reader::new(bytes);
    let mut shared = Section::default();
    let devices = reader.unsigned()?.min(u64::from(MAX_DEVICES) + 1);
    let dimensions = reader.bytes(devices)?;
    let mut labels = Vec::with_capacity(dimensions.len());
    for _ in dimensions {
        labels.push(reader.text()?);
    }
    for (dimension, label) in dimensions.iter().zip(labels) {
        let points = read_points(&mut reader, basics.points)?;
        shared.add_device(*dimension, label, points);
    }
    let mut end = start;
    let devices = std::mem::take(&mut shared.devices);
    for group in devices.chunk_by(|one, other| one.dimension == other.dimension) {
        let first = shared.devices.len();
        shared.devices.extend_from_slice(group);
        let cells = shared.add_group(first);
        read_columns(&mut reader, &mut shared, cells, &mut end)?;
    }
    check(&reader, shared, start, basics)
}

/// Checks a section that was read, whose pieces begin at `start`.
fn check(reader: &Reader<'_>, section: Section, start: u64, basics: &Basics) -> Result<Section, ChunkError> {
    if !reader.is_empty() {
        return Err(ChunkError::Malformed("more than devices"));
    }
    if let Some(what) = super::excess(&section, &Section::default()) {
        return Err(ChunkError::Malformed(what));
    }
    if end_of(&section, start) > basics.payload {
        return Err(ChunkError::Malformed("other pieces than its payload"));
    }
    Ok(section)
}

fn read_points(reader: &mut Reader<'_>, total: u32) -> Result<Presence, ChunkError> {
    let points = Presence::read(reader, total)?;
    if points.count() == 0 {
        return Err(ChunkError::Malformed("a device that is never there"));
    }
    Ok(points)
}

/// Reads the columns of the last group.
fn read_columns(
    reader: &mut Reader<'_>,
    section: &mut Section,
    cells: u32,
    end: &mut u64,
) -> Result<(), ChunkError> {
    let mut metric = 0_u16;
    let first = section.columns.len();
    for _ in 0..reader.unsigned()? {
        metric = u16::try_from(reader.unsigned()?)
            .ok()
            .and_then(|step| metric.checked_add(step))
            .ok_or(ChunkError::Malformed("a metric number of more than 16 bits"))?;
        let (piece, has_gaps) = Piece::read(reader, *end)?;
        let cells = if has_gaps {
            Presence::read(reader, cells)?
        } else {
            Presence::all(cells)
        };
        *end = end.checked_add(piece.length).ok_or(ChunkError::Cut)?;
        section.columns.push(Column { metric, cells, piece });
        if section.columns.len() > MAX_PIECES as usize {
            return Err(ChunkError::Malformed("more pieces than a chunk may have"));
        }
    }
    if let Some(group) = section.groups.last_mut() {
        group.columns = first as u32..section.columns.len() as u32;
    }
    Ok(())
}

pub(super) fn read_ids(reader: &mut Reader<'_>, points: u32) -> Result<Vec<IdRun>, ChunkError> {
    const WRONG: ChunkError = ChunkError::Malformed("more or fewer ids than points");
    let mut runs = Vec::new();
    let mut left = points;
    let (mut epoch, mut seq) = (0_u64, 0_u64);
    for _ in 0..reader.unsigned()? {
        epoch = epoch.wrapping_add(reader.signed()? as u64);
        seq = seq.wrapping_add(reader.signed()? as u64);
        let count = reader.short()?;
        left = left.checked_sub(count).ok_or(WRONG)?;
        let run = IdRun {
            first: SampleId { epoch, seq },
            count,
        };
        seq = run.next();
        runs.push(run);
    }
    if left == 0 { Ok(runs) } else { Err(WRONG) }
}
