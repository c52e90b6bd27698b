//! A control group as a task: its counters out of `/sys/fs/cgroup`, of version 2 or 1.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeglass_model::sample::TaskProcessMetrics;

use super::{Measured, percent_of_core};
use crate::linux::containers::files::{FileAccess, GroupFiles};
use crate::linux::containers::layout::Layout;
use crate::linux::containers::reading::{BlockDevices, Reading};
use crate::linux::host_root::HostRoot;
use crate::linux::scan::lines;
use crate::tasks::FollowError;

/// The longest path; the kernel allows longer ones, which nobody has.
const LONGEST_PATH: usize = 1024;

/// A unit's control group is looked for this deep (`user.slice/user-1.slice/user@1.service/app.slice/x.scope`), and
/// among so many groups at most.
const DEEPEST: usize = 6;
const MOST_GROUPS: usize = 10_000;

/// Hierarchies in which units have their groups: that of version 2, and that of version 1 by either name.
const HIERARCHIES: [&str; 3] = ["", "unified", "systemd"];

/// Where version 1 may keep processor time.
const CPU_V1: [&str; 3] = ["cpuacct", "cpu,cpuacct", "cpu"];

/// Counters since the group was made.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    cpu_us: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
}

impl Counters {
    /// What can't be read any more, when the group is gone, stays as it was.
    fn or_before(self, before: Self) -> Self {
        Self {
            cpu_us: self.cpu_us.max(before.cpu_us),
            read: self.read.max(before.read),
            written: self.written.max(before.written),
        }
    }
}

/// Reads the counters of groups, of whichever version.
pub(super) struct GroupReader {
    /// `None` where no control groups are mounted.
    access: Option<FileAccess>,
    devices: BlockDevices,
}

impl GroupReader {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            access: Layout::find(root).map(|layout| FileAccess::new(root, &layout)),
            devices: BlockDevices::new(root),
        }
    }

    fn read(&mut self, path: &str) -> (Counters, Reading) {
        let Some(access) = &mut self.access else {
            return (Counters::default(), Reading::default());
        };
        // Tasks come and go, and there are few of them: their files are not kept open.
        let mut files = GroupFiles::default();
        let reading = access.read(path, &mut files);
        access.close(&files);
        let io = reading.io.as_ref().map(|io| self.devices.sum(io));
        let counters = Counters {
            cpu_us: reading.cpu_us,
            read: io.map(|io| io.read_bytes),
            written: io.map(|io| io.written_bytes),
        };
        (counters, reading)
    }
}

/// One control group.
#[derive(Debug)]
pub(crate) struct Group {
    path: String,
    /// Its directories, one for each hierarchy that has it.
    directories: Vec<PathBuf>,
    first: Counters,
    last: (Counters, Instant),
    peak_bytes: Option<u64>,
}

impl Group {
    /// The group with this path.
    ///
    /// # Errors
    /// The path is none, or no group with processes has it.
    pub(super) fn open(
        root: &HostRoot,
        reader: &mut GroupReader,
        path: &str,
        now: Instant,
    ) -> Result<Self, FollowError> {
        let is_plain = |part: &str| part != ".." && part != ".";
        if !path.starts_with('/') || path.len() > LONGEST_PATH || !path.split('/').all(is_plain) {
            return Err(FollowError::Invalid(format!(
                "{path:?} is not the path of a control group: write it as in /proc/PID/cgroup, from its first /"
            )));
        }
        let relative = path.trim_matches('/');
        if relative.is_empty() {
            return Err(FollowError::Invalid(
                "the root group is the whole host, which every sample measures".to_owned(),
            ));
        }
        let directories = directories(root, relative);
        if !directories.iter().any(|directory| count_processes(directory) > 0) {
            return Err(FollowError::Missing(format!(
                "control group {path} with a process in it"
            )));
        }
        let path = format!("/{relative}");
        let (first, _) = reader.read(&path);
        Ok(Self {
            path,
            directories,
            first,
            last: (first, now),
            peak_bytes: None,
        })
    }

    /// The group of a systemd unit.
    ///
    /// # Errors
    /// The name is none, or no unit with processes has it.
    pub(super) fn of_unit(
        root: &HostRoot,
        reader: &mut GroupReader,
        name: &str,
        now: Instant,
    ) -> Result<Self, FollowError> {
        let is_name =
            name.len() <= 255 && name.contains('.') && !name.starts_with('.') && !name.contains('/');
        if !is_name {
            return Err(FollowError::Invalid(format!(
                "{name:?} is not a unit: write its whole name, such as backup.service"
            )));
        }
        let found = HIERARCHIES.iter().find_map(|hierarchy| {
            let top = root.path("sys/fs/cgroup").join(hierarchy);
            let usual = format!("system.slice/{name}");
            let path = if top.join(&usual).is_dir() {
                usual
            } else {
                let found = find_group(&top, name)?;
                found.strip_prefix(&top).ok()?.to_str()?.to_owned()
            };
            Self::open(root, reader, &format!("/{path}"), now).ok()
        });
        found.ok_or_else(|| FollowError::Missing(format!("unit {name} with a process in it")))
    }

    /// Reads it now.
    pub(super) fn measure(&mut self, reader: &mut GroupReader, now: Instant) -> Measured {
        let counted = self
            .directories
            .iter()
            .map(|directory| count_processes(directory));
        let processes = counted.max().unwrap_or(0);
        let is_over = processes == 0;
        let (before, at) = self.last;
        let (counters, reading) = reader.read(&self.path);
        let counters = counters.or_before(before);
        self.last = (counters, now);
        let memory = reading.memory_in_use().or(reading.memory_bytes);
        self.peak_bytes = self.peak_bytes.max(memory);
        let since = |now: Option<u64>, then: Option<u64>| now?.checked_sub(then.unwrap_or(0));
        let used = before
            .cpu_us
            .and_then(|before| counters.cpu_us?.checked_sub(before));
        let elapsed = now.saturating_duration_since(at);
        let threads = reading.pids.and_then(|threads| threads.try_into().ok());
        Measured {
            metrics: TaskProcessMetrics {
                cpu_percent: used.and_then(|used| percent_of_core(Duration::from_micros(used), elapsed)),
                memory_bytes: memory.filter(|_| !is_over),
                threads: threads.filter(|_| !is_over),
                read_bytes: since(counters.read, self.first.read),
                write_bytes: since(counters.written, self.first.written),
                processes: Some(processes),
                cpu_time_ms: since(counters.cpu_us, self.first.cpu_us).map(|spent| spent / 1_000),
                peak_memory_bytes: self.peak_bytes,
                ..TaskProcessMetrics::default()
            },
            is_over,
            lived_on: false,
        }
    }
}

/// The directories that a group has: one in version 2, and one for each controller in version 1.
fn directories(root: &HostRoot, relative: &str) -> Vec<PathBuf> {
    let tops = ["", "unified", "systemd", "memory", "pids", "blkio"]
        .iter()
        .chain(&CPU_V1);
    let directories = tops.map(|top| root.path("sys/fs/cgroup").join(top).join(relative));
    directories
        .filter(|directory| directory.join("cgroup.procs").exists())
        .collect()
}

/// The directory with this name nearest to the top.
fn find_group(top: &Path, name: &str) -> Option<PathBuf> {
    let mut level = vec![top.to_owned()];
    let mut seen = 0;
    for _ in 0..DEEPEST {
        let mut below = Vec::new();
        for directory in level {
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                if entry.file_name() == name {
                    return Some(entry.path());
                }
                seen += 1;
                if seen > MOST_GROUPS {
                    return None;
                }
                below.push(entry.path());
            }
        }
        level = below;
    }
    None
}

/// Processes in a group and in those below it.
fn count_processes(directory: &Path) -> u32 {
    let mut waiting = vec![directory.to_owned()];
    let (mut seen, mut count) = (0, 0);
    while let Some(directory) = waiting.pop() {
        // A threaded group can't be read; its processes are those of the group above.
        let procs = fs::read(directory.join("cgroup.procs")).unwrap_or_default();
        count += lines(&procs).filter(|line| !line.is_empty()).count() as u32;
        seen += 1;
        if seen < MOST_GROUPS {
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            waiting.extend(groups.map(|entry| entry.path()));
        }
    }
    count
}
