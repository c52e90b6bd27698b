//! The NFS client: `/proc/net/rpc/nfs`, which is there once a file system of the kind has been mounted.

use std::time::Duration;

use nodeglass_model::rates::events_per_second;
use nodeglass_model::sample::{NfsMetrics, Sample};

use super::collector::{Collector, Lap, Moment};
use super::host_root::HostRoot;
use super::proc_file::{MaybeFile, ReadError};
use super::scan::{fields, lines, take_numbers};

/// Calls, retransmissions, credentials asked for anew.
type Counters = [u64; 3];

/// Reads the client's calls. A host without it is no failure.
pub(super) struct NfsCollector {
    rpc: MaybeFile,
    before: Option<Counters>,
    lap: Lap,
}

impl NfsCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            rpc: MaybeFile::new(root.net_file("rpc/nfs")),
            before: None,
            lap: Lap::default(),
        }
    }
}

impl Collector for NfsCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let elapsed = self.lap.take(moment.now);
        let before = self.before.take();
        if let Some(text) = self.rpc.read(moment)? {
            let after = parse_rpc(text).ok_or_else(|| self.rpc.without("counts of calls"))?;
            self.before = Some(after);
            if let Some(before) = before {
                sample.nfs = derive_nfs(before, after, elapsed);
            }
        }
        Ok(())
    }
}

/// `rpc 4000 20 4010`.
fn parse_rpc(text: &[u8]) -> Option<Counters> {
    let line = lines(text).find_map(|line| line.strip_prefix(b"rpc "))?;
    take_numbers(&mut fields(line))
}

fn derive_nfs(before: Counters, after: Counters, elapsed: Duration) -> NfsMetrics {
    let rate = |at: usize| events_per_second(before[at], after[at], elapsed);
    NfsMetrics {
        calls_per_sec: rate(0),
        retransmissions_per_sec: rate(1),
        auth_refreshes_per_sec: rate(2),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn calls_become_rates() {
        let before = parse_rpc(b"net 0 0 0 0\nrpc 4000 20 4010\nproc4 2 1 2\n").unwrap();
        let nfs = derive_nfs(before, [4_100, 21, 4_000], Duration::from_secs(4));
        assert_eq!(
            (nfs.calls_per_sec, nfs.retransmissions_per_sec),
            (Some(25.0), Some(0.25))
        );
        assert_eq!(nfs.auth_refreshes_per_sec, None, "it went back");
        assert_eq!(parse_rpc(b"net 0 0 0 0\nrpc 5\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            let _ = parse_rpc(&[b"rpc 1 ", &text[..]].concat());
        }
    }
}
