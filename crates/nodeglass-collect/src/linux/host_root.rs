//! Where the host's file system is seen from here, and the files whose place depends on that.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::is_own_root;

/// The prefix of every path that is read.
#[derive(Debug, Clone)]
pub(crate) struct HostRoot(PathBuf);

impl HostRoot {
    pub(crate) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// Whether this is the file system that the process itself sees.
    pub(crate) fn is_own(&self) -> bool {
        is_own_root(&self.0)
    }

    /// `relative` (`proc/stat`) under the root.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }

    /// A path of the host (`/home`) as it is seen from here.
    pub(crate) fn host_path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// A file of the host's network namespace (`dev`). `/proc/net` is a link to the reader's own namespace, so a
    /// container asks process 1 for its namespace.
    pub(crate) fn net_file(&self, name: &str) -> PathBuf {
        let of_init = self.path("proc/1/net").join(name);
        if !self.is_own() && fs::File::open(&of_init).is_ok() {
            of_init
        } else {
            self.path("proc/net").join(name)
        }
    }

    /// A small file's text without white space around it; `None` if it is absent, unreadable or empty.
    pub(crate) fn read_text(&self, relative: &str) -> Option<String> {
        let bytes = fs::read(self.path(relative)).ok()?;
        let text = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
        (!text.is_empty()).then_some(text)
    }

    /// A small file that holds one number; `None` if it does not.
    pub(crate) fn read_number(&self, relative: &str) -> Option<u64> {
        self.read_text(relative)?.parse().ok()
    }

    /// The names in a directory, sorted; none if it can't be read.
    pub(crate) fn list(&self, relative: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(relative)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether there is such a file or directory.
    pub(crate) fn exists(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }
}
