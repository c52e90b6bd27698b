//! What a host is, as opposed to what it does: hardware, software, interfaces. Its JSON is the API's.

use serde::{Deserialize, Serialize};

use crate::time::UnixMillis;

/// Which parts of the system information are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set of independent choices, as on the wire"
)]
pub struct SystemParts {
    /// Processor, memory and disks.
    pub hardware: bool,
    /// Operating system, kernel, host name, uptime.
    pub software: bool,
    /// Installed packages too; costly, so only on request. Implies `software`.
    pub packages: bool,
    /// Network interfaces.
    pub network: bool,
}

impl SystemParts {
    /// Everything but the packages: what an agent reports when it connects.
    pub const STANDARD: Self = Self {
        hardware: true,
        software: true,
        packages: false,
        network: true,
    };
}

/// The static description of one host. A part that was not asked for is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SystemInfo {
    /// When it was read.
    pub timestamp: UnixMillis,
    /// Processor, memory, disks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<SystemHardware>,
    /// Operating system and packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<SystemSoftware>,
    /// Network interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_interfaces: Option<Vec<NetworkInterface>>,
}

/// Processor, memory, disks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SystemHardware {
    /// The processor.
    pub cpu: CpuInfo,
    /// The memory.
    pub memory: MemoryInfo,
    /// Mounted disks, as in the samples.
    pub disks: Vec<DiskInfo>,
    /// The kernel's word for it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// Physical cores.
    pub core_count: u32,
    /// Logical cores.
    pub thread_count: u32,
}

/// The processor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CpuInfo {
    /// Its name; empty where the platform gives none.
    pub model: String,
    /// Physical cores.
    pub cores: u32,
    /// Logical cores.
    pub threads: u32,
    /// Base frequency; absent in most virtual machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_frequency_ghz: Option<f64>,
    /// Highest frequency; absent in most virtual machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_frequency_ghz: Option<f64>,
    /// Feature flags, as the kernel names them.
    pub features: Vec<String>,
}

/// The memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MemoryInfo {
    /// Memory that the kernel manages.
    pub total_bytes: u64,
    /// What programs could still get without swapping, at the time of the reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_bytes: Option<u64>,
    /// `DDR4`, `DDR5`; absent where the firmware's tables can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_type: Option<String>,
    /// Its clock; absent where the firmware's tables can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mhz: Option<u32>,
}

/// One mounted disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DiskInfo {
    /// The device: `/dev/sda1`.
    pub device: String,
    /// Where it is mounted.
    pub mount_point: String,
    /// `ext4`, `xfs`.
    pub filesystem: String,
    /// Size of the file system; absent if it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// What users can still write, at the time of the reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_bytes: Option<u64>,
    /// `NVMe`, `SSD` or `HDD`; absent for devices that don't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_type: Option<String>,
}

/// One network interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NetworkInterface {
    /// Its name: `eth0`.
    pub name: String,
    /// Its hardware address; absent for interfaces without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    /// IPv4 and IPv6 addresses.
    pub ip_addresses: Vec<String>,
    /// Link speed; absent on virtual interfaces and without a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<u64>,
    /// Whether it is up and has a link.
    pub is_up: bool,
}

/// Operating system and packages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SystemSoftware {
    /// The operating system.
    pub os: OperatingSystem,
    /// The host's name.
    pub hostname: String,
    /// Time since boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<u64>,
    /// Installed packages, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<Vec<InstalledPackage>>,
    /// What the host itself runs in: `docker`, `podman`, `kubernetes`, `lxc`, `systemd-nspawn`; `cgroup` where it is
    /// no container but a control group limits the agent. Then its limits stand in for the machine's totals. Absent on
    /// a host of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// The operating system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OperatingSystem {
    /// `Linux`.
    pub name: String,
    /// As it calls itself: `Debian GNU/Linux 12 (bookworm)`.
    pub version: String,
    /// `6.1.0-18-amd64`.
    pub kernel_version: String,
    /// `debian`, `ubuntu`; absent elsewhere than on Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<String>,
}

/// One installed package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InstalledPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `apt`, `yum`, `apk`, `pacman`.
    pub package_manager: String,
}
