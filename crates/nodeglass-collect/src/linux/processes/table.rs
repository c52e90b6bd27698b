//! The table of all processes: scanned anew each time, merged with what the scan before knew of each.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom, openat, seek};
use rustix::process::{Resource, getrlimit};

use super::activity::DiskActivity;
use super::stat::{Stat, parse_stat};
use super::texts::Texts;
use crate::linux::host_root::HostRoot;
use crate::linux::proc_file::ReadError;
use crate::linux::scan::parse_number;

/// Room for about a thousand names in one call.
const DIRECTORY_BUFFER: usize = 32 * 1024;

/// What is wanted of a `stat` file ends before its 24th number, of at most 20 digits each.
const STAT_BYTES: usize = 640;

/// `stat` files that stay open at most: reading one costs less than half of opening it anew, but each holds about
/// 5 KiB of the kernel's memory.
const KEPT_FILES: usize = 1_000;

/// One process, as the last scan found it.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number.
    pub pid: u32,
    /// Its figures.
    pub stat: Stat,
    /// Ticks of processor time since the scan before; `None` where nobody knows what it had used by then.
    pub ticks_grown: Option<u64>,
    /// It was not there at the scan before.
    pub is_seen_first: bool,
    /// What it moves from and to disks.
    pub disk: DiskActivity,
    /// What describes it; read where somebody asks for it.
    pub texts: Option<Box<Texts>>,
    /// Its `stat`, kept open.
    file: Option<File>,
}

/// All processes of the host.
pub(crate) struct ProcessTable {
    path: PathBuf,
    directory: Option<OwnedFd>,
    names: Vec<u8>,
    pids: Vec<u32>,
    /// By rising pid.
    processes: Vec<Process>,
    /// The table of the scan before, empty between scans; kept for its memory.
    before: Vec<Process>,
    /// Those that ended since the scan before, by rising pid.
    ended: Vec<Process>,
    /// When the last scan was, and the one before.
    scanned: Option<Instant>,
    kept: usize,
    keep_most: usize,
}

impl ProcessTable {
    pub(crate) fn new(root: &HostRoot) -> Self {
        // Control groups may keep half of what is usual, and the rest of the program needs some too.
        let allowed = getrlimit(Resource::Nofile)
            .current
            .map_or(usize::MAX, |most| most as usize);
        Self {
            path: root.path("proc"),
            directory: None,
            names: Vec::with_capacity(DIRECTORY_BUFFER),
            pids: Vec::new(),
            processes: Vec::new(),
            before: Vec::new(),
            ended: Vec::new(),
            scanned: None,
            kept: 0,
            keep_most: KEPT_FILES.min(allowed / 4),
        }
    }

    /// Every process of the last scan, by rising pid.
    pub(crate) fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// What a reader of more files needs at once: the directory of all processes, those of the last scan, and those that
    /// ended since the one before, each by rising pid.
    pub(super) fn parts(&mut self) -> (Option<&OwnedFd>, &mut [Process], &[Process]) {
        (self.directory.as_ref(), &mut self.processes, &self.ended)
    }

    /// Scans. Gives back the time since the scan before; nothing the first time. A process that ends during the scan
    /// is not in the table.
    ///
    /// # Errors
    /// `/proc` can't be listed, or has no process that may be seen.
    pub(crate) fn scan(&mut self, now: Instant) -> Result<Duration, ReadError> {
        if let Err(source) = self.list() {
            self.directory = None;
            return Err(ReadError::Io {
                path: self.path.clone(),
                source,
            });
        }
        self.merge();
        if self.processes.is_empty() {
            return Err(ReadError::Content {
                path: self.path.clone(),
                what: "process that may be seen",
            });
        }
        let before = self.scanned.replace(now);
        Ok(before.map_or(Duration::ZERO, |before| now.saturating_duration_since(before)))
    }

    /// The pids there are, rising.
    fn list(&mut self) -> io::Result<()> {
        let directory = match &self.directory {
            Some(directory) => directory,
            None => self.directory.insert(File::open(&self.path)?.into()),
        };
        seek(directory, SeekFrom::Start(0))?;
        self.pids.clear();
        let mut entries = RawDir::new(directory, self.names.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            self.pids.extend(parse_pid(entry?.file_name().to_bytes()));
        }
        // The kernel lists them so; a captured tree does not.
        self.pids.sort_unstable();
        Ok(())
    }

    /// Reads each process that was listed into a new table, with what is known of it.
    fn merge(&mut self) {
        let Some(directory) = &self.directory else {
            return;
        };
        std::mem::swap(&mut self.processes, &mut self.before);
        self.ended.clear();
        let is_first = self.scanned.is_none();
        // Whoever started after the youngest process of the scan before was not there at that scan.
        let starts = self.before.iter().map(|process| process.stat.start_ticks);
        let youngest = starts.max().unwrap_or(0);
        let mut before = self.before.drain(..).peekable();
        for &pid in &self.pids {
            while let Some(gone) = before.next_if(|known| known.pid < pid) {
                self.kept -= usize::from(gone.file.is_some());
                self.ended.push(gone);
            }
            let mut known = before.next_if(|known| known.pid == pid);
            let file = known.as_mut().and_then(|known| known.file.take());
            self.kept -= usize::from(file.is_some());
            // Through a file that stayed open, a process that ended can't be read, whoever has its number now.
            let read = file.and_then(|file| Some((read_stat(&file)?, file)));
            let read = read.or_else(|| open_stat(directory, pid));
            let Some((stat, file)) = read else {
                self.ended.extend(known);
                continue;
            };
            let file = (self.kept < self.keep_most).then_some(file);
            self.kept += usize::from(file.is_some());
            match known {
                // The same number with another start is another process.
                Some(mut known) if known.stat.start_ticks == stat.start_ticks => {
                    known.is_seen_first = false;
                    known.ticks_grown = stat.ticks.checked_sub(known.stat.ticks);
                    known.stat = stat;
                    known.file = file;
                    self.processes.push(known);
                }
                other => {
                    self.ended.extend(other);
                    let is_new = !is_first && stat.start_ticks >= youngest;
                    self.processes.push(Process {
                        pid,
                        stat,
                        is_seen_first: true,
                        ticks_grown: is_new.then_some(stat.ticks),
                        disk: DiskActivity::new(is_new),
                        texts: None,
                        file,
                    });
                }
            }
        }
        for gone in before {
            self.kept -= usize::from(gone.file.is_some());
            self.ended.push(gone);
        }
    }
}

fn read_stat(file: &File) -> Option<Stat> {
    let mut text = [0; STAT_BYTES];
    let length = file.read_at(&mut text, 0).ok()?;
    parse_stat(&text[..length])
}

/// Opens and reads a process's `stat`; `None` if it is gone.
fn open_stat(directory: &OwnedFd, pid: u32) -> Option<(Stat, File)> {
    let file = open_file(directory, pid, "stat")?;
    Some((read_stat(&file)?, file))
}

/// Opens a file of one process; `None` if it is gone, or may not be read.
pub(super) fn open_file(directory: &OwnedFd, pid: u32, name: &str) -> Option<File> {
    let mut path = PidPath::new(pid);
    let path = path.file(name)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    openat(directory, path, flags, Mode::empty()).ok().map(File::from)
}

/// The path of a process's file from `/proc`, without a trip to the heap.
pub(super) struct PidPath {
    bytes: [u8; 32],
    length: usize,
}

impl PidPath {
    pub(super) fn new(pid: u32) -> Self {
        let mut path = Self {
            bytes: [0; 32],
            length: 0,
        };
        let digits = pid.checked_ilog10().unwrap_or(0) as usize + 1;
        let mut rest = pid;
        for at in (0..digits).rev() {
            path.bytes[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        path.length = digits;
        path
    }

    /// The process's directory.
    pub(super) fn directory(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }

    /// A file in it; `None` for a name that is longer than any.
    fn file(&mut self, name: &str) -> Option<&CStr> {
        let end = self.length + 1 + name.len();
        // The byte behind the end stays zero.
        if end >= self.bytes.len() {
            return None;
        }
        self.bytes[self.length] = b'/';
        self.bytes[self.length + 1..end].copy_from_slice(name.as_bytes());
        self.directory()
    }
}

fn parse_pid(name: &[u8]) -> Option<u32> {
    parse_number(name)?.try_into().ok()
}
