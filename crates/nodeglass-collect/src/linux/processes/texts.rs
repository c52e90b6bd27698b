//! What describes a process: command line, user, control group, unit, container. Read for the processes that are
//! shown, and kept.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nodeglass_model::sample::ContainerMetrics;
use rustix::fs::{AtFlags, statat};

use super::stat::{Name, Stat};
use super::table::{PidPath, open_file};
use super::users::Users;
use crate::command_line::CommandLineRules;
use crate::linux::cgroup_path::{container_of, path_of_process, unit_of};
use crate::linux::containers::name_of_id;
use crate::linux::host_root::HostRoot;

/// A process may change its command line, its user and its control group at any time; it rarely does.
const LASTS: Duration = Duration::from_mins(1);

/// As much of a command line is looked at: the secrets in it are hidden before it is cut to what is kept.
const COMMAND_BYTES: usize = 4 * 1024;

/// What describes one process.
#[derive(Debug)]
pub(crate) struct Texts {
    /// The program's short name.
    pub name: String,
    /// The command line, as far as it may be shown.
    pub command: String,
    /// Who runs it; the number where it has no name.
    pub user: String,
    /// The systemd unit.
    pub unit: String,
    /// The control group.
    pub cgroup: String,
    /// The container's identity, and its name as far as the identity tells it.
    container: Option<(String, String)>,
    named: Name,
    read_at: Instant,
}

impl Texts {
    /// The name of the process's container: as this sample has it, or else as far as the identity tells it. Empty
    /// outside containers.
    pub(super) fn container_name(&self, containers: &[ContainerMetrics]) -> String {
        let Some((id, name)) = &self.container else {
            return String::new();
        };
        let known = containers.iter().find(|container| container.id == *id);
        known.map_or(name, |container| &container.name).clone()
    }

    /// Whether they still hold: another name is another program.
    pub(super) fn are_fresh(&self, stat: &Stat, now: Instant) -> bool {
        self.named == stat.name && now.saturating_duration_since(self.read_at) < LASTS
    }
}

/// Reads what describes processes.
pub(super) struct TextReader {
    users: Users,
    rules: CommandLineRules,
    buffer: Vec<u8>,
}

impl TextReader {
    pub(super) fn new(root: &HostRoot, rules: CommandLineRules) -> Self {
        Self {
            users: Users::new(root),
            rules,
            buffer: Vec::with_capacity(COMMAND_BYTES),
        }
    }

    /// Everything about one process; what can't be read is empty.
    pub(super) fn read(&mut self, directory: &OwnedFd, pid: u32, stat: &Stat, now: Instant) -> Texts {
        let command = if stat.is_kernel || !self.rules.are_shown() {
            String::new()
        } else {
            self.read_file(directory, pid, "cmdline");
            self.rules.show(&self.buffer)
        };
        let user = PidPath::new(pid)
            .directory()
            .and_then(|path| statat(directory, path, AtFlags::empty()).ok())
            .map_or_else(String::new, |status| self.users.name(status.st_uid, now));
        self.read_file(directory, pid, "cgroup");
        let cgroup = path_of_process(&self.buffer).unwrap_or_default();
        Texts {
            name: stat.name.to_text(),
            command,
            user,
            unit: unit_of(cgroup).unwrap_or_default().to_owned(),
            container: container_of(cgroup).map(|(runtime, id)| (id.to_owned(), name_of_id(runtime, id))),
            cgroup: cgroup.to_owned(),
            named: stat.name,
            read_at: now,
        }
    }

    /// The beginning of a file, into the buffer; empty where it can't be read.
    fn read_file(&mut self, directory: &OwnedFd, pid: u32, name: &str) {
        self.buffer.clear();
        if let Some(file) = open_file(directory, pid, name) {
            fill(file, &mut self.buffer);
        }
    }
}

fn fill(file: File, buffer: &mut Vec<u8>) {
    if file.take(COMMAND_BYTES as u64).read_to_end(buffer).is_err() {
        buffer.clear();
    }
}
