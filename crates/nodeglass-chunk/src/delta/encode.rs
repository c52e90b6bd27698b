//! Writing differences.

use nodeglass_model::Sample;
use nodeglass_model::catalogue::Dimension;

use super::departed::{Departed, Place};
use super::like::{Known, put_like, text_of};
use super::{ABSENT, FAILURES, FIRST, LAYOUT, VERSION};
use crate::varint::{put, put_signed, put_text};

/// Turns samples into records, each in the light of the one before.
#[derive(Debug, Default)]
pub struct Encoder {
    begun: bool,
    /// The sample that last had other devices than the one before it: its devices are still those of the last sample.
    layout: Sample,
    departed: Departed,
    /// The last sample's values in steps, by kind of device.
    values: [Vec<i64>; Dimension::ALL.len()],
    /// When the last sample was taken.
    time: i64,
    /// Changed values of the record at hand.
    changes: Vec<u8>,
}

impl Encoder {
    /// One that begins anew.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a sample's record.
    pub fn encode(&mut self, sample: &Sample, out: &mut Vec<u8>) {
        let first = !std::mem::replace(&mut self.begun, true);
        let moved = first || !self.has_same_devices(sample);
        let failed = sample.failures != self.layout.failures;
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        out.push(flag(first, FIRST) | flag(moved, LAYOUT) | flag(failed, FAILURES));
        if first {
            out.push(VERSION);
            put_schema(out);
            self.values[Dimension::Host as usize] = vec![ABSENT; Dimension::Host.metrics().len()];
        }
        put_signed(out, sample.timestamp.0.wrapping_sub(self.time));
        self.time = sample.timestamp.0;
        if moved {
            self.put_layout(sample, out);
        }
        if failed {
            put(out, sample.failures.len() as u64);
            for failure in &sample.failures {
                put_text(out, &failure.collector);
                put_text(out, &failure.reason);
            }
        }
        if moved {
            self.layout = sample.clone();
        } else if failed {
            self.layout.failures.clone_from(&sample.failures);
        }
        self.put_values(sample, out);
    }

    fn has_same_devices(&self, sample: &Sample) -> bool {
        Dimension::ALL.into_iter().all(|kind| {
            let count = kind.len(sample);
            count == kind.len(&self.layout)
                && (0..count).all(|index| kind.is_same((&self.layout, index), (sample, index)))
        })
    }

    /// Appends the devices of every kind that has others than before, and takes their values along to the new places.
    fn put_layout(&mut self, sample: &Sample, out: &mut Vec<u8>) {
        for holder in Dimension::ALL.into_iter().skip(1) {
            let views = holder.views();
            let (before, now) = (holder.len(&self.layout), holder.len(sample));
            let is_same = |old: usize, new: usize| {
                views
                    .iter()
                    .all(|view| view.is_same((&self.layout, old), (sample, new)))
            };
            if views.is_empty() || (before == now && (0..now).all(|index| is_same(index, index))) {
                continue;
            }
            out.push(holder as u8);
            put(out, now as u64);
            let mut places = Vec::with_capacity(now);
            for new in 0..now {
                // Devices keep their order, so the place to look first is the one after the last that was found.
                let last = places.iter().rev().find_map(|place: &Place| place.before());
                let next = last.map_or(0, |last| last + 1);
                let old = (next..before)
                    .chain(0..next.min(before))
                    .find(|old| is_same(*old, new));
                let place = match old {
                    Some(old) => Place::Before(old),
                    None => self
                        .departed
                        .find(holder, (sample, new))
                        .map_or(Place::Described, Place::Departed),
                };
                place.put(out);
                if place == Place::Described {
                    self.put_description(holder, sample, new, out);
                }
                places.push(place);
            }
            self.departed.update(holder, &self.layout, &places);
            for view in views {
                let width = view.metrics().len();
                let values = &mut self.values[*view as usize];
                let mut moved = Vec::with_capacity(now * width);
                for place in &places {
                    match place.before() {
                        Some(old) => moved.extend_from_slice(&values[old * width..(old + 1) * width]),
                        None => moved.resize(moved.len() + width, ABSENT),
                    }
                }
                *values = moved;
            }
        }
        out.push(0);
    }

    /// Appends the texts of a device: those of the known one that it is most like, as far as they are the same.
    fn put_description(&self, holder: Dimension, sample: &Sample, index: usize, out: &mut Vec<u8>) {
        let known = Known {
            holder,
            here: (sample, index),
            before: &self.layout,
            departed: &self.departed,
        };
        let number = known.likest((sample, index));
        let model = number.and_then(|number| known.at(number));
        put(out, number.map_or(0, |number| 1 + number as u64));
        let put_one = |out: &mut Vec<u8>, model: Option<&str>, text: &str| match model {
            Some(model) => put_like(out, model, text),
            None => put_text(out, text),
        };
        let like = model.map(|(sample, index)| holder.label(sample, index));
        put_one(out, like.as_deref(), &holder.label(sample, index));
        for view in holder.views() {
            let attributes = view.attributes(sample, index);
            put(out, attributes.len() as u64);
            for (attribute, text) in attributes {
                out.push(attribute as u8);
                put_one(out, model.map(|model| text_of(*view, model, attribute)), text);
            }
        }
    }

    fn put_values(&mut self, sample: &Sample, out: &mut Vec<u8>) {
        self.changes.clear();
        let (mut count, mut passed) = (0_u64, 0_u64);
        for kind in Dimension::ALL {
            let metrics = kind.metrics();
            let before = &mut self.values[kind as usize];
            if metrics.is_empty() {
                continue;
            }
            for (index, values) in before.chunks_exact_mut(metrics.len()).enumerate() {
                for (metric, before) in metrics.iter().zip(values) {
                    let now = metric.steps(sample, index).unwrap_or(ABSENT);
                    if now == *before {
                        passed += 1;
                        continue;
                    }
                    count += 1;
                    put(&mut self.changes, passed);
                    passed = 0;
                    if now == ABSENT {
                        put(&mut self.changes, 0);
                    } else {
                        let base = if *before == ABSENT { 0 } else { *before };
                        let difference = now.wrapping_sub(base);
                        put(&mut self.changes, folded(difference).wrapping_add(1));
                    }
                    *before = now;
                }
            }
        }
        put(out, count);
        out.extend_from_slice(&self.changes);
    }
}

/// Zigzag: small numbers of either sign become small ones. The one that would leave no room for "absent" does not occur:
/// values are within 2^60 steps.
fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn put_schema(out: &mut Vec<u8>) {
    put(out, Dimension::ALL.len() as u64);
    for kind in Dimension::ALL {
        out.push(kind as u8);
        out.push(kind.holder() as u8);
        put(out, kind.metrics().len() as u64);
        let mut before = 0;
        for metric in kind.metrics() {
            put(out, u64::from(metric.id.0 - before));
            before = metric.id.0;
        }
    }
}
