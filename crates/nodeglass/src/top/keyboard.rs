//! Keys and changes of size, as they come.

use anyhow::Context;
use crossterm::event::{Event, EventStream, KeyEvent, KeyEventKind};
use futures_util::StreamExt;

/// What somebody did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Key(KeyEvent),
    /// Something else that is to be drawn: another size above all.
    Other,
    /// Went away: no key comes any more.
    End,
}

/// The terminal's end at which somebody types.
#[derive(Default)]
pub(super) struct Keyboard(EventStream);

impl Keyboard {
    /// The next deed. Nothing is lost if it is not waited for to the end.
    ///
    /// # Errors
    /// The terminal can't be read.
    pub(super) async fn next(&mut self) -> anyhow::Result<Deed> {
        match self.0.next().await {
            Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => Ok(Deed::Key(key)),
            Some(Ok(_)) => Ok(Deed::Other),
            Some(Err(error)) => Err(error).context("the keyboard can't be read"),
            None => Ok(Deed::End),
        }
    }
}
