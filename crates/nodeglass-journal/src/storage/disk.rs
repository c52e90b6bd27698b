//! The disk: making files there, and doing without it while it refuses.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use super::{DISK_REST, Storage};
use crate::keeper::Job;
use crate::segment::{Place, file_name};

impl Storage {
    pub(super) fn may_try_disk(&self, at: Instant) -> bool {
        self.lock.is_some() && self.refused.as_ref().is_none_or(|(_, again)| at >= *again)
    }

    /// Puts a segment's first bytes on disk, or else in memory.
    pub(super) fn create(&mut self, number: u64, bytes: Vec<u8>, at: Instant) -> Place {
        let Some(directory) = self.config.directory.clone().filter(|_| self.may_try_disk(at)) else {
            return Place::Memory(bytes);
        };
        let path = directory.join(file_name(number));
        match make(&path, &bytes) {
            Ok(file) => {
                if self.refused.take().is_some() {
                    info!("the journal's disk takes samples again");
                }
                Place::Disk(path, Some(Arc::new(file)))
            }
            Err(error) => {
                self.refuse(&error, at);
                Place::Memory(bytes)
            }
        }
    }

    pub(super) fn refuse(&mut self, error: &io::Error, at: Instant) {
        let reason = if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            no_room()
        } else {
            error.to_string()
        };
        if self.refused.is_none() {
            warn!(
                reason,
                "the journal's disk takes nothing; samples are kept in memory until it does"
            );
        }
        self.refused = Some((reason, at + DISK_REST));
    }

    /// Moves segments from memory to the disk, the oldest first, until it refuses. The open one goes on there.
    pub(super) fn move_to_disk(&mut self, at: Instant) {
        let Some(directory) = self.config.directory.clone().filter(|_| self.lock.is_some()) else {
            return;
        };
        for segment in &mut self.segments {
            let Place::Memory(bytes) = &segment.place else {
                continue;
            };
            let path = directory.join(file_name(segment.number));
            match make(&path, bytes) {
                Ok(file) => {
                    let file = Arc::new(file);
                    self.jobs.push(Job::Sync(file.clone()));
                    let is_open = segment.closed.is_none();
                    if !is_open {
                        self.jobs.push(Job::Pack(segment.number));
                    }
                    segment.place = Place::Disk(path, is_open.then_some(file));
                }
                Err(error) => {
                    self.refuse(&error, at);
                    return;
                }
            }
        }
        self.jobs.push(Job::SyncDirectory(directory));
        if self.refused.take().is_some() {
            info!("the journal's disk takes samples again");
        }
    }
}

/// Makes a file that nobody else can read, and that was not there.
fn make(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path)?;
    if let Err(error) = file.write_all_at(bytes, 0) {
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

pub(super) fn no_room() -> String {
    "no space is left on the journal's disk".to_owned()
}
