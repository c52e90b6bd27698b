//! What `top` asks the server: what is now, what was in the last hour, and to see a host as often as it is shown.

mod answer;

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::state::{Agent, Host, State, View};
use crate::rest::{Refused, Rest};
pub(super) use answer::History;
use answer::{Agents, Description};

/// The figures of the fleet's rows.
const FIGURES: &str = "cpu.usage_percent,memory.usage_percent,disk.usage_percent,network.bytes_recv_per_sec,\
                       network.bytes_sent_per_sec,load.load1";
/// The metrics of the history above a host's processes.
const HISTORY: &str = "cpu.usage_percent,memory.usage_percent";
/// Its span, and the most buckets that are asked for: as many as a wide terminal has columns for each of the two.
const HISTORY_SPAN: (&str, &str) = ("-1h", "240");
/// Who has no answer by then is told so, and asks again: sooner than connections are given up, so that it is always this that
/// is told of a server that is silent.
const PATIENCE: Duration = Duration::from_secs(8);
/// When a stream that ended is opened again.
const STREAM_PAUSE: Duration = Duration::from_secs(5);

/// What the server says of a view.
#[derive(Debug)]
pub(super) enum Answer {
    /// Of all agents.
    Fleet(Vec<Agent>),
    /// Of one.
    Host(Host),
}

/// Something on its way.
type Asking<'a, T> = Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>;

/// What is on its way: of each kind one at most. What is replaced is not asked any more.
#[derive(Default)]
pub(super) struct Questions<'a> {
    pub(super) now: Asking<'a, anyhow::Result<Answer>>,
    pub(super) past: Asking<'a, anyhow::Result<History>>,
    /// Never has an answer. While it is there the agent of a host sends as often as it is shown.
    pub(super) presence: Asking<'a, ()>,
}

impl<'a> Questions<'a> {
    /// All that a view needs.
    pub(super) fn of(rest: &'a Rest, state: &State) -> Self {
        let mut questions = Self::default();
        questions.ask_again(rest, state);
        if let View::Host(id) = &state.view
            && !state.is_held
        {
            questions.presence = Some(Box::pin(look_on(rest, id.clone(), state.every)));
        }
        questions
    }

    /// Asks what is not asked already, and is to be asked by now.
    pub(super) fn ask_again(&mut self, rest: &'a Rest, state: &State) {
        if self.now.is_none() {
            let view = state.view.clone();
            self.now = Some(Box::pin(async move { now(rest, &view).await }));
        }
        if let View::Host(id) = &state.view
            && self.past.is_none()
            && state.wants_history()
        {
            let id = id.clone();
            self.past = Some(Box::pin(async move { past(rest, &id).await }));
        }
    }
}

/// Waits for an answer; for ever, where nothing is asked.
pub(super) async fn arrived<T>(asking: &mut Asking<'_, T>) -> T {
    let Some(question) = asking else {
        return pending().await;
    };
    let answer = question.await;
    *asking = None;
    answer
}

/// What a view shows.
///
/// # Errors
/// The server can't be reached, does not answer, or refuses; the words are for people.
pub(super) async fn now(rest: &Rest, view: &View) -> anyhow::Result<Answer> {
    match view {
        View::Fleet => {
            let agents: Agents = read(rest, "metrics/agents", &[("metrics", FIGURES.to_owned())]).await?;
            Ok(Answer::Fleet(agents.into()))
        }
        View::Host(id) => {
            let path = format!("agents/{id}");
            let sample_path = format!("{path}/metrics");
            let (description, sample) = tokio::join!(read(rest, &path, &[]), read(rest, &sample_path, &[]));
            let description: Description = description?;
            let sample = match sample {
                Ok(sample) => Some(sample),
                Err(error) if is_refused_as(&error, "no_metrics") => None,
                Err(error) => return Err(error),
            };
            Ok(Answer::Host(description.with(sample)))
        }
    }
}

/// The last hour of a host.
async fn past(rest: &Rest, id: &str) -> anyhow::Result<History> {
    let parameters = [
        ("metrics", HISTORY.to_owned()),
        ("start", HISTORY_SPAN.0.to_owned()),
        ("max_points", HISTORY_SPAN.1.to_owned()),
    ];
    let answer: answer::Past = read(rest, &format!("agents/{id}/metrics/history"), &parameters).await?;
    Ok(answer.into())
}

/// Reads a stream of a host's samples, which are not looked at: what is shown is asked for. A server that has no stream to
/// spare is no trouble; then samples come as often as the agent sends by itself.
async fn look_on(rest: &Rest, id: String, every: Duration) {
    let path = format!("agents/{id}/metrics/stream");
    let parameters = [
        ("interval", every.as_secs().max(1).to_string()),
        ("metrics", "load".to_owned()),
    ];
    loop {
        if let Ok(mut stream) = rest.get(&path, &parameters).await {
            while let Ok(Some(_)) = stream.chunk().await {}
        }
        sleep(STREAM_PAUSE).await;
    }
}

/// An answer in JSON. Who answers too late does not answer.
async fn read<T: DeserializeOwned>(
    rest: &Rest,
    path: &str,
    parameters: &[(&str, String)],
) -> anyhow::Result<T> {
    let answer = async {
        let answer = rest.get(path, parameters).await?;
        answer.json().await.context("the server's answer can't be read")
    };
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| {
        Err(anyhow!(
            "the server did not answer within {} s",
            PATIENCE.as_secs()
        ))
    })
}

fn is_refused_as(error: &anyhow::Error, code: &str) -> bool {
    error
        .downcast_ref::<Refused>()
        .is_some_and(|refused| refused.code.as_deref() == Some(code))
}
