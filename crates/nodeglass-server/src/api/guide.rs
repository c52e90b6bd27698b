//! `GET /agents/{id}/metrics?hours=24`: a few figures over some hours under plain names, for simple dashboards.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use nodeglass_model::TimeRange;
use nodeglass_model::history::{History, HistoryQuery};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::format::{Format, write_json};
use super::parameters::Parameters;
use crate::access::Caller;
use crate::error::ApiError;
use crate::queries::inside;

/// More points than a chart has pixels are no use.
const POINTS: u32 = 1_000;
/// Ten years.
const MAX_HOURS: u64 = 10 * 366 * 24;

const CPU: &str = "cpu.usage_percent";
const MEMORY: &str = "memory.usage_percent";
const ROOT: &str = "disk.usage_percent@/";
/// Of a host without `/`, the fullest file system.
const DISK: &str = "disk.usage_percent";
const SENT: &str = "network.bytes_sent_per_sec";
const RECEIVED: &str = "network.bytes_recv_per_sec";
/// Of a host that pushes, and does not tell them apart.
const BOTH_WAYS: &str = "app.network_bytes_per_sec";
const RESPONSE_TIME: &str = "app.response_time_ms";
const REQUESTS: &str = "app.requests_per_minute";
const ERRORS: &str = "app.error_percent";

/// A few figures over time.
#[derive(Serialize, ToSchema)]
pub(super) struct Figures {
    /// Whose they are.
    agent_id: String,
    /// By rising time.
    metrics: Vec<Entry>,
}

/// Figures that were not taken are left out, as is `response_time`, which an agent does not measure.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = PlainFigures)]
pub(super) struct Entry {
    /// RFC 3339: where the bucket begins.
    timestamp: String,
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_usage: Option<f64>,
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_usage: Option<f64>,
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_usage: Option<f64>,
    /// Bytes per second, sent and received.
    #[serde(skip_serializing_if = "Option::is_none")]
    network_io: Option<f64>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_time: Option<f64>,
    /// Requests in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<f64>,
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_rate: Option<f64>,
}

/// The figures of the last `hours`.
pub(super) async fn metrics(
    api: &Api,
    caller: &Caller,
    id: &str,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let hours = parameters
        .parsed::<u64>("hours", "a number of whole hours")?
        .unwrap_or(0);
    let hours = inside("hours", hours, 1..=MAX_HOURS)?;
    let now = api.queries.now();
    let range = TimeRange {
        start: now.minus(Duration::from_secs(hours * 3_600)),
        end: now,
    };
    let points = POINTS.min(api.queries.max_points());
    let query = HistoryQuery::new(
        &[
            CPU,
            MEMORY,
            ROOT,
            DISK,
            SENT,
            RECEIVED,
            BOTH_WAYS,
            RESPONSE_TIME,
            REQUESTS,
            ERRORS,
        ],
        range,
        None,
        Some(points),
    )?;
    let answer = api.queries.history(caller, id, query).await?;
    let mut body = Vec::new();
    let figures = Figures {
        agent_id: id.to_owned(),
        metrics: entries(&answer.history),
    };
    write_json(&mut body, &figures);
    Ok(Format::Json.respond(Body::from(body)))
}

fn entries(history: &History) -> Vec<Entry> {
    let entry = |(at, time): (usize, &nodeglass_model::UnixMillis)| {
        let value = |name| history.values(name).and_then(|values| values[at]);
        let (sent, received) = (value(SENT), value(RECEIVED));
        Entry {
            timestamp: time.to_string(),
            cpu_usage: value(CPU),
            memory_usage: value(MEMORY),
            disk_usage: value(ROOT).or_else(|| value(DISK)),
            network_io: sent
                .or(received)
                .map(|_| sent.unwrap_or(0.0) + received.unwrap_or(0.0))
                .or_else(|| value(BOTH_WAYS)),
            response_time: value(RESPONSE_TIME),
            requests_per_minute: value(REQUESTS),
            error_rate: value(ERRORS),
        }
    };
    history.times.iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use nodeglass_model::UnixMillis;

    use super::*;

    #[test]
    fn figures_that_were_not_taken_are_left_out() {
        let rows = [
            (
                UnixMillis(0),
                vec![
                    (CPU, 1.5),
                    (ROOT, 40.0),
                    (DISK, 90.0),
                    (SENT, 3.0),
                    (RECEIVED, 4.0),
                ],
            ),
            (UnixMillis(120_000), vec![(DISK, 90.0), (RECEIVED, 4.0)]),
        ];
        let named = |row: Vec<(&'static str, f64)>| {
            row.into_iter().map(move |(name, value)| (name.to_owned(), value))
        };
        let history = History::from_rows(rows.map(|(at, row)| (at, named(row).collect::<Vec<_>>())), false);
        let text = serde_json::to_string(&entries(&history)).unwrap();
        assert_eq!(
            text,
            r#"[{"timestamp":"1970-01-01T00:00:00Z","cpu_usage":1.5,"disk_usage":40.0,"network_io":7.0},{"timestamp":"1970-01-01T00:02:00Z","disk_usage":90.0,"network_io":4.0}]"#
        );
    }
}
