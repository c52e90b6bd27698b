//! Whether the host is a container itself, and whose.

use std::time::Instant;

use crate::linux::cgroup_path::{container_of, path_of_process};
use crate::linux::host_root::HostRoot;
use crate::linux::own_limits::is_limited;

/// What a container calls itself, as systemd and the runtimes have agreed.
const MARK: &[u8] = b"container=";

/// Files that mean a runtime, the more telling first.
const MARKERS: [(&str, &str); 4] = [
    ("var/run/secrets/kubernetes.io", "kubernetes"),
    ("run/secrets/kubernetes.io", "kubernetes"),
    (".dockerenv", "docker"),
    ("run/.containerenv", "podman"),
];

/// The runtime of the container that the host is: `docker`, `podman`, `kubernetes`, `lxc`, `systemd-nspawn`, or what
/// it calls itself. `cgroup` where the agent is no container's but a control group limits it. `None` on a host.
pub(super) fn read_container(root: &HostRoot) -> Option<String> {
    let by_file = || {
        let (_, runtime) = MARKERS.iter().find(|(file, _)| root.exists(file))?;
        Some((*runtime).to_owned())
    };
    let by_systemd = || root.read_text("run/systemd/container");
    let by_init = || parse_environment(&std::fs::read(root.path("proc/1/environ")).ok()?);
    let by_group = || {
        let membership = std::fs::read(root.path("proc/1/cgroup")).ok()?;
        let (runtime, _) = container_of(path_of_process(&membership)?)?;
        Some(runtime.to_owned())
    };
    let by_limit = || (root.is_own() && is_limited(root, Instant::now())).then(|| "cgroup".to_owned());
    by_file()
        .or_else(by_systemd)
        .or_else(by_init)
        .or_else(by_group)
        .or_else(by_limit)
}

/// What process 1 was told that it runs in.
fn parse_environment(environ: &[u8]) -> Option<String> {
    let value = environ
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(MARK))?;
    let value = String::from_utf8_lossy(value.trim_ascii()).into_owned();
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;

    /// What a host with these files says.
    fn container_of_host(files: &[(&str, &str)]) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = directory.path().join(file);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, text).unwrap();
        }
        read_container(&HostRoot::new(directory.path()))
    }

    #[test]
    fn every_runtime_leaves_its_mark() {
        let group = ("proc/1/cgroup", "0::/init.scope\n");
        let id = "a".repeat(64);
        for (files, runtime) in [
            (vec![group], None),
            (vec![(".dockerenv", "")], Some("docker")),
            (
                vec![("run/.containerenv", "engine=\"podman-4.3.1\"\n")],
                Some("podman"),
            ),
            (vec![("run/systemd/container", "lxc\n")], Some("lxc")),
            (
                vec![("proc/1/environ", "PATH=/bin\0container=lxc\0TERM=linux\0")],
                Some("lxc"),
            ),
            (vec![("proc/1/environ", "PATH=/bin\0container=\0")], None),
            (
                vec![
                    (".dockerenv", ""),
                    ("run/secrets/kubernetes.io/serviceaccount/token", "x"),
                ],
                Some("kubernetes"),
            ),
            (
                vec![("proc/1/cgroup", &format!("4:memory:/docker/{id}\n0::/\n"))],
                Some("docker"),
            ),
        ] {
            assert_eq!(container_of_host(&files).as_deref(), runtime, "{files:?}");
        }
    }
}
