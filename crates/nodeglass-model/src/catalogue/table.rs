//! The table itself. A row's number stands for it on disk: new rows get new numbers, and a number is never used again.

use super::metric::{Access, Number};
use super::{Field, Kind, Metric, MetricId, OverDevices, Unit};

/// Where a figure stands: reads and writes one field of the kind of device named first.
macro_rules! at {
    ($device:ident: $($field:ident).+) => {
        Field::$device(Access {
            read: |device| device.$($field).+.map(Number::to_f64),
            write: |device, value| device.$($field).+ = value.map(Number::from_f64),
        })
    };
}

/// One row: number, path, unit, kind, over devices, field, source, meaning.
macro_rules! metrics {
    ($(
        $id:literal $path:literal $unit:ident $kind:ident $over:ident
        ($($field:tt)+) $source:literal $description:literal
    )+) => {
        /// Every metric that Nodeglass knows, in the order of its documents.
        pub static METRICS: &[Metric] = &[$(Metric {
            id: MetricId($id),
            path: $path,
            unit: Unit::$unit,
            kind: Kind::$kind,
            over_devices: OverDevices::$over,
            source: $source,
            description: $description,
            field: at!($($field)+),
        }),+];
    };
}

metrics! {
    1 "cpu.usage_percent" Percent Rate Mean (Host: cpu.usage_percent)
        "/proc/stat" "Processor time spent on anything but idle and iowait, of all cores."
    2 "cpu.user_percent" Percent Rate Mean (Host: cpu.user_percent)
        "/proc/stat: user + nice" "User space, low priority included, guests included."
    3 "cpu.system_percent" Percent Rate Mean (Host: cpu.system_percent)
        "/proc/stat: system" "The kernel, without interrupts."
    4 "cpu.idle_percent" Percent Rate Mean (Host: cpu.idle_percent)
        "/proc/stat: idle" "Nothing to do."
    5 "cpu.iowait_percent" Percent Rate Mean (Host: cpu.iowait_percent)
        "/proc/stat: iowait" "Idle while a disk had I/O outstanding."
    6 "cpu.nice_percent" Percent Rate Mean (Host: cpu.nice_percent)
        "/proc/stat: nice" "User space at low priority; part of cpu.user_percent."
    7 "cpu.irq_percent" Percent Rate Mean (Host: cpu.irq_percent)
        "/proc/stat: irq" "Hardware interrupts."
    8 "cpu.softirq_percent" Percent Rate Mean (Host: cpu.softirq_percent)
        "/proc/stat: softirq" "Soft interrupts."
    9 "cpu.steal_percent" Percent Rate Mean (Host: cpu.steal_percent)
        "/proc/stat: steal" "Time that the hypervisor gave to others."
    10 "cpu.temperature_celsius" Celsius Level Max (Host: cpu.temperature_celsius)
        "/sys/class/hwmon, /sys/class/thermal" "The hottest sensor of the processor; absent where there is none."

    20 "cpu.core_usage" Percent Rate Mean (Core: usage_percent)
        "/proc/stat" "As cpu.usage_percent, of one core."
    21 "cpu.core_user" Percent Rate Mean (Core: user_percent)
        "/proc/stat: user + nice" "As cpu.user_percent, of one core."
    22 "cpu.core_system" Percent Rate Mean (Core: system_percent)
        "/proc/stat: system" "As cpu.system_percent, of one core."
    23 "cpu.core_idle" Percent Rate Mean (Core: idle_percent)
        "/proc/stat: idle" "As cpu.idle_percent, of one core."
    24 "cpu.core_iowait" Percent Rate Mean (Core: iowait_percent)
        "/proc/stat: iowait" "As cpu.iowait_percent, of one core."
    25 "cpu.core_irq" Percent Rate Mean (Core: irq_percent)
        "/proc/stat: irq" "As cpu.irq_percent, of one core."
    26 "cpu.core_softirq" Percent Rate Mean (Core: softirq_percent)
        "/proc/stat: softirq" "As cpu.softirq_percent, of one core."
    27 "cpu.core_steal" Percent Rate Mean (Core: steal_percent)
        "/proc/stat: steal" "As cpu.steal_percent, of one core."

    40 "memory.total_bytes" Bytes Level Sum (Host: memory.total_bytes)
        "/proc/meminfo: MemTotal" "Memory that the kernel manages."
    41 "memory.used_bytes" Bytes Level Sum (Host: memory.used_bytes)
        "/proc/meminfo: MemTotal - MemAvailable" "Memory that programs can't get without swapping."
    42 "memory.available_bytes" Bytes Level Sum (Host: memory.available_bytes)
        "/proc/meminfo: MemAvailable" "Memory that programs can still get without swapping."
    43 "memory.free_bytes" Bytes Level Sum (Host: memory.free_bytes)
        "/proc/meminfo: MemFree" "Memory that nobody uses, not even as cache."
    44 "memory.cached_bytes" Bytes Level Sum (Host: memory.cached_bytes)
        "/proc/meminfo: Cached + SReclaimable" "Page cache and reclaimable kernel memory."
    45 "memory.buffers_bytes" Bytes Level Sum (Host: memory.buffers_bytes)
        "/proc/meminfo: Buffers" "Buffers of block devices."
    46 "memory.usage_percent" Percent Level Mean (Host: memory.usage_percent)
        "/proc/meminfo" "Used of total."
    47 "memory.swap_total_bytes" Bytes Level Sum (Host: memory.swap_total_bytes)
        "/proc/meminfo: SwapTotal" "Swap space."
    48 "memory.swap_used_bytes" Bytes Level Sum (Host: memory.swap_used_bytes)
        "/proc/meminfo: SwapTotal - SwapFree" "Swap in use."
    49 "memory.swap_free_bytes" Bytes Level Sum (Host: memory.swap_free_bytes)
        "/proc/meminfo: SwapFree" "Swap not in use."
    50 "memory.swap_usage_percent" Percent Level Mean (Host: memory.swap_usage_percent)
        "/proc/meminfo" "Swap used of swap total; absent on a host without swap."

    60 "disk.total_bytes" Bytes Level Sum (Mount: total_bytes)
        "statvfs: f_blocks" "Size of the file system."
    61 "disk.used_bytes" Bytes Level Sum (Mount: used_bytes)
        "statvfs: f_blocks - f_bfree" "Space in use."
    62 "disk.available_bytes" Bytes Level Sum (Mount: available_bytes)
        "statvfs: f_bavail" "Space that users without privileges can still fill."
    63 "disk.usage_percent" Percent Level Max (Mount: usage_percent)
        "statvfs: used / (used + available)" "How full the file system is, as df shows it."
    64 "disk.read_bytes_per_sec" BytesPerSec Rate Sum (Disk: read_bytes_per_sec)
        "/proc/diskstats: sectors read x 512" "Bytes read from the device."
    65 "disk.write_bytes_per_sec" BytesPerSec Rate Sum (Disk: write_bytes_per_sec)
        "/proc/diskstats: sectors written x 512" "Bytes written to the device."
    66 "disk.read_ops_per_sec" PerSec Rate Sum (Disk: read_ops_per_sec)
        "/proc/diskstats: reads completed" "Reads that the device completed."
    67 "disk.write_ops_per_sec" PerSec Rate Sum (Disk: write_ops_per_sec)
        "/proc/diskstats: writes completed" "Writes that the device completed."
    68 "disk.io_util_percent" Percent Rate Max (Disk: io_util_percent)
        "/proc/diskstats: milliseconds doing I/O" "Share of the time with at least one request in flight."

    80 "network.bytes_sent_per_sec" BytesPerSec Rate Sum (Interface: bytes_sent_per_sec)
        "/proc/net/dev" "Bytes sent."
    81 "network.bytes_recv_per_sec" BytesPerSec Rate Sum (Interface: bytes_recv_per_sec)
        "/proc/net/dev" "Bytes received."
    82 "network.packets_sent_per_sec" PerSec Rate Sum (Interface: packets_sent_per_sec)
        "/proc/net/dev" "Packets sent."
    83 "network.packets_recv_per_sec" PerSec Rate Sum (Interface: packets_recv_per_sec)
        "/proc/net/dev" "Packets received."
    84 "network.errors_in" Count Counter Sum (Interface: errors_in)
        "/proc/net/dev: receive errs" "Receive errors since the interface was made."
    85 "network.errors_out" Count Counter Sum (Interface: errors_out)
        "/proc/net/dev: transmit errs" "Transmit errors since the interface was made."
    86 "network.drops_in" Count Counter Sum (Interface: drops_in)
        "/proc/net/dev: receive drop" "Received packets that were dropped, since the interface was made."
    87 "network.drops_out" Count Counter Sum (Interface: drops_out)
        "/proc/net/dev: transmit drop" "Packets to send that were dropped, since the interface was made."

    100 "processes.total_processes" Count Level Sum (Host: processes.total_processes)
        "/proc/PID/stat" "Processes; threads are not counted."
    101 "processes.running_processes" Count Level Sum (Host: processes.running_processes)
        "/proc/PID/stat: R" "Processes that run or are ready to."
    102 "processes.sleeping_processes" Count Level Sum (Host: processes.sleeping_processes)
        "/proc/PID/stat: S, D, I" "Processes that wait."
    103 "processes.zombie_processes" Count Level Sum (Host: processes.zombie_processes)
        "/proc/PID/stat: Z" "Processes that ended but were not collected by their parent."
    104 "processes.blocked_processes" Count Level Sum (Host: processes.blocked_processes)
        "/proc/PID/stat: D" "Processes whose wait can't be interrupted; part of the sleeping."
    105 "processes.stopped_processes" Count Level Sum (Host: processes.stopped_processes)
        "/proc/PID/stat: T, t" "Processes stopped by a signal or a debugger."

    120 "load.load1" Load Level Mean (Host: load.load1)
        "/proc/loadavg" "Tasks running or blocked, averaged over one minute."
    121 "load.load5" Load Level Mean (Host: load.load5)
        "/proc/loadavg" "Tasks running or blocked, averaged over five minutes."
    122 "load.load15" Load Level Mean (Host: load.load15)
        "/proc/loadavg" "Tasks running or blocked, averaged over fifteen minutes."

    140 "gpu.utilization_percent" Percent Level Mean (Gpu: utilization_percent)
        "NVML: utilization rates" "Share of the last moments with a kernel running on the GPU."
    141 "gpu.memory_total_bytes" Bytes Level Sum (Gpu: memory_total_bytes)
        "NVML: memory info" "Memory of the GPU."
    142 "gpu.memory_used_bytes" Bytes Level Sum (Gpu: memory_used_bytes)
        "NVML: memory info" "GPU memory in use."
    143 "gpu.memory_usage_percent" Percent Level Max (Gpu: memory_usage_percent)
        "NVML: memory info" "GPU memory used of total."
    144 "gpu.temperature_celsius" Celsius Level Max (Gpu: temperature_celsius)
        "NVML: temperature" "Temperature of the GPU."
    145 "gpu.power_watts" Watts Level Sum (Gpu: power_watts)
        "NVML: power usage" "Power that the GPU draws."

    160 "sensor.temperature_celsius" Celsius Level Max (Sensor: temperature_celsius)
        "/sys/class/hwmon, /sys/class/thermal" "Reading of one temperature sensor."
}
