//! A program of ours on a terminal of the test's: its screen as somebody sees it, and keys.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::Command;
use tokio::time::Instant;
use vt100::Parser;

use crate::process::{Process, command_after};
use crate::{PATIENCE, eventually};

/// A terminal with a program on it, which is killed when this is dropped.
pub struct Terminal {
    keys: File,
    screen: Arc<Mutex<Parser>>,
    process: Process,
}

/// A command that runs a program of ours in a session of its own, whose terminal it is, as a shell would start it.
pub fn command_on_a_terminal(name: &str) -> Command {
    let mut command = command_after(&["setsid", "--ctty", "--wait"].map(str::to_owned), name);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    command
}

fn parser((rows, columns): (u16, u16)) -> Parser {
    Parser::new(
        rows.try_into().expect("a terminal has rows"),
        columns.try_into().expect("a terminal has columns"),
        0,
    )
}

fn size((ws_row, ws_col): (u16, u16)) -> Winsize {
    Winsize {
        ws_row,
        ws_col,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Terminal {
    /// Starts a program on a terminal with so many rows and columns.
    ///
    /// # Panics
    /// The system has no terminal left, or the program can't be started.
    pub fn start(mut command: Command, rows_and_columns: (u16, u16)) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&controller).expect("its other end");
        unlockpt(&controller).expect("its other end");
        tcsetwinsize(&controller, size(rows_and_columns)).expect("a size");
        let name = ptsname(&controller, Vec::new()).expect("its name");
        let terminal =
            rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
        let end = |end: &OwnedFd| Stdio::from(end.as_fd().try_clone_to_owned().expect("a descriptor"));
        command
            .stdin(end(&terminal))
            .stdout(end(&terminal))
            .stderr(end(&terminal));
        let process = Process::start(&mut command);
        drop((terminal, command));
        let screen = Arc::new(Mutex::new(parser(rows_and_columns)));
        let keys = File::from(controller);
        let (mut output, shown) = (keys.try_clone().expect("a descriptor"), screen.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The last who has the terminal open closes it, which reads as an error here.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .process(&bytes[..count]);
            }
        });
        Self {
            keys,
            screen,
            process,
        }
    }

    /// Types keys.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Gives it another size, as who drags the corner of its window does. What was drawn for the other size is gone.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn resize(&self, rows_and_columns: (u16, u16)) {
        self.on_screen(|screen| *screen = parser(rows_and_columns));
        tcsetwinsize(&self.keys, size(rows_and_columns)).expect("a terminal");
    }

    /// What stands on it, line by line, without blanks at the ends.
    pub fn text(&self) -> String {
        self.on_screen(|screen| screen.screen().contents())
    }

    /// Looks at the screen with its colours.
    pub fn on_screen<T>(&self, look: impl FnOnce(&mut Parser) -> T) -> T {
        look(&mut self.screen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The screen, once it is as the test wants it.
    ///
    /// # Panics
    /// It never is; shows what it was last.
    pub async fn when(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        self.within(PATIENCE, what, holds).await
    }

    /// The same within a time of the test's.
    ///
    /// # Panics
    /// It is not so by then.
    pub async fn within(&self, time: Duration, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + time;
        loop {
            let text = self.text();
            if holds(&text) {
                return text;
            }
            assert!(
                Instant::now() < until,
                "waited {} s in vain for: {what}\n{text}",
                time.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the program to end.
    ///
    /// # Panics
    /// It does not.
    pub async fn ended(&mut self) {
        eventually("the program to end", async || {
            self.process.has_ended().then_some(())
        })
        .await;
    }
}
