//! Colours, or none.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::top) enum Palette {
    Colours,
    /// What has a background is reversed instead.
    Plain,
}

impl Palette {
    /// As `NO_COLOR` wants it: anything in it is a no.
    pub(in crate::top) fn of_environment() -> Self {
        if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            Self::Plain
        } else {
            Self::Colours
        }
    }

    /// Takes the colours out of what was drawn.
    pub(super) fn apply(self, buffer: &mut Buffer) {
        if self == Self::Colours {
            return;
        }
        for cell in &mut buffer.content {
            if cell.bg != Color::Reset {
                cell.modifier.insert(Modifier::REVERSED);
            }
            (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
        }
    }
}
