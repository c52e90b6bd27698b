//! Which devices are left out: by name, and by number where there are too many.

/// More devices of one kind than this say little to a person and cost much to keep.
const DEFAULT_MOST: usize = 256;

/// Which devices are left out. Patterns match whole names; `*` stands for any characters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFilters {
    /// Network interfaces. As a default the host's ends of containers' and virtual machines' interfaces, and the
    /// bridges between them: they come and go by the hundred, and what leaves the host is seen on its own interfaces.
    /// `lo` is shown, as everywhere else.
    pub exclude_interfaces: Vec<String>,
    /// Block devices by their kernel names. As a default devices in memory, images, and drives for removable media. A
    /// file system on such a device is shown without its I/O.
    pub exclude_disks: Vec<String>,
    /// Types of file systems. As a default images, and FUSE file systems that only control or show something. File
    /// systems without a disk or a server behind them (`tmpfs`, `proc`) are never shown, and an `overlay` only where
    /// it is all there is at `/`, as in a container.
    pub exclude_filesystems: Vec<String>,
    /// Mount points. As a default the files that container engines mount from the host's disk into every container.
    pub exclude_mounts: Vec<String>,
    /// How many mounts and block devices are shown together; mounts come first.
    pub max_disks: usize,
    /// How many network interfaces are shown.
    pub max_interfaces: usize,
    /// How many temperature sensors, fans, power meters and batteries are shown, of each.
    pub max_sensors: usize,
    /// How many failed units are shown.
    pub max_units: usize,
}

impl Default for DeviceFilters {
    fn default() -> Self {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Self {
            exclude_interfaces: owned(&[
                "veth*", "docker*", "br-*", "podman*", "cni*", "flannel*", "cali*", "lxc*", "lxd*", "virbr*",
                "vnet*",
            ]),
            exclude_disks: owned(&["loop*", "ram*", "zram*", "fd?", "sr?", "sr??"]),
            exclude_filesystems: owned(&[
                "squashfs",
                "erofs",
                "iso9660",
                "udf",
                "cramfs",
                "fuse.gvfsd-fuse",
                "fuse.lxcfs",
                "fuse.portal",
                "fuse.snapfuse",
                "fuse.vmware-vmblock",
                "fuse.dumpfs",
            ]),
            exclude_mounts: owned(&[
                "/etc/hostname",
                "/etc/hosts",
                "/etc/resolv.conf",
                "/dev/termination-log",
            ]),
            max_disks: DEFAULT_MOST,
            max_interfaces: DEFAULT_MOST,
            max_sensors: DEFAULT_MOST,
            max_units: DEFAULT_MOST,
        }
    }
}

/// Whether a name fits any of the patterns.
pub(crate) fn fits_any(patterns: &[String], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| fits(pattern.as_bytes(), name))
}

/// Whether a whole name fits a pattern of `*`, `?` and plain characters. Takes time in proportion to both lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where to go on if the last star has to stand for one character more.
    let mut retry = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, from));
                at += 1;
            }
            Some(character) if *character == b'?' || *character == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match &mut retry {
                Some((after_star, start)) => {
                    *start += 1;
                    (at, from) = (*after_star, *start);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|character| *character == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name) in [
            ("veth*", "veth1a2b"),
            ("veth*", "veth"),
            ("*", ""),
            ("sr?", "sr0"),
            ("/var/lib/*/merged", "/var/lib/docker/overlay2/x/merged"),
            ("a*b*c", "aXbYbZc"),
        ] {
            assert!(fits(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("veth", "veth0"),
            ("eth*", "veth0"),
            ("sr?", "sr"),
            ("sr?", "sr10"),
            ("", "x"),
            ("a*b", "abc"),
        ] {
            assert!(!fits(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn defaults_leave_out_what_containers_bring_and_keep_what_is_real() {
        let filters = DeviceFilters::default();
        for interface in [
            "veth12",
            "docker0",
            "br-5d1e",
            "cni0",
            "flannel.1",
            "cali9",
            "virbr0",
        ] {
            assert!(
                fits_any(&filters.exclude_interfaces, interface.as_bytes()),
                "{interface}"
            );
        }
        for interface in ["lo", "eth0", "enp3s0", "wlan0", "br0", "bond0", "eth0.100", "wg0"] {
            assert!(
                !fits_any(&filters.exclude_interfaces, interface.as_bytes()),
                "{interface}"
            );
        }
        for disk in ["loop0", "ram15", "zram0", "fd0", "sr0", "sr10"] {
            assert!(fits_any(&filters.exclude_disks, disk.as_bytes()), "{disk}");
        }
        for disk in ["sda", "sdr", "srvdisk", "nvme0n1", "dm-0", "md127", "vda1"] {
            assert!(!fits_any(&filters.exclude_disks, disk.as_bytes()), "{disk}");
        }
    }

    /// The definition, slow and plain.
    fn fits_slowly(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => fits_slowly(rest, name),
            (Some((b'*', rest)), Some((_, tail))) => fits_slowly(rest, name) || fits_slowly(pattern, tail),
            (Some((b'?', rest)), Some((_, tail))) => fits_slowly(rest, tail),
            (Some((a, rest)), Some((b, tail))) => a == b && fits_slowly(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn as_the_definition_says(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                fits_slowly(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
