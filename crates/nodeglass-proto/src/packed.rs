//! Samples as differences to each other: how agents of ours send, and how servers read it.

use bytes::Bytes;
use nodeglass_chunk::delta::{Decoder, Encoder, FlatRow, LayoutNumber, MAX_TEXT_BYTES};
use nodeglass_chunk::row::{self, RowError};
use nodeglass_chunk::varint::{Reader, put};
use nodeglass_model::catalogue::Dimension;
use nodeglass_model::{Sample, SampleId, UnixMillis, contiguous};

use crate::convert::{InvalidSample, sample};
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_SAMPLES, MAX_DEVICES, MAX_MESSAGE_BYTES};
use crate::{seq_range_from_wire, seq_range_to_wire, v1};

/// So few devices have no more text than is taken, with any names that systems have.
const FEW_DEVICES: usize = 64;
/// zstd's level for backfill: it is sent once, and the host has other things to do.
const LEVEL: i32 = 3;

/// Packs the live samples of one session.
#[derive(Debug, Default)]
pub struct LivePacker {
    encoder: Encoder,
}

impl LivePacker {
    /// Packs the next live sample of the session.
    pub fn pack(&mut self, id: SampleId, sample: &Sample) -> v1::SampleBatch {
        let mut records = Vec::with_capacity(512);
        put_record(&mut self.encoder, sample, &mut records);
        batch(vec![id], records, 0, false)
    }
}

/// Packs one batch of older samples.
#[derive(Debug, Default)]
pub struct BackfillPacker {
    encoder: Encoder,
    ids: Vec<SampleId>,
    records: Vec<u8>,
}

impl BackfillPacker {
    /// Adds a sample; `false` if the batch is full without it.
    pub fn add(&mut self, id: SampleId, sample: &Sample) -> bool {
        if self.ids.len() >= MAX_BATCH_SAMPLES {
            return false;
        }
        let before = self.records.len();
        put_record(&mut self.encoder, sample, &mut self.records);
        if self.records.len() > MAX_BATCH_BYTES && !self.ids.is_empty() {
            self.records.truncate(before);
            return false;
        }
        self.ids.push(id);
        true
    }

    /// The batch; `None` if nothing was added.
    pub fn finish(self) -> Option<v1::SampleBatch> {
        if self.ids.is_empty() {
            return None;
        }
        let unpacked = self.records.len();
        match zstd::bulk::compress(&self.records, LEVEL) {
            Ok(small) if small.len() < unpacked => Some(batch(self.ids, small, unpacked, true)),
            _ => Some(batch(self.ids, self.records, 0, true)),
        }
    }
}

fn put_record(encoder: &mut Encoder, sample: &Sample, records: &mut Vec<u8>) {
    let mut record = Vec::with_capacity(512);
    encoder.encode(sample, &mut record);
    put(records, record.len() as u64);
    records.extend_from_slice(&record);
}

fn batch(ids: Vec<SampleId>, records: Vec<u8>, unpacked: usize, backfill: bool) -> v1::SampleBatch {
    let packed = v1::PackedSamples {
        ids: contiguous(ids).into_iter().map(seq_range_to_wire).collect(),
        records,
        unpacked_bytes: unpacked as u32,
    };
    v1::SampleBatch {
        samples: Vec::new(),
        backfill,
        packed: Some(packed),
    }
}

/// Reads what the packers wrote, in the order in which it was sent.
#[derive(Debug)]
pub struct Unpacker {
    live: Decoder,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self {
            live: Decoder::new(MAX_DEVICES),
        }
    }
}

impl Unpacker {
    /// Hands each sample on, checked, or why it can't be taken.
    ///
    /// # Errors
    /// A record can't be read, so that those after it in the same sequence can't be either; what came before was handed on.
    /// Behind a live record the session must begin anew; the rest of a backfill batch must be sent again.
    pub fn unpack(
        &mut self,
        packed: &v1::PackedSamples,
        backfill: bool,
        mut each: impl FnMut(SampleId, Result<Unpacked<'_>, InvalidSample>),
    ) -> Result<(), Unreadable> {
        let whole = |error| Unreadable { id: None, error };
        let runs: Vec<_> = packed.ids.iter().map(|run| seq_range_from_wire(*run)).collect();
        let count = runs.iter().try_fold(0_u64, |count, run| {
            let more = run.last.checked_sub(run.first)?.checked_add(1)?;
            count
                .checked_add(more)
                .filter(|count| *count <= MAX_BATCH_SAMPLES as u64)
        });
        if count.is_none() {
            return Err(whole(RowError::Malformed("more samples than a batch may have")));
        }
        let mut batch = backfill.then(|| Decoder::new(MAX_DEVICES));
        let decoder = batch.as_mut().unwrap_or(&mut self.live);
        let records = unzipped(packed).map_err(whole)?;
        let mut reader = Reader::new(&records);
        for run in runs {
            for seq in run.first..=run.last {
                let id = SampleId {
                    epoch: run.epoch,
                    seq,
                };
                let unreadable = |error| Unreadable { id: Some(id), error };
                let record = reader.unsigned().and_then(|length| reader.bytes(length));
                let record = record.map_err(|broken| whole(broken.into()))?;
                decoder.advance(record).map_err(unreadable)?;
                each(id, Unpacked::check(decoder));
            }
        }
        if reader.is_empty() {
            Ok(())
        } else {
            Err(whole(RowError::Malformed("more records than identities")))
        }
    }
}

/// A sample that was unpacked and checked.
#[derive(Debug)]
pub struct Unpacked<'a> {
    decoder: &'a mut Decoder,
    /// The sample, where it had to be made to be checked. Boxed, as it is large and most are never made.
    sample: Option<Box<Sample>>,
    /// The row, once it was asked for, if the sample can be made out of it.
    row: Option<Bytes>,
}

impl<'a> Unpacked<'a> {
    /// Checks it. One whose devices were found good before and whose values are within their ranges needs no further look.
    fn check(decoder: &'a mut Decoder) -> Result<Self, InvalidSample> {
        sample::timestamp(Some(decoder.timestamp().0))?;
        let mut sample = None;
        if !decoder.is_sound() {
            let mut whole = decoder.sample();
            sample::finish(&mut whole)?;
            decoder.vouch();
            sample = Some(Box::new(whole));
        }
        Ok(Self {
            decoder,
            sample,
            row: None,
        })
    }

    /// How many of its devices came with it, processes left aside: they were described, and not named by their places.
    pub fn described(&mut self) -> usize {
        self.decoder.take_described()
    }

    /// When it was taken.
    pub fn timestamp(&self) -> UnixMillis {
        self.decoder.timestamp()
    }

    /// The sample as a row, as [`row::encode`] writes it.
    pub fn row(&mut self) -> Bytes {
        match &self.sample {
            // Its values may not be what its steps say.
            Some(sample) if !self.decoder.is_sound() => row::encode(sample).into(),
            _ => {
                let FlatRow { bytes, is_whole } = self.decoder.row();
                let row = Bytes::from(bytes);
                self.row = is_whole.then(|| row.clone());
                row
            }
        }
    }

    /// The row that was written, if the sample can be made out of it as it was.
    pub fn written_row(&self) -> Option<Bytes> {
        self.row.clone()
    }

    /// Whether it says something of tasks.
    pub fn has_tasks(&self) -> bool {
        self.decoder.has(Dimension::Task)
    }

    /// The sample itself.
    pub fn sample(&mut self) -> &Sample {
        self.sample.get_or_insert_with(|| Box::new(self.decoder.sample()))
    }

    /// The sample itself.
    pub fn into_sample(self) -> Sample {
        self.sample
            .map_or_else(|| self.decoder.sample(), |sample| *sample)
    }

    /// Of which devices it is; `None` where it had to be put right, so that its devices may be others than what came.
    pub fn layout(&self) -> Option<LayoutNumber> {
        self.decoder.is_sound().then(|| self.decoder.layout())
    }

    /// The sample itself, made out of an earlier one that was of the same [`Unpacked::layout`].
    pub fn into_sample_from(self, mut earlier: Sample) -> Sample {
        if let Some(sample) = self.sample {
            return *sample;
        }
        self.decoder.update(&mut earlier);
        earlier
    }
}

/// A record that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("packed samples can't be read: {error}")]
pub struct Unreadable {
    /// Whose record it is; `None` if the batch as a whole is no batch.
    pub id: Option<SampleId>,
    /// What is wrong with it.
    pub error: RowError,
}

impl Unreadable {
    /// Whether the sender is of a newer version: its samples are good, and a newer server can read them.
    pub fn is_newer(&self) -> bool {
        matches!(self.error, RowError::Version(_))
    }
}

/// Whether a sample has more devices, or more text in them, than any server takes: there is no use in sending it.
pub fn is_too_large(sample: &Sample) -> bool {
    let kinds = || Dimension::ALL.into_iter();
    let devices: usize = kinds().map(|kind| kind.len(sample)).sum();
    if devices <= FEW_DEVICES {
        return false;
    }
    let has_much_text = |kind: Dimension| {
        let texts = (0..kind.len(sample)).map(|index| kind.text_bytes(sample, index));
        texts.sum::<usize>() > MAX_TEXT_BYTES
    };
    devices > MAX_DEVICES || kinds().any(has_much_text)
}

fn unzipped(packed: &v1::PackedSamples) -> Result<std::borrow::Cow<'_, [u8]>, RowError> {
    let size = packed.unpacked_bytes as usize;
    if size == 0 {
        return Ok(std::borrow::Cow::Borrowed(&packed.records));
    }
    if size > MAX_MESSAGE_BYTES {
        return Err(RowError::Malformed("a larger batch than is taken"));
    }
    let records = zstd::bulk::decompress(&packed.records, size);
    records
        .map(std::borrow::Cow::Owned)
        .map_err(|_| RowError::Compression)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(number: u64) -> Sample {
        let mut sample = Sample {
            timestamp: UnixMillis(1_700_000_000_000 + number as i64 * 5_000),
            ..Default::default()
        };
        sample.cpu.usage_percent = Some((number % 100) as f64);
        sample
    }

    fn id(seq: u64) -> SampleId {
        SampleId { epoch: 7, seq }
    }

    type Found = (u64, Result<Sample, InvalidSample>);

    fn unpack(unpacker: &mut Unpacker, batch: &v1::SampleBatch) -> (Vec<Found>, bool) {
        let mut found = Vec::new();
        let inside = batch.packed.as_ref().unwrap();
        let read = unpacker.unpack(inside, batch.backfill, |id, unpacked| {
            let sample = unpacked.map(|mut unpacked| {
                let row = unpacked.row();
                let sample = unpacked.into_sample();
                assert_eq!(row, row::encode(&sample), "what is stored is what is shown");
                sample
            });
            found.push((id.seq, sample));
        });
        (found, read.is_ok())
    }

    #[test]
    fn live_and_backfill_come_back_though_they_are_mixed() {
        let (mut live, mut unpacker) = (LivePacker::default(), Unpacker::default());
        for number in 100..110 {
            let batch = live.pack(id(number), &sample(number));
            assert_eq!(
                unpack(&mut unpacker, &batch),
                (vec![(number, Ok(sample(number)))], true)
            );
            let mut backfill = BackfillPacker::default();
            for old in [number - 50, number - 49, number - 40] {
                assert!(backfill.add(id(old), &sample(old)));
            }
            let (found, whole) = unpack(&mut unpacker, &backfill.finish().unwrap());
            let seqs: Vec<_> = found.iter().map(|(seq, _)| *seq).collect();
            assert_eq!((seqs, whole), (vec![number - 50, number - 49, number - 40], true));
        }
    }

    #[test]
    fn a_batch_is_full_at_its_bounds() {
        let mut packer = BackfillPacker::default();
        let added = (1..10_000)
            .take_while(|seq| packer.add(id(*seq), &sample(*seq)))
            .count();
        assert_eq!(added, MAX_BATCH_SAMPLES);
        let batch = packer.finish().unwrap();
        let inside = batch.packed.as_ref().unwrap();
        assert!(
            inside.records.len() < inside.unpacked_bytes as usize / 2,
            "it is compressed"
        );
        assert_eq!(
            unpack(&mut Unpacker::default(), &batch).0.len(),
            MAX_BATCH_SAMPLES
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_what_cannot_be_right_costs_itself() {
        let mut wrong = sample(2);
        wrong.cpu.usage_percent = Some(101.0);
        let mut packer = BackfillPacker::default();
        for (seq, sample) in [(1, sample(1)), (2, wrong), (3, sample(3))] {
            packer.add(id(seq), &sample);
        }
        let mut batch = packer.finish().unwrap();
        let (found, _) = unpack(&mut Unpacker::default(), &batch);
        assert!(found[0].1.is_ok() && found[2].1.is_ok());
        assert!(matches!(found[1].1, Err(InvalidSample::Value(_))));

        let inside = batch.packed.as_mut().unwrap();
        let records = zstd::bulk::decompress(&inside.records, inside.unpacked_bytes as usize);
        let mut records = records.unwrap_or_else(|_| inside.records.clone());
        // The third record's last byte makes it more than a record; those before it are taken.
        let last = records.len() - 1;
        records[last] ^= 0x80;
        (inside.records, inside.unpacked_bytes) = (records, 0);
        let mut seen = Vec::new();
        let error = Unpacker::default()
            .unpack(batch.packed.as_ref().unwrap(), true, |id, _| seen.push(id.seq))
            .unwrap_err();
        assert_eq!(
            (seen, error.id, error.is_newer()),
            (vec![1, 2], Some(id(3)), false)
        );

        // A live record without those before it ends the session.
        let mut live = LivePacker::default();
        live.pack(id(1), &sample(1));
        let (found, whole) = unpack(&mut Unpacker::default(), &live.pack(id(2), &sample(2)));
        assert!(!whole && found.is_empty());
    }

    proptest! {
        #[test]
        fn no_batch_does_harm(
            records: Vec<u8>, unpacked in 0_u32..10_000, backfill: bool,
            ids in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..4),
        ) {
            let ids = ids.into_iter().map(|(epoch, first, last)| v1::SeqRange { epoch, first, last }).collect();
            let packed = v1::PackedSamples { ids, records, unpacked_bytes: unpacked };
            let mut named = 0;
            let _ = Unpacker::default().unpack(&packed, backfill, |_, _| named += 1);
            prop_assert!(named <= MAX_BATCH_SAMPLES);
        }
    }
}
