//! What is on the screen, of whatever size.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::json;

use super::*;
use crate::top::ask::Answer;
use crate::top::state::{Agent, Host, Process};

fn fleet() -> State {
    let mut state = State::new(None, Duration::from_secs(1));
    let agent = |number: usize| Agent {
        id: format!("web-{number:02}.example.org"),
        is_connected: number > 0,
        cpu: Some(number as f64),
        memory: None,
        ..Agent::default()
    };
    state.take(Ok(Answer::Fleet((0..30).map(agent).collect())));
    state
}

fn host() -> State {
    let mut state = State::new(Some("web-01".to_owned()), Duration::from_secs(1));
    let process = |pid| Process {
        pid,
        name: "postgres".to_owned(),
        user: "somebody-with-a-name".to_owned(),
        ..Process::default()
    };
    state.take(Ok(Answer::Host(Host {
        is_connected: true,
        interval_seconds: Some(1.0),
        taken_ms: Some(1),
        sample: json!({
            "cpu": {"usage_percent": 12.0, "cores": [{"core": 0, "usage_percent": 12.0}]},
            "memory": {"usage_percent": 50.0, "used_bytes": 1, "total_bytes": 2},
        }),
        processes: (1..9).map(process).collect(),
    })));
    state
}

fn drawn(state: &mut State, (width, height): (u16, u16), palette: Palette) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let frame = terminal.draw(|frame| draw(frame, state, palette)).unwrap();
    frame.buffer.clone()
}

fn lines(state: &mut State, size: (u16, u16)) -> Vec<String> {
    let buffer = drawn(state, size, Palette::Colours);
    buffer
        .content
        .chunks(usize::from(size.0))
        .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect())
        .collect()
}

fn press(state: &mut State, key: KeyCode) {
    state.press(KeyEvent::new(key, KeyModifiers::NONE));
}

#[tokio::test(start_paused = true)]
async fn every_size_is_drawn_and_the_first_line_stays_until_the_last() {
    for mut state in [fleet(), host()] {
        for is_stale in [false, true] {
            if is_stale {
                state.take(Err(anyhow::anyhow!("there is nobody at that address")));
            }
            for mode in [Mode::Commands, Mode::Filter, Mode::Help] {
                state.mode = mode;
                for width in [1, 2, 12, 40, 110] {
                    for height in [1, 2, 4, 5, 9, 24] {
                        drawn(&mut state, (width, height), Palette::Colours);
                    }
                }
            }
            state.mode = Mode::Commands;
            let first = if is_stale { " STALE 0s " } else { "web-01" };
            let whole = lines(&mut state, (20, 1)).concat();
            assert!(
                whole.starts_with(first) || whole.starts_with("29 of 30"),
                "{whole}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn why_a_picture_is_old_is_read_whole_on_a_narrow_terminal() {
    let mut state = fleet();
    let why = "can't talk to a server at http://monitor.example.org:7080; is it running there? (refused)";
    state.take(Err(anyhow::anyhow!(why)));
    let narrow = lines(&mut state, (40, 12));
    assert_eq!(narrow[0].trim_end(), " STALE 0s  29 of 30 connected");
    let read: Vec<&str> = narrow[1..4].iter().map(|line| line.trim()).collect();
    assert_eq!(read.join(" "), why);
    assert!(narrow[4].starts_with("AGENT"), "{narrow:#?}");
    let low = lines(&mut state, (120, 5));
    assert_eq!(low[0].trim_end(), format!(" STALE 0s  {why}"));
}

#[test]
fn rows_that_one_moves_over_stay_where_they_are() {
    let mut state = fleet();
    press(&mut state, KeyCode::End);
    let end = lines(&mut state, (80, 12));
    press(&mut state, KeyCode::Up);
    assert_eq!(
        lines(&mut state, (80, 12)),
        end,
        "another is selected, and nothing moves"
    );
    press(&mut state, KeyCode::PageUp);
    assert_eq!(state.selected, 30 - 2 - 9);
}

#[test]
fn names_that_do_not_fit_say_so_and_bars_have_what_is_left() {
    let row = |width| lines(&mut fleet(), (width, 12))[2].trim_end().to_owned();
    assert_eq!(row(40), "web-29.example.org  29.0%      -     now");
    assert_eq!(row(37), "web-29.example…  29.0%      -     now");
    assert!(row(80).starts_with("web-29.example.org  29.0%"), "{}", row(80));
    assert!(row(110).starts_with("web-29.example.org [|||"), "{}", row(110));
    assert_eq!(cut("abcdef", 3), "ab…");
    assert_eq!(cut("abc", 3), "abc");
}

#[test]
fn help_is_whole_on_a_small_terminal_and_a_large_one() {
    for size in [(40, 12), (40, 13), (60, 20), (80, 24)] {
        let mut state = host();
        state.mode = Mode::Help;
        let text = lines(&mut state, size).join("\n");
        for words in [
            "by CPU, memory, name, I/O",
            "q F10 ",
            "quit",
            "follow the selected row",
        ] {
            assert!(text.contains(words), "{size:?}:\n{text}");
        }
    }
}

#[test]
fn without_colours_what_is_selected_is_still_seen() {
    let buffer = drawn(&mut fleet(), (80, 12), Palette::Plain);
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset))
    );
    let is_reversed = |row: u16| buffer[(0, row)].modifier.contains(Modifier::REVERSED);
    assert_eq!(
        [1, 2, 3].map(is_reversed),
        [true, true, false],
        "titles, the selected row, the next"
    );
}

#[test]
fn a_reason_has_the_rows_that_it_takes() {
    assert_eq!(rows("a b", 3), 1);
    assert_eq!(rows("a bc", 3), 2);
    assert_eq!(rows("abcdef", 3), 2);
    assert_eq!(rows("a b c d e f g h", 1), MOST_REASONS as u16);
}
