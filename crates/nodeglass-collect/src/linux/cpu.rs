//! Processor time, of the host and of each core, and what the kernel counts beside it: `/proc/stat`.

use std::time::Duration;

use nodeglass_model::rates::{events_per_second, per_second, percent};
use nodeglass_model::sample::{CoreMetrics, CpuMetrics, Sample};

use super::collector::{Collector, Lap, Moment};
use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};
use super::scan::{fields, parse_number, take_numbers};

/// The modes of `/proc/stat`, in its order; guest time after them is part of user and nice already.
const MODES: usize = 8;
const USER: usize = 0;
const NICE: usize = 1;
const SYSTEM: usize = 2;
const IDLE: usize = 3;
const IOWAIT: usize = 4;
const IRQ: usize = 5;
const SOFTIRQ: usize = 6;
const STEAL: usize = 7;

/// `ctxt`, `btime`, `processes`, `procs_running`, `procs_blocked`, `softirq`, and nothing after the last line's end.
const LINES_AFTER_INTERRUPTS: usize = 7;

/// Idle and iowait go back by this many ticks at most without a reset: the kernel estimates them while a core sleeps.
const SMALL_STEP_BACK: u64 = 5;

/// Ticks spent in each mode since boot.
type Ticks = [u64; MODES];

/// One reading of `/proc/stat`.
#[derive(Debug, Default, Clone, PartialEq)]
struct CpuReading {
    total: Option<Ticks>,
    cores: Vec<(u32, Ticks)>,
    context_switches: Option<u64>,
    interrupts: Option<u64>,
    forks: Option<u64>,
}

/// Reads processor time.
pub(super) struct CpuCollector {
    stat: ProcFile,
    before: CpuReading,
    after: CpuReading,
    lap: Lap,
}

impl CpuCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            stat: ProcFile::new(root.path("proc/stat")),
            before: CpuReading::default(),
            after: CpuReading::default(),
            lap: Lap::default(),
        }
    }
}

impl Collector for CpuCollector {
    /// The shares of time since the reading before.
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let elapsed = self.lap.take(moment.now);
        let read = self.stat.read().map(|text| parse_stat(text, &mut self.after));
        if let Err(error) = read {
            self.before = CpuReading::default();
            return Err(error);
        }
        if self.after.total.is_none() {
            return Err(self.stat.without("cpu line"));
        }
        sample.cpu = derive_cpu(&self.before, &self.after, elapsed);
        std::mem::swap(&mut self.before, &mut self.after);
        Ok(())
    }
}

/// Parses `/proc/stat` into `reading`, whose memory is used again.
fn parse_stat(text: &[u8], reading: &mut CpuReading) {
    let mut cores = std::mem::take(&mut reading.cores);
    cores.clear();
    *reading = CpuReading {
        cores,
        ..CpuReading::default()
    };
    let mut left = text;
    // The cpu lines come first.
    while let Some(rest) = left.strip_prefix(b"cpu") {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (rest, after) = rest.split_at(end);
        left = after.strip_prefix(b"\n").unwrap_or(after);
        let mut fields = fields(rest);
        if rest.starts_with(b" ") {
            reading.total = take_numbers(&mut fields);
        } else if let Some(core) = fields.next().and_then(parse_number)
            && let Some(ticks) = take_numbers(&mut fields)
        {
            reading.cores.push((core as u32, ticks));
        }
    }
    // Then interrupts: their sum, and each of perhaps thousands. The others are found from the end, past none of those.
    if let Some(rest) = left.strip_prefix(b"intr ") {
        reading.interrupts = fields(rest).next().and_then(parse_number);
    }
    for line in left.rsplit(|byte| *byte == b'\n').take(LINES_AFTER_INTERRUPTS) {
        let number = |value: &[u8]| parse_number(value.trim_ascii());
        if let Some(value) = line.strip_prefix(b"ctxt ") {
            reading.context_switches = number(value);
        } else if let Some(value) = line.strip_prefix(b"processes ") {
            reading.forks = number(value);
        }
    }
}

fn derive_cpu(before: &CpuReading, after: &CpuReading, elapsed: Duration) -> CpuMetrics {
    let total = before
        .total
        .zip(after.total)
        .and_then(|(before, after)| derive_growth(&before, &after));
    let cores = after.cores.iter().map(|(core, ticks)| {
        let earlier = before.cores.iter().find(|(number, _)| number == core);
        derive_core(
            *core,
            earlier.and_then(|(_, earlier)| derive_growth(earlier, ticks)),
        )
    });
    let count = |of: fn(&CpuReading) -> Option<u64>| of(before).zip(of(after));
    let mut metrics = CpuMetrics {
        cores: cores.collect(),
        context_switches_per_sec: count(|reading| reading.context_switches)
            .and_then(|(before, after)| per_second(before, after, elapsed)),
        interrupts_per_sec: count(|reading| reading.interrupts)
            .and_then(|(before, after)| per_second(before, after, elapsed)),
        forks_per_sec: count(|reading| reading.forks)
            .and_then(|(before, after)| events_per_second(before, after, elapsed)),
        ..CpuMetrics::default()
    };
    if let Some(grown) = total {
        let share = |ticks: u64| percent(ticks, grown.iter().sum());
        metrics.usage_percent = share(busy(&grown));
        metrics.user_percent = share(grown[USER] + grown[NICE]);
        metrics.system_percent = share(grown[SYSTEM]);
        metrics.idle_percent = share(grown[IDLE]);
        metrics.iowait_percent = share(grown[IOWAIT]);
        metrics.nice_percent = share(grown[NICE]);
        metrics.irq_percent = share(grown[IRQ]);
        metrics.softirq_percent = share(grown[SOFTIRQ]);
        metrics.steal_percent = share(grown[STEAL]);
    }
    metrics
}

fn derive_core(core: u32, grown: Option<Ticks>) -> CoreMetrics {
    let mut metrics = CoreMetrics {
        core,
        ..CoreMetrics::default()
    };
    if let Some(grown) = grown {
        let share = |ticks: u64| percent(ticks, grown.iter().sum());
        metrics.usage_percent = share(busy(&grown));
        metrics.user_percent = share(grown[USER] + grown[NICE]);
        metrics.system_percent = share(grown[SYSTEM]);
        metrics.idle_percent = share(grown[IDLE]);
        metrics.iowait_percent = share(grown[IOWAIT]);
        metrics.irq_percent = share(grown[IRQ]);
        metrics.softirq_percent = share(grown[SOFTIRQ]);
        metrics.steal_percent = share(grown[STEAL]);
    }
    metrics
}

fn busy(grown: &Ticks) -> u64 {
    grown.iter().sum::<u64>() - grown[IDLE] - grown[IOWAIT]
}

/// How much each mode grew. Idle and iowait that went back a little did not grow; anything else that went back is a
/// reset, and gives `None`.
fn derive_growth(before: &Ticks, after: &Ticks) -> Option<Ticks> {
    let mut grown = [0_u64; MODES];
    let mut total = 0_u64;
    for mode in 0..MODES {
        grown[mode] = after[mode].saturating_sub(before[mode]);
        total = total.checked_add(grown[mode])?;
    }
    let small = SMALL_STEP_BACK.max(total / 100);
    let plausible = (0..MODES).all(|mode| {
        let back = before[mode].saturating_sub(after[mode]);
        back == 0 || ((mode == IDLE || mode == IOWAIT) && back <= small)
    });
    plausible.then_some(grown)
}

#[cfg(test)]
mod tests;
