//! Samples come back from their records as they were.

use nodeglass_chunk::row;
use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::METRICS;
use nodeglass_model::sample::{DiskMetrics, GpuMetrics, NetworkMetrics, ProcessEntry};

use super::*;

const ID: SampleId = SampleId { epoch: 7, seq: 9 };

/// A sample with a disk under two mounts, a part of it, a process with all its texts, and a failure.
fn sample() -> Sample {
    let disk = |device: &str, mount_point: &str, parent: &str| DiskMetrics {
        device: device.into(),
        mount_point: mount_point.into(),
        parent: parent.into(),
        used_bytes: (!mount_point.is_empty()).then_some(7),
        read_bytes_per_sec: Some(9),
        ..Default::default()
    };
    let mut sample = Sample {
        timestamp: UnixMillis(1_763_712_000_123),
        disks: vec![disk("/dev/sda1", "/", "sda"), disk("/dev/sda", "", "")],
        gpus: vec![GpuMetrics {
            index: 1,
            mig_instance: Some(3),
            name: "H200".into(),
            uuid: "GPU-1".into(),
            power_watts: Some(70.1),
            ..Default::default()
        }],
        failures: vec![CollectFailure {
            collector: "disk".into(),
            reason: "no answer".into(),
        }],
        ..Default::default()
    };
    sample.cpu.usage_percent = Some(33.33);
    sample.memory.total_bytes = Some(9_007_199_254_740_991);
    sample.clock.offset_ms = Some(-0.07);
    sample.processes.top = vec![ProcessEntry {
        pid: 42,
        start_time: 9,
        name: "db".into(),
        command: "db \"a, b\"\n--c".into(),
        user: "postgres".into(),
        cpu_percent: Some(0.01),
        ..Default::default()
    }];
    sample
}

fn line(record: &Record) -> String {
    serde_json::to_string(record).unwrap()
}

fn read(line: &str) -> Record {
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_sample_comes_back_whole() {
    let record = read(&line(&Record::of("host", ID, &sample())));
    assert_eq!(record.agent_id, "host");
    assert_eq!(record.id(), Ok(ID));
    assert_eq!(record.sample(), Ok(sample()));
}

#[test]
fn every_metric_comes_back() {
    let mut all = Sample {
        timestamp: UnixMillis(1),
        ..Default::default()
    };
    for (number, metric) in METRICS.iter().enumerate() {
        let label = if metric.dimension() == Dimension::Host {
            ""
        } else {
            "4"
        };
        let value = metric.unit.of_steps(number as i64 % 90 + 1);
        catalogue::set(&mut all, metric, label, Some(value));
    }
    let back = read(&line(&Record::of("host", ID, &all))).sample().unwrap();
    assert_eq!(row::encode(&back), row::encode(&all));
}

#[test]
fn a_part_has_no_identity_but_the_one_that_its_time_makes() {
    let mut sample = sample();
    for name in ["eth0", "lo"] {
        sample.network_interfaces.push(NetworkMetrics {
            interface: name.into(),
            errors_in: Some(1),
            ..Default::default()
        });
    }
    let selectors = ["network.errors_in@lo", "cpu.usage_percent"].map(|text| Selector::parse(text).unwrap());
    let part = Record::part_of("host", &sample, &selectors).unwrap();
    assert_eq!(
        line(&part),
        r#"{"agent_id":"host","timestamp":1763712000123,"devices":[{"kind":"host","values":{"cpu.usage_percent":33.33}},{"kind":"interface","label":"lo","values":{"network.errors_in":1}}]}"#
    );
    let id = SampleId {
        epoch: 0,
        seq: 1_763_712_000_123,
    };
    assert_eq!(part.id(), Ok(id));
    // Exported again, it still has none of an agent's.
    assert_eq!(Record::of("host", id, &part.sample().unwrap()).epoch, None);
    let other = [Selector::parse("load.load1").unwrap()];
    assert!(Record::part_of("host", &sample, &other).is_none());
}

#[test]
fn what_can_not_be_right_says_what_it_is() {
    for (text, expected) in [
        (
            r#"{"agent_id":"a","timestamp":5,"epoch":1}"#,
            "both or not at all",
        ),
        (
            r#"{"agent_id":"a","timestamp":5,"epoch":0,"seq":5}"#,
            "both or not at all",
        ),
        (
            r#"{"agent_id":"a","timestamp":5,"epoch":1,"seq":0}"#,
            "seq from 1",
        ),
        (r#"{"agent_id":"a","timestamp":-5}"#, "timestamp"),
        (
            r#"{"agent_id":"a","timestamp":5,"devices":[{"kind":"host","values":{"cpu.usage_percent":101}}]}"#,
            "cpu.usage_percent is 101",
        ),
        (
            r#"{"agent_id":"a","timestamp":5,"devices":[{"kind":"host","values":{"gpu.power_watts":1}}]}"#,
            "a metric of a gpu",
        ),
        (
            r#"{"agent_id":"a","timestamp":5,"devices":[{"kind":"core","label":"x","values":{"cpu.core_usage":1}}]}"#,
            "no label of a core",
        ),
    ] {
        let record = read(text);
        let error = record.id().map(drop).and_then(|()| record.sample().map(drop));
        let message = error.unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
    for (text, expected) in [
        (r#"{"agent_id":"a","timestamp":5,"more":1}"#, "unknown field"),
        (
            r#"{"agent_id":"a","timestamp":5,"devices":[{"kind":"host","values":{"cpu.usage":1}}]}"#,
            "cpu.usage_percent",
        ),
        (
            r#"{"agent_id":"a","timestamp":5,"devices":[{"kind":"thing","values":{}}]}"#,
            "no kind of device",
        ),
    ] {
        let message = serde_json::from_str::<Record>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
