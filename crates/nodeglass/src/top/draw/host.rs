//! One agent: its meters, the last hour, and its processes.

use nodeglass_model::{Clock, SystemClock};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use serde_json::Value;

use super::columns::{self, Column, Look};
use super::meter::{AROUND_BAR, meter, sparkline};
use super::{cut, duration};
use crate::print::value;
use crate::top::state::{Process, State};

/// Meters take one row in so many at most, and so many rows; more cores than that share the rows.
const METERS_SHARE: u16 = 3;
const MOST_METERS: u16 = 16;
/// Cells of a meter beside its bar and its figure: its name, and what is between it and the next.
const AROUND_METER: u16 = 6;
/// Cells of a meter that is wide enough to stand alone.
const WIDE_METER: u16 = 60;
/// A bar of fewer cells says nothing, and one of more no more.
const SHORTEST_BAR: u16 = 5;
const LONGEST_BAR: u16 = 50;
/// Cells of how much there is of what: ` 12.5 GiB of 15.6 GiB`.
const AMOUNTS: u16 = 22;
/// Rows that processes have at least, with their header, where a terminal is low.
const LEAST_ROWS: u16 = 4;
/// The history is there from so many rows on, and has so many.
const HISTORY_FROM: u16 = 19;
const HISTORY_ROWS: u16 = 5;
/// Cells of a user's name, and of a command at least.
const USER: usize = 10;
const COMMAND: u16 = 24;

/// How long it runs, and what it has to do, for the line above: as much as fits whole.
pub(super) fn summary(sample: &Value, room: usize) -> String {
    let mut parts = Vec::new();
    if let Some(seconds) = sample["system"]["uptime_seconds"].as_f64() {
        parts.push(format!("  up {}", duration(seconds)));
    }
    let load = |name: &str| sample["load"][name].as_f64();
    if let (Some(one), Some(five), Some(fifteen)) = (load("load1"), load("load5"), load("load15")) {
        parts.push(format!("  load {one:.2} {five:.2} {fifteen:.2}"));
    }
    if let Some(count) = sample["processes"]["total_processes"].as_f64() {
        parts.push(format!("  {count} processes"));
    }
    let mut words = String::new();
    for part in parts {
        if words.len() + part.len() > room {
            break;
        }
        words += &part;
    }
    words
}

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let has_history = area.height >= HISTORY_FROM;
    let mut meters = meters(&state.host.sample, area);
    meters.truncate(usize::from(area.height.saturating_sub(LEAST_ROWS)));
    let [top, past, body] = Layout::vertical([
        Constraint::Length(meters.len() as u16),
        Constraint::Length(if has_history { HISTORY_ROWS } else { 0 }),
        Constraint::Fill(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(meters), top);
    if has_history {
        history(frame, state, past);
    }
    let count = state.settle();
    let look = Look {
        now_ms: SystemClock.now().0,
        age_seconds: None,
        bar: 0,
        name: USER,
        has_paths: state.has_paths,
    };
    let processes: Vec<Process> = state.shown_processes().into_iter().cloned().collect();
    let columns = all();
    let shown = columns::fitting(&columns, body.width);
    let table = columns::table(&shown, processes.into_iter(), look, |_, row| row);
    super::table(frame, state, body, table, count);
}

fn history(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let [left, _, right] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let problem = state
        .history_problem
        .as_ref()
        .map_or_else(String::new, |problem| format!(": {problem}"));
    for (place, name, slots, colour) in [
        (left, "CPU", &state.history.cpu, Color::Green),
        (right, "memory", &state.history.memory, Color::Blue),
    ] {
        sparkline(
            frame,
            place,
            &format!("{name}, the last hour{problem}"),
            slots,
            colour,
        );
    }
}

fn all() -> [Column<Process>; 7] {
    [
        Column::figures("PID", 8, 2, |process, _| process.pid.to_string().into()),
        Column::words("USER", USER as u16, 4, |process, look| {
            cut(&process.user, look.name).into()
        }),
        Column::figures("CPU%", 6, 1, |process, _| {
            known(process.cpu_percent.map(|cpu| format!("{cpu:.1}")))
        }),
        Column::figures("MEM", 10, 3, |process, _| {
            value("process.memory_bytes", process.memory_bytes).into()
        }),
        Column::figures("THR", 5, 6, |process, _| {
            known(process.threads.map(|threads| threads.to_string()))
        }),
        Column::figures("DISK I/O", 12, 5, |process, _| {
            value("process.read_bytes_per_sec", process.io()).into()
        }),
        Column::words("COMMAND", COMMAND, 0, |process, look| {
            command(process, look.has_paths).into()
        })
        .and_the_rest(),
    ]
}

/// What it was started as; by its name alone, where it was not started as anything. Where its program lies is left out unless
/// somebody wants it: what tells one process from another stands behind that.
fn command(process: &Process, has_path: bool) -> String {
    if process.command.is_empty() {
        return format!("[{}]", process.name);
    }
    let (program, arguments) = process
        .command
        .split_at(process.command.find(' ').unwrap_or(process.command.len()));
    let name = program
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty() && program.starts_with('/'));
    match name {
        Some(name) if !has_path => format!("{name}{arguments}"),
        _ => process.command.clone(),
    }
}

fn known(text: Option<String>) -> Line<'static> {
    text.unwrap_or_else(|| "-".to_owned()).into()
}

/// A line for each core, or for several where there are many, or one for all where they don't fit so; then memory and swap.
fn meters(sample: &Value, room: Rect) -> Vec<Line<'static>> {
    let cores = sample["cpu"]["cores"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = (room.height / METERS_SHARE).clamp(1, MOST_METERS);
    let fewest = cores.len().div_ceil(usize::from(rows)).max(1);
    let a_line = fewest.max(cores.len().min(usize::from(room.width / WIDE_METER)));
    let around = AROUND_METER + AROUND_BAR;
    let cells = (room.width / a_line as u16).saturating_sub(around);
    let has_each = cells >= SHORTEST_BAR;
    let left = room.width.saturating_sub(around + AMOUNTS);
    let bar = if has_each { cells.min(left) } else { left };
    let bar = usize::from(bar.clamp(SHORTEST_BAR, LONGEST_BAR));
    let mut lines: Vec<Line<'static>> = if has_each {
        let of_core = |core: &Value| {
            let name = core["core"]
                .as_u64()
                .map_or_else(String::new, |number| number.to_string());
            named(
                &name,
                core["usage_percent"].as_f64(),
                usize::from(cells.min(LONGEST_BAR)),
                " ",
            )
        };
        cores
            .chunks(a_line)
            .map(|cores| cores.iter().flat_map(of_core).collect())
            .collect()
    } else {
        vec![all_cores(sample, cores, bar)]
    };
    let memory = &sample["memory"];
    for (name, share, used, total) in [
        ("Mem", "usage_percent", "used_bytes", "total_bytes"),
        ("Swp", "swap_usage_percent", "swap_used_bytes", "swap_total_bytes"),
    ] {
        if memory[total].as_f64().is_some_and(|total| total > 0.0) {
            let bytes = |name: &str| value("memory.used_bytes", memory[name].as_f64());
            let amounts = format!(" {} of {}", bytes(used), bytes(total));
            lines.push(named(name, memory[share].as_f64(), bar, &amounts).into());
        }
    }
    lines
}

/// A meter with its name before and some words behind.
fn named(name: &str, share: Option<f64>, bar: usize, words: &str) -> Vec<Span<'static>> {
    let mut spans = vec![Span::from(format!("{name:>4} ")).cyan()];
    spans.extend(meter(share, bar).spans);
    spans.push(words.to_owned().into());
    spans
}

/// All cores as one, and the busiest, where they are too many for the terminal.
fn all_cores(sample: &Value, cores: &[Value], bar: usize) -> Line<'static> {
    let busiest = cores
        .iter()
        .filter_map(|core| Some((core["core"].as_u64()?, core["usage_percent"].as_f64()?)))
        .max_by(|(_, one), (_, other)| one.total_cmp(other));
    let count = cores.len();
    let words = match busiest {
        Some((number, share)) => format!(" {count} cores, {number} at {share:.1}%"),
        None => format!(" {count} cores"),
    };
    named("CPU", sample["cpu"]["usage_percent"].as_f64(), bar, &words).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(cores: usize, (width, height): (u16, u16)) -> Vec<String> {
        let cores: Vec<Value> = (0..cores)
            .map(|core| json!({"core": core, "usage_percent": core as f64}))
            .collect();
        let sample = json!({
            "cpu": {"usage_percent": 12.0, "cores": cores},
            "memory": {"usage_percent": 50.0, "used_bytes": 512, "total_bytes": 1024},
        });
        let lines = meters(&sample, Rect::new(0, 0, width, height));
        let texts: Vec<String> = lines.iter().map(ToString::to_string).collect();
        for text in &texts {
            assert!(
                text.trim_end().chars().count() <= usize::from(width),
                "{texts:#?}"
            );
        }
        texts
    }

    #[test]
    fn no_figure_above_is_cut() {
        let sample = json!({
            "system": {"uptime_seconds": 90},
            "load": {"load1": 1.0, "load5": 2.0, "load15": 3.0},
            "processes": {"total_processes": 80},
        });
        assert_eq!(
            summary(&sample, 41),
            "  up 1m  load 1.00 2.00 3.00  80 processes"[..28]
        );
        assert_eq!(summary(&sample, 42), "  up 1m  load 1.00 2.00 3.00  80 processes");
        assert_eq!(summary(&sample, 6), "");
        assert_eq!(summary(&json!({"load": {"load1": 1.0}}), 42), "");
    }

    #[test]
    fn a_command_has_the_path_of_its_program_if_it_is_to() {
        let process = |command: &str| Process {
            name: "kworker/0:1".to_owned(),
            command: command.to_owned(),
            ..Process::default()
        };
        let shown = |of: &str, has_path| command(&process(of), has_path);
        assert_eq!(shown("/usr/bin/python3 /srv/a.py", false), "python3 /srv/a.py");
        assert_eq!(
            shown("/usr/bin/python3 /srv/a.py", true),
            "/usr/bin/python3 /srv/a.py"
        );
        assert_eq!(shown("/sbin/init", false), "init");
        assert_eq!(shown("sshd: root@pts/0", false), "sshd: root@pts/0");
        assert_eq!(shown("", false), "[kworker/0:1]");
    }

    #[test]
    fn cores_share_lines_as_far_as_they_fit() {
        assert_eq!(texts(2, (40, 30)).len(), 3);
        assert_eq!(texts(2, (130, 30)).len(), 2);
        let shared = texts(16, (80, 24));
        assert_eq!(shared.len(), 9);
        assert!(
            shared[7].contains("  14 [") && shared[7].contains("  15 ["),
            "{shared:#?}"
        );
        let one = texts(64, (80, 24));
        assert!(
            one[0].starts_with(" CPU [|||") && one[0].ends_with("  12.0% 64 cores, 63 at 63.0%"),
            "{one:?}"
        );
        assert!(one[1].ends_with("  50.0% 512 B of 1.0 KiB"), "{one:?}");
    }
}
