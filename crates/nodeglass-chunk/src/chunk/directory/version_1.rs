//! Directories of version 1, which journals may still hold.
//!
//! ```text
//! directory = points, earliest time (signed), span to the latest, times (piece), pco's version (its length, itself)
//!             ids texts lists failures (timeline of points) devices columns
//! devices   = count, then each: dimension (1 byte), shared (1 byte), label (text), points (presence),
//!             attributes (timeline of its points)
//! columns   = for each group of devices: count, then each: metric number less the one before,
//!             cells (presence), piece
//! ```
//!
//! Groups came in the order of their first device. The times were the first piece of the payload.

use super::read::read_ids;
use super::{Basics, Column, Descriptions, Device, Section};
use crate::chunk::lists::{Texts, Timeline, read_lists};
use crate::chunk::piece::Piece;
use crate::chunk::presence::Presence;
use crate::chunk::{ChunkError, MAX_DEVICES, MAX_DIRECTORY_BYTES, MAX_PIECES, MAX_POINTS, zip};
use crate::varint::Reader;

/// A chunk of version 1.
pub(in crate::chunk) struct Version1<'a> {
    pub(in crate::chunk) basics: Basics,
    pub(in crate::chunk) own: Section,
    pub(in crate::chunk) shared: Section,
    pub(in crate::chunk) descriptions: Descriptions,
    pub(in crate::chunk) payload: &'a [u8],
}

/// Where a device stands in the sections.
struct Entry {
    dimension: u8,
    label: u32,
    points: Presence,
    attributes: Timeline,
}

impl<'a> Version1<'a> {
    /// Reads one behind its magic and version.
    pub(in crate::chunk) fn read(mut reader: Reader<'a>) -> Result<Self, ChunkError> {
        let size = usize::try_from(reader.unsigned()?)
            .ok()
            .filter(|size| *size <= MAX_DIRECTORY_BYTES)
            .ok_or(ChunkError::Malformed("a larger directory than a chunk may have"))?;
        let zipped = reader.unsigned()?;
        let directory = zip::unzip(reader.bytes(zipped)?, size)?;
        let mut pieces = reader;

        let mut reader = Reader::new(&directory);
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
            let piece = Piece::read_version_1(&mut reader, 0)?;
            basics.times = Some((piece, pieces.bytes(piece.length)?.to_vec()));
        }
        let length = reader.unsigned()?;
        basics.pco_header.extend_from_slice(reader.bytes(length)?);
        basics.ids = read_ids(&mut reader, basics.points)?;
        let texts = Texts::read(&mut reader)?;
        let lists = read_lists(&mut reader)?;
        let mut descriptions = Descriptions {
            failures: Timeline::read(&mut reader, basics.points, lists.len())?,
            texts,
            lists,
            attributes: Vec::new(),
        };
        let (groups, payload) = (groups(&mut reader, basics.points, &descriptions)?, pieces.rest());
        basics.payload = payload.len() as u64;
        // Labels are texts like others, and many devices may have the same one.
        let labels = || Section {
            labels: descriptions.texts.all().to_owned(),
            ..Section::default()
        };
        let (mut own, mut shared) = (labels(), labels());
        let mut of_shared = Vec::new();
        let mut end = 0;
        for (is_shared, entries) in groups {
            let (section, attributes) = if is_shared {
                (&mut shared, &mut of_shared)
            } else {
                (&mut own, &mut descriptions.attributes)
            };
            let first = section.devices.len();
            for entry in entries {
                let label = descriptions.texts.range(entry.label).unwrap_or_default();
                section.devices.push(Device {
                    dimension: entry.dimension,
                    label: label.start as u32..label.end as u32,
                    points: entry.points,
                });
                attributes.push(entry.attributes);
            }
            let cells = section.add_group(first);
            read_columns(&mut reader, section, cells, &mut end)?;
        }
        descriptions.attributes.append(&mut of_shared);
        let excess = super::excess(&own, &shared).or_else(|| descriptions.excess(&own, &shared));
        if let Some(what) = excess {
            return Err(ChunkError::Malformed(what));
        }
        if !reader.is_empty() {
            return Err(ChunkError::Malformed("more than a directory"));
        }
        Ok(Self {
            basics,
            own,
            shared,
            descriptions,
            payload: checked(payload, end)?,
        })
    }
}

fn checked(payload: &[u8], end: u64) -> Result<&[u8], ChunkError> {
    match end.cmp(&(payload.len() as u64)) {
        std::cmp::Ordering::Greater => Err(ChunkError::Cut),
        std::cmp::Ordering::Equal => Ok(payload),
        std::cmp::Ordering::Less => Err(ChunkError::Malformed("more than its pieces")),
    }
}

/// Reads the devices, and puts those together that share pieces.
fn groups(
    reader: &mut Reader<'_>,
    points: u32,
    descriptions: &Descriptions,
) -> Result<Vec<(bool, Vec<Entry>)>, ChunkError> {
    let mut groups: Vec<(bool, Vec<Entry>)> = Vec::new();
    let mut shared: [Option<usize>; 256] = [None; 256];
    for count in 0..reader.unsigned()? {
        if count >= u64::from(MAX_DEVICES) {
            return Err(ChunkError::Malformed("more devices than a chunk may have"));
        }
        let dimension = reader.byte()?;
        let is_shared = reader.byte()? != 0;
        let label = reader.short()?;
        let points = Presence::read(reader, points)?;
        if points.count() == 0 {
            return Err(ChunkError::Malformed("a device that is never there"));
        }
        let attributes = Timeline::read(reader, points.count(), descriptions.lists.len())?;
        let entry = Entry {
            dimension,
            label,
            points,
            attributes,
        };
        let place = &mut shared[usize::from(dimension)];
        if let Some(at) = place.filter(|_| is_shared) {
            groups[at].1.push(entry);
            continue;
        }
        if is_shared {
            *place = Some(groups.len());
        }
        groups.push((is_shared, vec![entry]));
    }
    Ok(groups)
}

fn read_columns(
    reader: &mut Reader<'_>,
    section: &mut Section,
    cells: u32,
    end: &mut u64,
) -> Result<(), ChunkError> {
    let mut metric = 0_u16;
    for _ in 0..reader.unsigned()? {
        metric = u16::try_from(reader.unsigned()?)
            .ok()
            .and_then(|step| metric.checked_add(step))
            .ok_or(ChunkError::Malformed("a metric number of more than 16 bits"))?;
        let cells = Presence::read(reader, cells)?;
        let piece = Piece::read_version_1(reader, *end)?;
        *end = end.checked_add(piece.length).ok_or(ChunkError::Cut)?;
        section.add_column(Column { metric, cells, piece });
        if section.columns.len() > MAX_PIECES as usize {
            return Err(ChunkError::Malformed("more pieces than a chunk may have"));
        }
    }
    Ok(())
}
