//! Paging: `/proc/vmstat`.

use std::time::Duration;

use nodeglass_model::rates::{events_per_second, per_second};
use nodeglass_model::sample::{Sample, VmMetrics};

use super::collector::{Collector, Lap, Moment};
use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};
use super::scan::{lines, parse_number};

/// `pgpgin` and `pgpgout` count these, whatever the size of a page.
const KIBIBYTE: u64 = 1024;

/// Counters since boot; those that the kernel does not have are absent.
#[derive(Debug, Default, Clone, PartialEq)]
struct Counters {
    faults: Option<u64>,
    major_faults: Option<u64>,
    paged_in: Option<u64>,
    paged_out: Option<u64>,
    swapped_in: Option<u64>,
    swapped_out: Option<u64>,
    oom_kills: Option<u64>,
}

/// Reads paging.
pub(super) struct VmCollector {
    vmstat: ProcFile,
    before: Counters,
    lap: Lap,
}

impl VmCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            vmstat: ProcFile::new(root.path("proc/vmstat")),
            before: Counters::default(),
            lap: Lap::default(),
        }
    }
}

impl Collector for VmCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let elapsed = self.lap.take(moment.now);
        let before = std::mem::take(&mut self.before);
        self.before = parse_vmstat(self.vmstat.read()?);
        if self.before == Counters::default() {
            return Err(self.vmstat.without("counters of paging"));
        }
        sample.vm = derive_vm(&before, &self.before, elapsed, rustix::param::page_size() as u64);
        Ok(())
    }
}

fn parse_vmstat(text: &[u8]) -> Counters {
    let mut counters = Counters::default();
    for line in lines(text) {
        // Of some two hundred counters most begin with other letters.
        let (Some(b'p' | b'o'), Some(space)) = (line.first(), line.iter().position(|byte| *byte == b' '))
        else {
            continue;
        };
        let place = match &line[..space] {
            b"pgfault" => &mut counters.faults,
            b"pgmajfault" => &mut counters.major_faults,
            b"pgpgin" => &mut counters.paged_in,
            b"pgpgout" => &mut counters.paged_out,
            b"pswpin" => &mut counters.swapped_in,
            b"pswpout" => &mut counters.swapped_out,
            b"oom_kill" => &mut counters.oom_kills,
            _ => continue,
        };
        *place = parse_number(line[space..].trim_ascii());
    }
    counters
}

fn derive_vm(before: &Counters, after: &Counters, elapsed: Duration, page: u64) -> VmMetrics {
    let rate = |of: fn(&Counters) -> Option<u64>, size: u64| {
        let bytes = |counters: &Counters| of(counters)?.checked_mul(size);
        per_second(bytes(before)?, bytes(after)?, elapsed)
    };
    VmMetrics {
        page_faults_per_sec: rate(|counters| counters.faults, 1),
        major_page_faults_per_sec: before
            .major_faults
            .zip(after.major_faults)
            .and_then(|(before, after)| events_per_second(before, after, elapsed)),
        paged_in_bytes_per_sec: rate(|counters| counters.paged_in, KIBIBYTE),
        paged_out_bytes_per_sec: rate(|counters| counters.paged_out, KIBIBYTE),
        swapped_in_bytes_per_sec: rate(|counters| counters.swapped_in, page),
        swapped_out_bytes_per_sec: rate(|counters| counters.swapped_out, page),
        oom_kills: after.oom_kills,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &[u8] = b"nr_free_pages 5\npgpgin 1000\npgpgout 2000\npswpin 1\npswpout 10\npgfault 500\npgmajfault 7\noom_kill 2\n";
    const AFTER: &[u8] = b"nr_free_pages 5\npgpgin 1100\npgpgout 2004\npswpin 3\npswpout 10\npgfault 900\npgmajfault 8\noom_kill 3\n";

    #[test]
    fn counters_become_rates_of_bytes() {
        let vm = derive_vm(
            &parse_vmstat(BEFORE),
            &parse_vmstat(AFTER),
            Duration::from_secs(4),
            4096,
        );
        assert_eq!(vm.page_faults_per_sec, Some(100), "400 / 4");
        assert_eq!(vm.major_page_faults_per_sec, Some(0.25), "1 / 4");
        assert_eq!(vm.paged_in_bytes_per_sec, Some(25_600), "100 x 1024 / 4");
        assert_eq!(vm.paged_out_bytes_per_sec, Some(1_024), "4 x 1024 / 4");
        assert_eq!(vm.swapped_in_bytes_per_sec, Some(2_048), "2 pages x 4096 / 4");
        assert_eq!(vm.swapped_out_bytes_per_sec, Some(0));
        assert_eq!(vm.oom_kills, Some(3), "a count, not a rate");
    }

    #[test]
    fn old_kernels_do_not_count_kills() {
        let counters = parse_vmstat(b"pgfault 5\n");
        let vm = derive_vm(&counters, &counters, Duration::from_secs(1), 4096);
        assert_eq!((vm.oom_kills, vm.page_faults_per_sec), (None, Some(0)));
        assert_eq!(vm.paged_in_bytes_per_sec, None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            parse_vmstat(&[b"pgfault ", &text[..], b"\n", &text[..]].concat());
        }

        #[test]
        fn a_counter_that_went_back_gives_nothing(before: u64, after: u64) {
            let counters = |value| Counters { swapped_in: Some(value), faults: Some(value), ..Counters::default() };
            let vm = derive_vm(&counters(before), &counters(after), Duration::from_secs(1), 4096);
            prop_assert_eq!(vm.page_faults_per_sec.is_some(), after >= before);
            prop_assert!(after >= before || vm.swapped_in_bytes_per_sec.is_none());
        }
    }
}
