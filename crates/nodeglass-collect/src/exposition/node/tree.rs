//! Files of a host at the time of a scrape: opened, read and closed again, as scrapes are rare.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::linux::host_root::HostRoot;
use crate::privacy::Privacy;

/// Most files fit, those of `/sys` always: they have a page at most.
const FIRST_SIZE: usize = 16 << 10;

/// A host's files, read into one buffer.
pub(super) struct Tree {
    pub(super) root: HostRoot,
    pub(super) privacy: Privacy,
    /// Where `/sys` is.
    attributes: PathBuf,
    buffer: Vec<u8>,
    /// `/proc/stat` of this scrape: two collectors need it, and it is long.
    stat: Option<Vec<u8>>,
}

impl Tree {
    pub(super) fn new(root: HostRoot, privacy: Privacy) -> Self {
        Self {
            attributes: root.path("sys"),
            root,
            privacy,
            buffer: Vec::new(),
            stat: None,
        }
    }

    /// Forgets what belongs to one scrape only.
    pub(super) fn begin(&mut self) {
        self.stat = None;
    }

    /// The content of `relative` (`proc/meminfo`) now.
    pub(super) fn read(&mut self, relative: &str) -> io::Result<&[u8]> {
        let path = self.root.path(relative);
        self.read_path(&path)
    }

    /// The content of a file of the host's network namespace: `dev`.
    pub(super) fn read_net(&mut self, name: &str) -> io::Result<&[u8]> {
        let path = self.root.net_file(name);
        self.read_path(&path)
    }

    /// `/proc/stat`, read once a scrape.
    pub(super) fn stat(&mut self) -> io::Result<&[u8]> {
        if self.stat.is_none() {
            self.stat = Some(self.read("proc/stat")?.to_vec());
        }
        Ok(self.stat.as_deref().unwrap_or_default())
    }

    fn read_path(&mut self, path: &Path) -> io::Result<&[u8]> {
        // A file of `/sys` comes whole with the first reading, and there are hundreds of them.
        let is_whole = path.starts_with(&self.attributes);
        let mut file = File::open(path)?;
        let mut length = 0;
        loop {
            if length == self.buffer.len() {
                self.buffer.resize((length * 2).max(FIRST_SIZE), 0);
            }
            let more = file.read(&mut self.buffer[length..])?;
            length += more;
            if more == 0 || (is_whole && length < self.buffer.len()) {
                return Ok(&self.buffer[..length]);
            }
        }
    }

    /// A small file's text without white space around it; `None` if it can't be read.
    pub(super) fn text(&mut self, relative: &str) -> Option<String> {
        let bytes = self.read(relative).ok()?.trim_ascii();
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// A small file's number, decimal or `0x` and hexadecimal; `None` if it has none or can't be read.
    pub(super) fn number(&mut self, relative: &str) -> Option<f64> {
        let text = str::from_utf8(self.read(relative).ok()?.trim_ascii()).ok()?;
        let number = match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok()? as f64,
            None => text.parse().ok()?,
        };
        f64::is_finite(number).then_some(number)
    }

    /// The names in a directory, sorted.
    pub(super) fn list(&self, relative: &str) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(self.root.path(relative))?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// The numbers of the entries `prefix` + number of a directory, rising: `cpu` gives 0, 1 for `cpu0`, `cpu1`.
    pub(super) fn numbered(&self, relative: &str, prefix: &str) -> io::Result<Vec<u32>> {
        let names = self.list(relative)?;
        let mut numbers: Vec<u32> = names
            .iter()
            .filter_map(|name| name.strip_prefix(prefix)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}
