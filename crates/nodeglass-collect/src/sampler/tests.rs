//! Whole samples: of the captured trees, a known time apart, and of the machine that runs the tests.
//! Expected values are worked out by hand from the files, in the comments.

mod bounds;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeglass_model::catalogue::check;
use nodeglass_model::sample::DiskMetrics;
use tempfile::TempDir;

use super::*;
use crate::filters::DeviceFilters;

const AT: UnixMillis = UnixMillis(1_700_000_000_000);

fn fixture(tree: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(tree)
}

/// Writes one tree over another, into the same files, as the kernel does under open descriptors.
fn overwrite(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            overwrite(&entry.path(), &target);
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

fn copy_of(tree: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    overwrite(&fixture(tree), directory.path());
    directory
}

fn config(host_root: &Path) -> CollectConfig {
    CollectConfig {
        host_root: host_root.to_owned(),
        // Long enough for a busy machine; nothing in these trees hangs.
        deadline: Duration::from_secs(20),
        ..CollectConfig::default()
    }
}

fn filter(include: &[&str], exclude: &[&str]) -> MetricFilter {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    MetricFilter::new(&owned(include), &owned(exclude)).unwrap()
}

fn disk<'a>(sample: &'a Sample, device: &str) -> &'a DiskMetrics {
    sample.disks.iter().find(|disk| disk.device == device).unwrap()
}

#[test]
fn two_readings_of_the_capture_make_rates() {
    let root = copy_of("linux-6.18-kvm/t0");
    let mut sampler = Sampler::new(config(root.path())).unwrap();
    assert_eq!(sampler.backend(), Backend::Linux);
    let start = Instant::now();

    let first = sampler.sample_at(AT, Depth::Full, start);
    assert_eq!(first.failures, [], "no sensors and no GPU are no failure");
    assert_eq!(first.timestamp, AT);
    assert_eq!(first.cpu.usage_percent, None);
    assert_eq!(first.cpu.cores.len(), 2);
    assert_eq!(first.cpu.temperature_celsius, None);
    assert_eq!(first.network_interfaces[0].bytes_recv_per_sec, None);
    assert_eq!(disk(&first, "/dev/vda").read_bytes_per_sec, None);
    assert_eq!(first.memory.total_bytes, Some(25_276_514_304), "24684096 x 1024");
    assert_eq!(first.load.load1, Some(1.25));
    assert_eq!(first.processes.total_processes, Some(11));

    overwrite(&fixture("linux-6.18-kvm/t1"), root.path());
    let second = sampler.sample_at(AT, Depth::Full, start + Duration::from_millis(5_120));
    assert_eq!(second.failures, []);
    assert_eq!(
        second.cpu.usage_percent,
        Some(47.89),
        "(328 + 157 + 4) / 1021 ticks"
    );
    let names: Vec<&str> = second.disks.iter().map(|disk| disk.device.as_str()).collect();
    assert_eq!(names, ["/dev/vda"], "memory and loop devices are left out");
    let vda = disk(&second, "/dev/vda");
    assert_eq!((vda.mount_point.as_str(), vda.parent.as_str()), ("/", ""));
    assert_eq!(
        vda.write_bytes_per_sec,
        Some(106_295_200),
        "(4610960 - 3548008) x 512 / 5.12"
    );
    assert_eq!(vda.io_util_percent, Some(8.36), "(7244 - 6816) / 5120");
    assert!(vda.total_bytes.is_some(), "statvfs of the copy itself");
    assert_eq!(
        second.network_interfaces[0].bytes_recv_per_sec,
        Some(100_645),
        "515304 / 5.12"
    );
    assert_eq!(
        second.cpu.context_switches_per_sec,
        Some(1_604),
        "(357729 - 349514) / 5.12"
    );
    assert_eq!(
        second.cpu.interrupts_per_sec,
        Some(969),
        "(224259 - 219299) / 5.12"
    );
    assert_eq!(second.cpu.forks_per_sec, Some(16.8), "(9735 - 9649) / 5.12");
    assert_eq!(vda.read_await_ms, Some(0.25), "3 ms / 12 reads");
    assert_eq!(vda.write_await_ms, Some(0.2), "315 ms / 1551 writes");
    assert_eq!(vda.queue_length, Some(0.09), "(33515 - 33050) / 5120");
    assert_eq!(vda.requests_in_flight, Some(0));
    assert!(vda.read_only.is_some(), "statvfs of the copy itself");
    let pressure = &second.pressure;
    assert_eq!(pressure.cpu_some_percent, Some(0.16), "8349 us / 5.12 s");
    assert_eq!(pressure.io_some_percent, Some(0.11), "5690 us / 5.12 s");
    assert_eq!(pressure.io_full_percent, Some(0.1), "5350 us / 5.12 s");
    assert_eq!(
        (pressure.memory_full_percent, pressure.irq_full_percent),
        (Some(0.0), None)
    );
    assert_eq!(second.vm.page_faults_per_sec, Some(154), "786 / 5.12");
    assert_eq!(
        second.vm.paged_out_bytes_per_sec,
        Some(5_096_000),
        "25480 x 1024 / 5.12"
    );
    assert_eq!(
        (second.vm.oom_kills, second.vm.major_page_faults_per_sec),
        (Some(0), Some(0.0))
    );
    assert_eq!(second.tcp.established_connections, Some(30));
    assert_eq!(second.tcp.active_opens_per_sec, Some(4.1), "21 / 5.12");
    assert_eq!(second.tcp.passive_opens_per_sec, Some(3.91), "20 / 5.12");
    assert_eq!(second.tcp.segments_recv_per_sec, Some(34), "175 / 5.12");
    assert_eq!(second.tcp.segments_retransmitted_per_sec, Some(0.2), "1 / 5.12");
    assert_eq!(second.tcp.listen_overflows_per_sec, Some(0.2), "1 / 5.12");
    assert_eq!(
        (second.tcp.sockets, second.tcp.time_wait_sockets),
        (Some(32), Some(30))
    );
    assert_eq!(second.udp.datagrams_sent_per_sec, Some(8), "40 / 5.12");
    assert_eq!(second.udp.no_port_per_sec, Some(1.37), "7 / 5.12");
    assert_eq!(second.system.sockets, Some(47));
    assert_eq!(
        (second.system.open_files, second.system.max_open_files),
        (Some(561), Some(2_466_183))
    );
    assert_eq!(second.system.conntrack_entries, Some(0));
    assert_eq!(
        (first.system.uptime_seconds, second.system.uptime_seconds),
        (Some(2_098), Some(2_103))
    );
    assert_eq!(second.system.boot_time_seconds, Some(1_795_235_791));
    assert_eq!(
        second.system.logged_in_users, None,
        "neither logind nor utmp in this tree"
    );
    assert_eq!(
        (second.processes.running_threads, second.processes.total_threads),
        (Some(2), Some(87))
    );
    check(&second).unwrap();

    // The same files again: counters that stand still are zero, and processor time that stands still is unknown.
    let third = sampler.sample_at(AT, Depth::Full, start + Duration::from_millis(6_120));
    assert_eq!(disk(&third, "/dev/vda").write_bytes_per_sec, Some(0));
    assert_eq!(third.cpu.usage_percent, None);
    assert_eq!(
        (third.pressure.io_some_percent, third.vm.page_faults_per_sec),
        (Some(0.0), Some(0))
    );
    assert_eq!(
        disk(&third, "/dev/vda").read_await_ms,
        None,
        "no reads, so no mean of them"
    );

    // And back to the first, as after a reset: every rate is absent, nothing is negative.
    overwrite(&fixture("linux-6.18-kvm/t0"), root.path());
    let reset = sampler.sample_at(AT, Depth::Full, start + Duration::from_millis(7_120));
    assert_eq!(reset.cpu.usage_percent, None);
    assert_eq!(disk(&reset, "/dev/vda").write_bytes_per_sec, None);
    assert_eq!(disk(&reset, "/dev/vda").io_util_percent, None);
    assert_eq!(reset.network_interfaces[0].bytes_recv_per_sec, None);
    assert_eq!(
        (reset.pressure.io_some_percent, reset.vm.page_faults_per_sec),
        (None, None)
    );
    assert_eq!(
        (reset.tcp.segments_recv_per_sec, reset.tcp.active_opens_per_sec),
        (None, None)
    );
    assert_eq!(
        (reset.cpu.forks_per_sec, disk(&reset, "/dev/vda").queue_length),
        (None, None)
    );
}

#[test]
fn the_composed_server_shows_its_stacked_disks() {
    let root = copy_of("composed-server");
    let mut sampler = Sampler::new(config(root.path())).unwrap();
    let start = Instant::now();
    let first = sampler.sample_at(AT, Depth::Full, start);
    assert_eq!(first.failures, []);
    let shown: Vec<(&str, &str, &str)> = first
        .disks
        .iter()
        .map(|disk| {
            (
                disk.device.as_str(),
                disk.mount_point.as_str(),
                disk.parent.as_str(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("/dev/mapper/vg0-root", "/", "sda2"),
            ("/dev/sda1", "/boot", "sda"),
            ("/dev/nvme0n1p1", "/srv/my data", "nvme0n1"),
            ("nas:/export", "/mnt/nas", ""),
            ("/dev/sda", "", ""),
            ("/dev/sda2", "", "sda"),
            ("/dev/dm-1", "", "sda2"),
            ("/dev/nvme0n1", "", ""),
        ],
        "sdb never did any I/O"
    );
    assert!(
        disk(&first, "/dev/sda").total_bytes.is_none(),
        "it is not mounted"
    );
    assert_eq!(first.cpu.temperature_celsius, Some(63.5));
    assert_eq!(
        (first.processes.total_processes, first.processes.blocked_processes),
        (Some(2), Some(1))
    );
    let frequencies: Vec<_> = first.cpu.cores.iter().map(|core| core.frequency_mhz).collect();
    assert_eq!(frequencies, [Some(2_400), Some(3_600)], "2400000 and 3600123 kHz");
    assert_eq!((first.fans.len(), first.batteries.len()), (3, 2));
    assert_eq!(first.system.logged_in_users, Some(1), "ada; bob only lingers");
    assert_eq!(first.system.open_files, Some(4_800), "5000 less 200 free ones");
    assert_eq!(
        (first.system.conntrack_entries, first.system.max_conntrack_entries),
        (Some(1_500), Some(262_144))
    );
    assert_eq!(
        (first.tcp.sockets, first.udp.sockets),
        (Some(130), Some(12)),
        "40 + 90, 8 + 4"
    );
    assert_eq!(first.nfs.calls_per_sec, None);
    assert_eq!(first.network_interfaces[2].interface, "eth0.100");
    assert_eq!(first.network_interfaces.len(), 3, "veth is left out");

    // One second later: sda read 2048 more sectors in 100 reads and was busy for 250 ms more.
    let diskstats = fs::read_to_string(root.path().join("proc/diskstats")).unwrap();
    let later = diskstats.replace(
        "sda 10000 500 800000 9000 20000 900 1600000 30000 0 25000",
        "sda 10100 500 802048 9000 20000 900 1600000 30000 0 25250",
    );
    assert_ne!(diskstats, later);
    fs::write(root.path().join("proc/diskstats"), later).unwrap();
    fs::write(root.path().join("proc/1/net/rpc/nfs"), "rpc 4050 21 4060\n").unwrap();
    let irq = "full avg10=0.00 avg60=0.00 avg300=0.00 total=725000\n";
    fs::write(root.path().join("proc/pressure/irq"), irq).unwrap();
    let second = sampler.sample_at(AT, Depth::Full, start + Duration::from_secs(1));
    let sda = disk(&second, "/dev/sda");
    assert_eq!(sda.read_bytes_per_sec, Some(1_048_576), "2048 x 512");
    assert_eq!(
        (sda.read_ops_per_sec, sda.io_util_percent),
        (Some(100), Some(25.0))
    );
    assert_eq!(disk(&second, "/dev/sda1").read_bytes_per_sec, Some(0));
    assert_eq!(
        (second.nfs.calls_per_sec, second.nfs.retransmissions_per_sec),
        (Some(50.0), Some(1.0))
    );
    assert_eq!(
        second.pressure.irq_full_percent,
        Some(2.5),
        "25000 us of a second"
    );
}

#[test]
fn a_disk_that_is_plugged_in_has_rates_from_its_second_reading_on() {
    let root = copy_of("composed-server");
    let mut sampler = Sampler::new(config(root.path())).unwrap();
    let start = Instant::now();
    sampler.sample_at(AT, Depth::Full, start);
    let path = root.path().join("proc/diskstats");
    let diskstats = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("{diskstats}   8      32 sdc 5 0 80 1 0 0 0 0 0 4 4\n"),
    )
    .unwrap();
    let second = sampler.sample_at(AT, Depth::Full, start + Duration::from_secs(1));
    assert_eq!(disk(&second, "/dev/sdc").read_ops_per_sec, None);
    let third = sampler.sample_at(AT, Depth::Full, start + Duration::from_secs(2));
    assert_eq!(disk(&third, "/dev/sdc").read_ops_per_sec, Some(0));
    fs::write(&path, diskstats).unwrap();
    let fourth = sampler.sample_at(AT, Depth::Full, start + Duration::from_secs(3));
    assert!(fourth.disks.iter().all(|disk| disk.device != "/dev/sdc"));
}

fn assert_plausible(sample: &Sample) {
    check(sample).unwrap();
    assert!(sample.memory.total_bytes > Some(64 << 20));
    assert!(sample.memory.used_bytes < sample.memory.total_bytes);
    assert!(!sample.cpu.cores.is_empty());
    assert!(sample.processes.total_processes > Some(0));
    assert!(sample.load.load1.is_some());
    assert!(
        sample
            .network_interfaces
            .iter()
            .any(|interface| interface.interface == "lo")
    );
}

#[test]
fn this_machine_has_plausible_values_twice() {
    let mut sampler = Sampler::new(config(Path::new("/"))).unwrap();
    let first = sampler.sample(AT, Depth::Full);
    assert_plausible(&first);
    assert_eq!(first.cpu.usage_percent, None);
    // Ticks are 10 ms long: take samples until one has passed on every core.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let sample = sampler.sample(AT, Depth::Full);
        assert_plausible(&sample);
        assert!(
            sample
                .network_interfaces
                .iter()
                .all(|lo| lo.interface != "lo" || lo.bytes_recv_per_sec.is_some())
        );
        if sample.cpu.usage_percent.is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "no processor time passes");
    }
}

#[test]
fn both_back_ends_see_the_same_machine() {
    let mut linux = Sampler::new(config(Path::new("/"))).unwrap();
    let mut portable = Sampler::new(CollectConfig {
        backend: Backend::Portable,
        ..config(Path::new("/"))
    })
    .unwrap();
    assert_eq!(portable.backend(), Backend::Portable);
    let (by_linux, by_portable) = (linux.sample(AT, Depth::Full), portable.sample(AT, Depth::Full));
    check(&by_portable).unwrap();
    assert_eq!(
        by_portable.cpu.usage_percent, None,
        "there is nothing to compare the first reading with"
    );
    if by_linux.memory.limit_bytes.is_none() {
        assert_eq!(by_linux.memory.total_bytes, by_portable.memory.total_bytes);
    }
    assert_eq!(by_linux.cpu.cores.len(), by_portable.cpu.cores.len());
    let count = |sample: &Sample| i64::from(sample.processes.total_processes.unwrap());
    assert!(
        (count(&by_linux) - count(&by_portable)).abs() <= 20,
        "threads are not counted"
    );
    let excluded = DeviceFilters::default().exclude_interfaces;
    let interfaces = |sample: &Sample| {
        let mut names: Vec<String> = sample
            .network_interfaces
            .iter()
            .map(|interface| interface.interface.clone())
            .collect();
        names.retain(|name| !crate::filters::fits_any(&excluded, name.as_bytes()));
        names.sort();
        names
    };
    assert_eq!(interfaces(&by_linux), interfaces(&by_portable));
}
