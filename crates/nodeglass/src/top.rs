//! `nodeglass top`: all agents, or one, on a terminal, live. Keys are htop's where they fit.
//!
//! [`ask`] asks the server, [`state`] is what is shown and what keys do to it, [`draw`] draws it, [`keyboard`] has
//! the keys. This file waits for keys and for answers, for whichever comes first: no key waits for the server.

mod ask;
mod draw;
mod keyboard;
mod state;

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use ratatui::DefaultTerminal;
use tokio::time::{MissedTickBehavior, interval};

use crate::client::Server;
use crate::rest::{Refused, Rest};
use ask::Questions;
use draw::Palette;
use keyboard::{Deed, Keyboard};
use state::{Mode, State};

/// How old a picture is counts in seconds.
const REDRAW: Duration = Duration::from_secs(1);

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
        let rest = self.server.rest()?.impatient();
        let mut state = State::new(self.agent, self.interval);
        // Before the terminal is taken over: what is wrong with the server or the token is said in plain lines.
        let answer = ask::now(&rest, &state.view).await?;
        state.take(Ok(answer));
        let mut terminal = ratatui::try_init().context("the terminal can't be taken over")?;
        let result = follow(&mut terminal, &rest, state).await;
        ratatui::restore();
        result
    }
}

/// Draws and asks until somebody wants to go.
async fn follow(terminal: &mut DefaultTerminal, rest: &Rest, mut state: State) -> anyhow::Result<()> {
    let palette = Palette::of_environment();
    let mut keyboard = Keyboard::default();
    let mut looks = interval(state.every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut redraws = interval(REDRAW);
    redraws.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut questions = Questions::of(rest, &state);
    while state.mode != Mode::Over {
        terminal.draw(|frame| draw::draw(frame, &mut state, palette))?;
        tokio::select! {
            deed = keyboard.next() => match deed? {
                Deed::Key(key) => {
                    let before = (state.view.clone(), state.is_held);
                    state.press(key);
                    if state.view != before.0 || (before.1 && !state.is_held) {
                        questions = Questions::of(rest, &state);
                    } else if state.is_held {
                        questions = Questions::default();
                    }
                    if std::mem::take(&mut state.wants_clearing) {
                        let all = terminal.get_frame().area();
                        terminal.resize(all)?;
                    }
                }
                Deed::Other => {}
                Deed::End => state.mode = Mode::Over,
            },
            answer = ask::arrived(&mut questions.now) => {
                let refused = answer.as_ref().err().and_then(|error| error.downcast_ref::<Refused>());
                if let Some(pause) = refused.and_then(|refused| refused.retry_after) {
                    looks.reset_after(pause.max(state.every));
                }
                state.take(answer);
            }
            history = ask::arrived(&mut questions.past) => state.take_history(history),
            () = ask::arrived(&mut questions.presence) => {}
            _ = looks.tick(), if !state.is_held => questions.ask_again(rest, &state),
            _ = redraws.tick() => {}
        }
    }
    Ok(())
}
