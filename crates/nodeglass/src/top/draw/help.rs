//! What keys do, over everything else.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Clear, Paragraph};

/// Above them stands how this is left. Two of them stand in a line where there is room.
const TITLE: &str = " Keys: any ends this ";
const KEYS: [(&str, &str); 11] = [
    ("Up Down j k", "select"),
    ("P M N T", "by CPU, memory, name, I/O"),
    ("Enter Right", "open a host"),
    ("< > F6", "by the next of these"),
    ("Esc Left", "back"),
    ("I", "the other way round"),
    ("/ F3 F4", "filter"),
    ("F", "follow the selected row"),
    ("Space Z", "hold still"),
    ("p", "programs with their path"),
    ("q F10", "quit"),
];
/// Cells of a key with its words.
const WIDTH: u16 = 39;

/// Draws it, with a border where there is room for one.
pub(super) fn draw(frame: &mut Frame<'_>) {
    let room = frame.area();
    let in_a_line = if room.width < 2 * WIDTH + 2 { 1 } else { 2 };
    let lines: Vec<Line<'_>> = KEYS
        .chunks(in_a_line)
        .map(|keys| {
            let spans = keys
                .iter()
                .flat_map(|(key, what)| [format!(" {key:<12}").bold(), format!("{what:<26}").into()]);
            spans.collect()
        })
        .collect();
    let count = lines.len() as u16;
    let borders = if room.height >= count + 2 && room.width >= WIDTH + 2 {
        Borders::ALL
    } else if room.height > count {
        Borders::TOP
    } else {
        Borders::NONE
    };
    let frame_cells = if borders == Borders::ALL { 2 } else { 0 };
    // Without a border nothing beside it may be read as part of it.
    let width = match borders {
        Borders::ALL => (WIDTH * in_a_line as u16 + 2).min(room.width),
        _ => room.width,
    };
    let height = (count + if borders == Borders::TOP { 1 } else { frame_cells }).min(room.height);
    let area = Rect {
        x: (room.width - width) / 2,
        y: (room.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, area);
    let block = match borders {
        Borders::NONE => Block::new(),
        borders => Block::new().borders(borders).title(TITLE),
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
