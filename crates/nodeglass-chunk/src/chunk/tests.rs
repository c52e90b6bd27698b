//! Whole chunks, there and back, and what no encoder wrote.

mod arbitrary;
mod golden;
mod limits;
mod merging;

use nodeglass_model::catalogue::{self, Dimension};
use nodeglass_model::history::{HistoryBuilder, HistoryQuery};
use nodeglass_model::sample::{
    CollectFailure, ContainerMetrics, DiskMetrics, ProcessEntry, TemperatureMetrics,
};
use nodeglass_model::{Sample, SampleId, UnixMillis};

use super::directory::{Basics, Descriptions, Section};
use super::piece::PieceWriter;
use super::*;
use crate::row;

type Samples = Vec<(SampleId, Sample)>;

fn encode(samples: &[(SampleId, Sample)]) -> Vec<u8> {
    Encoder::new().encode(samples).unwrap()
}

fn id(seq: u64) -> SampleId {
    SampleId {
        epoch: 1_763_700_000_000,
        seq,
    }
}

/// A sample with nothing but its time, five seconds after the one before.
fn bare(point: usize) -> (SampleId, Sample) {
    let timestamp = UnixMillis(1_763_700_000_123 + 5_000 * point as i64);
    let sample = Sample {
        timestamp,
        ..Default::default()
    };
    (id(point as u64 + 1), sample)
}

/// A host whose devices and figures come, go and change: 300 points, enough for devices with pieces of their own.
fn busy_host() -> Samples {
    let disk = |point: usize| DiskMetrics {
        device: if point < 200 { "/dev/sda1" } else { "/dev/sdb1" }.into(),
        mount_point: "/".into(),
        parent: if point < 200 { "sda" } else { "sdb" }.into(),
        total_bytes: Some(1 << 40),
        used_bytes: Some(4096 * (100_000 + point as u64 * 3)),
        write_bytes_per_sec: Some(0),
        read_bytes_per_sec: (point > 0).then_some(512 * (point as u64 * 7919 % 100)),
        ..Default::default()
    };
    let sensor = |name: &str, point: usize| TemperatureMetrics {
        sensor: name.into(),
        temperature_celsius: Some(40.0 + (point % 7) as f64 / 10.0),
    };
    let mut samples: Samples = (0..300).map(bare).collect();
    for (point, (_, sample)) in samples.iter_mut().enumerate() {
        sample.cpu.usage_percent = (point % 50 != 3).then_some((point * 37 % 1000) as f64 / 100.0);
        sample.load.load1 = Some(1.5);
        sample.disks = vec![disk(point)];
        sample.containers = vec![ContainerMetrics {
            name: "web".into(),
            image: if point < 150 { "web:1" } else { "web:2" }.into(),
            pids: Some(3),
            ..Default::default()
        }];
        sample.temperatures.push(sensor("chip/always", point));
        if (100..110).contains(&point) {
            sample.temperatures.push(sensor("chip/shortly", point));
        }
        if point % 60 > 55 {
            sample.failures.push(CollectFailure {
                collector: "disk".into(),
                reason: format!("no answer for {} s", point % 3),
            });
        }
        catalogue::quantise(sample);
    }
    samples
}

/// Every figure and attribute of a sample, in whatever order its devices stand.
fn flat(sample: &Sample) -> Vec<String> {
    let mut all = Vec::new();
    for device in catalogue::devices(sample) {
        let values: Vec<_> = device.values(sample).collect();
        if !values.is_empty() {
            all.push(format!(
                "{:?} {:?} {:?}",
                device.dimension,
                device.label,
                device.attributes(sample)
            ));
        }
        for (metric, value) in values {
            all.push(format!("{}@{} {:x}", metric.path, device.label, value.to_bits()));
        }
    }
    all.sort();
    all
}

#[test]
fn samples_come_back_whole() {
    let samples = busy_host();
    let bytes = encode(&samples);
    let chunk = Chunk::open(&bytes).unwrap();
    assert_eq!(chunk.samples().unwrap(), samples);
    assert_eq!(chunk.len(), 300);
    assert!(chunk.ids().eq(samples.iter().map(|(id, _)| *id)));
    let times: Vec<_> = samples.iter().map(|(_, sample)| sample.timestamp).collect();
    assert_eq!(chunk.timestamps().unwrap(), times);
    let range = chunk.time_range().unwrap();
    assert_eq!((range.start, range.end.0 - 1), (times[0], times[299].0));
}

#[test]
fn a_chunk_may_be_empty() {
    let bytes = encode(&[]);
    let chunk = Chunk::open(&bytes).unwrap();
    assert!(chunk.is_empty() && chunk.time_range().is_none());
    assert_eq!(chunk.samples(), Ok(Vec::new()));
}

#[test]
fn identities_and_regular_times_cost_a_handful_of_bytes() {
    let samples: Samples = (0..720).map(bare).collect();
    let one = encode(&samples[..1]).len();
    let all = encode(&samples).len();
    assert!(all < one + 24, "{one} bytes for one, {all} for 720");
}

#[test]
fn devices_that_were_there_shortly_share_their_pieces() {
    let mut samples: Samples = (0..720).map(bare).collect();
    for (point, (_, sample)) in samples.iter_mut().enumerate() {
        // Eight new processes every five points.
        let process = |slot: usize| ProcessEntry {
            pid: (4000 + point / 5 * 8 + slot) as u32,
            start_time: 1_763_700_000 + (point / 5 * 25) as u64,
            name: "cc1plus".into(),
            command: format!("cc1plus -quiet -O2 -o /tmp/cc{:x}.s", point / 5 * 7919 + slot),
            user: "builder".into(),
            // The first reading has no rates.
            cpu_percent: (point % 5 > 0).then_some(((point * 7 + slot * 13) % 90) as f64),
            memory_bytes: Some(4096 * (1000 + (point * 31 + slot * 7) as u64 % 500)),
            threads: Some(1),
            write_bytes_per_sec: (point % 5 > 0).then_some(0),
            ..Default::default()
        };
        sample.processes.top.extend((0..8).map(process));
    }
    let bytes = encode(&samples);
    let chunk = Chunk::open(&bytes).unwrap();
    let shared = chunk.head.shared().unwrap();
    assert_eq!(shared.devices.len(), 144 * 8);
    assert_eq!((shared.groups.len(), shared.columns.len()), (1, 4));
    let metric = catalogue::by_path("process.memory_bytes").unwrap();
    let [column] = chunk.columns(metric).unwrap()[..] else {
        panic!("all of them in one");
    };
    assert_eq!(column.labels().count(), 144 * 8);
    let values = column.read(chunk.slice(column.span()).unwrap()).unwrap();
    let last = values.series().last().unwrap();
    assert_eq!(last.label(), "5151.1763703575");
    assert_eq!(
        last.points().map(|(point, _)| point).collect::<Vec<_>>(),
        [715, 716, 717, 718, 719]
    );
    let values = 720 * 8 * 4;
    assert!(bytes.len() < values, "{} bytes for {values} values", bytes.len());
    assert_eq!(chunk.samples().unwrap(), samples);
}

#[test]
fn a_series_is_read_without_the_others() {
    let mut bytes = encode(&busy_host());
    let chunk = Chunk::open(&bytes).unwrap();
    let metric = catalogue::by_path("disk.used_bytes").unwrap();
    let expected = chunk.column(metric, "/").unwrap().unwrap();
    assert_eq!(expected[299], Some(4096.0 * (100_000.0 + 897.0)));
    let span = chunk.span(metric, "/").unwrap().unwrap();
    let pieces = chunk.payload_len();

    let start = bytes.len() - pieces as usize;
    let own = start + span.offset as usize..start + (span.offset + span.length) as usize;
    for at in (start..bytes.len()).filter(|at| !own.contains(at)) {
        bytes[at] = 0xff;
    }
    let chunk = Chunk::open(&bytes).unwrap();
    assert_eq!(chunk.column(metric, "/"), Ok(Some(expected)));
    assert!(chunk.samples().is_err());
}

#[test]
fn columns_and_series_are_those_of_the_samples() {
    let samples = busy_host();
    let bytes = encode(&samples);
    let chunk = Chunk::open(&bytes).unwrap();
    let series = chunk.series().unwrap();
    assert_eq!(series.len(), 11);
    for (metric, label) in series {
        let expected: Vec<_> = samples
            .iter()
            .map(|(_, sample)| catalogue::value(sample, metric, Some(label)))
            .collect();
        assert_eq!(
            chunk.column(metric, label),
            Ok(Some(expected)),
            "{}@{label}",
            metric.path
        );
    }
    let metric = catalogue::by_path("sensor.temperature_celsius").unwrap();
    assert_eq!(chunk.column(metric, "chip/never"), Ok(None));
    let metric = catalogue::by_path("gpu.power_watts").unwrap();
    assert_eq!(chunk.column(metric, "0"), Ok(None));
}

#[test]
fn wanted_series_answer_queries_as_all_of_them_do() {
    let samples = busy_host();
    let bytes = encode(&samples);
    let chunk = Chunk::open(&bytes).unwrap();
    let asked = [
        "disk.read_bytes_per_sec",
        "disk.usage_percent",
        "sensor.temperature_celsius@*",
    ];
    let query = HistoryQuery::new(&asked, chunk.time_range().unwrap(), Some(60), None).unwrap();
    let answer = |samples: &mut dyn Iterator<Item = Sample>| {
        let mut builder = HistoryBuilder::new(&query);
        for sample in samples {
            let _ = builder.add(&sample);
        }
        builder.finish()
    };
    let wanted =
        |metric: &catalogue::Metric, _: &str| asked.iter().any(|asked| asked.starts_with(metric.path));
    let rows: Samples = chunk.rows(wanted).unwrap().collect();
    assert!(
        rows.iter()
            .all(|(_, sample)| sample.load.load1.is_none() && sample.disks[0].used_bytes.is_none())
    );
    let expected = answer(&mut samples.into_iter().map(|(_, sample)| sample));
    assert!(expected.points.len() > 20);
    assert_eq!(answer(&mut rows.into_iter().map(|(_, sample)| sample)), expected);
}

#[test]
fn what_is_unknown_is_passed_over() {
    let samples = busy_host();
    let bytes = encode(&samples);
    let mut directory = Directory::of(&bytes);
    let own = &mut directory.own;
    let group = own
        .groups
        .iter()
        .find(|group| group.dimension == Dimension::Mount as u8);
    let columns = group.unwrap().columns.clone();
    own.columns[columns.end as usize - 1].metric = 60_000;
    for section in [&mut directory.own, &mut directory.shared] {
        for (device, group) in section.devices.iter_mut().zip(&mut section.groups) {
            if device.dimension == Dimension::Sensor as u8 {
                device.dimension = 200;
                group.dimension = 200;
            }
        }
    }
    let lists = &mut directory.descriptions.lists;
    let list = lists
        .iter_mut()
        .find(|list| list.first().is_some_and(|(a, _)| *a == 1));
    list.unwrap().push((250, 0));
    let changed = directory.with(&Chunk::open(&bytes).unwrap());

    let back = Chunk::open(&changed).unwrap().samples().unwrap();
    for ((_, mut expected), (_, found)) in samples.into_iter().zip(back) {
        expected.temperatures.clear();
        expected.disks[0].used_bytes = None;
        assert_eq!(found, expected);
    }
}

/// A directory, all of it, to be changed.
#[derive(Default)]
struct Directory {
    basics: Basics,
    own: Section,
    shared: Section,
    descriptions: Descriptions,
}

impl Directory {
    fn of(chunk: &[u8]) -> Self {
        let chunk = Chunk::open(chunk).unwrap();
        Self {
            basics: chunk.opened.basics.clone(),
            own: chunk.opened.own.clone(),
            shared: chunk.shared().unwrap().clone(),
            descriptions: chunk.descriptions().unwrap().clone(),
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut pieces = PieceWriter::new();
        directory::write(
            &self.basics,
            &self.own,
            &self.shared,
            &self.descriptions,
            &mut pieces,
        )
        .unwrap()
    }

    /// The chunk with this directory in place of its own.
    fn with(&self, chunk: &Chunk<'_>) -> Vec<u8> {
        let payload = chunk.payload.to_vec();
        let directory = self.write();
        Parts { directory, payload }.join()
    }
}

#[test]
fn other_bytes_are_told_apart() {
    let mut bytes = encode(&busy_host());
    bytes[1] = 3;
    assert_eq!(Chunk::open(&bytes).unwrap_err(), ChunkError::Version(3));
    assert!(ChunkError::Version(3).to_string().contains("use a newer one"));
    let row = row::encode(&Sample::default());
    assert_eq!(Chunk::open(&row).unwrap_err(), ChunkError::NotAChunk);
    let row = row::Compressor::new().compress(&row).unwrap();
    assert_eq!(Chunk::open(&row).unwrap_err(), ChunkError::NotAChunk);
}
