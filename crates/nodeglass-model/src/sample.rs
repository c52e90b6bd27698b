//! One sample of one host: what an agent measures each interval. Its JSON is the API's.
//!
//! Every figure is an `Option`: `None` means that it could not be known (the first reading of a counter, a reset, a
//! sensor that is not there), and never stands for zero. What failed is listed in [`Sample::failures`].

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::time::UnixMillis;

/// Everything measured at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sample {
    /// When the readings were taken, by the host's clock.
    pub timestamp: UnixMillis,
    /// Processors.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: CpuMetrics,
    /// Memory and swap.
    #[serde(skip_serializing_if = "is_default")]
    pub memory: MemoryMetrics,
    /// Mounted file systems and block devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskMetrics>,
    /// Network interfaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<NetworkMetrics>,
    /// Counts of processes.
    #[serde(skip_serializing_if = "is_default")]
    pub processes: ProcessMetrics,
    /// Load averages.
    #[serde(skip_serializing_if = "is_default")]
    pub load: LoadMetrics,
    /// Graphics processors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuMetrics>,
    /// Temperature sensors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub temperatures: Vec<TemperatureMetrics>,
    /// What could not be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<CollectFailure>,
}

/// Declares a section of a sample whose figures are all optional and left out of JSON when absent.
macro_rules! section {
    (
        $(#[$doc:meta])* $name:ident
        $(keys { $($(#[$key_meta:meta])* $key:ident: $key_type:ty,)* })?
        figures { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize)]
        pub struct $name {
            $($($(#[$key_meta])* pub $key: $key_type,)*)?
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }
    };
}

section! {
    /// Processor time since the previous sample, in percent of the time of all cores.
    CpuMetrics
    keys {
        /// The cores that are online. JSON has the usage of each as `core_usage` besides.
        #[serde(flatten, serialize_with = "cores_and_usage")]
        cores: Vec<CoreMetrics>,
    }
    figures {
        /// All modes but idle and iowait.
        usage_percent: f64,
        /// User space, nice included.
        user_percent: f64,
        /// The kernel.
        system_percent: f64,
        /// Nothing to do.
        idle_percent: f64,
        /// Idle with disk I/O outstanding.
        iowait_percent: f64,
        /// User space at low priority; part of `user_percent`.
        nice_percent: f64,
        /// Hardware interrupts.
        irq_percent: f64,
        /// Soft interrupts.
        softirq_percent: f64,
        /// Time that the hypervisor gave to others.
        steal_percent: f64,
        /// The hottest sensor of the processor package.
        temperature_celsius: f64,
    }
}

section! {
    /// One logical core; the same modes as [`CpuMetrics`].
    CoreMetrics
    keys {
        /// The kernel's number of the core.
        core: u32,
    }
    figures {
        /// All modes but idle and iowait.
        usage_percent: f64,
        /// User space, nice included.
        user_percent: f64,
        /// The kernel.
        system_percent: f64,
        /// Nothing to do.
        idle_percent: f64,
        /// Idle with disk I/O outstanding.
        iowait_percent: f64,
        /// Hardware interrupts.
        irq_percent: f64,
        /// Soft interrupts.
        softirq_percent: f64,
        /// Time that the hypervisor gave to others.
        steal_percent: f64,
    }
}

section! {
    /// Memory and swap, in bytes.
    MemoryMetrics
    figures {
        /// Memory that the kernel manages.
        total_bytes: u64,
        /// Total less available.
        used_bytes: u64,
        /// What programs could still get without swapping.
        available_bytes: u64,
        /// Memory that nobody uses, not even as cache.
        free_bytes: u64,
        /// Page cache, with reclaimable slab.
        cached_bytes: u64,
        /// Buffers of block devices.
        buffers_bytes: u64,
        /// Used of total.
        usage_percent: f64,
        /// Swap space.
        swap_total_bytes: u64,
        /// Swap in use.
        swap_used_bytes: u64,
        /// Swap not in use.
        swap_free_bytes: u64,
        /// Swap used of swap total; absent without swap.
        swap_usage_percent: f64,
    }
}

section! {
    /// A mounted file system with the device under it, or a block device that is not mounted itself.
    ///
    /// Space belongs to the mount, I/O to the device; an entry has what applies to it.
    DiskMetrics
    keys {
        /// The device: `/dev/sda1`, `/dev/mapper/vg-root`, `nas:/export`.
        device: String,
        /// Where it is mounted; empty for a device that is not.
        #[serde(skip_serializing_if = "String::is_empty")]
        mount_point: String,
        /// The device that this one is a part of or lies upon; its I/O is counted there already.
        #[serde(skip_serializing_if = "String::is_empty")]
        parent: String,
    }
    figures {
        /// Size of the file system.
        total_bytes: u64,
        /// Total less free.
        used_bytes: u64,
        /// What users without privileges can still write.
        available_bytes: u64,
        /// Used of used plus available, as `df` shows it.
        usage_percent: f64,
        /// Bytes read.
        read_bytes_per_sec: u64,
        /// Bytes written.
        write_bytes_per_sec: u64,
        /// Reads completed.
        read_ops_per_sec: u64,
        /// Writes completed.
        write_ops_per_sec: u64,
        /// Share of the time with I/O in flight.
        io_util_percent: f64,
    }
}

section! {
    /// One network interface. Errors and drops count from its creation.
    NetworkMetrics
    keys {
        /// Its name: `eth0`.
        interface: String,
    }
    figures {
        /// Bytes sent.
        bytes_sent_per_sec: u64,
        /// Bytes received.
        bytes_recv_per_sec: u64,
        /// Packets sent.
        packets_sent_per_sec: u64,
        /// Packets received.
        packets_recv_per_sec: u64,
        /// Receive errors so far.
        errors_in: u64,
        /// Transmit errors so far.
        errors_out: u64,
        /// Received packets dropped so far.
        drops_in: u64,
        /// Packets to send dropped so far.
        drops_out: u64,
    }
}

section! {
    /// Processes by state; threads are not counted.
    ProcessMetrics
    figures {
        /// All processes.
        total_processes: u32,
        /// Running or ready to run (state R).
        running_processes: u32,
        /// Waiting, with or without a way to interrupt it (states S, D and I).
        sleeping_processes: u32,
        /// Ended, but not yet collected by their parent (state Z).
        zombie_processes: u32,
        /// Waiting without a way to interrupt it, mostly for disks (state D); part of `sleeping_processes`.
        blocked_processes: u32,
        /// Stopped by a signal or a debugger (states T and t).
        stopped_processes: u32,
    }
}

section! {
    /// Load averages: tasks running or blocked, averaged over time.
    LoadMetrics
    figures {
        /// Over one minute.
        load1: f64,
        /// Over five minutes.
        load5: f64,
        /// Over fifteen minutes.
        load15: f64,
    }
}

section! {
    /// One graphics processor.
    GpuMetrics
    keys {
        /// Its number on this host.
        index: u32,
        /// Its model.
        name: String,
        /// The driver's lasting name for it.
        uuid: String,
    }
    figures {
        /// Share of the time with a kernel running.
        utilization_percent: f64,
        /// Memory of the device.
        memory_total_bytes: u64,
        /// Memory in use.
        memory_used_bytes: u64,
        /// Used of total.
        memory_usage_percent: f64,
        /// Core temperature.
        temperature_celsius: f64,
        /// Power drawn.
        power_watts: f64,
    }
}

section! {
    /// One temperature sensor.
    TemperatureMetrics
    keys {
        /// Chip and label: `coretemp/Package id 0`.
        sensor: String,
    }
    figures {
        /// Its reading.
        temperature_celsius: f64,
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CollectFailure {
    /// The collector: `disk`.
    pub collector: String,
    /// What went wrong, for a person.
    pub reason: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The cores twice over: `cores` with every mode, and the plain list `core_usage`.
fn cores_and_usage<S: Serializer>(cores: &[CoreMetrics], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if !cores.is_empty() {
        let usage: Vec<f64> = cores.iter().filter_map(|core| core.usage_percent).collect();
        map.serialize_entry("core_usage", &usage)?;
        map.serialize_entry("cores", cores)?;
    }
    map.end()
}
