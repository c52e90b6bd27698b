//! Processes by state: `/proc/PID/stat` of every process.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nodeglass_model::sample::{ProcessMetrics, Sample};
use rustix::fs::{Mode, OFlags, RawDir, SeekFrom, openat, seek};

use super::collector::{Collector, Moment};
use super::host_root::HostRoot;
use super::proc_file::ReadError;

/// Room for about a thousand names in one call.
const DIRECTORY_BUFFER: usize = 32 * 1024;

/// The state stands after the number and the name, and a name has 64 bytes at most.
const STAT_START: usize = 256;

/// Counts processes.
pub(super) struct ProcessCollector {
    path: PathBuf,
    directory: Option<OwnedFd>,
    buffer: Vec<u8>,
}

impl ProcessCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            path: root.path("proc"),
            directory: None,
            buffer: Vec::with_capacity(DIRECTORY_BUFFER),
        }
    }

    /// The processes there are now. One that ends during the scan is not counted.
    fn count(&mut self) -> Result<ProcessMetrics, ReadError> {
        match self.scan() {
            Ok(counts) if counts.total > 0 => Ok(counts.into_metrics()),
            Ok(_) => Err(ReadError::Content {
                path: self.path.clone(),
                what: "process that may be seen",
            }),
            Err(source) => {
                self.directory = None;
                Err(ReadError::Io {
                    path: self.path.clone(),
                    source,
                })
            }
        }
    }

    fn scan(&mut self) -> io::Result<Counts> {
        let directory = match &self.directory {
            Some(directory) => directory,
            None => self.directory.insert(File::open(&self.path)?.into()),
        };
        seek(directory, SeekFrom::Start(0))?;
        let mut counts = Counts::default();
        let mut entries = RawDir::new(directory, self.buffer.spare_capacity_mut());
        let mut name = String::with_capacity(24);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let pid = entry.file_name().to_bytes();
            if !pid.first().is_some_and(u8::is_ascii_digit) {
                continue;
            }
            name.clear();
            name.extend(pid.iter().map(|byte| char::from(*byte)));
            name.push_str("/stat");
            let mut start = [0; STAT_START];
            if let Ok(file) = openat(
                directory,
                name.as_str(),
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            ) && let Ok(length) = File::from(file).read(&mut start)
                && let Some(state) = parse_state(&start[..length])
            {
                counts.add(state);
            }
        }
        Ok(counts)
    }
}

impl Collector for ProcessCollector {
    /// Looks at every process, so in full samples only.
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        if moment.is_full() {
            sample.processes = self.count()?;
        }
        Ok(())
    }
}

/// The state letter: the first field after the name, which may itself hold spaces and parentheses.
fn parse_state(stat: &[u8]) -> Option<u8> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    match stat.get(name_end + 1..)? {
        [b' ', state, b' ', ..] => Some(*state),
        _ => None,
    }
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    total: u32,
    running: u32,
    sleeping: u32,
    zombie: u32,
    blocked: u32,
    stopped: u32,
}

impl Counts {
    fn add(&mut self, state: u8) {
        self.total += 1;
        match state {
            b'R' => self.running += 1,
            b'S' | b'I' => self.sleeping += 1,
            b'D' => {
                self.sleeping += 1;
                self.blocked += 1;
            }
            b'Z' => self.zombie += 1,
            b'T' | b't' => self.stopped += 1,
            _ => {}
        }
    }

    fn into_metrics(self) -> ProcessMetrics {
        ProcessMetrics {
            total_processes: Some(self.total),
            running_processes: Some(self.running),
            sleeping_processes: Some(self.sleeping),
            zombie_processes: Some(self.zombie),
            blocked_processes: Some(self.blocked),
            stopped_processes: Some(self.stopped),
            ..ProcessMetrics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_of_the_capture() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/linux-6.18-kvm/t0");
        let metrics = ProcessCollector::new(&HostRoot::new(&root)).count().unwrap();
        // S: 1, 2, 9593. I: 4 to 8. Z: 9635. T: 9636. R: 9637.
        assert_eq!(metrics.total_processes, Some(11));
        assert_eq!(metrics.sleeping_processes, Some(8));
        assert_eq!(metrics.zombie_processes, Some(1));
        assert_eq!(metrics.stopped_processes, Some(1));
        assert_eq!(metrics.running_processes, Some(1));
        assert_eq!(metrics.blocked_processes, Some(0));
    }

    #[test]
    fn names_may_look_like_anything() {
        assert_eq!(parse_state(b"9636 (od) d S (x) T 9593 9588 4027"), Some(b'T'));
        assert_eq!(parse_state(b"1 (a b) R) D 0"), Some(b'D'));
        assert_eq!(parse_state(b"1 (cut"), None);
    }

    #[test]
    fn a_blocked_process_sleeps_too() {
        let mut counts = Counts::default();
        counts.add(b'D');
        assert_eq!((counts.total, counts.sleeping, counts.blocked), (1, 1, 1));
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            let _ = parse_state(&text);
        }
    }
}
