//! Rows out of what a decoder remembers, without a sample in between: a server stores most samples without looking at them.

use nodeglass_model::Sample;
use nodeglass_model::catalogue::{Dimension, Metric};
use nodeglass_model::sample::CollectFailure;

use super::ABSENT;
use crate::row::{VERSION, decode, put_attributes, put_failures};
use crate::varint::{put, put_signed, put_text};

/// What stands before the values of each device: its kind, its label and its attributes, as a row has them.
#[derive(Debug, Default)]
pub(super) struct Heads {
    bytes: Vec<u8>,
    /// Where each device's end, by kind.
    ends: [Vec<u32>; Dimension::ALL.len()],
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
            for index in 0..kind.len(layout) {
                heads.bytes.push(kind as u8);
                put_text(&mut heads.bytes, &kind.label(layout, index));
                put_attributes(&mut heads.bytes, &kind.attributes(layout, index));
                heads.ends[kind as usize].push(heads.bytes.len() as u32);
            }
        }
        heads
    }

    fn of(&self, kind: Dimension, index: usize) -> &[u8] {
        let end = |kind: usize, index: usize| self.ends[kind].get(index).copied();
        let before = match index.checked_sub(1) {
            Some(before) => end(kind as usize, before),
            None => self.ends[..kind as usize]
                .iter()
                .rev()
                .find_map(|ends| ends.last().copied()),
        };
        let end = end(kind as usize, index).unwrap_or_default();
        &self.bytes[before.unwrap_or_default() as usize..end as usize]
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

/// Writes a row device by device.
pub(super) struct RowWriter<'a> {
    heads: &'a mut Heads,
    devices: u64,
    left_out: Vec<LeftOut>,
    /// Everything between the count of the devices and the failures.
    body: Vec<u8>,
    values: Vec<u8>,
}

impl<'a> RowWriter<'a> {
    pub(super) fn new(heads: &'a mut Heads) -> Self {
        Self {
            devices: 0,
            left_out: Vec::new(),
            body: Vec::with_capacity(heads.bytes.len() + 1024),
            values: Vec::with_capacity(256),
            heads,
        }
    }

    /// Adds a device if it has values: in steps, one for each metric or [`ABSENT`].
    pub(super) fn device(
        &mut self,
        kind: Dimension,
        index: usize,
        metrics: &[Option<&'static Metric>],
        values: &[i64],
    ) {
        self.values.clear();
        let (mut count, mut before) = (0_u64, 0);
        for (metric, steps) in metrics.iter().zip(values) {
            if let Some(metric) = metric
                && *steps != ABSENT
            {
                count += 1;
                put(&mut self.values, u64::from(metric.id.0 - before));
                put_signed(&mut self.values, *steps);
                before = metric.id.0;
            }
        }
        if count == 0 {
            self.leave_out(kind, index);
            return;
        }
        self.devices += 1;
        self.body.extend_from_slice(self.heads.of(kind, index));
        put(&mut self.body, count);
        self.body.extend_from_slice(&self.values);
    }

    pub(super) fn leave_out(&mut self, kind: Dimension, index: usize) {
        self.left_out.push((kind, index as u32));
    }

    /// The row, and whether `sample` can be made out of it, which is not asked again while it is the same devices that have no
    /// values.
    pub(super) fn finish(self, failures: &[CollectFailure], sample: impl FnOnce() -> Sample) -> FlatRow {
        // Room for the version and two counts besides.
        let mut row = Vec::with_capacity(self.body.len() + 16);
        row.push(VERSION);
        put(&mut row, self.devices);
        row.extend_from_slice(&self.body);
        put_failures(&mut row, failures);
        let is_whole = match &self.heads.last {
            Some((left_out, is_whole)) if *left_out == self.left_out => *is_whole,
            _ => {
                let sample = sample();
                let is_whole = decode(&row, sample.timestamp).is_ok_and(|again| again == sample);
                self.heads.last = Some((self.left_out, is_whole));
                is_whole
            }
        };
        FlatRow { bytes: row, is_whole }
    }
}
