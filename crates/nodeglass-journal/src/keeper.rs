//! The journal's own thread: what may take long, or hang, and must not hold sampling up: pushing written bytes down to
//! the disk, and packing closed segments.

use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tracing::warn;

use crate::journal::Shared;
use crate::pack;

/// Jobs that wait. When the disk hangs, more syncs would say nothing new, and packing is tried again after a restart.
const JOBS: usize = 64;

/// How long an end waits for the jobs that are left. A disk that hangs must not keep the agent from ending.
const LAST_JOBS: Duration = Duration::from_secs(3);

/// What the thread does.
#[derive(Debug)]
pub(crate) enum Job {
    /// Push what was written to a file, or to a directory, down to the disk.
    Sync(Arc<File>),
    /// The same for a directory's entries.
    SyncDirectory(PathBuf),
    /// Turn a closed segment's records into chunks.
    Pack(u64),
}

/// A hold of the thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: Option<SyncSender<Job>>,
    /// Closed when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Keeper {
    /// Starts the thread. Without one (the system has no more threads) the journal works, unpacked and synced by the
    /// system alone.
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let (jobs, inbox) = sync_channel(JOBS);
        let (running, ended) = sync_channel(0);
        let shared: Weak<Shared> = Arc::downgrade(shared);
        let spawned = thread::Builder::new().name("journal".to_owned()).spawn(move || {
            let _running: SyncSender<()> = running;
            let mut packer = pack::Packer::new();
            for job in inbox {
                match job {
                    Job::Sync(file) => sync(&file),
                    Job::SyncDirectory(path) => {
                        if let Ok(directory) = File::open(path) {
                            sync(&directory);
                        }
                    }
                    Job::Pack(number) => {
                        if let Some(shared) = shared.upgrade() {
                            packer.pack(&shared, number);
                            give_back();
                        }
                    }
                }
            }
        });
        let jobs = match spawned {
            Ok(_) => Some(jobs),
            Err(error) => {
                warn!(%error, "the journal has no thread: it is neither packed nor synced");
                None
            }
        };
        Self {
            jobs,
            ended: Mutex::new(ended),
        }
    }

    /// Hands a job over; it is let go if too many wait.
    pub(crate) fn hand(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            match jobs.try_send(job) {
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        // Nothing is ever sent: the answer is that the other side is gone.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(LAST_JOBS);
    }
}

/// Gives memory that is free back to the system. Packing takes some megabytes for a moment, and the C library would keep
/// them for the next time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back() {
    #[expect(unsafe_code, reason = "no safe binding has this function")]
    // SAFETY: it takes no pointer, and may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

fn sync(file: &File) {
    if let Err(error) = file.sync_data() {
        warn!(%error, "the journal could not be pushed down to the disk: samples are at risk if the power fails");
    }
}
