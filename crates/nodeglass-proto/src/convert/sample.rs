//! A sample's sections.

use nodeglass_model::catalogue::Dimension;
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
        frequency_mhz
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
        shared_bytes,
        slab_bytes,
        slab_unreclaimable_bytes,
        dirty_bytes,
        writeback_bytes,
        page_tables_bytes,
        kernel_stack_bytes,
        committed_bytes,
        commit_limit_bytes,
        limit_bytes,
        huge_pages_total_bytes,
        huge_pages_free_bytes,
        active_bytes,
        inactive_bytes,
        anonymous_bytes,
        mapped_bytes
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
        inodes_total,
        inodes_used,
        inode_usage_percent,
        read_only,
        read_await_ms,
        write_await_ms,
        queue_length,
        requests_in_flight
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
        mig_instance,
        index,
        name,
        uuid,
        utilization_percent,
        memory_total_bytes,
        memory_used_bytes,
        memory_usage_percent,
        temperature_celsius,
        power_watts,
        power_limit_watts,
        graphics_clock_mhz,
        memory_clock_mhz,
        fan_percent,
        ecc_corrected_errors,
        ecc_uncorrected_errors,
        throttled_by_power,
        throttled_by_heat,
        throttled_otherwise,
        pcie_recv_bytes_per_sec,
        pcie_sent_bytes_per_sec,
        encoder_percent,
        decoder_percent,
        memory_utilization_percent
    }
);
same_fields!(
    model::TemperatureMetrics,
    v1::TemperatureMetrics {
        sensor,
        temperature_celsius
    }
);
same_fields!(
    model::PressureMetrics,
    v1::PressureMetrics {
        cpu_some_percent,
        memory_some_percent,
        memory_full_percent,
        io_some_percent,
        io_full_percent,
        irq_full_percent
    }
);
same_fields!(
    model::VmMetrics,
    v1::VmMetrics {
        page_faults_per_sec,
        major_page_faults_per_sec,
        paged_in_bytes_per_sec,
        paged_out_bytes_per_sec,
        swapped_in_bytes_per_sec,
        swapped_out_bytes_per_sec,
        oom_kills
    }
);
same_fields!(
    model::TcpMetrics,
    v1::TcpMetrics {
        established_connections,
        active_opens_per_sec,
        passive_opens_per_sec,
        failed_attempts_per_sec,
        established_resets_per_sec,
        segments_recv_per_sec,
        segments_sent_per_sec,
        segments_retransmitted_per_sec,
        errors_in_per_sec,
        resets_sent_per_sec,
        sockets,
        orphaned_sockets,
        time_wait_sockets,
        memory_bytes,
        listen_overflows_per_sec,
        listen_drops_per_sec
    }
);
same_fields!(
    model::UdpMetrics,
    v1::UdpMetrics {
        datagrams_recv_per_sec,
        datagrams_sent_per_sec,
        errors_in_per_sec,
        no_port_per_sec,
        receive_buffer_errors_per_sec,
        send_buffer_errors_per_sec,
        sockets,
        memory_bytes
    }
);
same_fields!(
    model::SystemMetrics,
    v1::SystemMetrics {
        uptime_seconds,
        boot_time_seconds,
        logged_in_users,
        open_files,
        max_open_files,
        sockets,
        conntrack_entries,
        max_conntrack_entries
    }
);
same_fields!(
    model::ClockMetrics,
    v1::ClockMetrics {
        synchronized,
        offset_ms,
        max_error_ms
    }
);
same_fields!(
    model::NfsMetrics,
    v1::NfsMetrics {
        calls_per_sec,
        retransmissions_per_sec,
        auth_refreshes_per_sec
    }
);
same_fields!(
    model::SystemdMetrics,
    v1::SystemdMetrics {
        active_units,
        failed_units,
        inactive_units,
        activating_units,
        deactivating_units
    }
);
same_fields!(
    model::ProcessEntry,
    v1::ProcessEntry {
        pid,
        start_time,
        name,
        command,
        user,
        unit,
        container,
        cgroup,
        cpu_percent,
        memory_bytes,
        threads,
        read_bytes_per_sec,
        write_bytes_per_sec,
        gpu_memory_bytes,
        gpu_utilization_percent
    }
);
same_fields!(
    model::TaskProcessMetrics,
    v1::TaskProcessMetrics {
        task_id,
        command,
        cpu_percent,
        memory_bytes,
        virtual_memory_bytes,
        threads,
        read_bytes,
        write_bytes,
        processes,
        pid,
        cpu_time_ms,
        peak_memory_bytes,
        started_at_ms,
        ended_at_ms,
        exit_code
    }
);
same_fields!(
    model::ContainerMetrics,
    v1::ContainerMetrics {
        name,
        id,
        image,
        runtime,
        cgroup,
        cpu_percent,
        cpu_limit_cores,
        cpu_throttled_percent,
        memory_bytes,
        memory_limit_bytes,
        memory_usage_percent,
        read_bytes_per_sec,
        write_bytes_per_sec,
        read_ops_per_sec,
        write_ops_per_sec,
        bytes_recv_per_sec,
        bytes_sent_per_sec,
        pids,
        pids_limit,
        oom_kills
    }
);
same_fields!(model::UnitMetrics, v1::UnitMetrics { unit, failed });
same_fields!(model::FanMetrics, v1::FanMetrics { sensor, speed_rpm });
same_fields!(model::PowerMetrics, v1::PowerMetrics { meter, parent, watts });
same_fields!(
    model::BatteryMetrics,
    v1::BatteryMetrics {
        battery,
        charge_percent,
        power_watts,
        charging,
        health_percent
    }
);
same_fields!(
    model::CollectorMetrics,
    v1::CollectorMetrics {
        collector,
        devices_left_out,
        stale_ms
    }
);
same_fields!(
    model::AppMetrics,
    v1::AppMetrics {
        response_time_ms,
        requests_per_minute,
        error_percent,
        network_bytes_per_sec
    }
);
same_fields!(model::CustomMetrics, v1::CustomMetrics { name, value });
same_fields!(model::CollectFailure, v1::CollectFailure { collector, reason });

impl From<&model::ProcessMetrics> for v1::ProcessMetrics {
    fn from(processes: &model::ProcessMetrics) -> Self {
        Self {
            total_processes: processes.total_processes,
            running_processes: processes.running_processes,
            sleeping_processes: processes.sleeping_processes,
            zombie_processes: processes.zombie_processes,
            task_processes: list(&processes.task_processes),
            top: list(&processes.top),
            total_threads: processes.total_threads,
            running_threads: processes.running_threads,
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
            total_threads: processes.total_threads,
            running_threads: processes.running_threads,
            top: processes.top.into_iter().map(Into::into).collect(),
            task_processes: processes.task_processes.into_iter().map(Into::into).collect(),
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
            context_switches_per_sec: cpu.context_switches_per_sec,
            interrupts_per_sec: cpu.interrupts_per_sec,
            forks_per_sec: cpu.forks_per_sec,
            limit_cores: cpu.limit_cores,
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
            context_switches_per_sec: cpu.context_switches_per_sec,
            interrupts_per_sec: cpu.interrupts_per_sec,
            forks_per_sec: cpu.forks_per_sec,
            limit_cores: cpu.limit_cores,
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
            pressure: section(&sample.pressure),
            vm: section(&sample.vm),
            tcp: section(&sample.tcp),
            udp: section(&sample.udp),
            system: section(&sample.system),
            clock: section(&sample.clock),
            nfs: section(&sample.nfs),
            systemd: section(&sample.systemd),
            units: list(&sample.units),
            containers: list(&sample.containers),
            fans: list(&sample.fans),
            power_meters: list(&sample.power_meters),
            batteries: list(&sample.batteries),
            collectors: list(&sample.collectors),
            app: section(&sample.app),
            custom: list(&sample.custom),
            gpus: list(&sample.gpus),
            temperatures: list(&sample.temperatures),
            failures: list(&sample.failures),
        }
    }
}

impl TryFrom<v1::MetricsDataResponse> for Sample {
    type Error = InvalidSample;

    fn try_from(data: v1::MetricsDataResponse) -> Result<Self, InvalidSample> {
        let timestamp = timestamp(i64::try_from(data.timestamp).ok())?;
        let mut sample = Self {
            timestamp,
            cpu: data.cpu.map(Into::into).unwrap_or_default(),
            memory: data.memory.map(Into::into).unwrap_or_default(),
            disks: data.disks.into_iter().map(Into::into).collect(),
            network_interfaces: data.network_interfaces.into_iter().map(Into::into).collect(),
            processes: data.processes.map(Into::into).unwrap_or_default(),
            load: data.load.map(Into::into).unwrap_or_default(),
            pressure: data.pressure.map(Into::into).unwrap_or_default(),
            vm: data.vm.map(Into::into).unwrap_or_default(),
            tcp: data.tcp.map(Into::into).unwrap_or_default(),
            udp: data.udp.map(Into::into).unwrap_or_default(),
            system: data.system.map(Into::into).unwrap_or_default(),
            clock: data.clock.map(Into::into).unwrap_or_default(),
            nfs: data.nfs.map(Into::into).unwrap_or_default(),
            systemd: data.systemd.map(Into::into).unwrap_or_default(),
            units: data.units.into_iter().map(Into::into).collect(),
            containers: data.containers.into_iter().map(Into::into).collect(),
            fans: data.fans.into_iter().map(Into::into).collect(),
            power_meters: data.power_meters.into_iter().map(Into::into).collect(),
            batteries: data.batteries.into_iter().map(Into::into).collect(),
            collectors: data.collectors.into_iter().map(Into::into).collect(),
            app: data.app.map(Into::into).unwrap_or_default(),
            custom: data.custom.into_iter().map(Into::into).collect(),
            gpus: data.gpus.into_iter().map(Into::into).collect(),
            temperatures: data.temperatures.into_iter().map(Into::into).collect(),
            failures: data
                .failures
                .into_iter()
                .take(MAX_FAILURES)
                .map(Into::into)
                .collect(),
        };
        finish(&mut sample)?;
        Ok(sample)
    }
}

/// The last step of a sample from outside, whatever form it came in: checks it and rounds its values.
///
/// # Errors
/// It is too large, or a value can't be right.
pub fn finish(sample: &mut Sample) -> Result<(), InvalidSample> {
    let kinds = Dimension::ALL.into_iter();
    let devices = kinds.map(|kind| kind.len(sample)).sum::<usize>();
    if devices > MAX_DEVICES {
        return Err(InvalidSample::TooManyDevices(devices));
    }
    for device in catalogue::devices(sample) {
        let attributes = device.attributes(sample).into_iter().map(|(_, text)| text.len());
        let longest = attributes.chain([device.label.len()]).max().unwrap_or(0);
        if longest > MAX_LABEL_BYTES {
            return Err(InvalidSample::LabelTooLong(longest));
        }
    }
    catalogue::check(sample)?;
    catalogue::quantise(sample);
    Ok(())
}

/// The time of a sample from outside, in Unix milliseconds.
///
/// # Errors
/// There is none, or it lies outside 1970 to 9999.
pub fn timestamp(millis: Option<i64>) -> Result<UnixMillis, InvalidSample> {
    millis
        .map(UnixMillis)
        .filter(|at| (UnixMillis(1)..=END_OF_TIME).contains(at))
        .ok_or(InvalidSample::NoTimestamp)
}

#[cfg(test)]
mod tests;
