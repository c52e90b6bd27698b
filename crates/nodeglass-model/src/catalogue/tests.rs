//! The catalogue is sound, and a sample goes through its flat form unharmed.

use std::collections::HashSet;

use super::*;
use crate::sample::{CoreMetrics, DiskMetrics, NetworkMetrics};

#[test]
fn numbers_and_paths_are_unique() {
    let ids: HashSet<_> = METRICS.iter().map(|metric| metric.id).collect();
    let paths: HashSet<_> = METRICS.iter().map(|metric| metric.path).collect();
    assert_eq!((ids.len(), paths.len()), (METRICS.len(), METRICS.len()));
}

#[test]
fn every_field_reads_back_what_was_written_and_no_other() {
    for metric in METRICS {
        let mut sample = Sample::default();
        set(&mut sample, metric, "7", Some(42.0));
        let found: Vec<_> = devices(&sample)
            .flat_map(|device| {
                device
                    .values(&sample)
                    .map(|(metric, value)| (metric.path, value))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(found, [(metric.path, 42.0)], "{}", metric.path);
    }
}

#[test]
fn a_unit_is_in_the_name_unless_the_specification_names_the_field() {
    for metric in METRICS {
        let suffix = match metric.unit {
            Unit::Percent if metric.path.starts_with("cpu.core_") => continue,
            Unit::Percent | Unit::PercentOfCore => "_percent",
            Unit::Watts if metric.path == "power.watts" => continue,
            Unit::Bytes => "_bytes",
            Unit::BytesPerSec | Unit::PerSec | Unit::EventsPerSec => "_per_sec",
            Unit::Celsius => "_celsius",
            Unit::Watts => "_watts",
            Unit::Cores => "_cores",
            Unit::Milliseconds => "_ms",
            Unit::Seconds => "_seconds",
            Unit::Megahertz => "_mhz",
            Unit::Rpm => "_rpm",
            Unit::PerMinute => "_per_minute",
            Unit::Custom if metric.path == "custom.value" => continue,
            Unit::Custom => "_value",
            Unit::Count | Unit::Load | Unit::Average => continue,
        };
        assert!(
            metric.path.ends_with(suffix),
            "{} is in {:?}",
            metric.path,
            metric.unit
        );
    }
}

#[test]
fn parts_of_a_disk_are_not_counted_twice() {
    let disk = |device: &str, parent: &str, read| DiskMetrics {
        device: device.to_owned(),
        parent: parent.to_owned(),
        read_bytes_per_sec: Some(read),
        ..Default::default()
    };
    let sample = Sample {
        disks: vec![
            disk("/dev/sda", "", 100),
            disk("/dev/sda1", "sda", 60),
            disk("/dev/sdb", "", 1),
        ],
        ..Default::default()
    };
    let read = by_path("disk.read_bytes_per_sec").unwrap();
    assert_eq!(value(&sample, read, None), Some(101.0));
    assert_eq!(value(&sample, read, Some("sda1")), Some(60.0));
    assert_eq!(value(&sample, read, Some("sdc")), None);
    assert_eq!(
        value(&sample, by_path("disk.write_bytes_per_sec").unwrap(), None),
        None
    );
}

#[test]
fn values_that_cannot_be_right_are_named() {
    let mut sample = Sample::default();
    sample.cpu.usage_percent = Some(f64::NAN);
    assert!(
        check(&sample)
            .unwrap_err()
            .to_string()
            .starts_with("cpu.usage_percent is NaN")
    );

    sample.cpu.usage_percent = Some(100.0);
    assert_eq!(check(&sample), Ok(()));

    let errors = NetworkMetrics {
        interface: "eth0".into(),
        errors_in: Some(u64::MAX),
        ..Default::default()
    };
    sample.network_interfaces.push(errors);
    assert!(
        check(&sample)
            .unwrap_err()
            .to_string()
            .starts_with("network.errors_in@eth0")
    );
}

#[test]
fn a_wrong_value_costs_itself_alone() {
    let mut sample = Sample::default();
    sample.cpu.usage_percent = Some(100.5);
    sample.load.load1 = Some(1.0);
    sample.temperatures = vec![crate::sample::TemperatureMetrics {
        sensor: "chip/broken".into(),
        temperature_celsius: Some(f64::NEG_INFINITY),
    }];
    let wrong: Vec<_> = clear_invalid(&mut sample)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert_eq!((sample.cpu.usage_percent, sample.load.load1), (None, Some(1.0)));
    assert_eq!(check(&sample), Ok(()));
}

#[test]
fn quantising_keeps_steps_and_absence() {
    let mut sample = Sample::default();
    sample.cpu.usage_percent = Some(12.345_678);
    sample.cpu.cores = vec![CoreMetrics {
        core: 3,
        usage_percent: Some(99.999),
        ..Default::default()
    }];
    quantise(&mut sample);
    assert_eq!(sample.cpu.usage_percent, Some(12.35));
    assert_eq!(sample.cpu.cores[0].usage_percent, Some(100.0));
    assert_eq!(sample.cpu.user_percent, None);
}

#[test]
fn a_wrong_name_gets_the_names_most_like_it() {
    assert_eq!(nearest("cpu.usage_percnt")[0], "cpu.usage_percent");
    assert_eq!(nearest("memory.used")[0], "memory.used_bytes");
}

#[test]
fn prometheus_names_keep_its_customs() {
    let mut names = std::collections::HashSet::new();
    for metric in METRICS {
        let name = metric.prometheus_name();
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
        // The name alone says that milliseconds became seconds.
        assert_eq!(
            metric.path.ends_with("_ms"),
            metric.unit == Unit::Milliseconds,
            "{name}"
        );
        assert!(
            !name.contains("_ms") && !name.contains("_sec_") && !name.ends_with("_sec"),
            "{name}"
        );
    }
    let metric = by_path("disk.read_await_ms").unwrap();
    assert_eq!(metric.prometheus_name(), "nodeglass_disk_read_await_seconds");
    assert_eq!(metric.prometheus_value(1500.0), 1.5);
    let metric = by_path("disk.read_bytes_per_sec").unwrap();
    assert_eq!(metric.prometheus_name(), "nodeglass_disk_read_bytes_per_second");
    assert_eq!(metric.prometheus_value(1500.0), 1500.0);
}
