//! The kernel's own figures: `stat`, `loadavg`, `entropy`, `filefd`, `conntrack` and `selinux`.

use super::tree::Tree;
use super::{NoData, Outcome};
use crate::exposition::text::Exposition;
use crate::exposition::text::FamilyKind::{Counter, Gauge};
use crate::linux::scan::{fields, lines, parse_number};

/// Single lines of `/proc/stat`.
pub(super) fn write_stat(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let families = [
        (
            &b"btime"[..],
            "node_boot_time_seconds",
            Gauge,
            "Node boot time, in unixtime.",
        ),
        (
            b"ctxt",
            "node_context_switches_total",
            Counter,
            "Total number of context switches.",
        ),
        (
            b"processes",
            "node_forks_total",
            Counter,
            "Total number of forks.",
        ),
        (
            b"intr",
            "node_intr_total",
            Counter,
            "Total number of interrupts serviced.",
        ),
        (
            b"procs_blocked",
            "node_procs_blocked",
            Gauge,
            "Number of processes blocked waiting for I/O to complete.",
        ),
        (
            b"procs_running",
            "node_procs_running",
            Gauge,
            "Number of processes in runnable state.",
        ),
    ];
    let stat = tree.stat()?;
    for (word, name, kind, help) in families {
        // The line of interrupts has thousands of numbers; only its first is looked at.
        let value = lines(stat)
            .filter_map(|line| line.strip_prefix(word)?.strip_prefix(b" "))
            .find_map(|rest| parse_number(fields(rest).next()?));
        if let Some(value) = value {
            out.single(name, kind, help, value as f64);
        }
    }
    Ok(())
}

/// Load averages.
pub(super) fn write_loadavg(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let text = tree.text("proc/loadavg").ok_or(NoData)?;
    let loads: Vec<f64> = text
        .split(' ')
        .take(3)
        .map_while(|load| load.parse().ok())
        .collect();
    let [one, five, fifteen] = loads[..] else {
        return Err(NoData);
    };
    out.single("node_load1", Gauge, "1m load average.", one);
    out.single("node_load15", Gauge, "15m load average.", fifteen);
    out.single("node_load5", Gauge, "5m load average.", five);
    Ok(())
}

/// The kernel's store of randomness.
pub(super) fn write_entropy(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let at = "proc/sys/kernel/random";
    let available = tree.number(&format!("{at}/entropy_avail")).ok_or(NoData)?;
    out.single(
        "node_entropy_available_bits",
        Gauge,
        "Bits of available entropy.",
        available,
    );
    let size = tree.number(&format!("{at}/poolsize")).ok_or(NoData)?;
    out.single(
        "node_entropy_pool_size_bits",
        Gauge,
        "Bits of entropy pool.",
        size,
    );
    Ok(())
}

/// Open files: `allocated free maximum`.
pub(super) fn write_filefd(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let text = tree.text("proc/sys/fs/file-nr").ok_or(NoData)?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    let [allocated, _, maximum] = numbers[..] else {
        return Err(NoData);
    };
    out.single(
        "node_filefd_allocated",
        Gauge,
        "File descriptor statistics: allocated.",
        allocated,
    );
    out.single(
        "node_filefd_maximum",
        Gauge,
        "File descriptor statistics: maximum.",
        maximum,
    );
    Ok(())
}

/// Connections that the firewall tracks, with counts that each core keeps: hexadecimal columns under a heading.
pub(super) fn write_conntrack(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const FAMILIES: [(&str, &str, &str); 8] = [
        (
            "drop",
            "node_nf_conntrack_stat_drop",
            "Number of packets dropped due to conntrack failure.",
        ),
        (
            "early_drop",
            "node_nf_conntrack_stat_early_drop",
            "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
        ),
        (
            "found",
            "node_nf_conntrack_stat_found",
            "Number of searched entries which were successful.",
        ),
        (
            "ignore",
            "node_nf_conntrack_stat_ignore",
            "Number of packets seen which are already connected to a conntrack entry.",
        ),
        (
            "insert",
            "node_nf_conntrack_stat_insert",
            "Number of entries inserted into the list.",
        ),
        (
            "insert_failed",
            "node_nf_conntrack_stat_insert_failed",
            "Number of entries for which list insertion was attempted but failed.",
        ),
        (
            "invalid",
            "node_nf_conntrack_stat_invalid",
            "Number of packets seen which can not be tracked.",
        ),
        (
            "search_restart",
            "node_nf_conntrack_stat_search_restart",
            "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
        ),
    ];
    let at = "proc/sys/net/netfilter/nf_conntrack";
    let count = tree.number(&format!("{at}_count")).ok_or(NoData)?;
    out.single(
        "node_nf_conntrack_entries",
        Gauge,
        "Number of currently allocated flow entries for connection tracking.",
        count,
    );
    let limit = tree.number(&format!("{at}_max")).ok_or(NoData)?;
    out.single(
        "node_nf_conntrack_entries_limit",
        Gauge,
        "Maximum size of connection tracking table.",
        limit,
    );
    let mut lines = lines(tree.read_net("stat/nf_conntrack")?).map(fields);
    let names: Vec<&[u8]> = lines.next().ok_or(NoData)?.collect();
    let mut sums = vec![0_u64; names.len()];
    for line in lines {
        for (sum, field) in sums.iter_mut().zip(line) {
            let value = str::from_utf8(field)
                .ok()
                .and_then(|text| u64::from_str_radix(text, 16).ok());
            *sum = sum.saturating_add(value.unwrap_or_default());
        }
    }
    for (column, name, help) in FAMILIES {
        if let Some(place) = names.iter().position(|name| *name == column.as_bytes()) {
            out.single(name, Gauge, help, sums[place] as f64);
        }
    }
    Ok(())
}

/// Whether `SELinux` is enabled, and how strict it is: 1 enforcing, 0 permissive, -1 disabled.
#[expect(clippy::unnecessary_wraps, reason = "collectors have one shape")]
pub(super) fn write_selinux(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let enforce = tree.number("sys/fs/selinux/enforce");
    if let Some(mode) = enforce {
        let config = tree.text("etc/selinux/config").unwrap_or_default();
        let configured = config
            .lines()
            .find_map(|line| line.trim().strip_prefix("SELINUX="));
        let configured = match configured.map(str::trim) {
            Some("enforcing") => 1.0,
            Some("permissive") => 0.0,
            _ => -1.0,
        };
        out.single(
            "node_selinux_config_mode",
            Gauge,
            "Configured SELinux enforcement mode",
            configured,
        );
        out.single(
            "node_selinux_current_mode",
            Gauge,
            "Current SELinux enforcement mode",
            mode,
        );
    }
    let enabled = f64::from(u8::from(enforce.is_some()));
    out.single(
        "node_selinux_enabled",
        Gauge,
        "SELinux is enabled, 1 is true, 0 is false",
        enabled,
    );
    Ok(())
}
