//! Space of file systems: `filesystem`. Which are mounted comes from `mounts`, the figures from `statvfs`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use super::space::{Answer, SpaceReader};
use super::tree::Tree;
use super::{NoData, Outcome};
use crate::exposition::text::FamilyKind::Gauge;
use crate::exposition::text::{Exposition, render_labels};
use crate::linux::scan::{fields, lines, text};
use crate::privacy::Privacy;

/// Kinds of file systems without space of their own.
const LEFT_OUT_KINDS: [&str; 24] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];
/// Directories with mounts that are nobody's data, themselves and below.
const LEFT_OUT: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Directories below which it is only mounts one step down that are nobody's data.
const LEFT_OUT_BELOW: [&str; 3] = [
    "/run/credentials",
    "/var/lib/docker",
    "/var/lib/containers/storage",
];

/// One mount with the labels of its series.
struct Mount {
    mount_point: String,
    labels: String,
}

/// Reads the space of file systems, and remembers those that do not answer.
pub(super) struct FileSystems(SpaceReader);

impl FileSystems {
    pub(super) fn new(deadline: Duration) -> Self {
        Self(SpaceReader::new(deadline))
    }

    /// A file system that does not answer in time has `node_filesystem_device_error` 1 and nothing else, until it does.
    pub(super) fn write(&mut self, tree: &mut Tree, out: &mut Exposition) -> Outcome {
        let mounts = read_mounts(tree)?;
        let paths: Vec<PathBuf> = mounts
            .iter()
            .map(|mount| tree.root.host_path(&mount.mount_point))
            .collect();
        let answers = self.0.read(&paths);
        let mut family = |name: &str, help: &str, value: &dyn Fn(&Answer) -> Option<f64>| {
            let mut family = out.family(name, Gauge, help);
            for (mount, answer) in mounts.iter().zip(&answers) {
                if let Some(value) = value(answer) {
                    family.rendered(&mount.labels, value);
                }
            }
        };
        let bytes = |blocks: fn(&rustix::fs::StatVfs) -> u64| {
            move |answer: &Answer| {
                let stat = answer.as_ref()?;
                Some(blocks(stat) as f64 * stat.f_frsize as f64)
            }
        };
        family(
            "node_filesystem_avail_bytes",
            "Filesystem space available to non-root users in bytes.",
            &bytes(|stat| stat.f_bavail),
        );
        family(
            "node_filesystem_device_error",
            "Whether an error occurred while getting statistics for the given device.",
            &|answer| Some(f64::from(u8::from(answer.is_none()))),
        );
        family(
            "node_filesystem_files",
            "Filesystem total file nodes.",
            &|answer| answer.as_ref().map(|stat| stat.f_files as f64),
        );
        family(
            "node_filesystem_files_free",
            "Filesystem total free file nodes.",
            &|answer| answer.as_ref().map(|stat| stat.f_ffree as f64),
        );
        family(
            "node_filesystem_free_bytes",
            "Filesystem free space in bytes.",
            &bytes(|stat| stat.f_bfree),
        );
        family(
            "node_filesystem_readonly",
            "Filesystem read-only status.",
            &|answer| {
                let flags = answer.as_ref()?.f_flag;
                Some(f64::from(u8::from(
                    flags.contains(rustix::fs::StatVfsMountFlags::RDONLY),
                )))
            },
        );
        family(
            "node_filesystem_size_bytes",
            "Filesystem size in bytes.",
            &bytes(|stat| stat.f_blocks),
        );
        Ok(())
    }
}

/// The mounts that dashboards expect, each device on each mount point once.
fn read_mounts(tree: &mut Tree) -> Result<Vec<Mount>, NoData> {
    // Process 1 knows the host's mounts; without the right to ask it, those that are seen from here must do.
    let (prefix, own) = match tree.read("proc/1/mounts") {
        Ok(_) => (String::new(), false),
        Err(_) => (
            tree.root
                .path("")
                .to_string_lossy()
                .trim_end_matches('/')
                .to_owned(),
            true,
        ),
    };
    let privacy = tree.privacy.clone();
    let mounts = tree.read(if own { "proc/self/mounts" } else { "proc/1/mounts" })?;
    let mut seen = HashSet::new();
    Ok(lines(mounts)
        .filter_map(|line| parse_mount(line, &prefix, &privacy))
        .filter(|mount| seen.insert(mount.labels.clone()))
        .collect())
}

/// `/dev/sda1 /mount/point ext4 rw,relatime 0 0`
fn parse_mount(line: &[u8], prefix: &str, privacy: &Privacy) -> Option<Mount> {
    let mut fields = fields(line).map(text);
    let [mut device, mount_point, kind] = [fields.next()?, fields.next()?, fields.next()?];
    let mount_point = mount_point.replace("\\040", " ").replace("\\011", "\t");
    let mount_point = match mount_point.strip_prefix(prefix)? {
        "" => "/",
        below if below.starts_with('/') => below,
        _ => return None,
    };
    if is_left_out(mount_point) || LEFT_OUT_KINDS.contains(&&*kind) {
        return None;
    }
    privacy.treat_device(&mut device);
    Some(Mount {
        labels: render_labels(&[
            ("device", &device),
            ("fstype", &kind),
            ("mountpoint", mount_point),
        ]),
        mount_point: mount_point.to_owned(),
    })
}

/// `^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`
fn is_left_out(mount_point: &str) -> bool {
    let below = |directory: &&str| mount_point.strip_prefix(*directory);
    LEFT_OUT
        .iter()
        .filter_map(below)
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
        || LEFT_OUT_BELOW
            .iter()
            .filter_map(below)
            .any(|rest| rest.starts_with('/') && rest.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_nobody_s_data_are_left_out() {
        let shown =
            |line: &str| parse_mount(line.as_bytes(), "", &Privacy::default()).map(|mount| mount.mount_point);
        assert_eq!(shown("/dev/sda1 / ext4 rw 0 0").as_deref(), Some("/"));
        assert_eq!(
            shown(r"nas:/a /mnt/my\040data nfs4 rw 0 0").as_deref(),
            Some("/mnt/my data")
        );
        assert_eq!(shown("tmpfs /devices tmpfs rw 0 0").as_deref(), Some("/devices"));
        assert_eq!(
            shown("tmpfs /var/lib/docker tmpfs rw 0 0").as_deref(),
            Some("/var/lib/docker")
        );
        for line in [
            "tmpfs /dev/shm tmpfs rw 0 0",
            "ext4 /sys ext4 rw 0 0",
            "ramfs /run/credentials/a.service ramfs ro 0 0",
            "/dev/sdb /var/lib/docker/x ext4 rw 0 0",
            "overlay / overlay rw 0 0",
            "short",
        ] {
            assert_eq!(shown(line), None, "{line}");
        }
    }

    #[test]
    fn the_place_where_the_host_is_seen_is_not_part_of_its_mount_points() {
        let seen = |line: &str| {
            parse_mount(line.as_bytes(), "/host", &Privacy::default()).map(|mount| mount.mount_point)
        };
        assert_eq!(seen("/dev/sda1 /host ext4 rw 0 0").as_deref(), Some("/"));
        assert_eq!(seen("/dev/sda2 /host/home ext4 rw 0 0").as_deref(), Some("/home"));
        assert_eq!(seen("/dev/sda3 /hostile ext4 rw 0 0"), None);
        assert_eq!(seen("/dev/sda3 /etc/hosts ext4 rw 0 0"), None);
    }
}
