//! Graphics processors: what the sampler sees of them. NVIDIA's are read through NVML, AMD's from `/sys/class/drm`, each
//! on a thread of its own with a deadline, so that a driver that hangs costs its own GPUs and nothing else.
//!
//! A GPU that sleeps is never woken: it is listed by its name, without figures, as is one that is lost. One that is awake
//! is asked, and may stay awake for as long as somebody asks; on a laptop the filter can leave `gpu` out. NVIDIA's GPUs
//! come first, by their number in NVML; AMD's are numbered after all that NVIDIA's driver has, whether it answers or
//! not.
//!
//! Light readings leave out what is costly or says little from one second to the next: PCIe throughput, encoder and
//! decoder, ECC errors, and what processes use. PCIe throughput is the costliest, because the driver counts bytes for
//! 20 ms in each of two calls per GPU. It is read last, for as many GPUs as half of the deadline has room for (six with
//! the default), in turns; the others have none in that sample. It costs waiting, not processor time.

#[cfg(target_os = "linux")]
mod amd;
mod nvidia;
mod retry;
mod usage;

use std::time::Instant;

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::{CollectFailure, GpuMetrics, Sample};

#[cfg(target_os = "linux")]
use self::amd::AmdCollector;
use self::nvidia::NvidiaCollector;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use self::usage::GpuUse;
pub(crate) use self::usage::{GpuUses, fill as fill_processes};
use crate::config::CollectConfig;
use crate::sampler::Depth;

/// Which of the costly figures are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// PCIe throughput.
    pcie: bool,
    /// What processes use.
    processes: bool,
}

impl Wanted {
    /// What a filter keeps; `None` if it keeps nothing of GPUs.
    pub(crate) fn by(filter: &MetricFilter) -> Option<Self> {
        let processes = filter.keeps_any("process.gpu_memory_bytes")
            || filter.keeps_any("process.gpu_utilization_percent");
        let pcie = filter.keeps_any("gpu.pcie_recv_bytes_per_sec")
            || filter.keeps_any("gpu.pcie_sent_bytes_per_sec");
        (processes || filter.keeps_any("gpu")).then_some(Self { pcie, processes })
    }
}

/// What one maker's driver said.
#[derive(Debug, Default, PartialEq)]
struct Found {
    gpus: Vec<GpuMetrics>,
    uses: GpuUses,
    /// What could not be read, for a person.
    failures: Vec<String>,
}

impl Found {
    /// Nothing, for this reason if there is one.
    fn failed(reason: Option<String>) -> Self {
        Self {
            failures: reason.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// Reads every GPU.
pub(crate) struct GpuCollector {
    wanted: Wanted,
    nvidia: NvidiaCollector,
    #[cfg(target_os = "linux")]
    amd: AmdCollector,
    /// How many numbers are NVIDIA's: as many as it was ever seen to have.
    #[cfg(target_os = "linux")]
    nvidia_numbers: u32,
    #[cfg(target_os = "linux")]
    host_root: std::path::PathBuf,
}

impl GpuCollector {
    pub(crate) fn new(config: &CollectConfig) -> Self {
        Self {
            wanted: Wanted {
                pcie: true,
                processes: true,
            },
            nvidia: NvidiaCollector::new(config),
            #[cfg(target_os = "linux")]
            amd: AmdCollector::new(config),
            #[cfg(target_os = "linux")]
            nvidia_numbers: 0,
            #[cfg(target_os = "linux")]
            host_root: config.host_root.clone(),
        }
    }

    pub(crate) fn set_wanted(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// Asks the drivers, so that they work while others are read.
    pub(crate) fn start(&mut self, now: Instant, until: Instant, depth: Depth) {
        self.nvidia.start(now, until, depth, self.wanted);
        #[cfg(target_os = "linux")]
        self.amd.start(now, depth);
    }

    /// Fills in what the drivers answered, and gives what processes use of the GPUs: nothing on a light reading, and
    /// nothing of AMD's.
    pub(crate) fn finish(&mut self, sample: &mut Sample, now: Instant, until: Instant) -> GpuUses {
        let nvidia = self.nvidia.finish(now, until);
        #[cfg(target_os = "linux")]
        let amd = {
            let mut amd = self.amd.finish(until);
            self.number_after_nvidia(&nvidia.gpus, &mut amd.gpus);
            amd
        };
        #[cfg(not(target_os = "linux"))]
        let amd = Found::default();
        sample.gpus = nvidia.gpus;
        sample.gpus.extend(amd.gpus);
        let reasons = nvidia.failures.into_iter().chain(amd.failures);
        sample.failures.extend(reasons.map(|reason| CollectFailure {
            collector: "gpu".to_owned(),
            reason,
        }));
        nvidia.uses
    }

    #[cfg(target_os = "linux")]
    fn number_after_nvidia(&mut self, nvidia: &[GpuMetrics], amd: &mut [GpuMetrics]) {
        if amd.is_empty() {
            return;
        }
        let listed = nvidia.iter().map(|gpu| gpu.index + 1).max().unwrap_or(0);
        let on_bus = nvidia::count_on_bus(&self.host_root);
        self.nvidia_numbers = self.nvidia_numbers.max(listed).max(on_bus);
        for gpu in amd {
            gpu.index += self.nvidia_numbers;
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
