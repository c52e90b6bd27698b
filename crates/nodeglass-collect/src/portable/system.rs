//! The host's description, as far as `sysinfo` knows it.

#[cfg(not(target_os = "linux"))]
use std::path::Path;

use nodeglass_model::UnixMillis;
use nodeglass_model::system::{
    CpuInfo, DiskInfo, MemoryInfo, NetworkInterface, OperatingSystem, SystemHardware, SystemInfo,
    SystemParts, SystemSoftware,
};
use sysinfo::{CpuRefreshKind, DiskKind, Disks, InterfaceOperationalState, MacAddr, Networks, System};

/// Describes the host. Packages are never known here.
pub(crate) fn read_system_info(parts: SystemParts, at: UnixMillis) -> SystemInfo {
    SystemInfo {
        timestamp: at,
        hardware: parts.hardware.then(read_hardware),
        software: (parts.software || parts.packages).then(read_software),
        network_interfaces: parts.network.then(read_interfaces),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn read_host_name(_host_root: &Path) -> Option<String> {
    System::host_name().ok().filter(|name| !name.is_empty())
}

fn read_hardware() -> SystemHardware {
    let mut info = SystemHardware {
        architecture: System::cpu_arch(),
        ..SystemHardware::default()
    };
    if let Ok(mut system) = System::new() {
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        system.refresh_memory();
        let threads = system.cpus().len() as u32;
        let cores = System::physical_core_count().map_or(threads, |cores| cores as u32);
        info.cpu = CpuInfo {
            model: system
                .cpus()
                .first()
                .map_or_else(String::new, |core| core.brand().trim().to_owned()),
            cores,
            threads,
            ..CpuInfo::default()
        };
        info.memory = MemoryInfo {
            total_bytes: system.total_memory(),
            available_bytes: Some(system.available_memory()),
            ..MemoryInfo::default()
        };
        (info.core_count, info.thread_count) = (cores, threads);
    }
    if let Ok(disks) = Disks::new_with_refreshed_list() {
        info.disks = disks
            .iter()
            .map(|disk| DiskInfo {
                device: disk.name().to_string_lossy().into_owned(),
                mount_point: disk.mount_point().to_string_lossy().into_owned(),
                filesystem: disk.file_system().to_string_lossy().into_owned(),
                total_bytes: Some(disk.total_space()),
                available_bytes: Some(disk.available_space()),
                disk_type: match disk.kind() {
                    DiskKind::SSD => Some("SSD".to_owned()),
                    DiskKind::HDD => Some("HDD".to_owned()),
                    DiskKind::Unknown(_) => None,
                },
            })
            .collect();
    }
    info
}

fn read_software() -> SystemSoftware {
    let text = |answer: Result<String, sysinfo::Error>| answer.unwrap_or_default();
    SystemSoftware {
        os: OperatingSystem {
            name: if cfg!(target_os = "linux") {
                "Linux".to_owned()
            } else {
                text(System::name())
            },
            version: text(System::long_os_version()),
            kernel_version: text(System::kernel_version()),
            distribution: cfg!(target_os = "linux").then(System::distribution_id),
        },
        hostname: text(System::host_name()),
        uptime_seconds: System::uptime().ok(),
        packages: None,
        container: None,
    }
}

fn read_interfaces() -> Vec<NetworkInterface> {
    let Ok(networks) = Networks::new_with_refreshed_list() else {
        return Vec::new();
    };
    let mut interfaces: Vec<NetworkInterface> = networks
        .iter()
        .map(|(name, data)| NetworkInterface {
            name: name.to_string_lossy().into_owned(),
            mac_address: Some(data.mac_address())
                .filter(|address| *address != MacAddr::UNSPECIFIED)
                .map(|address| address.to_string()),
            ip_addresses: data
                .ip_networks()
                .iter()
                .map(|network| network.addr.to_string())
                .collect(),
            speed_mbps: None,
            is_up: data.operational_state() == InterfaceOperationalState::Up,
        })
        .collect();
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces
}
