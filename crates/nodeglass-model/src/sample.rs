//! One sample of one host: what an agent measures each interval. Its JSON is the API's.
//!
//! Every figure is an `Option`: `None` means that it could not be known (the first reading of a counter, a reset, a
//! sensor that is not there), and never stands for zero. What failed is listed in [`Sample::failures`].

#![cfg_attr(
    feature = "schema",
    expect(
        clippy::large_stack_arrays,
        reason = "the schema of a sample is made of an array of its sections, once"
    )
)]

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::time::UnixMillis;

/// Everything measured at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sample {
    /// When the readings were taken, by the host's clock.
    pub timestamp: UnixMillis,
    /// Processors.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: CpuMetrics,
    /// Memory and swap.
    #[serde(skip_serializing_if = "is_default")]
    pub memory: MemoryMetrics,
    /// Mounted file systems and block devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskMetrics>,
    /// Network interfaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<NetworkMetrics>,
    /// Processes.
    #[serde(skip_serializing_if = "is_default")]
    pub processes: ProcessMetrics,
    /// Load averages.
    #[serde(skip_serializing_if = "is_default")]
    pub load: LoadMetrics,
    /// Time lost to waiting.
    #[serde(skip_serializing_if = "is_default")]
    pub pressure: PressureMetrics,
    /// Paging.
    #[serde(skip_serializing_if = "is_default")]
    pub vm: VmMetrics,
    /// TCP.
    #[serde(skip_serializing_if = "is_default")]
    pub tcp: TcpMetrics,
    /// UDP.
    #[serde(skip_serializing_if = "is_default")]
    pub udp: UdpMetrics,
    /// The host as a whole.
    #[serde(skip_serializing_if = "is_default")]
    pub system: SystemMetrics,
    /// The host's clock.
    #[serde(skip_serializing_if = "is_default")]
    pub clock: ClockMetrics,
    /// The NFS client.
    #[serde(skip_serializing_if = "is_default")]
    pub nfs: NfsMetrics,
    /// Units of systemd by state.
    #[serde(skip_serializing_if = "is_default")]
    pub systemd: SystemdMetrics,
    /// Units that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitMetrics>,
    /// Containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerMetrics>,
    /// Graphics processors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuMetrics>,
    /// Temperature sensors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub temperatures: Vec<TemperatureMetrics>,
    /// Fans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fans: Vec<FanMetrics>,
    /// Power meters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub power_meters: Vec<PowerMetrics>,
    /// Batteries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batteries: Vec<BatteryMetrics>,
    /// What collectors have to say of themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collectors: Vec<CollectorMetrics>,
    /// What a program says of how it serves; pushed, not measured by agents.
    #[serde(skip_serializing_if = "is_default")]
    pub app: AppMetrics,
    /// Figures of a program's own; pushed as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom: Vec<CustomMetrics>,
    /// What could not be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<CollectFailure>,
}

/// Declares a section of a sample whose figures are all optional and left out of JSON when absent.
macro_rules! section {
    (
        $(#[$doc:meta])* $name:ident
        $(keys { $($(#[$key_meta:meta])* $key:ident: $key_type:ty,)* })?
        figures { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $name {
            $($($(#[$key_meta])* pub $key: $key_type,)*)?
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }
    };
}

mod devices;
mod host;
mod workloads;

pub use devices::{
    BatteryMetrics, CollectorMetrics, CoreMetrics, DiskMetrics, FanMetrics, GpuMetrics, NetworkMetrics,
    PowerMetrics, TemperatureMetrics,
};
pub use host::{
    ClockMetrics, CpuMetrics, LoadMetrics, MemoryMetrics, NfsMetrics, PressureMetrics, ProcessMetrics,
    SystemMetrics, SystemdMetrics, TcpMetrics, UdpMetrics, VmMetrics,
};
pub use workloads::{
    AppMetrics, ContainerMetrics, CustomMetrics, ProcessEntry, TaskProcessMetrics, UnitMetrics,
};

/// Something that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CollectFailure {
    /// The collector: `disk`.
    pub collector: String,
    /// What went wrong, for a person.
    pub reason: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What [`cores_and_usage`] makes of cores.
#[cfg(feature = "schema")]
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it only describes")]
struct Cores {
    /// The usage of each core.
    core_usage: Option<Vec<f64>>,
    /// The cores that are online.
    cores: Option<Vec<CoreMetrics>>,
}

/// The cores twice over: `cores` with every mode, and the plain list `core_usage`.
fn cores_and_usage<S: Serializer>(cores: &[CoreMetrics], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if !cores.is_empty() {
        let usage: Vec<f64> = cores.iter().filter_map(|core| core.usage_percent).collect();
        map.serialize_entry("core_usage", &usage)?;
        map.serialize_entry("cores", cores)?;
    }
    map.end()
}
