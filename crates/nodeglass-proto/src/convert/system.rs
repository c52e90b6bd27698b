//! System information.

use nodeglass_model::UnixMillis;
use nodeglass_model::system as model;

use super::same_fields;
use crate::v1;

same_fields!(
    model::CpuInfo,
    v1::CpuInfo {
        model,
        cores,
        threads,
        base_frequency_ghz,
        max_frequency_ghz,
        features,
    }
);
same_fields!(
    model::MemoryInfo,
    v1::MemoryInfo {
        total_bytes,
        available_bytes,
        memory_type,
        speed_mhz
    }
);
same_fields!(
    model::DiskInfo,
    v1::DiskInfo {
        device,
        mount_point,
        filesystem,
        total_bytes,
        available_bytes,
        disk_type,
    }
);
same_fields!(
    model::NetworkInterface,
    v1::NetworkInterface {
        name,
        mac_address,
        ip_addresses,
        speed_mbps,
        is_up
    }
);
same_fields!(
    model::OperatingSystem,
    v1::OperatingSystem {
        name,
        version,
        kernel_version,
        distribution
    }
);
same_fields!(
    model::InstalledPackage,
    v1::InstalledPackage {
        name,
        version,
        package_manager
    }
);

impl From<&model::SystemHardware> for v1::SystemHardware {
    fn from(hardware: &model::SystemHardware) -> Self {
        Self {
            cpu: Some((&hardware.cpu).into()),
            memory: Some((&hardware.memory).into()),
            disks: hardware.disks.iter().map(Into::into).collect(),
            architecture: hardware.architecture.clone(),
            core_count: hardware.core_count,
            thread_count: hardware.thread_count,
        }
    }
}

impl From<v1::SystemHardware> for model::SystemHardware {
    fn from(hardware: v1::SystemHardware) -> Self {
        Self {
            cpu: hardware.cpu.map(Into::into).unwrap_or_default(),
            memory: hardware.memory.map(Into::into).unwrap_or_default(),
            disks: hardware.disks.into_iter().map(Into::into).collect(),
            architecture: hardware.architecture,
            core_count: hardware.core_count,
            thread_count: hardware.thread_count,
        }
    }
}

impl From<&model::SystemSoftware> for v1::SystemSoftware {
    fn from(software: &model::SystemSoftware) -> Self {
        Self {
            os: Some((&software.os).into()),
            hostname: software.hostname.clone(),
            uptime_seconds: software.uptime_seconds,
            packages: software.packages.iter().flatten().map(Into::into).collect(),
            has_packages: software.packages.is_some(),
            container: software.container.clone(),
        }
    }
}

impl From<v1::SystemSoftware> for model::SystemSoftware {
    fn from(software: v1::SystemSoftware) -> Self {
        let packages = software.packages.into_iter().map(Into::into).collect();
        Self {
            os: software.os.map(Into::into).unwrap_or_default(),
            hostname: software.hostname,
            uptime_seconds: software.uptime_seconds,
            packages: software.has_packages.then_some(packages),
            container: software.container,
        }
    }
}

impl From<&model::SystemInfo> for v1::SystemInfoResponse {
    fn from(info: &model::SystemInfo) -> Self {
        Self {
            hardware: info.hardware.as_ref().map(Into::into),
            software: info.software.as_ref().map(Into::into),
            network_interfaces: info.network_interfaces.iter().flatten().map(Into::into).collect(),
            timestamp: info.timestamp.0.unsigned_abs(),
            has_network_interfaces: info.network_interfaces.is_some(),
        }
    }
}

impl From<v1::SystemInfoResponse> for model::SystemInfo {
    fn from(info: v1::SystemInfoResponse) -> Self {
        let interfaces = info.network_interfaces.into_iter().map(Into::into).collect();
        Self {
            timestamp: UnixMillis(i64::try_from(info.timestamp).unwrap_or(i64::MAX)),
            hardware: info.hardware.map(Into::into),
            software: info.software.map(Into::into),
            network_interfaces: info.has_network_interfaces.then_some(interfaces),
        }
    }
}

impl From<v1::SystemInfoRequest> for model::SystemParts {
    fn from(request: v1::SystemInfoRequest) -> Self {
        Self {
            hardware: request.include_hardware,
            software: request.include_software || request.include_packages,
            packages: request.include_packages,
            network: request.include_network,
        }
    }
}

impl From<model::SystemParts> for v1::SystemInfoRequest {
    fn from(parts: model::SystemParts) -> Self {
        Self {
            include_hardware: parts.hardware,
            include_software: parts.software,
            include_network: parts.network,
            include_packages: parts.packages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_not_asked_for_are_told_apart() {
        for info in [
            model::SystemInfo::default(),
            model::SystemInfo {
                timestamp: UnixMillis(9),
                hardware: Some(model::SystemHardware {
                    core_count: 4,
                    ..Default::default()
                }),
                software: Some(model::SystemSoftware {
                    packages: Some(Vec::new()),
                    container: Some("lxc".to_owned()),
                    ..Default::default()
                }),
                network_interfaces: Some(Vec::new()),
            },
        ] {
            assert_eq!(model::SystemInfo::from(v1::SystemInfoResponse::from(&info)), info);
        }
    }
}
