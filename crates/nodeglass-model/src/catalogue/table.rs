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
    11 "cpu.context_switches_per_sec" PerSec Rate Sum (Host: cpu.context_switches_per_sec)
        "/proc/stat: ctxt" "Switches from one task to another."
    12 "cpu.interrupts_per_sec" PerSec Rate Sum (Host: cpu.interrupts_per_sec)
        "/proc/stat: intr" "Interrupts served."
    13 "cpu.forks_per_sec" EventsPerSec Rate Sum (Host: cpu.forks_per_sec)
        "/proc/stat: processes" "Processes and threads made."
    14 "cpu.limit_cores" Cores Level Sum (Host: cpu.limit_cores)
        "cpu.max, cpu.cfs_quota_us" "What the control group that the agent lives in allows; absent where nothing limits it."

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
    28 "cpu.core_frequency_mhz" Megahertz Level Mean (Core: frequency_mhz)
        "cpufreq/scaling_cur_freq" "Clock frequency of the core."

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
    51 "memory.shared_bytes" Bytes Level Sum (Host: memory.shared_bytes)
        "/proc/meminfo: Shmem" "Shared memory and tmpfs."
    52 "memory.slab_bytes" Bytes Level Sum (Host: memory.slab_bytes)
        "/proc/meminfo: Slab" "Kernel data structures."
    53 "memory.slab_unreclaimable_bytes" Bytes Level Sum (Host: memory.slab_unreclaimable_bytes)
        "/proc/meminfo: SUnreclaim" "Kernel data structures that can not be given back."
    54 "memory.dirty_bytes" Bytes Level Sum (Host: memory.dirty_bytes)
        "/proc/meminfo: Dirty" "Written by programs, not yet to disk."
    55 "memory.writeback_bytes" Bytes Level Sum (Host: memory.writeback_bytes)
        "/proc/meminfo: Writeback" "On its way to disk."
    56 "memory.page_tables_bytes" Bytes Level Sum (Host: memory.page_tables_bytes)
        "/proc/meminfo: PageTables" "Page tables."
    57 "memory.kernel_stack_bytes" Bytes Level Sum (Host: memory.kernel_stack_bytes)
        "/proc/meminfo: KernelStack" "Kernel stacks of all tasks."
    58 "memory.committed_bytes" Bytes Level Sum (Host: memory.committed_bytes)
        "/proc/meminfo: Committed_AS" "What programs were promised."
    59 "memory.commit_limit_bytes" Bytes Level Sum (Host: memory.commit_limit_bytes)
        "/proc/meminfo: CommitLimit" "What programs may be promised where overcommit is off."
    200 "memory.limit_bytes" Bytes Level Sum (Host: memory.limit_bytes)
        "memory.max, memory.limit_in_bytes" "What the control group that the agent lives in allows; then the other figures are those of the group. Absent where nothing limits it."
    201 "memory.huge_pages_total_bytes" Bytes Level Sum (Host: memory.huge_pages_total_bytes)
        "/proc/meminfo: HugePages_Total x Hugepagesize" "Memory set aside for huge pages."
    202 "memory.huge_pages_free_bytes" Bytes Level Sum (Host: memory.huge_pages_free_bytes)
        "/proc/meminfo: HugePages_Free x Hugepagesize" "Of that, free."
    203 "memory.active_bytes" Bytes Level Sum (Host: memory.active_bytes)
        "/proc/meminfo: Active" "Used recently."
    204 "memory.inactive_bytes" Bytes Level Sum (Host: memory.inactive_bytes)
        "/proc/meminfo: Inactive" "Not used recently; taken first."
    205 "memory.anonymous_bytes" Bytes Level Sum (Host: memory.anonymous_bytes)
        "/proc/meminfo: AnonPages" "Memory of programs that is no file."
    206 "memory.mapped_bytes" Bytes Level Sum (Host: memory.mapped_bytes)
        "/proc/meminfo: Mapped" "Files mapped into programs."

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
    69 "disk.inodes_total" Count Level Sum (Mount: inodes_total)
        "statvfs: f_files" "Files that the file system can hold."
    70 "disk.inodes_used" Count Level Sum (Mount: inodes_used)
        "statvfs: f_files - f_ffree" "Files that it holds."
    71 "disk.inode_usage_percent" Percent Level Max (Mount: inode_usage_percent)
        "statvfs" "Inodes used of all."
    72 "disk.read_only" Count Level Max (Mount: read_only)
        "statvfs: f_flag" "1 where nothing can be written, else 0."
    73 "disk.read_await_ms" Milliseconds Rate Max (Disk: read_await_ms)
        "/proc/diskstats: milliseconds reading / reads" "Mean time of a read, its wait included; absent without reads."
    74 "disk.write_await_ms" Milliseconds Rate Max (Disk: write_await_ms)
        "/proc/diskstats: milliseconds writing / writes" "Mean time of a write, its wait included; absent without writes."
    75 "disk.queue_length" Average Rate Sum (Disk: queue_length)
        "/proc/diskstats: weighted milliseconds" "Requests waiting or under way, on average."
    76 "disk.requests_in_flight" Count Level Sum (Disk: requests_in_flight)
        "/proc/diskstats: I/Os in progress" "Requests under way at the moment of the sample."

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
    106 "processes.total_threads" Count Level Sum (Host: processes.total_threads)
        "/proc/loadavg" "Threads of all processes, those of the kernel included."
    107 "processes.running_threads" Count Level Sum (Host: processes.running_threads)
        "/proc/loadavg" "Threads that run or are ready to."

    120 "load.load1" Load Level Mean (Host: load.load1)
        "/proc/loadavg" "Tasks running or blocked, averaged over one minute."
    121 "load.load5" Load Level Mean (Host: load.load5)
        "/proc/loadavg" "Tasks running or blocked, averaged over five minutes."
    122 "load.load15" Load Level Mean (Host: load.load15)
        "/proc/loadavg" "Tasks running or blocked, averaged over fifteen minutes."

    140 "gpu.utilization_percent" Percent Level Mean (Gpu: utilization_percent)
        "NVML: utilization rates; gpu_busy_percent" "Share of the last moments with a kernel running on the GPU."
    141 "gpu.memory_total_bytes" Bytes Level Sum (Gpu: memory_total_bytes)
        "NVML: memory info; mem_info_vram_total" "Memory of the GPU."
    142 "gpu.memory_used_bytes" Bytes Level Sum (Gpu: memory_used_bytes)
        "NVML: memory info; mem_info_vram_used" "GPU memory in use."
    143 "gpu.memory_usage_percent" Percent Level Max (Gpu: memory_usage_percent)
        "NVML: memory info; mem_info_vram_*" "GPU memory used of total."
    144 "gpu.temperature_celsius" Celsius Level Max (Gpu: temperature_celsius)
        "NVML: temperature; hwmon temp1_input" "Temperature of the GPU."
    145 "gpu.power_watts" Watts Level Sum (Gpu: power_watts)
        "NVML: power usage; hwmon power1_average" "Power that the GPU draws."
    146 "gpu.power_limit_watts" Watts Level Sum (Gpu: power_limit_watts)
        "NVML: enforced power limit; hwmon power1_cap" "Power that the GPU may draw."
    147 "gpu.graphics_clock_mhz" Megahertz Level Mean (Gpu: graphics_clock_mhz)
        "NVML: clock info; pp_dpm_sclk" "Clock of the cores."
    148 "gpu.memory_clock_mhz" Megahertz Level Mean (Gpu: memory_clock_mhz)
        "NVML: clock info; pp_dpm_mclk" "Clock of the memory."
    149 "gpu.fan_percent" Percent Level Max (Gpu: fan_percent)
        "NVML: fan speed; hwmon pwm1" "Speed that the fan is set to."
    150 "gpu.ecc_corrected_errors" Count Counter Sum (Gpu: ecc_corrected_errors)
        "NVML: volatile ECC errors" "Memory errors corrected since the driver was loaded."
    151 "gpu.ecc_uncorrected_errors" Count Counter Sum (Gpu: ecc_uncorrected_errors)
        "NVML: volatile ECC errors" "Memory errors that could not be corrected since the driver was loaded."
    152 "gpu.throttled_by_power" Count Level Max (Gpu: throttled_by_power)
        "NVML: current clocks event reasons" "1 while clocks are held down by a power limit, else 0."
    153 "gpu.throttled_by_heat" Count Level Max (Gpu: throttled_by_heat)
        "NVML: current clocks event reasons" "1 while clocks are held down by heat, else 0."
    154 "gpu.throttled_otherwise" Count Level Max (Gpu: throttled_otherwise)
        "NVML: current clocks event reasons" "1 while clocks are held down by something else than idleness and settings, else 0."
    155 "gpu.pcie_recv_bytes_per_sec" BytesPerSec Level Sum (Gpu: pcie_recv_bytes_per_sec)
        "NVML: PCIe throughput" "Bytes that came over PCIe, over the last 20 ms."
    156 "gpu.pcie_sent_bytes_per_sec" BytesPerSec Level Sum (Gpu: pcie_sent_bytes_per_sec)
        "NVML: PCIe throughput" "Bytes that went over PCIe, over the last 20 ms."
    157 "gpu.encoder_percent" Percent Level Max (Gpu: encoder_percent)
        "NVML: encoder utilization" "Use of the video encoder."
    158 "gpu.decoder_percent" Percent Level Max (Gpu: decoder_percent)
        "NVML: decoder utilization" "Use of the video decoder."
    159 "gpu.memory_utilization_percent" Percent Level Mean (Gpu: memory_utilization_percent)
        "NVML: utilization rates; mem_busy_percent" "Share of the last moments in which memory was read or written."

    160 "sensor.temperature_celsius" Celsius Level Max (Sensor: temperature_celsius)
        "/sys/class/hwmon, /sys/class/thermal" "Reading of one temperature sensor."

    161 "fan.speed_rpm" Rpm Level Max (Fan: speed_rpm)
        "/sys/class/hwmon: fan*_input" "Turns per minute."

    162 "power.watts" Watts Rate Sum (Power: watts)
        "/sys/class/powercap: energy_uj; hwmon power*_input" "Power drawn."

    163 "battery.charge_percent" Percent Level Mean (Battery: charge_percent)
        "/sys/class/power_supply: capacity" "How full it is."
    164 "battery.power_watts" Watts Level Sum (Battery: power_watts)
        "/sys/class/power_supply: power_now, or current_now x voltage_now" "Power that flows in or out."
    165 "battery.charging" Count Level Max (Battery: charging)
        "/sys/class/power_supply: status" "1 while it is charged, else 0."
    166 "battery.health_percent" Percent Level Mean (Battery: health_percent)
        "/sys/class/power_supply: energy_full / energy_full_design" "What it still holds of what it held when it was new."

    170 "pressure.cpu_some_percent" Percent Rate Mean (Host: pressure.cpu_some_percent)
        "/proc/pressure/cpu: some total" "Time in which some task waited for a processor."
    171 "pressure.memory_some_percent" Percent Rate Mean (Host: pressure.memory_some_percent)
        "/proc/pressure/memory: some total" "Time in which some task waited for memory."
    172 "pressure.memory_full_percent" Percent Rate Mean (Host: pressure.memory_full_percent)
        "/proc/pressure/memory: full total" "Time in which every task that had work waited for memory."
    173 "pressure.io_some_percent" Percent Rate Mean (Host: pressure.io_some_percent)
        "/proc/pressure/io: some total" "Time in which some task waited for I/O."
    174 "pressure.io_full_percent" Percent Rate Mean (Host: pressure.io_full_percent)
        "/proc/pressure/io: full total" "Time in which every task that had work waited for I/O."
    175 "pressure.irq_full_percent" Percent Rate Mean (Host: pressure.irq_full_percent)
        "/proc/pressure/irq: full total" "Time in which every task that had work waited for interrupts to be served."

    180 "vm.page_faults_per_sec" PerSec Rate Sum (Host: vm.page_faults_per_sec)
        "/proc/vmstat: pgfault" "Page faults, major ones included."
    181 "vm.major_page_faults_per_sec" EventsPerSec Rate Sum (Host: vm.major_page_faults_per_sec)
        "/proc/vmstat: pgmajfault" "Page faults that had to wait for a disk."
    182 "vm.paged_in_bytes_per_sec" BytesPerSec Rate Sum (Host: vm.paged_in_bytes_per_sec)
        "/proc/vmstat: pgpgin x 1024" "Bytes read from disks."
    183 "vm.paged_out_bytes_per_sec" BytesPerSec Rate Sum (Host: vm.paged_out_bytes_per_sec)
        "/proc/vmstat: pgpgout x 1024" "Bytes written to disks."
    184 "vm.swapped_in_bytes_per_sec" BytesPerSec Rate Sum (Host: vm.swapped_in_bytes_per_sec)
        "/proc/vmstat: pswpin x page size" "Bytes read from swap."
    185 "vm.swapped_out_bytes_per_sec" BytesPerSec Rate Sum (Host: vm.swapped_out_bytes_per_sec)
        "/proc/vmstat: pswpout x page size" "Bytes written to swap."
    186 "vm.oom_kills" Count Counter Sum (Host: vm.oom_kills)
        "/proc/vmstat: oom_kill" "Processes killed for want of memory since the host started."

    220 "tcp.established_connections" Count Level Sum (Host: tcp.established_connections)
        "/proc/net/snmp: Tcp CurrEstab" "Connections that are open."
    221 "tcp.active_opens_per_sec" EventsPerSec Rate Sum (Host: tcp.active_opens_per_sec)
        "/proc/net/snmp: Tcp ActiveOpens" "Connections begun here."
    222 "tcp.passive_opens_per_sec" EventsPerSec Rate Sum (Host: tcp.passive_opens_per_sec)
        "/proc/net/snmp: Tcp PassiveOpens" "Connections accepted."
    223 "tcp.failed_attempts_per_sec" EventsPerSec Rate Sum (Host: tcp.failed_attempts_per_sec)
        "/proc/net/snmp: Tcp AttemptFails" "Connections that did not come about."
    224 "tcp.established_resets_per_sec" EventsPerSec Rate Sum (Host: tcp.established_resets_per_sec)
        "/proc/net/snmp: Tcp EstabResets" "Open connections that were reset."
    225 "tcp.segments_recv_per_sec" PerSec Rate Sum (Host: tcp.segments_recv_per_sec)
        "/proc/net/snmp: Tcp InSegs" "Segments received."
    226 "tcp.segments_sent_per_sec" PerSec Rate Sum (Host: tcp.segments_sent_per_sec)
        "/proc/net/snmp: Tcp OutSegs" "Segments sent."
    227 "tcp.segments_retransmitted_per_sec" EventsPerSec Rate Sum (Host: tcp.segments_retransmitted_per_sec)
        "/proc/net/snmp: Tcp RetransSegs" "Segments sent once more."
    228 "tcp.errors_in_per_sec" EventsPerSec Rate Sum (Host: tcp.errors_in_per_sec)
        "/proc/net/snmp: Tcp InErrs" "Broken segments received."
    229 "tcp.resets_sent_per_sec" EventsPerSec Rate Sum (Host: tcp.resets_sent_per_sec)
        "/proc/net/snmp: Tcp OutRsts" "Resets sent."
    230 "tcp.sockets" Count Level Sum (Host: tcp.sockets)
        "/proc/net/sockstat, sockstat6: TCP inuse" "Sockets in use, listening ones included."
    231 "tcp.orphaned_sockets" Count Level Sum (Host: tcp.orphaned_sockets)
        "/proc/net/sockstat: TCP orphan" "Sockets that no process holds."
    232 "tcp.time_wait_sockets" Count Level Sum (Host: tcp.time_wait_sockets)
        "/proc/net/sockstat: TCP tw" "Closed connections that wait for stray segments."
    233 "tcp.memory_bytes" Bytes Level Sum (Host: tcp.memory_bytes)
        "/proc/net/sockstat: TCP mem x page size" "Memory of TCP buffers."
    234 "tcp.listen_overflows_per_sec" EventsPerSec Rate Sum (Host: tcp.listen_overflows_per_sec)
        "/proc/net/netstat: TcpExt ListenOverflows" "Connections turned away by a full accept queue."
    235 "tcp.listen_drops_per_sec" EventsPerSec Rate Sum (Host: tcp.listen_drops_per_sec)
        "/proc/net/netstat: TcpExt ListenDrops" "Connections turned away by a listening socket, for any reason."

    240 "udp.datagrams_recv_per_sec" PerSec Rate Sum (Host: udp.datagrams_recv_per_sec)
        "/proc/net/snmp, snmp6: Udp InDatagrams" "Datagrams delivered."
    241 "udp.datagrams_sent_per_sec" PerSec Rate Sum (Host: udp.datagrams_sent_per_sec)
        "/proc/net/snmp, snmp6: Udp OutDatagrams" "Datagrams sent."
    242 "udp.errors_in_per_sec" EventsPerSec Rate Sum (Host: udp.errors_in_per_sec)
        "/proc/net/snmp, snmp6: Udp InErrors" "Datagrams that could not be delivered."
    243 "udp.no_port_per_sec" EventsPerSec Rate Sum (Host: udp.no_port_per_sec)
        "/proc/net/snmp, snmp6: Udp NoPorts" "Datagrams to a port where nobody listens."
    244 "udp.receive_buffer_errors_per_sec" EventsPerSec Rate Sum (Host: udp.receive_buffer_errors_per_sec)
        "/proc/net/snmp, snmp6: Udp RcvbufErrors" "Datagrams dropped because the receiver was slow."
    245 "udp.send_buffer_errors_per_sec" EventsPerSec Rate Sum (Host: udp.send_buffer_errors_per_sec)
        "/proc/net/snmp, snmp6: Udp SndbufErrors" "Datagrams dropped because the way out was full."
    246 "udp.sockets" Count Level Sum (Host: udp.sockets)
        "/proc/net/sockstat, sockstat6: UDP inuse" "Sockets in use."
    247 "udp.memory_bytes" Bytes Level Sum (Host: udp.memory_bytes)
        "/proc/net/sockstat: UDP mem x page size" "Memory of UDP buffers."

    260 "system.uptime_seconds" Seconds Level Max (Host: system.uptime_seconds)
        "/proc/uptime" "Time since the host started."
    261 "system.boot_time_seconds" Seconds Level Max (Host: system.boot_time_seconds)
        "/proc/stat: btime" "When the host started, in Unix seconds."
    262 "system.logged_in_users" Count Level Sum (Host: system.logged_in_users)
        "/run/systemd/users, /run/utmp" "Users with a session."
    263 "system.open_files" Count Level Sum (Host: system.open_files)
        "/proc/sys/fs/file-nr" "File handles in use."
    264 "system.max_open_files" Count Level Sum (Host: system.max_open_files)
        "/proc/sys/fs/file-nr" "File handles that there may be."
    265 "system.sockets" Count Level Sum (Host: system.sockets)
        "/proc/net/sockstat: sockets used" "Sockets of every kind."
    266 "system.conntrack_entries" Count Level Sum (Host: system.conntrack_entries)
        "/proc/sys/net/netfilter/nf_conntrack_count" "Connections that the firewall tracks; absent where it tracks none."
    267 "system.max_conntrack_entries" Count Level Sum (Host: system.max_conntrack_entries)
        "/proc/sys/net/netfilter/nf_conntrack_max" "Connections that it can track."

    270 "clock.synchronized" Count Level Max (Host: clock.synchronized)
        "adjtimex" "1 where the clock is kept in step with a time server, else 0."
    271 "clock.offset_ms" Milliseconds Level Max (Host: clock.offset_ms)
        "adjtimex: offset" "How far the clock is off, as its keeper believes; negative where it is behind."
    272 "clock.max_error_ms" Milliseconds Level Max (Host: clock.max_error_ms)
        "adjtimex: maxerror" "How far it may be off at most; grows while no time server is heard."

    280 "nfs.calls_per_sec" EventsPerSec Rate Sum (Host: nfs.calls_per_sec)
        "/proc/net/rpc/nfs: rpc" "Calls to NFS servers."
    281 "nfs.retransmissions_per_sec" EventsPerSec Rate Sum (Host: nfs.retransmissions_per_sec)
        "/proc/net/rpc/nfs: rpc" "Calls sent once more, because no answer came."
    282 "nfs.auth_refreshes_per_sec" EventsPerSec Rate Sum (Host: nfs.auth_refreshes_per_sec)
        "/proc/net/rpc/nfs: rpc" "Credentials asked for anew."

    290 "systemd.active_units" Count Level Sum (Host: systemd.active_units)
        "org.freedesktop.systemd1: ListUnits" "Units that are active."
    291 "systemd.failed_units" Count Level Sum (Host: systemd.failed_units)
        "org.freedesktop.systemd1: ListUnits" "Units that failed; `units` has their names."
    292 "systemd.inactive_units" Count Level Sum (Host: systemd.inactive_units)
        "org.freedesktop.systemd1: ListUnits" "Units that are loaded and not active."
    293 "systemd.activating_units" Count Level Sum (Host: systemd.activating_units)
        "org.freedesktop.systemd1: ListUnits" "Units that are starting."
    294 "systemd.deactivating_units" Count Level Sum (Host: systemd.deactivating_units)
        "org.freedesktop.systemd1: ListUnits" "Units that are stopping."

    299 "unit.failed" Count Level Sum (Unit: failed)
        "org.freedesktop.systemd1: ListUnits" "1: the unit failed. Units that did not are not listed."

    300 "process.cpu_percent" PercentOfCore Rate Sum (Process: cpu_percent)
        "/proc/PID/stat: utime + stime" "Processor time, in percent of one core."
    301 "process.memory_bytes" Bytes Level Sum (Process: memory_bytes)
        "/proc/PID/stat: rss x page size" "Resident memory."
    302 "process.threads" Count Level Sum (Process: threads)
        "/proc/PID/stat: num_threads" "Its threads."
    303 "process.read_bytes_per_sec" BytesPerSec Rate Sum (Process: read_bytes_per_sec)
        "/proc/PID/io: read_bytes" "Bytes read from disks; absent where the agent may not know."
    304 "process.write_bytes_per_sec" BytesPerSec Rate Sum (Process: write_bytes_per_sec)
        "/proc/PID/io: write_bytes" "Bytes written to disks; absent where the agent may not know."
    305 "process.gpu_memory_bytes" Bytes Level Sum (Process: gpu_memory_bytes)
        "NVML: running processes" "Memory on all GPUs."
    306 "process.gpu_utilization_percent" PercentOfCore Level Sum (Process: gpu_utilization_percent)
        "NVML: process utilization" "Use of GPUs, in percent of one."

    320 "task.cpu_percent" PercentOfCore Rate Sum (Task: cpu_percent)
        "/proc/PID/stat, cpu.stat" "Processor time of all its processes, in percent of one core."
    321 "task.memory_bytes" Bytes Level Sum (Task: memory_bytes)
        "/proc/PID/stat, memory.current" "Resident memory of all its processes."
    322 "task.virtual_memory_bytes" Bytes Level Sum (Task: virtual_memory_bytes)
        "/proc/PID/stat: vsize" "Address space of all its processes."
    323 "task.threads" Count Level Sum (Task: threads)
        "/proc/PID/stat: num_threads" "Threads of all its processes."
    324 "task.read_bytes" Bytes Counter Sum (Task: read_bytes)
        "/proc/PID/io, io.stat" "Bytes read from disks since the task began; absent where the agent may not know."
    325 "task.write_bytes" Bytes Counter Sum (Task: write_bytes)
        "/proc/PID/io, io.stat" "Bytes written to disks since the task began; absent where the agent may not know."
    326 "task.processes" Count Level Sum (Task: processes)
        "/proc" "Its processes."
    327 "task.pid" Count Level Max (Task: pid)
        "/proc" "The first process; absent for a control group."
    328 "task.cpu_time_ms" Milliseconds Counter Sum (Task: cpu_time_ms)
        "/proc/PID/stat, cpu.stat" "Processor time since the task began."
    329 "task.peak_memory_bytes" Bytes Level Max (Task: peak_memory_bytes)
        "as memory_bytes" "The most resident memory that was seen."
    330 "task.started_at_ms" Milliseconds Level Max (Task: started_at_ms)
        "the agent" "When the task began, in Unix milliseconds."
    331 "task.ended_at_ms" Milliseconds Level Max (Task: ended_at_ms)
        "the agent" "When it ended, in Unix milliseconds; absent while it runs."
    332 "task.exit_code" Count Level Max (Task: exit_code)
        "the agent" "How it ended, 128 + N after signal N; absent while it runs and where it is not known."

    340 "container.cpu_percent" PercentOfCore Rate Sum (Container: cpu_percent)
        "cpu.stat: usage_usec; cpuacct.usage" "Processor time, in percent of one core."
    341 "container.cpu_limit_cores" Cores Level Sum (Container: cpu_limit_cores)
        "cpu.max; cpu.cfs_quota_us" "Processors that it may use; absent without a limit."
    342 "container.cpu_throttled_percent" Percent Rate Max (Container: cpu_throttled_percent)
        "cpu.stat: nr_throttled / nr_periods" "Share of the periods in which it was held back by that limit."
    343 "container.memory_bytes" Bytes Level Sum (Container: memory_bytes)
        "memory.current - inactive_file" "Memory in use, page cache that can be dropped left out."
    344 "container.memory_limit_bytes" Bytes Level Sum (Container: memory_limit_bytes)
        "memory.max; memory.limit_in_bytes" "Memory that it may use; absent without a limit."
    345 "container.memory_usage_percent" Percent Level Max (Container: memory_usage_percent)
        "memory.current, memory.max" "Used of the limit."
    346 "container.read_bytes_per_sec" BytesPerSec Rate Sum (Container: read_bytes_per_sec)
        "io.stat: rbytes; blkio.throttle.io_service_bytes" "Bytes read from disks."
    347 "container.write_bytes_per_sec" BytesPerSec Rate Sum (Container: write_bytes_per_sec)
        "io.stat: wbytes; blkio.throttle.io_service_bytes" "Bytes written to disks."
    348 "container.read_ops_per_sec" PerSec Rate Sum (Container: read_ops_per_sec)
        "io.stat: rios; blkio.throttle.io_serviced" "Reads from disks."
    349 "container.write_ops_per_sec" PerSec Rate Sum (Container: write_ops_per_sec)
        "io.stat: wios; blkio.throttle.io_serviced" "Writes to disks."
    350 "container.bytes_recv_per_sec" BytesPerSec Rate Sum (Container: bytes_recv_per_sec)
        "/proc/PID/net/dev" "Bytes received; absent where it shares the host's network."
    351 "container.bytes_sent_per_sec" BytesPerSec Rate Sum (Container: bytes_sent_per_sec)
        "/proc/PID/net/dev" "Bytes sent; absent where it shares the host's network."
    352 "container.pids" Count Level Sum (Container: pids)
        "pids.current" "Processes and threads."
    353 "container.pids_limit" Count Level Sum (Container: pids_limit)
        "pids.max" "Processes and threads that it may have; absent without a limit."
    354 "container.oom_kills" Count Counter Sum (Container: oom_kills)
        "memory.events: oom_kill; memory.oom_control" "Processes killed for want of memory since it started."

    370 "collector.devices_left_out" Count Level Sum (Collector: devices_left_out)
        "the agent" "Devices that were left out because there are more than the configured number."
    371 "collector.stale_ms" Milliseconds Level Max (Collector: stale_ms)
        "the agent" "How old the last good reading is of what a collector could not read anew; absent where all is fresh."

    380 "app.response_time_ms" Milliseconds Level Max (Host: app.response_time_ms)
        "pushed" "How long an answer takes; agents do not measure it, programs push it."
    381 "app.requests_per_minute" PerMinute Rate Sum (Host: app.requests_per_minute)
        "pushed" "Requests that a program serves."
    382 "app.error_percent" Percent Rate Mean (Host: app.error_percent)
        "pushed" "Share of the requests that fail."
    383 "app.network_bytes_per_sec" BytesPerSec Rate Sum (Host: app.network_bytes_per_sec)
        "pushed" "Bytes sent and received, where whoever pushes does not tell them apart."

    390 "custom.value" Custom Level Max (Custom: value)
        "pushed" "A figure of a program's own, under its own name, in a unit of its own."
}
