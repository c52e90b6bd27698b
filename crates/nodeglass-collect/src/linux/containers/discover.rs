//! Finds the control groups that are containers: a walk through one tree, directories only.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, statat};

use crate::linux::cgroup_path::container_at;

/// Deeper trees are those of containers themselves, which are not walked into, or broken ones.
const DEEPEST: usize = 12;

/// Directories looked into at most: a host with more groups than this that are no containers has other worries.
const MOST_DIRECTORIES: usize = 20_000;

/// Room for the entries of a group's directory, which has some sixty files, in one call.
const DIRECTORY_BUFFER: usize = 16 * 1024;

/// Paths of the containers' groups under `tree` (`/docker/3f1c…`), sorted. What vanishes during the walk is not there.
///
/// # Errors
/// The tree itself can't be opened.
pub(super) fn discover(tree: &Path) -> io::Result<Vec<String>> {
    let root: OwnedFd = File::open(tree)?.into();
    let mut found = Vec::new();
    let mut open_ones = vec![(String::new(), 0)];
    let mut buffer = Vec::with_capacity(DIRECTORY_BUFFER);
    let mut looked_at = 0;
    while let Some((path, depth)) = open_ones.pop() {
        looked_at += 1;
        if looked_at > MOST_DIRECTORIES {
            break;
        }
        let inside = path.trim_start_matches('/');
        let name = if inside.is_empty() { "." } else { inside };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(directory) = openat(&root, name, flags, Mode::empty()) else {
            continue;
        };
        let mut entries = RawDir::new(&directory, buffer.spare_capacity_mut());
        while let Some(Ok(entry)) = entries.next() {
            if !matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                continue;
            }
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            let child = format!("{path}/{name}");
            if container_at(&child).is_some() {
                found.push(child);
            } else if depth < DEEPEST && has_children(&directory, name) {
                open_ones.push((child, depth + 1));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a directory may have others in it: each adds a link to its own two. File systems that do not count say 1.
/// To ask costs a fraction of looking, and most groups have none.
fn has_children(parent: &OwnedFd, name: &str) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|status| {
        FileType::from_raw_mode(status.st_mode) == FileType::Directory && status.st_nlink != 2
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn containers_are_found_and_not_walked_into() {
        let directory = tempfile::tempdir().unwrap();
        let id = "a".repeat(64);
        for path in [
            format!("docker/{id}/docker/{id}"),
            format!("system.slice/docker-{id}.scope"),
            "system.slice/cron.service".to_owned(),
            "lxc.payload.web/system.slice/cron.service".to_owned(),
            "lxc.monitor.web".to_owned(),
        ] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        fs::write(directory.path().join("lxc.payload.file"), "no directory").unwrap();
        let found = discover(directory.path()).unwrap();
        assert_eq!(
            found,
            [
                format!("/docker/{id}"),
                "/lxc.payload.web".to_owned(),
                format!("/system.slice/docker-{id}.scope")
            ]
        );
        assert!(discover(&directory.path().join("absent")).is_err());
    }

    #[test]
    fn the_walk_ends_at_a_depth() {
        let directory = tempfile::tempdir().unwrap();
        let deep = |levels: usize| directory.path().join(format!("{}lxc/web", "d/".repeat(levels)));
        fs::create_dir_all(deep(DEEPEST)).unwrap();
        assert_eq!(discover(directory.path()).unwrap().len(), 0);
        fs::create_dir_all(deep(DEEPEST - 1)).unwrap();
        assert_eq!(discover(directory.path()).unwrap().len(), 1);
    }
}
