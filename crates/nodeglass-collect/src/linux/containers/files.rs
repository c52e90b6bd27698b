//! The files of one control group: kept open while there is room, opened each time beyond that.

use std::fs::File;
use std::path::PathBuf;

use super::layout::{Layout, Version};
use super::reading::{Limits, Reading, Source};
use super::{v1, v2};
use crate::linux::host_root::HostRoot;
use crate::linux::proc_file::read_whole;

/// Descriptors kept for all groups together, a quarter of what a process may have by default. Eighty containers fit;
/// the files of those beyond are opened each time, at twice the cost.
pub(in crate::linux) const MOST_KEPT: usize = 512;

/// Where the files are and how many descriptors may still be kept: one for all groups.
pub(in crate::linux) struct FileAccess {
    root: HostRoot,
    readings: Vec<(String, &'static Source<Reading>)>,
    limits: Vec<(String, &'static Source<Limits>)>,
    room: usize,
    buffer: Vec<u8>,
}

/// The open files of one group, in the order of the readings.
#[derive(Default)]
pub(in crate::linux) struct GroupFiles {
    kept: Vec<Option<File>>,
}

impl FileAccess {
    pub(in crate::linux) fn new(root: &HostRoot, layout: &Layout) -> Self {
        Self {
            root: root.clone(),
            readings: sources(layout, v1::READINGS, v2::READINGS),
            limits: sources(layout, v1::LIMITS, v2::LIMITS),
            room: MOST_KEPT,
            buffer: Vec::new(),
        }
    }

    /// Reads a group now. What can't be read is absent; all of it is where the group has gone.
    pub(in crate::linux) fn read(&mut self, path: &str, files: &mut GroupFiles) -> Reading {
        let mut reading = Reading::default();
        files.kept.resize_with(self.readings.len(), || None);
        for ((directory, source), kept) in self.readings.iter().zip(&mut files.kept) {
            if let Some(open) = kept {
                if let Ok(length) = read_whole(open, &mut self.buffer) {
                    (source.parse)(&self.buffer[..length], &mut reading);
                    continue;
                }
                // The group of the descriptor is gone; one made anew at the same path is another.
                *kept = None;
                self.room += 1;
            }
            let Ok(opened) = File::open(place(&self.root, directory, path, source.file)) else {
                continue;
            };
            let Ok(length) = read_whole(&opened, &mut self.buffer) else {
                continue;
            };
            (source.parse)(&self.buffer[..length], &mut reading);
            if self.room > 0 {
                self.room -= 1;
                *kept = Some(opened);
            }
        }
        reading
    }

    /// Reads what a group may use. Limits change seldom, so that their files are not kept open.
    pub(in crate::linux) fn read_limits(&mut self, path: &str) -> Limits {
        let mut limits = Limits::default();
        for (directory, source) in &self.limits {
            if let Ok(file) = File::open(place(&self.root, directory, path, source.file))
                && let Ok(length) = read_whole(&file, &mut self.buffer)
            {
                (source.parse)(&self.buffer[..length], &mut limits);
            }
        }
        limits
    }

    /// Makes room for others: the group's files are about to be dropped.
    pub(in crate::linux) fn close(&mut self, files: &GroupFiles) {
        self.room += files.kept.iter().flatten().count();
    }
}

fn place(root: &HostRoot, directory: &str, group: &str, file: &str) -> PathBuf {
    root.path(&format!("{directory}{group}/{file}"))
}

/// The files that there are, with the directory of their tree.
fn sources<Into>(
    layout: &Layout,
    of_v1: &'static [Source<Into>],
    of_v2: &'static [Source<Into>],
) -> Vec<(String, &'static Source<Into>)> {
    let placed = |source: &'static Source<Into>, version| {
        let tree = layout
            .tree(source.resource)
            .filter(|tree| tree.version == version)?;
        Some((tree.directory.clone(), source))
    };
    let v1 = of_v1.iter().filter_map(|source| placed(source, Version::V1));
    v1.chain(of_v2.iter().filter_map(|source| placed(source, Version::V2)))
        .collect()
}
