//! Temperature sensors: `/sys/class/hwmon`, and the thermal zones that are not there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nodeglass_model::sample::{Sample, TemperatureMetrics};

use super::collector::{Collector, Moment};
use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};

/// Sensors come and go with modules and drives; to look for them costs many small reads.
const LIST_AGE: Duration = Duration::from_mins(1);

/// What a working sensor can show, in thousandths of a degree; some show nonsense while they sleep.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -150_000..=1_000_000;

/// Chips and zones that measure the processor.
const CPU_CHIPS: [&str; 8] = [
    "coretemp",
    "k10temp",
    "k8temp",
    "zenpower",
    "cpu_thermal",
    "cpu-thermal",
    "soc_thermal",
    "x86_pkg_temp",
];

/// The mainboard's idea of it: only where no chip above is there.
const CPU_LAST_RESORT: &str = "acpitz";

/// One sensor with its file kept open.
struct Sensor {
    name: String,
    input: ProcFile,
}

/// Reads every temperature sensor.
pub(super) struct TemperatureCollector {
    root: HostRoot,
    sensors: Vec<Sensor>,
    listed_at: Option<Instant>,
}

impl TemperatureCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            root: root.clone(),
            sensors: Vec::new(),
            listed_at: None,
        }
    }

    /// Every sensor that answers. Hosts without sensors, and sensors that are asleep, are no failure.
    fn read_all(&mut self, now: Instant) -> Vec<TemperatureMetrics> {
        let is_fresh = self
            .listed_at
            .is_some_and(|at| now.saturating_duration_since(at) < LIST_AGE);
        if !is_fresh {
            self.sensors = list_sensors(&self.root);
            self.listed_at = Some(now);
        }
        let read = |sensor: &mut Sensor| {
            Some(TemperatureMetrics {
                temperature_celsius: Some(parse_millidegrees(sensor.input.read().ok()?)?),
                sensor: sensor.name.clone(),
            })
        };
        self.sensors.iter_mut().filter_map(read).collect()
    }
}

impl Collector for TemperatureCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        sample.temperatures = self.read_all(moment.now);
        sample.cpu.temperature_celsius = hottest_cpu(&sample.temperatures);
        Ok(())
    }
}

/// The hottest sensor of the processor, in degrees Celsius; `None` if no sensor measures it.
fn hottest_cpu(temperatures: &[TemperatureMetrics]) -> Option<f64> {
    let hottest = |measures: &dyn Fn(&str) -> bool| {
        temperatures
            .iter()
            .filter(|sensor| measures(&sensor.sensor))
            .filter_map(|sensor| sensor.temperature_celsius)
            .reduce(f64::max)
    };
    // A sensor is `chip/label`, or `thermal_zone0/chip`.
    let is_of = |sensor: &str, chip: &str| {
        let mut parts = sensor.split(['/', '#']);
        let first = parts.next().unwrap_or_default();
        first == chip || (first.starts_with("thermal_zone") && parts.next() == Some(chip))
    };
    hottest(&|sensor| CPU_CHIPS.iter().any(|chip| is_of(sensor, chip)))
        .or_else(|| hottest(&|sensor| is_of(sensor, CPU_LAST_RESORT)))
}

fn list_sensors(root: &HostRoot) -> Vec<Sensor> {
    let mut sensors = Vec::new();
    let mut chips = Vec::new();
    for directory in by_number(root.list("sys/class/hwmon"), "hwmon") {
        let directory = format!("sys/class/hwmon/{directory}");
        let Some(chip) = root.read_text(&format!("{directory}/name")) else {
            continue;
        };
        for input in by_number(root.list(&directory), "temp") {
            let Some(sensor) = input.strip_suffix("_input") else {
                continue;
            };
            let label = root.read_text(&format!("{directory}/{sensor}_label"));
            let name = format!("{chip}/{}", label.as_deref().unwrap_or(sensor));
            add(&mut sensors, name, root.path(&format!("{directory}/{input}")));
        }
        chips.push(chip);
    }
    for zone in by_number(root.list("sys/class/thermal"), "thermal_zone") {
        let directory = format!("sys/class/thermal/{zone}");
        let Some(kind) = root.read_text(&format!("{directory}/type")) else {
            continue;
        };
        // The kernel shows most zones in hwmon too, under their type with its dashes replaced.
        if !chips.contains(&kind.replace('-', "_")) {
            add(
                &mut sensors,
                format!("{zone}/{kind}"),
                root.path(&format!("{directory}/temp")),
            );
        }
    }
    sensors
}

fn add(sensors: &mut Vec<Sensor>, name: String, input: PathBuf) {
    let is_same = |known: &str| {
        known == name
            || known
                .strip_prefix(&name)
                .is_some_and(|rest| rest.starts_with('#'))
    };
    let name = match sensors.iter().filter(|sensor| is_same(&sensor.name)).count() {
        0 => name,
        others => format!("{name}#{}", others + 1),
    };
    sensors.push(Sensor {
        name,
        input: ProcFile::new(input),
    });
}

/// The names that begin with `prefix` and a number, by that number: `temp2_input` before `temp10_input`.
fn by_number(names: Vec<String>, prefix: &str) -> Vec<String> {
    let number = |name: &str| -> Option<u32> {
        let rest = name.strip_prefix(prefix)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..digits].parse().ok()
    };
    let mut numbered: Vec<(u32, String)> = names
        .into_iter()
        .filter_map(|name| Some((number(&name)?, name)))
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, name)| name).collect()
}

fn parse_millidegrees(text: &[u8]) -> Option<f64> {
    let millidegrees: i64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    PLAUSIBLE
        .contains(&millidegrees)
        .then_some(millidegrees as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn read(tree: &str) -> Vec<TemperatureMetrics> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(tree);
        TemperatureCollector::new(&HostRoot::new(&root)).read_all(Instant::now())
    }

    #[test]
    fn sensors_of_the_composed_server() {
        let temperatures = read("composed-server");
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
    fn a_virtual_machine_has_none() {
        assert_eq!(read("linux-6.18-kvm/t0"), []);
        assert_eq!(hottest_cpu(&[]), None);
    }

    #[test]
    fn the_mainboard_is_asked_last() {
        let sensor = |name: &str, celsius| TemperatureMetrics {
            sensor: name.to_owned(),
            temperature_celsius: Some(celsius),
        };
        let board = sensor("acpitz/temp1", 90.0);
        assert_eq!(hottest_cpu(std::slice::from_ref(&board)), Some(90.0));
        assert_eq!(
            hottest_cpu(&[board, sensor("thermal_zone2/x86_pkg_temp", 50.0)]),
            Some(50.0)
        );
        assert_eq!(hottest_cpu(&[sensor("nvme/Composite", 40.0)]), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            let _ = parse_millidegrees(&text);
        }
    }
}
