//! Any samples come back as they were, and no bytes do harm.

mod bounds;

use nodeglass_model::catalogue::{self, METRICS};
use nodeglass_model::sample::{CollectFailure, DiskMetrics, ProcessEntry};
use nodeglass_model::{Sample, UnixMillis};
use proptest::prelude::*;

use super::*;
use crate::row::RowError;

const DEVICES: usize = 4096;

fn any_sample() -> impl Strategy<Value = Sample> {
    let value = (0..METRICS.len(), 0..5_u8, 0_u32..=10_000);
    let values = proptest::collection::vec(value, 0..40);
    (values, any::<i64>(), 0..3_usize).prop_map(|(values, timestamp, failures)| {
        let mut sample = Sample {
            timestamp: UnixMillis(timestamp),
            ..Default::default()
        };
        for (metric, label, steps) in values {
            let metric = &METRICS[metric];
            let value = f64::from(steps) / f64::from(metric.unit.steps());
            catalogue::set(&mut sample, metric, &label.to_string(), Some(value));
        }
        for number in 0..failures {
            sample.failures.push(CollectFailure {
                collector: number.to_string(),
                reason: "silence".into(),
            });
        }
        sample
    })
}

fn records(samples: &[Sample]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new();
    let encode = |sample| {
        let mut record = Vec::new();
        encoder.encode(sample, &mut record);
        record
    };
    samples.iter().map(encode).collect()
}

fn busy_host(processes: std::ops::Range<u32>) -> Sample {
    let mut sample = Sample {
        timestamp: UnixMillis(1_700_000_000_000),
        ..Default::default()
    };
    sample.cpu.usage_percent = Some(12.5);
    sample.disks = vec![
        DiskMetrics {
            device: "/dev/sda1".into(),
            mount_point: "/".into(),
            parent: "sda".into(),
            used_bytes: Some(7),
            read_bytes_per_sec: Some(9),
            ..Default::default()
        },
        DiskMetrics {
            device: "/dev/sda".into(),
            ..Default::default()
        },
        DiskMetrics {
            device: "/dev/sdb".into(),
            ..Default::default()
        },
    ];
    sample.processes.top = processes
        .map(|pid| ProcessEntry {
            pid,
            start_time: 1_699_999_999,
            name: "postgres".into(),
            command: "postgres: writer".into(),
            cpu_percent: Some(f64::from(pid)),
            ..Default::default()
        })
        .collect();
    sample
}

#[test]
fn what_does_not_change_costs_nearly_nothing() {
    let mut next = busy_host(0..40);
    next.timestamp = UnixMillis(1_700_000_005_000);
    next.cpu.usage_percent = Some(12.6);
    let records = records(&[busy_host(0..40), next]);
    assert!(records[0].len() > 500, "{}", records[0].len());
    assert_eq!(
        records[1].len(),
        1 + 2 + 1 + 1 + 1,
        "flags, time, count, passed, difference"
    );
}

#[test]
fn a_device_that_stays_is_not_described_again() {
    let records = records(&[busy_host(0..40), busy_host(1..41)]);
    // One text for the process that came; a place for each that stayed.
    assert!(records[1].len() < 150, "{}", records[1].len());
}

/// The same with a long command line, by which descriptions are recognised in records.
fn with_long_commands(processes: std::ops::Range<u32>) -> Sample {
    let mut sample = busy_host(processes);
    for process in &mut sample.processes.top {
        process.command = format!("backup --of {}", "x".repeat(300));
    }
    sample
}

/// The same with nothing in common.
fn with_unlike_commands(processes: std::ops::Range<u32>) -> Sample {
    let mut sample = busy_host(processes);
    for process in &mut sample.processes.top {
        let letter = |place: u32| char::from(b'a' + (place * (place + process.pid * 7 + 1) % 26) as u8);
        process.command = (process.pid..process.pid + 310).map(letter).collect();
    }
    sample
}

#[test]
fn a_device_that_comes_back_soon_is_not_described_again() {
    let away = with_unlike_commands(1..2);
    let mut samples = vec![
        with_unlike_commands(0..2),
        away.clone(),
        with_unlike_commands(0..2),
    ];
    let lengths: Vec<usize> = records(&samples).iter().map(Vec::len).collect();
    assert!(lengths[0] > 600 && lengths[2] < 30, "{lengths:?}");

    // After many others, it is.
    samples.truncate(2);
    samples.extend([with_unlike_commands(100..130), away, with_unlike_commands(0..2)]);
    let lengths: Vec<usize> = records(&samples).iter().map(Vec::len).collect();
    assert!(lengths[4] > 300, "{lengths:?}");
}

#[test]
fn a_device_like_another_is_described_by_what_differs() {
    let mut with_others = with_long_commands(0..2);
    for (process, user) in with_others.processes.top.iter_mut().zip(["root", "alice"]) {
        user.clone_into(&mut process.user);
    }
    let mut next = with_long_commands(7..8);
    next.processes.top[0].command.insert_str(9, "--fast ");
    next.processes.top[0].user = "alice".into();
    let records = records(&[with_others.clone(), next.clone()]);
    // Two texts of 300 bytes in the first record would make it longer than this, one in the second that.
    assert!(records[0].len() < 900, "{}", records[0].len());
    assert!(records[1].len() < 60, "{}", records[1].len());
    let mut decoder = Decoder::new(DEVICES);
    assert_eq!(decoder.decode(&records[0]).unwrap(), with_others);
    assert_eq!(decoder.decode(&records[1]).unwrap(), next);
}

/// The records of [`busy_host`] with two processes and with one of them and another, as version 2 wrote them.
fn records_of_version_2() -> Vec<Vec<u8>> {
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let record = |line: &str| line.as_bytes().chunks(2).map(byte).collect();
    include_str!("version-2.hex").lines().map(record).collect()
}

#[test]
fn records_of_earlier_versions_are_read() {
    let samples = [busy_host(0..2), busy_host(1..3)];
    let version_2 = records_of_version_2();
    let mut version_1 = version_2.clone();
    version_1[0][1] = 1;
    // flags, time, then the processes: their kind, how many, and where the one is that stays, the second of the record before.
    let (time, at) = (1, 4);
    assert_eq!(
        version_2[1][time..=at],
        [0, catalogue::Dimension::Process as u8, 2, 3]
    );
    version_1[1][at] = 2;
    for records in [version_1, version_2] {
        let mut decoder = Decoder::new(DEVICES);
        for (record, sample) in records.iter().zip(&samples) {
            assert_eq!(&decoder.decode(record).unwrap(), sample);
        }
    }
}

#[test]
fn a_sample_is_sound_until_its_devices_or_a_value_speak_against_it() {
    let mut wrong = busy_host(0..3);
    wrong.cpu.usage_percent = Some(100.5);
    let all = [
        busy_host(0..3),
        busy_host(0..3),
        wrong,
        busy_host(0..3),
        busy_host(0..4),
    ];
    let mut decoder = Decoder::new(DEVICES);
    let mut sound = Vec::new();
    for record in records(&all) {
        decoder.advance(&record).unwrap();
        let before = decoder.is_sound();
        decoder.vouch();
        sound.push((before, decoder.is_sound()));
    }
    let expected = [
        (false, true),
        (true, true),
        (false, false),
        (false, true),
        (false, true),
    ];
    assert_eq!(sound, expected);
}

#[test]
fn a_record_without_those_before_it_is_refused() {
    let records = records(&[busy_host(0..2), busy_host(0..3)]);
    let mut decoder = Decoder::new(DEVICES);
    assert!(matches!(decoder.decode(&records[1]), Err(RowError::Malformed(_))));
    assert_eq!(decoder.decode(&records[0]).as_ref(), Ok(&busy_host(0..2)));
    assert!(decoder.decode(&records[0][1..]).is_err());
    assert!(
        decoder.decode(&records[1]).is_err(),
        "what follows an error has no base"
    );
}

#[test]
fn metrics_and_kinds_that_the_reader_does_not_know_are_passed_over() {
    // One metric of the host that is known (cpu.usage_percent) behind one that is not, and a kind of device, 200, with
    // a metric of its own.
    let mut record = vec![FIRST | LAYOUT, VERSION, 2];
    record.extend([0, 0, 2, 1, 0xff, 0x7f]); // the host: metrics 1 and 16384
    record.extend([200, 200, 1, 5]);
    record.extend([10]); // 5 ms
    record.extend([200, 2, 0, 0, 1, b'x', 1, 9, 1, b'y']); // a device "x" with attribute 9
    record.extend([0, 1, 1, 0, 1, b'z', 1, 9, 0, 1, 0, 0]); // one that is like it, "xz"
    record.extend([3, 0, 1 + 20, 0, 1 + 2, 0, 1 + 4]); // cpu.usage_percent = 10 steps, then two that are unknown
    let mut expected = Sample {
        timestamp: UnixMillis(5),
        ..Default::default()
    };
    expected.cpu.usage_percent = Some(0.1);
    assert_eq!(Decoder::new(DEVICES).decode(&record), Ok(expected));
}

#[test]
fn kinds_that_lie_elsewhere_than_here_are_passed_over() {
    // Disks (3) that hold their own entries, which here are found with the mounts (2); then mounts without any.
    let mut record = vec![FIRST | LAYOUT, VERSION, 3];
    record.extend([0, 0, 0]);
    record.extend([2, 2, 1, 60]);
    record.extend([3, 3, 1, 64]);
    record.extend([10]);
    record.extend([3, 1, 0, 0, 3, b's', b'd', b'a', 0]);
    record.extend([2, 0, 0]);
    record.extend([1, 0, 1 + 2]);
    let sample = Decoder::new(DEVICES).decode(&record).unwrap();
    assert_eq!(catalogue::value(&sample, &METRICS[0], None), None);
}

#[test]
fn a_sample_is_made_out_of_the_one_before_it() {
    let mut samples = vec![
        busy_host(0..40),
        busy_host(0..40),
        busy_host(3..40),
        busy_host(3..40),
    ];
    samples[1].timestamp = UnixMillis(1_700_000_005_000);
    samples[1].cpu.usage_percent = None;
    samples[1].disks[0].used_bytes = None;
    samples[1].disks[2].used_bytes = Some(3);
    samples[1].failures.push(CollectFailure {
        collector: "disk".into(),
        reason: "silence".into(),
    });
    let mut decoder = Decoder::new(DEVICES);
    let mut layouts = Vec::new();
    let mut earlier = Sample::default();
    for (sample, record) in samples.iter().zip(records(&samples)) {
        decoder.advance(&record).unwrap();
        if layouts.last() == Some(&decoder.layout()) {
            decoder.update(&mut earlier);
        } else {
            earlier = decoder.sample();
        }
        layouts.push(decoder.layout());
        assert_eq!(&earlier, sample);
    }
    assert_eq!(layouts[0], layouts[1]);
    assert_ne!(layouts[1], layouts[2], "other processes");
    let mut other = Decoder::new(DEVICES);
    other.advance(&records(&samples)[0]).unwrap();
    assert!(
        !layouts.contains(&other.layout()),
        "what another decoder made is its own"
    );
}

#[test]
fn rows_of_more_devices_than_a_byte_counts_are_written_whole() {
    let mut sample = busy_host(0..300);
    sample.disks.clear();
    let mut decoder = Decoder::new(DEVICES);
    decoder
        .advance(&records(std::slice::from_ref(&sample))[0])
        .unwrap();
    let row = decoder.row();
    assert_eq!(row.bytes, crate::row::encode(&sample));
    assert!(row.is_whole);
}

proptest! {
    #[test]
    fn rows_are_those_of_the_samples(samples in proptest::collection::vec(any_sample(), 1..6)) {
        let mut decoder = Decoder::new(DEVICES);
        for record in records(&samples) {
            decoder.advance(&record).unwrap();
            let (row, sample) = (decoder.row(), decoder.sample());
            prop_assert_eq!(&row.bytes, &crate::row::encode(&sample));
            let again = crate::row::decode(&row.bytes, sample.timestamp).unwrap();
            prop_assert_eq!(row.is_whole, again == sample);
        }
    }

    #[test]
    fn samples_come_back_exactly(samples in proptest::collection::vec(any_sample(), 1..6)) {
        let mut decoder = Decoder::new(DEVICES);
        for (sample, record) in samples.iter().zip(records(&samples)) {
            prop_assert_eq!(&decoder.decode(&record).unwrap(), sample);
        }
    }

    #[test]
    fn hostile_bytes_are_an_error_not_a_panic(
        garbage: Vec<u8>,
        samples in proptest::collection::vec(any_sample(), 1..4),
        at: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let _ = Decoder::new(DEVICES).decode(&garbage);
        let mut records = records(&samples);
        let record = at.get(&records).len();
        let chosen = records.iter().position(|one| one.len() == record).unwrap();
        let place = at.index(record);
        records[chosen][place] ^= 1 << bit;
        let mut decoder = Decoder::new(DEVICES);
        for record in &records {
            let _ = decoder.decode(record);
            let _ = decoder.decode(&record[..record.len() / 2]);
        }
    }
}
