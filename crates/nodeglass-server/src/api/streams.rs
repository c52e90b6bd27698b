//! An agent's samples as server-sent events.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use futures_util::StreamExt;
use http::HeaderMap;
use nodeglass_model::SampleId;

use super::feeds::{
    ALIVE, DEFAULT_SECONDS, LAST_EVENT_ID, MAX_SECONDS, SIGN_OF_LIFE, last_event, sse, view_of,
};
use super::parameters::{AgentName, Parameters};
use super::{Api, shapes};
use crate::access::Caller;
use crate::error::ApiError;
use crate::listener::Connection;
use crate::queries::inside;
use crate::stream::{Wish, samples};

/// An agent's samples as server-sent events.
///
/// An event `metrics` with the latest sample at once, and with each new one, at most one in each `interval` seconds. A
/// reader who comes back and says what it saw last has what it missed first, as far as it is still known. The last event is
/// `error`, and says why the stream ends.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/metrics/stream", operation_id = "agent_stream", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("interval" = Option<u64>, Query, minimum = 1, maximum = 3_600,
            description = "Seconds between two events, at least; 5 without it"),
        ("metrics" = Option<String>, Query, description = "What samples are to have: `cpu,disk.usage_percent`; everything without it"),
        ("last-event-id" = Option<String>, Header, description = "The last event that the reader has seen"),
    ),
    responses((status = 200, description = "Events, for as long as they are read.",
        body = shapes::SampleEvent, content_type = "text/event-stream")),
)]
pub(super) async fn stream(
    State(api): State<Api>,
    caller: Caller,
    connection: Option<Extension<Connection>>,
    AgentName(id): AgentName,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["interval", "metrics"])?;
    let seconds = parameters
        .parsed::<u64>("interval", "a number of whole seconds")?
        .unwrap_or(DEFAULT_SECONDS);
    let seconds = inside("interval", seconds, 1..=MAX_SECONDS)?;
    let agent = api.queries.agent(&caller, &id).await?;
    let place = api
        .queries
        .open_stream(connection.map(|Extension(connection)| connection))?;
    let wish = Wish {
        interval: Duration::from_secs(seconds),
        seen: headers.get(LAST_EVENT_ID).and_then(|id| seen(id.to_str().ok()?)),
        sign_of_life: Some(SIGN_OF_LIFE),
    };
    let view = view_of(&parameters.list("metrics"))?;
    let id = agent.id.clone();
    let events = samples(&agent, wish, caller.ended().clone(), place).map(move |live| match (live, &view) {
        (None, _) => ALIVE,
        (Some(live), None) => live.event(),
        (Some(live), Some(view)) => live.event_of(&view.text(&id, &live)),
    });
    let last = futures_util::stream::once(async move { last_event(&api, &caller) });
    Ok(sse(events.chain(last)))
}

/// The sample that an event's id names. One of another making, from before an upgrade, is one that is not known.
fn seen(id: &str) -> Option<SampleId> {
    let (epoch, seq) = id.split_once('-')?;
    Some(SampleId {
        epoch: epoch.parse().ok()?,
        seq: seq.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_s_id_names_a_sample() {
        assert_eq!(seen("3-17"), Some(SampleId { epoch: 3, seq: 17 }));
        for other in [
            "",
            "1690538400000",
            "3-",
            "-17",
            "3-17-1",
            "a-b",
            "3-99999999999999999999",
        ] {
            assert_eq!(seen(other), None, "{other}");
        }
    }
}
