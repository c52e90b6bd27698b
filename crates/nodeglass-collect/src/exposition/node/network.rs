//! The network's devices: `netclass`, `netdev`, `arp` and `bonding`.

use std::collections::BTreeMap;

use super::tree::Tree;
use super::{NoData, Outcome};
use crate::exposition::text::FamilyKind::{Counter, Gauge};
use crate::exposition::text::{Exposition, FamilyKind};
use crate::linux::scan::{fields, lines, parse_number, text};
use crate::privacy::Personal;

const CLASS: &str = "sys/class/net";
/// Bytes in a megabit.
const MEGABIT: f64 = 125_000.0;

/// Files of `/sys/class/net/*`, with the end of their family's name.
const PROPERTIES: [(&str, &str, FamilyKind); 17] = [
    ("addr_assign_type", "address_assign_type", Gauge),
    ("carrier", "carrier", Gauge),
    ("carrier_changes", "carrier_changes_total", Counter),
    ("carrier_down_count", "carrier_down_changes_total", Counter),
    ("carrier_up_count", "carrier_up_changes_total", Counter),
    ("dev_id", "device_id", Gauge),
    ("dormant", "dormant", Gauge),
    ("flags", "flags", Gauge),
    ("ifindex", "iface_id", Gauge),
    ("iflink", "iface_link", Gauge),
    ("link_mode", "iface_link_mode", Gauge),
    ("mtu", "mtu_bytes", Gauge),
    ("name_assign_type", "name_assign_type", Gauge),
    ("netdev_group", "net_dev_group", Gauge),
    ("type", "protocol_type", Gauge),
    ("speed", "speed_bytes", Gauge),
    ("tx_queue_len", "transmit_queue_length", Gauge),
];

/// Properties of every device.
pub(super) fn write_netclass(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    /// Texts, in the order of the labels; `device` stands between the second and the third.
    const TEXTS: [&str; 5] = ["address", "broadcast", "duplex", "ifalias", "operstate"];
    let mut devices = tree.list(CLASS)?;
    // A file among them, `bonding_masters`, is none.
    devices.retain(|device| tree.root.exists(&format!("{CLASS}/{device}/ifindex")));
    let mut info = out.family(
        "node_network_info",
        Gauge,
        "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
    );
    let mut states = Vec::new();
    for device in &devices {
        let [address, broadcast, duplex, alias, state] =
            TEXTS.map(|file| tree.text(&format!("{CLASS}/{device}/{file}")).unwrap_or_default());
        let shown = |address| {
            tree.privacy
                .show(Personal::MacAddress, address)
                .unwrap_or_default()
        };
        let labels = [
            ("address", &*shown(&address)),
            ("broadcast", &shown(&broadcast)),
            ("device", device),
            ("duplex", &duplex),
            ("ifalias", &alias),
            ("operstate", &state),
        ];
        info.series(&labels, 1.0);
        states.push(f64::from(u8::from(state == "up")));
    }
    for (file, property, kind) in PROPERTIES {
        let factor = if file == "speed" { MEGABIT } else { 1.0 };
        let name = format!("node_network_{property}");
        let help = format_args!("Network device property: {property}");
        let mut family = out.family(&name, kind, help);
        for device in &devices {
            let value = tree.number(&format!("{CLASS}/{device}/{file}"));
            family.series_if(&[("device", device)], value.map(|value| value * factor));
        }
    }
    let mut up = out.family(
        "node_network_up",
        Gauge,
        "Value is 1 if operstate is 'up', 0 otherwise.",
    );
    for (device, state) in devices.iter().zip(states) {
        up.series(&[("device", device)], state);
    }
    Ok(())
}

/// Traffic of every device: the columns of `/proc/net/dev`, and one that only `/sys` has.
pub(super) fn write_netdev(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const COLUMNS: [&str; 16] = [
        "receive_bytes",
        "receive_packets",
        "receive_errs",
        "receive_drop",
        "receive_fifo",
        "receive_frame",
        "receive_compressed",
        "receive_multicast",
        "transmit_bytes",
        "transmit_packets",
        "transmit_errs",
        "transmit_drop",
        "transmit_fifo",
        "transmit_colls",
        "transmit_carrier",
        "transmit_compressed",
    ];
    const HANDLER: &str = "receive_nohandler";
    let mut devices = BTreeMap::new();
    for line in lines(tree.read_net("dev")?) {
        // The name may have a colon in it; the numbers don't.
        let Some(colon) = line.iter().rposition(|byte| *byte == b':') else {
            continue;
        };
        let columns: Vec<u64> = fields(&line[colon + 1..]).map_while(parse_number).collect();
        devices.insert(text(line[..colon].trim_ascii()), columns);
    }
    let help = |name| format!("Network device statistic {name}.");
    for (column, statistic) in COLUMNS.into_iter().enumerate() {
        let name = format!("node_network_{statistic}_total");
        let mut family = out.family(&name, Counter, help(statistic));
        for (device, columns) in &devices {
            family.series_if(
                &[("device", device)],
                columns.get(column).map(|value| *value as f64),
            );
        }
    }
    let name = format!("node_network_{HANDLER}_total");
    let mut family = out.family(&name, Counter, help(HANDLER));
    for device in devices.keys() {
        let value = tree.number(&format!("{CLASS}/{device}/statistics/rx_nohandler"));
        family.series_if(&[("device", device)], value);
    }
    Ok(())
}

/// Neighbours known by their address, by device.
pub(super) fn write_arp(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let mut entries = BTreeMap::new();
    for line in lines(tree.read_net("arp")?).skip(1) {
        // Address, type, flags, hardware address, mask, device.
        if let Some(device) = fields(line).nth(5) {
            *entries.entry(text(device)).or_insert(0_u32) += 1;
        }
    }
    let mut family = out.family("node_arp_entries", Gauge, "ARP entries by device");
    for (device, count) in &entries {
        family.series(&[("device", device)], f64::from(*count));
    }
    Ok(())
}

/// How many devices bonds are made of, and how many of them work.
pub(super) fn write_bonding(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let masters = tree.text(&format!("{CLASS}/bonding_masters")).ok_or(NoData)?;
    let mut bonds = Vec::new();
    for master in masters.split_whitespace() {
        let slaves = tree
            .text(&format!("{CLASS}/{master}/bonding/slaves"))
            .ok_or(NoData)?;
        let mut active = 0_u32;
        for slave in slaves.split_whitespace() {
            // Older kernels call the link differently.
            let status = tree
                .text(&format!(
                    "{CLASS}/{master}/lower_{slave}/bonding_slave/mii_status"
                ))
                .or_else(|| {
                    tree.text(&format!(
                        "{CLASS}/{master}/slave_{slave}/bonding_slave/mii_status"
                    ))
                });
            active += u32::from(status.is_some_and(|status| status == "up"));
        }
        bonds.push((master, slaves.split_whitespace().count() as f64, active));
    }
    let mut family = out.family(
        "node_bonding_active",
        Gauge,
        "Number of active slaves per bonding interface.",
    );
    for (master, _, active) in &bonds {
        family.series(&[("master", master)], f64::from(*active));
    }
    let mut family = out.family(
        "node_bonding_slaves",
        Gauge,
        "Number of configured slaves per bonding interface.",
    );
    for (master, slaves, _) in &bonds {
        family.series(&[("master", master)], *slaves);
    }
    Ok(())
}
