//! Chunks that older versions wrote, as they lie on somebody's disk.
//!
//! A fixture `vN-NAME.chunk` is what version N made of the samples of [`cases`]. Those never change; another version
//! of the format gets fixtures of its own beside them.

use nodeglass_model::catalogue::{self, METRICS};
use nodeglass_model::sample::{CollectFailure, DiskMetrics, ProcessEntry, TemperatureMetrics};

use super::{Chunk, Samples, bare, flat};

/// A host on which everything happens once: 180 points with devices that come and go, gaps, failures, attributes that
/// change, short processes, clocks that jump.
fn eventful() -> Samples {
    let mut samples: Samples = (0..180).map(bare).collect();
    for (point, (id, sample)) in samples.iter_mut().enumerate() {
        sample.timestamp.0 += (point as i64 * 7919) % 13;
        if point >= 90 {
            // The agent started anew, with its clock set back.
            id.epoch += 1_000_000;
            id.seq = point as u64 - 89;
            sample.timestamp.0 -= 100_000;
        }
        sample.cpu.usage_percent = (point % 50 != 3).then_some((point * 37 % 1000) as f64 / 100.0);
        sample.memory.used_bytes = Some(4096 * (500_000 + point as u64 * point as u64 % 7919));
        sample.memory.total_bytes = Some(8 << 30);
        sample.load.load1 = Some((point / 12) as f64 / 100.0);
        sample.clock.offset_ms = Some((point as f64 - 90.0) / 100.0);
        sample.system.uptime_seconds = Some(point as u64 * 5 + 100);
        sample.disks = vec![DiskMetrics {
            device: if point < 100 { "/dev/sda1" } else { "/dev/sdb1" }.into(),
            mount_point: "/".into(),
            parent: if point < 100 { "sda" } else { "sdb" }.into(),
            used_bytes: Some(4096 * (100_000 + point as u64 * 3)),
            read_bytes_per_sec: (point > 0).then_some(512 * (point as u64 * 7919 % 100)),
            ..Default::default()
        }];
        if (30..40).contains(&point) || point > 170 {
            sample.temperatures.push(TemperatureMetrics {
                sensor: "chip/Zähler".into(),
                temperature_celsius: Some(40.0 + (point % 7) as f64 / 10.0),
            });
        }
        for slot in 0..point % 4 {
            sample.processes.top.push(ProcessEntry {
                pid: (4000 + point / 5 * 4 + slot) as u32,
                start_time: 1_763_700_000 + (point / 5 * 25) as u64,
                name: "cc1plus".into(),
                command: format!("cc1plus -quiet -O2 -o /tmp/cc{:x}.s", point / 5 * 7919 + slot),
                user: "builder".into(),
                cpu_percent: (point % 5 > 0).then_some(((point * 7 + slot * 13) % 90) as f64),
                memory_bytes: Some(4096 * (1000 + (point * 31 + slot * 7) as u64 % 500)),
                ..Default::default()
            });
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

/// The metrics of the first version of the format, each of two devices.
fn every_metric() -> Samples {
    const LAST: u16 = 371;
    let mut samples: Samples = (0..20).map(bare).collect();
    for (point, (_, sample)) in samples.iter_mut().enumerate() {
        for metric in METRICS.iter().filter(|metric| metric.id.0 <= LAST) {
            for device in 0..2 {
                let steps = (point * usize::from(metric.id.0) + device) % 97;
                let value = metric.unit.of_steps(steps as i64);
                catalogue::set(sample, metric, &device.to_string(), Some(value));
            }
        }
    }
    samples
}

fn cases() -> [(&'static str, Samples); 3] {
    [
        ("eventful", eventful()),
        ("every-metric", every_metric()),
        ("empty", Vec::new()),
    ]
}

#[test]
fn chunks_of_every_version_are_read() {
    for version in [1, 2] {
        for (name, samples) in cases() {
            let bytes = fixture(version, name);
            assert_eq!(bytes[1], version);
            let chunk = Chunk::open(&bytes).unwrap();
            assert!(
                chunk.ids().eq(samples.iter().map(|(id, _)| *id)),
                "{version} {name}"
            );
            for ((_, found), (_, expected)) in chunk.samples().unwrap().iter().zip(&samples) {
                assert_eq!(found.timestamp, expected.timestamp);
                assert_eq!(found.failures, expected.failures);
                assert_eq!(flat(found), flat(expected), "{version} {name}");
            }
        }
    }
}

fn fixture(version: u8, name: &str) -> Vec<u8> {
    let path = format!(
        "{}/tests/fixtures/v{version}-{name}.chunk",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(path).unwrap()
}
