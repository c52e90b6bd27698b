//! Agents in containers of every kind, on composed trees; and on the machine that runs the tests.

use std::fs::{create_dir_all, write};

use tempfile::TempDir;

use super::*;
use crate::linux::memory::parse_meminfo;

const MIB: u64 = 1 << 20;

/// A root with these files.
fn root_with(files: &[(&str, &str)]) -> (TempDir, OwnLimits) {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = directory.path().join(file);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, text).unwrap();
    }
    let limits = OwnLimits::new(&HostRoot::new(directory.path()));
    (directory, limits)
}

/// A machine with 16 GiB of memory, 12 of them available, and 2 GiB of swap.
fn machine() -> MemoryMetrics {
    parse_meminfo(
        b"MemTotal: 16777216 kB\nMemFree: 8388608 kB\nMemAvailable: 12582912 kB\nBuffers: 1 kB\nSwapTotal: 2097152 kB\nSwapFree: 2097152 kB\n",
    )
}

const STAT_V2: &str = "anon 100\nfile 41943040\ninactive_file 31457280\nactive_file 10485760\nactive_anon 7\ninactive_anon 5\nshmem 3\nslab 9\n";

#[test]
fn a_container_of_version_two_with_a_name_space_of_its_own() {
    let (directory, mut limits) = root_with(&[
        ("proc/self/cgroup", "0::/\n"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
        ("sys/fs/cgroup/cpu.max", "250000 100000\n"),
        ("sys/fs/cgroup/memory.max", "536870912\n"),
        ("sys/fs/cgroup/memory.swap.max", "0\n"),
        ("sys/fs/cgroup/memory.swap.current", "0\n"),
        ("sys/fs/cgroup/memory.current", "136314880\n"),
        ("sys/fs/cgroup/memory.stat", STAT_V2),
    ]);
    let now = Instant::now();
    assert_eq!(limits.cores(now), Some(2.5));
    let mut memory = machine();
    limits.apply_memory(&mut memory, now);
    // 130 MiB less 30 of page cache, of 512.
    assert_eq!(memory.limit_bytes, Some(512 * MIB));
    assert_eq!(memory.total_bytes, Some(512 * MIB));
    assert_eq!(memory.used_bytes, Some(100 * MIB));
    assert_eq!(memory.available_bytes, Some(412 * MIB));
    assert_eq!(memory.usage_percent, Some(19.53));
    assert_eq!(memory.free_bytes, Some(382 * MIB));
    assert_eq!(memory.cached_bytes, Some(40 * MIB));
    assert_eq!(
        memory.buffers_bytes, None,
        "the machine's are none of the group's"
    );
    assert_eq!(
        (memory.swap_total_bytes, memory.swap_usage_percent),
        (Some(0), None)
    );
    assert_eq!(memory.inactive_bytes, Some(31_457_285));
    assert_eq!((memory.shared_bytes, memory.slab_bytes), (Some(3), Some(9)));

    // The figures are read each time, the limit every 30 s.
    let file = |name: &str| directory.path().join("sys/fs/cgroup").join(name);
    write(file("memory.current"), "241172480\n").unwrap();
    write(file("memory.max"), "max\n").unwrap();
    let mut memory = machine();
    limits.apply_memory(&mut memory, now + Duration::from_secs(10));
    assert_eq!(memory.used_bytes, Some(200 * MIB));
    let mut memory = machine();
    limits.apply_memory(&mut memory, now + Duration::from_secs(31));
    assert_eq!(memory, machine());
}

#[test]
fn a_docker_container_of_version_one_sees_its_group_as_the_root() {
    let id = "a".repeat(64);
    let (_guard, mut limits) = root_with(&[
        (
            "proc/self/cgroup",
            &format!("4:memory:/docker/{id}\n2:cpu,cpuacct:/docker/{id}\n1:name=systemd:/docker/{id}\n"),
        ),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
        ("sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "1610612736\n"),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "209715200\n"),
        ("sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", "314572800\n"),
        (
            "sys/fs/cgroup/memory/memory.stat",
            "cache 1\ntotal_cache 2\ninactive_file 1\ntotal_inactive_file 104857600\n",
        ),
    ]);
    let now = Instant::now();
    assert_eq!(limits.cores(now), Some(0.5));
    let mut memory = machine();
    limits.apply_memory(&mut memory, now);
    assert_eq!(
        (memory.total_bytes, memory.used_bytes),
        (Some(1024 * MIB), Some(100 * MIB))
    );
    assert_eq!(memory.cached_bytes, Some(2));
    assert_eq!(memory.swap_total_bytes, Some(512 * MIB), "1536 - 1024");
    assert_eq!(memory.swap_used_bytes, Some(100 * MIB), "300 - 200");
}

#[test]
fn the_tightest_limit_on_the_way_up_holds() {
    let group = "sys/fs/cgroup/limited.slice/inner";
    let (_guard, mut limits) = root_with(&[
        ("proc/self/cgroup", "0::/limited.slice/inner/leaf\n"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
        (&format!("{group}/leaf/memory.max"), "max\n"),
        (&format!("{group}/leaf/cpu.max"), "400000 100000\n"),
        (&format!("{group}/memory.max"), "1073741824\n"),
        (&format!("{group}/cpu.max"), "max 100000\n"),
        (&format!("{group}/memory.current"), "1048576\n"),
        (&format!("{group}/memory.stat"), "inactive_file 0\n"),
        ("sys/fs/cgroup/limited.slice/memory.max", "2147483648\n"),
        ("sys/fs/cgroup/limited.slice/cpu.max", "300000 100000\n"),
    ]);
    let now = Instant::now();
    assert_eq!(limits.cores(now), Some(3.0));
    let mut memory = machine();
    limits.apply_memory(&mut memory, now);
    assert_eq!(
        (memory.limit_bytes, memory.used_bytes),
        (Some(1024 * MIB), Some(MIB))
    );
}

#[test]
fn the_leash_of_a_service_says_nothing_of_its_host() {
    let unit = "sys/fs/cgroup/system.slice/nodeglass-agent.service";
    let (_guard, mut limits) = root_with(&[
        ("proc/self/cgroup", "0::/system.slice/nodeglass-agent.service\n"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu cpuset memory\n"),
        (&format!("{unit}/memory.max"), "268435456\n"),
        (&format!("{unit}/memory.current"), "1048576\n"),
        (&format!("{unit}/memory.stat"), "inactive_file 0\n"),
        (&format!("{unit}/cpu.max"), "20000 100000\n"),
        (&format!("{unit}/cpuset.cpus.effective"), "0\n"),
        ("sys/fs/cgroup/cpuset.cpus.effective", "0-3\n"),
        ("sys/devices/system/cpu/online", "0-3\n"),
    ]);
    let now = Instant::now();
    assert_eq!(limits.cores(now), None);
    let mut memory = machine();
    limits.apply_memory(&mut memory, now);
    assert_eq!(memory, machine());
}

#[test]
fn a_set_of_processors_is_a_limit_too() {
    let files = |quota: &'static str| {
        [
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/cgroup.controllers", "cpu cpuset\n"),
            ("sys/fs/cgroup/cpuset.cpus.effective", "0-1,5\n"),
            ("sys/fs/cgroup/cpu.max", quota),
            ("sys/devices/system/cpu/online", "0-7\n"),
        ]
    };
    let cores = |quota| root_with(&files(quota)).1.cores(Instant::now());
    assert_eq!(cores("max 100000\n"), Some(3.0));
    assert_eq!(cores("150000 100000\n"), Some(1.5));
    assert_eq!(cores("500000 100000\n"), Some(3.0));
    assert_eq!(count_in_list("0-3,8,10-11"), Some(7));
    for wrong in ["", "3-1", "x", "0-", "0-4294967295"] {
        assert_eq!(count_in_list(wrong), None, "{wrong}");
    }
}

#[test]
fn a_limit_above_the_machine_is_none() {
    let (_guard, mut limits) = root_with(&[
        ("proc/self/cgroup", "0::/\n"),
        ("sys/fs/cgroup/cgroup.controllers", "memory\n"),
        ("sys/fs/cgroup/memory.max", "34359738368\n"),
        ("sys/fs/cgroup/memory.current", "1\n"),
        ("sys/fs/cgroup/memory.stat", "inactive_file 0\n"),
    ]);
    let mut memory = machine();
    limits.apply_memory(&mut memory, Instant::now());
    assert_eq!(memory, machine());
}

#[test]
fn a_total_below_the_machine_is_the_limit_that_lxcfs_shows() {
    let (_guard, mut limits) = root_with(&[]);
    limits.machine_bytes = Some(32 << 30);
    let mut memory = machine();
    limits.apply_memory(&mut memory, Instant::now());
    assert_eq!(memory.limit_bytes, Some(16 << 30));
    assert_eq!(
        MemoryMetrics {
            limit_bytes: None,
            ..memory
        },
        machine(),
        "lxcfs has done the rest"
    );
}

#[test]
fn paths_out_of_the_visible_tree_end_at_its_root() {
    let (_guard, limits) = root_with(&[("sys/fs/cgroup/cgroup.controllers", "")]);
    let layout = limits.layout.unwrap();
    let groups = |membership: &str| groups_around(membership, &layout, Resource::Memory);
    assert_eq!(groups("0::/../../a\n"), [""]);
    assert_eq!(groups("0::/a/b\n"), ["/a/b", "/a", ""]);
    assert_eq!(groups("0::/\n"), [""]);
    assert_eq!(groups(""), [""]);
    let scope = format!("/system.slice/docker-{}.scope", "a".repeat(64));
    assert_eq!(
        groups(&format!("0::{scope}/x.service\n"))[1],
        scope,
        "a container is no leash"
    );
}

#[test]
fn this_machine_shows_its_own_memory_or_less() {
    let of_machine = parse_meminfo(&std::fs::read("/proc/meminfo").unwrap());
    let mut limits = OwnLimits::new(&HostRoot::new(std::path::Path::new("/")));
    let mut memory = of_machine.clone();
    limits.apply_memory(&mut memory, Instant::now());
    match memory.limit_bytes {
        None => assert_eq!(memory, of_machine),
        Some(limit) => assert!(memory.total_bytes == Some(limit) && Some(limit) <= of_machine.total_bytes),
    }
}
