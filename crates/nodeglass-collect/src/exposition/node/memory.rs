//! Memory and waiting: `meminfo`, `vmstat` and `pressure`.

use super::tree::Tree;
use super::{Outcome, found};
use crate::exposition::text::Exposition;
use crate::exposition::text::FamilyKind::{Counter, Gauge, Untyped};
use crate::linux::scan::{fields, lines, parse_number};

const KIB: f64 = 1024.0;
const MICROSECONDS: f64 = 1e6;

/// Every line of `/proc/meminfo`: `Active(anon):  12 kB` is `node_memory_Active_anon_bytes`.
pub(super) fn write_meminfo(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let mut any = false;
    for line in lines(tree.read("proc/meminfo")?) {
        let mut fields = fields(line);
        let name = fields
            .next()
            .and_then(|name| str::from_utf8(name.strip_suffix(b":")?).ok());
        let (Some(name), Some(value)) = (name, fields.next().and_then(parse_number)) else {
            continue;
        };
        let (unit, factor) = match fields.next() {
            Some(b"kB") => ("_bytes", KIB),
            _ => ("", 1.0),
        };
        let name = format!("{}{unit}", name.replace('(', "_").replace(')', ""));
        any = true;
        out.single(
            &format!("node_memory_{name}"),
            Gauge,
            format_args!("Memory information field {name}."),
            value as f64 * factor,
        );
    }
    found(any)
}

/// The lines of `/proc/vmstat` that dashboards ask for; there are two hundred.
pub(super) fn write_vmstat(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    for line in lines(tree.read("proc/vmstat")?) {
        let wanted = [&b"oom_kill"[..], b"pgpg", b"pswp"]
            .iter()
            .any(|prefix| line.starts_with(prefix))
            || (line.starts_with(b"pg") && line.windows(5).any(|part| part == b"fault"));
        let mut fields = fields(line);
        if wanted
            && let Some(name) = fields.next().and_then(|name| str::from_utf8(name).ok())
            && let Some(value) = fields.next().and_then(parse_number)
        {
            out.single(
                &format!("node_vmstat_{name}"),
                Untyped,
                format_args!("/proc/vmstat information field {name}."),
                value as f64,
            );
        }
    }
    Ok(())
}

/// Time lost to waiting: `some avg10=0.00 ... total=12345`, in microseconds.
pub(super) fn write_pressure(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const FAMILIES: [(&str, &[u8], &str, &str); 5] = [
        (
            "cpu",
            b"some",
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time",
        ),
        (
            "io",
            b"full",
            "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion",
        ),
        (
            "io",
            b"some",
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
        ),
        (
            "memory",
            b"full",
            "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion",
        ),
        (
            "memory",
            b"some",
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory",
        ),
    ];
    for (resource, word, name, help) in FAMILIES {
        let total = lines(tree.read(&format!("proc/pressure/{resource}"))?)
            .filter(|line| line.starts_with(word))
            .find_map(|line| parse_number(fields(line).find_map(|field| field.strip_prefix(b"total="))?));
        if let Some(total) = total {
            out.single(name, Counter, help, total as f64 / MICROSECONDS);
        }
    }
    Ok(())
}
