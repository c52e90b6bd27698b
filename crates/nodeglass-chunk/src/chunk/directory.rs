//! The directory of a chunk: everything but the values.
//!
//! ```text
//! directory = points, earliest time (signed), span to the latest, times (piece), pco's version (its length, itself)
//!             ids texts lists failures (timeline of points) devices columns
//! ids       = count of runs, then each: epoch less the one before (signed), number less the one expected (signed), ids
//! devices   = count, then each: dimension (1 byte), shared (1 byte), label (text), points (presence),
//!             attributes (timeline of its points)
//! columns   = for each group of devices: count, then each: metric number less the one before,
//!             cells (presence), piece
//! ```
//!
//! A group is one device, or all devices of a dimension that are marked as shared. Its cells are the points of its
//! devices, device after device; a column has the values of one metric at some of its cells.

use std::collections::HashMap;

use nodeglass_model::SampleId;

use super::lists::{List, Texts, Timeline, read_lists, write_lists};
use super::piece::Piece;
use super::presence::Presence;
use super::{ChunkError, MAX_DEVICES, MAX_FIGURES, MAX_PIECES, MAX_POINTS, MAX_TEXT_BYTES};
use crate::varint::{Reader, put, put_signed};

/// What a failure or an attribute takes in a sample besides its texts.
const PAIR_BYTES: u64 = 64;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) points: u32,
    /// The earliest time of a point, Unix milliseconds.
    pub(super) earliest: i64,
    /// From the earliest to the latest, milliseconds.
    pub(super) span: u64,
    pub(super) times: Option<Piece>,
    pub(super) pco_header: Vec<u8>,
    pub(super) ids: Vec<IdRun>,
    pub(super) texts: Texts,
    pub(super) lists: Vec<List>,
    pub(super) failures: Timeline,
    pub(super) devices: Vec<Device>,
    pub(super) groups: Vec<Group>,
    /// How many bytes the pieces of the groups take; a read directory knows it.
    pub(super) payload: u64,
}

/// Ids that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IdRun {
    pub(super) first: SampleId,
    pub(super) count: u32,
}

impl IdRun {
    /// The number after the last, wherever numbers end.
    fn next(&self) -> u64 {
        self.first.seq.wrapping_add(u64::from(self.count))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// The number of a `Dimension`, maybe of one that this program doesn't know.
    pub(super) dimension: u8,
    /// Whether it shares its pieces with others.
    pub(super) shared: bool,
    pub(super) label: u32,
    pub(super) points: Presence,
    pub(super) attributes: Timeline,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) dimension: u8,
    /// The numbers of its devices, rising.
    pub(super) members: Vec<u32>,
    pub(super) cells: u32,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// The number of a metric, maybe of one that this program doesn't know.
    pub(super) metric: u16,
    /// At which cells of the group there is a value.
    pub(super) cells: Presence,
    pub(super) piece: Piece,
}

/// The groups that these devices make, without columns yet; or what there is too much of.
pub(super) fn groups(devices: &[Device]) -> Result<Vec<Group>, &'static str> {
    if devices.len() > MAX_DEVICES as usize {
        return Err("more devices than a chunk may have");
    }
    let figures: u64 = devices
        .iter()
        .map(|device| u64::from(device.points.count()))
        .sum();
    if figures > MAX_FIGURES {
        return Err("more figures than a chunk may have");
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut shared = HashMap::new();
    for (number, device) in (0..).zip(devices) {
        let new = groups.len();
        let at = if device.shared {
            *shared.entry(device.dimension).or_insert(new)
        } else {
            new
        };
        if at == new {
            groups.push(Group {
                dimension: device.dimension,
                members: Vec::new(),
                cells: 0,
                columns: Vec::new(),
            });
        }
        groups[at].members.push(number);
        groups[at].cells += device.points.count();
    }
    Ok(groups)
}

impl Directory {
    /// What there is too much of, if anything.
    pub(super) fn excess(&self) -> Option<&'static str> {
        let columns = |group: &Group| group.columns.len() as u64;
        let pieces: u64 = self.groups.iter().map(columns).sum();
        let figures = |group: &Group| columns(group) * u64::from(group.cells);
        let figures: u64 = self.groups.iter().map(figures).sum();
        [
            (self.points > MAX_POINTS, "more points than a chunk may have"),
            (
                pieces > u64::from(MAX_PIECES),
                "more pieces than a chunk may have",
            ),
            (figures > MAX_FIGURES, "more figures than a chunk may have"),
            (
                self.text_bytes() > MAX_TEXT_BYTES,
                "more texts than a chunk may have",
            ),
        ]
        .into_iter()
        .find_map(|(over, what)| over.then_some(what))
    }

    /// What its texts take in samples, written out at each point.
    fn text_bytes(&self) -> u64 {
        let length = |number: &u32| self.text(*number).len() as u64;
        let failures = |pairs: &List| {
            pairs
                .iter()
                .map(|(a, b)| PAIR_BYTES + length(a) + length(b))
                .sum()
        };
        let attributes = |pairs: &List| pairs.iter().map(|(_, b)| PAIR_BYTES + length(b)).sum();
        let failures: Vec<u64> = self.lists.iter().map(failures).collect();
        let attributes: Vec<u64> = self.lists.iter().map(attributes).collect();
        let labels = |device: &Device| length(&device.label) * u64::from(device.points.count());
        let of_devices = |device: &Device| {
            device
                .attributes
                .weight(&attributes)
                .saturating_add(labels(device))
        };
        let of_devices = self.devices.iter().map(of_devices);
        of_devices.fold(self.failures.weight(&failures), u64::saturating_add)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096);
        put(&mut out, u64::from(self.points));
        if let Some(times) = &self.times {
            put_signed(&mut out, self.earliest);
            put(&mut out, self.span);
            times.write(&mut out);
        }
        put(&mut out, self.pco_header.len() as u64);
        out.extend_from_slice(&self.pco_header);
        write_ids(&self.ids, &mut out);
        self.texts.write(&mut out);
        write_lists(&self.lists, &mut out);
        self.failures.write(&mut out);
        put(&mut out, self.devices.len() as u64);
        for device in &self.devices {
            out.push(device.dimension);
            out.push(u8::from(device.shared));
            put(&mut out, u64::from(device.label));
            device.points.write(&mut out, self.points);
            device.attributes.write(&mut out);
        }
        for group in &self.groups {
            put(&mut out, group.columns.len() as u64);
            let mut before = 0;
            for column in &group.columns {
                put(&mut out, u64::from(column.metric - before));
                column.cells.write(&mut out, group.cells);
                column.piece.write(&mut out);
                before = column.metric;
            }
        }
        out
    }

    /// Reads a directory, and checks that its parts fit together.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes);
        let mut directory = Self {
            points: reader.short()?,
            ..Self::default()
        };
        let mut end = 0;
        if directory.points > 0 {
            directory.earliest = reader.signed()?;
            directory.span = reader.unsigned()?;
            directory.times = Some(read_piece(&mut reader, &mut 0)?);
        }
        let length = reader.unsigned()?;
        directory.pco_header.extend_from_slice(reader.bytes(length)?);
        directory.ids = read_ids(&mut reader, directory.points)?;
        directory.texts = Texts::read(&mut reader)?;
        directory.lists = read_lists(&mut reader)?;
        directory.failures = Timeline::read(&mut reader, directory.points, directory.lists.len())?;
        directory.read_devices(&mut reader)?;
        directory.groups = groups(&directory.devices).map_err(ChunkError::Malformed)?;
        for group in &mut directory.groups {
            group.read_columns(&mut reader, &mut end)?;
        }
        if let Some(what) = directory.excess() {
            return Err(ChunkError::Malformed(what));
        }
        if !reader.is_empty() {
            return Err(ChunkError::Malformed("more than a directory"));
        }
        directory.payload = end;
        Ok(directory)
    }

    fn read_devices(&mut self, reader: &mut Reader<'_>) -> Result<(), ChunkError> {
        for _ in 0..reader.unsigned()? {
            let dimension = reader.byte()?;
            let shared = reader.byte()? != 0;
            let label = reader.short()?;
            let points = Presence::read(reader, self.points)?;
            let count = points.count();
            if count == 0 {
                return Err(ChunkError::Malformed("a device that is never there"));
            }
            self.devices.push(Device {
                dimension,
                shared,
                label,
                attributes: Timeline::read(reader, count, self.lists.len())?,
                points,
            });
        }
        Ok(())
    }

    /// The text with this number; empty if there is none, which no writer makes.
    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number).unwrap_or_default()
    }
}

impl Group {
    fn read_columns(&mut self, reader: &mut Reader<'_>, end: &mut u64) -> Result<(), ChunkError> {
        let mut metric = 0_u16;
        for _ in 0..reader.unsigned()? {
            metric = u16::try_from(reader.unsigned()?)
                .ok()
                .and_then(|step| metric.checked_add(step))
                .ok_or(ChunkError::Malformed("a metric number of more than 16 bits"))?;
            self.columns.push(Column {
                metric,
                cells: Presence::read(reader, self.cells)?,
                piece: read_piece(reader, end)?,
            });
        }
        Ok(())
    }
}

/// Reads the entry of the piece that begins where the one before ends.
fn read_piece(reader: &mut Reader<'_>, end: &mut u64) -> Result<Piece, ChunkError> {
    let piece = Piece::read(reader, *end)?;
    *end = end.checked_add(piece.length).ok_or(ChunkError::Cut)?;
    Ok(piece)
}

/// The runs that these ids make.
pub(super) fn id_runs(ids: impl Iterator<Item = SampleId>) -> Vec<IdRun> {
    let mut runs: Vec<IdRun> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some(run) if run.first.epoch == id.epoch && run.next() == id.seq => run.count += 1,
            _ => runs.push(IdRun { first: id, count: 1 }),
        }
    }
    runs
}

fn write_ids(runs: &[IdRun], out: &mut Vec<u8>) {
    put(out, runs.len() as u64);
    let (mut epoch, mut seq) = (0_u64, 0_u64);
    for run in runs {
        put_signed(out, run.first.epoch.wrapping_sub(epoch) as i64);
        put_signed(out, run.first.seq.wrapping_sub(seq) as i64);
        put(out, u64::from(run.count));
        (epoch, seq) = (run.first.epoch, run.next());
    }
}

fn read_ids(reader: &mut Reader<'_>, points: u32) -> Result<Vec<IdRun>, ChunkError> {
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
