//! Agents and processes as rows, and their order.

use std::cmp::Ordering;

use serde::Deserialize;

use super::State;

/// An agent, as a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::top) struct Agent {
    pub(in crate::top) id: String,
    pub(in crate::top) is_connected: bool,
    /// Unix milliseconds.
    pub(in crate::top) updated_ms: Option<i64>,
    /// Percent, as the next two.
    pub(in crate::top) cpu: Option<f64>,
    pub(in crate::top) memory: Option<f64>,
    pub(in crate::top) disk: Option<f64>,
    /// Bytes per second, as the next.
    pub(in crate::top) received: Option<f64>,
    pub(in crate::top) sent: Option<f64>,
    pub(in crate::top) load: Option<f64>,
}

/// A process, as a row.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(in crate::top) struct Process {
    pub(in crate::top) pid: u32,
    pub(in crate::top) name: String,
    pub(in crate::top) command: String,
    pub(in crate::top) user: String,
    /// Percent of one core.
    pub(in crate::top) cpu_percent: Option<f64>,
    pub(in crate::top) memory_bytes: Option<f64>,
    pub(in crate::top) threads: Option<u32>,
    pub(in crate::top) read_bytes_per_sec: Option<f64>,
    pub(in crate::top) write_bytes_per_sec: Option<f64>,
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::top) enum Sort {
    Name,
    Cpu,
    Memory,
    Io,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Name, Self::Cpu, Self::Memory, Self::Io];

    /// Its name, of agents or of processes.
    pub(in crate::top) fn name(self, of_processes: bool) -> &'static str {
        match self {
            Self::Name if of_processes => "PID",
            Self::Name => "name",
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Io if of_processes => "disk I/O",
            Self::Io => "network",
        }
    }

    pub(super) fn next(self, step: isize) -> Self {
        let at = Self::ALL.iter().position(|one| *one == self).unwrap_or(0);
        let count = Self::ALL.len().cast_signed();
        Self::ALL[(at.cast_signed() + step).rem_euclid(count).cast_unsigned()]
    }
}

impl State {
    /// The agents that fit the filter, in order. The figures of one that is gone are of then, and compare with none of now.
    pub(in crate::top) fn shown_agents(&self) -> Vec<&Agent> {
        let mut shown: Vec<&Agent> = self.agents.iter().filter(|agent| self.fits(&agent.id)).collect();
        let key = |agent: &Agent| match self.sort {
            _ if !agent.is_connected => None,
            Sort::Name => None,
            Sort::Cpu => agent.cpu,
            Sort::Memory => agent.memory,
            Sort::Io => agent.received.zip(agent.sent).map(|(one, other)| one + other),
        };
        self.order(&mut shown, key, |one, other| one.id.cmp(&other.id));
        shown
    }

    /// The processes that fit the filter, in order.
    pub(in crate::top) fn shown_processes(&self) -> Vec<&Process> {
        let fits = |process: &&Process| {
            self.fits(&process.name) || self.fits(&process.command) || process.user == self.filter
        };
        let mut shown: Vec<&Process> = self.host.processes.iter().filter(fits).collect();
        let key = |process: &Process| match self.sort {
            Sort::Name => None,
            Sort::Cpu => process.cpu_percent,
            Sort::Memory => process.memory_bytes,
            Sort::Io => process.io(),
        };
        self.order(&mut shown, key, |one, other| one.pid.cmp(&other.pid));
        shown
    }

    /// Capitals and small letters are the same, as in htop.
    fn fits(&self, text: &str) -> bool {
        self.filter.is_empty() || text.to_lowercase().contains(&self.filter.to_lowercase())
    }

    /// By a figure, the most first, or by name, the first first; or the other way round. What has no figure is last in any
    /// case.
    fn order<T>(
        &self,
        rows: &mut [&T],
        key: impl Fn(&T) -> Option<f64>,
        by_name: impl Fn(&T, &T) -> Ordering,
    ) {
        let turned = |ordering: Ordering, is_turned: bool| {
            if is_turned { ordering.reverse() } else { ordering }
        };
        let is_by_name = self.sort == Sort::Name;
        rows.sort_by(|one, other| {
            let figures = match (key(one), key(other)) {
                (Some(one), Some(other)) => turned(other.total_cmp(&one), self.is_inverted),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            };
            figures.then_with(|| turned(by_name(one, other), is_by_name && self.is_inverted))
        });
    }
}
