//! Where the controllers of control groups are mounted: version 2 in one tree, version 1 in a tree each, or both.
//!
//! Only `/sys/fs/cgroup` is looked at, where every distribution mounts them.

use crate::linux::host_root::HostRoot;

const MOUNTED_AT: &str = "sys/fs/cgroup";

/// What groups are measured and limited by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::linux) enum Resource {
    /// Shares and quotas of processor time.
    Cpu,
    /// Processor time spent; on version 2 a part of `Cpu`.
    CpuAccount,
    /// Which processors.
    CpuSet,
    Memory,
    Io,
    Pids,
}

/// The two interfaces of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::linux) enum Version {
    V1,
    V2,
}

/// The tree that holds a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::linux) struct Tree {
    pub(in crate::linux) version: Version,
    /// Relative to the host root: `sys/fs/cgroup/memory`.
    pub(in crate::linux) directory: String,
}

/// Where each resource is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::linux) struct Layout {
    trees: Vec<(Resource, Tree)>,
}

impl Resource {
    /// All of them; containers are looked for in the tree of the first that is mounted.
    const ALL: [Self; 6] = [
        Self::Memory,
        Self::CpuAccount,
        Self::Cpu,
        Self::Pids,
        Self::Io,
        Self::CpuSet,
    ];

    /// Directories that version 1 may have it in: controllers can be mounted together.
    fn directories_v1(self) -> &'static [&'static str] {
        match self {
            Self::Cpu => &["cpu", "cpu,cpuacct", "cpuacct,cpu"],
            Self::CpuAccount => &["cpuacct", "cpu,cpuacct", "cpuacct,cpu"],
            Self::CpuSet => &["cpuset"],
            Self::Memory => &["memory"],
            Self::Io => &["blkio"],
            Self::Pids => &["pids"],
        }
    }

    /// The controller's name on version 2.
    pub(in crate::linux) fn controller_v2(self) -> &'static str {
        match self {
            Self::Cpu | Self::CpuAccount => "cpu",
            Self::CpuSet => "cpuset",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Pids => "pids",
        }
    }

    /// Whether it is what version 1 calls `controller` in `/proc/PID/cgroup`.
    pub(in crate::linux) fn is_controller_v1(self, controller: &str) -> bool {
        self.directories_v1().first() == Some(&controller)
    }
}

impl Layout {
    /// How control groups are mounted; `None` if they are not.
    pub(in crate::linux) fn find(root: &HostRoot) -> Option<Self> {
        let trees: Vec<(Resource, Tree)> = if root.exists(&format!("{MOUNTED_AT}/cgroup.controllers")) {
            // Which controllers a group has is up to its parents: a file that is absent says so itself.
            let whole = |resource| (resource, Tree::new(Version::V2, MOUNTED_AT));
            Resource::ALL.into_iter().map(whole).collect()
        } else {
            let unified = format!("{MOUNTED_AT}/unified");
            let of_unified = root
                .read_text(&format!("{unified}/cgroup.controllers"))
                .unwrap_or_default();
            Resource::ALL
                .into_iter()
                .filter_map(|resource| {
                    let directories = resource.directories_v1().iter();
                    let tree = directories
                        .map(|name| format!("{MOUNTED_AT}/{name}"))
                        .find(|directory| root.exists(directory))
                        .map(|directory| Tree::new(Version::V1, &directory));
                    // In a hybrid each controller is in one of the two, whichever took it first.
                    let in_unified = of_unified
                        .split_whitespace()
                        .any(|name| name == resource.controller_v2());
                    let tree = tree.or_else(|| in_unified.then(|| Tree::new(Version::V2, &unified)));
                    Some((resource, tree?))
                })
                .collect()
        };
        (!trees.is_empty()).then_some(Self { trees })
    }

    /// The tree that holds a resource; `None` where nothing counts it.
    pub(in crate::linux) fn tree(&self, resource: Resource) -> Option<&Tree> {
        let (_, tree) = self.trees.iter().find(|(of, _)| *of == resource)?;
        Some(tree)
    }

    /// The tree in which containers are looked for: runtimes make a group in every one.
    pub(super) fn main_tree(&self) -> Option<&Tree> {
        self.trees.first().map(|(_, tree)| tree)
    }
}

impl Tree {
    fn new(version: Version, directory: &str) -> Self {
        Self {
            version,
            directory: directory.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn root_with(directories: &[&str], controllers: &[(&str, &str)]) -> (TempDir, HostRoot) {
        let directory = tempfile::tempdir().unwrap();
        for name in directories {
            fs::create_dir_all(directory.path().join(MOUNTED_AT).join(name)).unwrap();
        }
        for (file, text) in controllers {
            fs::write(directory.path().join(MOUNTED_AT).join(file), text).unwrap();
        }
        let root = HostRoot::new(directory.path());
        (directory, root)
    }

    #[test]
    fn version_two_is_one_tree() {
        let (_guard, root) = root_with(&["memory"], &[("cgroup.controllers", "cpu io memory pids\n")]);
        let layout = Layout::find(&root).unwrap();
        for resource in Resource::ALL {
            assert_eq!(layout.tree(resource), Some(&Tree::new(Version::V2, MOUNTED_AT)));
        }
    }

    #[test]
    fn version_one_may_mount_two_controllers_together() {
        let (_guard, root) = root_with(&["cpu,cpuacct", "memory", "systemd"], &[]);
        let layout = Layout::find(&root).unwrap();
        let together = Tree::new(Version::V1, "sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(layout.tree(Resource::Cpu), Some(&together));
        assert_eq!(layout.tree(Resource::CpuAccount), Some(&together));
        assert_eq!(layout.tree(Resource::Io), None);
        assert_eq!(layout.main_tree().unwrap().directory, "sys/fs/cgroup/memory");
    }

    #[test]
    fn a_hybrid_has_each_controller_in_one_of_the_two() {
        let (_guard, root) = root_with(
            &["memory", "unified"],
            &[("unified/cgroup.controllers", "io pids\n")],
        );
        let layout = Layout::find(&root).unwrap();
        assert_eq!(layout.tree(Resource::Memory).unwrap().version, Version::V1);
        assert_eq!(
            layout.tree(Resource::Pids).unwrap(),
            &Tree::new(Version::V2, "sys/fs/cgroup/unified")
        );
        assert_eq!(layout.tree(Resource::Cpu), None);
    }

    #[test]
    fn without_control_groups_there_is_no_layout() {
        let (_guard, root) = root_with(&[], &[]);
        assert_eq!(Layout::find(&root), None);
        let (_guard, root) = root_with(&["unified"], &[("unified/cgroup.controllers", "\n")]);
        assert_eq!(Layout::find(&root), None);
    }
}
