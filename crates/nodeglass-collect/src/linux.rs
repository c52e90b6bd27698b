//! The Linux back end: every collector over one host root, and the order in which they read.

mod block;
mod cgroup_path;
pub(crate) mod clock;
mod collector;
mod containers;
mod cpu;
mod disk;
mod diskstats;
mod frequency;
mod host;
pub(crate) mod host_root;
mod load;
mod memory;
mod mounts;
mod network;
mod nfs;
mod own_limits;
mod pressure;
mod proc_file;
mod processes;
mod protocols;
pub(crate) mod scan;
mod sensors;
mod sockets;
mod space;
mod system;
mod systemd;
mod tasks;
mod users;
mod vm;

use std::time::Instant;

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::Sample;

use crate::config::{CollectConfig, CollectError};
use crate::gpu::GpuUses;
use crate::tasks::TaskRegistry;
pub(crate) use collector::Moment;
use collector::{Collector, fail, mark_stale};
use host_root::HostRoot;
pub(crate) use processes::Process;
pub(crate) use system::{read_host_name, read_system_info};
pub(crate) use tasks::{Measured, TaskReader, Tracked};

/// What collectors are made from.
struct Surroundings {
    root: HostRoot,
    config: CollectConfig,
    tasks: TaskRegistry,
}

/// One collector: its name in failures, the metrics that it is needed for, and how it is made.
struct Row {
    name: &'static str,
    metrics: &'static [&'static str],
    make: fn(&Surroundings) -> Box<dyn Collector>,
}

/// Declares the table of collectors.
macro_rules! collectors {
    ($($name:literal for [$($metric:literal),+] |$host:ident| $make:expr;)+) => {
        /// Every collector, in the order in which they read: what rates are made of comes first, close to the moment
        /// of the sample; what may take its time comes after it. One that adds to another's section stands below it.
        const COLLECTORS: &[Row] = &[$(Row {
            name: $name,
            metrics: &[$($metric),+],
            make: |$host| Box::new($make),
        }),+];
    };
}

collectors! {
    "cpu" for ["cpu"] |host| cpu::CpuCollector::new(&host.root);
    "network" for ["network"] |host| network::NetworkCollector::new(&host.root, &host.config.devices);
    "snmp" for ["tcp", "udp"] |host| protocols::ProtocolCollector::new(&host.root);
    "netstat" for ["tcp.listen_overflows_per_sec", "tcp.listen_drops_per_sec"]
        |host| protocols::ListenCollector::new(&host.root);
    "pressure" for ["pressure"] |host| pressure::PressureCollector::new(&host.root);
    "vm" for ["vm"] |host| vm::VmCollector::new(&host.root);
    "nfs" for ["nfs"] |host| nfs::NfsCollector::new(&host.root);
    "disk" for ["disk"] |host| disk::DiskCollector::new(&host.root, &host.config.devices, host.config.deadline);
    "memory" for ["memory"] |host| memory::MemoryCollector::new(&host.root);
    "limits" for ["memory", "cpu.limit_cores"] |host| own_limits::LimitCollector::new(&host.root);
    "clock" for ["clock"] |_host| clock::ClockCollector;
    "frequency" for ["cpu.core_frequency_mhz"] |host| frequency::FrequencyCollector::new(&host.root);
    "sensor" for ["sensor", "cpu.temperature_celsius", "fan", "power", "battery"]
        |host| sensors::SensorCollector::new(&host.root, host.config.devices.max_sensors, host.config.deadline);
    "systemd" for ["systemd", "unit"]
        |host| systemd::SystemdCollector::new(&host.root, host.config.devices.max_units, host.config.deadline);
    "processes" for ["processes", "process", "task"]
        |host| processes::ProcessCollector::new(&host.root, &host.config, host.tasks.clone());
    "containers" for ["container"] |host| containers::ContainerCollector::new(&host.root, &host.config);
    "load" for ["load", "processes.total_threads", "processes.running_threads"]
        |host| load::LoadCollector::new(&host.root);
    "sockstat" for ["tcp", "udp", "system.sockets"] |host| sockets::SocketCollector::new(&host.root);
    "system" for ["system"] |host| host::HostCollector::new(&host.root);
}

/// A collector that is wanted, and when it last read without an error.
struct Running {
    collector: Box<dyn Collector>,
    read_at: Option<Instant>,
}

/// A Linux host. A collector that is `None` is not wanted; dropping it closes its files and forgets its last reading,
/// so that no rate reaches over a time in which nobody looked.
pub(crate) struct LinuxHost {
    surroundings: Surroundings,
    collectors: Vec<Option<Running>>,
}

impl LinuxHost {
    pub(crate) fn new(config: &CollectConfig) -> Result<Self, CollectError> {
        let root = HostRoot::new(&config.host_root);
        let stat = root.path("proc/stat");
        if let Err(source) = std::fs::File::open(&stat) {
            return Err(CollectError::NoProc { path: stat, source });
        }
        Ok(Self {
            surroundings: Surroundings {
                tasks: TaskRegistry::new(config, TaskReader::new(&root)),
                root,
                config: config.clone(),
            },
            collectors: COLLECTORS.iter().map(|_| None).collect(),
        })
    }

    /// The tasks that it measures.
    pub(crate) fn tasks(&self) -> &TaskRegistry {
        &self.surroundings.tasks
    }

    pub(crate) fn set_filter(&mut self, filter: &MetricFilter) {
        self.surroundings.tasks.set_wanted(filter.keeps_any("task"));
        for (row, running) in COLLECTORS.iter().zip(&mut self.collectors) {
            if !row.metrics.iter().any(|metric| filter.keeps_any(metric)) {
                *running = None;
                continue;
            }
            let running = running.get_or_insert_with(|| Running {
                collector: (row.make)(&self.surroundings),
                read_at: None,
            });
            running.collector.set_filter(filter);
        }
    }

    /// Changes which devices are left out, and how many processes are shown.
    pub(crate) fn set_shown(&mut self, config: &CollectConfig, filter: &MetricFilter) {
        let before = std::mem::replace(&mut self.surroundings.config, config.clone());
        for (row, running) in COLLECTORS.iter().zip(&mut self.collectors) {
            let is_other = match row.name {
                "network" => before.devices.exclude_interfaces != config.devices.exclude_interfaces,
                "disk" => before.devices != config.devices,
                "processes" => before.top_processes != config.top_processes,
                _ => false,
            };
            if is_other {
                *running = None;
            }
        }
        self.set_filter(filter);
    }

    /// Reads everything that is wanted; [`LinuxHost::finish`] adds what takes its time.
    pub(crate) fn read(&mut self, sample: &mut Sample, moment: &Moment) {
        for (row, running) in COLLECTORS.iter().zip(&mut self.collectors) {
            let Some(running) = running else { continue };
            match running.collector.read(sample, moment) {
                Ok(()) => running.read_at = Some(moment.now),
                Err(error) => {
                    fail(sample, row.name, error.to_string());
                    if let Some(read_at) = running.read_at {
                        mark_stale(sample, row.name, moment.now.saturating_duration_since(read_at));
                    }
                }
            }
        }
    }

    /// Takes the answers of those that were asked, and reads what depends on others.
    pub(crate) fn finish(&mut self, sample: &mut Sample, moment: &Moment, gpu: &GpuUses) {
        for running in self.collectors.iter_mut().flatten() {
            running.collector.finish(sample, moment, gpu);
        }
    }
}
