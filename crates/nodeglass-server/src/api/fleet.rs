//! Figures of several agents: their histories, the latest of one metric, and who has most of it.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use nodeglass_model::label;
use nodeglass_model::selector::Selector;

use super::format::{Format, Rows, Sheet, broken_off, write_json};
use super::history::{QueryBody, query};
use super::parameters::{Parameters, wrong};
use super::{Api, shapes};
use crate::access::Caller;
use crate::error::ApiError;
use crate::queries::{FIRST, Grouped, MAX_AGENTS, Order, Reading, Resolution, StoredHistory, first, within};

/// The history of several agents, in aligned buckets.
///
/// `group_by=agent`, which it is without it, gives each by itself, `group_by=none` all as one, `group_by=label:env` those of each
/// value of a label as one.
#[utoipa::path(
    get, path = "/api/v1/metrics/history", operation_id = "fleet_history", tag = "metrics",
    params(
        ("agents" = Option<String>, Query, example = "web-*,db-01",
            description = "Which agents, separated by commas: names, patterns, labels (`label:env=prod`) and groups \
                (`group:web`); all without it"),
        ("group_by" = Option<String>, Query, description = "`agent`, `none` or `label:NAME`"),
        ("metrics" = String, Query, example = "cpu.usage_percent,memory.usage_percent",
            description = "Which metrics, separated by commas: `metric`, `metric@device`, `metric@*`"),
        shapes::Span,
        shapes::Buckets,
    ),
    responses(
        (status = 200, description = "The buckets.", content(
            (shapes::FleetHistory = "application/json"),
            (String = "text/csv"),
            (String = "application/vnd.apache.arrow.stream"),
        )),
    ),
)]
pub(super) async fn history(
    State(api): State<Api>,
    caller: Caller,
    format: Format,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&[
        "agents",
        "group_by",
        "metrics",
        "start",
        "end",
        "interval",
        "max_points",
        "agg",
    ])?;
    let query = query(&api, &parameters, &parameters.list("metrics"))?;
    let by = parameters.text("group_by").unwrap_or("agent");
    let label = by.strip_prefix("label:");
    if label.map_or(by != "agent" && by != "none", |name| {
        label::check_name(name).is_err()
    }) {
        let by: String = by.chars().take(40).collect();
        return Err(wrong(
            "group_by",
            format!("{by:?} is not agent, none or label:NAME"),
        ));
    }
    let agents = api.queries.choose(&caller, &parameters.list("agents")).await?;
    if agents.len() > MAX_AGENTS {
        return Err(ApiError::TooManyAgents(agents.len(), MAX_AGENTS));
    }
    if let Some(label) = label {
        let groups = api.queries.histories_by_label(agents, &query, label).await?;
        return Ok(by_label(format, label, groups));
    }
    if by == "none" {
        let names: Vec<String> = agents.iter().map(|agent| agent.id.to_string()).collect();
        let stored = api.queries.history_together(agents, &query).await?;
        return Ok(match format {
            Format::Json => format.respond(together_as_json(&names, stored)),
            Format::Csv | Format::Arrow => {
                let rows = 0..stored.history.times.len();
                let sheet = Sheet::wide(&stored.query, &stored.history, rows);
                format.sheets(stream::iter([Ok(sheet)]))
            }
        });
    }
    let mut histories = Box::pin(api.queries.histories(agents, &query));
    // What goes wrong with the first mostly goes wrong with all, and can still be said.
    let begin = histories.next().await.transpose()?;
    let histories = stream::iter(begin.map(Ok)).chain(histories);
    if format != Format::Json {
        let sheets = histories.map(|found| {
            let (agent, stored) = found?;
            let rows = stored.history.rows().flat_map(|(at, row)| {
                let agent = agent.id.to_string();
                row.map(move |(name, value)| (agent.clone(), at, name.to_owned(), value))
            });
            Ok(Sheet::long(rows))
        });
        // An empty one before them gives names to an answer without agents, too.
        return Ok(format.sheets(stream::iter([Ok(Sheet::long([]))]).chain(sheets)));
    }
    let mut is_first = true;
    let agents = histories.map(move |found| {
        let (agent, stored) = found?;
        let mut piece = Vec::new();
        if !std::mem::take(&mut is_first) {
            piece.push(b',');
        }
        piece.extend_from_slice(b"{\"agent_id\":");
        write_json(&mut piece, &agent.id);
        piece.push(b',');
        stored_as_json(&mut piece, stored);
        Ok(Bytes::from(piece))
    });
    let whole = |text: &'static str| stream::iter([Ok(Bytes::from_static(text.as_bytes()))]);
    let body = whole("{\"agents\":[").chain(agents).chain(whole("]}"));
    Ok(format.respond(broken_off(body)))
}

/// Histories by the values of a label.
fn by_label(format: Format, label: &str, groups: Vec<Grouped>) -> Response {
    if format != Format::Json {
        let sheets = groups.into_iter().map(|Grouped { value, stored, .. }| {
            let name = value.unwrap_or_default();
            let rows = stored.history.rows().flat_map(|(at, row)| {
                let name = name.clone();
                row.map(move |(series, value)| (name.clone(), at, series.to_owned(), value))
            });
            Ok(Sheet::long(rows))
        });
        let sheets: Vec<_> = std::iter::once(Ok(Sheet::long([]))).chain(sheets).collect();
        return format.sheets(stream::iter(sheets));
    }
    let mut body = b"{\"groups\":[".to_vec();
    for (
        number,
        Grouped {
            value,
            agents,
            stored,
        },
    ) in groups.into_iter().enumerate()
    {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(b"{\"label\":{\"name\":");
        write_json(&mut body, &label);
        body.extend_from_slice(b",\"value\":");
        write_json(&mut body, &value);
        body.extend_from_slice(b"},\"agents\":");
        let names: Vec<_> = agents.iter().map(|agent| agent.id.as_str()).collect();
        write_json(&mut body, &names);
        body.push(b',');
        stored_as_json(&mut body, stored);
    }
    body.extend_from_slice(b"]}");
    format.respond(Body::from(body))
}

fn together_as_json(agents: &[String], stored: StoredHistory) -> Body {
    let mut body = b"{\"agents\":".to_vec();
    write_json(&mut body, &agents);
    body.push(b',');
    stored_as_json(&mut body, stored);
    Body::from(body)
}

/// Appends everything but the beginning of an object: the query, the buckets, and what they are made of.
fn stored_as_json(out: &mut Vec<u8>, stored: StoredHistory) {
    out.extend_from_slice(b"\"query\":");
    write_json(out, &QueryBody::from(&stored.query));
    out.extend_from_slice(b",\"data\":[");
    let truncated = stored.history.truncated;
    let rows = Rows::new(stored.history);
    rows.write(0..rows.len(), out);
    out.extend_from_slice(b"],\"truncated\":");
    write_json(out, &truncated);
    out.extend_from_slice(b",\"resolution\":");
    write_json(out, &stored.resolution.name());
    out.push(b'}');
}

/// About what a figure takes in an answer.
const READING_BYTES: usize = 80;

/// Figures as JSON, written straight down: of ten thousand agents, names of fields that are written out each time take as long as
/// the figures.
fn readings_as_json(selector: &Selector, resolution: Option<Resolution>, readings: &[Reading]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + readings.len() * READING_BYTES);
    out.extend_from_slice(b"{\"metric\":");
    write_json(&mut out, &selector.to_string());
    out.extend_from_slice(b",\"unit\":");
    write_json(&mut out, &selector.metric().unit.name());
    if let Some(resolution) = resolution {
        out.extend_from_slice(b",\"resolution\":");
        write_json(&mut out, &resolution.name());
    }
    out.extend_from_slice(b",\"agents\":[");
    for (number, reading) in readings.iter().enumerate() {
        // A name needs no escaping.
        out.extend_from_slice(if number > 0 {
            b",{\"agent_id\":\""
        } else {
            b"{\"agent_id\":\""
        });
        out.extend_from_slice(reading.agent.id.as_str().as_bytes());
        out.push(b'"');
        if let Some((_, device)) = reading.series.split_once('@') {
            out.extend_from_slice(b",\"device\":");
            write_json(&mut out, &device);
        }
        out.extend_from_slice(b",\"timestamp\":");
        write_json(&mut out, &reading.at.0);
        out.extend_from_slice(b",\"value\":");
        write_json(&mut out, &reading.value);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// The latest figure of one metric of every agent that is connected and has one.
#[utoipa::path(
    get, path = "/api/v1/metrics/latest", operation_id = "fleet_latest", tag = "metrics",
    params(
        ("metric" = String, Query, example = "cpu.usage_percent",
            description = "The metric: `metric`, `metric@device` or `metric@*`"),
        ("agents" = Option<String>, Query, example = "web-*,db-01",
            description = "Which agents, separated by commas: names and patterns; all without it"),
    ),
    responses(
        (status = 200, description = "The figures.", content(
            (shapes::Readings = "application/json"),
            (String = "text/csv"),
            (String = "application/vnd.apache.arrow.stream"),
        )),
    ),
)]
pub(super) async fn latest(
    State(api): State<Api>,
    caller: Caller,
    format: Format,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["metric", "agents"])?;
    let selector = metric(&parameters)?;
    let agents = api.queries.choose(&caller, &parameters.list("agents")).await?;
    let readings = api.queries.latest_of(agents, &selector);
    Ok(respond(format, &selector, None, &readings))
}

/// The agents with the most, or least, of one metric.
///
/// The latest figures are compared or, with `start`, what `agg` makes of a span.
#[utoipa::path(
    get, path = "/api/v1/metrics/top", operation_id = "fleet_top", tag = "metrics",
    params(
        ("metric" = String, Query, example = "cpu.usage_percent",
            description = "The metric: `metric`, `metric@device` or `metric@*`"),
        ("k" = Option<usize>, Query, minimum = 1, maximum = 1_000, description = "How many agents; 10 without it"),
        ("order" = Option<String>, Query, description = "`desc`, the highest first, or `asc`"),
        ("agents" = Option<String>, Query, example = "web-*,db-01",
            description = "Which agents, separated by commas: names and patterns; all without it"),
        shapes::Span,
        ("agg" = inline(Option<shapes::Aggregation>), Query,
            description = "What to make of the span; without it what suits the metric"),
    ),
    responses(
        (status = 200, description = "The figures.", content(
            (shapes::Readings = "application/json"),
            (String = "text/csv"),
            (String = "application/vnd.apache.arrow.stream"),
        )),
    ),
)]
pub(super) async fn top(
    State(api): State<Api>,
    caller: Caller,
    format: Format,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["metric", "k", "order", "agents", "start", "end", "agg"])?;
    let selector = metric(&parameters)?;
    let count = within("k", parameters.parsed::<u32>("k", "a whole number")?, FIRST)? as usize;
    let order = match parameters.text("order") {
        None | Some("desc") => Order::Highest,
        Some("asc") => Order::Lowest,
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            return Err(wrong("order", format!("{other:?} is neither desc nor asc")));
        }
    };
    let agents = api.queries.choose(&caller, &parameters.list("agents")).await?;
    if parameters.text("start").is_none() {
        if let Some(alone) = ["end", "agg"]
            .into_iter()
            .find(|name| parameters.text(name).is_some())
        {
            return Err(wrong(
                alone,
                "it needs a start; without one the latest figures are compared".to_owned(),
            ));
        }
        let readings = first(api.queries.latest_of(agents, &selector), order, count);
        return Ok(respond(format, &selector, None, &readings));
    }
    if agents.len() > MAX_AGENTS {
        return Err(ApiError::TooManyAgents(agents.len(), MAX_AGENTS));
    }
    let query = query(&api, &parameters, &[&selector.to_string()])?;
    let (readings, resolution) = api.queries.figures_over(agents, query).await?;
    let readings = first(readings, order, count);
    Ok(respond(format, &selector, Some(resolution), &readings))
}

/// The one metric that is asked for.
fn metric(parameters: &Parameters) -> Result<Selector, ApiError> {
    let name = parameters.text("metric");
    let name = name.ok_or_else(|| wrong("metric", "name one: metric=cpu.usage_percent".to_owned()))?;
    Selector::parse(name).map_err(|unknown| ApiError::Query(unknown.into()))
}

fn respond(
    format: Format,
    selector: &Selector,
    resolution: Option<Resolution>,
    readings: &[Reading],
) -> Response {
    if format != Format::Json {
        let rows = readings.iter().map(|reading| {
            (
                reading.agent.id.to_string(),
                reading.at,
                reading.series.to_string(),
                reading.value,
            )
        });
        return format.sheets(stream::iter([Ok(Sheet::long(rows))]));
    }
    format.respond(Body::from(readings_as_json(selector, resolution, readings)))
}
