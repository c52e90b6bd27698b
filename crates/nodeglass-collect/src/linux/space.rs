//! Space and inodes of file systems: `statvfs`, on a thread of its own, because it hangs on a dead mount for as long as
//! that is dead.
//!
//! A mount that hangs costs its own figures: the thread in it is left behind, and a fresh one asks the others in later
//! samples. While it is stuck, other file systems that need a server or a program are not asked, since what killed one
//! has often killed another: so there is one stuck thread, and a second only if a local disk hangs as well. Then nobody
//! is asked until one of them returns.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nodeglass_model::rates::percent;
use nodeglass_model::sample::DiskMetrics;
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use super::collector::Kept;
use super::host_root::HostRoot;
use super::mounts::Mount;
use crate::worker::{NoAnswer, Worker};

/// What one file system says of itself; sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) total: u64,
    pub(super) used: u64,
    pub(super) available: u64,
    /// All inodes and those in use; `None` for file systems that make them as they need them.
    pub(super) inodes: Option<(u64, u64)>,
    pub(super) is_read_only: bool,
}

impl Space {
    pub(super) fn fill(self, entry: &mut DiskMetrics) {
        entry.total_bytes = Some(self.total);
        entry.used_bytes = Some(self.used);
        entry.available_bytes = Some(self.available);
        entry.usage_percent = percent(self.used, self.used.saturating_add(self.available));
        entry.read_only = Some(self.is_read_only.into());
        if let Some((total, used)) = self.inodes {
            entry.inodes_total = Some(total);
            entry.inodes_used = Some(used);
            entry.inode_usage_percent = percent(used, total);
        }
    }
}

/// Works space out of what the kernel says; `None` for file systems that have no size.
fn derive_space(stat: &StatVfs) -> Option<Space> {
    let bytes = |blocks: u64| blocks.checked_mul(stat.f_frsize);
    Some(Space {
        total: bytes(stat.f_blocks).filter(|total| *total > 0)?,
        used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree))?,
        available: bytes(stat.f_bavail)?,
        inodes: (stat.f_files > 0).then(|| (stat.f_files, stat.f_files.saturating_sub(stat.f_ffree))),
        is_read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// What one file system answered.
type SpaceAnswer = io::Result<Option<Space>>;

/// Asks one file system.
type Stat = fn(&Path) -> SpaceAnswer;

/// Every path that some thread of this process is asking for right now, and since when: so that nobody else walks into
/// a mount that holds a thread already.
static ASKED: Mutex<Vec<(PathBuf, Instant)>> = Mutex::new(Vec::new());

/// What is pushed and removed is whole at every moment, so a panic while it was locked does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One round of questions: shared with the thread, so that the answers before a hang are not lost with it.
#[derive(Debug)]
struct Round {
    /// Places in the list of mounts, and where to ask.
    questions: Vec<(usize, PathBuf)>,
    /// Which question the thread is at.
    at: AtomicUsize,
    answers: Mutex<Vec<(usize, SpaceAnswer)>>,
}

impl Round {
    fn ask(&self, stat: Stat) {
        for (number, (place, path)) in self.questions.iter().enumerate() {
            self.at.store(number, Ordering::Relaxed);
            lock(&ASKED).push((path.clone(), Instant::now()));
            let answer = stat(path);
            let mut asked = lock(&ASKED);
            if let Some(own) = asked.iter().position(|(other, _)| other == path) {
                asked.swap_remove(own);
            }
            drop(asked);
            lock(&self.answers).push((*place, answer));
        }
    }

    /// The path that the thread is at.
    fn path(&self) -> Option<&Path> {
        let (_, path) = self.questions.get(self.at.load(Ordering::Relaxed))?;
        Some(path)
    }
}

/// One mount, and what was last heard of it.
struct Member {
    mount: Mount,
    path: PathBuf,
    kept: Kept<Space>,
    /// Why there is nothing new of it, if it was to be asked.
    trouble: Option<String>,
}

/// Asks file systems for their space.
pub(super) struct SpaceReader {
    deadline: Duration,
    stat: Stat,
    worker: Worker<Arc<Round>, ()>,
    /// A thread that was left behind, and the path that it hangs at.
    stuck: Option<(Worker<Arc<Round>, ()>, PathBuf)>,
    round: Option<Arc<Round>>,
    members: Vec<Member>,
}

impl SpaceReader {
    pub(super) fn new(deadline: Duration) -> Self {
        Self::with_stat(deadline, |path| {
            statvfs(path)
                .map(|stat| derive_space(&stat))
                .map_err(io::Error::from)
        })
    }

    fn with_stat(deadline: Duration, stat: Stat) -> Self {
        Self {
            deadline,
            stat,
            worker: new_worker(stat),
            stuck: None,
            round: None,
            members: Vec::new(),
        }
    }

    /// Changes which mounts are asked. What is known of those that stay is kept.
    pub(super) fn set_mounts(&mut self, root: &HostRoot, mounts: &[Mount]) {
        // Answers that are still to come are for the old list.
        self.round = None;
        let mut before = std::mem::take(&mut self.members);
        let members =
            mounts.iter().map(
                |mount| match before.iter().position(|member| member.mount == *mount) {
                    Some(at) => before.swap_remove(at),
                    None => Member {
                        path: root.host_path(&mount.mount_point),
                        mount: mount.clone(),
                        kept: Kept::default(),
                        trouble: None,
                    },
                },
            );
        self.members = members.collect();
    }

    /// Asks, so that the file systems work while others are read: local ones first.
    pub(super) fn start(&mut self) {
        self.round = None;
        if self.stuck.as_mut().is_some_and(|(worker, _)| worker.is_idle()) {
            self.stuck = None;
        }
        let now = Instant::now();
        let held: Vec<PathBuf> = lock(&ASKED)
            .iter()
            .filter(|(_, since)| now.saturating_duration_since(*since) >= self.deadline)
            .map(|(path, _)| path.clone())
            .collect();
        let mut questions = Vec::with_capacity(self.members.len());
        for is_remote in [false, true] {
            for (place, member) in self.members.iter_mut().enumerate() {
                if member.mount.is_remote() != is_remote {
                    continue;
                }
                let is_stuck_here = self.stuck.as_ref().is_some_and(|(_, path)| *path == member.path);
                member.trouble = if is_stuck_here || held.contains(&member.path) {
                    Some(format!(
                        "no answer within {} ms, and none since",
                        self.deadline.as_millis()
                    ))
                } else if let Some((_, path)) = self.stuck.as_ref().filter(|_| is_remote) {
                    Some(format!("not asked while {} hangs", path.display()))
                } else {
                    questions.push((place, member.path.clone()));
                    None
                };
            }
        }
        if questions.is_empty() {
            return;
        }
        let round = Arc::new(Round {
            questions,
            at: AtomicUsize::new(0),
            answers: Mutex::default(),
        });
        match self.worker.start(Arc::clone(&round)) {
            Ok(()) => self.round = Some(round),
            Err(error) => {
                self.leave_unanswered(&round, &format!("not asked: an earlier question has {error}"));
            }
        }
    }

    /// Takes the answers, waiting for them until `until`.
    pub(super) fn finish(&mut self, until: Instant) {
        let Some(round) = self.round.take() else {
            return;
        };
        let finished = self.worker.finish(until);
        let now = Instant::now();
        let mut is_answered = vec![false; self.members.len()];
        for (place, answer) in lock(&round.answers).drain(..) {
            is_answered[place] = true;
            let member = &mut self.members[place];
            match answer {
                Ok(Some(space)) => member.kept.set(now, space),
                Ok(None) => member.kept = Kept::default(),
                Err(error) => {
                    member.kept = Kept::default();
                    member.trouble = Some(error.to_string());
                }
            }
        }
        let Err(error) = finished else { return };
        let hung = round.path().unwrap_or(Path::new("")).to_owned();
        for (place, path) in &round.questions {
            if !is_answered[*place] {
                self.members[*place].trouble = Some(match error {
                    NoAnswer::Late if *path == hung => {
                        format!("no answer within {} ms", self.deadline.as_millis())
                    }
                    NoAnswer::Late => format!("no time left after {}", hung.display()),
                    NoAnswer::Ended => "the thread that asks ended; it is started anew".to_owned(),
                });
            }
        }
        if error == NoAnswer::Late && self.stuck.is_none() {
            let stuck = std::mem::replace(&mut self.worker, new_worker(self.stat));
            self.stuck = Some((stuck, hung));
        }
    }

    /// What is known of each mount at `now`: figures that are at most ten seconds old; and of those that could not be
    /// read anew, why, and how old the last good reading is.
    pub(super) fn known(&self, now: Instant) -> impl Iterator<Item = Known<'_>> {
        self.members.iter().map(move |member| Known {
            space: member.kept.young(now).map(|(space, _)| *space),
            trouble: member.trouble.as_deref(),
            age: member.trouble.is_some().then(|| member.kept.age(now)).flatten(),
        })
    }

    fn leave_unanswered(&mut self, round: &Round, reason: &str) {
        for (place, _) in &round.questions {
            self.members[*place].trouble = Some(reason.to_owned());
        }
    }
}

/// What is known of one mount.
pub(super) struct Known<'a> {
    pub(super) space: Option<Space>,
    pub(super) trouble: Option<&'a str>,
    pub(super) age: Option<Duration>,
}

fn new_worker(stat: Stat) -> Worker<Arc<Round>, ()> {
    Worker::new("collect-space", move || move |round: Arc<Round>| round.ask(stat))
}

#[cfg(test)]
mod tests;
