//! Space on file systems: `statvfs`, on threads of its own, because it hangs on dead mounts for as long as they are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nodeglass_model::rates::percent;
use nodeglass_model::sample::DiskMetrics;
use rustix::fs::{StatVfs, statvfs};

use super::host_root::HostRoot;
use super::mounts::Mount;
use crate::worker::{NoAnswer, Worker};

/// The space of one file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) total: u64,
    pub(super) used: u64,
    pub(super) available: u64,
}

impl Space {
    pub(super) fn fill(self, entry: &mut DiskMetrics) {
        entry.total_bytes = Some(self.total);
        entry.used_bytes = Some(self.used);
        entry.available_bytes = Some(self.available);
        entry.usage_percent = percent(self.used, self.used.saturating_add(self.available));
    }
}

/// Works space out of what the kernel says; `None` for file systems that have no size.
fn derive_space(stat: &StatVfs) -> Option<Space> {
    let bytes = |blocks: u64| blocks.checked_mul(stat.f_frsize);
    Some(Space {
        total: bytes(stat.f_blocks).filter(|total| *total > 0)?,
        used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree))?,
        available: bytes(stat.f_bavail)?,
    })
}

/// What one file system answered.
pub(super) type SpaceAnswer = io::Result<Option<Space>>;

/// The file systems to ask, with a mark that tells which of them is being asked.
type Job = (Arc<Vec<PathBuf>>, Arc<AtomicUsize>);

/// One group of mounts with its thread.
struct Group {
    worker: Worker<Job, Vec<SpaceAnswer>>,
    /// The places of its mounts in the whole list.
    members: Vec<usize>,
    paths: Arc<Vec<PathBuf>>,
    /// The paths and the mark of the job that was sent last; it outlives a changed list.
    sent: Option<Job>,
    started: Result<(), NoAnswer>,
}

impl Group {
    fn new(name: &'static str, stat: fn(&Path) -> SpaceAnswer) -> Self {
        Self {
            worker: Worker::new(name, move || {
                move |(paths, asked): Job| {
                    let stat_one = |(place, path): (usize, &PathBuf)| {
                        asked.store(place, Ordering::Relaxed);
                        stat(path)
                    };
                    paths.iter().enumerate().map(stat_one).collect()
                }
            }),
            members: Vec::new(),
            paths: Arc::default(),
            sent: None,
            started: Ok(()),
        }
    }

    fn start(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let job: Job = (Arc::clone(&self.paths), Arc::default());
        self.started = self.worker.start((Arc::clone(&job.0), Arc::clone(&job.1)));
        if self.started.is_ok() {
            self.sent = Some(job);
        }
    }

    fn finish(&mut self, until: Instant) -> Result<Vec<SpaceAnswer>, NoAnswer> {
        if self.members.is_empty() {
            return Ok(Vec::new());
        }
        self.started?;
        self.worker.finish(until)
    }

    /// The path that the thread is at.
    fn stuck_at(&self) -> String {
        let path = self
            .sent
            .as_ref()
            .and_then(|(paths, asked)| paths.get(asked.load(Ordering::Relaxed)));
        path.map_or_else(|| "a file system".to_owned(), |path| path.display().to_string())
    }
}

/// Asks file systems for their space. Network file systems have a thread of their own, so that a dead server costs
/// nothing of the local disks.
pub(super) struct SpaceReader {
    deadline: Duration,
    groups: [Group; 2],
    count: usize,
}

impl SpaceReader {
    pub(super) fn new(deadline: Duration) -> Self {
        Self::with_stat(deadline, |path| {
            statvfs(path)
                .map(|stat| derive_space(&stat))
                .map_err(io::Error::from)
        })
    }

    fn with_stat(deadline: Duration, stat: fn(&Path) -> SpaceAnswer) -> Self {
        Self {
            deadline,
            groups: [
                Group::new("collect-space", stat),
                Group::new("collect-remote", stat),
            ],
            count: 0,
        }
    }

    /// Changes which mounts are asked.
    pub(super) fn set_mounts(&mut self, root: &HostRoot, mounts: &[Mount]) {
        self.count = mounts.len();
        for (group, is_remote) in self.groups.iter_mut().zip([false, true]) {
            let members = mounts
                .iter()
                .enumerate()
                .filter(|(_, mount)| mount.is_remote() == is_remote);
            let (places, paths) = members
                .map(|(at, mount)| (at, root.host_path(&mount.mount_point)))
                .unzip();
            group.members = places;
            group.paths = Arc::new(paths);
        }
    }

    /// Asks, so that the file systems work while others are read.
    pub(super) fn start(&mut self) {
        self.groups.iter_mut().for_each(Group::start);
    }

    /// The answers, one for each mount, `None` where there was none; and what to say about those.
    pub(super) fn finish(&mut self, until: Instant) -> (Vec<Option<SpaceAnswer>>, Vec<String>) {
        let mut answers: Vec<Option<SpaceAnswer>> = Vec::new();
        answers.resize_with(self.count, || None);
        let mut reasons = Vec::new();
        for group in &mut self.groups {
            match group.finish(until) {
                Ok(space) => {
                    for (place, answer) in group.members.iter().zip(space) {
                        answers[*place] = Some(answer);
                    }
                }
                Err(NoAnswer::Late) => reasons.push(format!(
                    "{}: no answer within {} ms; space of file systems is left out until it answers",
                    group.stuck_at(),
                    self.deadline.as_millis()
                )),
                Err(NoAnswer::Ended) => {
                    reasons.push(
                        "the thread that asks file systems for space ended; it is started anew".to_owned(),
                    );
                }
            }
        }
        (answers, reasons)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const SPACE: Space = Space {
        total: 1_000,
        used: 300,
        available: 600,
    };

    /// Whether the server behind `/mnt/nas` answers.
    static SERVER_IS_UP: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    fn stat(path: &Path) -> SpaceAnswer {
        if path.ends_with("nas") {
            let up = SERVER_IS_UP.0.lock().unwrap();
            drop(SERVER_IS_UP.1.wait_while(up, |up| !*up).unwrap());
        }
        if path.ends_with("gone") {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Some(SPACE))
    }

    fn mount(mount_point: &str, filesystem: &str) -> Mount {
        Mount {
            device_number: (0, 1),
            root: "/".to_owned(),
            mount_point: mount_point.to_owned(),
            filesystem: filesystem.to_owned(),
            source: String::new(),
        }
    }

    #[test]
    fn used_space_is_shown_as_df_does() {
        let mut entry = DiskMetrics::default();
        SPACE.fill(&mut entry);
        assert_eq!(entry.usage_percent, Some(33.33), "300 / (300 + 600), not of 1000");
    }

    #[test]
    fn a_dead_server_costs_its_own_mounts_only_until_it_answers() {
        let mut reader = SpaceReader::with_stat(Duration::from_millis(500), stat);
        reader.set_mounts(
            &HostRoot::new(Path::new("/")),
            &[
                mount("/mnt/nas", "nfs4"),
                mount("/", "ext4"),
                mount("/gone", "ext4"),
            ],
        );
        reader.start();
        let local = reader.groups[0].finish(Instant::now() + PATIENCE).unwrap();
        assert!(matches!(local[..], [Ok(Some(SPACE)), Err(_)]));
        assert_eq!(
            reader.groups[1].finish(Instant::now()).unwrap_err(),
            NoAnswer::Late
        );

        reader.start();
        let (answers, reasons) = reader.finish(Instant::now() + PATIENCE);
        assert!(answers[0].is_none() && matches!(answers[1], Some(Ok(Some(SPACE)))));
        assert_eq!(
            reasons,
            ["/mnt/nas: no answer within 500 ms; space of file systems is left out until it answers"]
        );

        *SERVER_IS_UP.0.lock().unwrap() = true;
        SERVER_IS_UP.1.notify_all();
        let deadline = Instant::now() + PATIENCE;
        loop {
            reader.start();
            let (answers, reasons) = reader.finish(deadline);
            if reasons.is_empty() {
                assert!(answers.iter().all(Option::is_some));
                break;
            }
            assert!(Instant::now() < deadline, "{reasons:?}");
            thread::yield_now();
        }
    }
}
