//! Sensors of boards and chips: `hwmon`.
//!
//! What a chip has is told by the names of its files: `temp1_input` is the reading of its first thermometer. Families
//! are named after what is found, so that all chips are read before the first is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::tree::Tree;
use super::{NoData, Outcome};
use crate::exposition::text::FamilyKind::{Counter, Gauge};
use crate::exposition::text::{Exposition, FamilyKind};

const CLASS: &str = "sys/class/hwmon";
const MILLI: f64 = 0.001;
const MICRO: f64 = 1e6;

/// Files that begin otherwise are no sensors'.
const KINDS: [&str; 13] = [
    "beep_enable",
    "cpu",
    "curr",
    "energy",
    "fan",
    "humidity",
    "in",
    "intrusion",
    "power",
    "pwm",
    "temp",
    "update_interval",
    "vrm",
];

/// The files of one sensor by what they say: `input`, `label`, `max`, or nothing for the sensor's own.
type Sensor = BTreeMap<String, String>;

/// A family with its series: labels and values.
struct Readings {
    kind: FamilyKind,
    help: String,
    series: Vec<([(&'static str, String); 2], f64)>,
}

/// Everything that the chips say.
pub(super) fn write(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let mut chips = Vec::new();
    for directory in tree.list(CLASS)? {
        if let Some(chip) = chip_name(tree, &directory) {
            let sensors = read_sensors(tree, &directory);
            let readable = tree
                .text(&format!("{CLASS}/{directory}/name"))
                .map(|name| clean(&name));
            chips.push((chip, readable.filter(|name| !name.is_empty()), sensors));
        }
    }
    if chips.is_empty() {
        return Err(NoData);
    }
    let mut names = out.family(
        "node_hwmon_chip_names",
        Gauge,
        "Annotation metric for human-readable chip names",
    );
    for (chip, name, _) in &chips {
        let name = name.as_ref().unwrap_or(chip);
        names.series(&[("chip", chip), ("chip_name", name)], 1.0);
    }
    let mut labels = out.family(
        "node_hwmon_sensor_label",
        Gauge,
        "Label for given chip and sensor",
    );
    for (chip, _, sensors) in &chips {
        for (sensor, files) in sensors {
            if let Some(label) = files.get("label") {
                labels.series(&[("chip", chip), ("label", label), ("sensor", sensor)], 1.0);
            }
        }
    }
    let mut families = BTreeMap::new();
    for (chip, _, sensors) in &chips {
        for (sensor, files) in sensors {
            gather(&mut families, chip, sensor, files);
        }
    }
    for (name, readings) in &families {
        let mut family = out.family(name, readings.kind, &readings.help);
        for (labels, value) in &readings.series {
            family.series(
                &[(labels[0].0, &labels[0].1), (labels[1].0, &labels[1].1)],
                *value,
            );
        }
    }
    Ok(())
}

/// Takes the readings of one sensor.
fn gather(families: &mut BTreeMap<String, Readings>, chip: &str, sensor: &str, files: &Sensor) {
    let kind = sensor.trim_end_matches(|character: char| character.is_ascii_digit());
    for (file, text) in files {
        let Some((name, help, scale)) = name_reading(kind, file, files) else {
            continue;
        };
        let value = match kind {
            "beep_enable" => Some(f64::from(u8::from(text == "1"))),
            _ => text.parse().ok(),
        };
        let Some(value) = value else {
            continue;
        };
        let family_kind = if kind == "energy" { Counter } else { Gauge };
        families
            .entry(name)
            .or_insert_with(|| Readings {
                kind: family_kind,
                help,
                series: Vec::new(),
            })
            .series
            .push((
                [("chip", chip.to_owned()), ("sensor", sensor.to_owned())],
                scale.apply(value),
            ));
    }
}

/// How a file's number becomes the family's unit.
#[derive(Clone, Copy)]
enum Scale {
    One,
    Milli,
    Micro,
}

impl Scale {
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::One => value,
            Self::Milli => value * MILLI,
            Self::Micro => value / MICRO,
        }
    }
}

/// The family of one file of a sensor, what it means, and its unit; `None` for those without a number of their own.
fn name_reading(kind: &str, file: &str, files: &Sensor) -> Option<(String, String, Scale)> {
    match kind {
        "beep_enable" => {
            return Some((
                "node_hwmon_beep_enabled".into(),
                "Hardware beep enabled".into(),
                Scale::One,
            ));
        }
        "vrm" => {
            let help = "Hardware voltage regulator";
            return Some((
                "node_hwmon_voltage_regulator_version".into(),
                help.into(),
                Scale::One,
            ));
        }
        "update_interval" => {
            let help = "Hardware monitor update interval";
            return Some((
                "node_hwmon_update_interval_seconds".into(),
                help.into(),
                Scale::Milli,
            ));
        }
        _ if file == "label" => return None,
        _ => {}
    }
    let name = match file {
        // The reading itself goes by the sensor's name, unless there is a file of that name too.
        "input" if !files.contains_key("") => format!("node_hwmon_{kind}"),
        "" => format!("node_hwmon_{kind}"),
        other => format!("node_hwmon_{kind}_{}", clean(other)),
    };
    let (suffix, help, scale) = match (kind, file) {
        (_, "fault" | "alarm") => ("", format!("Hardware sensor {file} status ({kind})"), Scale::One),
        (_, "beep") => (
            "_enabled",
            "Hardware monitor sensor has beeping enabled".to_owned(),
            Scale::One,
        ),
        ("in" | "cpu", _) => (
            "_volts",
            format!("Hardware monitor for voltage ({file})"),
            Scale::Milli,
        ),
        ("temp", file) if file != "type" => (
            "_celsius",
            format!("Hardware monitor for temperature ({file})"),
            Scale::Milli,
        ),
        ("curr", _) => (
            "_amps",
            format!("Hardware monitor for current ({file})"),
            Scale::Milli,
        ),
        ("energy", _) => (
            "_joule_total",
            format!("Hardware monitor for joules used so far ({file})"),
            Scale::Micro,
        ),
        ("power", "accuracy") => (
            "",
            "Hardware monitor power meter accuracy, as a ratio".to_owned(),
            Scale::Micro,
        ),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => (
            "_seconds",
            format!("Hardware monitor power usage update interval ({file})"),
            Scale::Milli,
        ),
        ("power", _) => (
            "_watt",
            format!("Hardware monitor for power usage in watts ({file})"),
            Scale::Micro,
        ),
        ("humidity", _) => (
            "",
            format!(
                "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) \
                 ({file})"
            ),
            Scale::Micro,
        ),
        ("fan", "input" | "min" | "max" | "target") => (
            "_rpm",
            format!("Hardware monitor for fan revolutions per minute ({file})"),
            Scale::One,
        ),
        _ => ("", format!("Hardware monitor {kind} element {file}"), Scale::One),
    };
    Some((format!("{name}{suffix}"), help, scale))
}

/// The files of a chip, and of the device that it is a part of, by sensor.
fn read_sensors(tree: &mut Tree, chip: &str) -> BTreeMap<String, Sensor> {
    let mut sensors: BTreeMap<String, Sensor> = BTreeMap::new();
    for directory in [format!("{CLASS}/{chip}"), format!("{CLASS}/{chip}/device")] {
        for file in tree.list(&directory).unwrap_or_default() {
            if let Some((sensor, what)) = explode(&file)
                && let Some(text) = tree.text(&format!("{directory}/{file}"))
            {
                sensors.entry(sensor).or_default().insert(what.to_owned(), text);
            }
        }
    }
    sensors
}

/// The sensor that a file belongs to, with what the file says of it: `temp1_input` is `input` of `temp1`. What has no
/// number has number 0.
fn explode(file: &str) -> Option<(String, &str)> {
    let kind_length = file
        .find(|character: char| character.is_ascii_digit())
        .unwrap_or(file.len());
    // Without digits, the longest name that is a sensor's own wins: `beep_enable`, `update_interval`.
    let (kind, rest) = if KINDS.contains(&file) {
        (file, "")
    } else {
        file.split_at(kind_length)
    };
    if !KINDS.contains(&kind) {
        return None;
    }
    let digits = rest.len()
        - rest
            .trim_start_matches(|character: char| character.is_ascii_digit())
            .len();
    let (number, what) = rest.split_at(digits);
    let number: u32 = if number.is_empty() {
        0
    } else {
        number.parse().ok()?
    };
    let what = match what {
        "" => "",
        what => what.strip_prefix('_')?,
    };
    Some((format!("{kind}{number}"), what))
}

/// A name for a chip that lasts: where it sits, as the numbers of `hwmon` change from start to start; else what it
/// calls itself.
fn chip_name(tree: &mut Tree, directory: &str) -> Option<String> {
    let at = tree.root.path(CLASS).join(directory);
    if let Ok(device) = fs::canonicalize(at.join("device")) {
        let part = |path: Option<&Path>| {
            let name = path
                .and_then(Path::file_name)
                .map(|name| clean(&name.to_string_lossy()));
            name.unwrap_or_default()
        };
        let (kind, name) = (part(device.parent()), part(Some(&device)));
        if !name.is_empty() {
            return Some(if kind.is_empty() {
                name
            } else {
                format!("{kind}_{name}")
            });
        }
    }
    let own = tree
        .text(&format!("{CLASS}/{directory}/name"))
        .map(|name| clean(&name));
    own.filter(|name| !name.is_empty())
        .or_else(|| Some(clean(directory)).filter(|name| !name.is_empty()))
}

/// A text as part of a name: small letters, digits, `:` and `_`.
fn clean(text: &str) -> String {
    let lower = text.to_lowercase();
    let replaced: String = lower
        .chars()
        .map(|character| match character {
            'a'..='z' | '0'..='9' | ':' | '_' => character,
            _ => '_',
        })
        .collect();
    replaced.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_tell_their_sensor() {
        assert_eq!(explode("temp1_input"), Some(("temp1".to_owned(), "input")));
        assert_eq!(
            explode("power12_average_interval_min"),
            Some(("power12".to_owned(), "average_interval_min"))
        );
        assert_eq!(explode("pwm2"), Some(("pwm2".to_owned(), "")));
        assert_eq!(explode("beep_enable"), Some(("beep_enable0".to_owned(), "")));
        assert_eq!(
            explode("update_interval"),
            Some(("update_interval0".to_owned(), ""))
        );
        for file in ["name", "uevent", "subsystem", "temp1x", "temp_input", "power"] {
            assert!(
                explode(file).is_none_or(|(sensor, _)| sensor == "power0"),
                "{file}"
            );
        }
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean("coretemp.0"), "coretemp_0");
        assert_eq!(clean("0000:00:18.3"), "0000:00:18_3");
        assert_eq!(clean("+Über "), "ber");
    }
}
