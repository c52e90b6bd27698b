//! The user that PostgreSQL runs as.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// Whom PostgreSQL runs as; it refuses root.
#[derive(Debug, Clone, Copy)]
pub(super) enum User {
    Myself,
    Other { uid: u32, gid: u32 },
}

impl User {
    /// Whoever runs this, unless that is root.
    ///
    /// # Errors
    /// There is nobody else.
    pub(super) fn unprivileged() -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Myself);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("can't read /etc/passwd")?;
        let find = |name: &str| {
            let fields: Vec<&str> = passwd
                .lines()
                .map(|line| line.split(':').collect::<Vec<_>>())
                .find(|fields| fields[0] == name)?;
            Some(Self::Other {
                uid: fields.get(2)?.parse().ok()?,
                gid: fields.get(3)?.parse().ok()?,
            })
        };
        find("postgres")
            .or_else(|| find("nobody"))
            .context("PostgreSQL can't run as root, and there is neither a user postgres nor nobody")
    }

    /// Gives a directory to this user, and to nobody else.
    pub(super) fn own(self, directory: &Path) -> anyhow::Result<()> {
        if let Self::Other { uid, gid } = self {
            chown(directory, Some(uid), Some(gid))?;
        }
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        Ok(())
    }

    /// Has a program run as this user.
    pub(super) fn become_it(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }
}
