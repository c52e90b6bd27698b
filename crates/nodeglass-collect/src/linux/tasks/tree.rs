//! A process with all that it started: who belongs to it, and what they come to. Pure: it works on scanned tables.
//!
//! A process belongs to the tree for good once its parent did, even when the parent ends first. What a process used is
//! not lost when it ends: the kernel adds it to the parent that waits for it, and where nobody of the tree did, the
//! last figures that were seen are kept. A process that starts and ends between two scans is seen only by the former
//! way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nodeglass_model::sample::TaskProcessMetrics;

use super::{Measured, Scale, percent_of_core};
use crate::linux::processes::{DiskBytes, Process, Stat};

/// Ancestors are looked for this far up among members that ended in one interval.
const GENERATIONS: usize = 64;

/// A process for good: its number and when it started.
type Identity = (u32, u64);

/// What a process, and the children that it has waited for, used since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    ticks: u64,
    read: u64,
    written: u64,
}

impl Used {
    fn map(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            ticks: join(self.ticks, other.ticks),
            read: join(self.read, other.read),
            written: join(self.written, other.written),
        }
    }

    fn plus(self, other: Self) -> Self {
        self.map(other, u64::saturating_add)
    }

    fn minus(self, other: Self) -> Self {
        self.map(other, u64::saturating_sub)
    }
}

/// One process of the tree as last seen.
#[derive(Debug, Clone, Copy)]
struct Member {
    start_ticks: u64,
    parent: u32,
    used: Used,
    /// What of it may come from children: their processor time is told apart, their bytes are not.
    inherited: Used,
}

impl Member {
    fn new(stat: &Stat) -> Self {
        Self {
            start_ticks: stat.start_ticks,
            parent: stat.parent,
            used: Used::default(),
            inherited: Used::default(),
        }
    }
}

/// A tree of processes.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Identity,
    /// Whoever started the root, if it adopts what the tree leaves behind.
    adopter: Option<Identity>,
    members: HashMap<u32, Member>,
    /// Used by members that ended and that nobody of the tree waited for.
    kept: Used,
    total: Used,
    knows_bytes: bool,
    peak_bytes: u64,
    /// When it was last measured; since its beginning before that, if that is known.
    since: Option<Instant>,
    lived_on: bool,
    was_measured: bool,
}

impl Tree {
    /// `adopter`: the parent, if it adopts orphans of the tree.
    pub(super) fn new((pid, stat): (u32, Stat), adopter: Option<Identity>, now: Instant) -> Self {
        Self {
            root: (pid, stat.start_ticks),
            adopter,
            members: HashMap::from([(pid, Member::new(&stat))]),
            kept: Used::default(),
            total: Used::default(),
            knows_bytes: true,
            peak_bytes: 0,
            // Whoever adopts has just started it, and so all that it uses comes after now.
            since: adopter.map(|_| now),
            lived_on: false,
            was_measured: false,
        }
    }

    /// When the first process started, in ticks since the host did.
    pub(super) fn start_ticks(&self) -> u64 {
        self.root.1
    }

    /// The processes that belong to it.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.members.keys().copied()
    }

    /// Takes in a scan.
    pub(super) fn measure(&mut self, processes: &[Process], now: Instant, scale: Scale) -> Measured {
        self.part(processes);
        self.join(processes);
        let mut metrics = TaskProcessMetrics {
            pid: Some(self.root.0),
            ..TaskProcessMetrics::default()
        };
        let (mut alive, mut threads, mut resident, mut size) = (0, 0, 0_u64, 0_u64);
        let mut used = self.kept;
        let mut root_lives = false;
        for (pid, member) in &mut self.members {
            let Some(process) = find(processes, (*pid, member.start_ticks)) else {
                continue;
            };
            let stat = process.stat;
            self.knows_bytes &= process.disk.counted().is_some() || is_dead(&stat);
            let bytes = process.disk.counted();
            *member = Member {
                parent: stat.parent,
                used: used_by(&stat, bytes).map(member.used, u64::max),
                inherited: inherited_by(&stat, bytes).map(member.inherited, u64::max),
                ..*member
            };
            used = used.plus(member.used);
            if !is_dead(&stat) {
                root_lives |= *pid == self.root.0;
                alive += 1;
                threads += stat.threads;
                resident += stat.resident_pages * scale.page_bytes;
                size = size.saturating_add(stat.virtual_bytes);
            }
        }
        let before = self.total;
        self.total = before.map(used, u64::max);
        self.peak_bytes = self.peak_bytes.max(resident);
        let grown = Duration::from_millis(scale.ticks_to_ms(self.total.minus(before).ticks));
        let elapsed = self
            .since
            .replace(now)
            .map(|since| now.saturating_duration_since(since));
        metrics.cpu_percent = elapsed.and_then(|elapsed| percent_of_core(grown, elapsed));
        metrics.cpu_time_ms = Some(scale.ticks_to_ms(self.total.ticks));
        metrics.processes = Some(alive);
        metrics.peak_memory_bytes = (self.peak_bytes > 0).then_some(self.peak_bytes);
        if alive > 0 {
            metrics.memory_bytes = Some(resident);
            metrics.virtual_memory_bytes = Some(size);
            metrics.threads = Some(threads);
        }
        metrics.read_bytes = self.knows_bytes.then_some(self.total.read);
        metrics.write_bytes = self.knows_bytes.then_some(self.total.written);
        self.lived_on |= alive > 0 && !root_lives;
        Measured {
            metrics,
            is_over: alive == 0,
            lived_on: self.lived_on,
        }
    }

    /// Takes in the children of members, and of those in turn. Whoever was there at an earlier scan is no new child.
    fn join(&mut self, processes: &[Process]) {
        let is_first = !std::mem::replace(&mut self.was_measured, true);
        // Children mostly have higher numbers than their parents, so a second pass finds nothing more.
        loop {
            let mut joined = false;
            for process in processes {
                let stat = &process.stat;
                if !(is_first || process.is_seen_first) || self.members.contains_key(&process.pid) {
                    continue;
                }
                let is_adopted = self.adopter.is_some_and(|adopter| {
                    adopter.0 == stat.parent
                        && stat.start_ticks >= self.root.1
                        && find(processes, adopter).is_some()
                });
                if is_adopted || self.members.contains_key(&stat.parent) {
                    self.members.insert(process.pid, Member::new(stat));
                    joined = true;
                }
            }
            if !joined {
                return;
            }
        }
    }

    /// Lets the members go that ended, and keeps what they used where no member that lives on has it by now.
    fn part(&mut self, processes: &[Process]) {
        let gone: HashMap<u32, Member> = self
            .members
            .extract_if(|pid, member| find(processes, (*pid, member.start_ticks)).is_none())
            .collect();
        let mut left: HashMap<u32, Used> = HashMap::new();
        for member in gone.values() {
            match self.heir(member.parent, &gone) {
                Some(heir) => {
                    let sum = left.entry(heir).or_default();
                    *sum = sum.plus(member.used);
                }
                None => self.kept = self.kept.plus(member.used),
            }
        }
        for (heir, used) in left {
            let found = self.members.get(&heir).and_then(|member| {
                let process = find(processes, (heir, member.start_ticks))?;
                let now = inherited_by(&process.stat, process.disk.counted());
                Some(now.minus(member.inherited))
            });
            self.kept = self.kept.plus(used.minus(found.unwrap_or_default()));
        }
    }

    /// The nearest ancestor that lives on in the tree.
    fn heir(&self, mut parent: u32, gone: &HashMap<u32, Member>) -> Option<u32> {
        for _ in 0..GENERATIONS {
            if self.members.contains_key(&parent) {
                return Some(parent);
            }
            parent = gone.get(&parent)?.parent;
        }
        None
    }
}

/// It has ended and waits to be waited for.
fn is_dead(stat: &Stat) -> bool {
    matches!(stat.state, b'Z' | b'X')
}

fn used_by(stat: &Stat, bytes: Option<DiskBytes>) -> Used {
    let bytes = bytes.unwrap_or_default();
    Used {
        ticks: stat.ticks.saturating_add(stat.child_ticks),
        read: bytes.read,
        written: bytes.written,
    }
}

fn inherited_by(stat: &Stat, bytes: Option<DiskBytes>) -> Used {
    Used {
        ticks: stat.child_ticks,
        ..used_by(stat, bytes)
    }
}

fn find(processes: &[Process], (pid, start_ticks): Identity) -> Option<&Process> {
    let at = processes.binary_search_by_key(&pid, |process| process.pid).ok()?;
    Some(&processes[at]).filter(|process| process.stat.start_ticks == start_ticks)
}
