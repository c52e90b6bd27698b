//! TCP and UDP over all connections: `/proc/net/snmp` in every sample, and `/proc/net/netstat`, which costs twice as
//! much for two figures, in full ones. The lists of connections are never read: they cost a hundred times more.
//!
//! The figures are those of the host's network namespace. The kernel counts TCP over IPv4 and IPv6 together in `snmp`;
//! UDP over IPv6 stands in `snmp6`, and is added to what is over IPv4.

use std::time::Duration;

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::rates::{events_per_second, per_second};
use nodeglass_model::sample::{Sample, TcpMetrics, UdpMetrics};

use super::collector::{Collector, Lap, Moment};
use super::host_root::HostRoot;
use super::proc_file::{MaybeFile, ProcFile, ReadError};
use super::scan::{fields, lines, parse_number};

/// Counters that stand under the names of their columns.
trait Columns {
    /// Where the value of a column goes; `None` for one that is not wanted.
    fn place(&mut self, column: &[u8]) -> Option<&mut Option<u64>>;

    /// Adds counters of the same kind.
    fn add(&mut self, others: &Self);
}

/// Declares the counters wanted of one protocol, and how to find their columns.
macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $column:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, PartialEq)]
        struct $name {
            $($field: Option<u64>,)+
        }

        impl Columns for $name {
            fn place(&mut self, column: &[u8]) -> Option<&mut Option<u64>> {
                match column {
                    $($column => Some(&mut self.$field),)+
                    _ => None,
                }
            }

            fn add(&mut self, others: &Self) {
                $(self.$field = self.$field.and_then(|own| own.checked_add(others.$field.unwrap_or(0)));)+
            }
        }
    };
}

counters! {
    /// `Tcp:` of `snmp`.
    Tcp {
        established = b"CurrEstab",
        active_opens = b"ActiveOpens",
        passive_opens = b"PassiveOpens",
        failed_attempts = b"AttemptFails",
        established_resets = b"EstabResets",
        segments_in = b"InSegs",
        segments_out = b"OutSegs",
        retransmitted = b"RetransSegs",
        errors_in = b"InErrs",
        resets_out = b"OutRsts",
    }
}

counters! {
    /// `Udp:` of `snmp`.
    Udp {
        datagrams_in = b"InDatagrams",
        datagrams_out = b"OutDatagrams",
        errors_in = b"InErrors",
        no_port = b"NoPorts",
        receive_buffer_errors = b"RcvbufErrors",
        send_buffer_errors = b"SndbufErrors",
    }
}

counters! {
    /// `TcpExt:` of `netstat`.
    Listen {
        overflows = b"ListenOverflows",
        drops = b"ListenDrops",
    }
}

/// Reads `snmp` and `snmp6`.
pub(super) struct ProtocolCollector {
    snmp: ProcFile,
    snmp6: MaybeFile,
    before: (Tcp, Udp),
    /// Whether the reading before had IPv6 in it.
    had_ipv6: bool,
    udp_wanted: bool,
    lap: Lap,
}

impl ProtocolCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            snmp: ProcFile::new(root.net_file("snmp")),
            snmp6: MaybeFile::new(root.net_file("snmp6")),
            before: Default::default(),
            had_ipv6: false,
            udp_wanted: true,
            lap: Lap::default(),
        }
    }
}

impl Collector for ProtocolCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let elapsed = self.lap.take(moment.now);
        let (tcp, mut udp) = std::mem::take(&mut self.before);
        let text = self.snmp.read()?;
        parse_table(text, b"Tcp:", &mut self.before.0);
        parse_table(text, b"Udp:", &mut self.before.1);
        if self.before == Default::default() {
            return Err(self.snmp.without("counters of TCP or UDP"));
        }
        if self.udp_wanted {
            let of_ipv6 = self.snmp6.read(moment)?.map(parse_snmp6);
            self.before.1.add(of_ipv6.as_ref().unwrap_or(&Udp::default()));
            // What came or went with IPv6 did not happen since the reading before.
            if std::mem::replace(&mut self.had_ipv6, of_ipv6.is_some()) != of_ipv6.is_some() {
                udp = Udp::default();
            }
        }
        derive_tcp(&tcp, &self.before.0, elapsed, &mut sample.tcp);
        derive_udp(&udp, &self.before.1, elapsed, &mut sample.udp);
        Ok(())
    }

    fn set_filter(&mut self, filter: &MetricFilter) {
        let wanted = filter.keeps_any("udp");
        if wanted != self.udp_wanted {
            // The two readings must be of the same files.
            (self.udp_wanted, self.before.1) = (wanted, Udp::default());
        }
    }
}

/// `Udp6InDatagrams 7`, a line each.
fn parse_snmp6(text: &[u8]) -> Udp {
    let mut udp = Udp::default();
    for line in lines(text).filter_map(|line| line.strip_prefix(b"Udp6")) {
        let mut fields = fields(line);
        if let (Some(name), Some(value)) = (fields.next(), fields.next())
            && let Some(place) = udp.place(name)
        {
            *place = parse_number(value);
        }
    }
    udp
}

/// Reads `netstat`: what listening sockets turned away since the full sample before.
pub(super) struct ListenCollector {
    netstat: ProcFile,
    before: Listen,
    lap: Lap,
}

impl ListenCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            netstat: ProcFile::new(root.net_file("netstat")),
            before: Listen::default(),
            lap: Lap::default(),
        }
    }
}

impl Collector for ListenCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        if !moment.is_full() {
            return Ok(());
        }
        let elapsed = self.lap.take(moment.now);
        let before = std::mem::take(&mut self.before);
        parse_table(self.netstat.read()?, b"TcpExt:", &mut self.before);
        if self.before == Listen::default() {
            return Err(self.netstat.without("counters of listening sockets"));
        }
        let rate = Rate(elapsed);
        sample.tcp.listen_overflows_per_sec = rate.rare(before.overflows, self.before.overflows);
        sample.tcp.listen_drops_per_sec = rate.rare(before.drops, self.before.drops);
        Ok(())
    }
}

/// Finds the two lines that begin with `name`, columns and values, and puts the values in their places.
fn parse_table(text: &[u8], name: &[u8], counters: &mut impl Columns) {
    let mut rows = lines(text).filter_map(|line| line.strip_prefix(name));
    let (Some(columns), Some(values)) = (rows.next(), rows.next()) else {
        return;
    };
    for (column, value) in fields(columns).zip(fields(values)) {
        if let Some(place) = counters.place(column) {
            *place = parse_number(value);
        }
    }
}

/// Rates over one interval.
struct Rate(Duration);

impl Rate {
    fn common(&self, before: Option<u64>, after: Option<u64>) -> Option<u64> {
        per_second(before?, after?, self.0)
    }

    fn rare(&self, before: Option<u64>, after: Option<u64>) -> Option<f64> {
        events_per_second(before?, after?, self.0)
    }
}

fn derive_tcp(before: &Tcp, after: &Tcp, elapsed: Duration, tcp: &mut TcpMetrics) {
    let rate = Rate(elapsed);
    tcp.established_connections = after.established;
    tcp.active_opens_per_sec = rate.rare(before.active_opens, after.active_opens);
    tcp.passive_opens_per_sec = rate.rare(before.passive_opens, after.passive_opens);
    tcp.failed_attempts_per_sec = rate.rare(before.failed_attempts, after.failed_attempts);
    tcp.established_resets_per_sec = rate.rare(before.established_resets, after.established_resets);
    tcp.segments_recv_per_sec = rate.common(before.segments_in, after.segments_in);
    tcp.segments_sent_per_sec = rate.common(before.segments_out, after.segments_out);
    tcp.segments_retransmitted_per_sec = rate.rare(before.retransmitted, after.retransmitted);
    tcp.errors_in_per_sec = rate.rare(before.errors_in, after.errors_in);
    tcp.resets_sent_per_sec = rate.rare(before.resets_out, after.resets_out);
}

fn derive_udp(before: &Udp, after: &Udp, elapsed: Duration, udp: &mut UdpMetrics) {
    let rate = Rate(elapsed);
    udp.datagrams_recv_per_sec = rate.common(before.datagrams_in, after.datagrams_in);
    udp.datagrams_sent_per_sec = rate.common(before.datagrams_out, after.datagrams_out);
    udp.errors_in_per_sec = rate.rare(before.errors_in, after.errors_in);
    udp.no_port_per_sec = rate.rare(before.no_port, after.no_port);
    udp.receive_buffer_errors_per_sec = rate.rare(before.receive_buffer_errors, after.receive_buffer_errors);
    udp.send_buffer_errors_per_sec = rate.rare(before.send_buffer_errors, after.send_buffer_errors);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &[u8] = b"\
Ip: Forwarding DefaultTTL\nIp: 1 64\n\
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n\
Tcp: 1 200 120000 -1 100 200 3 4 12 1000 2000 50 0 60 0\n\
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n\
Udp: 500 1 2 600 2 0 0 0 0\n\
UdpLite: InDatagrams NoPorts InErrors OutDatagrams\nUdpLite: 9 9 9 9\n";
    const AFTER: &[u8] = b"\
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n\
Tcp: 1 200 120000 -1 105 200 4 4 15 1100 2300 51 0 50 0\n\
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n\
Udp: 520 1 3 600 3 0 0 0 0\n";

    fn parse(text: &[u8]) -> (Tcp, Udp) {
        let (mut tcp, mut udp) = <(Tcp, Udp)>::default();
        parse_table(text, b"Tcp:", &mut tcp);
        parse_table(text, b"Udp:", &mut udp);
        (tcp, udp)
    }

    #[test]
    fn counters_become_rates() {
        let ((tcp0, udp0), (tcp1, udp1)) = (parse(BEFORE), parse(AFTER));
        let elapsed = Duration::from_secs(10);
        let (mut tcp, mut udp) = (TcpMetrics::default(), UdpMetrics::default());
        derive_tcp(&tcp0, &tcp1, elapsed, &mut tcp);
        derive_udp(&udp0, &udp1, elapsed, &mut udp);
        assert_eq!(tcp.established_connections, Some(15));
        assert_eq!(tcp.active_opens_per_sec, Some(0.5), "5 / 10");
        assert_eq!(tcp.passive_opens_per_sec, Some(0.0));
        assert_eq!(tcp.failed_attempts_per_sec, Some(0.1));
        assert_eq!(tcp.segments_recv_per_sec, Some(10));
        assert_eq!(tcp.segments_sent_per_sec, Some(30));
        assert_eq!(tcp.segments_retransmitted_per_sec, Some(0.1));
        assert_eq!(tcp.resets_sent_per_sec, None, "50 after 60 is a reset");
        assert_eq!(udp.datagrams_recv_per_sec, Some(2));
        assert_eq!(udp.receive_buffer_errors_per_sec, Some(0.1));
        assert_eq!(
            (udp.errors_in_per_sec, udp.no_port_per_sec),
            (Some(0.1), Some(0.0))
        );
    }

    #[test]
    fn udp_over_ipv6_is_added() {
        let text = b"Ip6InReceives \t9\nUdp6InDatagrams                 \t5\nUdp6NoPorts \t1\nUdpLite6InDatagrams \t8\n";
        let of_ipv6 = parse_snmp6(text);
        assert_eq!((of_ipv6.datagrams_in, of_ipv6.no_port), (Some(5), Some(1)));
        let (_, mut udp) = parse(BEFORE);
        udp.add(&of_ipv6);
        assert_eq!((udp.datagrams_in, udp.no_port), (Some(505), Some(2)));
        assert_eq!(udp.datagrams_out, Some(600), "nothing to add");
    }

    #[test]
    fn ipv6_that_comes_in_between_is_no_burst() {
        let directory = tempfile::tempdir().unwrap();
        let net = directory.path().join("proc/net");
        std::fs::create_dir_all(&net).unwrap();
        std::fs::write(net.join("snmp"), BEFORE).unwrap();
        let mut collector = ProtocolCollector::new(&HostRoot::new(directory.path()));
        let start = std::time::Instant::now();
        let mut rate = |seconds| {
            let moment = Moment {
                now: start + Duration::from_secs(seconds),
                until: start,
                depth: crate::sampler::Depth::Full,
            };
            let mut sample = Sample::default();
            collector.read(&mut sample, &moment).unwrap();
            sample.udp.datagrams_recv_per_sec
        };
        assert_eq!((rate(0), rate(1)), (None, Some(0)));
        std::fs::write(net.join("snmp6"), "Udp6InDatagrams 1000000\n").unwrap();
        assert_eq!((rate(2), rate(3)), (None, Some(0)));
        std::fs::write(net.join("snmp6"), "Udp6InDatagrams 1000030\n").unwrap();
        assert_eq!(rate(4), Some(30));
    }

    #[test]
    fn columns_are_found_by_name() {
        let mut listen = Listen::default();
        let text = b"TcpExt: SyncookiesSent ListenDrops ListenOverflows\nTcpExt: 1 22 21\nIpExt: ListenDrops\nIpExt: 5\n";
        parse_table(text, b"TcpExt:", &mut listen);
        assert_eq!((listen.overflows, listen.drops), (Some(21), Some(22)));
        let mut cut = Listen::default();
        parse_table(b"TcpExt: ListenDrops\n", b"TcpExt:", &mut cut);
        assert_eq!(cut, Listen::default());
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            parse(&[b"Tcp: InSegs ", &text[..], b"\nTcp: ", &text[..]].concat());
            parse_snmp6(&[b"Udp6InDatagrams ", &text[..]].concat());
        }

        #[test]
        fn a_counter_that_went_back_gives_nothing(before: u64, after: u64) {
            let rate = Rate(Duration::from_secs(1));
            prop_assert_eq!(rate.common(Some(before), Some(after)).is_some(), after >= before);
            prop_assert_eq!(rate.rare(Some(before), Some(after)).is_some(), after >= before);
            prop_assert_eq!(rate.rare(None, Some(after)), None);
        }
    }
}
