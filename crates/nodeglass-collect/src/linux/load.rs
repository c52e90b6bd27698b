//! Load averages: `/proc/loadavg`.

use nodeglass_model::sample::LoadMetrics;

use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};
use super::scan::fields;

/// Reads the load averages.
pub(super) struct LoadCollector {
    loadavg: ProcFile,
}

impl LoadCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            loadavg: ProcFile::new(root.path("proc/loadavg")),
        }
    }

    pub(super) fn read(&mut self) -> Result<LoadMetrics, ReadError> {
        parse_loadavg(self.loadavg.read()?).ok_or_else(|| self.loadavg.without("load averages"))
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
        }
    }
}
