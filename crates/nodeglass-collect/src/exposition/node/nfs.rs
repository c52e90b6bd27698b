//! The NFS client: `nfs`.

use super::Outcome;
use super::tree::Tree;
use crate::exposition::text::Exposition;
use crate::exposition::text::FamilyKind::Counter;
use crate::linux::scan::{fields, lines, parse_number};

/// Calls of each version of the protocol, in the kernel's order.
const V2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create",
    "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];
const V3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];
const V4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "LayoutGet",
    "GetDeviceInfo",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

/// Calls to NFS servers: lines of `/proc/net/rpc/nfs`.
pub(super) fn write(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let mut numbers: [Vec<f64>; 5] = Default::default();
    for line in lines(tree.read_net("rpc/nfs")?) {
        let mut fields = fields(line);
        let word = fields.next().unwrap_or_default();
        let words = [&b"net"[..], b"rpc", b"proc2", b"proc3", b"proc4"];
        if let Some(place) = words.iter().position(|known| *known == word) {
            numbers[place] = fields
                .map_while(parse_number)
                .map(|number| number as f64)
                .collect();
        }
    }
    let [net, rpc, v2, v3, v4] = &numbers;
    // Packets, over UDP, over TCP, connections.
    out.family(
        "node_nfs_connections_total",
        Counter,
        "Total number of NFSd TCP connections.",
    )
    .series_if(&[], net.get(3).copied());
    let mut packets = out.family(
        "node_nfs_packets_total",
        Counter,
        "Total NFSd network packets (sent+received) by protocol type.",
    );
    packets.series_if(&[("protocol", "tcp")], net.get(2).copied());
    packets.series_if(&[("protocol", "udp")], net.get(1).copied());
    let mut requests = out.family(
        "node_nfs_requests_total",
        Counter,
        "Number of NFS procedures invoked.",
    );
    for (version, names, counts) in [("2", &V2[..], v2), ("3", &V3, v3), ("4", &V4, v4)] {
        // The first number says how many follow; newer kernels have more than there are names here.
        for (method, count) in names.iter().zip(counts.iter().skip(1)) {
            requests.series(&[("method", method), ("proto", version)], *count);
        }
    }
    // Calls, sent once more, credentials asked for anew.
    for (place, name, help) in [
        (
            2,
            "node_nfs_rpc_authentication_refreshes_total",
            "Number of RPC authentication refreshes performed.",
        ),
        (
            1,
            "node_nfs_rpc_retransmissions_total",
            "Number of RPC transmissions performed.",
        ),
        (0, "node_nfs_rpcs_total", "Total number of RPCs performed."),
    ] {
        out.family(name, Counter, help)
            .series_if(&[], rpc.get(place).copied());
    }
    Ok(())
}
