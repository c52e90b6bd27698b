//! `nodeglass top`: all agents, or one, on a terminal, live. Keys are htop's where they fit.
//!
//! [`ask`] asks the server, [`state`] is what is shown and what keys do to it, [`draw`] draws it.

mod ask;
mod draw;
mod state;

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::time::{MissedTickBehavior, interval};

use crate::client::Server;
use crate::rest::Rest;
use state::{Mode, State, View};

/// A history asked for so often is as new as its columns are wide.
const HISTORY_EVERY: u32 = 15;

/// Follow all agents, or one, on the terminal.
#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    server: Server,
    /// Begin with this agent
    agent: Option<String>,
    /// Time between two looks
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    interval: Duration,
}

impl Top {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            bail!("top needs a terminal; `nodeglass agents` and `nodeglass watch` print lines");
        }
        if self.interval < Duration::from_millis(100) {
            bail!("--interval is shorter than 100ms");
        }
        let rest = self.server.rest()?;
        let mut state = State::new(self.agent);
        // Before the terminal is taken over: what is wrong with the server or the token is said in plain lines.
        ask::look(&rest, &mut state, true).await?;
        let mut terminal = ratatui::try_init().context("the terminal can't be taken over")?;
        let result = follow(&mut terminal, &rest, state, self.interval).await;
        ratatui::restore();
        result
    }
}

/// Draws and asks until somebody wants to go.
async fn follow(
    terminal: &mut DefaultTerminal,
    rest: &Rest,
    mut state: State,
    every: Duration,
) -> anyhow::Result<()> {
    let mut keys = EventStream::new();
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0_u32;
    while state.mode != Mode::Over {
        terminal.draw(|frame| draw::draw(frame, &mut state))?;
        tokio::select! {
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    let before = state.view.clone();
                    state.press(key);
                    if state.view != before && state.view != View::Fleet {
                        look(rest, &mut state, true).await;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("reading the keyboard"),
                None => state.mode = Mode::Over,
            },
            _ = looks.tick() => {
                number = number.wrapping_add(1);
                if !state.is_paused {
                    look(rest, &mut state, number.is_multiple_of(HISTORY_EVERY)).await;
                }
            }
        }
    }
    Ok(())
}

/// Asks the server; what goes wrong is shown, and what was known stays.
async fn look(rest: &Rest, state: &mut State, with_history: bool) {
    state.problem = ask::look(rest, state, with_history)
        .await
        .err()
        .map(|error| format!("{error:#}"));
}
