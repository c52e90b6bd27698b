//! Dashboards that people made and share: kept as they are given, since they are the page's business.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use nodeglass_store::boards::{Board, BoardEntry, Saved};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Api;
use super::body::JsonBody;
use super::parameters::{Named, Parameters, wrong};
use crate::access::Caller;
use crate::error::{ApiError, Problem};

/// A list of more is one that nobody reads.
const MOST: u32 = 500;
/// A name for people has so many characters at most, one for addresses so many bytes.
const LONGEST: (usize, usize) = (80, 64);

/// A dashboard as lists show it.
#[derive(Serialize, ToSchema)]
pub(super) struct DashboardEntry {
    /// Its name in addresses.
    id: String,
    /// Its name for people.
    name: String,
    /// Counts up from 1 with each change.
    revision: i64,
    /// When it was saved last, in Unix milliseconds.
    saved_at: i64,
    /// Who saved it.
    saved_by: String,
}

impl From<BoardEntry> for DashboardEntry {
    fn from(entry: BoardEntry) -> Self {
        Self {
            id: entry.id,
            name: entry.name,
            revision: entry.revision,
            saved_at: entry.saved_at.0,
            saved_by: entry.saved_by,
        }
    }
}

/// All dashboards.
#[derive(Serialize, ToSchema)]
pub(super) struct DashboardsBody {
    dashboards: Vec<DashboardEntry>,
}

/// A dashboard.
#[derive(Serialize, ToSchema)]
pub(super) struct DashboardBody {
    #[serde(flatten)]
    entry: DashboardEntry,
    /// What it shows, as it was saved.
    #[schema(value_type = Object)]
    content: Map<String, Value>,
}

/// A dashboard to keep.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DashboardToSave {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// The revision that was changed; 0 for a new one.
    #[serde(default)]
    #[schema(minimum = 0)]
    revision: i64,
    /// What it shows.
    #[schema(value_type = Object)]
    content: Map<String, Value>,
}

/// Lists dashboards, by name.
#[utoipa::path(
    get, path = "/api/v1/dashboards", operation_id = "dashboards", tag = "dashboards",
    responses((status = 200, description = "All dashboards.", body = DashboardsBody)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    parameters: Parameters,
) -> Result<Json<DashboardsBody>, ApiError> {
    parameters.only(&[])?;
    let dashboards = api.store.boards().await?;
    Ok(Json(DashboardsBody {
        dashboards: dashboards.into_iter().map(DashboardEntry::from).collect(),
    }))
}

/// A dashboard with what it shows.
#[utoipa::path(
    get, path = "/api/v1/dashboards/{name}", operation_id = "dashboard", tag = "dashboards",
    params(("name" = String, Path, description = "Its name in addresses")),
    responses(
        (status = 200, description = "The dashboard.", body = DashboardBody),
        (status = 404, description = "There is none of that name.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    Named(id): Named,
    parameters: Parameters,
) -> Result<Json<DashboardBody>, ApiError> {
    parameters.only(&[])?;
    let Some(Board { entry, body }) = api.store.board(&id).await? else {
        return Err(ApiError::UnknownDashboard(shortened(&id)));
    };
    let content = serde_json::from_str(&body).map_err(|error| ApiError::Internal(error.into()))?;
    Ok(Json(DashboardBody {
        entry: entry.into(),
        content,
    }))
}

/// Keeps a dashboard: a new one, or a change of the revision that the caller has.
#[utoipa::path(
    put, path = "/api/v1/dashboards/{name}", operation_id = "save_dashboard", tag = "dashboards",
    params(("name" = String, Path, description = "Its name in addresses")),
    request_body = DashboardToSave,
    responses(
        (status = 200, description = "It is kept, as this revision.", body = DashboardEntry),
        (status = 409, description = "Somebody changed it since, or there are as many as there may be.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn save(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named,
    parameters: Parameters,
    JsonBody(body): JsonBody<DashboardToSave>,
) -> Result<Json<DashboardEntry>, ApiError> {
    parameters.only(&[])?;
    let DashboardToSave {
        name,
        revision,
        content,
    } = body;
    check(&id, &name, revision)?;
    let mut entry = BoardEntry {
        id,
        name,
        revision,
        saved_at: api.queries.now(),
        saved_by: caller.name.to_string(),
    };
    let board = Board {
        entry: entry.clone(),
        body: Value::Object(content).to_string(),
    };
    match api.store.save_board(&board, MOST).await? {
        Saved::Kept => {
            entry.revision += 1;
            api.identity
                .audit
                .note(&caller, "dashboard.save", &entry.id, &entry.name);
            Ok(Json(entry.into()))
        }
        Saved::Outdated => Err(ApiError::OutdatedDashboard),
        Saved::Full => Err(ApiError::TooManyDashboards(MOST)),
    }
}

/// Removes a dashboard.
#[utoipa::path(
    delete, path = "/api/v1/dashboards/{name}", operation_id = "remove_dashboard", tag = "dashboards",
    params(("name" = String, Path, description = "Its name in addresses")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is none of that name.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    parameters.only(&[])?;
    if api.store.remove_board(&id).await? {
        api.identity.audit.note(&caller, "dashboard.remove", &id, "");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::UnknownDashboard(shortened(&id)))
    }
}

/// A name as an error shows it.
fn shortened(id: &str) -> String {
    id.chars().take(LONGEST.1).collect()
}

fn check(id: &str, name: &str, revision: i64) -> Result<(), ApiError> {
    let (most_characters, most_bytes) = LONGEST;
    let is_plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    if id.is_empty() || id.len() > most_bytes || !id.bytes().all(is_plain) {
        return Err(wrong(
            "name",
            format!("in addresses it is 1 to {most_bytes} small letters, digits and '-'"),
        ));
    }
    if name.trim().is_empty() || name.chars().count() > most_characters {
        return Err(wrong("name", format!("it has 1 to {most_characters} characters")));
    }
    if revision < 0 {
        return Err(wrong(
            "revision",
            "it is 0 for a new dashboard, else the one that was read".to_owned(),
        ));
    }
    Ok(())
}
