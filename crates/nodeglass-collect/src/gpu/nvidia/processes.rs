//! Which processes use one NVIDIA GPU, and how much of it.

use std::collections::HashMap;

use nvml_wrapper::Device;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::{ProcessInfo, ProcessUtilizationSample};

use super::device::Questions;
use crate::gpu::usage::{GpuUse, GpuUses};

/// The newest sample of utilisation that was counted, by the driver's clock; `None` before the first reading.
pub(super) type LastSeen = Option<u64>;

/// A process in one MIG instance, or in the whole GPU.
type Place = (u32, Option<u32>, Option<u32>);

/// What processes use of this GPU; empty where the driver lists none. `instances` are its MIG instances: they are asked
/// where the GPU itself may not tell.
pub(super) fn read_uses(
    questions: &mut Questions<'_, '_>,
    instances: &[Device<'_>],
    last_seen: &mut LastSeen,
) -> GpuUses {
    let memory = match questions.ask(running) {
        Some(processes) => Some(sum_memory(&processes)),
        None if instances.is_empty() => None,
        None => instances
            .iter()
            .map(|instance| Questions::new(instance).ask(running))
            .collect::<Option<Vec<_>>>()
            .map(|lists| sum_memory(&lists.concat())),
    };
    let since = last_seen.unwrap_or(0);
    let samples = questions.ask(|device| match device.process_utilization_stats(since) {
        // Nothing ran since then.
        Err(NvmlError::NotFound) => Ok(Vec::new()),
        other => other,
    });
    let utilization = samples.and_then(|samples| {
        let (means, newest) = mean_utilization(&samples, since);
        // Samples of the first reading reach back to nobody knows when.
        last_seen.replace(newest).map(|_| means)
    });
    join(memory, utilization)
}

/// Everything that computes or draws.
///
/// The second version of the lists is asked first, for it never changed; from 535.43 to 535.86 the driver's third one
/// wrote longer entries than its callers had made room for. Drivers of all of these have the second.
fn running(device: &Device<'_>) -> Result<Vec<ProcessInfo>, NvmlError> {
    let mut all = match device.running_compute_processes_v2() {
        Err(NvmlError::FailedToLoadSymbol(_)) => {
            let mut all = device.running_compute_processes()?;
            all.extend(device.running_graphics_processes()?);
            return Ok(all);
        }
        compute => compute?,
    };
    all.extend(device.running_graphics_processes_v2()?);
    Ok(all)
}

/// Memory by process. One that draws and computes is listed twice with the same memory; one in several instances has
/// some in each. `None` where the driver hides it.
fn sum_memory(processes: &[ProcessInfo]) -> HashMap<u32, Option<u64>> {
    let mut places: HashMap<Place, Option<u64>> = HashMap::new();
    for process in processes {
        let place = (process.pid, process.gpu_instance_id, process.compute_instance_id);
        let memory = match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        };
        let known = places.entry(place).or_insert(memory);
        *known = (*known).max(memory);
    }
    let mut sums: HashMap<u32, Option<u64>> = HashMap::new();
    for ((pid, ..), memory) in places {
        sums.entry(pid)
            .and_modify(|sum| *sum = sum.zip(memory).map(|(a, b)| a.saturating_add(b)))
            .or_insert(memory);
    }
    sums
}

/// Mean utilisation by process over the samples after `since`, and the time of the newest of them. Drivers are known to
/// leave entries unwritten: those have no pid or impossible shares.
fn mean_utilization(samples: &[ProcessUtilizationSample], since: u64) -> (HashMap<u32, f64>, u64) {
    let mut sums: HashMap<u32, (f64, f64)> = HashMap::new();
    let mut newest = since;
    for sample in samples {
        let shares = [sample.sm_util, sample.mem_util, sample.enc_util, sample.dec_util];
        if sample.pid == 0 || sample.timestamp <= since || shares.iter().any(|share| *share > 100) {
            continue;
        }
        newest = newest.max(sample.timestamp);
        let (sum, count) = sums.entry(sample.pid).or_default();
        *sum += f64::from(sample.sm_util);
        *count += 1.0;
    }
    let means = sums
        .into_iter()
        .map(|(pid, (sum, count))| (pid, sum / count))
        .collect();
    (means, newest)
}

/// The driver leaves out of the samples what did not run, and still has samples of what has ended.
fn join(memory: Option<HashMap<u32, Option<u64>>>, utilization: Option<HashMap<u32, f64>>) -> GpuUses {
    match (memory, utilization) {
        (Some(memory), utilization) => memory
            .into_iter()
            .map(|(pid, memory_bytes)| {
                let utilization_percent = utilization
                    .as_ref()
                    .map(|means| means.get(&pid).copied().unwrap_or(0.0));
                let used = GpuUse {
                    memory_bytes,
                    utilization_percent,
                };
                (pid, used)
            })
            .collect(),
        (None, Some(means)) => means
            .into_iter()
            .map(|(pid, mean)| {
                let used = GpuUse {
                    memory_bytes: None,
                    utilization_percent: Some(mean),
                };
                (pid, used)
            })
            .collect(),
        (None, None) => GpuUses::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, memory: Option<u64>, instance: Option<u32>) -> ProcessInfo {
        ProcessInfo {
            pid,
            used_gpu_memory: memory.map_or(UsedGpuMemory::Unavailable, UsedGpuMemory::Used),
            gpu_instance_id: instance,
            compute_instance_id: instance.map(|_| 0),
        }
    }

    fn sample(pid: u32, timestamp: u64, sm_util: u32) -> ProcessUtilizationSample {
        ProcessUtilizationSample {
            pid,
            timestamp,
            sm_util,
            mem_util: 0,
            enc_util: 0,
            dec_util: 0,
        }
    }

    #[test]
    fn memory_of_a_process_counts_once_per_instance() {
        let sums = sum_memory(&[
            process(1, Some(10), None),
            process(1, Some(10), None),
            process(2, Some(3), Some(1)),
            process(2, Some(4), Some(2)),
            process(3, None, None),
            process(4, None, None),
            process(4, Some(6), None),
            process(5, None, Some(1)),
            process(5, Some(6), Some(2)),
        ]);
        assert_eq!(
            sums,
            HashMap::from([(1, Some(10)), (2, Some(7)), (3, None), (4, Some(6)), (5, None)])
        );
    }

    #[test]
    fn samples_are_averaged_once() {
        let samples = [
            sample(1, 100, 99),
            sample(1, 101, 20),
            sample(1, 102, 41),
            sample(2, 101, 7),
            sample(0, 900, 7),
            sample(3, 900, 101),
        ];
        let (means, newest) = mean_utilization(&samples, 100);
        assert_eq!(means, HashMap::from([(1, 30.5), (2, 7.0)]));
        assert_eq!(newest, 102);
        assert_eq!(mean_utilization(&samples[..5], 102), (HashMap::new(), 102));
    }
}
