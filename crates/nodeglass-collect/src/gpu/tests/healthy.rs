//! What healthy GPUs show, all of it or as much as they support.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::check;
use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::GpuMetrics;

use super::fake::{Fake, GIB, PATIENCE, Rig, healthy};
use crate::config::CollectConfig;
use crate::gpu::Wanted;
use crate::gpu::usage::{GpuUse, GpuUses};
use crate::sampler::{Depth, Sampler};

/// What only a full reading asks for.
const COSTLY: [&str; 7] = [
    "nvmlDeviceGetTotalEccErrors",
    "nvmlDeviceGetPcieThroughput",
    "nvmlDeviceGetEncoderUtilization",
    "nvmlDeviceGetDecoderUtilization",
    "nvmlDeviceGetComputeRunningProcesses",
    "nvmlDeviceGetGraphicsRunningProcesses",
    "nvmlDeviceGetProcessUtilization",
];

fn used(memory_bytes: Option<u64>, utilization_percent: Option<f64>) -> GpuUse {
    GpuUse {
        memory_bytes,
        utilization_percent,
    }
}

/// Process 100 has 1 GiB on GPU 0, where it is listed twice, and 2 and 3 GiB in the instances of GPU 1.
fn memory_of_processes() -> GpuUses {
    GpuUses::from([
        (100, used(Some(6 * GIB), None)),
        (200, used(None, None)),
        (300, used(Some(GIB / 16), None)),
    ])
}

fn clear_costly(gpu: &mut GpuMetrics) {
    gpu.ecc_corrected_errors = None;
    gpu.ecc_uncorrected_errors = None;
    gpu.pcie_recv_bytes_per_sec = None;
    gpu.pcie_sent_bytes_per_sec = None;
    gpu.encoder_percent = None;
    gpu.decoder_percent = None;
}

#[test]
fn every_figure_of_a_full_reading() {
    let mut rig = Rig::new(Fake::new());
    for _ in 0..2 {
        let reading = rig.read(Depth::Full);
        assert_eq!(reading.gpus, healthy());
        assert_eq!(reading.failures, [""; 0]);
    }
    let starts = rig.fake.take_calls();
    let starts = starts.iter().filter(|call| call.starts_with("nvmlInit"));
    assert_eq!(starts.count(), 1, "the library is kept");
}

#[test]
fn a_light_reading_asks_for_nothing_costly() {
    let mut rig = Rig::new(Fake::new());
    let reading = rig.read(Depth::Light);
    let mut expected = healthy();
    expected.iter_mut().for_each(clear_costly);
    assert_eq!(reading.gpus, expected);
    assert_eq!(reading.uses, GpuUses::new());
    let calls = rig.fake.take_calls();
    assert!(!calls.is_empty());
    for costly in COSTLY {
        assert!(calls.iter().all(|call| !call.starts_with(costly)), "{costly}");
    }
}

#[test]
fn what_is_not_wanted_is_not_asked() {
    let mut rig = Rig::new(Fake::new());
    let wanted = |exclude: &[&str]| {
        let exclude: Vec<String> = exclude.iter().map(|text| (*text).to_owned()).collect();
        Wanted::by(&MetricFilter::new(&[], &exclude).unwrap())
    };
    rig.collector
        .set_wanted(wanted(&["gpu.pcie", "process"]).unwrap());
    let reading = rig.read(Depth::Full);
    let mut expected = healthy();
    for gpu in &mut expected {
        gpu.pcie_recv_bytes_per_sec = None;
        gpu.pcie_sent_bytes_per_sec = None;
    }
    assert_eq!(reading.gpus, expected);
    assert_eq!(reading.uses, GpuUses::new());
    let calls = rig.fake.take_calls();
    assert!(
        calls
            .iter()
            .all(|call| !call.contains("Pcie") && !call.contains("Process"))
    );
    let nothing = Some(Wanted {
        pcie: false,
        processes: false,
    });
    assert_eq!(wanted(&["gpu.pcie", "process"]), nothing);
    assert_eq!(wanted(&["gpu", "process"]), None);
    assert!(wanted(&["gpu"]).is_some_and(|wanted| wanted.processes && !wanted.pcie));
}

type Clear = fn(&mut GpuMetrics);

#[test]
fn each_figure_can_be_unsupported_alone() {
    let costs: [(&str, Clear); 16] = [
        ("nvmlDeviceGetUtilizationRates", |gpu| {
            gpu.utilization_percent = None;
            gpu.memory_utilization_percent = None;
        }),
        ("nvmlDeviceGetMemoryInfo_v2", |gpu| {
            gpu.memory_total_bytes = None;
            gpu.memory_used_bytes = None;
            gpu.memory_usage_percent = None;
        }),
        ("nvmlDeviceGetTemperature", |gpu| gpu.temperature_celsius = None),
        ("nvmlDeviceGetPowerUsage", |gpu| gpu.power_watts = None),
        ("nvmlDeviceGetEnforcedPowerLimit", |gpu| {
            gpu.power_limit_watts = None;
        }),
        ("nvmlDeviceGetClockInfo", |gpu| {
            gpu.graphics_clock_mhz = None;
            gpu.memory_clock_mhz = None;
        }),
        // Without their number the first fan is asked, which runs at 30 percent.
        ("nvmlDeviceGetNumFans", |gpu| {
            gpu.fan_percent = gpu.fan_percent.map(|_| 30.0);
        }),
        ("nvmlDeviceGetFanSpeed_v2", |gpu| gpu.fan_percent = None),
        ("nvmlDeviceGetCurrentClocksThrottleReasons", |gpu| {
            gpu.throttled_by_power = None;
            gpu.throttled_by_heat = None;
            gpu.throttled_otherwise = None;
        }),
        ("nvmlDeviceGetTotalEccErrors", |gpu| {
            gpu.ecc_corrected_errors = None;
            gpu.ecc_uncorrected_errors = None;
        }),
        ("nvmlDeviceGetPcieThroughput", |gpu| {
            gpu.pcie_recv_bytes_per_sec = None;
            gpu.pcie_sent_bytes_per_sec = None;
        }),
        ("nvmlDeviceGetEncoderUtilization", |gpu| {
            gpu.encoder_percent = None;
        }),
        ("nvmlDeviceGetDecoderUtilization", |gpu| {
            gpu.decoder_percent = None;
        }),
        ("nvmlDeviceGetPciInfo_v3", |_| {}),
        ("nvmlDeviceGetProcessUtilization", |_| {}),
        ("nvmlSystemGetDriverVersion", |_| {}),
    ];
    let mut rig = Rig::new(Fake::new());
    for (function, cost) in costs {
        // Not supported, no permission, not ready, unknown.
        for code in ["3", "4", "27", "999"] {
            rig.fake.set(&format!("error.{function}"), code);
            let reading = rig.read(Depth::Full);
            let mut expected = healthy();
            expected.iter_mut().for_each(cost);
            assert_eq!(reading.gpus, expected, "{function} answers {code}");
            assert_eq!(reading.failures, [""; 0]);
            let memory = |uses: &GpuUses| uses[&100].memory_bytes.max(uses[&300].memory_bytes);
            assert_eq!(memory(&reading.uses), Some(6 * GIB));
        }
        rig.fake.unset(&format!("error.{function}"));
    }
    assert_eq!(rig.read(Depth::Full).gpus, healthy());
}

#[test]
fn a_gpu_without_any_figure_is_listed() {
    let fake = Fake::new();
    fake.set("unsupported", "");
    let reading = Rig::new(fake).read(Depth::Full);
    let nameless = |index| GpuMetrics {
        index,
        ..GpuMetrics::default()
    };
    assert_eq!(reading.gpus, [nameless(0), nameless(1)]);
    assert_eq!(reading.failures, [""; 0]);
    assert_eq!(reading.uses, GpuUses::new());
}

#[test]
fn memory_of_processes_from_either_version_of_the_lists() {
    for fake in [Fake::new(), Fake::without_v2()] {
        assert_eq!(Rig::new(fake).read(Depth::Full).uses, memory_of_processes());
    }
}

#[test]
fn instances_are_asked_where_the_gpu_may_not_tell() {
    let fake = Fake::new();
    fake.set("error.nvmlDeviceGetComputeRunningProcesses_v2.1", "4");
    assert_eq!(Rig::new(fake).read(Depth::Full).uses, memory_of_processes());
}

#[test]
fn utilisation_of_processes_is_counted_once() {
    let fake = Fake::new();
    fake.set("count", "1");
    fake.set("samples", "100 1000 50 0 0 0\n");
    let mut rig = Rig::new(fake);
    let uses = |rig: &mut Rig| {
        let mut uses: Vec<_> = rig
            .read(Depth::Full)
            .uses
            .into_iter()
            .map(|(pid, used)| (pid, used.utilization_percent))
            .collect();
        uses.sort_by_key(|(pid, _)| *pid);
        uses
    };
    assert_eq!(uses(&mut rig), [(100, None), (200, None), (300, None)]);
    rig.fake.set(
        "samples",
        "100 1000 50 0 0 0\n100 2000 20 0 0 0\n300 2500 7 1 0 0\n100 3000 41 0 0 0\n0 9000 1 0 0 0\n200 9000 777 0 0 0\n",
    );
    let all = [(100, Some(30.5)), (200, Some(0.0)), (300, Some(7.0))];
    assert_eq!(
        uses(&mut rig),
        all,
        "the first sample is old, the last two are none"
    );
    let none = [(100, Some(0.0)), (200, Some(0.0)), (300, Some(0.0))];
    assert_eq!(uses(&mut rig), none, "nothing new");
    rig.fake.unset("samples");
    assert_eq!(uses(&mut rig), none);
}

#[test]
fn pcie_throughput_waits_for_its_turn() {
    let mut rig = Rig::new(Fake::new());
    let with_pcie = |gpus: &[GpuMetrics]| -> Vec<usize> {
        (0..gpus.len())
            .filter(|place| gpus[*place].pcie_sent_bytes_per_sec.is_some())
            .collect()
    };
    let mut expected = healthy();
    for gpu in &mut expected {
        gpu.pcie_recv_bytes_per_sec = None;
        gpu.pcie_sent_bytes_per_sec = None;
    }
    rig.start(Depth::Full, Duration::ZERO);
    assert_eq!(rig.finish(PATIENCE).gpus, expected, "no time, but all the rest");

    // One GPU takes all the time there is: half of two seconds.
    let mut turns = Vec::new();
    for _ in 0..2 {
        rig.fake.set("hang_pcie", "");
        rig.start(Depth::Full, Duration::from_secs(2));
        let over = Instant::now() + Duration::from_secs(1);
        while Instant::now() < over {
            std::thread::park_timeout(over - Instant::now());
        }
        rig.fake.unset("hang_pcie");
        turns.extend(with_pcie(&rig.finish(PATIENCE).gpus));
    }
    assert_eq!(turns, [0, 1]);
}

#[test]
fn amd_is_numbered_after_nvidia_whether_that_answers_or_not() {
    let fake = Fake::new();
    let sys = fake.root().join("sys/class");
    fs::create_dir_all(&sys).unwrap();
    let drm = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/composed-amd/sys/class/drm");
    symlink(drm, sys.join("drm")).unwrap();
    let numbers = |gpus: &[GpuMetrics]| -> Vec<(u32, Option<u32>)> {
        gpus.iter().map(|gpu| (gpu.index, gpu.mig_instance)).collect()
    };
    let all = [
        (0, None),
        (1, None),
        (1, Some(0)),
        (1, Some(2)),
        (2, None),
        (3, None),
        (4, None),
    ];
    let mut rig = Rig::new(fake);
    let reading = rig.read(Depth::Full);
    assert_eq!(numbers(&reading.gpus), all);
    assert_eq!(reading.gpus[6].name, "AMD Instinct MI300X");
    rig.fake.set("error.nvmlDeviceGetCount_v2", "999");
    assert_eq!(numbers(&rig.read(Depth::Full).gpus), all[4..]);

    // A driver that has not answered yet shows on the bus how many it has.
    let fake = Fake::new();
    fs::create_dir_all(fake.root().join("sys")).unwrap();
    symlink(&sys, fake.root().join("sys/class")).unwrap();
    fake.set_states("active", "active");
    fake.set("error.nvmlInit_v2", "999");
    assert_eq!(numbers(&Rig::new(fake).read(Depth::Full).gpus), all[4..]);
}

#[test]
fn a_whole_sample_has_them() {
    let fake = Fake::new();
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/linux-6.18-kvm/t0");
    let config = CollectConfig {
        host_root: capture,
        filter: MetricFilter::new(&["gpu".to_owned()], &["gpu.pcie".to_owned()]).unwrap(),
        ..fake.config()
    };
    let mut sampler = Sampler::new(config).unwrap();
    let sample = sampler.sample(UnixMillis(1_700_000_000_000), Depth::Full);
    check(&sample).unwrap();
    assert_eq!(sample.failures, []);
    let mut expected = healthy();
    for gpu in &mut expected {
        gpu.pcie_recv_bytes_per_sec = None;
        gpu.pcie_sent_bytes_per_sec = None;
        // A sample keeps tenths of a watt, and 312.45 is rounded.
        gpu.power_watts = gpu.power_watts.map(|_| 312.5);
    }
    assert_eq!(sample.gpus, expected);
}
