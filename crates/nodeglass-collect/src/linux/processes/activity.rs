//! What a process moves from and to disks: when `/proc/PID/io` is worth reading, and what its counters come to.
//!
//! A reading costs as much as all the rest of a process, so one that used no processor time since its last reading,
//! waited for no page and is neither shown nor a task's is not read, but once in [`TURN`] scans. Its bytes are not lost: they count in
//! the interval in which they are found.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use super::stat::{DiskBytes, Stat, parse_io};
use super::table::{Process, open_file};

/// Every process is read once in so many scans: once a minute at the usual pace.
const TURN: u32 = 12;

/// The file is about 100 bytes long, of which numbers can make at most 240.
const IO_BYTES: usize = 256;

/// Parents are looked for this far up among processes that ended in one interval.
const GENERATIONS: usize = 32;

/// One process's disk I/O.
#[derive(Debug)]
pub(crate) struct DiskActivity {
    /// The counters at the last reading; `None` before it.
    counted: Option<DiskBytes>,
    /// Ticks and faults at that reading.
    then: (u64, u64),
    /// Part of what the counters will grow by was seen, and counted, with children that ended since.
    inherited: DiskBytes,
    /// Bytes found in the last scan; `None` where they can't be known.
    grown: Option<DiskBytes>,
    /// It may not be read.
    is_denied: bool,
    /// It was shown in the last sample, or belongs to a task.
    pub is_followed: bool,
}

impl DiskActivity {
    /// `is_new`: it started after the scan before, so that its counters began at zero since.
    pub(super) fn new(is_new: bool) -> Self {
        Self {
            counted: is_new.then(DiskBytes::default),
            then: (u64::MAX, u64::MAX),
            inherited: DiskBytes::default(),
            grown: None,
            is_denied: false,
            is_followed: false,
        }
    }

    /// Bytes since the scan before; `None` where they can't be known.
    pub(crate) fn grown(&self) -> Option<DiskBytes> {
        self.grown
    }

    /// The counters as last read: bytes since the process started. `None` where they can't be known.
    pub(crate) fn counted(&self) -> Option<DiskBytes> {
        self.counted.filter(|_| !self.is_denied)
    }

    fn is_worth_reading(&self, stat: &Stat) -> bool {
        let moved = self.grown.is_some_and(|grown| grown != DiskBytes::default());
        !self.is_denied
            && (self.is_followed
                || moved
                || stat.state == b'D'
                || self.then != (stat.ticks, stat.major_faults))
    }

    /// Takes a reading in; `None` is one that was refused.
    fn take(&mut self, now: Option<DiskBytes>, stat: &Stat) {
        self.then = (stat.ticks, stat.major_faults);
        self.is_denied = now.is_none();
        let Some(now) = now else {
            self.grown = None;
            return;
        };
        let inherited = std::mem::take(&mut self.inherited);
        self.grown = self.counted.replace(now).and_then(|before| {
            Some(DiskBytes {
                read: now.read.checked_sub(before.read)?.saturating_sub(inherited.read),
                written: now
                    .written
                    .checked_sub(before.written)?
                    .saturating_sub(inherited.written),
            })
        });
    }

    /// Nothing was read: nothing was found.
    fn rest(&mut self) {
        self.grown = self.counted().map(|_| DiskBytes::default());
    }
}

/// Reads the disk I/O of the processes for which it is worth it; `scans` counts the scans.
pub(super) fn read_all(directory: &OwnedFd, processes: &mut [Process], ended: &[Process], scans: u32) {
    bequeath(processes, ended);
    for process in processes {
        let is_due = process.pid.wrapping_add(scans).is_multiple_of(TURN);
        if is_due || process.disk.is_worth_reading(&process.stat) {
            let bytes = open_file(directory, process.pid, "io").and_then(|file| read_io(&file));
            process.disk.take(bytes, &process.stat);
        } else {
            process.disk.rest();
        }
    }
}

fn read_io(file: &File) -> Option<DiskBytes> {
    let mut text = [0; IO_BYTES];
    let length = file.read_at(&mut text, 0).ok()?;
    parse_io(&text[..length])
}

/// The kernel adds what a process moved to its parent's counters when the parent waits for it. It was counted as the
/// child's own, so the parent's next growth is less by it.
fn bequeath(processes: &mut [Process], ended: &[Process]) {
    for child in ended {
        let Some(bytes) = child.disk.counted() else {
            continue;
        };
        if let Some(heir) = heir(child, processes, ended) {
            let inherited = &mut processes[heir].disk.inherited;
            inherited.read = inherited.read.saturating_add(bytes.read);
            inherited.written = inherited.written.saturating_add(bytes.written);
        }
    }
}

/// Where the nearest ancestor that lives on stands.
fn heir(child: &Process, processes: &[Process], ended: &[Process]) -> Option<usize> {
    let mut parent = child.stat.parent;
    for _ in 0..GENERATIONS {
        if let Ok(at) = processes.binary_search_by_key(&parent, |process| process.pid) {
            return Some(at);
        }
        let at = ended.binary_search_by_key(&parent, |process| process.pid).ok()?;
        parent = ended[at].stat.parent;
    }
    None
}
