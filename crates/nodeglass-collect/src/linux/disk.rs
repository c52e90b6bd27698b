//! Disks: joins mounted file systems with the block devices under them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::{DiskMetrics, Sample};

use super::block::{read_mapper_name, read_parent};
use super::collector::{Collector, Lap, Moment, fail, leave_out, mark_stale};
use super::diskstats::{DiskCounters, parse_diskstats};
use super::host_root::HostRoot;
use super::mounts::{Mount, MountList};
use super::proc_file::{ProcFile, ReadError};
use super::space::SpaceReader;
use crate::filters::DeviceFilters;
use crate::gpu::GpuUses;

/// Whether file systems are asked for their space: without these metrics a dead mount is never touched.
const SPACE_METRICS: [&str; 8] = [
    "disk.total_bytes",
    "disk.used_bytes",
    "disk.available_bytes",
    "disk.usage_percent",
    "disk.inodes_total",
    "disk.inodes_used",
    "disk.inode_usage_percent",
    "disk.read_only",
];

/// What `/sys` says of one block device; it does not change while the device is there.
#[derive(Debug, Clone, Default)]
struct Place {
    parent: String,
    /// The source as which it is mounted, if not `/dev/` and its name.
    mapper_source: Option<String>,
}

/// Reads file systems and block devices.
pub(super) struct DiskCollector {
    root: HostRoot,
    diskstats: ProcFile,
    mount_list: MountList,
    mounts: Vec<Mount>,
    space: SpaceReader,
    space_wanted: bool,
    before: Vec<DiskCounters>,
    lap: Lap,
    places: HashMap<String, Place>,
    filters: DeviceFilters,
    /// How many mounts there are that are not shown.
    mounts_left_out: usize,
}

impl DiskCollector {
    pub(super) fn new(root: &HostRoot, filters: &DeviceFilters, deadline: Duration) -> Self {
        Self {
            root: root.clone(),
            diskstats: ProcFile::new(root.path("proc/diskstats")),
            mount_list: MountList::new(root, filters),
            mounts: Vec::new(),
            space: SpaceReader::new(deadline),
            space_wanted: true,
            before: Vec::new(),
            lap: Lap::default(),
            places: HashMap::new(),
            filters: filters.clone(),
            mounts_left_out: 0,
        }
    }

    fn read_counters(&mut self) -> Result<Vec<DiskCounters>, ReadError> {
        let counters = parse_diskstats(self.diskstats.read()?, &self.filters.exclude_disks);
        let same = |(a, b): (&DiskCounters, &DiskCounters)| a.name == b.name && a.number == b.number;
        if counters.len() != self.before.len() || !counters.iter().zip(&self.before).all(same) {
            self.places = counters
                .iter()
                .map(|disk| (disk.name.clone(), read_place(&self.root, &disk.name)))
                .collect();
        }
        Ok(counters)
    }

    /// The entries: a mount each with the device under it, then the devices that are not mounted.
    fn join(&self, counters: &[DiskCounters], elapsed: Duration) -> Vec<DiskMetrics> {
        let mut is_mounted = vec![false; counters.len()];
        let derive = |at: usize, entry: &mut DiskMetrics| {
            let disk = &counters[at];
            let before = self.before.iter().find(|before| before.number == disk.number);
            disk.derive_into(before, elapsed, entry);
            if let Some(place) = self.places.get(&disk.name) {
                entry.parent.clone_from(&place.parent);
            }
        };
        let mut entries: Vec<DiskMetrics> = Vec::with_capacity(counters.len());
        for mount in &self.mounts {
            let at = self.find_device(mount, counters);
            let mut entry = DiskMetrics {
                device: device_of(mount, at.map(|at| counters[at].name.as_str())),
                mount_point: mount.mount_point.clone(),
                ..DiskMetrics::default()
            };
            if let Some(at) = at {
                is_mounted[at] = true;
                derive(at, &mut entry);
            }
            entries.push(entry);
        }
        for (at, disk) in counters.iter().enumerate() {
            if !is_mounted[at] && disk.stands_alone() {
                let mut entry = DiskMetrics {
                    device: format!("/dev/{}", disk.name),
                    ..DiskMetrics::default()
                };
                derive(at, &mut entry);
                entries.push(entry);
            }
        }
        entries
    }

    /// The block device under a mount: by number, or by name for file systems with numbers of their own (btrfs).
    fn find_device(&self, mount: &Mount, counters: &[DiskCounters]) -> Option<usize> {
        if mount.device_number.0 != 0 {
            return counters
                .iter()
                .position(|disk| disk.number == mount.device_number);
        }
        let name = mount.source.strip_prefix("/dev/")?;
        counters.iter().position(|disk| {
            let mapper_source = self
                .places
                .get(&disk.name)
                .and_then(|place| place.mapper_source.as_deref());
            disk.name == name || mapper_source == Some(mount.source.as_str())
        })
    }
}

impl Collector for DiskCollector {
    /// Fills in the I/O of every disk. In full samples it asks the file systems for their space besides, which changes
    /// slowly: light samples show it again.
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        match self.mount_list.read_if_changed(moment.now) {
            Some(Ok(mut mounts)) => {
                self.mounts_left_out = mounts.len().saturating_sub(self.filters.max_disks);
                mounts.truncate(self.filters.max_disks);
                self.space.set_mounts(&self.root, &mounts);
                self.mounts = mounts;
            }
            Some(Err(error)) => fail(
                sample,
                "disk",
                format!("the list of mounts can't be read: {error}"),
            ),
            None => {}
        }
        if self.space_wanted && moment.is_full() {
            self.space.start();
        }
        let elapsed = self.lap.take(moment.now);
        let (counters, outcome) = match self.read_counters() {
            Ok(counters) => (counters, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        sample.disks = self.join(&counters, elapsed);
        let shown = sample.disks.len().min(self.filters.max_disks);
        leave_out(sample, "disk", self.mounts_left_out + sample.disks.len() - shown);
        sample.disks.truncate(shown);
        self.before = counters;
        outcome
    }

    fn finish(&mut self, sample: &mut Sample, moment: &Moment, _gpu: &GpuUses) {
        if !self.space_wanted {
            return;
        }
        self.space.finish(moment.until);
        // Mounts come first, in their order.
        for (at, known) in self.space.known(Instant::now()).enumerate() {
            if let Some(space) = known.space {
                space.fill(&mut sample.disks[at]);
            }
            if let Some(trouble) = known.trouble {
                let mount_point = &self.mounts[at].mount_point;
                fail(sample, "disk", format!("space of {mount_point}: {trouble}"));
            }
            if let Some(age) = known.age {
                mark_stale(sample, "disk", age);
            }
        }
    }

    fn set_filter(&mut self, filter: &MetricFilter) {
        self.space_wanted = SPACE_METRICS.iter().any(|metric| filter.keeps_any(metric));
    }
}

fn read_place(root: &HostRoot, name: &str) -> Place {
    Place {
        parent: read_parent(root, name).unwrap_or_default(),
        mapper_source: read_mapper_name(root, name).map(|name| format!("/dev/mapper/{name}")),
    }
}

/// The device as people know it: what was mounted, unless that is no device's path though there is a device.
pub(super) fn device_of(mount: &Mount, kernel_name: Option<&str>) -> String {
    match kernel_name {
        Some(name) if !mount.source.starts_with("/dev/") || mount.source == "/dev/root" => {
            format!("/dev/{name}")
        }
        _ => mount.source.clone(),
    }
}
