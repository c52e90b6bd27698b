//! Reading differences. Whatever the bytes are, it ends in a sample or an error, and in bounded memory.

use std::sync::atomic::{AtomicU64, Ordering};

use nodeglass_model::catalogue::{self, Attribute, Dimension, Metric, MetricId};
use nodeglass_model::sample::CollectFailure;
use nodeglass_model::{Sample, UnixMillis};

use super::departed::{Departed, Place};
use super::flat::{FlatRow, Heads, RowWriter};
use super::like::{Known, Like, text_of};
use super::{
    ABSENT, FAILURES, FIRST, LAYOUT, MAX_FAILURE_BYTES, MAX_FAILURES, MAX_METRICS, MAX_TEXT_BYTES,
    MAX_VALUES, VERSION,
};
use crate::row::RowError;
use crate::varint::Reader;

/// Turns records back into samples, in the order in which they were written.
#[derive(Debug)]
pub struct Decoder {
    max_devices: usize,
    version: u8,
    kinds: Vec<Kind>,
    /// The last sample's devices, without their figures, and its failures.
    layout: Sample,
    departed: Departed,
    time: i64,
    /// What stands before the values of each device in a row, made when it is asked for; `None` after the devices changed.
    heads: Option<Heads>,
    /// Which devices these are, among all that any decoder of this process has read.
    layout_number: LayoutNumber,
    /// Devices that were described since [`Decoder::take_described`] was called, processes left aside.
    described: usize,
    /// Whether the sample was vouched for by [`Decoder::vouch`], and nothing has come since that could have spoiled it.
    sound: bool,
}

/// One kind of device as the writer knows it.
#[derive(Debug)]
struct Kind {
    number: u8,
    holder: u8,
    /// `None` where this program does not know it.
    known: Option<Dimension>,
    metrics: Vec<Option<&'static Metric>>,
    values: Vec<i64>,
}

impl Decoder {
    /// One that begins anew. A record with more than `max_devices` is an error.
    pub fn new(max_devices: usize) -> Self {
        Self {
            max_devices,
            version: VERSION,
            kinds: Vec::new(),
            layout: Sample::default(),
            departed: Departed::default(),
            time: 0,
            heads: None,
            layout_number: LayoutNumber::default(),
            described: 0,
            sound: false,
        }
    }

    /// Reads the next record, which is all of `record`.
    ///
    /// # Errors
    /// Bytes that no [`super::Encoder`] wrote, or a record without those before it. After that this decoder reads only
    /// a record that begins anew.
    pub fn decode(&mut self, record: &[u8]) -> Result<Sample, RowError> {
        self.advance(record)?;
        Ok(self.sample())
    }

    /// Reads the next record, which is all of `record`, without making a sample of it: [`Decoder::sample`] and
    /// [`Decoder::row`] do.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn advance(&mut self, record: &[u8]) -> Result<(), RowError> {
        let read = self.read(record);
        if read.is_err() {
            *self = Self::new(self.max_devices);
        }
        read
    }

    fn read(&mut self, record: &[u8]) -> Result<(), RowError> {
        let mut reader = Reader::new(record);
        let flags = reader.byte()?;
        if flags & FIRST != 0 {
            let version = reader.byte()?;
            if !(1..=VERSION).contains(&version) {
                return Err(RowError::Version(version));
            }
            *self = Self {
                described: self.described,
                ..Self::new(self.max_devices)
            };
            self.version = version;
            self.layout_number = LayoutNumber::next();
            self.read_schema(&mut reader)?;
        }
        if self.kinds.is_empty() {
            return Err(RowError::Malformed("a difference without what it differs from"));
        }
        self.time = self.time.wrapping_add(reader.signed()?);
        if flags & LAYOUT != 0 {
            self.heads = None;
            self.layout_number = LayoutNumber::next();
            self.sound = false;
            self.read_layout(&mut reader)?;
        }
        if flags & FAILURES != 0 {
            self.read_failures(&mut reader)?;
        }
        self.read_values(&mut reader)?;
        if reader.is_empty() {
            Ok(())
        } else {
            Err(RowError::Malformed("more than a record"))
        }
    }

    fn read_schema(&mut self, reader: &mut Reader<'_>) -> Result<(), RowError> {
        for _ in 0..reader.unsigned()? {
            let number = reader.byte()?;
            let holder = reader.byte()?;
            let is_new = self.kinds.iter().all(|kind| kind.number != number);
            if !is_new || (holder != number && self.kinds.iter().all(|kind| kind.number != holder)) {
                return Err(RowError::Malformed("kinds of devices in disorder"));
            }
            // A kind that lies with another than here can't be found here.
            let known = Dimension::from_number(number).filter(|kind| kind.holder() as u8 == holder);
            let count = reader.unsigned()?;
            if count > MAX_METRICS {
                return Err(RowError::Malformed("more metrics than there are"));
            }
            let mut id = 0_u16;
            // A server has thousands of these for as long as agents are connected: no more than they need.
            let mut metrics = Vec::with_capacity(count as usize);
            for _ in 0..count {
                id = u16::try_from(reader.unsigned()?)
                    .ok()
                    .and_then(|step| id.checked_add(step))
                    .ok_or(RowError::Malformed("a metric number of more than 16 bits"))?;
                let metric = catalogue::by_id(MetricId(id));
                metrics.push(metric.filter(|metric| Some(metric.dimension()) == known));
            }
            let entries = usize::from(known == Some(Dimension::Host));
            let values = vec![ABSENT; metrics.len() * entries];
            self.kinds.push(Kind {
                number,
                holder,
                known,
                metrics,
                values,
            });
        }
        self.kinds.shrink_to_fit();
        Ok(())
    }

    fn read_failures(&mut self, reader: &mut Reader<'_>) -> Result<(), RowError> {
        self.layout.failures.clear();
        let count = reader.unsigned()?;
        let mut bytes = 0_usize;
        for _ in 0..count {
            let collector = reader.text()?.to_owned();
            let reason = reader.text()?.to_owned();
            bytes = bytes.saturating_add(collector.len()).saturating_add(reason.len());
            if count > MAX_FAILURES || bytes > MAX_FAILURE_BYTES {
                return Err(RowError::Malformed("more failures than there are collectors"));
            }
            self.layout.failures.push(CollectFailure { collector, reason });
        }
        Ok(())
    }

    fn read_layout(&mut self, reader: &mut Reader<'_>) -> Result<(), RowError> {
        let mut done = Vec::new();
        loop {
            let number = reader.byte()?;
            if number == Dimension::Host as u8 {
                break;
            }
            let views: Vec<usize> = (0..self.kinds.len())
                .filter(|index| self.kinds[*index].holder == number)
                .collect();
            let holder = Dimension::from_number(number);
            let count = usize::try_from(reader.unsigned()?).unwrap_or(usize::MAX);
            if views.is_empty() || count > self.max_devices {
                return Err(RowError::Malformed("more devices than a host has"));
            }
            if done.contains(&number) {
                return Err(RowError::Malformed("a kind of devices twice in one record"));
            }
            done.push(number);
            self.has_room(&views, count)?;
            let mut devices = Sample::default();
            let mut places = Vec::new();
            let mut text_bytes = 0;
            for index in 0..count {
                let place = Place::read(reader, self.version)?;
                if place == Place::Described {
                    self.described += usize::from(holder != Some(Dimension::Process));
                    self.read_description(holder, &views, index, &mut devices, reader)?;
                } else if let Some(holder) = holder {
                    let is_known = match place {
                        Place::Departed(place) => self.departed.copy(holder, place, &mut devices),
                        Place::Before(place) => holder.copy((&self.layout, place), &mut devices),
                        Place::Described => true,
                    };
                    if !is_known {
                        return Err(RowError::Malformed("a device that was not there"));
                    }
                }
                text_bytes += holder.map_or(0, |holder| holder.text_bytes(&devices, index));
                if text_bytes > MAX_TEXT_BYTES {
                    return Err(RowError::Malformed("devices with more text than a host has"));
                }
                places.push(place);
            }
            for view in views {
                self.kinds[view].rearrange(&places)?;
            }
            if let Some(holder) = holder {
                self.departed.update(holder, &self.layout, &places);
                holder.shrink(&mut devices);
                holder.swap(&mut self.layout, &mut devices);
            }
        }
        let values: usize = self.kinds.iter().map(|kind| kind.values.len()).sum();
        let devices: usize = Dimension::ALL
            .into_iter()
            .map(|kind| kind.len(&self.layout))
            .sum();
        if values > MAX_VALUES || devices > self.max_devices {
            return Err(RowError::Malformed("more devices than a host has"));
        }
        Ok(())
    }

    /// Whether there may be so many devices of these kinds beside the others: a kind that this program does not know has as
    /// many values as its schema says.
    fn has_room(&self, views: &[usize], devices: usize) -> Result<(), RowError> {
        let kinds = self.kinds.iter().enumerate();
        let values = kinds.map(|(index, kind)| {
            if views.contains(&index) {
                devices * kind.metrics.len()
            } else {
                kind.values.len()
            }
        });
        if values.sum::<usize>() > MAX_VALUES {
            return Err(RowError::Malformed("more devices than a host has"));
        }
        Ok(())
    }

    /// Reads the texts of a device, which becomes the one at `index`.
    fn read_description(
        &self,
        holder: Option<Dimension>,
        views: &[usize],
        index: usize,
        devices: &mut Sample,
        reader: &mut Reader<'_>,
    ) -> Result<(), RowError> {
        // The versions before the third described each device by itself.
        let number = if self.version < 3 { 0 } else { reader.unsigned()? };
        let number = usize::try_from(number).unwrap_or(usize::MAX).checked_sub(1);
        let mut model = Sample::default();
        if let (Some(number), Some(holder)) = (number, holder) {
            let known = Known {
                holder,
                here: (devices, index),
                before: &self.layout,
                departed: &self.departed,
            };
            let found = known.at(number);
            let found = found.ok_or(RowError::Malformed("a device like one that was not there"))?;
            holder.copy(found, &mut model);
        }
        let label = Like::read(reader, number.is_some())?;
        if let Some(holder) = holder {
            let like = number.map(|_| holder.label(&model, 0));
            holder.add(devices, &label.complete(like.as_deref().unwrap_or_default())?);
        }
        for view in views {
            for _ in 0..reader.unsigned()? {
                let attribute = Attribute::from_number(reader.byte()?);
                let text = Like::read(reader, number.is_some())?;
                if let (Some(kind), Some(attribute)) = (self.kinds[*view].known, attribute) {
                    let like = number.map_or("", |_| text_of(kind, (&model, 0), attribute));
                    kind.describe(devices, index, attribute, &text.complete(like)?);
                }
            }
        }
        Ok(())
    }

    fn read_values(&mut self, reader: &mut Reader<'_>) -> Result<(), RowError> {
        let changes = reader.unsigned()?;
        let mut kinds = self.kinds.iter_mut();
        let mut kind = kinds.next();
        let mut at = 0_usize;
        for _ in 0..changes {
            let passed = usize::try_from(reader.unsigned()?).unwrap_or(usize::MAX);
            at = at.saturating_add(passed);
            while let Some(whole) = kind.as_ref().map(|kind| kind.values.len())
                && at >= whole
            {
                at -= whole;
                kind = kinds.next();
            }
            let kind = kind.as_mut().ok_or(RowError::Malformed("a value of no device"))?;
            let value = &mut kind.values[at];
            *value = match reader.unsigned()?.checked_sub(1) {
                None => ABSENT,
                Some(folded) => {
                    let base = if *value == ABSENT { 0 } else { *value };
                    base.wrapping_add((folded >> 1) as i64 ^ -((folded & 1) as i64))
                }
            };
            self.sound &= can_be(kind.metrics[at % kind.metrics.len()], *value);
            at += 1;
        }
        Ok(())
    }

    /// When the sample was taken that the last record made.
    pub fn timestamp(&self) -> UnixMillis {
        UnixMillis(self.time)
    }

    /// Whether that sample is of the devices of one that [`Decoder::vouch`] was called for, and its values can be right.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// Says that the sample's devices are acceptable. It is sound then, unless a value of it is outside its metric's range.
    pub fn vouch(&mut self) {
        self.sound = self.kinds.iter().all(|kind| {
            let devices = kind.values.chunks_exact(kind.metrics.len().max(1));
            let mut values = devices.flat_map(|device| kind.metrics.iter().zip(device));
            values.all(|(metric, value)| can_be(*metric, *value))
        });
    }

    /// How many devices were described, and not named by their places, since this was last asked; processes, which come and
    /// go on every host, left aside.
    pub fn take_described(&mut self) -> usize {
        std::mem::take(&mut self.described)
    }

    /// Whether it has devices of this kind.
    pub fn has(&self, kind: Dimension) -> bool {
        kind.len(&self.layout) > 0
    }

    /// Of which devices that sample is.
    pub fn layout(&self) -> LayoutNumber {
        self.layout_number
    }

    /// The sample that the last record made.
    pub fn sample(&self) -> Sample {
        let mut sample = self.layout.clone();
        self.update(&mut sample);
        sample
    }

    /// Turns an earlier sample of a decoder into the one that the last record made, which spares describing its devices once
    /// more. It must have been made while [`Decoder::layout`] was what it is now.
    pub fn update(&self, sample: &mut Sample) {
        sample.timestamp = UnixMillis(self.time);
        sample.failures.clone_from(&self.layout.failures);
        for kind in self.kinds.iter().filter(|kind| !kind.metrics.is_empty()) {
            let there = kind.known.map_or(0, |known| known.len(sample));
            let values = kind.values.chunks_exact(kind.metrics.len()).take(there);
            for (index, values) in values.enumerate() {
                for (metric, steps) in kind.metrics.iter().zip(values) {
                    match metric {
                        Some(metric) if *steps == ABSENT => metric.clear(sample, index),
                        Some(metric) => metric.set_steps(sample, index, *steps),
                        None => {}
                    }
                }
            }
        }
    }
}

/// Tells the devices of samples apart: two samples with the same number are of the same devices in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayoutNumber(u64);

impl LayoutNumber {
    /// One that nobody has, and not the one of a decoder that has read nothing.
    fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Whether a metric can have a value of so many steps. What this program does not know it has no say in.
fn can_be(metric: Option<&Metric>, steps: i64) -> bool {
    steps == ABSENT || metric.is_none_or(|metric| metric.unit.steps_range().contains(&steps))
}

impl Decoder {
    /// The same as a row, as [`crate::row::encode`] writes it, of a sample that is sound.
    pub fn row(&mut self) -> FlatRow {
        let mut heads = self.heads.take().unwrap_or_else(|| Heads::new(&self.layout));
        let mut row = RowWriter::new(&mut heads);
        for dimension in Dimension::ALL {
            let known = dimension.len(&self.layout);
            let kind = self.kinds.iter().find(|kind| kind.known == Some(dimension));
            let Some(kind) = kind.filter(|kind| !kind.metrics.is_empty()) else {
                (0..known).for_each(|index| row.leave_out(dimension, index));
                continue;
            };
            let devices = kind.values.chunks_exact(kind.metrics.len());
            for (index, values) in devices.take(known).enumerate() {
                row.device(dimension, index, &kind.metrics, values);
            }
        }
        let row = row.finish(&self.layout.failures, || self.sample());
        self.heads = Some(heads);
        row
    }
}

impl Kind {
    /// Moves values to the new places of their devices.
    fn rearrange(&mut self, places: &[Place]) -> Result<(), RowError> {
        let width = self.metrics.len();
        if places.len() * width > MAX_VALUES {
            return Err(RowError::Malformed("more devices than a host has"));
        }
        let mut moved = Vec::with_capacity(places.len() * width);
        for place in places {
            match place.before() {
                Some(old) => {
                    let values = old
                        .checked_mul(width)
                        .and_then(|start| self.values.get(start..start.checked_add(width)?))
                        .ok_or(RowError::Malformed("a device that was not there"))?;
                    moved.extend_from_slice(values);
                }
                None => moved.resize(moved.len() + width, ABSENT),
            }
        }
        self.values = moved;
        Ok(())
    }
}
