//! Heat and power: `thermal_zone`, `powersupplyclass` and `rapl`.

use std::collections::BTreeMap;

use super::Outcome;
use super::tree::Tree;
use crate::exposition::text::Exposition;
use crate::exposition::text::FamilyKind::{Counter, Gauge};

const THERMAL: &str = "sys/class/thermal";
const SUPPLIES: &str = "sys/class/power_supply";
const POWERCAP: &str = "sys/class/powercap";
const MICRO: f64 = 1e6;
const MILLI: f64 = 1e3;

/// Thermometers of the firmware, and what it cools with.
#[expect(clippy::unnecessary_wraps, reason = "collectors have one shape")]
pub(super) fn write_thermal(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let mut families = [
        (
            "node_cooling_device_cur_state",
            "Current throttle state of the cooling device",
            Vec::new(),
        ),
        (
            "node_cooling_device_max_state",
            "Maximum throttle state of the cooling device",
            Vec::new(),
        ),
    ];
    for device in tree.numbered(THERMAL, "cooling_device").unwrap_or_default() {
        let at = format!("{THERMAL}/cooling_device{device}");
        let kind = tree.text(&format!("{at}/type"));
        let states = [
            tree.number(&format!("{at}/cur_state")),
            tree.number(&format!("{at}/max_state")),
        ];
        if let (Some(kind), [Some(current), Some(highest)]) = (kind, states) {
            families[0].2.push((device.to_string(), kind.clone(), current));
            families[1].2.push((device.to_string(), kind, highest));
        }
    }
    for (name, help, devices) in &families {
        let mut family = out.family(name, Gauge, help);
        for (device, kind, state) in devices {
            family.series(&[("name", device), ("type", kind)], *state);
        }
    }
    let mut zones = Vec::new();
    for zone in tree.numbered(THERMAL, "thermal_zone").unwrap_or_default() {
        let at = format!("{THERMAL}/thermal_zone{zone}");
        // Some say nothing while their device sleeps.
        if let (Some(kind), Some(temperature)) = (
            tree.text(&format!("{at}/type")),
            tree.number(&format!("{at}/temp")),
        ) {
            zones.push((zone.to_string(), kind, temperature));
        }
    }
    let mut family = out.family("node_thermal_zone_temp", Gauge, "Zone temperature in Celsius");
    for (zone, kind, temperature) in &zones {
        family.series(&[("type", kind), ("zone", zone)], temperature / MILLI);
    }
    Ok(())
}

/// Files of `/sys/class/power_supply/*`, with the end of their family's name and what divides them.
const SUPPLY_VALUES: [(&str, &str, f64); 49] = [
    ("authentic", "authentic", 1.0),
    ("calibrate", "calibrate", 1.0),
    ("capacity", "capacity", 1.0),
    ("capacity_alert_max", "capacity_alert_max", 1.0),
    ("capacity_alert_min", "capacity_alert_min", 1.0),
    ("charge_now", "charge_ampere", MICRO),
    ("charge_control_limit", "charge_control_limit", MICRO),
    ("charge_control_limit_max", "charge_control_limit_max", MICRO),
    ("charge_counter", "charge_counter", MICRO),
    ("charge_empty", "charge_empty", MICRO),
    ("charge_empty_design", "charge_empty_design", MICRO),
    ("charge_full", "charge_full", MICRO),
    ("charge_full_design", "charge_full_design", MICRO),
    ("charge_term_current", "charge_term_current", MICRO),
    ("constant_charge_current", "constant_charge_current", MICRO),
    (
        "constant_charge_current_max",
        "constant_charge_current_max",
        MICRO,
    ),
    ("constant_charge_voltage", "constant_charge_voltage", MICRO),
    (
        "constant_charge_voltage_max",
        "constant_charge_voltage_max",
        MICRO,
    ),
    ("current_now", "current_ampere", MICRO),
    ("current_boot", "current_boot", MICRO),
    ("current_max", "current_max", MICRO),
    ("cycle_count", "cyclecount", 1.0),
    ("energy_empty", "energy_empty", MICRO),
    ("energy_empty_design", "energy_empty_design", MICRO),
    ("energy_full", "energy_full", MICRO),
    ("energy_full_design", "energy_full_design", MICRO),
    ("energy_now", "energy_watthour", MICRO),
    ("input_current_limit", "input_current_limit", MICRO),
    ("online", "online", 1.0),
    ("power_now", "power_watt", MICRO),
    ("precharge_current", "precharge_current", MICRO),
    ("present", "present", 1.0),
    ("temp_alert_max", "temp_alert_max_celsius", 10.0),
    ("temp_alert_min", "temp_alert_min_celsius", 10.0),
    ("temp_ambient", "temp_ambient_celsius", 10.0),
    ("temp_ambient_max", "temp_ambient_max_celsius", 10.0),
    ("temp_ambient_min", "temp_ambient_min_celsius", 10.0),
    ("temp", "temp_celsius", 10.0),
    ("temp_max", "temp_max_celsius", 10.0),
    ("temp_min", "temp_min_celsius", 10.0),
    ("time_to_empty_now", "time_to_empty_seconds", 1.0),
    ("time_to_full_now", "time_to_full_seconds", 1.0),
    ("voltage_boot", "voltage_boot", MICRO),
    ("voltage_max", "voltage_max", MICRO),
    ("voltage_max_design", "voltage_max_design", MICRO),
    ("voltage_min", "voltage_min", MICRO),
    ("voltage_min_design", "voltage_min_design", MICRO),
    ("voltage_ocv", "voltage_ocv", MICRO),
    ("voltage_now", "voltage_volt", MICRO),
];

/// Texts of the same directories, which are labels.
const SUPPLY_TEXTS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

/// Batteries and mains.
pub(super) fn write_supplies(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let supplies = tree.list(SUPPLIES)?;
    for (file, property, divisor) in SUPPLY_VALUES {
        let name = format!("node_power_supply_{property}");
        let help = format_args!("{property} value of /sys/class/power_supply/<power_supply>.");
        let mut family = out.family(&name, Gauge, help);
        for supply in &supplies {
            let value = tree.number(&format!("{SUPPLIES}/{supply}/{file}"));
            family.series_if(&[("power_supply", supply)], value.map(|value| value / divisor));
        }
    }
    let mut info = out.family(
        "node_power_supply_info",
        Gauge,
        "info of /sys/class/power_supply/<power_supply>.",
    );
    for supply in &supplies {
        let mut texts = vec![("power_supply", supply.clone())];
        for label in SUPPLY_TEXTS {
            let text = tree.text(&format!("{SUPPLIES}/{supply}/{label}"));
            texts.extend(text.filter(|text| !text.is_empty()).map(|text| (label, text)));
        }
        texts.sort_unstable();
        let labels: Vec<(&str, &str)> = texts.iter().map(|(label, text)| (*label, &**text)).collect();
        info.series(&labels, 1.0);
    }
    Ok(())
}

/// Energy that parts of the processor used; only root may read it.
pub(super) fn write_rapl(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let mut zones: BTreeMap<String, Vec<(String, String, f64)>> = BTreeMap::new();
    let mut used = BTreeMap::new();
    for directory in tree.list(POWERCAP)? {
        let at = format!("{POWERCAP}/{directory}");
        let Some(zone) = tree.text(&format!("{at}/name")) else {
            continue;
        };
        // `package-1` has its number in its name; others of one name are counted.
        let numbered = zone
            .split_once('-')
            .and_then(|(name, number)| Some((name, number.parse().ok()?)));
        let (zone, index): (&str, u32) =
            numbered.unwrap_or_else(|| (&zone, used.get(&zone).copied().unwrap_or_default()));
        used.insert(zone.to_owned(), index + 1);
        if let Some(energy) = tree.number(&format!("{at}/energy_uj")) {
            let series = (index.to_string(), format!("/{at}"), energy / MICRO);
            zones
                .entry(zone.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
                .or_default()
                .push(series);
        }
    }
    for (zone, series) in &zones {
        let name = format!("node_rapl_{zone}_joules_total");
        let help = format_args!("Current RAPL {zone} value in joules");
        let mut family = out.family(&name, Counter, help);
        for (index, path, energy) in series {
            family.series(&[("index", index), ("path", path)], *energy);
        }
    }
    if zones.is_empty() {
        Err(super::NoData)
    } else {
        Ok(())
    }
}
