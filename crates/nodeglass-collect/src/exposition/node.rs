//! `node_*`: the series of `node_exporter` 1.5 with its names, labels, types and default filters, read from `/proc` and
//! `/sys` when they are asked for, so that dashboards and alerts made for it work unchanged.
//!
//! Its default collectors are covered but for these:
//!
//! | left out | why |
//! |---|---|
//! | `bcache`, `btrfs`, `xfs`, `zfs`, `tapestats`, `ipvs`, `fibrechannel`, `infiniband`, `nfsd` | hardware and file systems of few hosts; each is a large table of its own |
//! | `textfile` | shows files that other programs write; there is no directory set for them |
//! | `systemd` (on by default in Debian only) | `nodeglass_systemd_*` has units by state |
//! | `go_*`, `process_*`, `promhttp_*`, `node_exporter_build_info` | the exporter's own; ours is `nodeglass_build_info` |

mod cpu;
mod disk;
mod filesystem;
mod hwmon;
mod identity;
mod kernel;
mod memory;
mod network;
mod nfs;
mod power;
mod protocols;
mod space;
mod storage;
#[cfg(test)]
mod tests;
mod tree;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::text::Exposition;
use super::text::FamilyKind::Gauge;
use crate::linux::host_root::HostRoot;
use crate::privacy::Privacy;
use cpu::CpuTimes;
use filesystem::FileSystems;
use tree::Tree;

/// A collector found nothing, or could not read what it needs.
#[derive(Debug)]
struct NoData;

type Outcome = Result<(), NoData>;

impl From<io::Error> for NoData {
    fn from(_: io::Error) -> Self {
        Self
    }
}

fn found(anything: bool) -> Outcome {
    if anything { Ok(()) } else { Err(NoData) }
}

/// Reads a Linux host and writes it as `node_exporter` would.
pub struct NodeReader {
    tree: Tree,
    cpu: CpuTimes,
    filesystems: FileSystems,
}

type Write = fn(&mut Tree, &mut Exposition) -> Outcome;

/// Collectors that need nothing but the host's files, in the order of their names.
const COLLECTORS: [(&str, Write); 29] = [
    ("arp", network::write_arp),
    ("bonding", network::write_bonding),
    ("conntrack", kernel::write_conntrack),
    ("cpufreq", cpu::write_cpufreq),
    ("diskstats", disk::write_diskstats),
    ("dmi", identity::write_dmi),
    ("edac", storage::write_edac),
    ("entropy", kernel::write_entropy),
    ("filefd", kernel::write_filefd),
    ("hwmon", hwmon::write),
    ("loadavg", kernel::write_loadavg),
    ("mdadm", storage::write_mdadm),
    ("meminfo", memory::write_meminfo),
    ("netclass", network::write_netclass),
    ("netdev", network::write_netdev),
    ("netstat", protocols::write_netstat),
    ("nfs", nfs::write),
    ("nvme", storage::write_nvme),
    ("os", identity::write_os),
    ("powersupplyclass", power::write_supplies),
    ("pressure", memory::write_pressure),
    ("rapl", power::write_rapl),
    ("schedstat", cpu::write_schedstat),
    ("selinux", kernel::write_selinux),
    ("sockstat", protocols::write_sockstat),
    ("softnet", cpu::write_softnet),
    ("stat", kernel::write_stat),
    ("thermal_zone", power::write_thermal),
    ("time", identity::write_time),
];
/// The rest of them, behind those that need something more.
const LATER: [(&str, Write); 4] = [
    ("timex", identity::write_timex),
    ("udp_queues", protocols::write_udp_queues),
    ("uname", identity::write_uname),
    ("vmstat", memory::write_vmstat),
];

impl NodeReader {
    /// Reads the host whose `/` is seen at `host_root`. A file system that takes longer than `deadline` to tell its
    /// space has `node_filesystem_device_error` 1 until it answers.
    /// What says who and where is shown as `privacy` has it.
    pub fn new(host_root: &Path, deadline: Duration, privacy: Privacy) -> Self {
        Self {
            tree: Tree::new(HostRoot::new(host_root), privacy),
            cpu: CpuTimes::default(),
            filesystems: FileSystems::new(deadline),
        }
    }

    /// Reads the host now. What can't be read is left out, and `node_scrape_collector_success` says so.
    ///
    /// It blocks: for some milliseconds, and for the deadline once for each file system that begins to hang.
    pub fn write(&mut self, out: &mut Exposition) {
        let Self {
            tree,
            cpu,
            filesystems,
        } = self;
        tree.begin();
        let mut scrapes = Vec::with_capacity(COLLECTORS.len() + LATER.len() + 2);
        let mut scrape = |name: &'static str, write: &mut dyn FnMut() -> Outcome| {
            let began = Instant::now();
            let success = write().is_ok();
            scrapes.push((name, began.elapsed(), success));
        };
        for (name, write) in COLLECTORS {
            scrape(name, &mut || write(tree, out));
        }
        scrape("cpu", &mut || cpu.write(tree, out));
        scrape("filesystem", &mut || filesystems.write(tree, out));
        for (name, write) in LATER {
            scrape(name, &mut || write(tree, out));
        }
        let mut durations = out.family(
            "node_scrape_collector_duration_seconds",
            Gauge,
            "node_exporter: Duration of a collector scrape.",
        );
        for (name, duration, _) in &scrapes {
            durations.series(&[("collector", name)], duration.as_secs_f64());
        }
        let mut successes = out.family(
            "node_scrape_collector_success",
            Gauge,
            "node_exporter: Whether a collector succeeded.",
        );
        for (name, _, success) in &scrapes {
            successes.series(&[("collector", name)], f64::from(u8::from(*success)));
        }
    }
}
