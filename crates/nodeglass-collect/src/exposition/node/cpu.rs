//! Processors: `cpu`, `cpufreq`, `schedstat` and `softnet`.

use std::collections::BTreeMap;

use super::tree::Tree;
use super::{Outcome, found};
use crate::exposition::text::Exposition;
use crate::exposition::text::FamilyKind::{Counter, Gauge};
use crate::linux::scan::{fields, lines, parse_number, text};

/// Ticks of the kernel's processor times in a second, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
const NANOSECONDS: f64 = 1e9;
const CPUS: &str = "sys/devices/system/cpu";

/// The modes of `/proc/stat` in its order; guest times behind them are parts of user and nice.
const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const IDLE: usize = 3;
const GUEST_MODES: [&str; 2] = ["user", "nice"];

/// Idle time that goes back by this many ticks is a core that was taken out and put in again.
const HOTPLUG_TICKS: u64 = 300;

type Ticks = [u64; MODES.len() + GUEST_MODES.len()];

/// Processor times as they are shown: never less than before, as the kernel's estimates of idle and iowait may be.
#[derive(Default)]
pub(super) struct CpuTimes(BTreeMap<u32, Ticks>);

impl CpuTimes {
    pub(super) fn write(&mut self, tree: &mut Tree, out: &mut Exposition) -> Outcome {
        self.update(tree.stat()?);
        let labels: Vec<String> = self.0.keys().map(u32::to_string).collect();
        let mut guests = out.family(
            "node_cpu_guest_seconds_total",
            Counter,
            "Seconds the CPUs spent in guests (VMs) for each mode.",
        );
        for (cpu, ticks) in labels.iter().zip(self.0.values()) {
            for (mode, ticks) in GUEST_MODES.iter().zip(&ticks[MODES.len()..]) {
                guests.series(&[("cpu", cpu), ("mode", mode)], *ticks as f64 / TICKS_PER_SECOND);
            }
        }
        let mut times = out.family(
            "node_cpu_seconds_total",
            Counter,
            "Seconds the CPUs spent in each mode.",
        );
        for (cpu, ticks) in labels.iter().zip(self.0.values()) {
            for (mode, ticks) in MODES.iter().zip(ticks) {
                times.series(&[("cpu", cpu), ("mode", mode)], *ticks as f64 / TICKS_PER_SECOND);
            }
        }
        write_isolated(tree, out);
        write_throttles(tree, out);
        Ok(())
    }

    fn update(&mut self, stat: &[u8]) {
        let mut times = BTreeMap::new();
        // The cpu lines come first.
        for line in lines(stat).map_while(|line| line.strip_prefix(b"cpu")) {
            let mut fields = fields(line);
            let Some(cpu) = fields
                .next()
                .filter(|_| !line.starts_with(b" "))
                .and_then(parse_number)
            else {
                continue;
            };
            let mut ticks = Ticks::default();
            for (ticks, field) in ticks.iter_mut().zip(fields) {
                *ticks = parse_number(field).unwrap_or_default();
            }
            let cpu = cpu as u32;
            if let Some(before) = self.0.get(&cpu)
                && before[IDLE].saturating_sub(ticks[IDLE]) < HOTPLUG_TICKS
            {
                for (ticks, before) in ticks.iter_mut().zip(before) {
                    *ticks = (*ticks).max(*before);
                }
            }
            times.insert(cpu, ticks);
        }
        self.0 = times;
    }
}

/// Cores that the scheduler leaves alone: `2-3,7`.
fn write_isolated(tree: &mut Tree, out: &mut Exposition) {
    let isolated = tree.text(&format!("{CPUS}/isolated")).unwrap_or_default();
    let mut family = out.family(
        "node_cpu_isolated",
        Gauge,
        "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
    );
    for range in isolated.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            for cpu in first..=last {
                family.series(&[("cpu", &cpu.to_string())], 1.0);
            }
        }
    }
}

/// How often heat slowed cores and packages down; one core of each has the count.
fn write_throttles(tree: &mut Tree, out: &mut Exposition) {
    let mut cores = BTreeMap::new();
    let mut packages = BTreeMap::new();
    for cpu in tree.numbered(CPUS, "cpu").unwrap_or_default() {
        let at = format!("{CPUS}/cpu{cpu}");
        // Most machines without these counts have none on any core.
        let Some(count) = tree.number(&format!("{at}/thermal_throttle/core_throttle_count")) else {
            continue;
        };
        let (Some(package), Some(core)) = (
            tree.text(&format!("{at}/topology/physical_package_id")),
            tree.text(&format!("{at}/topology/core_id")),
        ) else {
            continue;
        };
        cores.entry((package.clone(), core)).or_insert(count);
        if let Some(count) = tree.number(&format!("{at}/thermal_throttle/package_throttle_count")) {
            packages.entry(package).or_insert(count);
        }
    }
    let mut family = out.family(
        "node_cpu_core_throttles_total",
        Counter,
        "Number of times this CPU core has been throttled.",
    );
    for ((package, core), count) in &cores {
        family.series(&[("core", core), ("package", package)], *count);
    }
    let mut family = out.family(
        "node_cpu_package_throttles_total",
        Counter,
        "Number of times this CPU package has been throttled.",
    );
    for (package, count) in &packages {
        family.series(&[("package", package)], *count);
    }
}

/// Clock frequencies; the kernel has kHz.
pub(super) fn write_cpufreq(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const FREQUENCIES: [(&str, &str, &str); 6] = [
        (
            "node_cpu_frequency_hertz",
            "cpuinfo_cur_freq",
            "Current cpu thread frequency in hertz.",
        ),
        (
            "node_cpu_frequency_max_hertz",
            "cpuinfo_max_freq",
            "Maximum cpu thread frequency in hertz.",
        ),
        (
            "node_cpu_frequency_min_hertz",
            "cpuinfo_min_freq",
            "Minimum cpu thread frequency in hertz.",
        ),
        (
            "node_cpu_scaling_frequency_hertz",
            "scaling_cur_freq",
            "Current scaled CPU thread frequency in hertz.",
        ),
        (
            "node_cpu_scaling_frequency_max_hertz",
            "scaling_max_freq",
            "Maximum scaled CPU thread frequency in hertz.",
        ),
        (
            "node_cpu_scaling_frequency_min_hertz",
            "scaling_min_freq",
            "Minimum scaled CPU thread frequency in hertz.",
        ),
    ];
    let mut cpus = tree.numbered(CPUS, "cpu")?;
    cpus.retain(|cpu| tree.root.exists(&format!("{CPUS}/cpu{cpu}/cpufreq")));
    for (name, file, help) in FREQUENCIES {
        let mut family = out.family(name, Gauge, help);
        for cpu in &cpus {
            let khz = tree.number(&format!("{CPUS}/cpu{cpu}/cpufreq/{file}"));
            family.series_if(&[("cpu", &cpu.to_string())], khz.map(|khz| khz * 1000.0));
        }
    }
    Ok(())
}

/// What the scheduler counts, where the kernel was built for it: `cpu0 ... running waiting timeslices`.
pub(super) fn write_schedstat(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const FAMILIES: [(&str, &str, f64); 3] = [
        (
            "node_schedstat_running_seconds_total",
            "Number of seconds CPU spent running a process.",
            NANOSECONDS,
        ),
        (
            "node_schedstat_timeslices_total",
            "Number of timeslices executed by CPU.",
            1.0,
        ),
        (
            "node_schedstat_waiting_seconds_total",
            "Number of seconds spent by processing waiting for this CPU.",
            NANOSECONDS,
        ),
    ];
    /// Fields before the three, the core's name not counted.
    const BEFORE: usize = 6;
    let mut cpus = Vec::new();
    for line in lines(tree.read("proc/schedstat")?) {
        let mut fields = fields(line);
        let Some(cpu) = fields.next().and_then(|field| field.strip_prefix(b"cpu")) else {
            continue;
        };
        let mut numbers = fields.skip(BEFORE).map_while(parse_number);
        if let (Some(running), Some(waiting), Some(slices)) = (numbers.next(), numbers.next(), numbers.next())
        {
            cpus.push((text(cpu), [running, slices, waiting]));
        }
    }
    for (place, (name, help, divisor)) in FAMILIES.into_iter().enumerate() {
        let mut family = out.family(name, Counter, help);
        for (cpu, values) in &cpus {
            family.series(&[("cpu", cpu)], values[place] as f64 / divisor);
        }
    }
    Ok(())
}

/// Packets that cores took off their queues: hexadecimal columns, a line each core.
pub(super) fn write_softnet(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const FAMILIES: [(usize, &str, &str); 3] = [
        (1, "node_softnet_dropped_total", "Number of dropped packets"),
        (0, "node_softnet_processed_total", "Number of processed packets"),
        (
            2,
            "node_softnet_times_squeezed_total",
            "Number of times processing packets ran out of quota",
        ),
    ];
    /// The column with the core's number, on kernels that write it.
    const CPU: usize = 12;
    let mut cpus = Vec::new();
    for (place, line) in lines(tree.read_net("softnet_stat")?).enumerate() {
        let hex = |field: &[u8]| u32::from_str_radix(str::from_utf8(field).ok()?, 16).ok();
        let columns: Vec<u32> = fields(line).map_while(hex).collect();
        if columns.len() > 2 {
            let cpu = columns.get(CPU).copied().unwrap_or(place as u32);
            cpus.push((cpu.to_string(), columns));
        }
    }
    for (column, name, help) in FAMILIES {
        let mut family = out.family(name, Counter, help);
        for (cpu, columns) in &cpus {
            family.series(&[("cpu", cpu)], f64::from(columns[column]));
        }
    }
    found(!cpus.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_do_not_go_back_unless_the_core_was_away() {
        let mut times = CpuTimes::default();
        times.update(b"cpu  9 9\ncpu0 100 0 50 1000 70 0 0 0 5 0\ncpu1 1 2 3 4\nintr 5\n");
        assert_eq!(times.0[&0], [100, 0, 50, 1000, 70, 0, 0, 0, 5, 0]);
        assert_eq!(
            times.0[&1],
            [1, 2, 3, 4, 0, 0, 0, 0, 0, 0],
            "old kernels have fewer modes"
        );
        times.update(b"cpu0 101 0 50 998 69 0 0 0 5 0\n");
        assert_eq!(times.0[&0], [101, 0, 50, 1000, 70, 0, 0, 0, 5, 0]);
        assert!(!times.0.contains_key(&1), "a core that is gone");
        times.update(b"cpu0 2 0 1 30 0 0 0 0 0 0\n");
        assert_eq!(times.0[&0], [2, 0, 1, 30, 0, 0, 0, 0, 0, 0]);
    }
}
