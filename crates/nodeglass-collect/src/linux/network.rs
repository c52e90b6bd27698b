//! Traffic of network interfaces: `/proc/net/dev` of the host's network namespace.

use std::time::Duration;

use nodeglass_model::rates::per_second;
use nodeglass_model::sample::{NetworkMetrics, Sample};

use super::collector::{Collector, Lap, Moment, leave_out};
use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};
use super::scan::{fields, lines, take_numbers, text};
use crate::filters::{DeviceFilters, fits_any};

/// Columns of `/proc/net/dev`: eight of what was received, then as many of what was sent.
const COLUMNS: usize = 12;
const RECV_BYTES: usize = 0;
const RECV_PACKETS: usize = 1;
const RECV_ERRORS: usize = 2;
const RECV_DROPS: usize = 3;
const SENT_BYTES: usize = 8;
const SENT_PACKETS: usize = 9;
const SENT_ERRORS: usize = 10;
const SENT_DROPS: usize = 11;

/// The counters of one interface.
#[derive(Debug, Clone, PartialEq)]
struct Counters {
    interface: String,
    columns: [u64; COLUMNS],
}

/// Reads the traffic of every interface.
pub(super) struct NetworkCollector {
    dev: ProcFile,
    before: Vec<Counters>,
    lap: Lap,
    exclude: Vec<String>,
    most: usize,
}

impl NetworkCollector {
    pub(super) fn new(root: &HostRoot, filters: &DeviceFilters) -> Self {
        Self {
            dev: ProcFile::new(root.net_file("dev")),
            before: Vec::new(),
            lap: Lap::default(),
            exclude: filters.exclude_interfaces.clone(),
            most: filters.max_interfaces,
        }
    }
}

impl Collector for NetworkCollector {
    /// Traffic since the reading before.
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let elapsed = self.lap.take(moment.now);
        let (after, left_out) = match self.dev.read() {
            Ok(text) => parse_net_dev(text, &self.exclude, self.most),
            Err(error) => {
                self.before.clear();
                return Err(error);
            }
        };
        let before = std::mem::replace(&mut self.before, after);
        sample.network_interfaces = derive_network(&before, &self.before, elapsed);
        leave_out(sample, "network", left_out);
        Ok(())
    }
}

/// Parses `/proc/net/dev`: the first `most` interfaces whose names fit no pattern, and how many there are besides.
/// Lines that are no interface's are passed over.
fn parse_net_dev(net_dev: &[u8], exclude: &[String], most: usize) -> (Vec<Counters>, usize) {
    let mut interfaces = Vec::new();
    let mut left_out = 0;
    for line in lines(net_dev) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii();
        let Some(columns) = take_numbers(&mut fields(&line[colon + 1..])) else {
            continue;
        };
        if name.is_empty() || fits_any(exclude, name) {
            continue;
        }
        if interfaces.len() == most {
            left_out += 1;
            continue;
        }
        interfaces.push(Counters {
            interface: text(name),
            columns,
        });
    }
    (interfaces, left_out)
}

fn derive_network(before: &[Counters], after: &[Counters], elapsed: Duration) -> Vec<NetworkMetrics> {
    after
        .iter()
        .map(|after| {
            let before = before.iter().find(|before| before.interface == after.interface);
            let rate = |column: usize| {
                before.and_then(|before| per_second(before.columns[column], after.columns[column], elapsed))
            };
            NetworkMetrics {
                interface: after.interface.clone(),
                bytes_sent_per_sec: rate(SENT_BYTES),
                bytes_recv_per_sec: rate(RECV_BYTES),
                packets_sent_per_sec: rate(SENT_PACKETS),
                packets_recv_per_sec: rate(RECV_PACKETS),
                errors_in: Some(after.columns[RECV_ERRORS]),
                errors_out: Some(after.columns[SENT_ERRORS]),
                drops_in: Some(after.columns[RECV_DROPS]),
                drops_out: Some(after.columns[SENT_DROPS]),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: &[u8] = include_bytes!("../../fixtures/linux-6.18-kvm/t0/proc/net/dev");
    const T1: &[u8] = include_bytes!("../../fixtures/linux-6.18-kvm/t1/proc/net/dev");

    fn parse(text: &[u8]) -> Vec<Counters> {
        parse_net_dev(text, &DeviceFilters::default().exclude_interfaces, usize::MAX).0
    }

    #[test]
    fn interfaces_beyond_the_most_are_counted() {
        let text = b"lo: 1 1 1 1 1 1 1 1 1 1 1 1\nveth1: 1 1 1 1 1 1 1 1 1 1 1 1\neth0: 1 1 1 1 1 1 1 1 1 1 1 1\neth1: 1 1 1 1 1 1 1 1 1 1 1 1\n";
        let (interfaces, left_out) = parse_net_dev(text, &["veth*".to_owned()], 2);
        let names: Vec<&str> = interfaces
            .iter()
            .map(|counters| counters.interface.as_str())
            .collect();
        assert_eq!(
            (names, left_out),
            (vec!["lo", "eth0"], 1),
            "what is excluded by name is not counted"
        );
    }

    #[test]
    fn traffic_of_the_capture() {
        let after = derive_network(&parse(T0), &parse(T1), Duration::from_millis(5_120));
        let names: Vec<&str> = after.iter().map(|metrics| metrics.interface.as_str()).collect();
        assert_eq!(names, ["lo", "ifb0", "ifb1", "eth0"]);
        // lo: 599501 - 84197 = 515304 bytes and 150 - 48 = 102 packets in 5.12 s.
        assert_eq!(after[0].bytes_recv_per_sec, Some(100_645));
        assert_eq!(after[0].packets_sent_per_sec, Some(20));
        assert_eq!(after[3].bytes_sent_per_sec, Some(0), "eth0 was idle");
        assert_eq!(after[3].errors_in, Some(0));
    }

    #[test]
    fn columns_and_names_as_the_kernel_writes_them() {
        let text = b"Inter-|\n face |\neth0.100:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n veth1a: 1 1 1 1 1 1 1 1 1 1 1 1\n";
        let interfaces = parse(text);
        assert_eq!(interfaces.len(), 1, "veth is left out");
        let metrics = &derive_network(&[], &interfaces, Duration::from_secs(1))[0];
        assert_eq!(metrics.interface, "eth0.100");
        assert_eq!((metrics.errors_in, metrics.drops_in), (Some(3), Some(4)));
        assert_eq!((metrics.errors_out, metrics.drops_out), (Some(11), Some(12)));
        assert_eq!(metrics.bytes_recv_per_sec, None, "the first reading has no rates");
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            parse(&[b"eth0:", &text[..]].concat());
        }

        #[test]
        fn a_counter_that_went_back_gives_nothing(before: u64, after: u64) {
            let counters = |value| vec![Counters { interface: "eth0".to_owned(), columns: [value; COLUMNS] }];
            let rate = derive_network(&counters(before), &counters(after), Duration::from_secs(1))[0].bytes_sent_per_sec;
            prop_assert_eq!(rate.is_some(), after >= before);
        }
    }
}
