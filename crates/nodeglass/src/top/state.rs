//! What `top` shows, and what keys do to it.

use std::cmp::Ordering;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;
use serde_json::Value;

/// Which of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    /// All agents.
    Fleet,
    /// One of them.
    Host(String),
}

/// An agent, as a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) is_connected: bool,
    /// Unix milliseconds.
    pub(super) updated_ms: Option<i64>,
    /// Percent, as the next two.
    pub(super) cpu: Option<f64>,
    pub(super) memory: Option<f64>,
    pub(super) disk: Option<f64>,
    /// Bytes per second, as the next.
    pub(super) received: Option<f64>,
    pub(super) sent: Option<f64>,
    pub(super) load: Option<f64>,
}

/// A process, as a row.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) command: String,
    pub(super) user: String,
    /// Percent of one core.
    pub(super) cpu_percent: Option<f64>,
    pub(super) memory_bytes: Option<f64>,
    pub(super) threads: Option<u32>,
    pub(super) read_bytes_per_sec: Option<f64>,
    pub(super) write_bytes_per_sec: Option<f64>,
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Cpu,
    Memory,
    Io,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Name, Self::Cpu, Self::Memory, Self::Io];

    /// Its name, of agents or of processes.
    pub(super) fn name(self, of_processes: bool) -> &'static str {
        match self {
            Self::Name if of_processes => "PID",
            Self::Name => "name",
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Io if of_processes => "disk I/O",
            Self::Io => "network",
        }
    }

    fn next(self, step: isize) -> Self {
        let at = Self::ALL.iter().position(|one| *one == self).unwrap_or(0);
        let count = Self::ALL.len().cast_signed();
        Self::ALL[(at.cast_signed() + step).rem_euclid(count).cast_unsigned()]
    }
}

/// What keys mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// What help says.
    Commands,
    /// They are typed into the filter.
    Filter,
    /// Help is shown; any key ends it.
    Help,
    /// None is read any more.
    Over,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct State {
    pub(super) view: View,
    pub(super) agents: Vec<Agent>,
    pub(super) sample: Value,
    pub(super) processes: Vec<Process>,
    /// Percent, the oldest first.
    pub(super) cpu_history: Vec<Option<u64>>,
    pub(super) memory_history: Vec<Option<u64>>,
    pub(super) sort: Sort,
    pub(super) is_inverted: bool,
    /// What rows must have in them.
    pub(super) filter: String,
    pub(super) selected: usize,
    pub(super) is_paused: bool,
    pub(super) mode: Mode,
    /// Why nothing new comes.
    pub(super) problem: Option<String>,
    /// Esc ends a program that began with a host.
    began_with_host: bool,
    /// The agent to come back to.
    fleet_selected: usize,
}

impl State {
    pub(super) fn new(agent: Option<String>) -> Self {
        Self {
            began_with_host: agent.is_some(),
            view: agent.map_or(View::Fleet, View::Host),
            agents: Vec::new(),
            sample: Value::Null,
            processes: Vec::new(),
            cpu_history: Vec::new(),
            memory_history: Vec::new(),
            sort: Sort::Cpu,
            is_inverted: false,
            filter: String::new(),
            selected: 0,
            is_paused: false,
            mode: Mode::Commands,
            problem: None,
            fleet_selected: 0,
        }
    }

    /// The agents that fit the filter, in order.
    pub(super) fn shown_agents(&self) -> Vec<&Agent> {
        let mut shown: Vec<&Agent> = self
            .agents
            .iter()
            .filter(|agent| agent.id.contains(&self.filter))
            .collect();
        let key = |agent: &Agent| match self.sort {
            Sort::Name => None,
            Sort::Cpu => agent.cpu,
            Sort::Memory => agent.memory,
            Sort::Io => agent.received.zip(agent.sent).map(|(one, other)| one + other),
        };
        shown.sort_by(|one, other| {
            self.turned(most_first(key(one), key(other)))
                .then_with(|| one.id.cmp(&other.id))
        });
        if self.sort == Sort::Name && self.is_inverted {
            shown.reverse();
        }
        shown
    }

    /// The processes that fit the filter, in order.
    pub(super) fn shown_processes(&self) -> Vec<&Process> {
        let fits = |process: &&Process| {
            process.name.contains(&self.filter)
                || process.command.contains(&self.filter)
                || process.user == self.filter
        };
        let mut shown: Vec<&Process> = self.processes.iter().filter(fits).collect();
        let key = |process: &Process| match self.sort {
            Sort::Name => None,
            Sort::Cpu => process.cpu_percent,
            Sort::Memory => process.memory_bytes,
            Sort::Io => process.io(),
        };
        shown.sort_by(|one, other| {
            self.turned(most_first(key(one), key(other)))
                .then_with(|| one.pid.cmp(&other.pid))
        });
        if self.sort == Sort::Name && self.is_inverted {
            shown.reverse();
        }
        shown
    }

    fn turned(&self, ordering: Ordering) -> Ordering {
        if self.is_inverted {
            ordering.reverse()
        } else {
            ordering
        }
    }

    fn rows(&self) -> usize {
        match self.view {
            View::Fleet => self.shown_agents().len(),
            View::Host(_) => self.shown_processes().len(),
        }
    }

    /// Does what a key stands for.
    pub(super) fn press(&mut self, key: KeyEvent) {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            if key.code == KeyCode::Char('c') {
                self.mode = Mode::Over;
            }
            return;
        }
        match self.mode {
            Mode::Commands => {}
            Mode::Filter => return self.type_filter(key.code),
            Mode::Help => {
                self.mode = Mode::Commands;
                return;
            }
            Mode::Over => return,
        }
        let last = self.rows().saturating_sub(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::F(10) => self.mode = Mode::Over,
            KeyCode::Esc if !self.filter.is_empty() => self.filter.clear(),
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.back(),
            KeyCode::Enter | KeyCode::Right => self.open(),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            KeyCode::PageDown => self.selected = (self.selected + PAGE).min(last),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            KeyCode::Char('P') => self.sort = Sort::Cpu,
            KeyCode::Char('M') => self.sort = Sort::Memory,
            KeyCode::Char('N') => self.sort = Sort::Name,
            KeyCode::Char('T') => self.sort = Sort::Io,
            KeyCode::Char('>') | KeyCode::F(6) => self.sort = self.sort.next(1),
            KeyCode::Char('<') => self.sort = self.sort.next(-1),
            KeyCode::Char('I') => self.is_inverted = !self.is_inverted,
            KeyCode::Char('Z' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('/' | '\\') | KeyCode::F(3 | 4) => self.mode = Mode::Filter,
            KeyCode::Char('h' | '?') | KeyCode::F(1) => self.mode = Mode::Help,
            _ => {}
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.mode = Mode::Commands,
            KeyCode::Esc => {
                self.mode = Mode::Commands;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) => {
                self.filter.push(letter);
                self.selected = 0;
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        let chosen = self
            .shown_agents()
            .get(self.selected)
            .map(|agent| agent.id.clone());
        if self.view == View::Fleet
            && let Some(id) = chosen
        {
            self.fleet_selected = self.selected;
            self.change(View::Host(id), 0);
        }
    }

    fn back(&mut self) {
        if self.view == View::Fleet {
            return;
        }
        if self.began_with_host {
            self.mode = Mode::Over;
        } else {
            self.change(View::Fleet, self.fleet_selected);
        }
    }

    fn change(&mut self, view: View, selected: usize) {
        self.view = view;
        self.selected = selected;
        self.filter.clear();
        self.sample = Value::Null;
        self.processes.clear();
        self.cpu_history.clear();
        self.memory_history.clear();
    }
}

/// Rows that page keys pass over.
const PAGE: usize = 10;

/// The higher first, and what is not known last.
fn most_first(one: Option<f64>, other: Option<f64>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => other.total_cmp(&one),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let agent = |id: &str, cpu, memory| Agent {
            id: id.to_owned(),
            is_connected: true,
            cpu,
            memory,
            ..Agent::default()
        };
        let mut state = State::new(None);
        state.agents = vec![
            agent("db-1", Some(10.0), Some(90.0)),
            agent("web-1", Some(80.0), Some(20.0)),
            agent("web-2", None, Some(30.0)),
        ];
        state
    }

    fn names(state: &State) -> Vec<&str> {
        state
            .shown_agents()
            .iter()
            .map(|agent| agent.id.as_str())
            .collect()
    }

    fn press(state: &mut State, keys: &str) {
        for letter in keys.chars() {
            let code = match letter {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                letter => KeyCode::Char(letter),
            };
            state.press(KeyEvent::new(code, KeyModifiers::NONE));
        }
    }

    #[test]
    fn rows_are_sorted_as_keys_say() {
        let mut state = state();
        assert_eq!(names(&state), ["web-1", "db-1", "web-2"]);
        press(&mut state, "M");
        assert_eq!(names(&state), ["db-1", "web-2", "web-1"]);
        press(&mut state, "I");
        assert_eq!(names(&state), ["web-1", "web-2", "db-1"]);
        press(&mut state, "N");
        assert_eq!(names(&state), ["web-2", "web-1", "db-1"]);
        press(&mut state, "I<>>");
        assert_eq!(state.sort, Sort::Cpu);
    }

    #[test]
    fn a_filter_is_typed_and_let_go() {
        let mut state = state();
        press(&mut state, "/web\n");
        assert_eq!(names(&state), ["web-1", "web-2"]);
        press(&mut state, "\u{1b}");
        assert_eq!(names(&state).len(), 3);
        press(&mut state, "q");
        assert_eq!(state.mode, Mode::Over);
    }

    #[test]
    fn a_host_is_opened_and_left() {
        let mut state = state();
        press(&mut state, "j\n");
        assert_eq!(state.view, View::Host("db-1".to_owned()));
        press(&mut state, "\u{1b}");
        assert_eq!((&state.view, state.selected), (&View::Fleet, 1));
        let mut alone = State::new(Some("db-1".to_owned()));
        press(&mut alone, "\u{1b}");
        assert_eq!(alone.mode, Mode::Over);
    }

    #[test]
    fn selection_stays_within_the_rows() {
        let mut state = state();
        press(&mut state, "jjjjjj");
        assert_eq!(state.selected, 2);
        press(&mut state, "kkkkkk");
        assert_eq!(state.selected, 0);
    }
}
