//! The portable back end: what `sysinfo` can tell on any system, of the host that the process itself runs on.
//!
//! It has no modes of processor time (user, system, iowait, ...), no I/O operations or utilisation of disks, no page
//! cache, and no packets dropped; those stay absent.

mod system;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::rates::{per_second, percent};
use nodeglass_model::sample::{
    CoreMetrics, CpuMetrics, DiskMetrics, LoadMetrics, MemoryMetrics, NetworkMetrics, ProcessMetrics, Sample,
    TemperatureMetrics,
};
use sysinfo::{
    Components, CpuRefreshKind, DiskUsage, Disks, Networks, ProcessRefreshKind, ProcessStatus,
    ProcessesToUpdate, System,
};

use crate::config::{CollectConfig, CollectError};
use crate::sampler::Depth;
#[cfg(not(target_os = "linux"))]
pub(crate) use system::read_host_name;
pub(crate) use system::read_system_info;

/// Counters of one interface: bytes and packets, received and sent.
type NetworkCounters = [u64; 4];

/// Reads the host through `sysinfo`.
pub(crate) struct PortableHost {
    system: System,
    disks: Disks,
    networks: Networks,
    components: Option<Components>,
    filter: MetricFilter,
    read_at: Option<Instant>,
    cpu_was_read: bool,
    disk_counters: HashMap<String, DiskUsage>,
    network_counters: HashMap<String, NetworkCounters>,
}

impl PortableHost {
    pub(crate) fn new(config: &CollectConfig) -> Result<Self, CollectError> {
        Ok(Self {
            system: System::new().map_err(CollectError::Portable)?,
            disks: Disks::new().map_err(CollectError::Portable)?,
            networks: Networks::new().map_err(CollectError::Portable)?,
            // Many virtual machines have no sensors at all.
            components: Components::new().ok(),
            filter: config.filter.clone(),
            read_at: None,
            cpu_was_read: false,
            disk_counters: HashMap::new(),
            network_counters: HashMap::new(),
        })
    }

    pub(crate) fn set_filter(&mut self, filter: &MetricFilter) {
        self.filter = filter.clone();
        // A rate must not reach back to before its collector was stopped.
        if !filter.keeps_any("cpu") {
            self.cpu_was_read = false;
        }
        if !filter.keeps_any("disk") {
            self.disk_counters.clear();
        }
        if !filter.keeps_any("network") {
            self.network_counters.clear();
        }
    }

    pub(crate) fn read(&mut self, sample: &mut Sample, depth: Depth, now: Instant) {
        let elapsed = self
            .read_at
            .replace(now)
            .map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
        if self.filter.keeps_any("cpu") {
            sample.cpu = self.read_cpu();
        }
        if self.filter.keeps_any("memory") {
            sample.memory = self.read_memory();
        }
        if self.filter.keeps_any("disk") {
            sample.disks = self.read_disks(elapsed);
        }
        if self.filter.keeps_any("network") {
            sample.network_interfaces = self.read_networks(elapsed);
        }
        if self.filter.keeps_any("load") {
            sample.load = read_load();
        }
        if self.filter.keeps_any("processes") && depth == Depth::Full {
            sample.processes = self.read_processes();
        }
        if self.filter.keeps_any("sensor") || self.filter.keeps_any("cpu.temperature_celsius") {
            sample.temperatures = self.read_temperatures();
        }
    }

    fn read_cpu(&mut self) -> CpuMetrics {
        self.system
            .refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
        // sysinfo's first reading is zero or not a number: there is nothing to compare it with.
        let known = std::mem::replace(&mut self.cpu_was_read, true);
        let usage = |value: f32| {
            let value = f64::from(value);
            (known && value.is_finite()).then(|| value.clamp(0.0, 100.0))
        };
        let cores = self.system.cpus().iter().enumerate();
        CpuMetrics {
            usage_percent: usage(self.system.global_cpu_usage()),
            cores: cores
                .map(|(number, core)| CoreMetrics {
                    core: number as u32,
                    usage_percent: usage(core.usage()),
                    ..CoreMetrics::default()
                })
                .collect(),
            ..CpuMetrics::default()
        }
    }

    fn read_memory(&mut self) -> MemoryMetrics {
        self.system.refresh_memory();
        let total = self.system.total_memory();
        if total == 0 {
            return MemoryMetrics::default();
        }
        let used = total.saturating_sub(self.system.available_memory());
        let swap_total = self.system.total_swap();
        MemoryMetrics {
            total_bytes: Some(total),
            used_bytes: Some(used),
            available_bytes: Some(self.system.available_memory()),
            free_bytes: Some(self.system.free_memory()),
            usage_percent: percent(used, total),
            swap_total_bytes: Some(swap_total),
            swap_used_bytes: Some(self.system.used_swap()),
            swap_free_bytes: Some(self.system.free_swap()),
            swap_usage_percent: percent(self.system.used_swap().min(swap_total), swap_total),
            ..MemoryMetrics::default()
        }
    }

    fn read_disks(&mut self, elapsed: Duration) -> Vec<DiskMetrics> {
        self.disks.refresh(true);
        let mut counters = HashMap::new();
        let mut entries: Vec<DiskMetrics> = Vec::new();
        for disk in &self.disks {
            let device = disk.name().to_string_lossy().into_owned();
            if entries.iter().any(|entry| entry.device == device) {
                continue;
            }
            let (total, available) = (disk.total_space(), disk.available_space());
            let after = disk.usage();
            let rate = |of: fn(&DiskUsage) -> u64| {
                let before = self.disk_counters.get(&device)?;
                per_second(of(before), of(&after), elapsed)
            };
            // sysinfo knows available space only, so what is reserved counts as used.
            let used = total.saturating_sub(available);
            entries.push(DiskMetrics {
                mount_point: disk.mount_point().to_string_lossy().into_owned(),
                total_bytes: (total > 0).then_some(total),
                used_bytes: (total > 0).then_some(used),
                available_bytes: (total > 0).then_some(available),
                usage_percent: percent(used, total),
                read_bytes_per_sec: rate(|usage| usage.total_read_bytes),
                write_bytes_per_sec: rate(|usage| usage.total_written_bytes),
                device: device.clone(),
                ..DiskMetrics::default()
            });
            counters.insert(device, after);
        }
        self.disk_counters = counters;
        entries
    }

    fn read_networks(&mut self, elapsed: Duration) -> Vec<NetworkMetrics> {
        self.networks.refresh(true);
        let mut counters = HashMap::new();
        let mut interfaces = Vec::new();
        for (name, data) in &self.networks {
            let interface = name.to_string_lossy().into_owned();
            let after: NetworkCounters = [
                data.total_received(),
                data.total_transmitted(),
                data.total_packets_received(),
                data.total_packets_transmitted(),
            ];
            let before = self.network_counters.get(&interface);
            let rate = |at: usize| before.and_then(|before| per_second(before[at], after[at], elapsed));
            interfaces.push(NetworkMetrics {
                bytes_recv_per_sec: rate(0),
                bytes_sent_per_sec: rate(1),
                packets_recv_per_sec: rate(2),
                packets_sent_per_sec: rate(3),
                errors_in: Some(data.total_errors_on_received()),
                errors_out: Some(data.total_errors_on_transmitted()),
                interface: interface.clone(),
                ..NetworkMetrics::default()
            });
            counters.insert(interface, after);
        }
        self.network_counters = counters;
        interfaces.sort_by(|a, b| a.interface.cmp(&b.interface));
        interfaces
    }

    fn read_processes(&mut self) -> ProcessMetrics {
        // Without `without_tasks` threads would be counted as processes.
        let kind = ProcessRefreshKind::nothing().without_tasks();
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let count = |wanted: fn(ProcessStatus) -> bool| {
            let processes = self.system.processes().values();
            Some(processes.filter(|process| wanted(process.status())).count() as u32)
        };
        ProcessMetrics {
            total_processes: count(|_| true),
            running_processes: count(|status| status == ProcessStatus::Run),
            sleeping_processes: count(|status| {
                matches!(
                    status,
                    ProcessStatus::Sleep | ProcessStatus::Idle | ProcessStatus::UninterruptibleDiskSleep
                )
            }),
            zombie_processes: count(|status| status == ProcessStatus::Zombie),
            blocked_processes: count(|status| status == ProcessStatus::UninterruptibleDiskSleep),
            stopped_processes: count(|status| matches!(status, ProcessStatus::Stop | ProcessStatus::Tracing)),
            ..ProcessMetrics::default()
        }
    }

    fn read_temperatures(&mut self) -> Vec<TemperatureMetrics> {
        let Some(components) = &mut self.components else {
            return Vec::new();
        };
        components.refresh(true);
        let mut sensors: Vec<TemperatureMetrics> = components
            .iter()
            .filter_map(|component| {
                let celsius = component.temperature().filter(|celsius| celsius.is_finite())?;
                Some(TemperatureMetrics {
                    sensor: component.label().to_owned(),
                    temperature_celsius: Some(f64::from(celsius)),
                })
            })
            .collect();
        sensors.sort_by(|a, b| a.sensor.cmp(&b.sensor));
        sensors.dedup_by(|a, b| a.sensor == b.sensor);
        sensors
    }
}

/// Windows has no load average; there all three stay absent.
fn read_load() -> LoadMetrics {
    match System::load_average() {
        Ok(load) if cfg!(unix) => LoadMetrics {
            load1: Some(load.one),
            load5: Some(load.five),
            load15: Some(load.fifteen),
        },
        _ => LoadMetrics::default(),
    }
}
