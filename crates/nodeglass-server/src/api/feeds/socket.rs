//! `/ws`: the streams of [`super::stream`] over a WebSocket, for dashboards. A message is an event as JSON:
//! `{"event": "metrics", "id": "...", "data": {...}}`.
//!
//! What is wanted stands in the query, and can be changed by a message `{"type": "subscribe", "agents": [...], ...}`. A socket has
//! the place of one stream, whatever it reads.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::stream::{BoxStream, SplitSink};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, header};
use serde::Deserialize;
use tokio::time::Instant;

use super::super::Api;
use super::super::parameters::{Parameters, wrong};
use super::{Asked, ending};
use crate::access::Caller;
use crate::error::{ApiError, Problem};
use crate::listener::Connection;
use crate::stream::{Event, FeedWish, Place, View, feed};

/// The largest message that is taken: a thousand names.
const MAX_MESSAGE_BYTES: usize = 128 << 10;
/// How often the other end is asked whether it is there.
const PING: Duration = Duration::from_secs(10);
/// How long it may say nothing at all, pongs included. With [`SEND`], nobody holds a place for 30 s who is gone or does not read.
const SILENCE: Duration = Duration::from_secs(19);
/// How long a message may wait for the other end to take it.
const SEND: Duration = Duration::from_secs(20);
/// Changes of what is read, and other messages, that a client may send in [`MESSAGES_IN`].
const MAX_MESSAGES: u32 = 60;
/// The time for which they are counted.
const MESSAGES_IN: Duration = Duration::from_mins(1);

/// What a client may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Said {
    /// Reads this from now on, instead of what it read before.
    Subscribe(Wanted),
    /// Reads nothing any more.
    Unsubscribe,
    /// Is answered by a `pong`, for programs that can't see those of the protocol.
    Ping,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    agents: Vec<String>,
    metrics: Vec<String>,
    interval: Option<u64>,
    view: Option<String>,
    last_event_id: Option<String>,
}

/// What is read now.
struct Reading {
    events: BoxStream<'static, Vec<Event>>,
    view: Arc<View>,
}

/// Samples of many agents over a WebSocket.
///
/// The events are those of `/api/v1/metrics/stream`, each a message `{"event": ..., "id": ..., "data": ...}`. What is read
/// stands in the query, and is changed by a message `{"type": "subscribe", "agents": ["web-*"], "metrics": ["cpu"], "interval": 1, "view":
/// "samples", "last_event_id": "..."}`; `unsubscribe` ends it, and `ping` is answered. Without `agents` in the query nothing is read
/// until the first such message.
#[utoipa::path(
    get, path = "/ws", operation_id = "socket", tag = "metrics",
    params(
        ("agents" = Option<String>, Query, description = "Names and patterns, separated by commas; `*` for all"),
        ("metrics" = Option<String>, Query, description = "As for `/api/v1/metrics/stream`"),
        ("interval" = Option<u64>, Query, minimum = 1, maximum = 3_600, description = "Seconds; 5 without it"),
        ("view" = Option<String>, Query, description = "`samples`, or `overview`"),
    ),
    responses(
        (status = 101, description = "Messages follow."),
        (status = 403, description = "The page that opens it is another site's.", body = Problem, content_type = "application/problem+json"),
        (status = 426, description = "The call is no WebSocket's.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::api) async fn socket(
    State(api): State<Api>,
    caller: Caller,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    parameters: Parameters,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["agents", "metrics", "interval", "view"])?;
    check_origin(&headers)?;
    let interval = parameters.parsed("interval", "a number of whole seconds")?;
    let agents = parameters.list("agents");
    let wish = if agents.is_empty() {
        None
    } else {
        let asked = Asked {
            agents,
            metrics: parameters.list("metrics"),
            interval,
            view: parameters.text("view"),
            seen: None,
        };
        Some(asked.wish(&api.queries, &caller).await?)
    };
    let upgrade = upgrade.map_err(|_| ApiError::NoWebSocket)?;
    let place = api
        .queries
        .open_stream(connection.map(|Extension(connection)| connection))?;
    let tasks = api.tasks.clone();
    let mut session = Session {
        api,
        caller,
        place,
        reading: None,
        heard: Instant::now(),
        counted: (Instant::now(), 0),
    };
    if let Some(wish) = wish {
        session.read(wish).await;
    }
    Ok(upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(async move |socket| {
            tasks.spawn_transient("socket", session.run(socket));
        }))
}

/// A browser says which page opens a socket, and sends its cookies along whichever that is: a page of another site must not read
/// with the rights of whoever looks at it. Programs say nothing, and have a token.
fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().unwrap_or_default();
    let is_same = origin.split_once("://").is_some_and(|(scheme, from)| {
        matches!(scheme, "http" | "https") && host.is_some_and(|host| host.eq_ignore_ascii_case(from))
    });
    if is_same {
        Ok(())
    } else {
        Err(ApiError::ForeignOrigin)
    }
}

struct Session {
    api: Api,
    caller: Caller,
    place: Place,
    reading: Option<Reading>,
    heard: Instant,
    /// Since when messages are counted, and how many came.
    counted: (Instant, u32),
}

/// Why a socket is closed.
struct Closing(u16, &'static str);

impl Session {
    async fn run(mut self, socket: WebSocket) {
        let (mut out, mut said) = socket.split();
        let mut ping = tokio::time::interval(PING);
        let closing = loop {
            let sent = tokio::select! {
                () = self.caller.ended().cancelled() => {
                    let _ = self.send(&mut out, message("error", None, &ending(&self.api, &self.caller))).await;
                    break Some(Closing(close_code::AWAY, "the stream has ended"));
                }
                events = next(&mut self.reading) => self.give(&mut out, events).await,
                _ = ping.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        break None;
                    }
                    self.send(&mut out, Message::Ping(bytes::Bytes::new())).await
                }
                message = said.next() => match message {
                    Some(Ok(message)) => {
                        self.heard = Instant::now();
                        self.hear(&mut out, message).await
                    }
                    Some(Err(_)) | None => break None,
                },
            };
            if let Err(closing) = sent {
                break closing;
            }
        };
        if let Some(Closing(code, reason)) = closing {
            let close = Message::Close(Some(CloseFrame {
                code,
                reason: Utf8Bytes::from_static(reason),
            }));
            let _ = tokio::time::timeout(SEND, out.send(close)).await;
        }
    }

    /// Gives what came; a stream that has ended says why.
    async fn give(
        &mut self,
        out: &mut SplitSink<WebSocket, Message>,
        events: Option<Vec<Event>>,
    ) -> Result<(), Option<Closing>> {
        let view = self.reading.as_ref().map(|reading| reading.view.clone());
        let (Some(events), Some(view)) = (events, view) else {
            self.reading = None;
            let _ = self
                .send(out, message("error", None, &ending(&self.api, &self.caller)))
                .await;
            return Err(Some(Closing(close_code::AWAY, "the stream has ended")));
        };
        for event in &events {
            let id = event.id.as_ref().map(ToString::to_string);
            self.send(out, message(event.name(), id, &event.data(&view)))
                .await?;
        }
        // It may be the last one that is read of this stream.
        self.place.taken();
        Ok(())
    }

    fn send<'a>(
        &self,
        out: &'a mut SplitSink<WebSocket, Message>,
        message: Message,
    ) -> impl Future<Output = Result<(), Option<Closing>>> + Send + use<'a> {
        let place = self.place.clone();
        async move {
            match tokio::time::timeout(SEND, out.send(message)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(None),
                // Nobody would take a farewell either.
                Err(_) => {
                    place.cut();
                    Err(None)
                }
            }
        }
    }

    async fn hear(
        &mut self,
        out: &mut SplitSink<WebSocket, Message>,
        message: Message,
    ) -> Result<(), Option<Closing>> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                return Err(Some(Closing(close_code::UNSUPPORTED, "messages are JSON text")));
            }
            Message::Close(_) => return Err(None),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        let (since, count) = &mut self.counted;
        if since.elapsed() > MESSAGES_IN {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
        if *count > MAX_MESSAGES {
            return Err(Some(Closing(
                close_code::POLICY,
                "more than 60 messages in a minute",
            )));
        }
        let done = match serde_json::from_str::<Said>(&text) {
            Ok(Said::Ping) => {
                return self
                    .send(out, Message::Text(r#"{"event":"pong","data":{}}"#.into()))
                    .await;
            }
            Ok(Said::Unsubscribe) => {
                self.reading = None;
                Ok(())
            }
            Ok(Said::Subscribe(wanted)) => self.subscribe(&wanted).await,
            Err(error) => {
                let error: String = error.to_string().chars().take(300).collect();
                Err(wrong(
                    "message",
                    format!("it is none that is taken here: {error}"),
                ))
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(error) => {
                let problem = error.into_problem();
                let body = String::from_utf8_lossy(&problem.body()).into_owned();
                self.send(
                    out,
                    Message::Text(format!(r#"{{"event":"error","data":{body}}}"#).into()),
                )
                .await
            }
        }
    }

    async fn subscribe(&mut self, wanted: &Wanted) -> Result<(), ApiError> {
        let asked = Asked {
            agents: wanted.agents.iter().map(String::as_str).collect(),
            metrics: wanted.metrics.iter().map(String::as_str).collect(),
            interval: wanted.interval,
            view: wanted.view.as_deref(),
            seen: wanted.last_event_id.as_deref(),
        };
        let wish = asked.wish(&self.api.queries, &self.caller).await?;
        self.read(wish).await;
        Ok(())
    }

    async fn read(&mut self, wish: FeedWish) {
        let live = self.api.queries.agents().await.clone();
        let view = wish.view.clone();
        let events = feed(live, wish, self.caller.ended().clone(), self.place.clone()).boxed();
        self.reading = Some(Reading { events, view });
    }
}

/// The next events; never, while nothing is read.
async fn next(reading: &mut Option<Reading>) -> Option<Vec<Event>> {
    match reading {
        Some(reading) => reading.events.next().await,
        None => std::future::pending().await,
    }
}

fn message(name: &str, id: Option<String>, data: &[u8]) -> Message {
    let id = id.map(|id| format!(",\"id\":\"{id}\"")).unwrap_or_default();
    let data = String::from_utf8_lossy(data);
    Message::Text(format!("{{\"event\":\"{name}\"{id},\"data\":{data}}}").into())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_page_of_another_site_opens_no_socket() {
        let check = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("monitor:7080"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            check_origin(&headers).is_ok()
        };
        assert!(check(None) && check(Some("https://monitor:7080")) && check(Some("http://MONITOR:7080")));
        for foreign in [
            "https://evil.example",
            "https://monitor",
            "null",
            "",
            "file://monitor:7080",
        ] {
            assert!(!check(Some(foreign)), "{foreign:?}");
        }
    }
}
