//! Temperatures, fans and power meters: `/sys/class/hwmon`, and the thermal zones that are not there.

use nodeglass_model::sample::{FanMetrics, PowerMetrics, TemperatureMetrics};

use super::Readings;
use crate::linux::host_root::HostRoot;
use crate::linux::proc_file::NumberFile;

/// What a working sensor can show, in thousandths of a degree; some show nonsense while they sleep.
const PLAUSIBLE_MILLIDEGREES: std::ops::RangeInclusive<i64> = -150_000..=1_000_000;

/// No fan turns faster.
const PLAUSIBLE_RPM: std::ops::RangeInclusive<i64> = 0..=1_000_000;

/// No meter in a host shows more: a megawatt, in microwatts.
const PLAUSIBLE_MICROWATTS: std::ops::RangeInclusive<i64> = 0..=1_000_000_000_000;

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

/// Sensors of one kind, each with its file kept open.
#[derive(Debug, Default)]
struct Sensors {
    sensors: Vec<(String, NumberFile)>,
    left_out: usize,
}

impl Sensors {
    /// Adds one; a second of the same name becomes `name#2`.
    fn add(&mut self, name: String, input: NumberFile, most: usize) {
        if self.sensors.len() >= most {
            self.left_out += 1;
            return;
        }
        let is_same = |known: &str| {
            known == name
                || known
                    .strip_prefix(&name)
                    .is_some_and(|rest| rest.starts_with('#'))
        };
        let name = match self.sensors.iter().filter(|(known, _)| is_same(known)).count() {
            0 => name,
            others => format!("{name}#{}", others + 1),
        };
        self.sensors.push((name, input));
    }

    /// The readings of those that answer with something plausible.
    fn read(&mut self, plausible: std::ops::RangeInclusive<i64>) -> impl Iterator<Item = (&str, i64)> {
        self.sensors.iter_mut().filter_map(move |(name, input)| {
            let value = input.read().filter(|value| plausible.contains(value))?;
            Some((name.as_str(), value))
        })
    }
}

/// All sensors of hwmon, and the thermal zones besides.
#[derive(Debug, Default)]
pub(super) struct Hwmon {
    temperatures: Sensors,
    fans: Sensors,
    power_meters: Sensors,
}

impl Hwmon {
    /// Looks for sensors; `most` of each kind are kept.
    pub(super) fn find(root: &HostRoot, most: usize) -> Self {
        let mut found = Self::default();
        let mut chips = Vec::new();
        for directory in by_number(root.list("sys/class/hwmon"), "hwmon") {
            let directory = format!("sys/class/hwmon/{directory}");
            let Some(chip) = root.read_text(&format!("{directory}/name")) else {
                continue;
            };
            let files = root.list(&directory);
            let has = |file: &str| files.binary_search_by(|known| known.as_str().cmp(file)).is_ok();
            for (prefix, sensors) in [
                ("temp", &mut found.temperatures),
                ("fan", &mut found.fans),
                ("power", &mut found.power_meters),
            ] {
                for file in by_number(files.clone(), prefix) {
                    // Some meters have a momentary value, some a mean, some both.
                    let sensor = match file.strip_suffix("_input") {
                        Some(sensor) => sensor,
                        None => match file.strip_suffix("_average").filter(|_| prefix == "power") {
                            Some(sensor) if !has(&format!("{sensor}_input")) => sensor,
                            _ => continue,
                        },
                    };
                    let label = root.read_text(&format!("{directory}/{sensor}_label"));
                    let name = format!("{chip}/{}", label.as_deref().unwrap_or(sensor));
                    let input = NumberFile::new(root.path(&format!("{directory}/{file}")));
                    sensors.add(name, input, most);
                }
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
                let input = NumberFile::new(root.path(&format!("{directory}/temp")));
                found.temperatures.add(format!("{zone}/{kind}"), input, most);
            }
        }
        found
    }

    /// Adds what the sensors show now.
    pub(super) fn read(&mut self, readings: &mut Readings) {
        let temperatures = self.temperatures.read(PLAUSIBLE_MILLIDEGREES);
        readings
            .temperatures
            .extend(temperatures.map(|(name, millidegrees)| TemperatureMetrics {
                sensor: name.to_owned(),
                temperature_celsius: Some(millidegrees as f64 / 1e3),
            }));
        let fans = self.fans.read(PLAUSIBLE_RPM);
        readings.fans.extend(fans.map(|(name, rpm)| FanMetrics {
            sensor: name.to_owned(),
            speed_rpm: Some(rpm.unsigned_abs()),
        }));
        let power_meters = self.power_meters.read(PLAUSIBLE_MICROWATTS);
        readings
            .power_meters
            .extend(power_meters.map(|(name, microwatts)| PowerMetrics {
                meter: name.to_owned(),
                watts: Some(microwatts as f64 / 1e6),
                ..PowerMetrics::default()
            }));
    }

    pub(super) fn is_empty(&self) -> bool {
        let kinds = [&self.temperatures, &self.fans, &self.power_meters];
        kinds.iter().all(|kind| kind.sensors.is_empty())
    }

    /// How many sensors there are beyond the most.
    pub(super) fn left_out(&self) -> usize {
        self.temperatures.left_out + self.fans.left_out + self.power_meters.left_out
    }
}

/// The hottest sensor of the processor, in degrees Celsius; `None` if no sensor measures it.
pub(super) fn hottest_cpu(temperatures: &[TemperatureMetrics]) -> Option<f64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mainboard_is_asked_last() {
        let sensor = |name: &str, celsius| TemperatureMetrics {
            sensor: name.to_owned(),
            temperature_celsius: Some(celsius),
        };
        let board = sensor("acpitz/temp1", 90.0);
        assert_eq!(hottest_cpu(&[]), None);
        assert_eq!(hottest_cpu(std::slice::from_ref(&board)), Some(90.0));
        assert_eq!(
            hottest_cpu(&[board, sensor("thermal_zone2/x86_pkg_temp", 50.0)]),
            Some(50.0)
        );
        assert_eq!(hottest_cpu(&[sensor("nvme/Composite", 40.0)]), None);
    }

    #[test]
    fn numbers_order_names() {
        let names = ["temp10_input", "temp2_input", "tempx", "temp", "fan1_input"];
        let ordered = by_number(names.map(str::to_owned).to_vec(), "temp");
        assert_eq!(ordered, ["temp2_input", "temp10_input"]);
    }
}
