//! All agents, a row each.

use nodeglass_model::{Clock, SystemClock};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;

use super::columns::{self, Column, Look};
use super::meter::{AROUND_BAR, FIGURE_WIDTH, figure, meter};
use super::{cut, duration};
use crate::print::value;
use crate::top::state::{Agent, State};

/// A name has a third of the cells, and what others leave.
const SHORTEST_NAME: usize = 12;
const LONGEST_NAME: usize = 40;
/// A bar of fewer cells says nothing, and one of more no more.
const SHORTEST_BAR: usize = 5;
const LONGEST_BAR: usize = 60;

fn all(look: Look) -> [Column<Agent>; 8] {
    let share = match look.bar {
        0 => FIGURE_WIDTH,
        bar => bar as u16 + AROUND_BAR,
    };
    [
        Column::words("AGENT", look.name as u16, 0, |agent, look| {
            cut(&agent.id, look.name).into()
        }),
        Column::figures("CPU", share, 1, |agent, look| meter(agent.cpu, look.bar)),
        Column::figures("MEMORY", share, 2, |agent, look| meter(agent.memory, look.bar)),
        Column::figures("DISK", FIGURE_WIDTH, 5, |agent, _| figure(agent.disk).into()),
        Column::figures("RECEIVED", 12, 6, |agent, _| {
            value("network.bytes_recv_per_sec", agent.received).into()
        }),
        Column::figures("SENT", 12, 7, |agent, _| {
            value("network.bytes_sent_per_sec", agent.sent).into()
        }),
        Column::figures("LOAD", 6, 4, |agent, _| value("load.load1", agent.load).into()),
        Column::figures("SEEN", 7, 3, |agent, look| seen(agent, look).into()),
    ]
}

/// Draws them.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let count = state.settle();
    let names = state.agents.iter().map(|agent| agent.id.chars().count());
    let longest = names.max().unwrap_or(0).clamp(SHORTEST_NAME, LONGEST_NAME);
    let is_old = state.is_held || state.stale().is_some();
    let mut look = Look {
        now_ms: SystemClock.now().0,
        age_seconds: state.age().filter(|_| is_old).map(|age| age.as_secs_f64()),
        bar: 0,
        name: longest.min(usize::from(area.width) / 3).max(SHORTEST_NAME),
        has_paths: false,
    };
    let figures = all(look);
    let shown = columns::fitting(&figures, area.width);
    // What is left is for the rest of the names, then, when everything is there, for bars.
    let spare = usize::from(area.width.saturating_sub(columns::width(&shown)));
    let name = longest.min(look.name + spare);
    let for_each_bar = (spare - (name - look.name)) / 2 + usize::from(FIGURE_WIDTH);
    let bar = for_each_bar.saturating_sub(usize::from(AROUND_BAR));
    if shown.len() == figures.len() && bar >= SHORTEST_BAR {
        look.bar = bar.min(LONGEST_BAR);
    }
    look.name = name;
    let columns = all(look);
    let agents: Vec<Agent> = state.shown_agents().into_iter().cloned().collect();
    let table = columns::table(
        &columns::fitting(&columns, area.width),
        agents.into_iter(),
        look,
        |agent, row| {
            if agent.is_connected { row } else { row.dark_gray() }
        },
    );
    super::table(frame, state, area, table, count);
}

/// How long ago it was connected, as far as that is known.
fn seen(agent: &Agent, look: Look) -> String {
    match (agent.is_connected, agent.updated_ms) {
        (true, _) => look.age_seconds.map_or_else(|| "now".to_owned(), duration),
        (false, Some(at)) => duration((look.now_ms - at).max(0) as f64 / 1000.0),
        (false, None) => "never".to_owned(),
    }
}
