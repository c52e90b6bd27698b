//! What one reading of a control group holds, the same for both versions, and what the files of a version give to it.

use std::collections::HashMap;

use super::layout::Resource;
use crate::linux::host_root::HostRoot;
use crate::linux::mounts::DeviceNumber;
use crate::linux::scan::{fields, lines, parse_number};

/// Counters and levels of one group. What its files do not hold is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::linux) struct Reading {
    /// Processor time spent.
    pub(in crate::linux) cpu_us: Option<u64>,
    /// Periods in which it ran under a quota.
    pub(super) periods: Option<u64>,
    /// Those of them in which it was held back.
    pub(super) throttled_periods: Option<u64>,
    /// Memory charged to it, page cache included.
    pub(in crate::linux) memory_bytes: Option<u64>,
    /// Page cache that was not used recently, which the kernel takes back first.
    pub(in crate::linux) inactive_file_bytes: Option<u64>,
    pub(in crate::linux) pids: Option<u64>,
    pub(super) oom_kills: Option<u64>,
    /// Of each block device; `None` where nothing counts.
    pub(in crate::linux) io: Option<Vec<DeviceIo>>,
}

/// What a group may use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::linux) struct Limits {
    pub(super) quota_us: Option<u64>,
    pub(super) period_us: Option<u64>,
    pub(in crate::linux) memory_bytes: Option<u64>,
    pub(super) pids: Option<u64>,
}

/// One file of a group, and how it is understood.
pub(in crate::linux) struct Source<Into: 'static> {
    pub(in crate::linux) resource: Resource,
    pub(in crate::linux) file: &'static str,
    pub(in crate::linux) parse: fn(&[u8], &mut Into),
}

/// What a group did on one block device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::linux) struct DeviceIo {
    pub(super) number: DeviceNumber,
    pub(super) counters: IoCounters,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::linux) struct IoCounters {
    pub(in crate::linux) read_bytes: u64,
    pub(in crate::linux) written_bytes: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
}

impl Reading {
    /// Memory in use, page cache that can be dropped left out.
    pub(in crate::linux) fn memory_in_use(&self) -> Option<u64> {
        Some(self.memory_bytes?.saturating_sub(self.inactive_file_bytes?))
    }
}

impl Limits {
    /// Processors that the quota is worth.
    pub(in crate::linux) fn cores(&self) -> Option<f64> {
        let (quota, period) = (self.quota_us?, self.period_us?);
        (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
    }
}

/// The number behind `key` at the start of a line: `inactive_file 4096`.
pub(in crate::linux) fn value_of(text: &[u8], key: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let rest = line.strip_prefix(key)?;
        if !rest.first()?.is_ascii_whitespace() {
            return None;
        }
        fields(rest).next().and_then(parse_number)
    })
}

/// A file of one number. Words (`max`) and negative ones stand for no limit.
pub(super) fn only_number(text: &[u8]) -> Option<u64> {
    parse_number(text.trim_ascii())
}

/// `254:0`.
pub(super) fn parse_device(field: &[u8]) -> Option<DeviceNumber> {
    let colon = field.iter().position(|byte| *byte == b':')?;
    let part = |digits| parse_number(digits).and_then(|number| u32::try_from(number).ok());
    Some((part(&field[..colon])?, part(&field[colon + 1..])?))
}

/// Tells block devices that lie on others: the same bytes are counted on both.
pub(in crate::linux) struct BlockDevices {
    root: HostRoot,
    stacked: HashMap<DeviceNumber, bool>,
}

/// More block devices than any host has; numbers are used again, so that this is never reached.
const MOST_DEVICES: usize = 10_000;

/// The major number of loop devices, which lie on a file.
const LOOP: u32 = 7;

impl BlockDevices {
    pub(in crate::linux) fn new(root: &HostRoot) -> Self {
        Self {
            root: root.clone(),
            stacked: HashMap::new(),
        }
    }

    /// What was done on all devices. Those that lie on others (device mapper, RAID, loop) are left out where one that
    /// does not is listed too: what goes through them is counted there.
    pub(in crate::linux) fn sum(&mut self, devices: &[DeviceIo]) -> IoCounters {
        let is_stacked: Vec<bool> = devices
            .iter()
            .map(|device| self.is_stacked(device.number))
            .collect();
        let any_whole = is_stacked.contains(&false);
        let mut sum = IoCounters::default();
        for (device, stacked) in devices.iter().zip(is_stacked) {
            if !(stacked && any_whole) {
                let more = device.counters;
                sum.read_bytes = sum.read_bytes.saturating_add(more.read_bytes);
                sum.written_bytes = sum.written_bytes.saturating_add(more.written_bytes);
                sum.reads = sum.reads.saturating_add(more.reads);
                sum.writes = sum.writes.saturating_add(more.writes);
            }
        }
        sum
    }

    fn is_stacked(&mut self, number: DeviceNumber) -> bool {
        let (major, minor) = number;
        if self.stacked.len() >= MOST_DEVICES {
            self.stacked.clear();
        }
        *self.stacked.entry(number).or_insert_with(|| {
            let slaves = format!("sys/dev/block/{major}:{minor}/slaves");
            major == LOOP || !self.root.list(&slaves).is_empty()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn io(number: DeviceNumber, bytes: u64) -> DeviceIo {
        let counters = IoCounters {
            read_bytes: bytes,
            ..IoCounters::default()
        };
        DeviceIo { number, counters }
    }

    #[test]
    fn bytes_through_a_mapper_are_counted_once() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("sys/dev/block/253:0/slaves/sda2")).unwrap();
        fs::create_dir_all(directory.path().join("sys/dev/block/8:0/slaves")).unwrap();
        let mut devices = BlockDevices::new(&HostRoot::new(directory.path()));
        let both = [io((8, 0), 700), io((253, 0), 600), io((7, 3), 50)];
        assert_eq!(devices.sum(&both).read_bytes, 700);
        assert_eq!(devices.sum(&both[1..]).read_bytes, 650, "nothing else is listed");
        assert_eq!(devices.sum(&[io((8, 0), 700), io((8, 16), 1)]).read_bytes, 701);
        assert_eq!(devices.sum(&[]), IoCounters::default());
    }

    #[test]
    fn values_are_found_by_their_whole_key() {
        let text = b"inactive_file_x 1\nfile 2\ninactive_file 3\n";
        assert_eq!(value_of(text, b"inactive_file"), Some(3));
        assert_eq!(value_of(text, b"inactive"), None);
        assert_eq!(value_of(b"oom_kill\noom_kill x", b"oom_kill"), None);
    }

    #[test]
    fn a_quota_is_worth_so_many_processors() {
        let limits = |quota, period| Limits {
            quota_us: quota,
            period_us: period,
            ..Limits::default()
        };
        assert_eq!(limits(Some(150_000), Some(100_000)).cores(), Some(1.5));
        assert_eq!(limits(None, Some(100_000)).cores(), None);
        assert_eq!(limits(Some(1), Some(0)).cores(), None);
    }
}
