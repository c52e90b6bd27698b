//! `GET /agents/{id}/metrics/history`

use axum::Json;
use axum::extract::State;
use nodeglass_model::TimeRange;
use nodeglass_model::history::{HistoryQuery, Point};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Api;
use super::parameters::{AgentName, Parameters, wrong};
use crate::error::ApiError;
use crate::ledger::Gap;
use crate::queries::HistoryAnswer;

const PARAMETERS: [&str; 5] = ["metrics", "start", "end", "interval", "max_points"];

#[derive(Serialize)]
pub(super) struct HistoryBody {
    agent_id: String,
    query: QueryBody,
    data: Vec<PointBody>,
    truncated: bool,
    /// Where the data is from: `store`, `agent` or `store+agent`.
    source: &'static str,
    /// Spans without samples, and why.
    gaps: Vec<Gap>,
}

#[derive(Serialize)]
struct QueryBody {
    metrics: Vec<String>,
    start_timestamp: i64,
    end_timestamp: i64,
    interval_seconds: u64,
}

/// A bucket: its timestamp and its series side by side.
struct PointBody(Point);

impl Serialize for PointBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.0.values.len()))?;
        map.serialize_entry("timestamp", &self.0.timestamp.seconds())?;
        for (series, value) in &self.0.values {
            map.serialize_entry(series, value)?;
        }
        map.end()
    }
}

/// Aligned buckets of the named metrics; `start` is `-1h` and `end` is `now` unless given.
pub(super) async fn history(
    State(api): State<Api>,
    AgentName(id): AgentName,
    parameters: Parameters,
) -> Result<Json<HistoryBody>, ApiError> {
    let parameters = parameters.only(&PARAMETERS)?;
    let now = api.queries.now();
    let range = TimeRange {
        start: parameters.moment("start", "-1h", now)?,
        end: parameters.moment("end", "now", now)?,
    };
    let interval = parameters.parsed::<u64>("interval", "a number of whole seconds")?;
    let limit = api.queries.max_points();
    let points = parameters
        .parsed::<u32>("max_points", "a whole number")?
        .unwrap_or(limit);
    if points > limit {
        return Err(wrong(
            "max_points",
            format!("{points} is too many; this server gives at most {limit}"),
        ));
    }
    let query = HistoryQuery::new(&parameters.list("metrics"), range, interval, Some(points))?;
    let HistoryAnswer {
        history,
        gaps,
        source,
    } = api.queries.history(&id, &query).await?;
    Ok(Json(HistoryBody {
        agent_id: id,
        query: QueryBody {
            metrics: query.selectors.iter().map(ToString::to_string).collect(),
            start_timestamp: range.start.seconds(),
            end_timestamp: range.end.seconds(),
            interval_seconds: query.interval.as_secs(),
        },
        data: history.points.into_iter().map(PointBody).collect(),
        truncated: history.truncated,
        source: source.name(),
        gaps,
    }))
}
