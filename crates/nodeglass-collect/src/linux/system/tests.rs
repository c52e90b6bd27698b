use super::*;

const AT: UnixMillis = UnixMillis(1_700_000_000_000);

const ALL: SystemParts = SystemParts {
    hardware: true,
    software: true,
    packages: true,
    network: true,
};

fn read(tree: &str, parts: SystemParts) -> SystemInfo {
    let config = CollectConfig {
        host_root: Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(tree),
        ..CollectConfig::default()
    };
    read_system_info(&config, parts, AT)
}

#[test]
fn describes_the_captured_machine() {
    let info = read("linux-6.18-kvm/t0", ALL);
    let hardware = info.hardware.unwrap();
    assert_eq!(hardware.cpu.model, "Intel(R) Xeon(R) Processor");
    assert_eq!((hardware.core_count, hardware.thread_count), (2, 2));
    assert_eq!(hardware.architecture, "x86_64");
    assert!(hardware.cpu.features.iter().any(|flag| flag == "avx512f"));
    assert_eq!(hardware.cpu.base_frequency_ghz, None);
    assert_eq!(hardware.memory.total_bytes, 25_276_514_304, "24684096 x 1024");
    assert_eq!(hardware.memory.memory_type, None);
    assert_eq!(hardware.disks.len(), 1);
    assert_eq!(hardware.disks[0].device, "/dev/vda");
    assert_eq!(hardware.disks[0].filesystem, "ext4");
    assert_eq!(hardware.disks[0].disk_type, None, "only the hypervisor knows");

    let software = info.software.unwrap();
    assert_eq!(software.os.version, "Debian GNU/Linux 12 (bookworm)");
    assert_eq!(software.os.distribution.as_deref(), Some("debian"));
    assert_eq!(software.os.kernel_version, "6.18.44-fc-v595");
    assert_eq!(software.hostname, "fixture");
    assert_eq!(software.uptime_seconds, Some(2098));
    let packages = software.packages.unwrap();
    assert!(
        packages
            .iter()
            .any(|package| package.name == "apt" && package.version == "2.6.1")
    );

    let interfaces = info.network_interfaces.unwrap();
    let names: Vec<_> = interfaces
        .iter()
        .map(|interface| (interface.name.as_str(), interface.is_up))
        .collect();
    assert_eq!(names, [("eth0", true), ("ifb0", false), ("lo", true)]);
    assert_eq!(interfaces[0].mac_address.as_deref(), Some("02:fc:00:00:00:01"));
    assert_eq!(interfaces[0].speed_mbps, None, "-1");
    assert_eq!(
        interfaces[0].ip_addresses,
        ["192.0.2.2", "fe80::fc:ff:fe00:1", "fd00::2"]
    );
    assert_eq!(interfaces[2].mac_address, None);
    assert_eq!(interfaces[2].ip_addresses, ["127.0.0.1", "::1"]);
}

#[test]
fn leaves_out_what_was_not_asked_for() {
    let info = read("linux-6.18-kvm/t0", SystemParts::default());
    assert!(info.hardware.is_none() && info.software.is_none() && info.network_interfaces.is_none());
    let info = read("linux-6.18-kvm/t0", SystemParts::STANDARD);
    assert!(info.software.unwrap().packages.is_none());
}

#[test]
fn describes_the_disks_of_the_composed_server() {
    let disks = read("composed-server", SystemParts::STANDARD)
        .hardware
        .unwrap()
        .disks;
    let kinds: Vec<_> = disks
        .iter()
        .map(|disk| (disk.device.as_str(), disk.disk_type.as_deref()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("/dev/mapper/vg0-root", Some("HDD")),
            ("/dev/sda1", Some("HDD")),
            ("/dev/nvme0n1p1", Some("NVMe")),
            ("nas:/export", None),
        ]
    );
}

#[test]
fn a_host_that_tells_nothing_is_described_by_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let config = CollectConfig {
        host_root: directory.path().to_owned(),
        ..CollectConfig::default()
    };
    let info = read_system_info(&config, ALL, AT);
    assert_eq!(info.software.unwrap().uptime_seconds, None);
    assert_eq!(info.network_interfaces, Some(Vec::new()));
    assert_eq!(read_host_name(directory.path()), None);
}
