use std::path::Path;

use proptest::prelude::*;

use super::*;

fn select(mountinfo: &str) -> Vec<(String, String)> {
    select_mounts(parse_mountinfo(mountinfo.as_bytes()), &DeviceFilters::default())
        .into_iter()
        .map(|mount| (mount.source, mount.mount_point))
        .collect()
}

fn pair(source: &str, mount_point: &str) -> (String, String) {
    (source.to_owned(), mount_point.to_owned())
}

#[test]
fn the_capture_has_one_real_file_system() {
    let mounts = select(include_str!(
        "../../../fixtures/linux-6.18-kvm/t0/proc/1/mountinfo"
    ));
    assert_eq!(mounts, [pair("/dev/vda", "/")]);
}

#[test]
fn the_composed_server_has_its_disks_and_its_network_mount() {
    let mounts = select(include_str!("../../../fixtures/composed-server/proc/1/mountinfo"));
    assert_eq!(
        mounts,
        [
            pair("/dev/mapper/vg0-root", "/"),
            pair("/dev/sda1", "/boot"),
            pair("/dev/nvme0n1p1", "/srv/my data"),
            pair("nas:/export", "/mnt/nas"),
        ]
    );
}

#[test]
fn a_file_system_mounted_many_times_counts_once() {
    // A bind mount of a directory, the whole, and the whole again at a longer path.
    let text = "\
        1 0 8:1 /var/lib/x /a rw - ext4 /dev/sda1 rw\n\
        2 0 8:1 / /srv rw shared:1 master:2 - ext4 /dev/sda1 rw\n\
        3 0 8:1 / /srv/again rw - ext4 /dev/sda1 rw\n";
    assert_eq!(select(text), [pair("/dev/sda1", "/srv")]);
}

#[test]
fn the_root_of_the_host_wins_over_the_root_of_the_file_system() {
    let text = "1 0 0:30 /@ / rw - btrfs /dev/sda2 rw\n2 0 0:30 / /mnt/pool rw - btrfs /dev/sda2 rw\n";
    assert_eq!(select(text), [pair("/dev/sda2", "/")]);
}

#[test]
fn of_mounts_over_each_other_the_last_is_seen() {
    let text = "1 0 8:1 / /mnt rw - ext4 /dev/sda1 rw\n2 0 8:2 / /mnt rw - xfs /dev/sda2 rw\n";
    assert_eq!(select(text), [pair("/dev/sda2", "/mnt")]);
}

#[test]
fn an_overlay_counts_in_a_container_only() {
    let container = "\
        1 0 0:50 / / rw - overlay overlay rw\n\
        2 1 8:1 /docker/c/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n";
    assert_eq!(select(container), [pair("overlay", "/")]);
    let host =
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:50 / /var/lib/docker/o/merged rw - overlay overlay rw\n";
    assert_eq!(select(host), [pair("/dev/sda1", "/")]);
}

#[test]
fn fuse_holds_data_or_controls() {
    let text = "\
        1 0 0:40 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n\
        2 0 0:41 / /run/user/1000/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw\n\
        3 0 0:42 / /remote rw - fuse.sshfs me@host:/ rw\n\
        4 0 7:0 / /snap/x ro - squashfs /dev/loop0 ro\n";
    assert_eq!(select(text), [pair("me@host:/", "/remote")]);
}

#[test]
fn types_and_mount_points_can_be_left_out() {
    let text = "\
        1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
        2 0 8:2 / /scratch/a rw - xfs /dev/sda2 rw\n\
        3 0 8:3 / /srv rw - xfs /dev/sda3 rw\n";
    let filtered = |types: &[&str], points: &[&str]| {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let filters = DeviceFilters {
            exclude_filesystems: owned(types),
            exclude_mounts: owned(points),
            ..DeviceFilters::default()
        };
        select_mounts(parse_mountinfo(text.as_bytes()), &filters).len()
    };
    assert_eq!(
        (
            filtered(&[], &[]),
            filtered(&["xfs"], &[]),
            filtered(&[], &["/scratch/*"])
        ),
        (3, 1, 2)
    );
}

#[test]
fn escapes_are_octal() {
    assert_eq!(decode(br"/a\040b\134c"), r"/a b\c");
    assert_eq!(decode(br"/a\04"), r"/a\04");
    assert_eq!(decode(br"\777"), r"\777");
}

#[test]
fn without_process_one_the_mounts_under_the_host_root_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_str().unwrap();
    std::fs::create_dir_all(directory.path().join("proc/self")).unwrap();
    let text = format!(
        "1 0 0:50 / / rw - overlay overlay rw\n\
         2 1 8:1 / {root} rw - ext4 /dev/sda1 rw\n\
         3 1 8:2 / {root}/home rw - ext4 /dev/sda2 rw\n\
         4 1 8:3 / /data rw - ext4 /dev/sda3 rw\n"
    );
    std::fs::write(directory.path().join("proc/self/mountinfo"), text).unwrap();
    let mounts = read_mounts(&HostRoot::new(directory.path()), &DeviceFilters::default()).unwrap();
    let points: Vec<&str> = mounts.iter().map(|mount| mount.mount_point.as_str()).collect();
    assert_eq!(points, ["/", "/home"], "/data is the container's own");
}

#[test]
fn the_list_is_read_anew_when_it_is_old() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/linux-6.18-kvm/t0");
    let mut list = MountList::new(&HostRoot::new(&root), &DeviceFilters::default());
    let now = Instant::now();
    assert!(list.read_if_changed(now).is_some());
    assert!(list.read_if_changed(now + Duration::from_secs(1)).is_none());
    assert!(list.read_if_changed(now + LIST_AGE).is_some());
}

proptest! {
    #[test]
    fn any_text_can_be_parsed(text: Vec<u8>) {
        let text = [b"1 0 8:1 / /\\04", &text[..], b" rw - ext4 ", &text[..]].concat();
        select_mounts(parse_mountinfo(&text), &DeviceFilters::default());
    }
}
