//! Time lost to waiting: `/proc/pressure`, pressure stall information.

use nodeglass_model::rates::busy_micros_percent;
use nodeglass_model::sample::{PressureMetrics, Sample};

use super::collector::{Collector, Lap, Moment};
use super::host_root::HostRoot;
use super::proc_file::{MaybeFile, ReadError};
use super::scan::{fields, lines, parse_number};

/// The resources, in the order of [`PressureCollector::files`].
const RESOURCES: [&str; 4] = ["cpu", "memory", "io", "irq"];
const CPU: usize = 0;
const MEMORY: usize = 1;
const IO: usize = 2;
const IRQ: usize = 3;

/// Microseconds lost since boot: some task waited, every task that had work waited.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Lost {
    some: Option<u64>,
    full: Option<u64>,
}

/// Reads pressure. A kernel without it (older than 4.20, or started with `psi=0`) is no failure, nor is one that has
/// it for some of the resources only.
pub(super) struct PressureCollector {
    files: [MaybeFile; RESOURCES.len()],
    before: [Lost; RESOURCES.len()],
    lap: Lap,
}

impl PressureCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            files: RESOURCES.map(|resource| MaybeFile::new(root.path(&format!("proc/pressure/{resource}")))),
            before: Default::default(),
            lap: Lap::default(),
        }
    }
}

impl Collector for PressureCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let elapsed = self.lap.take(moment.now);
        let before = std::mem::take(&mut self.before);
        for (file, lost) in self.files.iter_mut().zip(&mut self.before) {
            if let Some(text) = file.read(moment)? {
                *lost = parse_pressure(text);
            }
        }
        let share = |resource: usize, of: fn(&Lost) -> Option<u64>| {
            busy_micros_percent(of(&before[resource])?, of(&self.before[resource])?, elapsed)
        };
        sample.pressure = PressureMetrics {
            cpu_some_percent: share(CPU, |lost| lost.some),
            memory_some_percent: share(MEMORY, |lost| lost.some),
            memory_full_percent: share(MEMORY, |lost| lost.full),
            io_some_percent: share(IO, |lost| lost.some),
            io_full_percent: share(IO, |lost| lost.full),
            irq_full_percent: share(IRQ, |lost| lost.full),
        };
        Ok(())
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full`. The averages are passed over: their
/// windows are not the sample's.
fn parse_pressure(text: &[u8]) -> Lost {
    let mut lost = Lost::default();
    for line in lines(text) {
        let mut fields = fields(line);
        let place = match fields.next() {
            Some(b"some") => &mut lost.some,
            Some(b"full") => &mut lost.full,
            _ => continue,
        };
        *place = fields.find_map(|field| parse_number(field.strip_prefix(b"total=")?));
    }
    lost
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn totals_are_what_counts() {
        let text = b"some avg10=1.18 avg60=0.52 avg300=0.65 total=951552941\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=17\n";
        let lost = parse_pressure(text);
        assert_eq!((lost.some, lost.full), (Some(951_552_941), Some(17)));
    }

    #[test]
    fn interrupts_have_no_some() {
        let lost = parse_pressure(b"full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
        assert_eq!((lost.some, lost.full), (None, Some(5)));
        assert_eq!(
            parse_pressure(b"some avg10=0.00 total=-1\nfull\n"),
            Lost::default()
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            parse_pressure(&[b"some avg10=", &text[..], b" total=", &text[..]].concat());
        }
    }
}
