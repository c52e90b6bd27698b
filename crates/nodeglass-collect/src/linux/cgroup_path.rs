//! What the path of a control group says: whose container it is, and which systemd unit. Pure; nothing is read.

/// A process's control group ended, but the process is still in it: the kernel writes so behind the path.
const DELETED: &str = " (deleted)";

/// Hexadecimal digits in the identity that Docker, Podman and containerd give a container.
const ID_DIGITS: usize = 64;

/// Runtimes whose control groups carry the identity in their own name, with the prefix that stands before it.
const NAMED_GROUPS: [(&str, &str); 7] = [
    ("docker-", "docker"),
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("cri-o-", "cri-o"),
];

/// Runtimes whose control groups are named by the identity alone, with a group that they lie in.
const NAMED_PARENTS: [(&str, &str); 6] = [
    ("docker", "docker"),
    ("ecs", "docker"),
    ("libpod_parent", "podman"),
    ("k8s.io", "containerd"),
    ("default", "containerd"),
    ("kubepods", "kubernetes"),
];

/// A container whose path tells its identity but not its runtime: one with a control group of its owner's choice.
const UNKNOWN_RUNTIME: &str = "oci";

/// Units that processes live in; slices only hold other units.
const UNIT_SUFFIXES: [&str; 5] = [".service", ".scope", ".mount", ".swap", ".socket"];

/// The container that a control group is, or lies in: its runtime and the runtime's identity of it, as the path
/// writes it (systemd's `\x2d` and the like are left as they are). Of nested containers it is the outermost, the one
/// that this host runs. `None` for a control group outside every container, and for the monitors beside them.
pub(super) fn container_of(cgroup_path: &str) -> Option<(&'static str, &str)> {
    container_and_end(cgroup_path).map(|(runtime, id, _)| (runtime, id))
}

/// As [`container_of`], and only for the control group that is the container itself.
pub(super) fn container_at(cgroup_path: &str) -> Option<(&'static str, &str)> {
    let (runtime, id, end) = container_and_end(cgroup_path)?;
    cgroup_path[end..]
        .trim_matches('/')
        .is_empty()
        .then_some((runtime, id))
}

/// The systemd unit that a control group belongs to: the innermost one. `None` outside all units.
pub(super) fn unit_of(cgroup_path: &str) -> Option<&str> {
    let path = cgroup_path.strip_suffix(DELETED).unwrap_or(cgroup_path);
    path.rsplit('/').find(|group| {
        UNIT_SUFFIXES
            .iter()
            .any(|suffix| group.len() > suffix.len() && group.ends_with(suffix))
    })
}

/// The control group of a process, out of its `/proc/PID/cgroup`: the one of version 2, or systemd's, or the first
/// of version 1 that is not the root, where these are it. `None` for an empty file and for paths that are no UTF-8.
pub(super) fn path_of_process(proc_cgroup: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(proc_cgroup).ok()?;
    let groups = || text.lines().filter_map(split_line);
    let rank = |controllers: &str| match controllers {
        "" => 0,
        "name=systemd" => 1,
        _ => 2,
    };
    groups()
        .filter(|(_, path)| *path != "/")
        .min_by_key(|(controllers, _)| rank(controllers))
        .or_else(|| groups().next())
        .map(|(_, path)| path)
}

/// A line of `/proc/PID/cgroup`, `number:controllers:path`: the last two. Version 2 names no controllers.
pub(super) fn split_line(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    Some((controllers, path.strip_suffix(DELETED).unwrap_or(path)))
}

/// Runtime, identity, and where in the path the container's own group ends.
fn container_and_end(path: &str) -> Option<(&'static str, &str, usize)> {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    let mut end = 0;
    let mut before = None;
    for group in path.split('/') {
        end += group.len();
        if let Some((runtime, id)) = named_group(group).or_else(|| child_group(&path[..end], before, group)) {
            return Some((runtime, id, end));
        }
        end += 1;
        before = Some(group);
    }
    None
}

/// A group whose own name tells everything: `docker-<id>.scope`, `lxc.payload.web`, `systemd-nspawn@web.service`.
fn named_group(group: &str) -> Option<(&'static str, &str)> {
    let not_empty = |id: &&str| !id.is_empty();
    if let Some(name) = group.strip_prefix("lxc.payload.").filter(not_empty) {
        return Some(("lxc", name));
    }
    if let Some(name) = group
        .strip_prefix("systemd-nspawn@")
        .and_then(|rest| rest.strip_suffix(".service"))
        .filter(not_empty)
    {
        return Some(("systemd-nspawn", name));
    }
    if let Some(name) = group
        .strip_prefix("machine-")
        .and_then(|rest| rest.strip_suffix(".scope"))
        .filter(not_empty)
    {
        let runtime = if name.starts_with(r"qemu\x2d") || name.starts_with(r"lxc\x2d") {
            "libvirt"
        } else {
            "systemd-nspawn"
        };
        return Some((runtime, name));
    }
    // Without systemd's consent containerd makes one group: `kubepods-pod12.slice:cri-containerd:<id>`.
    if let Some((_, rest)) = group.split_once(":cri-containerd:") {
        return is_id(rest).then_some(("containerd", rest));
    }
    let bare = group.strip_suffix(".scope").unwrap_or(group);
    NAMED_GROUPS.iter().find_map(|(prefix, runtime)| {
        let id = bare.strip_prefix(prefix)?;
        is_id(id).then_some((*runtime, id))
    })
}

/// A group that only the ones it lies in explain: `docker/<id>`, `kubepods/burstable/pod12/<id>`, `lxc/web`.
/// `path` ends with the group.
fn child_group<'a>(path: &str, before: Option<&str>, group: &'a str) -> Option<(&'static str, &'a str)> {
    if matches!(before, Some("lxc" | "lxc.payload")) && !group.is_empty() {
        return Some(("lxc", group));
    }
    if !is_id(group) {
        return None;
    }
    let runtime = path.split('/').find_map(|parent| {
        let parent = parent
            .split(['.', '-'])
            .next()
            .filter(|first| *first == "kubepods")
            .unwrap_or(parent);
        NAMED_PARENTS.iter().find(|(name, _)| *name == parent)
    });
    Some((runtime.map_or(UNKNOWN_RUNTIME, |(_, runtime)| runtime), group))
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
