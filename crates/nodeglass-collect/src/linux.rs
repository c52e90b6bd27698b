//! The Linux back end: every collector over one host root, and the order in which they read.

mod block;
mod cgroup_path;
mod containers;
mod cpu;
mod disk;
mod diskstats;
mod host_root;
mod load;
mod memory;
mod mounts;
mod network;
mod own_limits;
mod proc_file;
mod processes;
mod scan;
mod space;
mod system;
mod temperature;

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Instant;

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::{CollectFailure, Sample};

use crate::config::{CollectConfig, CollectError};
use crate::sampler::Depth;
use containers::ContainerCollector;
use cpu::CpuCollector;
use disk::DiskCollector;
use host_root::HostRoot;
use load::LoadCollector;
use memory::MemoryCollector;
use network::NetworkCollector;
use own_limits::OwnLimits;
use processes::ProcessCollector;
pub(crate) use system::{read_host_name, read_system_info};
use temperature::TemperatureCollector;

/// Whether file systems are asked for their space: without these metrics a dead mount is never touched.
const SPACE_METRICS: [&str; 4] = [
    "disk.total_bytes",
    "disk.used_bytes",
    "disk.available_bytes",
    "disk.usage_percent",
];

/// A Linux host. A collector that is `None` is not wanted; dropping it closes its files and forgets its last reading,
/// so that no rate reaches over a time in which nobody looked.
pub(crate) struct LinuxHost {
    root: HostRoot,
    deadline: std::time::Duration,
    most_containers: usize,
    container_sockets: Vec<PathBuf>,
    cpu: Option<CpuCollector>,
    memory: Option<MemoryCollector>,
    disk: Option<DiskCollector>,
    network: Option<NetworkCollector>,
    load: Option<LoadCollector>,
    processes: Option<ProcessCollector>,
    temperature: Option<TemperatureCollector>,
    containers: Option<ContainerCollector>,
    /// Only where the host is what the agent itself sees.
    own_limits: Option<OwnLimits>,
}

impl LinuxHost {
    pub(crate) fn new(config: &CollectConfig) -> Result<Self, CollectError> {
        let root = HostRoot::new(&config.host_root);
        let stat = root.path("proc/stat");
        if let Err(source) = std::fs::File::open(&stat) {
            return Err(CollectError::NoProc { path: stat, source });
        }
        Ok(Self {
            own_limits: root.is_own().then(|| OwnLimits::new(&root)),
            root,
            deadline: config.deadline,
            most_containers: config.max_containers,
            container_sockets: config.container_sockets.clone(),
            cpu: None,
            memory: None,
            disk: None,
            network: None,
            load: None,
            processes: None,
            temperature: None,
            containers: None,
        })
    }

    pub(crate) fn set_filter(&mut self, filter: &MetricFilter) {
        let root = &self.root;
        let deadline = self.deadline;
        let sensors = filter.keeps_any("sensor") || filter.keeps_any("cpu.temperature_celsius");
        keep(&mut self.cpu, filter.keeps_any("cpu"), || CpuCollector::new(root));
        keep(&mut self.memory, filter.keeps_any("memory"), || {
            MemoryCollector::new(root)
        });
        keep(&mut self.disk, filter.keeps_any("disk"), || {
            DiskCollector::new(root, deadline)
        });
        keep(&mut self.network, filter.keeps_any("network"), || {
            NetworkCollector::new(root)
        });
        keep(&mut self.load, filter.keeps_any("load"), || {
            LoadCollector::new(root)
        });
        keep(&mut self.processes, filter.keeps_any("processes"), || {
            ProcessCollector::new(root)
        });
        keep(&mut self.temperature, sensors, || TemperatureCollector::new(root));
        keep(&mut self.containers, filter.keeps_any("container"), || {
            ContainerCollector::new(root, self.most_containers, &self.container_sockets)
        });
        if let Some(disk) = &mut self.disk {
            disk.set_space_wanted(SPACE_METRICS.iter().any(|metric| filter.keeps_any(metric)));
        }
    }

    /// Reads everything that is wanted. What rates are made of comes first, close to `now`; what may take its time
    /// comes after it.
    pub(crate) fn read(&mut self, sample: &mut Sample, depth: Depth, now: Instant, until: Instant) {
        if let Some(cpu) = &mut self.cpu {
            match cpu.read() {
                Ok(metrics) => sample.cpu = metrics,
                Err(error) => fail(sample, "cpu", &error),
            }
        }
        if self.cpu.is_some()
            && let Some(limits) = &mut self.own_limits
        {
            sample.cpu.limit_cores = limits.cores(now);
        }
        if let Some(network) = &mut self.network {
            match network.read(now) {
                Ok(interfaces) => sample.network_interfaces = interfaces,
                Err(error) => fail(sample, "network", &error),
            }
        }
        if let Some(disk) = &mut self.disk {
            disk.start(sample, now);
        }
        if let Some(memory) = &mut self.memory {
            match memory.read() {
                Ok(metrics) => sample.memory = metrics,
                Err(error) => fail(sample, "memory", &error),
            }
            if let Some(limits) = &mut self.own_limits {
                limits.apply_memory(&mut sample.memory, now);
            }
        }
        if let Some(load) = &mut self.load {
            match load.read() {
                Ok(metrics) => sample.load = metrics,
                Err(error) => fail(sample, "load", &error),
            }
        }
        if let Some(temperature) = &mut self.temperature {
            sample.temperatures = temperature.read(now);
            sample.cpu.temperature_celsius = temperature::hottest_cpu(&sample.temperatures);
        }
        if let Some(processes) = &mut self.processes
            && depth == Depth::Full
        {
            match processes.read() {
                Ok(metrics) => sample.processes = metrics,
                Err(error) => fail(sample, "processes", &error),
            }
        }
        if let Some(containers) = &mut self.containers
            && depth == Depth::Full
        {
            containers.read(sample, now, until);
        }
        if let Some(disk) = &mut self.disk {
            disk.finish(sample, until);
        }
    }
}

fn keep<C>(collector: &mut Option<C>, wanted: bool, make: impl FnOnce() -> C) {
    if !wanted {
        *collector = None;
    } else if collector.is_none() {
        *collector = Some(make());
    }
}

fn fail(sample: &mut Sample, collector: &str, reason: &dyn Display) {
    sample.failures.push(CollectFailure {
        collector: collector.to_owned(),
        reason: reason.to_string(),
    });
}
