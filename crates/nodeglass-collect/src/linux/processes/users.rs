//! Names of users: the host's `etc/passwd`, read again when it changes.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::linux::host_root::HostRoot;
use crate::linux::scan::{lines, parse_number, text};

/// How often the file is looked at for a change.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A file of users that is longer than any that people keep is left alone.
const LONGEST: u64 = 16 << 20;

/// The users of the host. Those of a directory service are not in its file and have numbers only.
pub(super) struct Users {
    path: PathBuf,
    names: HashMap<u32, String>,
    looked_at: Option<Instant>,
    changed_at: Option<SystemTime>,
}

impl Users {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            path: root.path("etc/passwd"),
            names: HashMap::new(),
            looked_at: None,
            changed_at: None,
        }
    }

    /// A user's name, or the number where it has none.
    pub(super) fn name(&mut self, uid: u32, now: Instant) -> String {
        self.refresh(now);
        self.names.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    fn refresh(&mut self, now: Instant) {
        let is_due = |at: Instant| now.saturating_duration_since(at) >= LOOK_AGAIN;
        if !self.looked_at.is_none_or(is_due) {
            return;
        }
        self.looked_at = Some(now);
        let changed_at = fs::metadata(&self.path)
            .ok()
            .filter(|file| file.is_file() && file.len() <= LONGEST)
            .and_then(|file| file.modified().ok());
        if changed_at != self.changed_at {
            self.changed_at = changed_at;
            let passwd = changed_at.and_then(|_| fs::read(&self.path).ok());
            self.names = parse_passwd(&passwd.unwrap_or_default());
        }
    }
}

/// Names by number; of several names for a number the first counts.
fn parse_passwd(passwd: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in lines(passwd) {
        let mut fields = line.split(|byte| *byte == b':');
        if let (Some(name), Some(_), Some(uid)) = (fields.next(), fields.next(), fields.next())
            && !name.is_empty()
            && let Some(uid) = parse_number(uid).and_then(|uid| uid.try_into().ok())
        {
            names.entry(uid).or_insert_with(|| text(name));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_unknown_users_have_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let root = HostRoot::new(directory.path());
        let mut users = Users::new(&root);
        let start = Instant::now();
        assert_eq!(users.name(33, start), "33", "no file");
        fs::create_dir(directory.path().join("etc")).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/x\nwww2:x:33:33::/:/x\nbad:x:y\n+\n";
        fs::write(root.path("etc/passwd"), passwd).unwrap();
        assert_eq!(users.name(33, start), "33", "looked at a moment ago");
        let later = start + LOOK_AGAIN;
        assert_eq!(users.name(33, later), "www-data");
        assert_eq!(users.name(0, later), "root");
        assert_eq!(users.name(4_000_000_000, later), "4000000000");
    }
}
