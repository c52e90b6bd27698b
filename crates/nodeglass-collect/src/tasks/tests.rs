//! Tasks through the sampler, over composed trees. What is expected is worked out in the comments.

mod live;

use std::fs;
use std::path::Path;
use std::time::Duration;

use nodeglass_model::filter::MetricFilter;
use tempfile::TempDir;

use super::*;
use crate::{Backend, Depth, Sampler};

const AT: UnixMillis = UnixMillis(1_700_000_000_000);

fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

fn process(name: &str, pid: u32) -> Follow {
    Follow {
        id: id(name),
        target: Target::Process { pid },
        command: Vec::new(),
        by_parent: false,
    }
}

fn config(root: &Path) -> CollectConfig {
    CollectConfig {
        host_root: root.to_owned(),
        filter: MetricFilter::new(&["task".to_owned()], &[]).unwrap(),
        ..CollectConfig::default()
    }
}

/// A composed host, sampled each second.
struct Host {
    root: TempDir,
    sampler: Sampler,
    start: Instant,
    second: u64,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(root.path().join("proc/stat"), "btime 1000\n").unwrap();
        fs::write(root.path().join("proc/uptime"), "90.00 1.00\n").unwrap();
        let sampler = Sampler::new(config(root.path())).unwrap();
        let mut host = Self {
            root,
            sampler,
            start: Instant::now(),
            second: 0,
        };
        host.put(1, "S", [0, 1, 5, 0, 100], 0);
        host
    }

    /// A process: `[parent, start, ticks, ticks of children, pages]` and the bytes it wrote.
    fn put(&mut self, pid: u32, state: &str, figures: [u64; 5], written: u64) {
        let [parent, start_ticks, ticks, of_children, pages] = figures;
        let directory = self.root.path().join(format!("proc/{pid}"));
        fs::create_dir_all(&directory).unwrap();
        let stat = format!(
            "{pid} (p{pid}) {state} {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 {of_children} 0 20 0 2 0 {start_ticks} 5000 {pages} 0\n"
        );
        fs::write(directory.join("stat"), stat).unwrap();
        fs::write(
            directory.join("io"),
            format!("read_bytes: 0\nwrite_bytes: {written}\n"),
        )
        .unwrap();
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.root.path().join(format!("proc/{pid}"))).unwrap();
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The tasks a second later.
    fn tasks(&mut self) -> Vec<TaskProcessMetrics> {
        self.second += 1;
        let now = self.start + Duration::from_secs(self.second);
        let at = UnixMillis(AT.0 + 1_000 * self.second as i64);
        let sample = self.sampler.sample_at(at, Depth::Full, now);
        assert_eq!(sample.failures, []);
        sample.processes.task_processes
    }

    fn task(&mut self) -> TaskProcessMetrics {
        let mut tasks = self.tasks();
        assert_eq!(tasks.len(), 1);
        tasks.remove(0)
    }

    fn follow(&self, follow: Follow) -> Result<(), FollowError> {
        self.sampler.tasks().follow(follow, AT)
    }
}

#[test]
fn a_tree_is_followed_from_its_root_to_its_last_process() {
    let mut host = Host::new();
    host.put(10, "S", [1, 5_000, 20, 0, 10], 100);
    host.put(11, "S", [10, 5_100, 30, 0, 20], 1_000);
    host.put(50, "S", [1, 5_050, 900, 0, 900], 0);
    host.write("proc/10/cmdline", "job\0--token\0abc\0");
    host.follow(process("job", 10)).unwrap();

    let first = host.task();
    assert_eq!(
        (first.task_id.as_str(), first.command.as_str()),
        ("job", "job --token ***")
    );
    assert_eq!(
        (first.pid, first.processes, first.threads),
        (Some(10), Some(2), Some(4))
    );
    let page = rustix::param::page_size() as u64;
    assert_eq!(first.memory_bytes, Some(30 * page));
    assert_eq!(first.virtual_memory_bytes, Some(10_000));
    assert_eq!(first.cpu_percent, None, "what it used before nobody knows when");
    assert_eq!(first.cpu_time_ms, Some(500.0 as u64), "20 + 30 ticks");
    assert_eq!(first.write_bytes, Some(1_100));
    assert_eq!(
        first.started_at_ms,
        Some(1_700_000_000_000 - 40_000),
        "up for 90 s, started 50 s after the host"
    );
    assert_eq!((first.ended_at_ms, first.exit_code), (None, None));

    // 12 is a child of 11; then both its ancestors end, and nobody of the tree waits for them.
    host.put(12, "R", [11, 9_001, 10, 0, 40], 0);
    let second = host.task();
    assert_eq!(second.cpu_percent, Some(10.0), "10 ticks in a second");
    assert_eq!(second.memory_bytes, Some(70 * page));
    host.end(10);
    host.end(11);
    host.put(12, "R", [1, 9_001, 60, 0, 40], 7);
    let third = host.task();
    assert_eq!((third.processes, third.pid), (Some(1), Some(10)));
    assert_eq!(
        third.cpu_time_ms,
        Some(1_100),
        "(20 + 30) that ended, and 60 ticks"
    );
    assert_eq!(third.write_bytes, Some(1_107));
    assert_eq!(third.peak_memory_bytes, Some(70 * page));
    assert_eq!(third.ended_at_ms, None);

    host.end(12);
    let last = host.task();
    assert_eq!((last.processes, last.memory_bytes), (Some(0), None));
    assert_eq!(last.cpu_time_ms, Some(1_100));
    assert_eq!(last.ended_at_ms, Some(1_700_000_004_000), "the fourth sample");
    assert_eq!(last.exit_code, None);
    assert_eq!(host.tasks(), [], "an end is told once");
}

#[test]
fn what_a_parent_has_from_its_children_is_not_counted_twice() {
    let mut host = Host::new();
    host.put(10, "S", [1, 5_000, 10, 0, 10], 100);
    host.put(11, "S", [10, 5_100, 10, 0, 10], 0);
    host.put(12, "S", [11, 5_200, 50, 0, 10], 4_000);
    host.follow(process("build", 10)).unwrap();
    assert_eq!(host.task().cpu_time_ms, Some(700));
    // 12 went on to 60 ticks, ended, and was waited for by 11; that ended too and was waited for by 10.
    host.end(11);
    host.end(12);
    host.put(10, "S", [1, 5_000, 15, 10 + 60, 10], 4_500);
    let second = host.task();
    assert_eq!(second.cpu_time_ms, Some(850), "15 + 70 ticks");
    assert_eq!(second.cpu_percent, Some(15.0));
    assert_eq!(second.write_bytes, Some(4_500));
    // Children that came and went between two scans are known from their parent alone.
    host.put(10, "S", [1, 5_000, 15, 10 + 60 + 300, 10], 4_500);
    assert_eq!(host.task().cpu_time_ms, Some(3_850));
}

#[test]
fn a_parent_tells_how_its_task_ended_and_adopts_what_was_left_behind() {
    let mut host = Host::new();
    host.put(9, "S", [1, 4_900, 0, 0, 1], 0);
    host.put(8, "S", [9, 4_950, 0, 0, 1], 0);
    host.put(10, "S", [9, 5_000, 1, 0, 10], 0);
    let job = Follow {
        by_parent: true,
        command: vec!["job".to_owned(), "PASSWORD=x".to_owned()],
        ..process("job", 10)
    };
    host.follow(job).unwrap();
    let first = host.task();
    assert_eq!(
        (first.processes, first.command.as_str()),
        (Some(1), "job PASSWORD=***"),
        "8 is older"
    );
    assert!(first.cpu_percent.is_some(), "all since it was started");
    // 20 was started by a process that nobody saw: the parent adopted it.
    host.put(20, "S", [9, 9_900, 1, 0, 10], 0);
    assert_eq!(host.task().processes, Some(2));
    host.end(10);
    host.end(20);
    let waiting = host.task();
    assert_eq!(
        (waiting.processes, waiting.ended_at_ms),
        (Some(0), None),
        "its end will be told"
    );
    let end = TaskEnd {
        exit_code: Some(137),
        cpu_time_ms: Some(5_000),
        peak_memory_bytes: Some(1 << 30),
    };
    let ended_at = UnixMillis(AT.0 + 3_500);
    host.sampler.tasks().ended(&id("job"), end, ended_at).unwrap();
    assert!(host.sampler.tasks().list()[0].is_ended);
    let last = host.task();
    assert_eq!(
        (last.exit_code, last.ended_at_ms),
        (Some(137), Some(ended_at.0.unsigned_abs()))
    );
    assert_eq!(
        (last.cpu_time_ms, last.peak_memory_bytes),
        (Some(5_000), Some(1 << 30))
    );
    assert_eq!(host.tasks(), []);
    let unknown = host.sampler.tasks().ended(&id("job"), end, AT).unwrap_err();
    assert_eq!(unknown.to_string(), "no task job is being followed");
}

#[test]
fn an_end_that_nobody_tells_is_not_waited_for_for_long() {
    let mut host = Host::new();
    host.put(9, "S", [1, 4_900, 0, 0, 1], 0);
    host.put(10, "S", [9, 5_000, 1, 0, 10], 0);
    let by_parent = Follow {
        by_parent: true,
        ..process("job", 10)
    };
    host.follow(by_parent).unwrap();
    host.end(10);
    let ends: Vec<bool> = (0..3).map(|_| host.task().ended_at_ms.is_some()).collect();
    assert_eq!(ends, [false, false, true]);
    assert_eq!(host.tasks(), []);
}

#[test]
fn a_process_that_was_not_waited_for_yet_has_ended() {
    let mut host = Host::new();
    host.put(10, "Z", [1, 5_000, 25, 0, 0], 0);
    host.follow(process("short", 10)).unwrap();
    let last = host.task();
    assert_eq!((last.processes, last.cpu_time_ms), (Some(0), Some(250)));
    assert!(last.ended_at_ms.is_some());
}

#[test]
fn a_number_that_is_used_again_is_not_of_the_task() {
    let mut host = Host::new();
    host.put(10, "S", [1, 5_000, 20, 0, 10], 0);
    host.follow(process("job", 10)).unwrap();
    host.task();
    host.put(10, "S", [1, 9_500, 1, 0, 10], 0);
    let last = host.task();
    assert_eq!((last.processes, last.cpu_time_ms), (Some(0), Some(200)));
    assert!(last.ended_at_ms.is_some());
}

#[test]
fn a_control_group_of_version_2_is_measured_from_when_it_is_followed() {
    let mut host = Host::new();
    let group = "sys/fs/cgroup/user.slice/user-1.slice/app.slice/job.scope";
    let put = |host: &Host, cpu: u64, procs: &str| {
        host.write(&format!("{group}/cgroup.procs"), procs);
        host.write(
            &format!("{group}/cpu.stat"),
            &format!("usage_usec {cpu}\nuser_usec 1\n"),
        );
        host.write(&format!("{group}/memory.current"), "5000\n");
        host.write(&format!("{group}/pids.current"), "7\n");
        host.write(
            &format!("{group}/io.stat"),
            &format!("253:0 rbytes={cpu} wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n"),
        );
    };
    host.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    put(&host, 1_000_000, "10\n11\n");
    host.write(&format!("{group}/nested/cgroup.procs"), "12\n");
    let unit = Follow {
        target: Target::Unit {
            name: "job.scope".to_owned(),
        },
        ..process("job", 0)
    };
    host.follow(unit).unwrap();
    put(&host, 1_250_000, "10\n11\n");
    let first = host.task();
    assert_eq!((first.command.as_str(), first.pid), ("unit job.scope", None));
    assert_eq!((first.processes, first.threads), (Some(3), Some(7)));
    assert_eq!((first.cpu_time_ms, first.memory_bytes), (Some(250), Some(5_000)));
    assert_eq!((first.read_bytes, first.write_bytes), (Some(250_000), Some(0)));
    fs::remove_dir_all(host.root.path().join(group)).unwrap();
    let last = host.task();
    assert_eq!(
        (last.processes, last.cpu_time_ms, last.memory_bytes),
        (Some(0), Some(250), None)
    );
    assert_eq!(last.peak_memory_bytes, Some(5_000));
    assert!(last.ended_at_ms.is_some());
    assert_eq!(host.tasks(), []);
}

#[test]
fn a_control_group_of_version_1_has_a_directory_for_each_controller() {
    let mut host = Host::new();
    for controller in ["cpu,cpuacct", "memory", "pids", "blkio", "systemd"] {
        host.write(&format!("sys/fs/cgroup/{controller}/job/cgroup.procs"), "10\n");
    }
    host.write("sys/fs/cgroup/cpu,cpuacct/job/cpuacct.usage", "1000000\n");
    host.write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "4096\n");
    host.write(
        "sys/fs/cgroup/blkio/job/blkio.throttle.io_service_bytes",
        "8:0 Read 100\n8:0 Write 5\n8:0 Total 105\nTotal 105\n",
    );
    let group = |path: &str| Follow {
        target: Target::Cgroup {
            path: path.to_owned(),
        },
        ..process("job", 0)
    };
    host.follow(group("/job")).unwrap();
    host.write("sys/fs/cgroup/cpu,cpuacct/job/cpuacct.usage", "2001000000\n");
    host.write(
        "sys/fs/cgroup/blkio/job/blkio.throttle.io_service_bytes",
        "8:0 Read 150\n8:0 Write 5\n9:0 Write 8\nTotal 163\n",
    );
    let first = host.task();
    assert_eq!(
        (first.cpu_time_ms, first.memory_bytes),
        (Some(2_000), Some(4_096))
    );
    assert_eq!(
        (first.read_bytes, first.write_bytes, first.processes),
        (Some(50), Some(8), Some(1))
    );
    assert_eq!(first.command, "cgroup /job");
}

#[test]
fn what_can_not_be_followed_is_refused_with_a_reason() {
    let mut host = Host::new();
    host.put(10, "S", [1, 5_000, 20, 0, 10], 0);
    host.write("sys/fs/cgroup/empty/cgroup.procs", "");
    let code = |host: &Host, target: Target| {
        let follow = Follow {
            target,
            ..process("x", 0)
        };
        host.follow(follow).unwrap_err().code()
    };
    let cgroup = |path: &str| Target::Cgroup {
        path: path.to_owned(),
    };
    let unit = |name: &str| Target::Unit {
        name: name.to_owned(),
    };
    assert_eq!(code(&host, Target::Process { pid: 77 }), "not_found");
    assert_eq!(code(&host, Target::Process { pid: 0 }), "not_found");
    for path in ["/nowhere", "/empty"] {
        assert_eq!(code(&host, cgroup(path)), "not_found", "{path}");
    }
    for path in ["", "/", "relative", "/a/../..", "//"] {
        assert_eq!(code(&host, cgroup(path)), "invalid_target", "{path}");
    }
    assert_eq!(code(&host, unit("nosuch.service")), "not_found");
    for name in ["", "..", "a/b.service", "plain"] {
        assert_eq!(code(&host, unit(name)), "invalid_target", "{name}");
    }
    host.follow(process("job", 10)).unwrap();
    assert_eq!(host.follow(process("job", 10)).unwrap_err().code(), "task_exists");
    for number in 1..MAX_TASKS {
        host.follow(process(&format!("t{number}"), 10)).unwrap();
    }
    assert_eq!(
        host.follow(process("more", 10)).unwrap_err().code(),
        "too_many_tasks"
    );
    assert_eq!(host.tasks().len(), MAX_TASKS);
    host.sampler
        .set_filter(MetricFilter::new(&["cpu".to_owned()], &[]).unwrap());
    assert_eq!(host.follow(process("job", 10)).unwrap_err().code(), "not_tracked");
    assert_eq!(host.sampler.tasks().list(), []);
}

#[test]
fn the_portable_back_end_follows_nothing() {
    let portable = Sampler::new(CollectConfig {
        backend: Backend::Portable,
        ..config(Path::new("/"))
    });
    let refused = portable.unwrap().tasks().follow(process("x", 1), AT).unwrap_err();
    assert_eq!(refused.code(), "unsupported");
}
