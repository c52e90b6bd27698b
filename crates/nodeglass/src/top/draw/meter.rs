//! Shares as bars, as figures, and over time.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Sparkline, SparklineBar};

/// Cells of a figure: `100.0%`.
pub(super) const FIGURE_WIDTH: u16 = 6;
/// Cells of a bar beside those between its brackets, with its figure.
pub(super) const AROUND_BAR: u16 = 3 + FIGURE_WIDTH;
/// Shares from which something is warm, and hot.
const WARM: f64 = 80.0;
const HOT: f64 = 95.0;
/// Heights that a bar of a sparkline may have in one row.
const LEVELS: u64 = 8;

fn colour(share: f64) -> Color {
    match share {
        HOT.. => Color::Red,
        WARM.. => Color::Yellow,
        _ => Color::Green,
    }
}

/// A figure in percent, behind a bar of so many cells that shows how full it is; alone, where they are none.
pub(super) fn meter(share: Option<f64>, cells: usize) -> Line<'static> {
    if cells == 0 {
        return figure(share).into();
    }
    let full = share.map_or(0, |share| {
        ((share / 100.0 * cells as f64).round() as usize).min(cells)
    });
    Line::from(vec![
        "[".into(),
        "|".repeat(full).fg(colour(share.unwrap_or(0.0))),
        " ".repeat(cells - full).into(),
        "] ".into(),
        figure(share),
    ])
}

/// The figure alone.
pub(super) fn figure(share: Option<f64>) -> Span<'static> {
    let Some(share) = share else {
        return format!("{:>6}", "-").into();
    };
    let text = format!("{share:>5.1}%");
    if share >= WARM {
        text.fg(colour(share))
    } else {
        text.into()
    }
}

/// A history over the whole width, the newest at the right edge.
pub(super) fn sparkline(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    slots: &[Option<f64>],
    colour: Color,
) {
    // What is known is seen, however little it is: nothing at all is a gap.
    let least = 100_u64.div_ceil(LEVELS * u64::from(area.height.saturating_sub(1).max(1)));
    let bars = over(slots, usize::from(area.width))
        .into_iter()
        .map(|share| SparklineBar::from(share.map(|share| (share.round() as u64).max(least))));
    let sparkline = Sparkline::default()
        .block(Block::new().title(title.to_owned().dark_gray()))
        .data(bars)
        .max(100)
        .style(Style::new().fg(colour));
    frame.render_widget(sparkline, area);
}

/// Slots of time over so many columns: of several in a column the highest, so that no peak is lost; where there are none, nothing.
fn over(slots: &[Option<f64>], columns: usize) -> Vec<Option<f64>> {
    (0..columns)
        .map(|column| {
            let from = column * slots.len() / columns;
            let to = ((column + 1) * slots.len() / columns).max(from + 1);
            let known = slots.get(from..to.min(slots.len()))?.iter().flatten();
            known.copied().reduce(f64::max)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_fills_the_width_whatever_it_is() {
        let slots: Vec<Option<f64>> = (0..240).map(|slot| Some(f64::from(slot))).collect();
        let narrow = over(&slots, 60);
        assert_eq!((narrow[0], narrow[59]), (Some(3.0), Some(239.0)));
        let (one, three) = (Some(1.0), Some(3.0));
        assert_eq!(over(&[one, None, three], 6), [one, one, None, None, three, three]);
        assert_eq!(over(&[one, None, None, None], 2), [one, None]);
        assert_eq!(over(&[], 3), [None; 3]);
        assert_eq!(over(&slots, 0), []);
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let text = |share, cells| meter(share, cells).to_string();
        assert_eq!(text(None, 10), "[          ]      -");
        assert_eq!(text(Some(0.0), 10), "[          ]   0.0%");
        assert_eq!(text(Some(96.2), 10), "[||||||||||]  96.2%");
        assert_eq!(text(Some(50.0), 4), "[||  ]  50.0%");
        assert_eq!(text(Some(100.0), 0), "100.0%");
        assert_eq!(text(Some(5.0), 20).len(), 20 + usize::from(AROUND_BAR));
    }
}
