//! The audit log, for admins who may see all agents.

use axum::Json;
use axum::extract::State;
use nodeglass_model::UnixMillis;
use nodeglass_store::identities::{AuditFilter, AuditRecord, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::parameters::{Parameters, wrong};
use crate::access::Caller;
use crate::error::ApiError;
use crate::identity::IdentityError;
use crate::queries::within;

/// Entries in one answer unless the caller says otherwise, and at most.
const ENTRIES: (u32, u32) = (100, 1_000);

/// What somebody did, or was denied.
#[derive(Serialize, ToSchema)]
pub(super) struct EntryBody {
    /// Its number; later ones have greater numbers.
    id: i64,
    /// Unix milliseconds; of several alike, of the first.
    #[schema(value_type = i64)]
    at: UnixMillis,
    /// `token`, `user`, `oidc`, `command` (beside the server), `server`, or `nobody` for calls without credentials.
    kind: String,
    /// Who.
    name: String,
    /// From where; empty if that is not known.
    address: String,
    /// `token.add`; of a denied call, what was called.
    #[schema(example = "token.add")]
    action: String,
    /// To what.
    subject: String,
    /// `done`, `denied` or `failed`.
    #[schema(example = "done")]
    outcome: &'static str,
    /// More, for people; of a denied call, the code of its error.
    detail: String,
    /// The call's number, as in its answer's header `x-request-id`.
    request_id: String,
    /// How many alike it stands for.
    count: u64,
}

impl From<AuditRecord> for EntryBody {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            kind: record.kind,
            name: record.name,
            address: record.address,
            action: record.action,
            subject: record.subject,
            outcome: record.outcome.name(),
            detail: record.detail,
            request_id: record.request_id,
            count: record.count,
        }
    }
}

/// A page of the log.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditBody {
    entries: Vec<EntryBody>,
    /// What gives the next page as `cursor`; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Entries that found no room since the server started.
    dropped: u64,
}

/// Lists what was changed and what was denied, the latest first.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "audit", tag = "accounts",
    params(
        ("name" = Option<String>, Query, description = "By whom"),
        ("action" = Option<String>, Query, description = "What: `token.add`, or all that begin alike: `token.*`"),
        ("subject" = Option<String>, Query, description = "To what"),
        ("outcome" = Option<String>, Query, pattern = "^(done|denied|failed)?$", description = "How it went"),
        ("start" = Option<String>, Query, description = "From this moment on: `-24h`, a Unix time or RFC 3339"),
        ("end" = Option<String>, Query, description = "Before this moment"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Entries in one answer"),
        ("cursor" = Option<i64>, Query, minimum = 1, description = "The next page"),
    ),
    responses((status = 200, description = "A page.", body = AuditBody)),
)]
pub(super) async fn audit(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<AuditBody>, ApiError> {
    let parameters = parameters.only(&[
        "name", "action", "subject", "outcome", "start", "end", "limit", "cursor",
    ])?;
    if !caller.agents.is_all() {
        return Err(IdentityError::WholeFleet.into());
    }
    let now = api.queries.now();
    let moment = |name: &'static str| -> Result<Option<UnixMillis>, ApiError> {
        let given = parameters.text(name).is_some();
        given.then(|| parameters.moment(name, "now", now)).transpose()
    };
    let outcome = |text: &str| {
        let text: String = text.chars().take(40).collect();
        let named = Outcome::from_name(&text);
        named.ok_or_else(|| wrong("outcome", format!("{text:?} is not done, denied or failed")))
    };
    let text = |name| parameters.text(name).map(str::to_owned);
    let cursor = parameters.parsed::<i64>("cursor", "a number that an answer gave")?;
    if cursor.is_some_and(|cursor| cursor < 1) {
        return Err(wrong("cursor", "it is not one that an answer gave".to_owned()));
    }
    let filter = AuditFilter {
        name: text("name"),
        action: text("action"),
        subject: text("subject"),
        outcome: parameters.text("outcome").map(outcome).transpose()?,
        start: moment("start")?,
        end: moment("end")?,
        before: cursor,
    };
    let limit = within(
        "limit",
        parameters.parsed::<u32>("limit", "a whole number")?,
        ENTRIES,
    )?;
    let mut entries = api.store.audit(&filter, limit + 1).await?;
    let is_last = entries.len() <= limit as usize;
    entries.truncate(limit as usize);
    let next = entries
        .last()
        .filter(|_| !is_last)
        .map(|last| last.id.to_string());
    Ok(Json(AuditBody {
        entries: entries.into_iter().map(EntryBody::from).collect(),
        next_cursor: next,
        dropped: api.identity.audit.dropped(),
    }))
}
