//! Processes: how many are in which state, and which use the most. `/proc/PID/{stat,io}` of all of them in one scan,
//! and what describes a process for those that are shown.

mod activity;
mod stat;
mod table;
mod texts;
mod top;
mod users;

use std::time::{Duration, Instant};

use nodeglass_model::UnixMillis;
use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::{ContainerMetrics, ProcessEntry, ProcessMetrics, Sample};
use rustix::param::{clock_ticks_per_second, page_size};

use super::collector::{Collector, Moment};
use super::host_root::HostRoot;
use super::proc_file::ReadError;
use super::scan::{fields, lines, parse_number};
use crate::command_line::CommandLineRules;
use crate::config::CollectConfig;
use crate::gpu::GpuUses;
use crate::tasks::TaskRegistry;
pub(crate) use stat::{DiskBytes, Stat, parse_stat};
pub(crate) use table::Process;
use table::ProcessTable;
use texts::TextReader;

/// How often the time of the host's start is looked at: it moves when the clock is set.
const LOOK_AT_CLOCK: Duration = Duration::from_mins(1);

/// The start may seem to move by a second, as its fraction is cut off; only more than that is a clock that was set.
const CLOCK_MOVED_SECONDS: u64 = 2;

/// What is wanted of the processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Wanted {
    /// Tasks.
    tasks: bool,
    /// How many there are, by state.
    counts: bool,
    /// Those that use the most.
    top: bool,
}

/// Scans the processes.
pub(super) struct ProcessCollector {
    root: HostRoot,
    table: ProcessTable,
    texts: TextReader,
    tasks: TaskRegistry,
    wanted: Wanted,
    /// How many are shown for each measure.
    most: usize,
    scans: u32,
    /// What is to be shown was scanned, that long after the scan before.
    scanned: Option<Duration>,
    /// The host's start in Unix seconds, and when it was read.
    boot: Option<(u64, Instant)>,
    ticks_per_second: u64,
    page_bytes: u64,
}

impl ProcessCollector {
    pub(super) fn new(root: &HostRoot, config: &CollectConfig, tasks: TaskRegistry) -> Self {
        let rules = CommandLineRules::new(config.process_commands, &config.redact);
        Self {
            root: root.clone(),
            table: ProcessTable::new(root),
            texts: TextReader::new(root, rules),
            tasks,
            wanted: Wanted::default(),
            most: config.top_processes,
            scans: 0,
            scanned: None,
            boot: None,
            ticks_per_second: clock_ticks_per_second().max(1),
            page_bytes: page_size() as u64,
        }
    }

    /// Scans, and counts by state. The first by each measure and tasks wait for what GPUs say.
    fn scan(&mut self, metrics: &mut ProcessMetrics, now: Instant) -> Result<(), ReadError> {
        self.scanned = Some(self.table.scan(now)?);
        self.scans = self.scans.wrapping_add(1);
        if self.wanted.counts {
            count(self.table.processes(), metrics);
        }
        if (self.wanted.top || self.has_tasks())
            && let (Some(directory), processes, ended) = self.table.parts()
        {
            activity::read_all(directory, processes, ended, self.scans);
        }
        Ok(())
    }

    fn has_tasks(&self) -> bool {
        self.wanted.tasks && !self.tasks.is_empty()
    }

    /// Fills in, after a scan, the first by each measure, and tasks. `at` is the sample's time.
    fn show_all(&mut self, sample: &mut Sample, now: Instant, gpu: &GpuUses) {
        let Some(elapsed) = self.scanned.take() else {
            return;
        };
        if self.wanted.top {
            sample.processes.top = self.show(elapsed, gpu, &sample.containers, now);
        }
        if self.has_tasks() {
            let (_, processes, _) = self.table.parts();
            let at: UnixMillis = sample.timestamp;
            sample.processes.task_processes = self.tasks.measure(at, now, processes);
            self.tasks.mark(processes);
        }
    }

    /// The entries of those that use the most. What they use of GPUs is filled in by whoever knows.
    fn show(
        &mut self,
        elapsed: Duration,
        gpu: &GpuUses,
        containers: &[ContainerMetrics],
        now: Instant,
    ) -> Vec<ProcessEntry> {
        let chosen = top::choose(self.table.processes(), gpu, self.most);
        let boot = self.boot_time(now);
        let seconds = Some(elapsed.as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let per_second = |grown: u64| seconds.map(|seconds| (grown as f64 / seconds).round() as u64);
        let (Some(directory), processes, _) = self.table.parts() else {
            return Vec::new();
        };
        for process in &mut *processes {
            process.disk.is_followed = false;
        }
        let mut entries = Vec::with_capacity(chosen.len());
        for at in chosen {
            let process = &mut processes[at];
            process.disk.is_followed = true;
            let stat = process.stat;
            let texts = match process.texts.take() {
                Some(texts) if texts.are_fresh(&stat, now) => process.texts.insert(texts),
                _ => process
                    .texts
                    .insert(Box::new(self.texts.read(directory, process.pid, &stat, now))),
            };
            let disk = process.disk.grown();
            entries.push(ProcessEntry {
                pid: process.pid,
                start_time: boot + stat.start_ticks / self.ticks_per_second,
                name: texts.name.clone(),
                command: texts.command.clone(),
                user: texts.user.clone(),
                unit: texts.unit.clone(),
                container: texts.container_name(containers),
                cgroup: texts.cgroup.clone(),
                cpu_percent: seconds
                    .zip(process.ticks_grown)
                    .map(|(seconds, ticks)| ticks as f64 / self.ticks_per_second as f64 / seconds * 100.0),
                memory_bytes: (!stat.is_kernel).then_some(stat.resident_pages * self.page_bytes),
                threads: Some(stat.threads),
                read_bytes_per_sec: disk.and_then(|grown| per_second(grown.read)),
                write_bytes_per_sec: disk.and_then(|grown| per_second(grown.written)),
                ..ProcessEntry::default()
            });
        }
        entries
    }

    /// The host's start in Unix seconds. It stays as first read unless the clock was set, so that a process keeps its
    /// identity. 0 where it can't be read.
    fn boot_time(&mut self, now: Instant) -> u64 {
        match self.boot {
            Some((boot, at)) if now.saturating_duration_since(at) < LOOK_AT_CLOCK => boot,
            before => {
                let read = std::fs::read(self.root.path("proc/stat")).ok();
                let read = read.and_then(|stat| parse_boot_time(&stat));
                let boot = match (before, read) {
                    (Some((boot, _)), Some(read)) if boot.abs_diff(read) < CLOCK_MOVED_SECONDS => boot,
                    (Some((boot, _)), None) => boot,
                    (_, read) => read.unwrap_or(0),
                };
                self.boot = Some((boot, now));
                boot
            }
        }
    }
}

impl Collector for ProcessCollector {
    /// Looks at every process, so in full samples only.
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        self.scanned = None;
        if moment.is_full() {
            self.scan(&mut sample.processes, moment.now)?;
        }
        Ok(())
    }

    fn finish(&mut self, sample: &mut Sample, moment: &Moment, gpu: &GpuUses) {
        self.show_all(sample, moment.now, gpu);
    }

    fn set_filter(&mut self, filter: &MetricFilter) {
        self.wanted = Wanted {
            counts: filter.keeps_any("processes"),
            top: filter.keeps_any("process") && self.most > 0,
            tasks: filter.keeps_any("task"),
        };
    }
}

/// The line `btime` of `/proc/stat`.
fn parse_boot_time(stat: &[u8]) -> Option<u64> {
    lines(stat).find_map(|line| parse_number(fields(line.strip_prefix(b"btime")?).next()?))
}

/// Counts processes by state.
fn count(processes: &[Process], metrics: &mut ProcessMetrics) {
    let in_states = |states: &[u8]| {
        let counted = processes
            .iter()
            .filter(|process| states.contains(&process.stat.state));
        Some(counted.count() as u32)
    };
    metrics.total_processes = Some(processes.len() as u32);
    metrics.running_processes = in_states(b"R");
    metrics.sleeping_processes = in_states(b"SID");
    metrics.blocked_processes = in_states(b"D");
    metrics.zombie_processes = in_states(b"Z");
    metrics.stopped_processes = in_states(b"Tt");
}

#[cfg(test)]
mod tests;
