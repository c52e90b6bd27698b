//! How block devices lie upon each other, and what they are made of: `/sys/block`.

use super::host_root::HostRoot;

/// Layers of device mapper, RAID and partitions are looked through this far; deeper stacks are broken ones.
const DEEPEST: usize = 8;

/// Disks whose host decides what they are; what the guest's kernel says of them is a guess.
const VIRTUAL: [&str; 2] = ["vd", "xvd"];

/// The kernel name of the device that `name` is a part of (`sda` of `sda1`) or lies upon (the first of the devices
/// under a `dm-0` or `md0`). `None` for a whole disk.
pub(super) fn read_parent(root: &HostRoot, name: &str) -> Option<String> {
    let own = format!("sys/block/{name}");
    if root.exists(&own) {
        return root.list(&format!("{own}/slaves")).into_iter().next();
    }
    let disks = root.list("sys/block");
    disks.into_iter().find(|disk| {
        let is_longer = name.len() > disk.len() && name.starts_with(disk.as_str());
        is_longer && root.exists(&format!("sys/block/{disk}/{name}"))
    })
}

/// The name that device mapper shows in `/dev/mapper`. `None` for other devices.
pub(super) fn read_mapper_name(root: &HostRoot, name: &str) -> Option<String> {
    root.read_text(&format!("sys/block/{name}/dm/name"))
}

/// `NVMe`, `SSD` or `HDD` for the disk under a device; `None` where only the hypervisor knows.
pub(super) fn read_disk_type(root: &HostRoot, name: &str) -> Option<String> {
    let mut disk = name.to_owned();
    for _ in 0..DEEPEST {
        match read_parent(root, &disk) {
            Some(parent) => disk = parent,
            None => break,
        }
    }
    if disk.starts_with("nvme") {
        return Some("NVMe".to_owned());
    }
    if VIRTUAL.iter().any(|prefix| disk.starts_with(prefix)) {
        return None;
    }
    let kind = match root.read_number(&format!("sys/block/{disk}/queue/rotational"))? {
        0 => "SSD",
        _ => "HDD",
    };
    Some(kind.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn parents_and_kinds_of_the_composed_server() {
        let root = HostRoot::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/composed-server"));
        let parent = |name: &str| read_parent(&root, name);
        assert_eq!(parent("sda"), None);
        assert_eq!(parent("sda1").as_deref(), Some("sda"));
        assert_eq!(parent("nvme0n1p1").as_deref(), Some("nvme0n1"));
        assert_eq!(parent("dm-0").as_deref(), Some("sda2"));
        assert_eq!(parent("unknown"), None);
        assert_eq!(read_mapper_name(&root, "dm-0").as_deref(), Some("vg0-root"));
        assert_eq!(
            read_disk_type(&root, "dm-0").as_deref(),
            Some("HDD"),
            "through sda2 to sda"
        );
        assert_eq!(read_disk_type(&root, "nvme0n1p1").as_deref(), Some("NVMe"));
        assert_eq!(read_disk_type(&root, "vda"), None);
    }
}
