//! The short forms of a host's state in JSON: its main figures, and whether the agent is well.

use std::time::Duration;

use nodeglass_model::catalogue::OverDevices;
use nodeglass_model::{Sample, UnixMillis};
use serde::Serialize;

use crate::sampling::SamplingPlan;

/// Intervals without a sample after which something is wrong, and the last one is old.
pub(super) const INTERVALS: u32 = 3;

/// The main figures of a host; each is null where it is not known.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Processor use in percent.
    cpu: Option<f64>,
    /// Memory use in percent.
    ram: Option<f64>,
    /// Use of all GPUs in percent, their mean.
    gpu: Option<f64>,
    /// The processor in °C; without one the hottest sensor, without any the hottest GPU.
    temperature: Option<f64>,
    disk: RootDisk,
    /// When the sample was taken, RFC 3339.
    timestamp: Option<String>,
}

/// The root file system, in bytes.
#[derive(Debug, Default, PartialEq, Serialize)]
struct RootDisk {
    used: Option<u64>,
    free: Option<u64>,
    total: Option<u64>,
    percent: Option<f64>,
}

impl Summary {
    pub(super) fn of(sample: Option<&Sample>) -> Self {
        let Some(sample) = sample else {
            return Self::default();
        };
        let root = sample.disks.iter().find(|disk| disk.mount_point == "/");
        let gpu_use = sample.gpus.iter().filter_map(|gpu| gpu.utilization_percent);
        let hottest = |values: &mut dyn Iterator<Item = f64>| OverDevices::Max.fold(values);
        let mut sensors = sample
            .temperatures
            .iter()
            .filter_map(|sensor| sensor.temperature_celsius);
        let mut gpus = sample.gpus.iter().filter_map(|gpu| gpu.temperature_celsius);
        Self {
            cpu: sample.cpu.usage_percent,
            ram: sample.memory.usage_percent,
            gpu: OverDevices::Mean.fold(gpu_use),
            temperature: sample
                .cpu
                .temperature_celsius
                .or_else(|| hottest(&mut sensors))
                .or_else(|| hottest(&mut gpus)),
            disk: root.map_or_else(RootDisk::default, |root| RootDisk {
                used: root.used_bytes,
                free: root.available_bytes,
                total: root.total_bytes,
                percent: root.usage_percent,
            }),
            timestamp: Some(sample.timestamp.to_string()),
        }
    }
}

/// Whether the agent samples as it should.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Health {
    /// `ok` or `failing`.
    status: &'static str,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    version: &'static str,
    /// How long the agent has run.
    uptime_seconds: f64,
    /// Whether samples are taken: the server can tell the agent to pause.
    sampling: bool,
    /// The age of the latest sample; null before the first.
    last_sample_age_seconds: Option<f64>,
    metrics: Summary,
}

impl Health {
    /// The state at `now` of an agent that started `uptime` ago.
    pub(super) fn of(
        sample: Option<&Sample>,
        plan: &SamplingPlan,
        uptime: Duration,
        now: UnixMillis,
    ) -> Self {
        let age = sample.map(|sample| now.since(sample.timestamp));
        let patience = plan.interval * INTERVALS;
        let is_late = plan.running && age.unwrap_or(uptime) > patience;
        Self {
            status: if is_late { "failing" } else { "ok" },
            reason: is_late.then(|| {
                format!(
                    "no sample was taken for {:.0} s, though one is due every {} s: see the agent's log",
                    age.unwrap_or(uptime).as_secs_f64(),
                    plan.interval.as_secs_f64(),
                )
            }),
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: uptime.as_secs_f64(),
            sampling: plan.running,
            last_sample_age_seconds: age.map(|age| age.as_secs_f64()),
            metrics: Summary::of(sample),
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.reason.is_none()
    }
}
