//! Reading differences. Whatever the bytes are, it ends in a sample or an error, and in bounded memory.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nodeglass_model::catalogue::{Attribute, Dimension, Metric};
use nodeglass_model::sample::CollectFailure;
use nodeglass_model::{Sample, UnixMillis};

use super::departed::{Departed, Place};
use super::flat::{FlatRow, Heads, RowWriter};
use super::like::{Known, Like, text_of};
use super::schema::{Kind, Schema};
use super::{
    ABSENT, FAILURES, FIRST, LAYOUT, MAX_FAILURE_BYTES, MAX_FAILURES, MAX_TEXT_BYTES, MAX_VALUES, VERSION,
};
use crate::row::RowError;
use crate::varint::Reader;

/// Turns records back into samples, in the order in which they were written.
#[derive(Debug)]
pub struct Decoder {
    max_devices: usize,
    version: u8,
    /// Without kinds before the first record.
    schema: Arc<Schema>,
    /// The last sample's values in steps, kind after kind and device after device: they are gone through with each record, and what
    /// lies in one piece is fetched before it is needed.
    values: Vec<i64>,
    /// Where the values of each kind end.
    ends: Box<[u32]>,
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

impl Decoder {
    /// One that begins anew. A record with more than `max_devices` is an error.
    pub fn new(max_devices: usize) -> Self {
        Self {
            max_devices,
            version: VERSION,
            schema: Arc::default(),
            values: Vec::new(),
            ends: Box::default(),
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
            self.begin(Schema::read(&mut reader)?);
        }
        if self.schema.kinds.is_empty() {
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

    /// Begins with the host's values, which are all absent.
    fn begin(&mut self, schema: Arc<Schema>) {
        let mut end = 0;
        let ends = schema.kinds.iter().map(|kind| {
            let entries = usize::from(kind.known == Some(Dimension::Host));
            end += kind.metrics.len() * entries;
            end as u32
        });
        self.ends = ends.collect();
        self.values = vec![ABSENT; end];
        self.schema = schema;
    }

    /// Where the values of a kind are.
    fn values_of(&self, kind: usize) -> Range<usize> {
        let start = kind.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[kind] as usize
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
        // All are put in their places at once: each by itself would move those behind it as often as there are kinds.
        let mut moved = vec![None; self.schema.kinds.len()];
        loop {
            let number = reader.byte()?;
            if number == Dimension::Host as u8 {
                break;
            }
            let kinds = self.schema.kinds.iter().enumerate();
            let views: Vec<usize> = kinds
                .filter_map(|(place, kind)| (kind.holder == number).then_some(place))
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
            self.has_room(&views, count, &moved)?;
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
                moved[view] = Some(self.moved(view, &places)?);
            }
            if let Some(holder) = holder {
                self.departed.update(holder, &self.layout, &places);
                holder.shrink(&mut devices);
                holder.swap(&mut self.layout, &mut devices);
            }
        }
        self.rearrange(&moved);
        let devices: usize = Dimension::ALL
            .into_iter()
            .map(|kind| kind.len(&self.layout))
            .sum();
        if self.values.len() > MAX_VALUES || devices > self.max_devices {
            return Err(RowError::Malformed("more devices than a host has"));
        }
        Ok(())
    }

    /// Whether there may be so many devices of these kinds beside the others, some of which were moved: a kind that this program
    /// does not know has as many values as its schema says.
    fn has_room(&self, views: &[usize], devices: usize, moved: &[Option<Vec<i64>>]) -> Result<(), RowError> {
        let kinds = self.schema.kinds.iter().enumerate();
        let values = kinds.map(|(index, kind)| {
            if views.contains(&index) {
                devices * kind.metrics.len()
            } else {
                self.values_after(index, moved).len()
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
                if let (Some(kind), Some(attribute)) = (self.schema.kinds[*view].known, attribute) {
                    let like = number.map_or("", |_| text_of(kind, (&model, 0), attribute));
                    kind.describe(devices, index, attribute, &text.complete(like)?);
                }
            }
        }
        Ok(())
    }

    /// The values of a kind at the new places of their devices.
    fn moved(&self, kind: usize, places: &[Place]) -> Result<Vec<i64>, RowError> {
        let width = self.schema.kinds[kind].metrics.len();
        if places.len() * width > MAX_VALUES {
            return Err(RowError::Malformed("more devices than a host has"));
        }
        let before = &self.values[self.values_of(kind)];
        let mut moved = Vec::with_capacity(places.len() * width);
        for place in places {
            match place.before() {
                Some(old) => {
                    let values = old
                        .checked_mul(width)
                        .and_then(|start| before.get(start..start.checked_add(width)?))
                        .ok_or(RowError::Malformed("a device that was not there"))?;
                    moved.extend_from_slice(values);
                }
                None => moved.resize(moved.len() + width, ABSENT),
            }
        }
        Ok(moved)
    }

    /// The values of a kind once those that were moved are in their places.
    fn values_after<'a>(&'a self, kind: usize, moved: &'a [Option<Vec<i64>>]) -> &'a [i64] {
        moved[kind]
            .as_deref()
            .unwrap_or_else(|| &self.values[self.values_of(kind)])
    }

    /// Puts values that were moved in their places.
    fn rearrange(&mut self, moved: &[Option<Vec<i64>>]) {
        let kinds = || (0..moved.len()).map(|kind| self.values_after(kind, moved));
        // A server has thousands of these for as long as agents are connected: no more room than they need.
        let mut values = Vec::with_capacity(kinds().map(<[i64]>::len).sum());
        let mut ends = Vec::with_capacity(moved.len());
        for kind in kinds() {
            values.extend_from_slice(kind);
            ends.push(values.len() as u32);
        }
        (self.values, self.ends) = (values, ends.into());
    }

    fn read_values(&mut self, reader: &mut Reader<'_>) -> Result<(), RowError> {
        let changes = reader.unsigned()?;
        let (mut kind, mut start, mut at) = (0_usize, 0_usize, 0_usize);
        for _ in 0..changes {
            let passed = usize::try_from(reader.unsigned()?).unwrap_or(usize::MAX);
            at = at.saturating_add(passed);
            let value = self
                .values
                .get_mut(at)
                .ok_or(RowError::Malformed("a value of no device"))?;
            *value = match reader.unsigned()?.checked_sub(1) {
                None => ABSENT,
                Some(folded) => {
                    let base = if *value == ABSENT { 0 } else { *value };
                    base.wrapping_add((folded >> 1) as i64 ^ -((folded & 1) as i64))
                }
            };
            // There is a kind with an end behind each value.
            while at >= self.ends[kind] as usize {
                start = self.ends[kind] as usize;
                kind += 1;
            }
            let metrics = &self.schema.kinds[kind].metrics;
            self.sound &= can_be(metrics[(at - start) % metrics.len()], *value);
            at += 1;
        }
        Ok(())
    }

    /// The kinds that have metrics, each with its values.
    fn kinds(&self) -> impl Iterator<Item = (&Kind, &[i64])> {
        let kinds = self.schema.kinds.iter().enumerate();
        kinds
            .filter(|(_, kind)| !kind.metrics.is_empty())
            .map(|(place, kind)| (kind, &self.values[self.values_of(place)]))
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
        let is_sound = self.kinds().all(|(kind, values)| {
            let mut values = kind.metrics.iter().cycle().zip(values);
            values.all(|(metric, value)| can_be(*metric, *value))
        });
        self.sound = is_sound;
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
        for (kind, values) in self.kinds() {
            let there = kind.known.map_or(0, |known| known.len(sample));
            let values = values.chunks_exact(kind.metrics.len()).take(there);
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
            let place = self.schema.place(dimension);
            let metrics = place.map_or(&[][..], |place| &self.schema.kinds[place].metrics);
            let values = place.map_or(&[][..], |place| &self.values[self.values_of(place)]);
            row.devices(dimension, metrics, values);
        }
        let row = row.finish(&self.layout.failures, || self.sample());
        self.heads = Some(heads);
        row
    }
}
