//! Whether the host is a container itself, and whose.

use std::time::Instant;

use crate::linux::cgroup_path::{container_of, path_of_process};
use crate::linux::host_root::HostRoot;
use crate::linux::own_limits::is_limited;

/// What a container calls itself, as systemd and the runtimes have agreed.
const MARK: &[u8] = b"container=";

/// The name spaces of the machine itself, which the kernel numbers the same everywhere.
const FIRST_NAMESPACES: [(&str, &str); 2] = [("pid", "pid:[4026531836]"), ("cgroup", "cgroup:[4026531835]")];

/// Files that mean a runtime, the more telling first. Virtual machines made from an image of Docker's have them too.
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
        if is_in_first_namespaces(root) {
            return None;
        }
        let (_, runtime) = MARKERS.iter().find(|(file, _)| root.exists(file))?;
        Some((*runtime).to_owned())
    };
    let by_systemd = || root.read_text("run/systemd/container");
    let by_init = || parse_environment(&std::fs::read(root.path("proc/1/environ")).ok()?);
    let by_group = || {
        let membership = std::fs::read(root.path(&format!("proc/{}/cgroup", witness(root)))).ok()?;
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

/// The process that tells where the host is: the agent's own, unless it watches another.
fn witness(root: &HostRoot) -> &'static str {
    if root.is_own() { "self" } else { "1" }
}

/// Whether processes of the host see all processes and all control groups of the machine: no runtime leaves it so.
fn is_in_first_namespaces(root: &HostRoot) -> bool {
    FIRST_NAMESPACES.iter().all(|(kind, first)| {
        let namespace = std::fs::read_link(root.path(&format!("proc/{}/ns/{kind}", witness(root))));
        namespace.is_ok_and(|namespace| namespace.as_os_str() == *first)
    })
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
    use std::os::unix::fs::symlink;

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
    fn marks_left_in_an_image_make_no_container() {
        let directory = tempfile::tempdir().unwrap();
        let namespaces = directory.path().join("proc/1/ns");
        create_dir_all(&namespaces).unwrap();
        write(directory.path().join(".dockerenv"), "").unwrap();
        for (kind, first) in FIRST_NAMESPACES {
            symlink(first, namespaces.join(kind)).unwrap();
        }
        let root = HostRoot::new(directory.path());
        assert_eq!(read_container(&root), None);
        std::fs::remove_file(namespaces.join("cgroup")).unwrap();
        symlink("cgroup:[4026532177]", namespaces.join("cgroup")).unwrap();
        assert_eq!(read_container(&root).as_deref(), Some("docker"));
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
