//! Processor, memory modules and disks.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use nodeglass_model::system::{CpuInfo, DiskInfo, MemoryInfo, SystemHardware};

use crate::filters::DeviceFilters;
use crate::linux::block::read_disk_type;
use crate::linux::disk::device_of;
use crate::linux::diskstats::parse_diskstats;
use crate::linux::host_root::HostRoot;
use crate::linux::memory::parse_meminfo;
use crate::linux::mounts::read_mounts;
use crate::linux::own_limits::OwnLimits;
use crate::linux::space::SpaceReader;

pub(super) fn read_hardware(root: &HostRoot, filters: &DeviceFilters, deadline: Duration) -> SystemHardware {
    let cpu = read_cpu(root);
    SystemHardware {
        architecture: root
            .read_text("proc/sys/kernel/arch")
            .unwrap_or_else(|| rustix::system::uname().machine().to_string_lossy().into_owned()),
        core_count: cpu.cores,
        thread_count: cpu.threads,
        memory: read_memory(root),
        disks: read_disks(root, filters, deadline),
        cpu,
    }
}

fn read_cpu(root: &HostRoot) -> CpuInfo {
    let mut info = parse_cpuinfo(&root.read_text("proc/cpuinfo").unwrap_or_default());
    if info.cores == 0 {
        info.cores = read_core_count(root).unwrap_or(info.threads);
    }
    let gigahertz = |file: &str| {
        let kilohertz = root.read_number(&format!("sys/devices/system/cpu/cpu0/cpufreq/{file}"))?;
        Some(kilohertz as f64 / 1e6)
    };
    info.base_frequency_ghz = gigahertz("base_frequency");
    info.max_frequency_ghz = gigahertz("cpuinfo_max_freq");
    info
}

/// Parses `/proc/cpuinfo`. `cores` is 0 where it does not name them, as on ARM.
fn parse_cpuinfo(text: &str) -> CpuInfo {
    let mut info = CpuInfo::default();
    let mut cores = HashSet::new();
    let mut package = None;
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key.trim() {
            "processor" => info.threads += 1,
            "model name" | "Model" if info.model.is_empty() => value.clone_into(&mut info.model),
            "physical id" => package = Some(value),
            "core id" => drop(cores.insert((package, value))),
            "flags" | "Features" if info.features.is_empty() => {
                info.features = value.split_whitespace().map(str::to_owned).collect();
            }
            _ => {}
        }
    }
    info.cores = cores.len() as u32;
    info
}

/// Pairs of package and core in `/sys/devices/system/cpu`; `None` if the kernel does not tell.
fn read_core_count(root: &HostRoot) -> Option<u32> {
    let directory = "sys/devices/system/cpu";
    let cores: HashSet<(String, String)> = root
        .list(directory)
        .iter()
        .filter_map(|name| {
            let read = |file: &str| root.read_text(&format!("{directory}/{name}/topology/{file}"));
            Some((read("physical_package_id")?, read("core_id")?))
        })
        .collect();
    (!cores.is_empty()).then_some(cores.len() as u32)
}

fn read_memory(root: &HostRoot) -> MemoryInfo {
    let mut memory = parse_meminfo(&fs::read(root.path("proc/meminfo")).unwrap_or_default());
    if root.is_own() {
        OwnLimits::new(root).apply_memory(&mut memory, Instant::now());
    }
    // Needs root, and firmware that has the tables.
    let modules = root.list("sys/firmware/dmi/entries");
    let module = modules
        .iter()
        .filter(|entry| entry.starts_with("17-"))
        .filter_map(|entry| fs::read(root.path(&format!("sys/firmware/dmi/entries/{entry}/raw"))).ok())
        .find_map(|raw| parse_memory_module(&raw));
    let (memory_type, speed_mhz) = module.unwrap_or_default();
    MemoryInfo {
        total_bytes: memory.total_bytes.unwrap_or(0),
        available_bytes: memory.available_bytes,
        memory_type,
        speed_mhz,
    }
}

/// Parses one SMBIOS memory device (type 17): kind at 0x12, speed at 0x15, configured speed at 0x20, size at 0x0C.
/// `None` for an empty slot.
fn parse_memory_module(raw: &[u8]) -> Option<(Option<String>, Option<u32>)> {
    let word = |at: usize| Some(u16::from_le_bytes([*raw.get(at)?, *raw.get(at + 1)?]));
    if word(0x0C)? == 0 {
        return None;
    }
    let kind = match raw.get(0x12)? {
        0x12 => Some("DDR"),
        0x13 => Some("DDR2"),
        0x18 => Some("DDR3"),
        0x1A => Some("DDR4"),
        0x1B => Some("LPDDR"),
        0x1C => Some("LPDDR2"),
        0x1D => Some("LPDDR3"),
        0x1E => Some("LPDDR4"),
        0x22 => Some("DDR5"),
        0x23 => Some("LPDDR5"),
        _ => None,
    };
    // The structure's own length tells whether it has the newer field; strings follow after it.
    let length = usize::from(*raw.get(1)?);
    let known = |speed: u16| (speed != 0 && speed != u16::MAX).then_some(u32::from(speed));
    let configured = (length >= 0x22).then(|| word(0x20)).flatten().and_then(known);
    Some((
        kind.map(str::to_owned),
        configured.or_else(|| word(0x15).and_then(known)),
    ))
}

fn read_disks(root: &HostRoot, filters: &DeviceFilters, deadline: Duration) -> Vec<DiskInfo> {
    let Ok(mounts) = read_mounts(root, filters) else {
        return Vec::new();
    };
    let diskstats = fs::read(root.path("proc/diskstats")).unwrap_or_default();
    let block_devices = parse_diskstats(&diskstats, &[]);
    let mut space = SpaceReader::new(deadline);
    space.set_mounts(root, &mounts);
    space.start();
    space.finish(Instant::now() + deadline);
    mounts
        .iter()
        .zip(space.known(Instant::now()))
        .map(|(mount, known)| {
            let name = block_devices
                .iter()
                .find(|disk| mount.device_number.0 != 0 && disk.number == mount.device_number)
                .map(|disk| disk.name.as_str());
            let kernel_name = name.or_else(|| mount.source.strip_prefix("/dev/"));
            DiskInfo {
                device: device_of(mount, name),
                mount_point: mount.mount_point.clone(),
                filesystem: mount.filesystem.clone(),
                total_bytes: known.space.map(|space| space.total),
                available_bytes: known.space.map(|space| space.available),
                disk_type: kernel_name.and_then(|name| read_disk_type(root, name)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cores_are_pairs_of_package_and_core() {
        let cpu = |number, package, core| {
            format!("processor\t: {number}\nphysical id\t: {package}\ncore id\t: {core}\n\n")
        };
        let text = [cpu(0, 0, 0), cpu(1, 0, 0), cpu(2, 1, 0), cpu(3, 1, 0)].concat();
        let info = parse_cpuinfo(&text);
        assert_eq!(
            (info.cores, info.threads),
            (2, 4),
            "core 0 of two packages, two threads each"
        );
    }

    #[test]
    fn memory_modules_as_the_firmware_writes_them() {
        let mut raw = vec![0_u8; 0x28];
        raw[0] = 17;
        raw[1] = 0x28;
        assert_eq!(parse_memory_module(&raw), None, "an empty slot");
        raw[0x0C..0x0E].copy_from_slice(&16_384_u16.to_le_bytes());
        raw[0x12] = 0x22;
        raw[0x15..0x17].copy_from_slice(&5_600_u16.to_le_bytes());
        assert_eq!(
            parse_memory_module(&raw),
            Some((Some("DDR5".to_owned()), Some(5_600)))
        );
        raw[0x20..0x22].copy_from_slice(&4_800_u16.to_le_bytes());
        assert_eq!(
            parse_memory_module(&raw),
            Some((Some("DDR5".to_owned()), Some(4_800)))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(raw: Vec<u8>, text: String) {
            let _ = parse_memory_module(&raw);
            parse_cpuinfo(&text);
        }
    }
}
