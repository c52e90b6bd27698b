//! Processor time, of the host and of each core: `/proc/stat`.

use nodeglass_model::rates::percent;
use nodeglass_model::sample::{CoreMetrics, CpuMetrics};

use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};
use super::scan::{fields, lines, parse_number, take_numbers};

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

/// Idle and iowait go back by this many ticks at most without a reset: the kernel estimates them while a core sleeps.
const SMALL_STEP_BACK: u64 = 5;

/// Ticks spent in each mode since boot.
type Ticks = [u64; MODES];

/// One reading of `/proc/stat`.
#[derive(Debug, Default, Clone, PartialEq)]
struct CpuReading {
    total: Option<Ticks>,
    cores: Vec<(u32, Ticks)>,
}

/// Reads processor time.
pub(super) struct CpuCollector {
    stat: ProcFile,
    before: CpuReading,
    after: CpuReading,
}

impl CpuCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            stat: ProcFile::new(root.path("proc/stat")),
            before: CpuReading::default(),
            after: CpuReading::default(),
        }
    }

    /// The shares of time since the reading before.
    pub(super) fn read(&mut self) -> Result<CpuMetrics, ReadError> {
        let read = self.stat.read().map(|text| parse_stat(text, &mut self.after));
        if let Err(error) = read {
            self.before = CpuReading::default();
            return Err(error);
        }
        if self.after.total.is_none() {
            return Err(self.stat.without("cpu line"));
        }
        let metrics = derive_cpu(&self.before, &self.after);
        std::mem::swap(&mut self.before, &mut self.after);
        Ok(metrics)
    }
}

/// Parses the cpu lines into `reading`, whose memory is used again.
fn parse_stat(text: &[u8], reading: &mut CpuReading) {
    reading.total = None;
    reading.cores.clear();
    for line in lines(text) {
        // The cpu lines come first; the long line of interrupts after them is not looked at.
        let Some(rest) = line.strip_prefix(b"cpu") else {
            break;
        };
        let mut fields = fields(rest);
        if rest.starts_with(b" ") {
            reading.total = take_numbers(&mut fields);
        } else if let Some(core) = fields.next().and_then(parse_number)
            && let Some(ticks) = take_numbers(&mut fields)
        {
            reading.cores.push((core as u32, ticks));
        }
    }
}

fn derive_cpu(before: &CpuReading, after: &CpuReading) -> CpuMetrics {
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
    let mut metrics = CpuMetrics {
        cores: cores.collect(),
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
