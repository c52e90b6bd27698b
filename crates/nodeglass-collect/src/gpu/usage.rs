//! What each process uses of the GPUs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use nodeglass_model::sample::ProcessEntry;

/// What one process uses of all GPUs together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct GpuUse {
    /// Memory in bytes; `None` where a driver hides it on any of the GPUs.
    pub(crate) memory_bytes: Option<u64>,
    /// Percent of one GPU, so that it can exceed 100 on several. `None` where any of the GPUs can't tell (one that is
    /// split can't), and on the first reading.
    pub(crate) utilization_percent: Option<f64>,
}

/// The processes that use GPUs, by their number. Empty on a light reading.
pub(crate) type GpuUses = HashMap<u32, GpuUse>;

/// Adds what processes use of one more GPU: what is not known of one is not known of the sum.
pub(super) fn add(total: &mut GpuUses, one: GpuUses) {
    for (pid, more) in one {
        match total.entry(pid) {
            Entry::Vacant(place) => {
                place.insert(more);
            }
            Entry::Occupied(mut place) => {
                let sum = place.get_mut();
                sum.memory_bytes = sum
                    .memory_bytes
                    .zip(more.memory_bytes)
                    .map(|(a, b)| a.saturating_add(b));
                sum.utilization_percent = sum
                    .utilization_percent
                    .zip(more.utilization_percent)
                    .map(|(a, b)| a + b);
            }
        }
    }
}

/// Writes the use of GPUs into the entries of processes that have any.
pub(crate) fn fill(processes: &mut [ProcessEntry], uses: &GpuUses) {
    for process in processes {
        if let Some(used) = uses.get(&process.pid) {
            process.gpu_memory_bytes = used.memory_bytes;
            process.gpu_utilization_percent = used.utilization_percent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(memory_bytes: Option<u64>, utilization_percent: Option<f64>) -> GpuUse {
        GpuUse {
            memory_bytes,
            utilization_percent,
        }
    }

    #[test]
    fn sums_over_gpus_are_whole_or_absent() {
        let mut total = GpuUses::new();
        add(
            &mut total,
            GpuUses::from([
                (1, used(Some(5), Some(60.0))),
                (2, used(None, Some(1.0))),
                (3, used(Some(9), None)),
            ]),
        );
        add(
            &mut total,
            GpuUses::from([
                (1, used(Some(6), Some(70.0))),
                (2, used(Some(1), Some(2.0))),
                (3, used(Some(1), Some(2.0))),
                (4, used(Some(8), None)),
            ]),
        );
        assert_eq!(
            total,
            GpuUses::from([
                (1, used(Some(11), Some(130.0))),
                (2, used(None, Some(3.0))),
                (3, used(Some(10), None)),
                (4, used(Some(8), None)),
            ])
        );
    }

    #[test]
    fn processes_without_a_gpu_stay_as_they_are() {
        let process = |pid| ProcessEntry {
            pid,
            ..ProcessEntry::default()
        };
        let mut processes = [process(1), process(2)];
        fill(&mut processes, &GpuUses::from([(2, used(Some(7), Some(3.5)))]));
        assert_eq!(processes[0], process(1));
        assert_eq!(
            (
                processes[1].gpu_memory_bytes,
                processes[1].gpu_utilization_percent
            ),
            (Some(7), Some(3.5))
        );
    }
}
