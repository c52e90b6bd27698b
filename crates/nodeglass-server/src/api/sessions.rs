//! Open sessions: those of an admin's server, or one's own.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use nodeglass_model::UnixMillis;
use nodeglass_store::Role;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::parameters::{Named, Parameters};
use crate::access::{Caller, CallerKind};
use crate::error::ApiError;

/// A session as lists show it.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionBody {
    /// Its name, which opens nothing.
    id: String,
    /// Whose it is.
    name: String,
    /// `token`, `user` or `oidc`.
    kind: &'static str,
    role: &'static str,
    /// From where it was begun.
    address: String,
    /// Unix milliseconds, as the others.
    #[schema(value_type = i64)]
    created_at: UnixMillis,
    /// To half a minute.
    #[schema(value_type = i64)]
    last_seen_at: UnixMillis,
    #[schema(value_type = i64)]
    expires_at: UnixMillis,
    /// Whether it is the one of this call.
    current: bool,
}

/// Sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionsBody {
    sessions: Vec<SessionBody>,
}

fn is_own(caller: &Caller, name: &str, kind: CallerKind) -> bool {
    *caller.name == *name && caller.kind == kind
}

fn may_see_all(caller: &Caller) -> bool {
    caller.role == Role::Admin && caller.agents.is_all()
}

/// Lists open sessions: an admin's answer has all, another's those of the same name.
#[utoipa::path(
    get, path = "/api/v1/sessions", operation_id = "sessions", tag = "session",
    responses((status = 200, description = "The sessions, the latest first.", body = SessionsBody)),
)]
pub(super) async fn sessions(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<SessionsBody>, ApiError> {
    parameters.only(&[])?;
    let all = may_see_all(&caller);
    let sessions = api.identity.directory.sessions();
    let shown = sessions
        .iter()
        .filter(|session| all || is_own(&caller, &session.record.name, session.caller.kind));
    let shown = shown.map(|session| SessionBody {
        id: session.record.id.clone(),
        name: session.record.name.clone(),
        kind: session.caller.kind.name(),
        role: session.caller.role.name(),
        address: session.record.address.clone(),
        created_at: session.record.created_at,
        last_seen_at: session.seen_at(),
        expires_at: session.ends_at,
        current: caller.session == Some(session.record.token),
    });
    Ok(Json(SessionsBody {
        sessions: shown.collect(),
    }))
}

/// Ends a session, and its streams: an admin any, others those of the same name.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{session}", operation_id = "end_session", tag = "session",
    params(("session" = String, Path, description = "The session's id")),
    responses((status = 204, description = "It is over.")),
)]
pub(super) async fn end_session(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    parameters.only(&[])?;
    api.identity
        .end_session(&caller, &id, may_see_all(&caller))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
