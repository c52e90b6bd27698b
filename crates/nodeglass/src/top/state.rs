//! What `top` shows: what is known, how old it is, and why nothing newer comes. [`rows`] orders it, [`keys`] is what keys do.

mod keys;
mod rows;

use std::time::Duration;

use nodeglass_model::{Clock, SystemClock};
use serde_json::Value;
use tokio::time::Instant;

use super::ask::{Answer, History};
pub(super) use rows::{Agent, Process, Sort};

/// How much longer than two looks an answer may take before the picture counts as old.
const GRACE: Duration = Duration::from_secs(2);
/// A history asked for so often is as new as its buckets are wide.
const HISTORY_EVERY: Duration = Duration::from_secs(15);

/// What is the matter while nothing is known to be.
const WAITING: &str = "waiting for the server's answer";

/// Which of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    /// All agents.
    Fleet,
    /// One of them.
    Host(String),
}

/// What keys mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// What help says.
    Commands,
    /// They are typed into the filter.
    Filter,
    /// Help is shown; any key ends it.
    Help,
    /// None is read any more.
    Over,
}

/// One agent, as it is opened.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) is_connected: bool,
    /// How often its agent sends by itself.
    pub(super) interval_seconds: Option<f64>,
    /// When the sample was taken, in Unix milliseconds by the agent's clock; `None` before the first.
    pub(super) taken_ms: Option<i64>,
    /// Null before the first.
    pub(super) sample: Value,
    /// The busiest processes in it.
    pub(super) processes: Vec<Process>,
}

impl Host {
    /// Of when a sample is that is new here. One of a host that is gone is as old as the two clocks say it is; else it is of
    /// now, whatever they say.
    fn since(&self, taken_ms: i64) -> Option<Instant> {
        let now = Instant::now();
        if self.is_connected {
            return Some(now);
        }
        let age = u64::try_from(SystemClock.now().0 - taken_ms).unwrap_or(0);
        now.checked_sub(Duration::from_millis(age)).or(Some(now))
    }
}

/// A picture that is older than it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stale {
    /// `None` where there is no picture yet.
    pub(super) age: Option<Duration>,
    pub(super) why: String,
}

/// Everything that is shown.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is turned by a key or an answer of its own"
)]
pub(super) struct State {
    pub(super) view: View,
    pub(super) agents: Vec<Agent>,
    pub(super) host: Host,
    pub(super) history: History,
    /// Why there is no newer one.
    pub(super) history_problem: Option<String>,
    pub(super) sort: Sort,
    pub(super) is_inverted: bool,
    /// What rows must have in them.
    pub(super) filter: String,
    pub(super) selected: usize,
    /// The row that the selection goes with: an agent's name, a process's number.
    pub(super) followed: Option<String>,
    /// The first row that is shown, as it was drawn, and how many are.
    pub(super) offset: usize,
    pub(super) page: usize,
    pub(super) is_held: bool,
    /// Whether programs are shown with where they lie.
    pub(super) has_paths: bool,
    pub(super) mode: Mode,
    /// Something else wrote on the terminal.
    pub(super) wants_clearing: bool,
    /// Time between two looks.
    pub(super) every: Duration,
    /// Whether the server has said something of this view.
    pub(super) is_known: bool,
    /// Why there was no answer to the last question.
    problem: Option<String>,
    /// When the server last answered.
    answered: Instant,
    /// Of when the agents are, and the host's sample.
    fleet_from: Option<Instant>,
    host_from: Option<Instant>,
    /// When a history last came, or did not.
    history_asked: Option<Instant>,
    /// Esc ends a program that began with a host.
    began_with_host: bool,
    /// The agent to come back to.
    fleet_selected: usize,
}

impl State {
    pub(super) fn new(agent: Option<String>, every: Duration) -> Self {
        Self {
            began_with_host: agent.is_some(),
            view: agent.map_or(View::Fleet, View::Host),
            agents: Vec::new(),
            host: Host::default(),
            history: History::default(),
            history_problem: None,
            sort: Sort::Cpu,
            is_inverted: false,
            filter: String::new(),
            selected: 0,
            followed: None,
            offset: 0,
            page: 1,
            is_held: false,
            has_paths: false,
            mode: Mode::Commands,
            wants_clearing: false,
            every,
            is_known: false,
            problem: None,
            answered: Instant::now(),
            fleet_from: None,
            host_from: None,
            history_asked: None,
            fleet_selected: 0,
        }
    }

    /// Takes what the server said, or why it said nothing: then what was known stays.
    pub(super) fn take(&mut self, answer: anyhow::Result<Answer>) {
        let now = Instant::now();
        match answer {
            Ok(Answer::Fleet(agents)) => {
                self.agents = agents;
                self.fleet_from = Some(now);
            }
            Ok(Answer::Host(host)) => {
                if host.taken_ms != self.host.taken_ms {
                    self.host_from = host.taken_ms.and_then(|at| host.since(at));
                }
                self.host = host;
            }
            Err(error) => {
                self.problem = Some(words(&error));
                return;
            }
        }
        self.problem = None;
        self.is_known = true;
        self.answered = now;
    }

    /// Takes the last hour, or why it is not to be had: then what was known stays.
    pub(super) fn take_history(&mut self, answer: anyhow::Result<History>) {
        self.history_asked = Some(Instant::now());
        match answer {
            Ok(history) => (self.history, self.history_problem) = (history, None),
            Err(error) => self.history_problem = Some(words(&error)),
        }
    }

    /// Whether it is time for another history.
    pub(super) fn wants_history(&self) -> bool {
        self.history_asked.is_none_or(|at| at.elapsed() >= HISTORY_EVERY)
    }

    /// How old the picture is; `None` where there is none.
    pub(super) fn age(&self) -> Option<Duration> {
        let from = match self.view {
            View::Fleet => self.fleet_from,
            View::Host(_) => self.host_from,
        };
        from.map(|from| from.elapsed())
    }

    /// Why nothing newer comes, where something should have. A picture that is held is as old as somebody wants.
    pub(super) fn stale(&self) -> Option<Stale> {
        if self.is_held {
            return None;
        }
        let patience = self.every.saturating_mul(2) + GRACE;
        let why = if let Some(problem) = &self.problem {
            problem.clone()
        } else if self.answered.elapsed() > patience {
            WAITING.to_owned()
        } else {
            match &self.view {
                View::Fleet if self.age()? > patience => WAITING.to_owned(),
                View::Fleet => return None,
                View::Host(id) => self.silence(id, patience)?,
            }
        };
        Some(Stale { age: self.age(), why })
    }

    /// What is the matter with a host of which nothing new comes from a server that answers.
    fn silence(&self, id: &str, patience: Duration) -> Option<String> {
        let age = self.age()?;
        if !self.host.is_connected {
            return Some(format!("{id} is not connected"));
        }
        let interval = self.host.interval_seconds.unwrap_or_default();
        let interval = Duration::try_from_secs_f64(interval).unwrap_or_default();
        (age > patience + interval.saturating_mul(2)).then(|| format!("{id} is connected and sends nothing"))
    }
}

/// What went wrong in one sentence, with what it comes down to.
fn words(error: &anyhow::Error) -> String {
    let (outcome, cause) = (error.to_string(), error.root_cause().to_string());
    if outcome == cause {
        outcome
    } else {
        format!("{outcome} ({cause})")
    }
}

#[cfg(test)]
mod tests;
