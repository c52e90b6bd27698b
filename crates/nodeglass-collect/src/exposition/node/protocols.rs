//! The network's protocols: `netstat`, `sockstat` and `udp_queues`.

use super::tree::Tree;
use super::{NoData, Outcome};
use crate::exposition::text::Exposition;
use crate::exposition::text::FamilyKind::{Gauge, Untyped};
use crate::linux::scan::{fields, lines, parse_number};

/// Counters of protocols, of those that dashboards ask for. They are text of two lines each, names and values, for IPv4
/// and a line each for IPv6.
pub(super) fn write_netstat(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    for file in ["netstat", "snmp"] {
        let content = tree.read_net(file)?;
        let mut lines = lines(content);
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let (mut names, values) = (fields(names), fields(values).skip(1));
            let protocol = names
                .next()
                .and_then(|name| str::from_utf8(name.strip_suffix(b":")?).ok());
            let Some(protocol) = protocol else {
                continue;
            };
            for (name, value) in names.zip(values) {
                write_statistic(out, protocol, name, value);
            }
        }
    }
    // Absent where IPv6 is switched off.
    for line in lines(tree.read_net("snmp6").unwrap_or_default()) {
        let mut fields = fields(line);
        if let (Some(name), Some(value)) = (fields.next(), fields.next())
            && let Some(six) = name.iter().position(|byte| *byte == b'6')
            && let Ok(protocol) = str::from_utf8(&name[..=six])
        {
            write_statistic(out, protocol, &name[six + 1..], value);
        }
    }
    Ok(())
}

fn write_statistic(out: &mut Exposition, protocol: &str, name: &[u8], value: &[u8]) {
    // Some are negative, as TCP's limit of connections.
    let value = str::from_utf8(value)
        .ok()
        .and_then(|value| value.parse::<f64>().ok());
    if let (Ok(name), Some(value)) = (str::from_utf8(name), value)
        && is_wanted(protocol, name)
    {
        out.single(
            &format!("node_netstat_{protocol}_{name}"),
            Untyped,
            format_args!("Statistic {protocol}{name}."),
            value,
        );
    }
}

fn is_wanted(protocol: &str, name: &str) -> bool {
    match protocol {
        _ if name == "InErrors" || name == "InErrs" => true,
        "Ip" => name == "Forwarding",
        "Ip6" | "IpExt" => matches!(name, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(name, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            name.starts_with("Listen")
                || name.starts_with("Syncookies")
                || matches!(name, "TCPSynRetrans" | "TCPTimeouts")
        }
        "Tcp" => matches!(
            name,
            "ActiveOpens" | "InSegs" | "OutSegs" | "OutRsts" | "PassiveOpens" | "RetransSegs" | "CurrEstab"
        ),
        "Udp" | "Udp6" => matches!(
            name,
            "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
        ),
        _ => false,
    }
}

/// Sockets by protocol and state: `TCP: inuse 4 orphan 0 tw 0 alloc 4 mem 188`.
pub(super) fn write_sockstat(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let page = rustix::param::page_size() as f64;
    tree.read_net("sockstat").map_err(|_| NoData)?;
    for file in ["sockstat", "sockstat6"] {
        // Absent where IPv6 is switched off.
        for line in lines(tree.read_net(file).unwrap_or_default()) {
            let mut fields = fields(line);
            let protocol = fields
                .next()
                .and_then(|name| str::from_utf8(name.strip_suffix(b":")?).ok());
            let Some(protocol) = protocol else {
                continue;
            };
            let mut write = |state: &str, value: f64| {
                out.single(
                    &format!("node_sockstat_{protocol}_{state}"),
                    Gauge,
                    format_args!("Number of {protocol} sockets in state {state}."),
                    value,
                );
            };
            let mut used = None;
            while let (Some(state), Some(value)) = (fields.next(), fields.next()) {
                let (Ok(state), Some(value)) = (str::from_utf8(state), parse_number(value)) else {
                    continue;
                };
                let value = value as f64;
                if protocol == "sockets" {
                    used = Some(value).filter(|_| state == "used");
                } else {
                    write(state, value);
                }
                if state == "mem" {
                    write("mem_bytes", value * page);
                }
            }
            if let Some(used) = used {
                out.single(
                    "node_sockstat_sockets_used",
                    Gauge,
                    "Number of IPv4 sockets in use.",
                    used,
                );
            }
        }
    }
    Ok(())
}

/// Bytes that wait in UDP sockets: `tx_queue:rx_queue` in hexadecimal, the fifth field of each.
pub(super) fn write_udp_queues(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let mut sums = Vec::new();
    for (ip, file) in [("v4", "udp"), ("v6", "udp6")] {
        let Ok(sockets) = tree.read_net(file) else {
            continue;
        };
        let (mut receive, mut transmit) = (0_u64, 0_u64);
        for line in lines(sockets).skip(1) {
            let queues = fields(line)
                .nth(4)
                .and_then(|field| str::from_utf8(field).ok()?.split_once(':'));
            let Some((tx, rx)) = queues else {
                continue;
            };
            let bytes = |text| u64::from_str_radix(text, 16).unwrap_or_default();
            transmit = transmit.saturating_add(bytes(tx));
            receive = receive.saturating_add(bytes(rx));
        }
        sums.push((ip, "rx", receive));
        sums.push((ip, "tx", transmit));
    }
    let mut family = out.family(
        "node_udp_queues",
        Gauge,
        "Number of allocated memory in the kernel for UDP datagrams in bytes.",
    );
    for (ip, queue, bytes) in &sums {
        family.series(&[("ip", ip), ("queue", queue)], *bytes as f64);
    }
    if sums.is_empty() { Err(NoData) } else { Ok(()) }
}
