//! Keys and changes of size, as they come.

use std::io;

use anyhow::Context;
use crossterm::event::{Event, EventStream, KeyEvent, KeyEventKind};
use futures_util::StreamExt;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

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
            Some(Ok(Event::Resize(..))) => {
                announce_again();
                Ok(Deed::Other)
            }
            Some(Ok(_)) => Ok(Deed::Other),
            Some(Err(error)) => Err(error).context("the keyboard can't be read"),
            None => Ok(Deed::End),
        }
    }
}

/// Has the terminal say once more that there are keys. crossterm hears it once, and forgets it where it comes together with a
/// change of size: such a key would wait for the next one. Setting a terminal to what it is set to wakes whoever waits for it.
fn announce_again() {
    let terminal = io::stdin();
    // Where that can't be, the next key brings this one.
    let _ = tcgetattr(&terminal).and_then(|as_it_is| tcsetattr(&terminal, OptionalActions::Now, &as_it_is));
}
