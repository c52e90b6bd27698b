//! How `top` looks: the lines above and below. [`fleet`] draws all agents, [`host`] one, [`help`] the keys; [`columns`] says
//! which columns fit, [`meter`] draws shares, [`palette`] does without colours where none are wanted.

mod columns;
mod fleet;
mod help;
mod host;
mod meter;
mod palette;

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Table, TableState, Wrap};

use super::state::{Mode, Stale, State, View};
pub(super) use palette::Palette;

/// From so many cells on the line above begins with the program's name, and the keys below have their words.
const ROOM_FOR_WORDS: u16 = 60;
/// From so many rows on there is a line of keys below, and lines of their own for why a picture is old.
const ROOM_FOR_KEYS: u16 = 5;
const ROOM_FOR_REASONS: u16 = 8;
/// Rows that a reason takes at most.
const MOST_REASONS: usize = 3;

const HEADER: Style = Style::new().add_modifier(Modifier::REVERSED);
const SELECTED: Style = Style::new().bg(Color::Cyan).fg(Color::Black);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, palette: Palette) {
    let area = frame.area();
    let old = state.stale();
    let reason = old
        .as_ref()
        .filter(|_| area.height >= ROOM_FOR_REASONS)
        .map(|old| old.why.as_str());
    let reason_rows = reason.map_or(0, |why| rows(why, area.width));
    let [head, reasons, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(reason_rows),
        Constraint::Fill(1),
        Constraint::Length(u16::from(area.height >= ROOM_FOR_KEYS)),
    ])
    .areas(area);
    frame.render_widget(title(state, old.as_ref(), reason.is_some(), area.width), head);
    if let Some(why) = reason {
        frame.render_widget(Paragraph::new(why.red()).wrap(Wrap { trim: true }), reasons);
    }
    match state.view {
        View::Fleet => fleet::draw(frame, state, body),
        View::Host(_) => host::draw(frame, state, body),
    }
    if old.is_some() {
        frame
            .buffer_mut()
            .set_style(body, Style::new().add_modifier(Modifier::DIM));
    }
    frame.render_widget(keys(state, foot.width), foot);
    if state.mode == Mode::Help {
        help::draw(frame);
    }
    palette.apply(frame.buffer_mut());
}

/// The rows that a text takes in so many cells, within bounds.
fn rows(text: &str, room: u16) -> u16 {
    let mut lines = 1;
    let mut taken = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if taken > 0 && taken + 1 + length > usize::from(room) {
            lines += 1;
            taken = 0;
        }
        lines += length.saturating_sub(1) / usize::from(room.max(1));
        taken += length + usize::from(taken > 0);
    }
    lines.min(MOST_REASONS) as u16
}

/// That a picture is old stands first, to be read on the narrowest terminal; why, unless that stands below; then what it is of.
fn title(state: &State, old: Option<&Stale>, is_explained: bool, room: u16) -> Line<'static> {
    let mut spans = Vec::new();
    let age = |age: Option<Duration>| {
        age.map_or_else(String::new, |age| format!(" {}", duration(age.as_secs_f64())))
    };
    match old {
        Some(Stale { age: None, .. }) => spans.push(" WAITING ".white().on_red().bold()),
        Some(old) => spans.push(format!(" STALE{} ", age(old.age)).white().on_red().bold()),
        None if state.is_held => spans.push(format!(" HELD{} ", age(state.age())).black().on_yellow()),
        None if room >= ROOM_FOR_WORDS => spans.push("nodeglass".bold()),
        None => {}
    }
    if !spans.is_empty() {
        spans.push(" ".into());
    }
    if let Some(old) = old.filter(|_| !is_explained) {
        spans.push(old.why.clone().red());
        return spans.into();
    }
    match &state.view {
        View::Fleet => {
            let connected = state.agents.iter().filter(|agent| agent.is_connected).count();
            spans.push(format!("{connected} of {} connected", state.agents.len()).into());
        }
        View::Host(id) => {
            spans.push(id.clone().cyan().bold());
            let taken: usize = spans.iter().map(Span::width).sum();
            let left = usize::from(room).saturating_sub(taken);
            spans.push(host::summary(&state.host.sample, left).into());
        }
    }
    spans.into()
}

/// Draws rows below their titles, and where there are none, why.
fn table(frame: &mut Frame<'_>, state: &mut State, area: Rect, table: Table<'_>, rows: usize) {
    let mut selection = TableState::new()
        .with_offset(state.offset)
        .with_selected((rows > 0).then_some(state.selected));
    frame.render_stateful_widget(table.row_highlight_style(SELECTED), area, &mut selection);
    state.offset = selection.offset();
    state.page = usize::from(area.height.saturating_sub(1)).max(1);
    if rows == 0 {
        let below = Rect {
            y: area.y + 1.min(area.height),
            height: area.height.saturating_sub(1),
            ..area
        };
        frame.render_widget(Paragraph::new(nothing(state)).dark_gray(), below);
    }
}

/// Why there are no rows.
fn nothing(state: &State) -> String {
    match &state.view {
        _ if !state.filter.is_empty() => "nothing fits the filter".to_owned(),
        View::Host(_) if state.host.taken_ms.is_some() => "its agent sends no processes".to_owned(),
        View::Host(id) if state.is_known => format!("{id} has sent nothing yet"),
        View::Fleet if state.is_known => "no agents yet: `nodeglass-server agent add` enrols one".to_owned(),
        _ => "asking the server".to_owned(),
    }
}

/// What keys do, and how rows are sorted and filtered. Where there is little room, that alone, and where help is.
fn keys(state: &State, room: u16) -> Line<'static> {
    if state.mode == Mode::Filter {
        return Line::from(vec!["filter: ".bold(), state.filter.clone().into(), "_".into()]);
    }
    let of_processes = state.view != View::Fleet;
    let (key, what) = if of_processes {
        ("Esc", "Back")
    } else {
        ("Enter", "Open")
    };
    let all = [
        ("F1", "Help"),
        ("F3", "Filter"),
        ("F6", "Sort"),
        (key, what),
        ("F10", "Quit"),
    ];
    let mut spans = Vec::new();
    for (key, what) in &all[..if room < ROOM_FOR_WORDS { 1 } else { all.len() }] {
        spans.push((*key).into());
        spans.push(Span::styled(format!("{what} "), SELECTED));
    }
    let turned = if state.is_inverted { ", turned" } else { "" };
    spans.push(format!("  by {}{turned}", state.sort.name(of_processes)).dark_gray());
    if !state.filter.is_empty() {
        spans.push(format!("  with {:?}", state.filter).yellow());
    }
    if let Some(row) = &state.followed {
        spans.push(format!("  follows {row}").yellow());
    }
    spans.into()
}

/// `3d4h`, `5m`, `12s`.
fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3_600 => format!("{}m", whole / 60),
        3_600..86_400 => format!("{}h{}m", whole / 3_600, whole / 60 % 60),
        _ => format!("{}d{}h", whole / 86_400, whole / 3_600 % 24),
    }
}

/// A text in so many cells; one that is longer ends in a sign that it is.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(room.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests;
