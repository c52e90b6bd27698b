//! One column of a chunk: where its values are, and what they are.

use nodeglass_model::catalogue::Metric;

use super::{Head, Span};
use crate::chunk::ChunkError;
use crate::chunk::directory::{self, Device, Group, Section};
use crate::chunk::piece::{self, Numbers};
use crate::chunk::presence::Presence;

/// The values of one metric of one device, or of several that share a piece because they were there for a short time.
#[derive(Debug, Clone, Copy)]
pub struct Column<'h> {
    pub(super) head: &'h Head,
    pub(super) metric: &'static Metric,
    pub(super) section: &'h Section,
    pub(super) group: &'h Group,
    pub(super) entry: &'h directory::Column,
}

impl<'h> Column<'h> {
    /// Which bytes of the payload are needed to read it.
    pub fn span(&self) -> Span {
        Span {
            offset: self.entry.piece.start as u32,
            length: self.entry.piece.length as u32,
        }
    }

    /// The labels of the devices that have values in it.
    pub fn labels(&self) -> impl Iterator<Item = &'h str> + use<'h> {
        let Self { section, entry, .. } = *self;
        self.devices().filter_map(move |(device, start)| {
            let cells = start..start + device.points.count();
            entry.cells.within(cells).next().map(|_| section.label(device))
        })
    }

    /// The devices of its group, each with its first cell.
    pub(in crate::chunk) fn devices(&self) -> impl Iterator<Item = (&'h Device, u32)> + use<'h> {
        let mut start = 0;
        self.section.devices(self.group).iter().map(move |device| {
            let first = start;
            start += device.points.count();
            (device, first)
        })
    }

    /// Reads the values from the bytes that [`Column::span`] names.
    ///
    /// # Errors
    /// Bytes that no encoder wrote, or those of another column.
    pub fn read(&self, slice: &[u8]) -> Result<Values<'h>, ChunkError> {
        let values = self.numbers(slice)?.into_values(self.metric.unit);
        Ok(Values {
            column: *self,
            values,
        })
    }

    /// The same in steps of the metric's unit: whole numbers.
    ///
    /// # Errors
    /// Those of [`Column::read`].
    pub fn read_steps(&self, slice: &[u8]) -> Result<Values<'h>, ChunkError> {
        let values = self.numbers(slice)?.into_steps(self.metric.unit);
        Ok(Values {
            column: *self,
            values,
        })
    }

    pub(in crate::chunk) fn numbers(&self, slice: &[u8]) -> Result<Numbers, ChunkError> {
        let count = self.entry.cells.count() as usize;
        piece::numbers(
            self.entry.piece,
            slice,
            count,
            &self.head.opened.basics.pco_header,
        )
    }

    /// At which cells of the group there are values.
    pub(in crate::chunk) fn cells(&self) -> &'h Presence {
        &self.entry.cells
    }
}

/// What was read of a [`Column`].
#[derive(Debug)]
pub struct Values<'h> {
    column: Column<'h>,
    values: Vec<f64>,
}

impl<'h> Values<'h> {
    /// The values of one device at all points of the chunk; `None` if it has none.
    pub fn of(&self, label: &str) -> Option<Vec<Option<f64>>> {
        let series = self.series().find(|series| series.label() == label);
        series.map(|series| series.column())
    }

    /// The value at each cell of the group.
    pub(in crate::chunk) fn by_cell(self) -> Vec<Option<f64>> {
        let cells = self.column.cells();
        if cells.count() == self.column.group.cells {
            return self.values.into_iter().map(Some).collect();
        }
        let mut all = vec![None; self.column.group.cells as usize];
        for (cell, value) in cells.places().zip(self.values) {
            all[cell as usize] = Some(value);
        }
        all
    }

    /// The devices that have values, each with them.
    pub fn series(&self) -> impl Iterator<Item = Series<'h, '_>> {
        let Self { column, values } = self;
        let mut first = 0;
        column.devices().filter_map(move |(device, start)| {
            let cells = start..start + device.points.count();
            let count = column.cells().within(cells).count();
            let values = values.get(first..first + count).unwrap_or_default();
            first += count;
            (count > 0).then_some(Series {
                start,
                device,
                column: *column,
                values,
            })
        })
    }
}

/// The values of one device in a column.
#[derive(Debug, Clone, Copy)]
pub struct Series<'h, 'v> {
    /// The device's first cell.
    start: u32,
    device: &'h Device,
    column: Column<'h>,
    values: &'v [f64],
}

impl<'h, 'v> Series<'h, 'v> {
    /// The device's label; empty for the host.
    pub fn label(&self) -> &'h str {
        self.column.section.label(self.device)
    }

    /// The values there are, each with the number of its point, rising.
    pub fn points(&self) -> impl Iterator<Item = (usize, f64)> + use<'h, 'v> {
        let cells = self.start..self.start + self.device.points.count();
        let mut points = self.device.points.places();
        let mut next = 0;
        let places = self.column.cells().within(cells).filter_map(move |cell| {
            let point = points.nth((cell - next) as usize);
            next = cell + 1;
            point
        });
        places
            .map(|point| point as usize)
            .zip(self.values.iter().copied())
    }

    /// The values at all points of the chunk.
    pub fn column(&self) -> Vec<Option<f64>> {
        if self.values.len() == self.column.head.len() {
            return self.values.iter().copied().map(Some).collect();
        }
        let mut column = vec![None; self.column.head.len()];
        for (point, value) in self.points() {
            column[point] = Some(value);
        }
        column
    }
}
