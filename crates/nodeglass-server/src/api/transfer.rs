//! `GET /export` and `POST /import`: stored samples as lines of JSON, out of one server and into another.

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream;
use http::header;
use nodeglass_model::TimeRange;
use nodeglass_model::history::QueryError;
use nodeglass_model::selector::Selector;
use nodeglass_store::Role;

use super::Api;
use super::format::{broken_off, write_json};
use super::parameters::{Parameters, wrong};
use crate::error::ApiError;
use crate::import::MAX_IMPORT_BYTES;
use crate::queries::ExportQuery;

/// Lines of JSON.
const LINES: &str = "application/x-ndjson";

/// Every stored sample of the agents, a line each; all there is unless `agents`, `start`, `end` or `metrics` say less.
pub(super) async fn export(State(api): State<Api>, parameters: Parameters) -> Result<Response, ApiError> {
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
    let agents = api.queries.choose(&parameters.list("agents")).await?;
    let query = ExportQuery {
        agents,
        range,
        selectors,
    };
    let mut pages = Box::pin(api.queries.export(query, api.stop.clone())?);
    // What goes wrong with the first page can still be said.
    let first = pages.next().await.transpose()?;
    let body = broken_off(stream::iter(first.map(Ok)).chain(pages));
    Ok(([(header::CONTENT_TYPE, LINES)], body).into_response())
}

/// Stores the samples of a body of such lines, all that can be stored, and says what became of them. With
/// `create_agents=true` agents that are not enrolled are made, with a token that nobody has.
pub(super) async fn import(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    parameters: Parameters,
    body: Body,
) -> Result<Response, ApiError> {
    if role != Role::Admin {
        return Err(ApiError::AdminsOnly(role.name()));
    }
    let parameters = parameters.only(&["create_agents"])?;
    let create = parameters
        .parsed::<bool>("create_agents", "true or false")?
        .unwrap_or(false);
    // One at a time is in memory; the next body is read when it is done.
    let turn = api.importer.turn().await?;
    let body = to_bytes(body, MAX_IMPORT_BYTES).await.map_err(|error| {
        let is_too_large =
            std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("length limit"));
        if is_too_large {
            ApiError::TooLarge(MAX_IMPORT_BYTES)
        } else {
            wrong("body", "it broke off: send it again".to_owned())
        }
    })?;
    let imported = api.importer.import(&turn, &body, create).await?;
    let mut answer = Vec::new();
    write_json(&mut answer, &imported);
    Ok(super::json(answer.into()))
}
