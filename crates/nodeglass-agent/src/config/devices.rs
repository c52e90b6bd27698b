//! The keys that say which devices are shown, and where their drivers and daemons are.

use std::path::PathBuf;

use nodeglass_collect::{CollectConfig, DeviceFilters};
use nodeglass_runtime::config::ConfigReader;

/// More devices of one kind than this make a sample that no server takes.
const MOST: u64 = 4_000;

/// Reads `devices`, `containers` and `gpu` into what tells the collectors.
pub(super) fn read(reader: &mut ConfigReader, collect: &mut CollectConfig) {
    collect.devices = filters(reader);
    collect.max_containers = count(reader, "containers.max", collect.max_containers);
    let sockets: Vec<String> = collect
        .container_sockets
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let sockets: Vec<&str> = sockets.iter().map(String::as_str).collect();
    let sockets = reader.list("containers.sockets", &sockets);
    collect.container_sockets = sockets.into_iter().map(PathBuf::from).collect();
    collect.nvml_library = reader.text("gpu.nvml_library").map(PathBuf::from);
}

fn filters(reader: &mut ConfigReader) -> DeviceFilters {
    let usual = DeviceFilters::default();
    let mut patterns = |key, usual: &[String]| {
        let usual: Vec<&str> = usual.iter().map(String::as_str).collect();
        reader.list(key, &usual)
    };
    DeviceFilters {
        exclude_interfaces: patterns("devices.exclude_interfaces", &usual.exclude_interfaces),
        exclude_disks: patterns("devices.exclude_disks", &usual.exclude_disks),
        exclude_filesystems: patterns("devices.exclude_filesystems", &usual.exclude_filesystems),
        exclude_mounts: patterns("devices.exclude_mounts", &usual.exclude_mounts),
        max_disks: count(reader, "devices.max_disks", usual.max_disks),
        max_interfaces: count(reader, "devices.max_interfaces", usual.max_interfaces),
        max_sensors: count(reader, "devices.max_sensors", usual.max_sensors),
        max_units: count(reader, "devices.max_units", usual.max_units),
    }
}

fn count(reader: &mut ConfigReader, key: &str, usual: usize) -> usize {
    reader.integer(key, usual as u64, 0..=MOST) as usize
}
