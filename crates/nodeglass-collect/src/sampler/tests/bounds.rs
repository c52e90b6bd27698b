//! What a sample leaves out, shows again and says of itself: bounds, filters, failures, age.

use super::*;

#[test]
fn light_samples_show_slow_figures_again_while_they_are_young() {
    let root = copy_of("linux-6.18-kvm/t0");
    let mut sampler = Sampler::new(config(root.path())).unwrap();
    let start = Instant::now();
    let light = |sampler: &mut Sampler, seconds| {
        sampler.sample_at(AT, Depth::Light, start + Duration::from_secs(seconds))
    };
    let before = light(&mut sampler, 0);
    assert_eq!(
        (before.system.uptime_seconds, before.system.open_files),
        (None, None)
    );
    assert_eq!(disk(&before, "/dev/vda").total_bytes, None);
    assert_eq!(before.load.load1, Some(1.25), "what is cheap is in every sample");

    let full = sampler.sample_at(AT, Depth::Full, start + Duration::from_secs(1));
    assert_eq!(full.system.open_files, Some(528));
    // Nothing of this is read in light samples: it is gone.
    fs::remove_dir_all(root.path().join("proc/sys")).unwrap();
    let young = light(&mut sampler, 4);
    assert_eq!(young.system.open_files, Some(528));
    assert_eq!(young.system.uptime_seconds, Some(2_101), "2098 and three seconds");
    assert_eq!(young.system.sockets, Some(15), "read anew");
    assert_eq!(
        disk(&young, "/dev/vda").total_bytes,
        disk(&full, "/dev/vda").total_bytes
    );
    assert_eq!(young.processes.total_processes, None);
    assert_eq!(young.processes.total_threads, Some(87));
    assert_eq!((young.failures, young.collectors), (vec![], vec![]));
    let old = light(&mut sampler, 11);
    assert_eq!((old.system.open_files, old.system.uptime_seconds), (None, None));
}

#[test]
fn devices_beyond_the_most_are_left_out_and_counted() {
    let mut config = config(&fixture("composed-server"));
    config.devices.max_disks = 3;
    config.devices.max_interfaces = 1;
    config.devices.exclude_disks.push("sda*".to_owned());
    let sample = Sampler::new(config).unwrap().sample(AT, Depth::Full);
    let disks: Vec<&str> = sample.disks.iter().map(|disk| disk.device.as_str()).collect();
    // Of eight entries sda and sda2 are excluded by name; sda1 stays, because it is mounted.
    assert_eq!(disks, ["/dev/mapper/vg0-root", "/dev/sda1", "/dev/nvme0n1p1"]);
    assert_eq!(
        disk(&sample, "/dev/sda1").requests_in_flight,
        None,
        "its I/O is left out"
    );
    let left_out: Vec<_> = sample
        .collectors
        .iter()
        .map(|entry| (entry.collector.as_str(), entry.devices_left_out))
        .collect();
    // Disks: nas:/export, dm-1 and nvme0n1. Interfaces: lo stays, eth0 and eth0.100 go.
    assert_eq!(left_out, [("network", Some(2)), ("disk", Some(3))]);
}

#[test]
fn a_collector_that_fails_says_how_old_its_last_reading_is() {
    let root = copy_of("linux-6.18-kvm/t0");
    let mut sampler = Sampler::new(config(root.path())).unwrap();
    let start = Instant::now();
    assert_eq!(sampler.sample_at(AT, Depth::Full, start).collectors, []);
    fs::write(root.path().join("proc/meminfo"), "nonsense").unwrap();
    for seconds in [1, 2] {
        let sample = sampler.sample_at(AT, Depth::Light, start + Duration::from_secs(seconds));
        assert_eq!(sample.failures.len(), 1);
        assert_eq!(sample.memory.total_bytes, None);
        assert_eq!(sample.collectors.len(), 1);
        assert_eq!(sample.collectors[0].collector, "memory");
        assert_eq!(sample.collectors[0].stale_ms, Some(seconds * 1_000));
    }
}

#[test]
fn what_fails_is_named_and_costs_the_rest_nothing() {
    let root = copy_of("linux-6.18-kvm/t0");
    fs::remove_file(root.path().join("proc/meminfo")).unwrap();
    fs::write(root.path().join("proc/loadavg"), "nonsense").unwrap();
    let mut sampler = Sampler::new(config(root.path())).unwrap();
    let sample = sampler.sample(AT, Depth::Full);
    let failed: Vec<&str> = sample
        .failures
        .iter()
        .map(|failure| failure.collector.as_str())
        .collect();
    assert_eq!(failed, ["memory", "load"]);
    assert!(
        sample.failures[0].reason.contains("proc/meminfo"),
        "{:?}",
        sample.failures
    );
    assert_eq!(sample.memory.total_bytes, None);
    assert_eq!(sample.processes.total_processes, Some(11));
}

#[test]
fn collectors_without_wanted_metrics_do_not_run() {
    let root = copy_of("linux-6.18-kvm/t0");
    let mut sampler = Sampler::new(config(root.path())).unwrap();
    let start = Instant::now();
    sampler.sample_at(AT, Depth::Full, start);
    // A collector that ran would fail: its file is gone.
    fs::remove_file(root.path().join("proc/meminfo")).unwrap();
    sampler.set_filter(filter(&["cpu", "load"], &[]));
    let sample = sampler.sample_at(AT, Depth::Full, start + Duration::from_secs(1));
    assert_eq!(sample.failures, []);
    assert!(sample.disks.is_empty() && sample.network_interfaces.is_empty());
    assert_eq!(sample.load.load5, Some(0.72));
    // A collector that was off has forgotten its reading: no rate reaches over the gap.
    sampler.set_filter(filter(&["network"], &[]));
    let sample = sampler.sample_at(AT, Depth::Full, start + Duration::from_secs(2));
    assert_eq!(sample.network_interfaces[0].bytes_recv_per_sec, None);
}

#[test]
fn containers_are_read_with_full_samples_and_within_their_number() {
    let root = copy_of("linux-6.18-kvm/t0");
    overwrite(
        &fixture("cgroup-v2/t0/sys/fs/cgroup"),
        &root.path().join("sys/fs/cgroup"),
    );
    let limited = |max_containers| CollectConfig {
        max_containers,
        ..config(root.path())
    };
    let mut sampler = Sampler::new(limited(500)).unwrap();
    assert_eq!(sampler.sample(AT, Depth::Light).containers, []);
    let sample = sampler.sample(AT, Depth::Full);
    assert_eq!((sample.containers.len(), sample.collectors.len()), (3, 0));
    check(&sample).unwrap();
    sampler.set_filter(filter(&[], &["container"]));
    assert_eq!(sampler.sample(AT, Depth::Full).containers, []);

    let sample = Sampler::new(limited(1)).unwrap().sample(AT, Depth::Full);
    assert_eq!(sample.containers.len(), 1);
    let left_out: Vec<(&str, Option<u32>)> = sample
        .collectors
        .iter()
        .map(|collector| (collector.collector.as_str(), collector.devices_left_out))
        .collect();
    assert_eq!(left_out, [("containers", Some(2))]);
}

#[test]
fn limits_of_the_agent_are_none_of_the_host_that_it_watches() {
    let root = copy_of("linux-6.18-kvm/t0");
    let group = root.path().join("sys/fs/cgroup");
    fs::create_dir_all(&group).unwrap();
    for (file, text) in [
        ("cgroup.controllers", "cpu memory\n"),
        ("cpu.max", "50000 100000\n"),
        ("memory.max", "1048576\n"),
        ("memory.current", "4096\n"),
        ("memory.stat", "inactive_file 0\n"),
    ] {
        fs::write(group.join(file), text).unwrap();
    }
    fs::write(root.path().join("proc/self/cgroup"), "0::/\n").unwrap();
    let sample = Sampler::new(config(root.path())).unwrap().sample(AT, Depth::Full);
    assert_eq!(sample.memory.total_bytes, Some(25_276_514_304));
    assert_eq!((sample.memory.limit_bytes, sample.cpu.limit_cores), (None, None));
}

#[test]
fn without_space_metrics_no_file_system_is_asked() {
    let root = copy_of("composed-server");
    // statvfs of this mount would fail.
    fs::remove_dir_all(root.path().join("mnt")).unwrap();
    let mut sampler = Sampler::new(config(root.path())).unwrap();
    let reasons: Vec<String> = sampler
        .sample(AT, Depth::Full)
        .failures
        .into_iter()
        .map(|failure| failure.reason)
        .collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].starts_with("space of /mnt/nas: "), "{reasons:?}");
    sampler.set_filter(filter(&["disk.read_bytes_per_sec", "disk.write"], &[]));
    assert_eq!(sampler.sample(AT, Depth::Full).failures, []);
}

#[test]
fn a_root_without_proc_is_refused_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let message = |config| Sampler::new(config).err().unwrap().to_string();
    assert!(message(config(directory.path())).contains("set the host root to /"));
    let portable = CollectConfig {
        backend: Backend::Portable,
        ..config(directory.path())
    };
    assert!(message(portable).contains("the portable back end reads / only"));
}
