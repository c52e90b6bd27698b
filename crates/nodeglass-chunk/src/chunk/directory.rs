//! The directory of a chunk: everything but the values.
//!
//! ```text
//! directory    = points [earliest time (signed), span to the latest, times (piece), its bytes]
//!                pco's version (its length, itself) ids payload's length own shared's kinds shared descriptions
//! ids          = count of runs, then each: epoch less the one before (signed), number less the one expected (signed), ids
//! own          = part: count of devices, then each: dimension (1 byte), label, points (presence), columns
//! shared       = part: count of devices, then the dimension of each (1 byte), then the label of each, then the points
//!                (presence) of each; then for each dimension in it: columns
//! columns      = count, then each: metric number less the one before, piece, and if that is marked, cells (presence)
//! descriptions = part: texts lists failures (timeline of points), then for each device of its own and each shared
//!                one: attributes (timeline of its points)
//! part         = length, length under zstd or 0, itself
//! ```
//!
//! A *group* is what has columns: one device, or all of a dimension that share their pieces. Its *cells* are the points
//! of its devices, device after device; a column has the values of one metric at some of its cells. Shared devices stand
//! by dimension. *Shared's kinds* are a bit for each of their dimensions, so that who looks for none of them need not
//! look.
//!
//! The three parts are read by different readers: of one series, mostly the first alone; of whole samples, all.

mod read;
mod version_1;
mod write;

use std::ops::Range;

use nodeglass_model::SampleId;

use super::lists::{List, Texts, Timeline};
use super::piece::Piece;
use super::presence::Presence;
use super::{MAX_DEVICES, MAX_FIGURES, MAX_PIECES, MAX_TEXT_BYTES};

pub(super) use read::Opened;
pub(super) use version_1::Version1;
pub(super) use write::write;

/// What a failure or an attribute takes in a sample besides its texts.
const PAIR_BYTES: u64 = 64;

/// What stands before the parts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Basics {
    pub(super) points: u32,
    /// The earliest time of a point, Unix milliseconds.
    pub(super) earliest: i64,
    /// From the earliest to the latest, milliseconds.
    pub(super) span: u64,
    /// How the times are written, and the bytes.
    pub(super) times: Option<(Piece, Vec<u8>)>,
    pub(super) pco_header: Vec<u8>,
    pub(super) ids: Vec<IdRun>,
    /// How many bytes all pieces take.
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

/// Devices and their columns: those with pieces of their own, or those that share them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) labels: String,
    pub(super) devices: Vec<Device>,
    pub(super) groups: Vec<Group>,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// The number of a `Dimension`, maybe of one that this program doesn't know.
    pub(super) dimension: u8,
    /// Where its label stands among the labels.
    pub(super) label: Range<u32>,
    pub(super) points: Presence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) dimension: u8,
    /// Which devices of the section are in it.
    pub(super) devices: Range<u32>,
    pub(super) cells: u32,
    /// Which columns of the section are its own.
    pub(super) columns: Range<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// The number of a metric, maybe of one that this program doesn't know.
    pub(super) metric: u16,
    /// At which cells of the group there is a value.
    pub(super) cells: Presence,
    pub(super) piece: Piece,
}

impl Section {
    pub(super) fn label(&self, device: &Device) -> &str {
        let Range { start, end } = device.label;
        self.labels.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(super) fn devices(&self, group: &Group) -> &[Device] {
        &self.devices[group.devices.start as usize..group.devices.end as usize]
    }

    pub(super) fn columns(&self, group: &Group) -> &[Column] {
        &self.columns[group.columns.start as usize..group.columns.end as usize]
    }

    /// Adds a device; those of a group come one after the other.
    pub(super) fn add_device(&mut self, dimension: u8, label: &str, points: Presence) {
        let start = self.labels.len() as u32;
        self.labels.push_str(label);
        self.devices.push(Device {
            dimension,
            label: start..self.labels.len() as u32,
            points,
        });
    }

    /// Makes a group of the devices from `first` on, without columns yet, and gives its cells.
    pub(super) fn add_group(&mut self, first: usize) -> u32 {
        let devices = &self.devices[first..];
        let cells: u64 = devices
            .iter()
            .map(|device| u64::from(device.points.count()))
            .sum();
        let cells = u32::try_from(cells).unwrap_or(u32::MAX);
        let columns = self.columns.len() as u32;
        self.groups.push(Group {
            dimension: devices.first().map_or(0, |device| device.dimension),
            devices: first as u32..self.devices.len() as u32,
            cells,
            columns: columns..columns,
        });
        cells
    }

    /// Adds a column to the last group.
    pub(super) fn add_column(&mut self, column: Column) {
        self.columns.push(column);
        if let Some(group) = self.groups.last_mut() {
            group.columns.end += 1;
        }
    }

    /// The figures that it has room for: points of devices, and cells of columns.
    fn figures(&self) -> u64 {
        let of = |group: &Group| (group.columns.len() as u64 + 1).saturating_mul(u64::from(group.cells));
        self.groups.iter().map(of).fold(0, u64::saturating_add)
    }
}

/// What there is too much of in both sections, if anything.
pub(super) fn excess(own: &Section, shared: &Section) -> Option<&'static str> {
    [
        (
            own.devices.len() + shared.devices.len() > MAX_DEVICES as usize,
            "more devices than a chunk may have",
        ),
        (
            own.columns.len() + shared.columns.len() > MAX_PIECES as usize,
            "more pieces than a chunk may have",
        ),
        (
            own.figures().saturating_add(shared.figures()) > MAX_FIGURES,
            "more figures than a chunk may have",
        ),
    ]
    .into_iter()
    .find_map(|(over, what)| over.then_some(what))
}

/// What describes samples and devices beyond labels.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Descriptions {
    pub(super) texts: Texts,
    pub(super) lists: Vec<List>,
    pub(super) failures: Timeline,
    /// Of each device with pieces of its own, then of each that shares them.
    pub(super) attributes: Vec<Timeline>,
}

impl Descriptions {
    /// The text with this number; empty if there is none, which no writer makes.
    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number).unwrap_or_default()
    }

    /// The list with this number; empty if there is none, which no writer makes.
    pub(super) fn list(&self, number: u32) -> &[(u32, u32)] {
        self.lists.get(number as usize).map_or(&[], Vec::as_slice)
    }

    /// What there is too much of in samples with these devices, their texts written out at each point.
    pub(super) fn excess(&self, own: &Section, shared: &Section) -> Option<&'static str> {
        let length = |number: &u32| self.text(*number).len() as u64;
        let failures = |pairs: &List| {
            let pairs = pairs.iter();
            pairs.map(|(a, b)| PAIR_BYTES + length(a) + length(b)).sum()
        };
        let attributes = |pairs: &List| pairs.iter().map(|(_, b)| PAIR_BYTES + length(b)).sum();
        let failures: Vec<u64> = self.lists.iter().map(failures).collect();
        let attributes: Vec<u64> = self.lists.iter().map(attributes).collect();
        let labels = [own, shared].into_iter().flat_map(|section| &section.devices);
        let labels = labels.map(|device| device.label.len() as u64 * u64::from(device.points.count()));
        let attributes = self
            .attributes
            .iter()
            .map(|timeline| timeline.weight(&attributes));
        let all = labels
            .chain(attributes)
            .fold(self.failures.weight(&failures), u64::saturating_add);
        (all > MAX_TEXT_BYTES).then_some("more texts than a chunk may have")
    }
}
