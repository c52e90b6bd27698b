//! Stored samples as lines of JSON, out of one server and into another.

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream;
use http::header;
use nodeglass_model::TimeRange;
use nodeglass_model::history::QueryError;
use nodeglass_model::selector::Selector;

use super::body::is_too_large;
use super::format::{broken_off, write_json};
use super::parameters::Parameters;
use super::{Api, shapes};
use crate::access::Caller;
use crate::error::{ApiError, Problem};
use crate::import::{Imported, MAX_IMPORT_BYTES};
use crate::queries::ExportQuery;

/// Lines of JSON.
const LINES: &str = "application/x-ndjson";

/// Every stored sample of the agents, a line each.
///
/// All there is, unless the parameters say less.
#[utoipa::path(
    get, path = "/api/v1/export", operation_id = "export", tag = "data",
    params(
        ("agents" = Option<String>, Query, example = "web-*,db-01",
            description = "Which agents, separated by commas: names and patterns; all without it"),
        shapes::Span,
        ("metrics" = Option<String>, Query, example = "cpu.usage_percent",
            description = "Which metrics, separated by commas; all without it"),
    ),
    responses((status = 200, description = "Lines of JSON.", body = String, content_type = "application/x-ndjson")),
)]
pub(super) async fn export(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["agents", "start", "end", "metrics"])?;
    let now = api.queries.now();
    let range = TimeRange {
        start: parameters.moment("start", "0", now)?,
        end: parameters.moment("end", "now", now)?,
    };
    if range.start >= range.end {
        return Err(ApiError::Query(QueryError::EmptyRange {
            start: range.start,
            end: range.end,
        }));
    }
    let selectors = parameters.list("metrics").into_iter().map(Selector::parse);
    let selectors = selectors
        .collect::<Result<Vec<_>, _>>()
        .map_err(|unknown| ApiError::Query(unknown.into()))?;
    let agents = api.queries.choose(&caller, &parameters.list("agents")).await?;
    let query = ExportQuery {
        agents,
        range,
        selectors,
    };
    let mut pages = Box::pin(api.queries.export(query, caller.ended().clone())?);
    // What goes wrong with the first page can still be said.
    let first = pages.next().await.transpose()?;
    let body = broken_off(stream::iter(first.map(Ok)).chain(pages));
    Ok(([(header::CONTENT_TYPE, LINES)], body).into_response())
}

/// Stores exported samples, all that can be stored, and says what became of them.
///
/// With `create_agents=true` agents that are not enrolled are made, with a token that nobody has.
#[utoipa::path(
    post, path = "/api/v1/import", operation_id = "import", tag = "data",
    params(("create_agents" = Option<bool>, Query, description = "Make agents that there are not")),
    request_body(content = Option<String>, content_type = "application/x-ndjson", description = "Lines of JSON, as exported"),
    responses(
        (status = 200, description = "What became of the samples.", body = Imported),
        (status = 404, description = "There is no such agent, and none is to be made.",
            body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large: send fewer samples in one call.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn import(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
    body: Body,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["create_agents"])?;
    let create = parameters
        .parsed::<bool>("create_agents", "true or false")?
        .unwrap_or(false);
    // One at a time is in memory; the next body is read when it is done.
    let turn = api.importer.turn().await?;
    let body = to_bytes(body, MAX_IMPORT_BYTES).await.map_err(|error| {
        if is_too_large(&error) {
            ApiError::TooLarge(Some(MAX_IMPORT_BYTES))
        } else {
            ApiError::Body("it broke off: send it again".to_owned())
        }
    })?;
    let imported = api.importer.import(&turn, &caller, &body, create).await?;
    let detail = format!("{} stored, {} refused", imported.stored, imported.refused);
    api.identity.audit.note(&caller, "samples.import", "", &detail);
    let mut answer = Vec::new();
    write_json(&mut answer, &imported);
    Ok(super::json(answer.into()))
}
