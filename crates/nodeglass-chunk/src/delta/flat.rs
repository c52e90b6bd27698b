//! Rows out of what a decoder remembers, without a sample in between: a server stores most samples without looking at them.

use std::cell::Cell;

use nodeglass_model::Sample;
use nodeglass_model::catalogue::{Dimension, Metric};
use nodeglass_model::sample::CollectFailure;

use super::ABSENT;
use crate::row::{VERSION, decode, put_attributes, put_failures};
use crate::varint::{put, put_signed, put_text};

/// More than rows of most hosts take; what a larger one took is given back.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// Where a row is written until it is known how long it is.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What stands before the values of each device: its kind, its label and its attributes, as a row has them.
#[derive(Debug, Default)]
pub(super) struct Heads {
    bytes: Vec<u8>,
    /// Where each device's end, kind after kind.
    ends: Vec<u32>,
    /// How many devices there are of each kind.
    counts: [u32; Dimension::ALL.len()],
    /// Which devices the last row left out, and whether its sample could be made out of it all the same.
    last: Option<(Vec<LeftOut>, bool)>,
}

/// A device without values, which a row does not have: its kind and its place.
type LeftOut = (Dimension, u32);

impl Heads {
    /// Those of the devices of a sample.
    pub(super) fn new(layout: &Sample) -> Self {
        let mut heads = Self::default();
        for kind in Dimension::ALL {
            let count = kind.len(layout);
            heads.counts[kind as usize] = count as u32;
            for index in 0..count {
                heads.bytes.push(kind as u8);
                put_text(&mut heads.bytes, &kind.label(layout, index));
                put_attributes(&mut heads.bytes, &kind.attributes(layout, index));
                heads.ends.push(heads.bytes.len() as u32);
            }
        }
        heads.bytes.shrink_to_fit();
        heads.ends.shrink_to_fit();
        heads
    }
}

/// A sample as a row.
#[derive(Debug)]
pub struct FlatRow {
    /// The row.
    pub bytes: Vec<u8>,
    /// Whether the sample can be made out of it as it was. A row has no devices without values, some of which are
    /// known by others.
    pub is_whole: bool,
}

/// Writes a row, kind after kind in the order of [`Dimension::ALL`].
pub(super) struct RowWriter<'a> {
    heads: &'a mut Heads,
    /// Devices whose heads were passed.
    passed: usize,
    devices: u64,
    left_out: Vec<LeftOut>,
    row: Vec<u8>,
}

impl<'a> RowWriter<'a> {
    /// The place of the number of devices, behind the version.
    const DEVICES: usize = 1;

    pub(super) fn new(heads: &'a mut Heads) -> Self {
        let mut row = SCRATCH.take();
        row.clear();
        row.extend_from_slice(&[VERSION, 0]);
        Self {
            heads,
            passed: 0,
            devices: 0,
            left_out: Vec::new(),
            row,
        }
    }

    /// Adds those devices of the next kind that have values: in steps, for each device one for each metric or [`ABSENT`].
    pub(super) fn devices(&mut self, kind: Dimension, metrics: &[Option<&'static Metric>], values: &[i64]) {
        let width = metrics.len();
        for index in 0..self.heads.counts[kind as usize] {
            let at = index as usize * width;
            let values = values.get(at..at + width).unwrap_or_default();
            let before = self.row.len();
            self.put_head();
            let count_at = self.row.len();
            self.row.push(0);
            let count = self.put_values(metrics, values);
            if count == 0 {
                self.row.truncate(before);
                self.left_out.push((kind, index));
            } else {
                self.put_count(count_at, count);
                self.devices += 1;
            }
        }
    }

    fn put_head(&mut self) {
        let Heads { bytes, ends, .. } = &*self.heads;
        let start = self.passed.checked_sub(1).map_or(0, |before| ends[before]);
        let end = ends[self.passed];
        self.row.extend_from_slice(&bytes[start as usize..end as usize]);
        self.passed += 1;
    }

    fn put_values(&mut self, metrics: &[Option<&'static Metric>], values: &[i64]) -> u64 {
        let (mut count, mut before) = (0, 0);
        for (metric, steps) in metrics.iter().zip(values) {
            if let Some(metric) = metric
                && *steps != ABSENT
            {
                count += 1;
                put(&mut self.row, u64::from(metric.id.0 - before));
                put_signed(&mut self.row, *steps);
                before = metric.id.0;
            }
        }
        count
    }

    /// Writes a count where a byte was left for it, which nearly all fit into.
    fn put_count(&mut self, at: usize, count: u64) {
        if count < 0x80 {
            self.row[at] = count as u8;
        } else {
            let mut long = Vec::new();
            put(&mut long, count);
            self.row.splice(at..=at, long);
        }
    }

    /// The row, and whether `sample` can be made out of it, which is not asked again while it is the same devices that have no
    /// values.
    pub(super) fn finish(mut self, failures: &[CollectFailure], sample: impl FnOnce() -> Sample) -> FlatRow {
        put_failures(&mut self.row, failures);
        self.put_count(Self::DEVICES, self.devices);
        let Self {
            heads,
            left_out,
            mut row,
            ..
        } = self;
        let is_whole = match &heads.last {
            Some((before, is_whole)) if *before == left_out => *is_whole,
            _ => {
                let sample = sample();
                let is_whole = decode(&row, sample.timestamp).is_ok_and(|again| again == sample);
                heads.last = Some((left_out, is_whole));
                is_whole
            }
        };
        let bytes = row.as_slice().into();
        row.clear();
        row.shrink_to(SCRATCH_BYTES);
        SCRATCH.set(row);
        FlatRow { bytes, is_whole }
    }
}
