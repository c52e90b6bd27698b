//! Samples cross the wire unharmed, and what can't be right does not cross it.

use nodeglass_model::catalogue::METRICS;
use proptest::prelude::*;
use prost::Message;

use super::*;

#[test]
fn every_metric_crosses_the_wire() {
    for metric in METRICS {
        let mut sample = Sample {
            timestamp: UnixMillis(1_690_538_400_000),
            ..Default::default()
        };
        catalogue::set(&mut sample, metric, "3", Some(7.0));
        let bytes = v1::MetricsDataResponse::from(&sample).encode_to_vec();
        let back = Sample::try_from(v1::MetricsDataResponse::decode(&bytes[..]).unwrap());
        assert_eq!(back, Ok(sample), "{}", metric.path);
    }
}

#[test]
fn zero_is_sent_and_absence_is_not() {
    let mut sample = Sample {
        timestamp: UnixMillis(1),
        ..Default::default()
    };
    sample.cpu.usage_percent = Some(0.0);
    let back = Sample::try_from(v1::MetricsDataResponse::from(&sample)).unwrap();
    assert_eq!((back.cpu.usage_percent, back.cpu.user_percent), (Some(0.0), None));
}

#[test]
fn a_sender_that_knows_only_the_specification_is_understood() {
    let cpu = v1::CpuMetrics {
        core_usage: vec![1.0, 2.5],
        ..Default::default()
    };
    let data = v1::MetricsDataResponse {
        timestamp: 5,
        cpu: Some(cpu),
        ..Default::default()
    };
    let sample = Sample::try_from(data).unwrap();
    assert_eq!(sample.cpu.cores[1].usage_percent, Some(2.5));
}

#[test]
fn what_cannot_be_right_is_refused() {
    let with = |change: &dyn Fn(&mut v1::MetricsDataResponse)| {
        let mut data = v1::MetricsDataResponse {
            timestamp: 5,
            ..Default::default()
        };
        change(&mut data);
        Sample::try_from(data).map_err(|error| error.to_string())
    };
    let cpu = |usage| {
        Some(v1::CpuMetrics {
            usage_percent: Some(usage),
            ..Default::default()
        })
    };
    assert!(
        with(&|data| data.cpu = cpu(f64::NAN))
            .unwrap_err()
            .contains("cpu.usage_percent is NaN")
    );
    assert!(with(&|data| data.cpu = cpu(101.0)).is_err());
    assert!(with(&|data| data.cpu = cpu(100.0)).is_ok());
    assert!(with(&|data| data.timestamp = 0).is_err());
    assert!(with(&|data| data.timestamp = u64::MAX).is_err());
    assert!(with(&|data| data.disks = vec![v1::DiskMetrics::default(); MAX_DEVICES + 1]).is_err());
    let long = "x".repeat(MAX_LABEL_BYTES + 1);
    let network = v1::NetworkMetrics {
        interface: long,
        ..Default::default()
    };
    assert!(with(&|data| data.network_interfaces = vec![network.clone()]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_give_a_sample_or_an_error(bytes: Vec<u8>) {
        if let Ok(data) = v1::MetricsDataResponse::decode(&bytes[..]) {
            let _ = Sample::try_from(data);
        }
    }
}
