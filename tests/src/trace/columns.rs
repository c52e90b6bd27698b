//! Which metric a column of a trace stands for.

/// A metric, by its path, and the device that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: &'static str,
    pub(super) device: String,
}

/// Columns of which there is one, and their metrics.
const HOST: [(&str, &str); 53] = [
    ("cpu.usage", "cpu.usage_percent"),
    ("cpu.user", "cpu.user_percent"),
    ("cpu.system", "cpu.system_percent"),
    ("cpu.idle", "cpu.idle_percent"),
    ("cpu.iowait", "cpu.iowait_percent"),
    ("cpu.nice", "cpu.nice_percent"),
    ("cpu.irq", "cpu.irq_percent"),
    ("cpu.softirq", "cpu.softirq_percent"),
    ("cpu.steal", "cpu.steal_percent"),
    ("cpustat.ctx_switches_ps", "cpu.context_switches_per_sec"),
    ("cpustat.interrupts_ps", "cpu.interrupts_per_sec"),
    ("mem.total", "memory.total_bytes"),
    ("mem.used", "memory.used_bytes"),
    ("mem.available", "memory.available_bytes"),
    ("mem.free", "memory.free_bytes"),
    ("mem.cached", "memory.cached_bytes"),
    ("mem.buffers", "memory.buffers_bytes"),
    ("mem.percent", "memory.usage_percent"),
    ("mem.shared", "memory.shared_bytes"),
    ("mem.slab", "memory.slab_bytes"),
    ("mem.active", "memory.active_bytes"),
    ("mem.inactive", "memory.inactive_bytes"),
    ("meminfo.SUnreclaim", "memory.slab_unreclaimable_bytes"),
    ("meminfo.Dirty", "memory.dirty_bytes"),
    ("meminfo.Writeback", "memory.writeback_bytes"),
    ("meminfo.PageTables", "memory.page_tables_bytes"),
    ("meminfo.KernelStack", "memory.kernel_stack_bytes"),
    ("meminfo.Committed_AS", "memory.committed_bytes"),
    ("meminfo.AnonPages", "memory.anonymous_bytes"),
    ("meminfo.Mapped", "memory.mapped_bytes"),
    ("swap.total", "memory.swap_total_bytes"),
    ("swap.used", "memory.swap_used_bytes"),
    ("swap.free", "memory.swap_free_bytes"),
    ("swap.percent", "memory.swap_usage_percent"),
    ("load1", "load.load1"),
    ("load5", "load.load5"),
    ("load15", "load.load15"),
    ("proc.total", "processes.total_processes"),
    ("proc.R", "processes.running_processes"),
    ("proc.S", "processes.sleeping_processes"),
    ("proc.Z", "processes.zombie_processes"),
    ("proc.D", "processes.blocked_processes"),
    ("proc.T", "processes.stopped_processes"),
    ("proc.threads", "processes.total_threads"),
    ("files.open", "system.open_files"),
    ("psi.cpu.some.avg10", "pressure.cpu_some_percent"),
    ("psi.memory.some.avg10", "pressure.memory_some_percent"),
    ("psi.memory.full.avg10", "pressure.memory_full_percent"),
    ("psi.io.some.avg10", "pressure.io_some_percent"),
    ("psi.io.full.avg10", "pressure.io_full_percent"),
    ("sock.sockets.used", "system.sockets"),
    ("sock.TCP.inuse", "tcp.sockets"),
    ("sock.TCP.tw", "tcp.time_wait_sockets"),
];

/// Columns of which there is one for each device: what the name begins with before the device, ends in, and the metric.
const OF_DEVICES: [(&str, &str, &str); 26] = [
    ("cpu", "usage", "cpu.core_usage"),
    ("cpu", "user", "cpu.core_user"),
    ("cpu", "system", "cpu.core_system"),
    ("cpu", "idle", "cpu.core_idle"),
    ("cpu", "iowait", "cpu.core_iowait"),
    ("cpu", "irq", "cpu.core_irq"),
    ("cpu", "softirq", "cpu.core_softirq"),
    ("cpu", "steal", "cpu.core_steal"),
    ("disk.", "read_count_ps", "disk.read_ops_per_sec"),
    ("disk.", "write_count_ps", "disk.write_ops_per_sec"),
    ("disk.", "read_bytes_ps", "disk.read_bytes_per_sec"),
    ("disk.", "write_bytes_ps", "disk.write_bytes_per_sec"),
    ("disk.", "read_time_ps", "disk.read_await_ms"),
    ("disk.", "write_time_ps", "disk.write_await_ms"),
    ("net.", "bytes_sent_ps", "network.bytes_sent_per_sec"),
    ("net.", "bytes_recv_ps", "network.bytes_recv_per_sec"),
    ("net.", "packets_sent_ps", "network.packets_sent_per_sec"),
    ("net.", "packets_recv_ps", "network.packets_recv_per_sec"),
    ("net.", "errin_ps", "network.errors_in"),
    ("net.", "errout_ps", "network.errors_out"),
    ("net.", "dropin_ps", "network.drops_in"),
    ("net.", "dropout_ps", "network.drops_out"),
    ("fs.", "total", "disk.total_bytes"),
    ("fs.", "used", "disk.used_bytes"),
    ("fs.", "free", "disk.available_bytes"),
    ("fs.", "percent", "disk.usage_percent"),
];

/// The metric that a column is named for; `None` if there is none.
pub(super) fn named(column: &str) -> Option<Place> {
    if let Some((_, path)) = HOST.iter().find(|(name, _)| *name == column) {
        let device = String::new();
        return Some(Place { path, device });
    }
    let (device, what) = column.rsplit_once('.')?;
    OF_DEVICES.iter().find_map(|(begin, end, path)| {
        let device = device.strip_prefix(begin).filter(|device| !device.is_empty())?;
        // "cpu" is followed by a number, "cpustat" is something else.
        let is_one = *begin != "cpu" || device.bytes().all(|byte| byte.is_ascii_digit());
        (what == *end && is_one).then(|| Place {
            path,
            device: device.to_owned(),
        })
    })
}

/// Metrics of made-up devices for columns without a metric of their own: shares in hundredths, and whole numbers.
const SHARES: [&str; 8] = [
    "cpu.core_usage",
    "cpu.core_user",
    "cpu.core_system",
    "cpu.core_idle",
    "cpu.core_iowait",
    "cpu.core_irq",
    "cpu.core_softirq",
    "cpu.core_steal",
];
const NUMBERS: [&str; 8] = [
    "network.bytes_sent_per_sec",
    "network.bytes_recv_per_sec",
    "network.packets_sent_per_sec",
    "network.packets_recv_per_sec",
    "network.errors_in",
    "network.errors_out",
    "network.drops_in",
    "network.drops_out",
];
/// Made-up cores begin here.
const FIRST_CORE: usize = 1000;
/// Whole numbers up to here are exact.
const EXACT: f64 = (1_u64 << 53) as f64;

/// Hands out places on made-up devices.
#[derive(Debug, Default)]
pub(super) struct Spare {
    shares: usize,
    numbers: usize,
}

impl Spare {
    /// A place for values like these; `None` if no metric takes such.
    pub(super) fn next<I: Iterator<Item = f64>>(&mut self, values: impl Fn() -> I) -> Option<Place> {
        let within = |most: f64| values().all(|value| (0.0..=most).contains(&value));
        if within(100.0) && values().any(|value| value.fract() != 0.0) {
            let at = self.shares;
            self.shares += 1;
            return Some(Place {
                path: SHARES[at % SHARES.len()],
                device: (FIRST_CORE + at / SHARES.len()).to_string(),
            });
        }
        within(EXACT).then(|| {
            let at = self.numbers;
            self.numbers += 1;
            Place {
                path: NUMBERS[at % NUMBERS.len()],
                device: format!("more{}", at / NUMBERS.len()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::catalogue;

    use super::*;

    #[test]
    fn columns_find_their_metric_and_device() {
        let found = |column| named(column).map(|place| (place.path, place.device));
        assert_eq!(found("cpu.idle"), Some(("cpu.idle_percent", String::new())));
        assert_eq!(found("cpu12.idle"), Some(("cpu.core_idle", "12".to_owned())));
        assert_eq!(
            found("net.eth0.bytes_recv_ps"),
            Some(("network.bytes_recv_per_sec", "eth0".to_owned()))
        );
        assert_eq!(found("fs./.used"), Some(("disk.used_bytes", "/".to_owned())));
        assert_eq!(found("cpustat.user"), None);
        assert_eq!(found("something.else"), None);
    }

    #[test]
    fn every_metric_named_here_is_in_the_catalogue() {
        let paths = HOST.iter().map(|(_, path)| *path);
        let paths = paths.chain(OF_DEVICES.iter().map(|(_, _, path)| *path));
        for path in paths.chain(SHARES).chain(NUMBERS) {
            assert!(catalogue::by_path(path).is_some(), "{path}");
        }
    }

    #[test]
    fn what_has_no_metric_goes_where_its_values_fit() {
        let mut spare = Spare::default();
        let mut path = |values: [f64; 2]| spare.next(|| values.into_iter()).map(|place| place.path);
        assert_eq!(path([0.5, 100.0]), Some("cpu.core_usage"));
        assert_eq!(path([0.5, 101.0]), Some("network.bytes_sent_per_sec"));
        assert_eq!(path([3.0, 4.0]), Some("network.bytes_recv_per_sec"));
        assert_eq!(path([-1.0, 4.0]), None);
        assert_eq!(path([f64::NAN, 4.0]), None);
    }
}
