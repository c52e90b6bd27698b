//! `GET /metrics/stream` and `/ws`: many agents in one stream, as server-sent events or over a WebSocket, with the same events.

mod socket;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, header};
use nodeglass_runtime::backoff::jitter;

use super::parameters::{Parameters, wrong};
use super::{Api, shapes};
use crate::access::Caller;
use crate::error::ApiError;
use crate::listener::Connection;
use crate::live::LiveAgent;
use crate::queries::{Queries, inside};
use crate::registry::selector::{Choice, Choices};
use crate::stream::{self, Event, FeedWish, Seen, Shape, View, feed};

pub(super) use socket::{__path_socket, socket};

/// The interval of a stream that doesn't ask for one.
pub(crate) const DEFAULT_SECONDS: u64 = 5;
/// The longest interval of a stream.
pub(crate) const MAX_SECONDS: u64 = 3_600;
/// How often a silent stream shows that it is alive, so that proxies leave it open.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// A comment, which readers pass over.
pub(super) const ALIVE: Bytes = Bytes::from_static(b":\n\n");
/// What a reader who comes back says that it has seen last.
pub(super) const LAST_EVENT_ID: &str = "last-event-id";
/// How long readers of a server that stops are to wait at the least, and over which time they are spread then.
const SOONEST_BACK: Duration = Duration::from_secs(1);
const SPREAD_OF_READERS: Duration = Duration::from_secs(5);
/// Entries that a stream's list of agents may have.
const MAX_ENTRIES: usize = 1_000;

/// What a caller asks for, by whatever way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked<'a> {
    /// Names, patterns, labels and groups; none for all agents.
    pub(crate) agents: Vec<&'a str>,
    /// Metrics.
    pub(crate) metrics: Vec<&'a str>,
    /// Seconds.
    pub(crate) interval: Option<u64>,
    /// `samples` or `overview`.
    pub(crate) view: Option<&'a str>,
    /// The last event that was seen.
    pub(crate) seen: Option<&'a str>,
}

impl Asked<'_> {
    /// Checks it.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub(crate) async fn wish(&self, queries: &Queries, caller: &Caller) -> Result<FeedWish, ApiError> {
        let seconds = self.interval.unwrap_or(DEFAULT_SECONDS);
        let seconds = inside("interval", seconds, 1..=MAX_SECONDS)?;
        let (shape, view) = match self.view {
            None | Some("samples") => (Shape::Samples, View::samples(&self.metrics)?),
            Some("overview") => (Shape::Overview, View::figures(&self.metrics)?),
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                return Err(wrong(
                    "view",
                    format!("{other:?} is neither samples nor overview"),
                ));
            }
        };
        Ok(FeedWish {
            choice: Box::new(Chosen::new(queries, caller, &self.agents).await?),
            view,
            shape,
            interval: Duration::from_secs(seconds),
            seen: self.seen.and_then(Seen::parse),
            sign_of_life: SIGN_OF_LIFE,
        })
    }
}

/// Agents by names, patterns, labels and groups, as far as the caller may see them.
struct Chosen {
    caller: Caller,
    choices: Choices,
}

impl Chosen {
    async fn new(queries: &Queries, caller: &Caller, agents: &[&str]) -> Result<Self, ApiError> {
        if agents.len() > MAX_ENTRIES {
            return Err(wrong(
                "agents",
                format!("at most {MAX_ENTRIES} entries: use patterns, labels or groups"),
            ));
        }
        let mut choices =
            Choices::parse(agents.iter().copied()).map_err(|problem| wrong("agents", problem))?;
        for choice in &mut choices.0 {
            // A pattern, a label or a group may fit nobody yet.
            if let Choice::Name(name) = choice {
                *name = queries.agent(caller, name).await?.id.to_string();
            }
        }
        Ok(Self {
            caller: caller.clone(),
            choices,
        })
    }
}

impl stream::Choice for Chosen {
    fn means(&self, agent: &LiveAgent) -> bool {
        self.choices.means(agent) && self.caller.may_see(agent)
    }
}

/// Samples of many agents as server-sent events.
///
/// An event `metrics` has one sample with its `agent_id`; an event `agent` says who is `connected`, `disconnected` or has `left`.
/// Agents that come later join. With `view=overview` there is one event `overview` in each interval instead, with the figures of all
/// agents of which something changed; the first one has all (`full`). An event's `id` says how far the reader has come, however many
/// agents it reads: one who comes back with it as `Last-Event-ID` goes on there. The last event is `error`, and says why it ends.
#[utoipa::path(
    get, path = "/api/v1/metrics/stream", operation_id = "fleet_stream", tag = "metrics",
    params(
        ("agents" = Option<String>, Query, description = "Names, patterns (`web-*`), labels (`label:env=prod`) and groups (`group:web`), separated by commas; all without it"),
        ("metrics" = Option<String>, Query,
            description = "What samples are to have (`cpu,disk.usage_percent`), or the series of the overview; separated by commas"),
        ("interval" = Option<u64>, Query, minimum = 1, maximum = 3_600,
            description = "Seconds between two samples of an agent, at least; 5 without it"),
        ("view" = Option<String>, Query, description = "`samples`, or `overview`"),
        ("last-event-id" = Option<String>, Header, description = "The last event that the reader has seen"),
    ),
    responses((status = 200, description = "Events, for as long as they are read.",
        body = shapes::FleetEvent, content_type = "text/event-stream")),
)]
pub(super) async fn stream(
    State(api): State<Api>,
    caller: Caller,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["agents", "metrics", "interval", "view"])?;
    let asked = Asked {
        agents: parameters.list("agents"),
        metrics: parameters.list("metrics"),
        interval: parameters.parsed("interval", "a number of whole seconds")?,
        view: parameters.text("view"),
        seen: headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()),
    };
    let wish = asked.wish(&api.queries, &caller).await?;
    let place = api
        .queries
        .open_stream(connection.map(|Extension(connection)| connection))?;
    let ended = caller.ended().clone();
    let view = wish.view.clone();
    let events =
        feed(api.queries.agents().await.clone(), wish, ended, place).map(move |events| text(&events, &view));
    let last = futures_util::stream::once(async move { last_event(&api, &caller) });
    Ok(sse(events.chain(last)))
}

/// An event stream of these texts.
pub(super) fn sse(texts: impl futures_util::Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // Proxies that gather answers would hold events back.
        (http::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(texts.map(Ok::<_, Infallible>))).into_response()
}

/// Events as they are written; none of them is a sign of life.
fn text(events: &[Event], view: &View) -> Bytes {
    if events.is_empty() {
        return ALIVE;
    }
    let mut text = Vec::new();
    for event in events {
        write_event(&mut text, event.name(), event.id, &event.data(view));
    }
    text.into()
}

fn write_event(text: &mut Vec<u8>, name: &str, id: Option<Seen>, data: &[u8]) {
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    if let Some(id) = id {
        text.extend_from_slice(format!("\nid: {id}").as_bytes());
    }
    // Compact JSON has no line breaks, so one line of data holds it.
    text.extend_from_slice(b"\ndata: ");
    text.extend_from_slice(data);
    text.extend_from_slice(b"\n\n");
}

/// Why a stream of this caller ends, as its last event. All readers of a server that stops are sent away at once; a browser
/// comes back when it was told to, and they are told different times.
pub(super) fn last_event(api: &Api, caller: &Caller) -> Bytes {
    let mut text = Vec::new();
    if api.stop.is_cancelled() {
        let pause = SOONEST_BACK + jitter(SPREAD_OF_READERS);
        text.extend_from_slice(format!("retry: {}\n", pause.as_millis()).as_bytes());
    }
    write_event(&mut text, "error", None, &ending(api, caller));
    text.into()
}

/// Why a stream ends that was not closed by its reader, as JSON.
pub(super) fn ending(api: &Api, caller: &Caller) -> Bytes {
    let (code, message) = if api.stop.is_cancelled() {
        (
            "server_stopping",
            "the server is stopping: come back in a moment, with the last event's id",
        )
    } else if caller.ended().is_cancelled() {
        (
            "access_ended",
            "the token or the session has ended, or may do other things now: sign in again, or use another token",
        )
    } else {
        (
            "agent_gone",
            "the agent was renamed or forgotten: look for it in the list of agents",
        )
    };
    format!(r#"{{"code":"{code}","message":"{message}"}}"#).into()
}

/// What samples of one agent look like with some metrics alone.
pub(super) fn view_of(metrics: &[&str]) -> Result<Option<Arc<View>>, ApiError> {
    (!metrics.is_empty()).then(|| View::samples(metrics)).transpose()
}

#[cfg(test)]
mod tests {
    use nodeglass_store::{AgentKey, AgentRecord, Role};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::access::{CallerKind, Selector};
    use crate::live::Live;

    #[test]
    fn a_stream_has_whom_it_names_as_far_as_its_reader_may_see_them() {
        let live = Live::default();
        let agents = [(1, "web-1"), (2, "web-2"), (3, "db-1")].map(|(key, name)| {
            live.admit(&AgentRecord {
                key: AgentKey(key),
                id: name.parse().unwrap(),
                system_info: None,
            })
        });
        let meant = |selector: Selector, entries: &[&str]| {
            let caller = Caller::new(
                "reader",
                Role::Viewer,
                selector,
                CallerKind::Token,
                CancellationToken::new(),
            );
            let choices = Choices::parse(entries.iter().copied()).unwrap();
            let chosen = Chosen { caller, choices };
            agents
                .each_ref()
                .map(|agent| stream::Choice::means(&chosen, agent))
        };
        let web = || Selector::of(["web-*"]).unwrap();
        assert_eq!(meant(Selector::all(), &[]), [true; 3]);
        assert_eq!(meant(web(), &[]), [true, true, false]);
        assert_eq!(meant(web(), &["*1"]), [true, false, false]);
        assert_eq!(meant(Selector::all(), &["db-1", "web-2"]), [false, true, true]);
        assert_eq!(meant(Selector::all(), &["label:env!=prod"]), [true; 3]);
        assert_eq!(meant(web(), &["label:env"]), [false; 3]);
    }
}
