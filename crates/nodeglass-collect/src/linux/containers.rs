//! Containers: the control groups that runtimes make, measured by the kernel's counters and named by the runtimes.
//!
//! What a process's path says of its container is `cgroup_path.rs`'s; what the agent itself may use `own_limits.rs`'s.

mod derive;
mod discover;
pub(super) mod files;
mod http;
pub(super) mod layout;
mod names;
mod network;
pub(super) mod reading;
#[cfg(test)]
mod test_server;
mod v1;
mod v2;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nodeglass_model::sample::{CollectFailure, CollectorMetrics, ContainerMetrics, Sample};

use super::cgroup_path::{container_at, container_of};
use super::collector::{Collector, Moment};
use super::host_root::HostRoot;
use super::proc_file::ReadError;
use crate::config::CollectConfig;
use crate::gpu::GpuUses;
use derive::{Counters, derive_container};
use discover::discover;
use files::{FileAccess, GroupFiles};
use layout::Layout;
use names::Names;
use network::{Networks, Witness};
use reading::{BlockDevices, Limits, Reading};

/// Limits change by hand only, and the files that hold them are a third of all.
const LIMITS_EVERY: Duration = Duration::from_secs(30);

/// Digits of an identity that people use; they are unique on nearly every host.
const SHORT_ID: usize = 12;

/// One container that is known.
struct Container {
    runtime: &'static str,
    id: String,
    files: GroupFiles,
    limits: Limits,
    limits_read_at: Instant,
    witness: Option<Witness>,
    before: Option<Counters>,
}

/// Reads every container.
pub(super) struct ContainerCollector {
    /// `None` where no control groups are mounted.
    groups: Option<Groups>,
    names: Names,
    most: usize,
}

struct Groups {
    tree: PathBuf,
    access: FileAccess,
    networks: Networks,
    devices: BlockDevices,
    known: HashMap<String, Container>,
}

impl ContainerCollector {
    pub(super) fn new(root: &HostRoot, config: &CollectConfig) -> Self {
        let groups = Layout::find(root).and_then(|layout| {
            let tree = layout.main_tree()?.directory.clone();
            Some(Groups {
                access: FileAccess::new(root, &layout),
                networks: Networks::new(root, &tree),
                devices: BlockDevices::new(root),
                known: HashMap::new(),
                tree: root.path(&tree),
            })
        });
        Self {
            groups,
            names: Names::new(root, &config.container_sockets),
            most: config.max_containers,
        }
    }

    /// Fills in every container, and how many were left out. Waits for names until `until`.
    fn read_all(&mut self, sample: &mut Sample, now: Instant, until: Instant) {
        let Some(groups) = &mut self.groups else {
            return;
        };
        let paths = match groups.find(self.most, now) {
            Ok((paths, 0)) => paths,
            Ok((paths, left_out)) => {
                sample.collectors.push(CollectorMetrics {
                    collector: "containers".to_owned(),
                    devices_left_out: u32::try_from(left_out).ok(),
                    ..CollectorMetrics::default()
                });
                paths
            }
            Err(error) => {
                return fail(sample, format!("{}: {error}", groups.tree.display()));
            }
        };
        let asked = groups
            .known
            .values()
            .filter(|container| has_daemon(container.runtime));
        self.names
            .start(asked.map(|container| container.id.as_str()), now);
        sample.containers = paths.iter().filter_map(|path| groups.read(path, now)).collect();
        for reason in self.names.finish(now, until) {
            fail(sample, reason);
        }
        for container in &mut sample.containers {
            self.names.fill_in(container);
        }
        make_unique(&mut sample.containers);
        name_processes(sample);
    }
}

impl Collector for ContainerCollector {
    fn read(&mut self, _sample: &mut Sample, _moment: &Moment) -> Result<(), ReadError> {
        Ok(())
    }

    /// Last of all, since containers give their names to the processes in them.
    fn finish(&mut self, sample: &mut Sample, moment: &Moment, _gpu: &GpuUses) {
        if moment.is_full() {
            self.read_all(sample, moment.now, moment.until);
        }
    }
}

impl Groups {
    /// The paths of the containers to read, and how many there are besides. Forgets those that have ended.
    fn find(&mut self, most: usize, now: Instant) -> std::io::Result<(Vec<String>, usize)> {
        let mut paths = discover(&self.tree)?;
        let there: HashSet<&str> = paths.iter().map(String::as_str).collect();
        let ended: Vec<String> = self
            .known
            .keys()
            .filter(|path| !there.contains(path.as_str()))
            .cloned()
            .collect();
        for container in ended
            .iter()
            .filter_map(|path| self.known.remove(path))
            .collect::<Vec<_>>()
        {
            self.access.close(&container.files);
        }
        // Those that are shown already stay, or they would come and go with every new one.
        let mut room = most.saturating_sub(self.known.len());
        let found = paths.len();
        paths.retain(|path| {
            if self.known.contains_key(path) {
                return true;
            }
            let Some((runtime, id)) = container_at(path).filter(|_| room > 0) else {
                return false;
            };
            room -= 1;
            let container = Container {
                runtime,
                id: id.to_owned(),
                files: GroupFiles::default(),
                limits: self.access.read_limits(path),
                limits_read_at: now,
                witness: None,
                before: None,
            };
            self.known.insert(path.clone(), container);
            true
        });
        let left_out = found - paths.len();
        Ok((paths, left_out))
    }

    fn read(&mut self, path: &str, now: Instant) -> Option<ContainerMetrics> {
        let container = self.known.get_mut(path)?;
        if now.saturating_duration_since(container.limits_read_at) >= LIMITS_EVERY {
            container.limits = self.access.read_limits(path);
            container.limits_read_at = now;
        }
        let reading = self.access.read(path, &mut container.files);
        // The group vanished after it was found.
        if reading == Reading::default() {
            return None;
        }
        let moment = Counters {
            at: now,
            io: reading.io.as_deref().map(|devices| self.devices.sum(devices)),
            traffic: self.networks.read(path, &mut container.witness),
            reading,
        };
        let metrics = derive_container(container.before.as_ref(), &moment, &container.limits);
        container.before = Some(moment);
        Some(ContainerMetrics {
            id: container.id.clone(),
            runtime: container.runtime.to_owned(),
            cgroup: path.to_owned(),
            ..metrics
        })
    }
}

/// Whether a container of this runtime may be known to Docker or Podman.
fn has_daemon(runtime: &str) -> bool {
    matches!(runtime, "docker" | "podman" | "kubernetes" | "oci")
}

impl Names {
    /// Fills in what the daemons know, or else what the path says.
    fn fill_in(&self, container: &mut ContainerMetrics) {
        let named = self.named(&container.id);
        let name = named.and_then(|named| named.name.clone());
        container.name = name.unwrap_or_else(|| name_of_id(&container.runtime, &container.id));
        if let Some(named) = named {
            container.image = named.image.clone().unwrap_or_default();
            if container.runtime == "oci" {
                named.runtime.clone_into(&mut container.runtime);
            }
        }
    }
}

/// A name out of an identity: names are kept, systemd's escapes undone, and hashes cut as people cut them.
pub(super) fn name_of_id(runtime: &str, id: &str) -> String {
    match runtime {
        "lxc" => id.to_owned(),
        "systemd-nspawn" | "libvirt" => unescape(id),
        _ => short(id).to_owned(),
    }
}

fn short(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// As long as `\x2d`.
const ESCAPE_LENGTH: usize = 4;

/// Undoes systemd's escapes of characters that unit names can't have: `\x2d` is a hyphen.
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = rest.strip_prefix(br"\x").and_then(|rest| rest.first_chunk::<2>());
        let byte = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() {
            &rest[ESCAPE_LENGTH..]
        } else {
            after
        };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Names are labels: where two containers have the same, each gets the start of its identity, and what still clashes
/// its runtime and its place among those.
fn make_unique(containers: &mut [ContainerMetrics]) {
    tell_apart(containers, |container, _| {
        format!("{}-{}", container.name, short(&container.id))
    });
    tell_apart(containers, |container, _| {
        format!("{}-{}", container.name, container.runtime)
    });
    tell_apart(containers, |container, place| {
        format!("{}-{place}", container.name)
    });
}

fn tell_apart(containers: &mut [ContainerMetrics], rename: impl Fn(&ContainerMetrics, usize) -> String) {
    let mut count: HashMap<String, usize> = HashMap::new();
    for container in containers.iter() {
        *count.entry(container.name.clone()).or_default() += 1;
    }
    for (place, container) in containers.iter_mut().enumerate() {
        if count.get(&container.name).is_some_and(|count| *count > 1) {
            container.name = rename(container, place + 1);
        }
    }
}

/// Gives the listed processes the names of their containers, in place of identities.
fn name_processes(sample: &mut Sample) {
    let names: HashMap<&str, &str> = sample
        .containers
        .iter()
        .map(|container| (container.id.as_str(), container.name.as_str()))
        .collect();
    for process in &mut sample.processes.top {
        if let Some((_, id)) = container_of(&process.cgroup)
            && let Some(name) = names.get(id)
        {
            (*name).clone_into(&mut process.container);
        }
    }
}

fn fail(sample: &mut Sample, reason: String) {
    sample.failures.push(CollectFailure {
        collector: "containers".to_owned(),
        reason,
    });
}

#[cfg(test)]
mod tests;
