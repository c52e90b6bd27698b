//! What keys do. Where htop has the same, so is its key.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{History, Host, Mode, Sort, State, View};

impl State {
    /// Does what a key stands for.
    pub(in crate::top) fn press(&mut self, key: KeyEvent) {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => self.mode = Mode::Over,
                KeyCode::Char('l') => self.wants_clearing = true,
                _ => {}
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
        match key.code {
            KeyCode::Char('q') | KeyCode::F(10) => self.mode = Mode::Over,
            KeyCode::Esc if !self.filter.is_empty() => self.filter.clear(),
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.back(),
            KeyCode::Enter | KeyCode::Right => self.open(),
            KeyCode::Up | KeyCode::Char('k') => self.select(self.selected.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(self.selected + 1),
            KeyCode::PageUp => self.select(self.selected.saturating_sub(self.page)),
            KeyCode::PageDown => self.select(self.selected + self.page),
            KeyCode::Home => self.select(0),
            KeyCode::End => self.select(usize::MAX),
            KeyCode::Char('F') => self.followed = self.ids().get(self.selected).cloned(),
            KeyCode::Char('P') => self.sort = Sort::Cpu,
            KeyCode::Char('M') => self.sort = Sort::Memory,
            KeyCode::Char('N') => self.sort = Sort::Name,
            KeyCode::Char('T') => self.sort = Sort::Io,
            KeyCode::Char('>' | '.') | KeyCode::F(6) => self.sort = self.sort.next(1),
            KeyCode::Char('<' | ',') => self.sort = self.sort.next(-1),
            KeyCode::Char('I') => self.is_inverted = !self.is_inverted,
            KeyCode::Char('p') => self.has_paths = !self.has_paths,
            KeyCode::Char('Z' | ' ') => self.is_held = !self.is_held,
            KeyCode::Char('/' | '\\') | KeyCode::F(3 | 4) => self.mode = Mode::Filter,
            KeyCode::Char('h' | '?') | KeyCode::F(1) => self.mode = Mode::Help,
            _ => {}
        }
    }

    /// Brings the selection to the row that it goes with, and into the rows there are; gives how many there are.
    pub(in crate::top) fn settle(&mut self) -> usize {
        let ids = self.ids();
        if let Some(at) = ids.iter().position(|id| self.followed.as_ref() == Some(id)) {
            self.selected = at;
        }
        self.selected = self.selected.min(ids.len().saturating_sub(1));
        ids.len()
    }

    /// Of the rows that are shown.
    fn ids(&self) -> Vec<String> {
        match self.view {
            View::Fleet => self.shown_agents().iter().map(|agent| agent.id.clone()).collect(),
            View::Host(_) => self
                .shown_processes()
                .iter()
                .map(|process| process.pid.to_string())
                .collect(),
        }
    }

    /// Who moves the selection lets go of the row that it went with.
    fn select(&mut self, row: usize) {
        self.followed = None;
        self.selected = row;
        self.settle();
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
                self.select(0);
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        if self.view == View::Fleet
            && let Some(id) = self.ids().get(self.selected)
        {
            self.fleet_selected = self.selected;
            self.change(View::Host(id.clone()), 0);
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

    /// What was said of another host is not shown of this one.
    fn change(&mut self, view: View, selected: usize) {
        self.view = view;
        self.selected = selected;
        self.followed = None;
        self.offset = 0;
        self.filter.clear();
        self.host = Host::default();
        self.host_from = None;
        self.history = History::default();
        self.history_problem = None;
        self.history_asked = None;
        self.problem = None;
        self.is_known = false;
    }
}
