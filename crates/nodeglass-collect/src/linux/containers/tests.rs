//! Containers of captured and composed trees, two moments each. Expected values are worked out by hand in the comments.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nodeglass_model::catalogue::check;
use nodeglass_model::sample::ProcessEntry;
use tempfile::TempDir;

use super::test_server::{Server, daemon};
use super::*;

const WEB: &str = "4be1c0d7a9b5e4f62818d2c7e6a90b1c4d5e6f708192a3b4c5d6e7f8091a2b3c";
const MIB: u64 = 1 << 20;

/// Writes one tree over another, into the same files, as the kernel does under open descriptors.
fn config(most: usize, sockets: &[PathBuf]) -> CollectConfig {
    CollectConfig {
        max_containers: most,
        container_sockets: sockets.to_vec(),
        ..CollectConfig::default()
    }
}

fn overwrite(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            overwrite(&source, &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(source).unwrap(), target).unwrap();
        } else {
            fs::write(target, fs::read(source).unwrap()).unwrap();
        }
    }
}

/// A copy of a tree at its first moment, and a collector of it.
struct Host {
    root: TempDir,
    tree: &'static str,
    collector: ContainerCollector,
    start: Instant,
}

impl Host {
    fn new(tree: &'static str, most: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        overwrite(&fixture(tree).join("t0"), root.path());
        let sockets = [PathBuf::from("/run/docker.sock")];
        Self {
            collector: ContainerCollector::new(&HostRoot::new(root.path()), &config(most, &sockets)),
            root,
            tree,
            start: Instant::now(),
        }
    }

    fn read(&mut self, after: Duration) -> Sample {
        let mut sample = Sample::default();
        let until = Instant::now() + Duration::from_secs(20);
        self.collector.read_all(&mut sample, self.start + after, until);
        check(&sample).unwrap();
        sample
    }

    fn go_on(&self) {
        overwrite(&fixture(self.tree).join("t1"), self.root.path());
    }

    fn group(&self, path: &str) -> PathBuf {
        self.root.path().join("sys/fs/cgroup").join(path)
    }

    /// Descriptors that this process has open on the tree.
    fn open_files(&self) -> usize {
        let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
        links
            .filter_map(|link| fs::read_link(link.path()).ok())
            .filter(|file| file.starts_with(self.root.path()))
            .count()
    }
}

fn fixture(tree: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(tree)
}

fn named<'a>(sample: &'a Sample, name: &str) -> &'a ContainerMetrics {
    sample
        .containers
        .iter()
        .find(|container| container.name == name)
        .unwrap()
}

#[test]
fn the_captured_container_of_version_one() {
    let mut host = Host::new("cgroup-v1", 500);
    let first = host.read(Duration::ZERO);
    assert_eq!(first.failures, []);
    assert_eq!(first.collectors, [], "nothing is left out");
    assert_eq!(first.containers.len(), 1);
    assert_eq!(
        first.containers[0],
        ContainerMetrics {
            name: "4be1c0d7a9b5".to_owned(),
            id: WEB.to_owned(),
            runtime: "docker".to_owned(),
            cgroup: format!("/docker/{WEB}"),
            cpu_limit_cores: Some(0.5),
            // 61710336 - 21004288, of 268435456.
            memory_bytes: Some(40_706_048),
            memory_limit_bytes: Some(256 * MIB),
            memory_usage_percent: Some(15.16),
            pids: Some(2),
            pids_limit: Some(64),
            oom_kills: Some(0),
            ..ContainerMetrics::default()
        },
        "the first reading has no rates"
    );

    host.go_on();
    let second = host.read(Duration::from_millis(5_140));
    let container = &second.containers[0];
    // 5599466 - 3050248 = 2549218 us in 5.14 s: half a core, as the limit says.
    let cpu_percent = container.cpu_percent.unwrap();
    assert!((cpu_percent - 49.6).abs() < 0.005, "{cpu_percent}");
    assert_eq!(
        container.cpu_throttled_percent,
        Some(100.0),
        "111 - 60 of 112 - 61 periods"
    );
    assert_eq!(
        container.read_bytes_per_sec,
        Some(13_247_452),
        "(136851456 - 68759552) / 5.14"
    );
    assert_eq!(
        container.write_bytes_per_sec,
        Some(52_989_809),
        "(566632448 - 294264832) / 5.14"
    );
    assert_eq!(container.read_ops_per_sec, Some(202), "(2160 - 1121) / 5.14");
    assert_eq!(container.write_ops_per_sec, Some(809), "(8339 - 4182) / 5.14");
    // Both ends of the pair: 586 + 4525202 - (586 + 2276986) in 5.14 s; loopback is left out.
    assert_eq!(container.bytes_recv_per_sec, Some(437_396));
    assert_eq!(container.bytes_sent_per_sec, Some(437_396));

    // Back to the first, as after a restart at the same path: no rate, nothing negative.
    overwrite(&fixture("cgroup-v1/t1"), host.root.path());
    fs::write(host.group(&format!("cpuacct/docker/{WEB}/cpuacct.usage")), "17\n").unwrap();
    let reset = host.read(Duration::from_millis(6_140));
    assert_eq!(reset.containers[0].cpu_percent, None);
    assert_eq!(reset.containers[0].write_bytes_per_sec, Some(0));
}

#[test]
fn the_composed_containers_of_version_two() {
    let mut host = Host::new("cgroup-v2", 500);
    let first = host.read(Duration::ZERO);
    let names: Vec<(&str, &str)> = first
        .containers
        .iter()
        .map(|container| (container.name.as_str(), container.runtime.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("mail", "lxc"),
            ("c0ffee001122", "podman"),
            ("4be1c0d7a9b5", "docker")
        ],
        "by path; services and monitors are none"
    );

    host.go_on();
    let second = host.read(Duration::from_secs(2));
    assert_eq!(second.failures, []);
    assert_eq!(
        *named(&second, "4be1c0d7a9b5"),
        ContainerMetrics {
            name: "4be1c0d7a9b5".to_owned(),
            id: WEB.to_owned(),
            runtime: "docker".to_owned(),
            cgroup: format!("/system.slice/docker-{WEB}.scope"),
            // 3 s of processor time in 2 s; held back in 20 of 50 periods.
            cpu_percent: Some(150.0),
            cpu_limit_cores: Some(1.5),
            cpu_throttled_percent: Some(40.0),
            // 330 MiB less 110 MiB, of 512 MiB.
            memory_bytes: Some(220 * MIB),
            memory_limit_bytes: Some(512 * MIB),
            memory_usage_percent: Some(42.97),
            // The volume lies on the disk: 4000000 bytes in 40 reads, once.
            read_bytes_per_sec: Some(2_000_000),
            write_bytes_per_sec: Some(200_000),
            read_ops_per_sec: Some(20),
            write_ops_per_sec: Some(2),
            bytes_recv_per_sec: Some(10_000),
            bytes_sent_per_sec: Some(2_000),
            pids: Some(14),
            pids_limit: Some(100),
            oom_kills: Some(0),
            ..ContainerMetrics::default()
        }
    );
    let podman = named(&second, "c0ffee001122");
    assert_eq!(podman.cpu_percent, Some(2.5), "50 ms in 2 s");
    assert_eq!(
        (podman.cpu_limit_cores, podman.cpu_throttled_percent),
        (None, None)
    );
    assert_eq!(
        (podman.memory_bytes, podman.memory_limit_bytes),
        (Some(50 * MIB), None)
    );
    assert_eq!(podman.memory_usage_percent, None);
    assert_eq!(
        podman.read_bytes_per_sec,
        Some(20_480),
        "its first I/O: 40960 in 2 s"
    );
    assert_eq!(podman.bytes_recv_per_sec, None, "it shares the host's network");
    assert_eq!((podman.pids_limit, podman.oom_kills), (Some(2_048), Some(2)));
    let mail = named(&second, "mail");
    assert_eq!(mail.read_bytes_per_sec, None, "nothing counts its I/O");
    assert_eq!(
        mail.memory_usage_percent,
        Some(100.0),
        "1080 MiB of 1024, for a moment"
    );
    assert_eq!(mail.bytes_recv_per_sec, Some(2_000), "(2000 + 2000) / 2");
    assert_eq!(mail.bytes_sent_per_sec, Some(400));
}

#[test]
fn limits_are_read_again_now_and_then() {
    let mut host = Host::new("cgroup-v2", 500);
    host.read(Duration::ZERO);
    fs::write(host.group("lxc.payload.mail/memory.max"), "2147483648\n").unwrap();
    let limit = |sample: &Sample| named(sample, "mail").memory_limit_bytes;
    assert_eq!(limit(&host.read(Duration::from_secs(5))), Some(1024 * MIB));
    assert_eq!(limit(&host.read(Duration::from_secs(31))), Some(2048 * MIB));
}

#[test]
fn what_ended_is_forgotten_and_its_files_are_closed() {
    let mut host = Host::new("cgroup-v2", 500);
    host.read(Duration::ZERO);
    // Six files of two groups, and five of the one without I/O.
    assert_eq!(host.open_files(), 17);
    let scope = host.group(&format!("system.slice/docker-{WEB}.scope"));
    let kept = host.root.path().join("kept");
    fs::rename(&scope, &kept).unwrap();
    assert_eq!(host.read(Duration::from_secs(1)).containers.len(), 2);
    assert_eq!(host.open_files(), 11);
    // It is started again: its counters are not compared with those from before.
    fs::rename(&kept, &scope).unwrap();
    let sample = host.read(Duration::from_secs(2));
    assert_eq!(named(&sample, "4be1c0d7a9b5").cpu_percent, None);
    assert_eq!(named(&sample, "mail").cpu_percent, Some(0.0));
}

#[test]
fn beyond_the_bounds_containers_are_left_out_and_files_opened_each_time() {
    let mut host = Host::new("cgroup-v2", 100);
    for number in 0..120 {
        let group = host.group(&format!("lxc.payload.n{number:03}"));
        overwrite(&fixture("cgroup-v2/t0/sys/fs/cgroup/lxc.payload.mail"), &group);
    }
    let first = host.read(Duration::ZERO);
    assert_eq!(first.containers.len(), 100);
    assert_eq!(first.collectors[0].collector, "containers");
    assert_eq!(first.collectors[0].devices_left_out, Some(23), "120 + 3 - 100");
    assert_eq!(host.open_files(), 500, "five of each");

    // Those that are shown stay, though others come before them in the alphabet.
    let new = host.group("lxc.payload.a");
    overwrite(&fixture("cgroup-v2/t0/sys/fs/cgroup/lxc.payload.mail"), &new);
    let second = host.read(Duration::from_secs(1));
    let names = |sample: &Sample| {
        sample
            .containers
            .iter()
            .map(|it| it.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), names(&second));
    assert_eq!(second.collectors[0].devices_left_out, Some(24));
    assert!(
        second
            .containers
            .iter()
            .all(|container| container.cpu_percent == Some(0.0))
    );

    let mut more = Host::new("cgroup-v2", 500);
    for number in 0..120 {
        let group = more.group(&format!("lxc.payload.n{number:03}"));
        overwrite(&fixture("cgroup-v2/t0/sys/fs/cgroup/lxc.payload.mail"), &group);
    }
    more.read(Duration::ZERO);
    assert_eq!(more.open_files(), files::MOST_KEPT);
    let all = more.read(Duration::from_secs(1));
    assert_eq!(all.containers.len(), 123);
    assert!(
        all.containers
            .iter()
            .all(|container| container.cpu_percent == Some(0.0))
    );
}

#[test]
fn names_come_from_the_daemon_and_reach_the_processes() {
    let mut host = Host::new("cgroup-v1", 500);
    let json = fs::read_to_string(fixture("container-apis/docker-containers.json")).unwrap();
    let _docker = Server::start_at(
        &host.root.path().join("run/docker.sock"),
        daemon(move || json.clone(), true),
    );
    let mut sample = host.read(Duration::ZERO);
    assert_eq!(sample.containers[0].name, "shop-web-1");
    assert_eq!(sample.containers[0].image, "nginx:1.25-alpine");

    let process = |cgroup: String| ProcessEntry {
        cgroup,
        ..ProcessEntry::default()
    };
    sample.processes.top = vec![
        process(format!("/docker/{WEB}/init")),
        process("/init.scope".to_owned()),
    ];
    name_processes(&mut sample);
    assert_eq!(sample.processes.top[0].container, "shop-web-1");
    assert_eq!(sample.processes.top[1].container, "");
}

#[test]
fn names_are_told_apart() {
    let container = |name: &str, id: &str, runtime: &str| ContainerMetrics {
        name: name.to_owned(),
        id: id.to_owned(),
        runtime: runtime.to_owned(),
        ..ContainerMetrics::default()
    };
    let mut containers = [
        container("web", "0123456789abcdef", "docker"),
        container("web", "fedcba9876543210", "podman"),
        container("db", "1", "docker"),
        container("build", "build", "lxc"),
        container("build", "build", "systemd-nspawn"),
        container("twin", "twin", "lxc"),
        container("twin", "twin", "lxc"),
    ];
    make_unique(&mut containers);
    let names: Vec<&str> = containers
        .iter()
        .map(|container| container.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "web-0123456789ab",
            "web-fedcba987654",
            "db",
            "build-build-lxc",
            "build-build-systemd-nspawn",
            "twin-twin-lxc-6",
            "twin-twin-lxc-7",
        ]
    );
}

#[test]
fn names_out_of_paths() {
    assert_eq!(name_of_id("docker", WEB), "4be1c0d7a9b5");
    assert_eq!(name_of_id("lxc", "101"), "101");
    assert_eq!(name_of_id("systemd-nspawn", r"my\x2dbox"), "my-box");
    assert_eq!(name_of_id("libvirt", r"qemu\x2d1\x2dweb"), "qemu-1-web");
    for odd in [r"a\x", r"a\xzz", r"\", "ä"] {
        assert_eq!(unescape(odd), odd);
    }
}

#[test]
fn a_host_without_control_groups_has_no_containers_and_no_failure() {
    let root = tempfile::tempdir().unwrap();
    let mut collector = ContainerCollector::new(&HostRoot::new(root.path()), &config(500, &[]));
    let mut sample = Sample::default();
    collector.read_all(&mut sample, Instant::now(), Instant::now());
    assert!(sample.containers.is_empty() && sample.failures.is_empty());
}

#[test]
fn a_tree_that_vanished_is_a_failure() {
    let mut host = Host::new("cgroup-v2", 500);
    fs::remove_dir_all(host.root.path().join("sys")).unwrap();
    let sample = host.read(Duration::ZERO);
    assert_eq!(sample.failures[0].collector, "containers");
    assert!(
        sample.failures[0].reason.contains("sys/fs/cgroup: "),
        "{:?}",
        sample.failures
    );
}
