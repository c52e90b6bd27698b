//! Sockets by protocol, and the memory that they hold: `/proc/net/sockstat` and `sockstat6`.

use nodeglass_model::sample::Sample;

use super::collector::{Collector, Moment};
use super::host_root::HostRoot;
use super::proc_file::{MaybeFile, ProcFile, ReadError};
use super::scan::{fields, lines, parse_number};

/// What `sockstat` shows; `sockstat6` has the first two of IPv6, which the kernel does not add in.
#[derive(Debug, Default, Clone, PartialEq)]
struct Sockets {
    tcp: Option<u64>,
    udp: Option<u64>,
    all: Option<u64>,
    tcp_orphaned: Option<u64>,
    tcp_time_wait: Option<u64>,
    tcp_pages: Option<u64>,
    udp_pages: Option<u64>,
}

/// Reads sockets in use.
pub(super) struct SocketCollector {
    sockstat: ProcFile,
    sockstat6: MaybeFile,
}

impl SocketCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            sockstat: ProcFile::new(root.net_file("sockstat")),
            sockstat6: MaybeFile::new(root.net_file("sockstat6")),
        }
    }
}

impl Collector for SocketCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let sockets = parse_sockstat(self.sockstat.read()?);
        if sockets == Sockets::default() {
            return Err(self.sockstat.without("counts of sockets"));
        }
        // Without IPv6 there is no such file, and nothing to add.
        let of_ipv6 = self
            .sockstat6
            .read(moment)?
            .map(parse_sockstat)
            .unwrap_or_default();
        let sum = |a: Option<u64>, b: Option<u64>| a?.checked_add(b.unwrap_or(0));
        let page = rustix::param::page_size() as u64;
        let bytes = |pages: Option<u64>| pages?.checked_mul(page);
        sample.system.sockets = sockets.all;
        sample.tcp.sockets = sum(sockets.tcp, of_ipv6.tcp);
        sample.tcp.orphaned_sockets = sockets.tcp_orphaned;
        sample.tcp.time_wait_sockets = sockets.tcp_time_wait;
        sample.tcp.memory_bytes = bytes(sockets.tcp_pages);
        sample.udp.sockets = sum(sockets.udp, of_ipv6.udp);
        sample.udp.memory_bytes = bytes(sockets.udp_pages);
        Ok(())
    }
}

/// `TCP: inuse 2 orphan 0 tw 1 alloc 2 mem 188`: a protocol, then names with their values.
fn parse_sockstat(text: &[u8]) -> Sockets {
    let mut sockets = Sockets::default();
    for line in lines(text) {
        let mut fields = fields(line);
        let Some(protocol) = fields.next() else { continue };
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            let place = match (protocol, name) {
                (b"sockets:", b"used") => &mut sockets.all,
                (b"TCP:" | b"TCP6:", b"inuse") => &mut sockets.tcp,
                (b"UDP:" | b"UDP6:", b"inuse") => &mut sockets.udp,
                (b"TCP:", b"orphan") => &mut sockets.tcp_orphaned,
                (b"TCP:", b"tw") => &mut sockets.tcp_time_wait,
                (b"TCP:", b"mem") => &mut sockets.tcp_pages,
                (b"UDP:", b"mem") => &mut sockets.udp_pages,
                _ => continue,
            };
            *place = parse_number(value);
        }
    }
    sockets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_come_before_their_values() {
        let text = b"sockets: used 20\nTCP: inuse 2 orphan 3 tw 1 alloc 2 mem 188\nUDP: inuse 4 mem 5\nUDPLITE: inuse 9\nRAW: inuse 8\nFRAG: inuse 7 memory 6\n";
        assert_eq!(
            parse_sockstat(text),
            Sockets {
                tcp: Some(2),
                udp: Some(4),
                all: Some(20),
                tcp_orphaned: Some(3),
                tcp_time_wait: Some(1),
                tcp_pages: Some(188),
                udp_pages: Some(5),
            }
        );
        let of_ipv6 = parse_sockstat(b"TCP6: inuse 11\nUDP6: inuse 12\nUDPLITE6: inuse 1\n");
        assert_eq!((of_ipv6.tcp, of_ipv6.udp), (Some(11), Some(12)));
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            parse_sockstat(&[b"TCP: inuse ", &text[..], b"\n", &text[..]].concat());
        }
    }
}
