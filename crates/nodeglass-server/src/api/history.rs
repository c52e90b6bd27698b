//! The history of one agent.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use http::HeaderMap;
use nodeglass_model::TimeRange;
use nodeglass_model::history::{Aggregation, HistoryQuery};
use serde::Serialize;
use utoipa::ToSchema;

use super::format::{Format, PIECE, Rows, Sheet, in_pieces, write_json};
use super::parameters::{AgentName, Parameters, wrong};
use super::tag::{Known, Tag};
use super::{Api, shapes};
use crate::access::Caller;
use crate::error::ApiError;
use crate::ledger::Gap;
use crate::queries::HistoryAnswer;

/// What a query is made of.
pub(super) const PARAMETERS: [&str; 6] = ["metrics", "start", "end", "interval", "max_points", "agg"];

/// The query as it is answered.
#[derive(Serialize, ToSchema)]
pub(super) struct QueryBody {
    /// The metrics.
    metrics: Vec<String>,
    /// Where the span begins, in Unix seconds.
    start_timestamp: i64,
    /// Where it ends, in Unix seconds.
    end_timestamp: i64,
    /// What a bucket holds.
    interval_seconds: u64,
    /// What a bucket shows of its values, if that was said.
    #[serde(skip_serializing_if = "str::is_empty")]
    agg: &'static str,
}

impl From<&HistoryQuery> for QueryBody {
    fn from(query: &HistoryQuery) -> Self {
        Self {
            metrics: query.selectors.iter().map(ToString::to_string).collect(),
            start_timestamp: query.range.start.seconds(),
            end_timestamp: query.range.end.seconds(),
            interval_seconds: query.interval.as_secs(),
            agg: query.aggregation.name(),
        }
    }
}

/// What comes before the buckets.
#[derive(Serialize)]
struct Head<'a> {
    agent_id: &'a str,
    query: QueryBody,
}

/// What comes behind the buckets.
#[derive(Serialize)]
struct Tail {
    truncated: bool,
    /// `raw` or `hour`: what the buckets are made of.
    resolution: &'static str,
    /// Where the data is from: `store`, `agent` or `store+agent`.
    source: &'static str,
    /// Spans without samples, and why.
    gaps: Vec<Gap>,
}

/// The history of one agent, in aligned buckets.
///
/// `start` is `-1h` and `end` is `now` unless given. What the store does not have yet is asked of the agent, if it is
/// connected; `gaps` says where nothing is, and why.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/metrics/history", operation_id = "agent_history", tag = "agents",
    params(
        ("id" = String, Path, description = "The agent's name"),
        ("metrics" = String, Query, example = "cpu.usage_percent,memory.usage_percent",
            description = "Which metrics, separated by commas: `metric`, `metric@device`, `metric@*`"),
        shapes::Span,
        shapes::Buckets,
    ),
    responses(
        (status = 200, description = "The buckets.", content(
            (shapes::HistoryBody = "application/json"),
            (String = "text/csv"),
            (String = "application/vnd.apache.arrow.stream"),
        )),
        (status = 304, description = "It is as it was."),
    ),
)]
pub(super) async fn history(
    State(api): State<Api>,
    caller: Caller,
    AgentName(id): AgentName,
    format: Format,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&PARAMETERS)?;
    let query = query(&api, &parameters, &parameters.list("metrics"))?;
    let answer = api.queries.history(&caller, &id, query).await?;
    Ok(match format {
        Format::Json => match as_json(&id, answer) {
            // Who asks again for a time that is over has the same answer, and need not take it twice.
            Written::Whole(body) => {
                Tag::of(&body).answer(&Known::of(&headers), || format.respond(Body::from(body)))
            }
            Written::Pieces(body) => format.respond(body),
        },
        Format::Csv | Format::Arrow => format.sheets(stream::iter(sheets(answer).map(Ok))),
    })
}

/// The query that parameters make for some metrics.
pub(super) fn query(api: &Api, parameters: &Parameters, metrics: &[&str]) -> Result<HistoryQuery, ApiError> {
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
    let aggregation = match parameters.text("agg") {
        Some(name) => name
            .parse::<Aggregation>()
            .map_err(|unknown| ApiError::Query(unknown.into()))?,
        None => Aggregation::Usual,
    };
    Ok(HistoryQuery::new(metrics, range, interval, Some(points))?.with_aggregation(aggregation))
}

/// An answer as JSON: at once, or piece by piece where it is long.
enum Written {
    Whole(Vec<u8>),
    Pieces(Body),
}

fn as_json(id: &str, answer: HistoryAnswer) -> Written {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    write_json(
        &mut head,
        &Head {
            agent_id: id,
            query: (&answer.query).into(),
        },
    );
    head.pop();
    head.extend_from_slice(b",\"data\":[");
    write_json(
        &mut tail,
        &Tail {
            truncated: answer.history.truncated,
            resolution: answer.resolution.name(),
            source: answer.source.name(),
            gaps: answer.gaps,
        },
    );
    tail.splice(..1, *b"],");
    let rows = Rows::new(answer.history);
    let count = rows.len();
    if count <= PIECE {
        rows.write(0..count, &mut head);
        head.append(&mut tail);
        return Written::Whole(head);
    }
    let buckets = (0..count).step_by(PIECE).map(move |first| {
        let mut piece = Vec::new();
        rows.write(first..count.min(first + PIECE), &mut piece);
        piece
    });
    Written::Pieces(in_pieces(
        std::iter::once(head).chain(buckets).chain(std::iter::once(tail)),
    ))
}

/// An answer in sheets, one at least, so that there are names even if there is nothing else.
fn sheets(answer: HistoryAnswer) -> impl Iterator<Item = Sheet> + Send + 'static {
    let count = answer.history.times.len();
    (0..count.max(1)).step_by(PIECE).map(move |first| {
        let rows = first..count.min(first + PIECE);
        Sheet::wide(&answer.query, &answer.history, rows)
    })
}
