//! Traffic of a container: `/proc/PID/net/dev` of one of its processes, where it has a network of its own.
//!
//! Processes are known by the numbers that the agent's own name space gives them: an agent in a container that watches
//! its host needs the host's process name space, and has no figures without it. Nothing is kept open: a descriptor
//! would keep the network of a container alive that has ended.

use std::fs;
use std::path::PathBuf;

use crate::linux::host_root::HostRoot;
use crate::linux::scan::{fields, lines, take_numbers};

/// Columns of `/proc/net/dev` up to the bytes sent.
const COLUMNS: usize = 9;
const RECEIVED: usize = 0;
const SENT: usize = 8;

/// Levels below a container's own group in which its processes are looked for: systemd and crun move them down.
const LEVELS: usize = 3;
/// Groups looked into for that.
const MOST_GROUPS: usize = 32;

/// Bytes of all interfaces but loopback since they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Traffic {
    /// The network that they are of: counters of another one are no continuation.
    pub(super) namespace: PathBuf,
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// The process through which a container's network is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Witness {
    pid: u64,
    namespace: PathBuf,
}

/// Finds and reads the networks of containers.
pub(super) struct Networks {
    root: HostRoot,
    tree: String,
    of_host: Option<PathBuf>,
}

impl Networks {
    /// `tree` is the directory, relative to the root, that the groups' paths begin in.
    pub(super) fn new(root: &HostRoot, tree: &str) -> Self {
        // Process 1 is the host's even where the agent's own network is another; without the right to look at it, an
        // agent on the host itself knows by its own.
        let own = || root.is_own().then(|| namespace_of(root, "self")).flatten();
        Self {
            of_host: namespace_of(root, "1").or_else(own),
            root: root.clone(),
            tree: tree.to_owned(),
        }
    }

    /// The traffic of a group's network; `None` if it is the host's or can't be told. `witness` is remembered between
    /// calls.
    pub(super) fn read(&self, path: &str, witness: &mut Option<Witness>) -> Option<Traffic> {
        let of_host = self.of_host.as_ref()?;
        let still_there = witness.as_ref().is_some_and(|known| {
            namespace_of(&self.root, &known.pid.to_string()).as_ref() == Some(&known.namespace)
        });
        if !still_there {
            *witness = self.find_witness(path);
        }
        let known = witness.as_ref().filter(|known| known.namespace != *of_host)?;
        let net_dev = fs::read(self.root.path(&format!("proc/{}/net/dev", known.pid))).ok()?;
        let (received, sent) = sum_traffic(&net_dev);
        Some(Traffic {
            namespace: known.namespace.clone(),
            received,
            sent,
        })
    }

    fn find_witness(&self, path: &str) -> Option<Witness> {
        let pid = self.find_process(path)?;
        let namespace = namespace_of(&self.root, &pid.to_string())?;
        Some(Witness { pid, namespace })
    }

    /// The first process of the group, or of the groups in it.
    fn find_process(&self, path: &str) -> Option<u64> {
        let mut groups = vec![(format!("{}{path}", self.tree), 0)];
        let mut at = 0;
        while let Some((group, level)) = groups.get(at).cloned() {
            at += 1;
            let members = self
                .root
                .read_text(&format!("{group}/cgroup.procs"))
                .unwrap_or_default();
            // Processes of other name spaces are listed as 0.
            if let Some(pid) = members
                .lines()
                .filter_map(|line| line.parse().ok())
                .find(|pid| *pid != 0)
            {
                return Some(pid);
            }
            if level < LEVELS {
                for name in self.root.list(&group) {
                    let child = format!("{group}/{name}");
                    if groups.len() < MOST_GROUPS && self.root.path(&child).is_dir() {
                        groups.push((child, level + 1));
                    }
                }
            }
        }
        None
    }
}

/// The identity of a process's network; `None` if it has ended, or is not ours to look at.
fn namespace_of(root: &HostRoot, process: &str) -> Option<PathBuf> {
    fs::read_link(root.path(&format!("proc/{process}/ns/net"))).ok()
}

/// Bytes received and sent on all interfaces but loopback.
fn sum_traffic(net_dev: &[u8]) -> (u64, u64) {
    lines(net_dev)
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            if line[..colon].trim_ascii() == b"lo" {
                return None;
            }
            let columns: [u64; COLUMNS] = take_numbers(&mut fields(&line[colon + 1..]))?;
            Some((columns[RECEIVED], columns[SENT]))
        })
        .fold((0, 0), |sum, more| {
            (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1))
        })
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_file, write};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;

    const DEV: &str = "Inter-|\n face |bytes\n    lo: 7 1 0 0 0 0 0 0 7 1\n  eth0:100 1 0 0 0 0 0 0 30 1\n eth1: 5 1 0 0 0 0 0 0 6 1\n";

    fn process(root: &Path, pid: u32, namespace: &str) {
        let directory = root.join(format!("proc/{pid}"));
        create_dir_all(directory.join("ns")).unwrap();
        create_dir_all(directory.join("net")).unwrap();
        write(directory.join("net/dev"), DEV).unwrap();
        let _ = remove_file(directory.join("ns/net"));
        symlink(namespace, directory.join("ns/net")).unwrap();
    }

    fn group(root: &Path, path: &str, members: &str) {
        create_dir_all(root.join("tree").join(path)).unwrap();
        write(root.join("tree").join(path).join("cgroup.procs"), members).unwrap();
    }

    fn networks(root: &TempDir) -> Networks {
        Networks::new(&HostRoot::new(root.path()), "tree")
    }

    #[test]
    fn traffic_of_a_network_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        process(root.path(), 1, "net:[1]");
        process(root.path(), 50, "net:[2]");
        process(root.path(), 60, "net:[1]");
        group(root.path(), "web", "");
        group(root.path(), "web/init", "0\n50\n51\n");
        group(root.path(), "host", "60\n");
        let networks = networks(&root);
        let mut witness = None;
        let traffic = networks.read("/web", &mut witness).unwrap();
        assert_eq!((traffic.received, traffic.sent), (105, 36), "without loopback");
        assert_eq!(networks.read("/host", &mut None), None, "it shares the host's");
        assert_eq!(networks.read("/gone", &mut None), None);

        // The process ends, and its number goes to one elsewhere: another process of the group speaks for it.
        process(root.path(), 50, "net:[1]");
        process(root.path(), 51, "net:[2]");
        group(root.path(), "web/init", "51\n");
        assert_eq!(networks.read("/web", &mut witness), Some(traffic));
        assert_eq!(witness.unwrap().pid, 51);
    }

    #[test]
    fn without_a_look_at_the_host_nothing_is_told() {
        let root = tempfile::tempdir().unwrap();
        process(root.path(), 50, "net:[2]");
        group(root.path(), "web", "50\n");
        assert_eq!(networks(&root).read("/web", &mut None), None);
    }
}
