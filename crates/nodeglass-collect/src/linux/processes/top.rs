//! Which processes are shown: the first by each measure. Pure.

use super::table::Process;
use crate::gpu::GpuUses;

/// A measure's value and where its process stands in the table.
type Ranked = (u64, usize);

/// Where the first `most` by processor time, resident memory, disk I/O and GPU memory stand in the table, rising and
/// each once. Only values above zero count; of equals the lower pid comes first.
pub(super) fn choose(processes: &[Process], gpu: &GpuUses, most: usize) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(4 * most);
    let mut ranked: Vec<Ranked> = Vec::with_capacity(processes.len());
    let measures: [&dyn Fn(&Process) -> u64; 4] = [
        &|process| process.ticks_grown.unwrap_or(0),
        &|process| process.stat.resident_pages,
        &|process| {
            process
                .disk
                .grown()
                .map_or(0, |grown| grown.read.saturating_add(grown.written))
        },
        &|process| {
            gpu.get(&process.pid)
                .and_then(|used| used.memory_bytes)
                .unwrap_or(0)
        },
    ];
    let wanted = if gpu.is_empty() { 3 } else { 4 };
    for measure in &measures[..wanted] {
        ranked.clear();
        ranked.extend(
            processes
                .iter()
                .enumerate()
                .map(|(at, process)| (measure(process), at))
                .filter(|(value, _)| *value > 0),
        );
        if ranked.len() > most {
            ranked.select_nth_unstable_by(most, |one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
            ranked.truncate(most);
        }
        chosen.extend(ranked.iter().map(|(_, at)| *at));
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}
