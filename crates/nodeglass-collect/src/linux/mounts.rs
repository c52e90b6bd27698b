//! Which file systems are mounted, and which of them are worth showing: `mountinfo`.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::host_root::HostRoot;
use super::scan::{fields, lines, parse_number, text};
use crate::filters::{DeviceFilters, fits_any};

/// File systems without a block device number of their own that hold real data.
const WITHOUT_BLOCK_DEVICE: [&str; 17] = [
    "9p",
    "afs",
    "bcachefs",
    "beegfs",
    "btrfs",
    "ceph",
    "cifs",
    "gfs2",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "ubifs",
    "virtiofs",
    "zfs",
];

/// File systems that ask a server, and so hang when it is gone.
const NETWORK: [&str; 10] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
];

/// How long a mount list is used where the kernel does not tell of changes.
const LIST_AGE: Duration = Duration::from_secs(30);

/// A block device's number; file systems without a block device have major 0.
pub(super) type DeviceNumber = (u32, u32);

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "a mount point is the term for it")]
pub(super) struct Mount {
    pub(super) device_number: DeviceNumber,
    /// What of the file system is mounted: `/`, or a directory in it.
    pub(super) root: String,
    pub(super) mount_point: String,
    pub(super) filesystem: String,
    /// What was mounted: `/dev/sda1`, `nas:/export`.
    pub(super) source: String,
}

impl Mount {
    /// Whether its space has to be asked of a server, or of a program that may have stopped.
    pub(super) fn is_remote(&self) -> bool {
        NETWORK.contains(&self.filesystem.as_str()) || self.filesystem.starts_with("fuse")
    }
}

/// The host's mounts, read anew when they change.
pub(super) struct MountList {
    root: HostRoot,
    filters: DeviceFilters,
    watched: Option<File>,
    read_at: Option<Instant>,
}

impl MountList {
    pub(super) fn new(root: &HostRoot, filters: &DeviceFilters) -> Self {
        Self {
            root: root.clone(),
            filters: filters.clone(),
            watched: None,
            read_at: None,
        }
    }

    /// The mounts worth showing, if they changed since the last call or were read long ago; else `None`.
    pub(super) fn read_if_changed(&mut self, now: Instant) -> Option<io::Result<Vec<Mount>>> {
        let is_fresh = self
            .read_at
            .is_some_and(|at| now.saturating_duration_since(at) < LIST_AGE);
        if is_fresh && !self.watched.as_ref().is_some_and(has_changed) {
            return None;
        }
        self.read_at = Some(now);
        let (path, _) = mountinfo_path(&self.root);
        self.watched = File::open(path).ok();
        let mounts = read_mounts(&self.root, &self.filters);
        if mounts.is_err() {
            self.read_at = None;
        }
        Some(mounts)
    }
}

/// The host's mounts worth showing.
pub(super) fn read_mounts(root: &HostRoot, filters: &DeviceFilters) -> io::Result<Vec<Mount>> {
    let (path, seen_from_here) = mountinfo_path(root);
    let mut mounts = parse_mountinfo(&fs::read(path)?);
    if seen_from_here {
        let prefix = root.path("").to_string_lossy().trim_end_matches('/').to_owned();
        mounts.retain_mut(|mount| match mount.mount_point.strip_prefix(&prefix) {
            Some("") => {
                "/".clone_into(&mut mount.mount_point);
                true
            }
            Some(rest) if rest.starts_with('/') => {
                mount.mount_point = rest.to_owned();
                true
            }
            _ => false,
        });
    }
    Ok(select_mounts(mounts, filters))
}

/// The file to read, and whether its mount points begin with the host root. Under another root process 1 knows the
/// host's mounts; without the right to ask it, those that are seen through the host root must do.
fn mountinfo_path(root: &HostRoot) -> (PathBuf, bool) {
    let of_init = root.path("proc/1/mountinfo");
    if root.is_own() {
        (root.path("proc/self/mountinfo"), false)
    } else if File::open(&of_init).is_ok() {
        (of_init, false)
    } else {
        (root.path("proc/self/mountinfo"), true)
    }
}

/// The kernel marks an open mountinfo with a priority event when mounts change.
fn has_changed(mountinfo: &File) -> bool {
    let mut polled = [PollFd::new(mountinfo, PollFlags::PRI)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
        && polled[0].revents().contains(PollFlags::PRI)
}

fn parse_mountinfo(mountinfo: &[u8]) -> Vec<Mount> {
    lines(mountinfo).filter_map(parse_mount).collect()
}

/// `36 35 98:0 /root /mount/point options [tags ...] - type source super-options`
fn parse_mount(line: &[u8]) -> Option<Mount> {
    let mut fields = fields(line).skip(2);
    let number = fields.next()?;
    let colon = number.iter().position(|byte| *byte == b':')?;
    let device_number = (
        u32::try_from(parse_number(&number[..colon])?).ok()?,
        u32::try_from(parse_number(&number[colon + 1..])?).ok()?,
    );
    let root = decode(fields.next()?);
    let mount_point = decode(fields.next()?);
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    Some(Mount {
        device_number,
        root,
        mount_point,
        filesystem: text(rest.next()?),
        source: decode(rest.next()?),
    })
}

/// Undoes the kernel's octal escapes of white space and backslashes: `\040` is a space.
fn decode(field: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) = (byte, after) {
            decoded.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
            rest = after;
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    text(&decoded)
}

/// Whether there is a disk, a server or a program behind a mount.
fn is_real(mount: &Mount) -> bool {
    let filesystem = mount.filesystem.as_str();
    mount.device_number.0 != 0
        || WITHOUT_BLOCK_DEVICE.contains(&filesystem)
        || filesystem.starts_with("fuse.")
        || filesystem == "fuse"
}

fn is_excluded(mount: &Mount, filters: &DeviceFilters) -> bool {
    fits_any(&filters.exclude_filesystems, mount.filesystem.as_bytes())
        || fits_any(&filters.exclude_mounts, mount.mount_point.as_bytes())
}

/// One mount for each real file system, in the order in which they were mounted.
///
/// Of mounts over each other only the last can be seen. Of several mounts of one file system `/` wins, then a mount
/// of the whole of it, then the shortest path. An overlay counts only if it is all there is at `/`, as in a container.
fn select_mounts(mounts: Vec<Mount>, filters: &DeviceFilters) -> Vec<Mount> {
    let mut selected: Vec<Mount> = Vec::new();
    let mut overlay_root = None;
    for mount in mounts {
        if is_excluded(&mount, filters) {
            continue;
        }
        if mount.filesystem == "overlay" && mount.mount_point == "/" {
            overlay_root = Some(mount);
        } else if is_real(&mount) {
            selected.retain(|other| other.mount_point != mount.mount_point);
            selected.push(mount);
        }
    }
    if !selected.iter().any(|mount| mount.mount_point == "/") {
        selected.extend(overlay_root);
    }
    let rank = |mount: &Mount| {
        (
            mount.mount_point != "/",
            mount.root != "/",
            mount.mount_point.len(),
        )
    };
    let mut kept: Vec<Mount> = Vec::with_capacity(selected.len());
    for mount in selected {
        match kept
            .iter_mut()
            .find(|other| other.device_number == mount.device_number)
        {
            Some(other) if rank(&mount) < rank(other) => *other = mount,
            Some(_) => {}
            None => kept.push(mount),
        }
    }
    kept
}

#[cfg(test)]
mod tests;
