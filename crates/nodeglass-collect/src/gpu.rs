//! NVIDIA GPUs through NVML, loaded at run time on a thread of its own: the driver may hang.
//!
//! It sets nothing: persistence mode stays as it is, and while every GPU sleeps the driver is not called, so that it
//! does not wake them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeglass_model::rates::percent;
use nodeglass_model::sample::{CollectFailure, GpuMetrics, Sample};
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use crate::worker::{NoAnswer, Worker};

/// A driver is installed rarely; to look for its library costs a search of the library path.
const RETRY_MISSING: Duration = Duration::from_mins(5);

/// What the thread found.
enum Reading {
    Gpus(Vec<GpuMetrics>),
    NoLibrary,
    Failed(String),
}

/// Reads every GPU.
pub(crate) struct GpuCollector {
    worker: Worker<(), Reading>,
    host_root: PathBuf,
    deadline: Duration,
    /// Set while there is no library: when to look again.
    retry_at: Option<Instant>,
    started: Option<Result<(), NoAnswer>>,
}

impl GpuCollector {
    pub(crate) fn new(host_root: &Path, deadline: Duration) -> Self {
        Self {
            worker: Worker::new("collect-gpu", || {
                let mut nvml = None;
                move |()| read_gpus(&mut nvml)
            }),
            host_root: host_root.to_owned(),
            deadline,
            retry_at: None,
            started: None,
        }
    }

    /// Asks the driver, so that it works while others are read.
    pub(crate) fn start(&mut self, now: Instant) {
        let rests = self.retry_at.is_some_and(|at| now < at) || all_asleep(&self.host_root);
        self.started = (!rests).then(|| self.worker.start(()));
    }

    /// Fills in what the driver answered.
    pub(crate) fn finish(&mut self, sample: &mut Sample, now: Instant, until: Instant) {
        let Some(started) = self.started.take() else {
            return;
        };
        let reason = match started.and_then(|()| self.worker.finish(until)) {
            Ok(Reading::Gpus(gpus)) => {
                sample.gpus = gpus;
                return;
            }
            Ok(Reading::NoLibrary) => {
                self.retry_at = Some(now + RETRY_MISSING);
                return;
            }
            Ok(Reading::Failed(reason)) => reason,
            Err(NoAnswer::Late) => format!(
                "the NVIDIA driver gave no answer within {} ms; GPUs are left out until it answers",
                self.deadline.as_millis()
            ),
            Err(NoAnswer::Ended) => {
                "the thread that asks the NVIDIA driver ended; it is started anew".to_owned()
            }
        };
        sample.failures.push(CollectFailure {
            collector: "gpu".to_owned(),
            reason,
        });
    }
}

/// Whether there are NVIDIA GPUs and all are in runtime suspend, where any call to the driver would wake them.
///
/// Source: `/sys/bus/pci/drivers/nvidia/*/power/runtime_status`; false where that is absent.
fn all_asleep(host_root: &Path) -> bool {
    let Ok(devices) = std::fs::read_dir(host_root.join("sys/bus/pci/drivers/nvidia")) else {
        return false;
    };
    let mut states = devices
        .flatten()
        .filter_map(|device| std::fs::read(device.path().join("power/runtime_status")).ok())
        .peekable();
    states.peek().is_some() && states.all(|state| state.trim_ascii() == b"suspended")
}

/// Reads every GPU through the library in `nvml`, which is loaded first if need be.
fn read_gpus(nvml: &mut Option<Nvml>) -> Reading {
    let loaded = match nvml.take().map_or_else(Nvml::init, Ok) {
        Ok(loaded) => loaded,
        Err(NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound | NvmlError::DriverNotLoaded) => {
            return Reading::NoLibrary;
        }
        Err(error) => return Reading::Failed(format!("NVML does not start: {error}")),
    };
    let gpus = loaded.device_count().and_then(|count| {
        (0..count)
            .map(|index| Ok(read_gpu(index, &loaded.device_by_index(index)?)))
            .collect()
    });
    match gpus {
        Ok(gpus) => {
            *nvml = Some(loaded);
            Reading::Gpus(gpus)
        }
        // The library is let go: after a driver update or reset only a fresh start works.
        Err(error) => Reading::Failed(format!("NVML can't list the GPUs: {error}")),
    }
}

/// The figures of one GPU; each is absent where the device or the driver does not have it.
fn read_gpu(index: u32, device: &Device<'_>) -> GpuMetrics {
    let memory = device.memory_info().ok();
    GpuMetrics {
        index,
        name: device.name().unwrap_or_default(),
        uuid: device.uuid().unwrap_or_default(),
        utilization_percent: device
            .utilization_rates()
            .ok()
            .map(|rates| f64::from(rates.gpu.min(100))),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_usage_percent: memory
            .as_ref()
            .and_then(|memory| percent(memory.used.min(memory.total), memory.total)),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
        power_watts: device
            .power_usage()
            .ok()
            .map(|milliwatts| f64::from(milliwatts) / 1000.0),
        ..GpuMetrics::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_gpus_are_left_asleep() {
        let root = tempfile::tempdir().unwrap();
        assert!(!all_asleep(root.path()), "no driver is not a sleeping one");
        for (device, state) in [("0000:01:00.0", "suspended\n"), ("0000:02:00.0", "suspended\n")] {
            let power = root
                .path()
                .join("sys/bus/pci/drivers/nvidia")
                .join(device)
                .join("power");
            std::fs::create_dir_all(&power).unwrap();
            std::fs::write(power.join("runtime_status"), state).unwrap();
        }
        assert!(all_asleep(root.path()));
        let one = root
            .path()
            .join("sys/bus/pci/drivers/nvidia/0000:02:00.0/power/runtime_status");
        std::fs::write(one, "active\n").unwrap();
        assert!(!all_asleep(root.path()));
    }
}
