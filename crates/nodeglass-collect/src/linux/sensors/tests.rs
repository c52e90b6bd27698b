//! Sensors of the composed server, read as the collector reads them. Expected values are worked out by hand.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::sampler::Depth;

const ALL: Wanted = Wanted {
    hwmon: true,
    rapl: true,
    batteries: true,
};
const MANY: usize = 256;

fn fixture(tree: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(tree)
}

fn read(tree: &str, most: usize) -> Readings {
    Reader::new(&HostRoot::new(&fixture(tree)), most).read(Instant::now(), ALL)
}

#[test]
fn temperatures_of_the_composed_server() {
    let temperatures = read("composed-server", MANY).temperatures;
    let shown: Vec<_> = temperatures
        .iter()
        .map(|sensor| (sensor.sensor.as_str(), sensor.temperature_celsius.unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            ("acpitz/temp1", 27.8),
            ("coretemp/Package id 0", 61.0),
            ("coretemp/Core 0", 58.0),
            ("coretemp/Core 1", 63.5),
            ("nvme/Composite", 38.85),
            ("nvme/Composite#2", 41.85),
            ("thermal_zone1/x86_pkg_temp", 61.0),
        ],
        "thermal_zone0 is acpitz again; the empty input of coretemp is left out"
    );
    assert_eq!(hottest_cpu(&temperatures), Some(63.5));
}

#[test]
fn fans_and_board_meters_of_the_composed_server() {
    let readings = read("composed-server", MANY);
    let fans: Vec<_> = readings
        .fans
        .iter()
        .map(|fan| (fan.sensor.as_str(), fan.speed_rpm.unwrap()))
        .collect();
    assert_eq!(
        fans,
        [
            ("nct6775/fan1", 1_250),
            ("nct6775/Chassis", 0),
            ("nct6775/fan10", 900)
        ],
        "a fan that stands still shows nothing, one that is not there is not shown"
    );
    let meters: Vec<_> = readings
        .power_meters
        .iter()
        .map(|meter| (meter.meter.as_str(), meter.watts.unwrap()))
        .collect();
    assert_eq!(
        meters,
        [
            ("ina226/power1", 12.345_678),
            ("power_meter/Board", 210.0),
            ("power_meter/power2", 5.0)
        ],
        "the momentary value goes before the mean; energy has no rate yet"
    );
}

#[test]
fn batteries_of_the_composed_server() {
    let batteries = read("composed-server", MANY).batteries;
    let names: Vec<&str> = batteries.iter().map(|battery| battery.battery.as_str()).collect();
    assert_eq!(names, ["BAT0", "BAT1"], "the mains and the mouse are left out");
    let first = &batteries[0];
    assert_eq!((first.charge_percent, first.charging), (Some(73.0), Some(0)));
    assert_eq!(first.power_watts, Some(8.5), "power_now, 8500000 microwatts");
    assert_eq!(first.health_percent, Some(80.0), "40000000 / 50000000");
    let second = &batteries[1];
    assert_eq!((second.charge_percent, second.charging), (Some(50.0), Some(1)));
    assert_eq!(second.power_watts, Some(24.0), "2 A x 12 V");
    assert_eq!(second.health_percent, Some(75.0), "3000000 / 4000000");
}

/// A copy of the zones, which a test can change.
fn powercap_copy() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let from = fixture("composed-server").join("sys/class/powercap");
    for zone in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = directory.path().join("sys/class/powercap").join(zone.file_name());
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(zone.path()).unwrap().map(Result::unwrap) {
            fs::write(to.join(file.file_name()), fs::read(file.path()).unwrap()).unwrap();
        }
    }
    directory
}

#[test]
fn energy_becomes_power_of_zones_within_zones() {
    let directory = powercap_copy();
    let zone = |zone: &str| {
        directory
            .path()
            .join("sys/class/powercap")
            .join(zone)
            .join("energy_uj")
    };
    let mut reader = Reader::new(&HostRoot::new(directory.path()), MANY);
    let start = Instant::now();
    assert_eq!(reader.read(start, ALL).power_meters, []);
    // The package wraps: 328850 microjoules to the end of its range and 99671150 after it are 100 J in 2 s.
    fs::write(zone("intel-rapl:0"), "99671150\n").unwrap();
    fs::write(zone("intel-rapl:0:0"), "1060000000\n").unwrap();
    fs::write(zone("intel-rapl:0:1"), "510000000\n").unwrap();
    fs::write(zone("intel-rapl:1"), "9240000000\n").unwrap();
    let readings = reader.read(start + Duration::from_secs(2), ALL);
    let shown: Vec<_> = readings
        .power_meters
        .iter()
        .map(|meter| (meter.meter.as_str(), meter.parent.as_str(), meter.watts.unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            ("package-0", "psys", 50.0),
            ("package-0/core", "package-0", 30.0),
            ("package-0/dram", "psys", 5.0),
            ("psys", "", 120.0),
        ],
        "the same package over MMIO is not counted twice"
    );
    // Looked for again after a minute, the zones keep their readings.
    fs::write(zone("intel-rapl:1"), "9300000000\n").unwrap();
    let readings = reader.read(start + Duration::from_secs(62), ALL);
    assert_eq!(readings.power_meters[3].watts, Some(1.0), "60 J in 60 s");
}

#[test]
fn without_the_platform_memory_stands_beside_its_package() {
    let directory = powercap_copy();
    fs::remove_dir_all(directory.path().join("sys/class/powercap/intel-rapl:1")).unwrap();
    let mut reader = Reader::new(&HostRoot::new(directory.path()), MANY);
    let start = Instant::now();
    reader.read(start, ALL);
    let readings = reader.read(start + Duration::from_secs(1), ALL);
    let parents: Vec<_> = readings
        .power_meters
        .iter()
        .map(|meter| (meter.meter.as_str(), meter.parent.as_str()))
        .collect();
    assert_eq!(
        parents,
        [
            ("package-0", ""),
            ("package-0/core", "package-0"),
            ("package-0/dram", "")
        ]
    );
}

#[test]
fn counters_that_may_not_be_read_are_no_meters() {
    let directory = powercap_copy();
    for zone in fs::read_dir(directory.path().join("sys/class/powercap"))
        .unwrap()
        .map(Result::unwrap)
    {
        // The tests may run as root, who may read everything: so a file that can't be read as a number.
        fs::write(zone.path().join("energy_uj"), "").unwrap();
    }
    let mut reader = Reader::new(&HostRoot::new(directory.path()), MANY);
    let start = Instant::now();
    reader.read(start, ALL);
    assert_eq!(reader.read(start + Duration::from_secs(1), ALL).power_meters, []);
}

#[test]
fn sensors_beyond_the_most_are_counted() {
    let readings = read("composed-server", 2);
    assert_eq!((readings.temperatures.len(), readings.fans.len()), (2, 2));
    assert_eq!((readings.power_meters.len(), readings.batteries.len()), (2, 2));
    // Five temperatures and the empty input beside them, two fans with the one that is not there, one meter.
    assert_eq!(readings.left_out, 6 + 2 + 1);
}

#[test]
fn a_virtual_machine_has_none_and_is_not_asked_again_at_once() {
    let readings = read("linux-6.18-kvm/t0", MANY);
    assert_eq!(
        readings,
        Readings {
            is_bare: true,
            ..Readings::default()
        }
    );
    assert!(!read("composed-server", MANY).is_bare);
}

#[test]
fn light_samples_show_the_readings_of_full_ones() {
    let root = HostRoot::new(&fixture("composed-server"));
    let mut collector = SensorCollector::new(&root, MANY, Duration::from_millis(500));
    collector.set_filter(&MetricFilter::default());
    let start = Instant::now();
    let mut sample = |seconds, depth| {
        let moment = Moment {
            now: start + Duration::from_secs(seconds),
            until: Instant::now() + Duration::from_secs(20),
            depth,
        };
        let mut sample = Sample::default();
        collector.read(&mut sample, &moment).unwrap();
        collector.finish(&mut sample, &moment, &GpuUses::default());
        sample
    };
    assert_eq!(sample(0, Depth::Light).temperatures, []);
    let full = sample(1, Depth::Full);
    assert_eq!((full.temperatures.len(), full.fans.len()), (7, 3));
    assert_eq!(full.cpu.temperature_celsius, Some(63.5));
    let light = sample(4, Depth::Light);
    assert_eq!(light.temperatures, full.temperatures);
    assert_eq!(sample(30, Depth::Light).temperatures, [], "too old");
}

proptest! {
    // Each case makes a tree of files.
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_text_can_stand_in_the_files(text: Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let path = |file: &str| directory.path().join("sys/class").join(file);
        for (place, files) in [
            ("hwmon/hwmon0", &["temp1_input", "fan1_input", "power1_average"][..]),
            ("powercap/intel-rapl:0", &["energy_uj", "max_energy_range_uj"]),
            ("power_supply/BAT0", &["capacity", "status", "power_now", "energy_full", "energy_full_design"]),
        ] {
            fs::create_dir_all(path(place)).unwrap();
            fs::write(path(place).join("name"), "name").unwrap();
            fs::write(path(place).join("type"), "Battery").unwrap();
            for file in files {
                fs::write(path(place).join(file), &text).unwrap();
            }
        }
        let mut reader = Reader::new(&HostRoot::new(directory.path()), MANY);
        let start = Instant::now();
        reader.read(start, ALL);
        let mut sample = Sample::default();
        let readings = reader.read(start + Duration::from_secs(1), ALL);
        (sample.temperatures, sample.fans) = (readings.temperatures, readings.fans);
        (sample.power_meters, sample.batteries) = (readings.power_meters, readings.batteries);
        prop_assert!(nodeglass_model::catalogue::check(&sample).is_ok());
    }
}
