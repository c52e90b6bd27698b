//! Disks: joins mounted file systems with the block devices under them.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use nodeglass_model::sample::{CollectFailure, DiskMetrics, Sample};

use super::block::{read_mapper_name, read_parent};
use super::diskstats::{DiskCounters, parse_diskstats};
use super::host_root::HostRoot;
use super::mounts::{Mount, MountList};
use super::proc_file::{ProcFile, ReadError};
use super::space::SpaceReader;

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
    read_at: Option<Instant>,
    places: HashMap<String, Place>,
    /// How many of the sample's disks are mounts: they come first, in the order of `mounts`.
    mounted: usize,
}

impl DiskCollector {
    pub(super) fn new(root: &HostRoot, deadline: Duration) -> Self {
        Self {
            root: root.clone(),
            diskstats: ProcFile::new(root.path("proc/diskstats")),
            mount_list: MountList::new(root),
            mounts: Vec::new(),
            space: SpaceReader::new(deadline),
            space_wanted: true,
            before: Vec::new(),
            read_at: None,
            places: HashMap::new(),
            mounted: 0,
        }
    }

    /// Whether file systems are asked for their space.
    pub(super) fn set_space_wanted(&mut self, wanted: bool) {
        self.space_wanted = wanted;
    }

    /// Fills in the I/O of every disk, and asks the file systems for their space.
    pub(super) fn start(&mut self, sample: &mut Sample, now: Instant) {
        match self.mount_list.read_if_changed(now) {
            Some(Ok(mounts)) => {
                self.space.set_mounts(&self.root, &mounts);
                self.mounts = mounts;
            }
            Some(Err(error)) => fail(sample, format!("the list of mounts can't be read: {error}")),
            None => {}
        }
        if self.space_wanted {
            self.space.start();
        }
        let elapsed = self
            .read_at
            .replace(now)
            .map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
        let counters = match self.read_counters() {
            Ok(counters) => counters,
            Err(error) => {
                fail(sample, error.to_string());
                Vec::new()
            }
        };
        sample.disks = self.join(&counters, elapsed);
        self.mounted = self.mounts.len();
        self.before = counters;
    }

    /// Fills in the space of every mount, waiting for it until `until`.
    pub(super) fn finish(&mut self, sample: &mut Sample, until: Instant) {
        if !self.space_wanted {
            return;
        }
        let (answers, mut reasons) = self.space.finish(until);
        for (entry, answer) in sample.disks[..self.mounted].iter_mut().zip(answers) {
            match answer {
                Some(Ok(Some(space))) => space.fill(entry),
                Some(Err(error)) => reasons.push(space_error(&entry.mount_point, &error)),
                Some(Ok(None)) | None => {}
            }
        }
        for reason in reasons {
            fail(sample, reason);
        }
    }

    fn read_counters(&mut self) -> Result<Vec<DiskCounters>, ReadError> {
        let counters = parse_diskstats(self.diskstats.read()?);
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

fn space_error(mount_point: &str, error: &io::Error) -> String {
    format!("space of {mount_point} is left out: {error}")
}

fn fail(sample: &mut Sample, reason: String) {
    sample.failures.push(CollectFailure {
        collector: "disk".to_owned(),
        reason,
    });
}
