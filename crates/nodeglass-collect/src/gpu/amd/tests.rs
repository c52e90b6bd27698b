//! The composed host with AMD GPUs, and what happens when its files change.

use std::fs;
use std::os::unix::fs::symlink;

use nodeglass_model::filter::MetricFilter;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/composed-amd")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn copied() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    copy(&fixture(), root.path());
    let cards = root.path().join(DIRECTORY);
    (root, cards)
}

fn collector(root: &Path) -> AmdCollector {
    AmdCollector::new(&CollectConfig {
        host_root: root.to_owned(),
        filter: MetricFilter::default(),
        deadline: PATIENCE,
        ..CollectConfig::default()
    })
}

fn read(collector: &mut AmdCollector, now: Instant, depth: Depth) -> Found {
    collector.start(now, depth);
    collector.finish(Instant::now() + PATIENCE)
}

/// The three cards of the fixture. 6438256640 of 25753026560 bytes and 51539607552 of 206158430208 are a quarter; 76 of
/// 255 is 29.80 percent.
fn expected() -> Vec<GpuMetrics> {
    vec![
        GpuMetrics {
            index: 0,
            name: "AMD GPU 0x744c".to_owned(),
            uuid: "7a3b2c1d00112233".to_owned(),
            utilization_percent: Some(37.0),
            memory_utilization_percent: Some(12.0),
            memory_total_bytes: Some(25_753_026_560),
            memory_used_bytes: Some(6_438_256_640),
            memory_usage_percent: Some(25.0),
            temperature_celsius: Some(54.0),
            power_watts: Some(187.5),
            power_limit_watts: Some(327.0),
            graphics_clock_mhz: Some(2304),
            memory_clock_mhz: Some(1249),
            fan_percent: Some(29.8),
            ..GpuMetrics::default()
        },
        GpuMetrics {
            index: 1,
            name: "AMD GPU 0x7480".to_owned(),
            ..GpuMetrics::default()
        },
        GpuMetrics {
            index: 2,
            name: "AMD Instinct MI300X".to_owned(),
            uuid: "00ff00ff00ff00ff".to_owned(),
            utilization_percent: Some(100.0),
            memory_utilization_percent: Some(64.0),
            memory_total_bytes: Some(206_158_430_208),
            memory_used_bytes: Some(51_539_607_552),
            memory_usage_percent: Some(25.0),
            temperature_celsius: Some(48.0),
            power_watts: Some(312.5),
            power_limit_watts: Some(750.0),
            graphics_clock_mhz: Some(2100),
            memory_clock_mhz: Some(1300),
            ecc_corrected_errors: Some(5),
            ecc_uncorrected_errors: Some(1),
            ..GpuMetrics::default()
        },
    ]
}

#[test]
fn cards_of_the_composed_host() {
    let mut collector = collector(&fixture());
    let now = Instant::now();
    let found = read(&mut collector, now, Depth::Full);
    assert_eq!(found.gpus, expected());
    assert_eq!(found.failures, [""; 0]);

    let light = read(&mut collector, now, Depth::Light);
    let mut without_errors = expected();
    without_errors[2].ecc_corrected_errors = None;
    without_errors[2].ecc_uncorrected_errors = None;
    assert_eq!(light.gpus, without_errors);
}

#[test]
fn figures_follow_the_files_and_are_absent_without_them() {
    let (root, cards) = copied();
    let mut collector = collector(root.path());
    let now = Instant::now();
    assert_eq!(read(&mut collector, now, Depth::Full).gpus, expected());

    let device = cards.join("card1/device");
    fs::write(device.join("gpu_busy_percent"), "38\n").unwrap();
    fs::write(device.join("pp_dpm_sclk"), "0: 500Mhz *\n1: 2304Mhz \n").unwrap();
    fs::write(device.join("hwmon/hwmon3/temp1_input"), "-5500\n").unwrap();
    fs::write(device.join("mem_busy_percent"), "nonsense\n").unwrap();
    fs::write(device.join("mem_info_vram_total"), "").unwrap();
    fs::write(device.join("hwmon/hwmon3/pwm1_max"), "0\n").unwrap();
    let gpu = read(&mut collector, now, Depth::Full).gpus.swap_remove(0);
    assert_eq!(gpu.utilization_percent, Some(38.0));
    assert_eq!(gpu.graphics_clock_mhz, Some(500));
    assert_eq!(gpu.temperature_celsius, Some(-5.5));
    assert_eq!(gpu.memory_utilization_percent, None);
    assert_eq!((gpu.memory_total_bytes, gpu.memory_usage_percent), (None, None));
    assert_eq!(gpu.memory_used_bytes, Some(6_438_256_640));
    assert_eq!(
        gpu.fan_percent,
        Some(33.33),
        "1100 of 3300 turns where there is no duty"
    );
}

#[test]
fn a_card_that_sleeps_has_no_other_file_opened() {
    let (root, cards) = copied();
    let device = cards.join("card2/device");
    // Opening one of these would wait for a writer that never comes.
    for name in [
        "gpu_busy_percent",
        "mem_info_vram_used",
        "pp_dpm_sclk",
        "hwmon/hwmon4/temp1_input",
    ] {
        fs::remove_file(device.join(name)).unwrap();
        mknodat(CWD, device.join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
    let mut collector = collector(root.path());
    assert_eq!(read(&mut collector, Instant::now(), Depth::Full).gpus, expected());
}

#[test]
fn a_card_falls_asleep_and_wakes() {
    let (root, cards) = copied();
    let mut collector = collector(root.path());
    let now = Instant::now();
    let state = cards.join("card1/device/power/runtime_status");
    let busy = |found: Found| found.gpus[0].utilization_percent;
    assert_eq!(busy(read(&mut collector, now, Depth::Full)), Some(37.0));
    fs::write(&state, "suspending\n").unwrap();
    let asleep = read(&mut collector, now, Depth::Full).gpus.swap_remove(0);
    let identity = GpuMetrics {
        name: "AMD GPU 0x744c".to_owned(),
        uuid: "7a3b2c1d00112233".to_owned(),
        ..GpuMetrics::default()
    };
    assert_eq!(asleep, identity);
    fs::write(&state, "active\n").unwrap();
    assert_eq!(busy(read(&mut collector, now, Depth::Full)), Some(37.0));
}

#[test]
fn a_card_that_hangs_is_left_out_until_it_answers() {
    let (root, cards) = copied();
    let busy = cards.join("card1/device/gpu_busy_percent");
    fs::remove_file(&busy).unwrap();
    mknodat(CWD, &busy, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut collector = collector(root.path());
    let now = Instant::now();
    collector.start(now, Depth::Full);
    let found = collector.finish(Instant::now() + Duration::from_millis(20));
    assert_eq!(found.gpus, []);
    assert_eq!(
        found.failures,
        ["the AMD driver gave no answer within 20000 ms; its GPUs are left out until it answers"]
    );
    // A writer lets the reader go; what a pipe can't do is being read from its beginning.
    let deadline = Instant::now() + PATIENCE;
    let writer = fs::File::options().write(true).open(&busy).unwrap();
    fs::remove_file(&busy).unwrap();
    fs::write(&busy, "37\n").unwrap();
    drop(writer);
    while read(&mut collector, now, Depth::Full).gpus != expected() {
        assert!(Instant::now() < deadline, "the thread does not come back");
        std::thread::yield_now();
    }
}

#[test]
fn cards_are_looked_for_each_minute() {
    let root = tempfile::tempdir().unwrap();
    let mut collector = collector(root.path());
    let start = Instant::now();
    assert_eq!(read(&mut collector, start, Depth::Full), Found::default());
    let class = root.path().join("sys/class");
    fs::create_dir_all(&class).unwrap();
    symlink(fixture().join(DIRECTORY), class.join("drm")).unwrap();
    let before = start + LIST_AGE.checked_sub(Duration::from_millis(1)).unwrap();
    assert_eq!(read(&mut collector, before, Depth::Full), Found::default());
    assert_eq!(
        read(&mut collector, start + LIST_AGE, Depth::Full).gpus,
        expected()
    );
    // And gone again, as when the driver is unloaded.
    fs::remove_file(class.join("drm")).unwrap();
    assert_eq!(
        read(&mut collector, start + LIST_AGE * 2, Depth::Full),
        Found::default()
    );
}
