//! A sample's sections.

use nodeglass_model::sample as model;
use nodeglass_model::time::END_OF_TIME;
use nodeglass_model::{Sample, UnixMillis, catalogue};

use super::{InvalidSample, same_fields};
use crate::limits::{MAX_DEVICES, MAX_FAILURES, MAX_LABEL_BYTES};
use crate::v1;

same_fields!(
    model::CoreMetrics,
    v1::CoreMetrics {
        core,
        usage_percent,
        user_percent,
        system_percent,
        idle_percent,
        iowait_percent,
        irq_percent,
        softirq_percent,
        steal_percent,
    }
);
same_fields!(
    model::MemoryMetrics,
    v1::MemoryMetrics {
        total_bytes,
        used_bytes,
        available_bytes,
        free_bytes,
        cached_bytes,
        buffers_bytes,
        usage_percent,
        swap_total_bytes,
        swap_used_bytes,
        swap_free_bytes,
        swap_usage_percent,
    }
);
same_fields!(
    model::DiskMetrics,
    v1::DiskMetrics {
        device,
        mount_point,
        parent,
        total_bytes,
        used_bytes,
        available_bytes,
        usage_percent,
        read_bytes_per_sec,
        write_bytes_per_sec,
        read_ops_per_sec,
        write_ops_per_sec,
        io_util_percent,
    }
);
same_fields!(
    model::NetworkMetrics,
    v1::NetworkMetrics {
        interface,
        bytes_sent_per_sec,
        bytes_recv_per_sec,
        packets_sent_per_sec,
        packets_recv_per_sec,
        errors_in,
        errors_out,
        drops_in,
        drops_out,
    }
);
same_fields!(model::LoadMetrics, v1::LoadMetrics { load1, load5, load15 });
same_fields!(
    model::GpuMetrics,
    v1::GpuMetrics {
        index,
        name,
        uuid,
        utilization_percent,
        memory_total_bytes,
        memory_used_bytes,
        memory_usage_percent,
        temperature_celsius,
        power_watts,
    }
);
same_fields!(
    model::TemperatureMetrics,
    v1::TemperatureMetrics {
        sensor,
        temperature_celsius
    }
);
same_fields!(model::CollectFailure, v1::CollectFailure { collector, reason });

impl From<&model::ProcessMetrics> for v1::ProcessMetrics {
    fn from(processes: &model::ProcessMetrics) -> Self {
        Self {
            total_processes: processes.total_processes,
            running_processes: processes.running_processes,
            sleeping_processes: processes.sleeping_processes,
            zombie_processes: processes.zombie_processes,
            task_processes: Vec::new(),
            blocked_processes: processes.blocked_processes,
            stopped_processes: processes.stopped_processes,
        }
    }
}

impl From<v1::ProcessMetrics> for model::ProcessMetrics {
    fn from(processes: v1::ProcessMetrics) -> Self {
        Self {
            total_processes: processes.total_processes,
            running_processes: processes.running_processes,
            sleeping_processes: processes.sleeping_processes,
            zombie_processes: processes.zombie_processes,
            blocked_processes: processes.blocked_processes,
            stopped_processes: processes.stopped_processes,
        }
    }
}

impl From<&model::CpuMetrics> for v1::CpuMetrics {
    fn from(cpu: &model::CpuMetrics) -> Self {
        Self {
            usage_percent: cpu.usage_percent,
            core_usage: cpu.cores.iter().filter_map(|core| core.usage_percent).collect(),
            user_percent: cpu.user_percent,
            system_percent: cpu.system_percent,
            idle_percent: cpu.idle_percent,
            iowait_percent: cpu.iowait_percent,
            temperature_celsius: cpu.temperature_celsius,
            nice_percent: cpu.nice_percent,
            irq_percent: cpu.irq_percent,
            softirq_percent: cpu.softirq_percent,
            steal_percent: cpu.steal_percent,
            cores: cpu.cores.iter().map(Into::into).collect(),
        }
    }
}

impl From<v1::CpuMetrics> for model::CpuMetrics {
    fn from(cpu: v1::CpuMetrics) -> Self {
        let mut cores: Vec<model::CoreMetrics> = cpu.cores.into_iter().map(Into::into).collect();
        if cores.is_empty() {
            // A sender that knows only the specification: its list is by core number.
            cores = (0..)
                .zip(cpu.core_usage)
                .map(|(core, usage)| model::CoreMetrics {
                    core,
                    usage_percent: Some(usage),
                    ..Default::default()
                })
                .collect();
        }
        Self {
            cores,
            usage_percent: cpu.usage_percent,
            user_percent: cpu.user_percent,
            system_percent: cpu.system_percent,
            idle_percent: cpu.idle_percent,
            iowait_percent: cpu.iowait_percent,
            nice_percent: cpu.nice_percent,
            irq_percent: cpu.irq_percent,
            softirq_percent: cpu.softirq_percent,
            steal_percent: cpu.steal_percent,
            temperature_celsius: cpu.temperature_celsius,
        }
    }
}

/// A section on the wire; none where it has no figures.
fn section<M: Default + PartialEq, W: for<'a> From<&'a M>>(section: &M) -> Option<W> {
    (*section != M::default()).then(|| section.into())
}

fn list<'a, M, W: From<&'a M>>(list: &'a [M]) -> Vec<W> {
    list.iter().map(Into::into).collect()
}

impl From<&Sample> for v1::MetricsDataResponse {
    fn from(sample: &Sample) -> Self {
        Self {
            timestamp: sample.timestamp.0.unsigned_abs(),
            cpu: section(&sample.cpu),
            memory: section(&sample.memory),
            disks: list(&sample.disks),
            network_interfaces: list(&sample.network_interfaces),
            processes: section(&sample.processes),
            load: section(&sample.load),
            gpus: list(&sample.gpus),
            temperatures: list(&sample.temperatures),
            failures: list(&sample.failures),
        }
    }
}

impl TryFrom<v1::MetricsDataResponse> for Sample {
    type Error = InvalidSample;

    fn try_from(data: v1::MetricsDataResponse) -> Result<Self, InvalidSample> {
        let timestamp = i64::try_from(data.timestamp)
            .ok()
            .map(UnixMillis)
            .filter(|at| (UnixMillis(1)..=END_OF_TIME).contains(at))
            .ok_or(InvalidSample::NoTimestamp)?;
        let mut sample = Self {
            timestamp,
            cpu: data.cpu.map(Into::into).unwrap_or_default(),
            memory: data.memory.map(Into::into).unwrap_or_default(),
            disks: data.disks.into_iter().map(Into::into).collect(),
            network_interfaces: data.network_interfaces.into_iter().map(Into::into).collect(),
            processes: data.processes.map(Into::into).unwrap_or_default(),
            load: data.load.map(Into::into).unwrap_or_default(),
            gpus: data.gpus.into_iter().map(Into::into).collect(),
            temperatures: data.temperatures.into_iter().map(Into::into).collect(),
            failures: data
                .failures
                .into_iter()
                .take(MAX_FAILURES)
                .map(Into::into)
                .collect(),
        };
        let devices = sample.cpu.cores.len()
            + sample.disks.len()
            + sample.network_interfaces.len()
            + sample.gpus.len()
            + sample.temperatures.len();
        if devices > MAX_DEVICES {
            return Err(InvalidSample::TooManyDevices(devices));
        }
        for device in catalogue::devices(&sample) {
            let attributes = device.attributes(&sample).into_iter().map(|(_, text)| text.len());
            let longest = attributes.chain([device.label.len()]).max().unwrap_or(0);
            if longest > MAX_LABEL_BYTES {
                return Err(InvalidSample::LabelTooLong(longest));
            }
        }
        catalogue::check(&sample)?;
        catalogue::quantise(&mut sample);
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
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
}
