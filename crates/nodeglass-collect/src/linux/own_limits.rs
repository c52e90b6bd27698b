//! What the agent itself may use: the limits of the control group that it runs in, and of those around that one.
//!
//! In a container `/proc/meminfo` tells of the whole host, unless lxcfs stands in front of it; what users want to see
//! is what the container has. Limits of a systemd service are another thing: they keep the agent itself small, and say
//! nothing of the host it watches. They do not count, nor does anything where another root than `/` is watched.

use std::time::{Duration, Instant};

use nodeglass_model::rates::percent;
use nodeglass_model::sample::{MemoryMetrics, Sample};

use super::cgroup_path::{container_of, split_line, unit_of};
use super::collector::{Collector, Moment};
use super::containers::files::FileAccess;
use super::containers::layout::{Layout, Resource, Version};
use super::containers::reading::{Limits, value_of};
use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};
use super::scan::parse_number;

/// Limits are changed by hand, and groups are seldom left for others.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Shows the agent's limits in place of the host's totals, behind the collectors of those.
pub(super) struct LimitCollector {
    /// Only where the host is what the agent itself sees.
    limits: Option<OwnLimits>,
}

impl LimitCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            limits: root.is_own().then(|| OwnLimits::new(root)),
        }
    }
}

impl Collector for LimitCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        if let Some(limits) = &mut self.limits {
            sample.cpu.limit_cores = limits.cores(moment.now);
            if sample.memory.total_bytes.is_some() {
                limits.apply_memory(&mut sample.memory, moment.now);
            }
        }
        Ok(())
    }
}

/// The limits that hold for the agent, found anew now and then.
pub(super) struct OwnLimits {
    root: HostRoot,
    layout: Option<Layout>,
    looked_at: Option<Instant>,
    cores: Option<f64>,
    memory: Option<LimitedMemory>,
    /// Memory of the machine by the system call, which lxcfs does not stand in front of.
    machine_bytes: Option<u64>,
}

/// The group with the tightest limit, and its files.
struct LimitedMemory {
    path: String,
    version: Version,
    limit_bytes: u64,
    swap_limit_bytes: Option<u64>,
    usage: ProcFile,
    stat: ProcFile,
    swap: ProcFile,
}

impl OwnLimits {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            root: root.clone(),
            layout: Layout::find(root),
            looked_at: None,
            cores: None,
            memory: None,
            machine_bytes: None,
        }
    }

    /// Processors that the agent may use; `None` where it may use all.
    pub(super) fn cores(&mut self, now: Instant) -> Option<f64> {
        self.look(now);
        self.cores
    }

    /// Puts the group's figures in the place of the host's, where a limit below the host's memory holds.
    pub(super) fn apply_memory(&mut self, memory: &mut MemoryMetrics, now: Instant) {
        self.look(now);
        let total = memory.total_bytes.unwrap_or(u64::MAX);
        if let Some(limited) = &mut self.memory
            && limited.limit_bytes < total
            && let Some(of_group) = limited.read(memory.swap_total_bytes)
        {
            *memory = of_group;
        } else if self.machine_bytes.is_some_and(|machine| total < machine) {
            memory.limit_bytes = memory.total_bytes;
        }
    }

    fn look(&mut self, now: Instant) {
        if self
            .looked_at
            .is_some_and(|before| now.saturating_duration_since(before) < LOOK_AGAIN)
        {
            return;
        }
        self.looked_at = Some(now);
        if self.root.is_own() {
            let machine = rustix::system::sysinfo();
            self.machine_bytes = (machine.totalram as u64).checked_mul(u64::from(machine.mem_unit));
        }
        let Some(layout) = &self.layout else {
            return;
        };
        let membership = self.root.read_text("proc/self/cgroup").unwrap_or_default();
        let groups_of = |resource| groups_around(&membership, layout, resource);
        let mut access = FileAccess::new(&self.root, layout);
        let mut limits = |path: &String| access.read_limits(path);

        let by_quota = groups_of(Resource::Cpu)
            .iter()
            .filter_map(|path| limits(path).cores())
            .reduce(f64::min);
        let by_set = count_processors(&self.root, layout, &groups_of(Resource::CpuSet));
        self.cores = match (by_quota, by_set) {
            (Some(quota), Some(set)) => Some(quota.min(set)),
            (quota, set) => quota.or(set),
        };

        let limit_of = |limits: Limits, path: String| Some((limits.memory_bytes?, path));
        let tightest = groups_of(Resource::Memory)
            .into_iter()
            .filter_map(|path| limit_of(limits(&path), path))
            .min_by_key(|(limit, _)| *limit);
        self.memory = match (tightest, self.memory.take()) {
            (None, _) => None,
            // The same group keeps its open files.
            (Some((limit_bytes, path)), Some(known)) if known.path == path => Some(LimitedMemory {
                limit_bytes,
                swap_limit_bytes: read_swap_limit(&self.root, layout, &path, limit_bytes),
                ..known
            }),
            (Some((limit_bytes, path)), _) => LimitedMemory::new(&self.root, layout, path, limit_bytes),
        };
    }
}

impl LimitedMemory {
    fn new(root: &HostRoot, layout: &Layout, path: String, limit_bytes: u64) -> Option<Self> {
        let tree = layout.tree(Resource::Memory)?;
        let (usage, swap) = match tree.version {
            Version::V1 => ("memory.usage_in_bytes", "memory.memsw.usage_in_bytes"),
            Version::V2 => ("memory.current", "memory.swap.current"),
        };
        let file = |name| ProcFile::new(root.path(&format!("{}{path}/{name}", tree.directory)));
        Some(Self {
            version: tree.version,
            limit_bytes,
            swap_limit_bytes: read_swap_limit(root, layout, &path, limit_bytes),
            usage: file(usage),
            stat: file("memory.stat"),
            swap: file(swap),
            path,
        })
    }

    /// The group's memory now; `None` if its files can't be read. What nobody counts for a group is absent.
    fn read(&mut self, host_swap_bytes: Option<u64>) -> Option<MemoryMetrics> {
        let usage = parse_number(self.usage.read().ok()?.trim_ascii())?;
        let of_swap = self
            .swap
            .read()
            .ok()
            .and_then(|text| parse_number(text.trim_ascii()));
        let stat = self.stat.read().ok()?;
        let total = self.limit_bytes;
        let value = |of_v1: &str, of_v2: &str| match self.version {
            Version::V1 => value_of(stat, of_v1.as_bytes()),
            Version::V2 => value_of(stat, of_v2.as_bytes()),
        };
        // Version 1 counts memory and swap in one sum; version 2 has no name for what version 1 does not count.
        let only_v2 = |key: &str| value("", key);
        let anonymous = value("total_rss", "anon");
        let reclaimed_first = value("total_inactive_file", "inactive_file")?;
        let used = usage.saturating_sub(reclaimed_first).min(total);
        let sum = |a: Option<u64>, b: Option<u64>| a?.checked_add(b?);
        let swap_used = match self.version {
            Version::V1 => of_swap.map(|both| both.saturating_sub(usage)),
            Version::V2 => of_swap,
        };
        let swap_total =
            host_swap_bytes.map(|host| self.swap_limit_bytes.map_or(host, |limit| limit.min(host)));
        Some(MemoryMetrics {
            total_bytes: Some(total),
            used_bytes: Some(used),
            available_bytes: Some(total - used),
            free_bytes: Some(total.saturating_sub(usage)),
            cached_bytes: value("total_cache", "file"),
            usage_percent: percent(used, total),
            swap_total_bytes: swap_total,
            swap_used_bytes: swap_used,
            swap_free_bytes: swap_total
                .zip(swap_used)
                .map(|(total, used)| total.saturating_sub(used)),
            swap_usage_percent: swap_total
                .zip(swap_used)
                .and_then(|(total, used)| percent(used.min(total), total)),
            shared_bytes: value("total_shmem", "shmem"),
            slab_bytes: only_v2("slab"),
            slab_unreclaimable_bytes: only_v2("slab_unreclaimable"),
            dirty_bytes: value("total_dirty", "file_dirty"),
            writeback_bytes: value("total_writeback", "file_writeback"),
            page_tables_bytes: only_v2("pagetables"),
            kernel_stack_bytes: only_v2("kernel_stack"),
            limit_bytes: Some(total),
            active_bytes: sum(
                value("total_active_anon", "active_anon"),
                value("total_active_file", "active_file"),
            ),
            inactive_bytes: sum(
                value("total_inactive_anon", "inactive_anon"),
                Some(reclaimed_first),
            ),
            anonymous_bytes: anonymous,
            mapped_bytes: value("total_mapped_file", "file_mapped"),
            ..MemoryMetrics::default()
        })
    }
}

/// Swap that a group may use; `None` where it may use all there is.
fn read_swap_limit(root: &HostRoot, layout: &Layout, path: &str, limit_bytes: u64) -> Option<u64> {
    let tree = layout.tree(Resource::Memory)?;
    let number = |file: &str| root.read_number(&format!("{}{path}/{file}", tree.directory));
    match tree.version {
        // No limit is a huge number, and stays one.
        Version::V1 => number("memory.memsw.limit_in_bytes")?.checked_sub(limit_bytes),
        Version::V2 => number("memory.swap.max"),
    }
}

/// Whether the agent lives in a control group that limits it.
pub(super) fn is_limited(root: &HostRoot, now: Instant) -> bool {
    let mut limits = OwnLimits::new(root);
    limits.cores(now).is_some() || limits.memory.is_some()
}

/// The agent's own group and those around it whose limits count, innermost first. The last, without a name, is the
/// outermost that can be seen: in a container with a name space of its own for groups, the container's.
fn groups_around(membership: &str, layout: &Layout, resource: Resource) -> Vec<String> {
    let Some(tree) = layout.tree(resource) else {
        return Vec::new();
    };
    let own = membership
        .lines()
        .filter_map(split_line)
        .find(|(controllers, _)| match tree.version {
            Version::V1 => controllers.split(',').any(|name| resource.is_controller_v1(name)),
            Version::V2 => controllers.is_empty(),
        });
    let mut path = own.map_or("", |(_, path)| path).trim_end_matches('/');
    // A path out of the visible tree: nothing of it can be seen but the tree itself.
    if path.split('/').any(|group| group == "..") {
        path = "";
    }
    let mut groups = Vec::new();
    loop {
        let is_leash = unit_of(path).is_some() && container_of(path).is_none();
        if !is_leash {
            groups.push(path.to_owned());
        }
        match path.rfind('/') {
            Some(slash) => path = &path[..slash],
            None => return groups,
        }
    }
}

/// Processors in the set of the innermost group; `None` where that is all that are online.
fn count_processors(root: &HostRoot, layout: &Layout, groups: &[String]) -> Option<f64> {
    let tree = layout.tree(Resource::CpuSet)?;
    let file = match tree.version {
        Version::V1 => "cpuset.effective_cpus",
        Version::V2 => "cpuset.cpus.effective",
    };
    let set = groups
        .iter()
        .find_map(|path| root.read_text(&format!("{}{path}/{file}", tree.directory)))?;
    let allowed = count_in_list(&set)?;
    let online = count_in_list(&root.read_text("sys/devices/system/cpu/online")?)?;
    (allowed > 0 && allowed < online).then_some(f64::from(allowed))
}

/// How many numbers a list like `0-3,8` holds; `None` if it is none.
fn count_in_list(ranges: &str) -> Option<u32> {
    ranges.trim().split(',').try_fold(0_u32, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests;
