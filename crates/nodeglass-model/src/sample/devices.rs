//! What a host has several of: cores, disks, interfaces, GPUs, sensors, meters, and the collectors that read them.

use serde::Serialize;

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
        /// Clock frequency of the core.
        frequency_mhz: u64,
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
        /// Files that the file system can hold.
        inodes_total: u64,
        /// Files that it holds.
        inodes_used: u64,
        /// Inodes used of all.
        inode_usage_percent: f64,
        /// 1 where nothing can be written, else 0.
        read_only: u32,
        /// Mean time of a read, its wait included; absent without reads.
        read_await_ms: f64,
        /// Mean time of a write, its wait included; absent without writes.
        write_await_ms: f64,
        /// Requests waiting or under way, on average.
        queue_length: f64,
        /// Requests under way at the moment of the sample.
        requests_in_flight: u32,
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
    /// One graphics processor.
    GpuMetrics
    keys {
        /// Its number on this host.
        index: u32,
        /// The part of it that this entry is about, where it is split (MIG).
        #[serde(skip_serializing_if = "Option::is_none")]
        mig_instance: Option<u32>,
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
        /// Power that the GPU may draw.
        power_limit_watts: f64,
        /// Clock of the cores.
        graphics_clock_mhz: u32,
        /// Clock of the memory.
        memory_clock_mhz: u32,
        /// Speed that the fan is set to.
        fan_percent: f64,
        /// Memory errors corrected since the driver was loaded.
        ecc_corrected_errors: u64,
        /// Memory errors that could not be corrected since the driver was loaded.
        ecc_uncorrected_errors: u64,
        /// 1 while clocks are held down by a power limit, else 0.
        throttled_by_power: u32,
        /// 1 while clocks are held down by heat, else 0.
        throttled_by_heat: u32,
        /// 1 while clocks are held down by something else than idleness and settings, else 0.
        throttled_otherwise: u32,
        /// Bytes that came over PCIe, over the last 20 ms.
        pcie_recv_bytes_per_sec: u64,
        /// Bytes that went over PCIe, over the last 20 ms.
        pcie_sent_bytes_per_sec: u64,
        /// Use of the video encoder.
        encoder_percent: f64,
        /// Use of the video decoder.
        decoder_percent: f64,
        /// Share of the last moments in which memory was read or written.
        memory_utilization_percent: f64,
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

section! {
    /// One fan.
    FanMetrics
    keys {
        /// Chip and label: `nct6775/fan1`.
        sensor: String,
    }
    figures {
        /// Turns per minute.
        speed_rpm: u64,
    }
}

section! {
    /// One power meter: a zone of the processor (RAPL) or a sensor of a board.
    PowerMetrics
    keys {
        /// Its name: `package-0`, `package-0/dram`, `ina226/power1`.
        meter: String,
        /// The meter that measures this one too.
        #[serde(skip_serializing_if = "String::is_empty")]
        parent: String,
    }
    figures {
        /// Power drawn.
        watts: f64,
    }
}

section! {
    /// One battery.
    BatteryMetrics
    keys {
        /// Its name: `BAT0`.
        battery: String,
    }
    figures {
        /// How full it is.
        charge_percent: f64,
        /// Power that flows in or out.
        power_watts: f64,
        /// 1 while it is charged, else 0.
        charging: u32,
        /// What it still holds of what it held when it was new.
        health_percent: f64,
    }
}

section! {
    /// One collector that has something to say of itself.
    CollectorMetrics
    keys {
        /// Its name: `disk`.
        collector: String,
    }
    figures {
        /// Devices that were left out because there are more than the configured number.
        devices_left_out: u32,
        /// How old the last good reading is of what a collector could not read anew; absent where all is fresh.
        stale_ms: u64,
    }
}
