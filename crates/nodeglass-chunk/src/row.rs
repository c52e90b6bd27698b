//! One sample as bytes: the flat form of the catalogue, numbers as whole steps of their metric's unit.
//!
//! ```text
//! row      = version (1 byte: 1) devices failures
//! devices  = count, then each: dimension (1 byte), label, attributes, values
//! attributes = count, then each: number (1 byte), text
//! values   = count, then each: metric number less the one before, value in steps (signed)
//! failures = count, then each: collector, reason
//! ```
//!
//! Counts and numbers are varints, texts have their length before them. Dimensions, attributes and metrics that a
//! reader doesn't know are passed over, so older programs read newer rows. The time is not part of the row: it is the
//! key wherever rows are kept. A sample that was quantised comes back bit for bit.

mod scan;

use nodeglass_model::catalogue::{self, Attribute, Dimension, MetricId};
use nodeglass_model::sample::CollectFailure;
use nodeglass_model::{Sample, UnixMillis};

pub use scan::{Figure, Scanner, scan, value};

use crate::varint::{Broken, Reader, put, put_signed, put_text};

pub(crate) const VERSION: u8 = 1;

/// The largest row that [`read`] makes. A sample is a few kilobytes; more is a bomb.
pub const MAX_ROW_BYTES: usize = 4 << 20;

/// Why bytes are not a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// They end too early.
    #[error("the row is cut off")]
    Cut,
    /// A version that this program doesn't know.
    #[error("the row has version {0}; this program reads version {VERSION}: use a newer one")]
    Version(u8),
    /// Something else that no writer makes.
    #[error("the row holds {0}")]
    Malformed(&'static str),
    /// zstd refused them, or they would be larger than [`MAX_ROW_BYTES`].
    #[error("the row can't be decompressed")]
    Compression,
}

impl From<Broken> for RowError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Cut => Self::Cut,
            Broken::Malformed(what) => Self::Malformed(what),
        }
    }
}

/// Writes a sample, without its time.
pub fn encode(sample: &Sample) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.push(VERSION);
    let devices: Vec<_> = catalogue::devices(sample)
        .map(|device| (device.values(sample).collect::<Vec<_>>(), device))
        .filter(|(values, _)| !values.is_empty())
        .collect();
    put(&mut out, devices.len() as u64);
    for (values, device) in devices {
        out.push(device.dimension as u8);
        put_text(&mut out, &device.label);
        put_attributes(&mut out, &device.attributes(sample));
        put(&mut out, values.len() as u64);
        let mut before = 0;
        for (metric, value) in values {
            put(&mut out, u64::from(metric.id.0 - before));
            put_signed(&mut out, metric.unit.to_steps(value));
            before = metric.id.0;
        }
    }
    put_failures(&mut out, &sample.failures);
    out
}

pub(crate) fn put_attributes(out: &mut Vec<u8>, attributes: &[(Attribute, &str)]) {
    put(out, attributes.len() as u64);
    for (attribute, text) in attributes {
        out.push(*attribute as u8);
        put_text(out, text);
    }
}

pub(crate) fn put_failures(out: &mut Vec<u8>, failures: &[CollectFailure]) {
    put(out, failures.len() as u64);
    for failure in failures {
        put_text(out, &failure.collector);
        put_text(out, &failure.reason);
    }
}

/// Reads a sample that was taken at `timestamp`.
///
/// # Errors
/// Bytes that no [`encode`] wrote; keep them aside and report them, they are not worth a second try.
pub fn decode(row: &[u8], timestamp: UnixMillis) -> Result<Sample, RowError> {
    let mut reader = Reader::new(row);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(RowError::Version(version));
    }
    let mut sample = Sample {
        timestamp,
        ..Default::default()
    };
    for _ in 0..reader.unsigned()? {
        decode_device(&mut reader, &mut sample)?;
    }
    for _ in 0..reader.unsigned()? {
        let collector = reader.text()?.to_owned();
        let reason = reader.text()?.to_owned();
        sample.failures.push(CollectFailure { collector, reason });
    }
    if reader.is_empty() {
        Ok(sample)
    } else {
        Err(RowError::Malformed("more than a row"))
    }
}

fn decode_device(reader: &mut Reader<'_>, sample: &mut Sample) -> Result<(), RowError> {
    let dimension = Dimension::from_number(reader.byte()?);
    let label = reader.text()?;
    let index = dimension.map(|dimension| dimension.find_or_add(sample, label));
    for _ in 0..reader.unsigned()? {
        let attribute = Attribute::from_number(reader.byte()?);
        let text = reader.text()?;
        if let (Some(dimension), Some(index), Some(attribute)) = (dimension, index, attribute) {
            dimension.describe(sample, index, attribute, text);
        }
    }
    let mut id = 0_u16;
    for _ in 0..reader.unsigned()? {
        id = next_number(id, reader)?;
        let steps = reader.signed()?;
        let known = catalogue::by_id(MetricId(id)).filter(|metric| Some(metric.dimension()) == dimension);
        if let (Some(metric), Some(index)) = (known, index) {
            metric.set_steps(sample, index, steps);
        }
    }
    Ok(())
}

/// Makes rows small, keeping its working memory from one to the next.
pub struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    /// Half the time of zstd's fastest regular level, for rows that are an eighth longer until the store packs them into chunks.
    const LEVEL: i32 = -1;

    /// Sets up the working memory.
    ///
    /// # Panics
    /// If there is no memory for it.
    pub fn new() -> Self {
        Self(zstd::bulk::Compressor::new(Self::LEVEL).expect("memory for a compressor"))
    }

    /// Makes a row small.
    ///
    /// # Errors
    /// [`RowError::Compression`], which zstd gives only when it has no memory.
    pub fn compress(&mut self, row: &[u8]) -> Result<Vec<u8>, RowError> {
        self.0.compress(row).map_err(|_| RowError::Compression)
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads what [`encode`] wrote, compressed or not; the first byte tells them apart.
///
/// # Errors
/// As [`decode`], and bytes that zstd did not write or that would become too large.
pub fn read(bytes: &[u8], timestamp: UnixMillis) -> Result<Sample, RowError> {
    if bytes.first() == Some(&VERSION) {
        return decode(bytes, timestamp);
    }
    let row = zstd::bulk::decompress(bytes, unpacked_size(bytes)?).map_err(|_| RowError::Compression)?;
    decode(&row, timestamp)
}

/// The size of a compressed row, if it may be one.
fn unpacked_size(bytes: &[u8]) -> Result<usize, RowError> {
    match zstd::zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(size)) if size <= MAX_ROW_BYTES as u64 => Ok(size as usize),
        _ => Err(RowError::Compression),
    }
}

/// The number of the next metric.
fn next_number(before: u16, reader: &mut Reader<'_>) -> Result<u16, RowError> {
    u16::try_from(reader.unsigned()?)
        .ok()
        .and_then(|step| before.checked_add(step))
        .ok_or(RowError::Malformed("a metric number of more than 16 bits"))
}

#[cfg(test)]
mod tests {
    use nodeglass_model::catalogue::METRICS;
    use nodeglass_model::sample::{DiskMetrics, GpuMetrics};
    use proptest::prelude::*;

    use super::*;

    fn any_sample() -> impl Strategy<Value = Sample> {
        let value = (0..METRICS.len(), 0..4_u8, 0_u32..=10_000);
        (proptest::collection::vec(value, 0..60), any::<i64>()).prop_map(|(values, timestamp)| {
            let mut sample = Sample {
                timestamp: UnixMillis(timestamp),
                ..Default::default()
            };
            for (metric, label, steps) in values {
                let metric = &METRICS[metric];
                let value = f64::from(steps) / f64::from(metric.unit.steps());
                catalogue::set(&mut sample, metric, &label.to_string(), Some(value));
            }
            sample
        })
    }

    /// The same figures, whatever order the devices stand in.
    fn flat(sample: &Sample) -> Vec<(&'static str, String, u64)> {
        let mut all: Vec<_> = catalogue::devices(sample)
            .flat_map(|device| {
                let label = device.label.to_string();
                let values: Vec<_> = device.values(sample).collect();
                values
                    .into_iter()
                    .map(move |(metric, value)| (metric.path, label.clone(), value.to_bits()))
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn what_describes_a_device_comes_back_with_it() {
        let sample = Sample {
            timestamp: UnixMillis(5),
            disks: vec![
                DiskMetrics {
                    device: "/dev/sda1".into(),
                    mount_point: "/".into(),
                    parent: "sda".into(),
                    used_bytes: Some(7),
                    read_bytes_per_sec: Some(9),
                    ..Default::default()
                },
                DiskMetrics {
                    device: "nas:/export".into(),
                    mount_point: "/mnt".into(),
                    used_bytes: Some(1),
                    ..Default::default()
                },
                DiskMetrics {
                    device: "/dev/sda".into(),
                    read_bytes_per_sec: Some(9),
                    ..Default::default()
                },
            ],
            gpus: vec![GpuMetrics {
                index: 1,
                name: "H200".into(),
                uuid: "GPU-1".into(),
                power_watts: Some(70.5),
                ..Default::default()
            }],
            failures: vec![CollectFailure {
                collector: "disk".into(),
                reason: "no answer".into(),
            }],
            ..Default::default()
        };
        assert_eq!(decode(&encode(&sample), sample.timestamp), Ok(sample));
    }

    #[test]
    fn unknown_dimensions_and_metrics_are_passed_over() {
        let mut sample = Sample::default();
        sample.load.load1 = Some(1.5);
        let mut row = encode(&sample);
        row.pop();
        row[1] += 1;
        // A device of dimension 200, labelled "x", with one attribute and one value; then no failures.
        row.extend([200, 1, b'x', 1, 9, 1, b'y', 1, 5, 2, 0]);
        assert_eq!(decode(&row, UnixMillis(0)), Ok(sample));
    }

    proptest! {
        #[test]
        fn quantised_samples_come_back_exactly(sample in any_sample()) {
            let back = decode(&encode(&sample), sample.timestamp).unwrap();
            prop_assert_eq!(flat(&back), flat(&sample));
            prop_assert_eq!(read(&encode(&sample), sample.timestamp).unwrap(), back);
            let small = Compressor::new().compress(&encode(&sample)).unwrap();
            prop_assert_eq!(flat(&read(&small, sample.timestamp).unwrap()), flat(&sample));
        }

        #[test]
        fn hostile_bytes_are_an_error_not_a_panic(bytes: Vec<u8>, cut in 0_usize..2000, sample in any_sample()) {
            let _ = decode(&bytes, UnixMillis(0));
            let _ = read(&bytes, UnixMillis(0));
            let mut row = encode(&sample);
            let whole = row.len();
            row.truncate(cut);
            prop_assert_eq!(decode(&row, UnixMillis(0)).is_ok(), cut >= whole);
        }
    }
}
