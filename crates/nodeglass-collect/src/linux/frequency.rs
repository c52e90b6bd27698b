//! Clock frequencies of the cores: `cpufreq/scaling_cur_freq`. They are read in full samples, one small file a core;
//! light samples show them again.

use std::time::{Duration, Instant};

use nodeglass_model::sample::Sample;

use super::collector::{Collector, Kept, Moment};
use super::host_root::HostRoot;
use super::proc_file::{NumberFile, ReadError};

/// Cores come and go rarely, and most virtual machines never have the files.
const LIST_AGE: Duration = Duration::from_mins(1);

/// One descriptor a core, and so many at most.
const MOST_CORES: usize = 256;

/// Reads frequencies of the cores that the sample has.
pub(super) struct FrequencyCollector {
    root: HostRoot,
    files: Vec<(u32, NumberFile)>,
    listed_at: Option<Instant>,
    kept: Kept<Vec<(u32, u64)>>,
}

impl FrequencyCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            root: root.clone(),
            files: Vec::new(),
            listed_at: None,
            kept: Kept::default(),
        }
    }

    fn find(&mut self, sample: &Sample) {
        let cores = sample.cpu.cores.iter().take(MOST_CORES);
        let files = cores.map(|core| {
            let path = format!("sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", core.core);
            (core.core, self.root.path(&path))
        });
        self.files = files
            .filter(|(_, path)| path.exists())
            .map(|(core, path)| (core, NumberFile::new(path)))
            .collect();
    }
}

impl Collector for FrequencyCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        if moment.is_full() {
            let is_known = |at: Instant| moment.now.saturating_duration_since(at) < LIST_AGE;
            if !self.listed_at.is_some_and(is_known) {
                self.find(sample);
                self.listed_at = Some(moment.now);
            }
            let read = |(core, file): &mut (u32, NumberFile)| {
                let kilohertz = file.read().and_then(|number| u64::try_from(number).ok());
                // Zero is what some drivers say of a core that sleeps.
                kilohertz
                    .filter(|number| *number > 0)
                    .map(|number| (*core, (number + 500) / 1000))
            };
            self.kept
                .set(moment.now, self.files.iter_mut().filter_map(read).collect());
        }
        let Some((frequencies, _)) = self.kept.young(moment.now) else {
            return Ok(());
        };
        // Both are in the order of the cores.
        let mut left = frequencies.iter().peekable();
        for core in &mut sample.cpu.cores {
            while left.next_if(|(number, _)| *number < core.core).is_some() {}
            core.frequency_mhz = left
                .next_if(|(number, _)| *number == core.core)
                .map(|(_, megahertz)| *megahertz);
        }
        Ok(())
    }
}
