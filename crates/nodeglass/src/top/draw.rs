//! How `top` looks.

use nodeglass_model::{Clock, SystemClock};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Sparkline, SparklineBar, Table, TableState};
use serde_json::Value;

use super::state::{Agent, Mode, Process, State, View};
use crate::print::value;

/// Cells of a bar.
const BAR: usize = 10;
/// Shares from which something is warm, and hot.
const WARM: f64 = 80.0;
const HOT: f64 = 95.0;
/// Rows of meters: more cores than fit share the rows.
const MOST_METERS: usize = 8;

const HELP: &str = "\
 Up Down j k     select            P M N T   sort by CPU, memory, name or PID, I/O
 Enter Right     open a host       < > F6    sort by the next
 Esc Left        back              I         the other way round
 / F3 F4         filter            Space Z   hold still
 h ? F1          this              q F10     quit";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(title(state), head);
    match state.view {
        View::Fleet => fleet(frame, state, body),
        View::Host(_) => host(frame, state, body),
    }
    frame.render_widget(keys(state), foot);
    if state.mode == Mode::Help {
        help(frame, body);
    }
}

fn title(state: &State) -> Line<'_> {
    let mut spans = vec!["nodeglass ".bold()];
    match &state.view {
        View::Fleet => {
            let connected = state.agents.iter().filter(|agent| agent.is_connected).count();
            spans.push(format!("{connected} of {} connected", state.agents.len()).into());
        }
        View::Host(id) => {
            spans.push(id.as_str().cyan().bold());
            if let Some(seconds) = state.sample["system"]["uptime_seconds"].as_f64() {
                spans.push(format!("  up {}", duration(seconds)).into());
            }
            let load = |name: &str| state.sample["load"][name].as_f64();
            if let (Some(one), Some(five), Some(fifteen)) = (load("load1"), load("load5"), load("load15")) {
                spans.push(format!("  load {one:.2} {five:.2} {fifteen:.2}").into());
            }
            if let Some(count) = state.sample["processes"]["total_processes"].as_f64() {
                spans.push(format!("  {count} processes").into());
            }
        }
    }
    if state.is_paused {
        spans.push("  held".yellow());
    }
    if let Some(problem) = &state.problem {
        spans.push(format!("  {problem}").red());
    }
    Line::from(spans)
}

fn fleet(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let now = SystemClock.now().0;
    let rows: Vec<Row<'_>> = state
        .shown_agents()
        .into_iter()
        .map(|agent| agent_row(agent, now))
        .collect();
    let count = rows.len();
    let titles = [
        "AGENT", "CPU", "MEMORY", "DISK", "RECEIVED", "SENT", "LOAD", "SEEN",
    ];
    let widths = [
        Constraint::Min(12),
        Constraint::Length(18),
        Constraint::Length(18),
        Constraint::Length(8),
        Constraint::Length(12),
        Constraint::Length(12),
        Constraint::Length(6),
        Constraint::Length(8),
    ];
    table(
        frame,
        state,
        area,
        Table::new(rows, widths).header(Row::new(titles).style(HEADER)),
        count,
    );
}

fn agent_row(agent: &Agent, now_ms: i64) -> Row<'static> {
    let seen = match agent.updated_ms {
        _ if agent.is_connected => "now".to_owned(),
        Some(at) => duration((now_ms - at).max(0) as f64 / 1000.0),
        None => "never".to_owned(),
    };
    let row = Row::new([
        Cell::from(agent.id.clone()),
        Cell::from(bar(agent.cpu)),
        Cell::from(bar(agent.memory)),
        Cell::from(percent(agent.disk)),
        Cell::from(value("network.bytes_recv_per_sec", agent.received)),
        Cell::from(value("network.bytes_sent_per_sec", agent.sent)),
        Cell::from(value("load.load1", agent.load)),
        Cell::from(seen),
    ]);
    if agent.is_connected { row } else { row.dark_gray() }
}

fn host(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let meters = meters(&state.sample);
    let [top, history, body] = Layout::vertical([
        Constraint::Length(meters.len() as u16),
        Constraint::Length(if area.height > 18 { 5 } else { 0 }),
        Constraint::Min(3),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(meters), top);
    if history.height > 0 {
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(history);
        sparkline(
            frame,
            left,
            "CPU, the last hour",
            &state.cpu_history,
            Color::Green,
        );
        sparkline(
            frame,
            right,
            "memory, the last hour",
            &state.memory_history,
            Color::Blue,
        );
    }
    let rows: Vec<Row<'_>> = state.shown_processes().into_iter().map(process_row).collect();
    let count = rows.len();
    let titles = ["PID", "USER", "CPU%", "MEM", "THR", "DISK I/O", "COMMAND"];
    let widths = [
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(7),
        Constraint::Length(10),
        Constraint::Length(5),
        Constraint::Length(12),
        Constraint::Min(16),
    ];
    table(
        frame,
        state,
        body,
        Table::new(rows, widths).header(Row::new(titles).style(HEADER)),
        count,
    );
}

fn process_row(process: &Process) -> Row<'static> {
    let command = if process.command.is_empty() {
        format!("[{}]", process.name)
    } else {
        process.command.clone()
    };
    Row::new([
        process.pid.to_string(),
        process.user.clone(),
        process
            .cpu_percent
            .map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.1}")),
        value("process.memory_bytes", process.memory_bytes),
        process
            .threads
            .map_or_else(|| "-".to_owned(), |threads| threads.to_string()),
        value("process.read_bytes_per_sec", process.io()),
        command,
    ])
}

/// A line for each core, or for several where there are many, then memory and swap.
fn meters(sample: &Value) -> Vec<Line<'static>> {
    let cores = sample["cpu"]["cores"].as_array().map_or(&[][..], Vec::as_slice);
    let a_line = cores.len().div_ceil(MOST_METERS).max(1);
    let mut lines: Vec<Line<'static>> = cores
        .chunks(a_line)
        .map(|cores| {
            let spans = cores.iter().flat_map(|core| {
                let number = core["core"].as_u64().unwrap_or(0);
                let mut spans = vec![Span::from(format!("{number:>4} ")).cyan()];
                spans.extend(bar(core["usage_percent"].as_f64()).spans);
                spans.push("  ".into());
                spans
            });
            spans.collect::<Line<'static>>()
        })
        .collect();
    for (name, share, used, total) in [
        ("Mem", "usage_percent", "used_bytes", "total_bytes"),
        ("Swp", "swap_usage_percent", "swap_used_bytes", "swap_total_bytes"),
    ] {
        let memory = &sample["memory"];
        if memory[total].as_f64().unwrap_or(0.0) <= 0.0 {
            continue;
        }
        let mut line = vec![Span::from(format!("{name:>4} ")).cyan()];
        line.extend(bar(memory[share].as_f64()).spans);
        line.push(
            format!(
                "  {} of {}",
                value("memory.used_bytes", memory[used].as_f64()),
                value("memory.used_bytes", memory[total].as_f64())
            )
            .into(),
        );
        lines.push(Line::from(line));
    }
    lines
}

/// A figure in percent with how full it is.
fn bar(share: Option<f64>) -> Line<'static> {
    let Some(share) = share else {
        return Line::from(format!("[{:BAR$}] {:>5}", "", "-"));
    };
    let full = ((share / 100.0 * BAR as f64).round() as usize).min(BAR);
    let colour = match share {
        HOT.. => Color::Red,
        WARM.. => Color::Yellow,
        _ => Color::Green,
    };
    Line::from(vec![
        "[".into(),
        "|".repeat(full).fg(colour),
        " ".repeat(BAR - full).into(),
        "] ".into(),
        format!("{share:>5.1}").fg(if share >= WARM { colour } else { Color::Reset }),
    ])
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{share:.1} %"))
}

fn sparkline(frame: &mut Frame<'_>, area: Rect, title: &str, history: &[Option<u64>], colour: Color) {
    let block = Block::new().title(title.to_owned().dark_gray());
    // The newest at the right edge; a span without samples stays empty.
    let fitting = history.len().saturating_sub(usize::from(area.width));
    let bars = history[fitting..].iter().copied().map(SparklineBar::from);
    let sparkline = Sparkline::default()
        .block(block)
        .data(bars)
        .max(100)
        .style(Style::new().fg(colour));
    frame.render_widget(sparkline, area);
}

const HEADER: Style = Style::new().add_modifier(Modifier::REVERSED);

fn table(frame: &mut Frame<'_>, state: &mut State, area: Rect, table: Table<'_>, rows: usize) {
    state.selected = state.selected.min(rows.saturating_sub(1));
    let mut selection = TableState::new().with_selected((rows > 0).then_some(state.selected));
    let table = table.row_highlight_style(Style::new().bg(Color::Cyan).fg(Color::Black));
    frame.render_stateful_widget(table, area, &mut selection);
    if rows == 0 {
        let words = if state.filter.is_empty() {
            "nothing yet"
        } else {
            "nothing fits the filter"
        };
        let below = Rect {
            y: area.y + 1.min(area.height),
            height: area.height.saturating_sub(1),
            ..area
        };
        frame.render_widget(Paragraph::new(words).dark_gray(), below);
    }
}

fn keys(state: &State) -> Line<'_> {
    if state.mode == Mode::Filter {
        return Line::from(vec!["filter: ".bold(), state.filter.as_str().into(), "_".into()]);
    }
    let of_processes = state.view != View::Fleet;
    let mut spans = Vec::new();
    for (key, what) in [
        ("F1", "Help"),
        ("F3", "Filter"),
        ("F6", "Sort"),
        (
            if of_processes { "Esc" } else { "Enter" },
            if of_processes { "Back" } else { "Open" },
        ),
        ("F10", "Quit"),
    ] {
        spans.push(key.into());
        spans.push(Span::styled(
            format!("{what} "),
            Style::new().bg(Color::Cyan).fg(Color::Black),
        ));
    }
    let turned = if state.is_inverted { ", turned" } else { "" };
    spans.push(format!("  by {}{turned}", state.sort.name(of_processes)).dark_gray());
    if !state.filter.is_empty() {
        spans.push(format!("  with {:?}", state.filter).yellow());
    }
    Line::from(spans)
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let (width, height) = (82.min(area.width), 7.min(area.height));
    let area = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, area);
    frame.render_widget(
        Paragraph::new(HELP).block(Block::bordered().title(" Keys ")),
        area,
    );
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
