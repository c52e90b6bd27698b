//! Batteries that the host runs on: `/sys/class/power_supply`. Those of mice and headsets are not its own.

use nodeglass_model::rates::percent;
use nodeglass_model::sample::BatteryMetrics;

use crate::linux::host_root::HostRoot;

/// No battery in a host gives more.
const MOST_WATTS: f64 = 100_000.0;

/// The batteries that are there, by name.
pub(super) fn read_batteries(root: &HostRoot) -> Vec<BatteryMetrics> {
    let names = root.list("sys/class/power_supply").into_iter();
    names.filter_map(|name| read_battery(root, name)).collect()
}

fn read_battery(root: &HostRoot, name: String) -> Option<BatteryMetrics> {
    let text = |file: &str| root.read_text(&format!("sys/class/power_supply/{name}/{file}"));
    if text("type")? != "Battery" || text("scope").is_some_and(|scope| scope == "Device") {
        return None;
    }
    // Current is negative on some drivers while the battery is drained.
    let number = |file: &str| -> Option<u64> { Some(text(file)?.parse::<i64>().ok()?.unsigned_abs()) };
    if number("present") == Some(0) {
        return None;
    }
    let health = |full: &str, design: &str| {
        let (full, design) = (number(full)?, number(design)?);
        // A new battery may hold more than it was sold with.
        percent(full.min(design), design)
    };
    // Microwatts, or microamperes and microvolts.
    let watts = match number("power_now") {
        Some(microwatts) => Some(microwatts as f64 / 1e6),
        None => number("current_now")
            .zip(number("voltage_now"))
            .map(|(current, voltage)| current as f64 * voltage as f64 / 1e12),
    };
    Some(BatteryMetrics {
        charge_percent: number("capacity")
            .filter(|percent| *percent <= 100)
            .map(|percent| percent as f64),
        power_watts: watts.filter(|watts| *watts <= MOST_WATTS),
        charging: text("status").map(|status| (status == "Charging").into()),
        health_percent: health("energy_full", "energy_full_design")
            .or_else(|| health("charge_full", "charge_full_design")),
        battery: name,
    })
}
