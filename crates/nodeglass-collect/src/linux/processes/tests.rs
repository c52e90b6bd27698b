//! The collector over captured, composed and real processes. What is expected is worked out by hand in the comments.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::gpu::{GpuUse, fill_processes};
use crate::sampler::Depth;

fn fixture(tree: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(tree)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// A tree that is `t0` first and `t1` later.
fn capture() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    copy(&fixture("processes-6.18/t0"), root.path());
    root
}

fn advance(root: &Path) {
    fs::remove_dir_all(root.join("proc/18516")).unwrap();
    copy(&fixture("processes-6.18/t1"), root);
}

fn collector(root: &Path, top: usize) -> ProcessCollector {
    let config = CollectConfig {
        top_processes: top,
        ..CollectConfig::default()
    };
    let tasks = TaskRegistry::unsupported(&config);
    let mut collector = ProcessCollector::new(&HostRoot::new(root), &config, tasks);
    collector.set_filter(&MetricFilter::default());
    collector
}

fn read(collector: &mut ProcessCollector, gpu: &GpuUses, now: Instant) -> ProcessMetrics {
    read_beside(collector, gpu, Vec::new(), now)
}

fn read_beside(
    collector: &mut ProcessCollector,
    gpu: &GpuUses,
    containers: Vec<ContainerMetrics>,
    now: Instant,
) -> ProcessMetrics {
    let mut sample = Sample {
        containers,
        ..Sample::default()
    };
    let moment = Moment {
        now,
        until: now,
        depth: Depth::Full,
    };
    collector.read(&mut sample, &moment).unwrap();
    collector.finish(&mut sample, &moment, gpu);
    fill_processes(&mut sample.processes.top, gpu);
    sample.processes
}

fn pids(metrics: &ProcessMetrics) -> Vec<u32> {
    metrics.top.iter().map(|entry| entry.pid).collect()
}

fn entry(metrics: &ProcessMetrics, pid: u32) -> &ProcessEntry {
    metrics.top.iter().find(|entry| entry.pid == pid).unwrap()
}

#[test]
fn counts_of_the_capture() {
    let root = fixture("linux-6.18-kvm/t0");
    let metrics = read(&mut collector(&root, 0), &GpuUses::new(), Instant::now());
    // S: 1, 2, 9593. I: 4 to 8. Z: 9635. T: 9636. R: 9637.
    assert_eq!(metrics.total_processes, Some(11));
    assert_eq!(metrics.sleeping_processes, Some(8));
    assert_eq!(metrics.zombie_processes, Some(1));
    assert_eq!(metrics.stopped_processes, Some(1));
    assert_eq!(metrics.running_processes, Some(1));
    assert_eq!(metrics.blocked_processes, Some(0));
    assert_eq!(metrics.top, []);
}

#[test]
fn who_did_it_in_the_capture() {
    let root = capture();
    let mut collector = collector(root.path(), 2);
    let (start, none) = (Instant::now(), GpuUses::new());

    let first = read(&mut collector, &none, start);
    assert_eq!(
        pids(&first),
        [18_513, 18_514],
        "by memory alone: 18393 and 3606 pages"
    );
    let hog = entry(&first, 18_513);
    assert_eq!((hog.cpu_percent, hog.read_bytes_per_sec), (None, None));
    assert_eq!(hog.memory_bytes, Some(18_393 * page_size() as u64));
    assert_eq!(hog.threads, Some(1));

    advance(root.path());
    let second = read(&mut collector, &none, start + Duration::from_millis(4_007));
    assert_eq!(second.total_processes, Some(8), "18516 ended, 18549 is new");
    // CPU: 18512 and 18549. Memory as before. I/O: 18514.
    assert_eq!(pids(&second), [18_512, 18_513, 18_514, 18_549]);
    let percent = |pid| {
        entry(&second, pid)
            .cpu_percent
            .map(|percent| (percent * 100.0).round() / 100.0)
    };
    assert_eq!(percent(18_512), Some(88.35), "472 - 118 ticks in 4.007 s");
    assert_eq!(percent(18_514), Some(1.25), "10 - 5 ticks");
    assert_eq!(
        percent(18_549),
        Some(9.73),
        "39 ticks, all of them since the first scan"
    );
    let writer = entry(&second, 18_514);
    assert_eq!(
        (writer.read_bytes_per_sec, writer.write_bytes_per_sec),
        (Some(0), Some(95_777_094)),
        "(524288000 - 140509184) / 4.007"
    );
    assert_eq!(writer.start_time, 1_795_248_607, "1795235791 + 1281655 / 100");
    assert_eq!(
        (writer.cgroup.as_str(), writer.unit.as_str()),
        ("/system.slice/backup.service", "backup.service")
    );
    let hog = entry(&second, 18_513);
    assert_eq!(hog.name, "python3");
    assert_eq!(
        hog.command,
        "hog -c b=bytearray(64<<20) import time time.sleep(60) --password ***"
    );
    assert_eq!((hog.cgroup.as_str(), hog.container.as_str()), ("/", ""));
    let owner = fs::metadata(root.path()).unwrap().uid();
    assert_eq!(hog.user, owner.to_string(), "there is no passwd in the tree");

    // Nothing moved since.
    let third = read(&mut collector, &none, start + Duration::from_secs(8));
    assert_eq!(pids(&third), [18_513, 18_514]);
    assert_eq!(entry(&third, 18_514).write_bytes_per_sec, Some(0));
    assert_eq!(entry(&third, 18_514).cpu_percent, Some(0.0));
}

#[test]
fn gpu_memory_is_a_measure_too() {
    let root = capture();
    let used = GpuUse {
        memory_bytes: Some(1 << 30),
        utilization_percent: Some(40.0),
    };
    let gpu = GpuUses::from([(18_517, used), (18_516, GpuUse::default()), (99, used)]);
    let metrics = read(&mut collector(root.path(), 1), &gpu, Instant::now());
    assert_eq!(pids(&metrics), [18_513, 18_517], "99 is no process of this host");
    assert_eq!(entry(&metrics, 18_517).gpu_memory_bytes, Some(1 << 30));
    assert_eq!(entry(&metrics, 18_517).gpu_utilization_percent, Some(40.0));
    assert_eq!(entry(&metrics, 18_513).gpu_memory_bytes, None);
}

/// A composed process: `parent start ticks pages` and the bytes it wrote.
fn compose(root: &Path, pid: u32, name: &str, figures: [u64; 4], written: u64) {
    let [parent, start_ticks, ticks, pages] = figures;
    let directory = root.join(format!("proc/{pid}"));
    fs::create_dir_all(&directory).unwrap();
    let stat = format!(
        "{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 {start_ticks} 4096 {pages} 0\n"
    );
    fs::write(directory.join("stat"), stat).unwrap();
    fs::write(
        directory.join("io"),
        format!("read_bytes: 0\nwrite_bytes: {written}\n"),
    )
    .unwrap();
}

#[test]
fn a_number_that_is_used_again_is_another_process() {
    let root = tempfile::tempdir().unwrap();
    compose(root.path(), 7, "old", [1, 100, 500, 1], 1_000);
    let mut collector = collector(root.path(), 5);
    let (start, none) = (Instant::now(), GpuUses::new());
    read(&mut collector, &none, start);
    compose(root.path(), 7, "new", [1, 900, 50, 1], 5_000);
    let second = read(&mut collector, &none, start + Duration::from_secs(1));
    let new = entry(&second, 7);
    assert_eq!((new.name.as_str(), new.start_time), ("new", 9));
    assert_eq!(new.cpu_percent, Some(50.0), "its own 50 ticks");
    assert_eq!(new.write_bytes_per_sec, Some(5_000));
}

#[test]
fn another_program_in_the_same_process_has_another_name() {
    let root = tempfile::tempdir().unwrap();
    compose(root.path(), 7, "sh", [1, 100, 1, 1], 0);
    let mut collector = collector(root.path(), 5);
    let (start, none) = (Instant::now(), GpuUses::new());
    assert_eq!(entry(&read(&mut collector, &none, start), 7).name, "sh");
    compose(root.path(), 7, "tool", [1, 100, 1, 1], 0);
    fs::write(root.path().join("proc/7/cmdline"), "tool\0-x\0").unwrap();
    let second = read(&mut collector, &none, start + Duration::from_secs(1));
    assert_eq!(
        (
            entry(&second, 7).name.as_str(),
            entry(&second, 7).command.as_str()
        ),
        ("tool", "tool -x")
    );
}

#[test]
fn what_a_child_wrote_is_not_counted_again_with_its_parent() {
    let root = tempfile::tempdir().unwrap();
    compose(root.path(), 5, "parent", [1, 100, 10, 1], 100);
    compose(root.path(), 6, "between", [5, 110, 10, 1], 0);
    compose(root.path(), 9, "child", [6, 120, 10, 1], 4_000);
    let mut collector = collector(root.path(), 5);
    let (start, none) = (Instant::now(), GpuUses::new());
    read(&mut collector, &none, start);
    // Both end; the kernel has added up their bytes in the parent, who wrote 50 more itself.
    fs::remove_dir_all(root.path().join("proc/9")).unwrap();
    fs::remove_dir_all(root.path().join("proc/6")).unwrap();
    compose(root.path(), 5, "parent", [1, 100, 11, 1], 4_150);
    let second = read(&mut collector, &none, start + Duration::from_secs(1));
    assert_eq!(entry(&second, 5).write_bytes_per_sec, Some(50));
}

#[test]
fn bytes_of_a_process_that_seemed_to_rest_are_counted_when_its_turn_comes() {
    let root = tempfile::tempdir().unwrap();
    compose(root.path(), 7, "large", [1, 100, 1, 9], 0);
    compose(root.path(), 8, "quiet", [1, 100, 1, 1], 0);
    let mut collector = collector(root.path(), 1);
    let (start, none) = (Instant::now(), GpuUses::new());
    read(&mut collector, &none, start);
    compose(root.path(), 8, "quiet", [1, 100, 1, 1], 12_000);
    let mut found = Vec::new();
    for second in 1..=13 {
        let metrics = read(&mut collector, &none, start + Duration::from_secs(second));
        found.extend(metrics.top.iter().filter_map(|entry| entry.write_bytes_per_sec));
    }
    assert_eq!(found.iter().sum::<u64>(), 12_000, "once, and whole");
}

#[test]
fn a_container_is_named_as_elsewhere_in_the_sample() {
    let root = tempfile::tempdir().unwrap();
    let id = "0123456789abcdef".repeat(4);
    compose(root.path(), 7, "web", [1, 100, 1, 1], 0);
    fs::write(
        root.path().join("proc/7/cgroup"),
        format!("0::/system.slice/docker-{id}.scope\n"),
    )
    .unwrap();
    let mut collector = collector(root.path(), 5);
    let (start, none) = (Instant::now(), GpuUses::new());
    let first = read(&mut collector, &none, start);
    assert_eq!(entry(&first, 7).container, "0123456789ab");
    assert_eq!(entry(&first, 7).unit, format!("docker-{id}.scope"));
    let shop = ContainerMetrics {
        name: "shop".to_owned(),
        id,
        ..ContainerMetrics::default()
    };
    let second = read_beside(&mut collector, &none, vec![shop], start + Duration::from_secs(1));
    assert_eq!(entry(&second, 7).container, "shop");
}

/// A process of the test's own, ended with it.
struct Running(Child);

impl Running {
    fn start(script: &str) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_real_process_that_burns_a_processor_is_found() {
    let mut collector = collector(Path::new("/"), 10);
    let none = GpuUses::new();
    read(&mut collector, &none, Instant::now());
    let burner = Running::start("while :; do :; done");
    let deadline = Instant::now() + Duration::from_secs(20);
    let found = loop {
        let metrics = read(&mut collector, &none, Instant::now());
        let burning = metrics
            .top
            .into_iter()
            .find(|entry| entry.pid == burner.0.id() && entry.cpu_percent > Some(0.0));
        if let Some(entry) = burning {
            break entry;
        }
        assert!(Instant::now() < deadline, "it never shows");
    };
    assert_eq!(found.command, "sh -c while :; do :; done");
    assert!(found.memory_bytes > Some(0));
    assert!(found.start_time > 1_500_000_000, "{}", found.start_time);
    assert!(!found.user.is_empty());
    let pid = burner.0.id();
    drop(burner);
    let after = read(&mut collector, &none, Instant::now());
    assert!(!pids(&after).contains(&pid), "it was waited for");
}
