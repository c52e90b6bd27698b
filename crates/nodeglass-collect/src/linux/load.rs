//! Load averages, and how many threads there are: `/proc/loadavg`.

use nodeglass_model::sample::{LoadMetrics, Sample};

use super::collector::{Collector, Moment};
use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};
use super::scan::{fields, parse_number};

/// Reads the load averages and the counts of threads.
pub(super) struct LoadCollector {
    loadavg: ProcFile,
}

impl LoadCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            loadavg: ProcFile::new(root.path("proc/loadavg")),
        }
    }
}

impl Collector for LoadCollector {
    fn read(&mut self, sample: &mut Sample, _: &Moment) -> Result<(), ReadError> {
        let text = self.loadavg.read()?;
        let threads = parse_threads(text);
        sample.load = parse_loadavg(text).ok_or_else(|| self.loadavg.without("load averages"))?;
        if let Some((running, total)) = threads {
            sample.processes.running_threads = Some(running);
            sample.processes.total_threads = Some(total);
        }
        Ok(())
    }
}

fn parse_loadavg(text: &[u8]) -> Option<LoadMetrics> {
    let mut loads = fields(text).map(|field| {
        let load: f64 = std::str::from_utf8(field).ok()?.parse().ok()?;
        (load.is_finite() && load >= 0.0).then_some(load)
    });
    Some(LoadMetrics {
        load1: Some(loads.next()??),
        load5: Some(loads.next()??),
        load15: Some(loads.next()??),
    })
}

/// The fourth field, `2/134`: threads that run or are ready to, and all of them.
fn parse_threads(text: &[u8]) -> Option<(u32, u32)> {
    let field = fields(text).nth(3)?;
    let slash = field.iter().position(|byte| *byte == b'/')?;
    let count = |digits: &[u8]| u32::try_from(parse_number(digits)?).ok();
    Some((count(&field[..slash])?, count(&field[slash + 1..])?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_of_the_capture() {
        let load = parse_loadavg(include_bytes!("../../fixtures/linux-6.18-kvm/t0/proc/loadavg")).unwrap();
        assert_eq!(
            (load.load1, load.load5, load.load15),
            (Some(1.25), Some(0.72), Some(0.29))
        );
    }

    #[test]
    fn what_is_no_load_is_refused() {
        for wrong in ["", "1.0 2.0", "1 NaN 3", "1 -2 3", "1 inf 3"] {
            assert_eq!(parse_loadavg(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            let _ = parse_loadavg(&text);
            let _ = parse_threads(&[b"1 1 1 ", &text[..]].concat());
        }
    }
}
