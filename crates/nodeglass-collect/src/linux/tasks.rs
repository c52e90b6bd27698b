//! What tasks come to on Linux: a tree of processes out of the scanned table, or a control group out of its files.

mod group;
mod tree;

use std::time::{Duration, Instant};

use nodeglass_model::sample::TaskProcessMetrics;
use rustix::param::{clock_ticks_per_second, page_size};

use super::host_root::HostRoot;
use super::processes::{Process, Stat, parse_stat};
use crate::tasks::{FollowError, Target};
use group::{Group, GroupReader};
use tree::Tree;

/// As much of a command line is looked at.
const COMMAND_BYTES: usize = 4 * 1024;

/// What is followed of one task.
pub(crate) enum Tracked {
    /// A process and its descendants.
    Tree(Tree),
    /// A control group.
    Group(Group),
}

/// What one sample says of a task.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// The figures; name, command and times are the registry's.
    pub metrics: TaskProcessMetrics,
    /// No process of it is left.
    pub is_over: bool,
    /// Some process was there in an earlier sample in which the first one was not.
    pub lived_on: bool,
}

/// How fast the kernel's counters count.
#[derive(Debug, Clone, Copy)]
struct Scale {
    ticks_per_second: u64,
    page_bytes: u64,
}

impl Scale {
    fn ticks_to_ms(self, ticks: u64) -> u64 {
        ticks.saturating_mul(1_000) / self.ticks_per_second
    }
}

/// Begins and measures tasks.
pub(crate) struct TaskReader {
    root: HostRoot,
    scale: Scale,
    /// Made with the first control group that is followed.
    groups: Option<GroupReader>,
}

impl TaskReader {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            root: root.clone(),
            scale: Scale {
                ticks_per_second: clock_ticks_per_second().max(1),
                page_bytes: page_size() as u64,
            },
            groups: None,
        }
    }

    /// Finds what is to be followed.
    ///
    /// # Errors
    /// It is not there, or is nothing that can be followed.
    pub(crate) fn begin(&mut self, target: &Target, by_parent: bool) -> Result<Tracked, FollowError> {
        let now = Instant::now();
        match target {
            Target::Process { pid } => {
                let missing = || FollowError::Missing(format!("process {pid}"));
                let stat = self.stat(*pid).ok_or_else(missing)?;
                if stat.is_kernel || *pid == 0 {
                    return Err(FollowError::Invalid(format!(
                        "process {pid} is a thread of the kernel"
                    )));
                }
                let parent = by_parent.then(|| self.stat(stat.parent)).flatten();
                let parent = parent.map(|parent| (stat.parent, parent.start_ticks));
                Ok(Tracked::Tree(Tree::new((*pid, stat), parent, now)))
            }
            Target::Cgroup { path } => {
                let groups = self.groups.get_or_insert_with(|| GroupReader::new(&self.root));
                Group::open(&self.root, groups, path, now).map(Tracked::Group)
            }
            Target::Unit { name } => {
                let groups = self.groups.get_or_insert_with(|| GroupReader::new(&self.root));
                Group::of_unit(&self.root, groups, name, now).map(Tracked::Group)
            }
        }
    }

    /// How long ago a task began, in milliseconds.
    pub(crate) fn age_ms(&self, tracked: &Tracked) -> u64 {
        let Tracked::Tree(tree) = tracked else {
            return 0;
        };
        let uptime = self.root.read_text("proc/uptime");
        let seconds = uptime.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        let up_ms = seconds.map_or(0, |seconds| (seconds * 1_000.0).round() as u64);
        up_ms.saturating_sub(self.scale.ticks_to_ms(tree.start_ticks()))
    }

    /// `/proc/PID/cmdline`; empty where it can't be read.
    pub(crate) fn command_line(&self, pid: u32) -> Vec<u8> {
        let mut text = std::fs::read(self.root.path(&format!("proc/{pid}/cmdline"))).unwrap_or_default();
        text.truncate(COMMAND_BYTES);
        text
    }

    /// Measures one task; `processes` is the table as scanned at `now`, by rising pid.
    pub(crate) fn measure(&mut self, tracked: &mut Tracked, processes: &[Process], now: Instant) -> Measured {
        match tracked {
            Tracked::Tree(tree) => tree.measure(processes, now, self.scale),
            Tracked::Group(group) => {
                let groups = self.groups.get_or_insert_with(|| GroupReader::new(&self.root));
                group.measure(groups, now)
            }
        }
    }

    fn stat(&self, pid: u32) -> Option<Stat> {
        parse_stat(&std::fs::read(self.root.path(&format!("proc/{pid}/stat"))).ok()?)
    }
}

/// Processor time used in a time, in percent of one core; `None` if no time has passed.
fn percent_of_core(used: Duration, elapsed: Duration) -> Option<f64> {
    let seconds = elapsed.as_secs_f64();
    (seconds > 0.0).then(|| used.as_secs_f64() / seconds * 100.0)
}

impl Tracked {
    /// Marks the processes that belong to the task, so that the next scan reads all of their figures.
    pub(crate) fn mark(&self, processes: &mut [Process]) {
        let Self::Tree(tree) = self else {
            return;
        };
        for pid in tree.pids() {
            if let Ok(at) = processes.binary_search_by_key(&pid, |process| process.pid) {
                processes[at].disk.is_followed = true;
            }
        }
    }
}
