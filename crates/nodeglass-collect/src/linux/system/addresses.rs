//! IP addresses of interfaces, in the host's network namespace.
//!
//! On `/` the system is asked. Under another root the asking process may have a network namespace of its own, so the
//! addresses come from process 1's `fib_trie`, `route` and `if_inet6`.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

use sysinfo::Networks;

use crate::linux::host_root::HostRoot;

/// The addresses of each interface: IPv4 first.
type Addresses = HashMap<String, Vec<String>>;

pub(super) fn read_addresses(root: &HostRoot) -> Addresses {
    if root.is_own() {
        return read_own_addresses();
    }
    let read = |name: &str| fs::read_to_string(root.net_file(name)).unwrap_or_default();
    let mut addresses = Addresses::new();
    let routes = parse_routes(&read("route"));
    for address in parse_local_addresses(&read("fib_trie")) {
        if let Some(interface) = interface_of(address, &routes) {
            addresses.entry(interface).or_default().push(address.to_string());
        }
    }
    for (interface, address) in parse_if_inet6(&read("if_inet6")) {
        addresses.entry(interface).or_default().push(address.to_string());
    }
    addresses
}

fn read_own_addresses() -> Addresses {
    let Ok(networks) = Networks::new_with_refreshed_list() else {
        return Addresses::new();
    };
    networks
        .iter()
        .map(|(name, data)| {
            let mut addresses: Vec<_> = data.ip_networks().iter().map(|network| network.addr).collect();
            addresses.sort();
            let texts = addresses.iter().map(ToString::to_string).collect();
            (name.to_string_lossy().into_owned(), texts)
        })
        .collect()
}

#[derive(Debug, PartialEq)]
struct Route {
    interface: String,
    network: u32,
    mask: u32,
}

/// `/proc/net/route`: hexadecimal numbers whose bytes, in memory, are in the order of the wire.
fn parse_routes(text: &str) -> Vec<Route> {
    let number = |field: &str| u32::from_str_radix(field, 16).ok().map(u32::from_be);
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            Some(Route {
                interface: (*fields.first()?).to_owned(),
                network: number(fields.get(1)?)?,
                mask: number(fields.get(7)?)?,
            })
        })
        .collect()
}

/// The host's own addresses: in `fib_trie` the ones before `/32 host LOCAL`.
fn parse_local_addresses(text: &str) -> Vec<Ipv4Addr> {
    let mut addresses = Vec::new();
    let mut last = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            addresses.extend(last);
        }
    }
    // The main table and the local one hold the same addresses.
    addresses.sort();
    addresses.dedup();
    addresses
}

/// The interface whose network holds the address, the narrowest network first; an address outside every network
/// (clouds give out such) belongs to the interface of the default route.
fn interface_of(address: Ipv4Addr, routes: &[Route]) -> Option<String> {
    if address.is_loopback() {
        return Some("lo".to_owned());
    }
    let bits = u32::from(address);
    routes
        .iter()
        .filter(|route| bits & route.mask == route.network)
        .max_by_key(|route| route.mask.count_ones())
        .map(|route| route.interface.clone())
}

/// `/proc/net/if_inet6`: address, index, prefix, scope, flags, interface.
fn parse_if_inet6(text: &str) -> Vec<(String, Ipv6Addr)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let address = u128::from_str_radix(fields.next()?, 16).ok()?;
            Some((fields.nth(4)?.to_owned(), Ipv6Addr::from(address)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_outside_every_network_belongs_to_the_default_route() {
        let text = "Iface Destination Gateway Flags RefCnt Use Metric Mask\n\
            ens4 00000000 0100800A 0003 0 0 0 00000000\n\
            docker0 000011AC 00000000 0001 0 0 0 0000FFFF\n";
        let routes = parse_routes(text);
        assert_eq!(routes.len(), 2);
        assert_eq!(
            interface_of(Ipv4Addr::new(10, 128, 0, 2), &routes).as_deref(),
            Some("ens4")
        );
        assert_eq!(
            interface_of(Ipv4Addr::new(172, 17, 0, 1), &routes).as_deref(),
            Some("docker0")
        );
        assert_eq!(
            interface_of(Ipv4Addr::new(127, 0, 0, 53), &routes).as_deref(),
            Some("lo")
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: String) {
            parse_routes(&text);
            parse_local_addresses(&text);
            parse_if_inet6(&text);
        }
    }
}
