//! `GET /agents/{id}/metrics/stream`: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt};

use super::Api;
use super::parameters::{AgentName, Parameters, wrong};
use crate::error::ApiError;
use crate::stream::samples;

/// The interval of a stream that doesn't ask for one.
const DEFAULT_SECONDS: u64 = 5;
/// The longest interval of a stream.
const MAX_SECONDS: u64 = 3_600;
/// How often a silent stream shows that it is alive, so that proxies leave it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An event `metrics` with the latest sample at once, and with each new one, at most one in each `interval` seconds.
pub(super) async fn stream(
    State(api): State<Api>,
    AgentName(id): AgentName,
    parameters: Parameters,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let parameters = parameters.only(&["interval"])?;
    let seconds = parameters
        .parsed::<u64>("interval", "a number of whole seconds")?
        .unwrap_or(DEFAULT_SECONDS);
    if !(1..=MAX_SECONDS).contains(&seconds) {
        return Err(wrong(
            "interval",
            format!("{seconds} is not within 1 to {MAX_SECONDS} seconds"),
        ));
    }
    let agent = api.queries.agent(&id).await?;
    let permit = api.queries.open_stream()?;
    let samples = samples(&agent, Duration::from_secs(seconds), api.stop.clone(), permit);
    let events = samples.map(|live| {
        let json = live.json();
        let event = Event::default()
            .event("metrics")
            .id(live.sample.timestamp.0.to_string());
        Ok(event.data(String::from_utf8_lossy(&json)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
