//! Users, for admins who may see all agents.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use nodeglass_model::UnixMillis;
use nodeglass_store::Role;
use nodeglass_store::identities::{Change, UserRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::JsonBody;
use super::parameters::{Named, Parameters};
use super::session::Hidden;
use super::tokens::{Entry, RoleName, entries, given, selector, whole_fleet};
use crate::access::Caller;
use crate::error::{ApiError, Problem};
use crate::identity::{IdentityError, NewUser};

/// A user to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserToMake {
    /// The name, unique among users.
    #[schema(pattern = "^[A-Za-z0-9._@+-]{1,64}$")]
    name: String,
    role: RoleName,
    /// The agents that it may see. Without it all.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 64)]
    agents: Option<Vec<Entry>>,
    /// The first password; everybody changes their own.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 256)]
    password: Hidden,
}

/// A user as lists show it.
#[derive(Serialize, ToSchema)]
pub(super) struct UserBody {
    name: String,
    role: &'static str,
    /// The agents that it may see; absent where it is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<Vec<String>>,
    /// Unix milliseconds, as the other.
    #[schema(value_type = i64)]
    created_at: UnixMillis,
    #[schema(value_type = i64)]
    password_changed_at: UnixMillis,
    /// Whether it signs in with one-time codes.
    one_time_codes: bool,
}

impl From<&UserRecord> for UserBody {
    fn from(record: &UserRecord) -> Self {
        Self {
            name: record.name.clone(),
            role: record.role.name(),
            agents: record.agents.clone(),
            created_at: record.created_at,
            password_changed_at: record.password_changed_at,
            one_time_codes: record.totp_secret.is_some(),
        }
    }
}

/// All users.
#[derive(Serialize, ToSchema)]
pub(super) struct UsersBody {
    users: Vec<UserBody>,
}

/// Lists users.
#[utoipa::path(
    get, path = "/api/v1/users", operation_id = "users", tag = "accounts",
    responses((status = 200, description = "All users, by name.", body = UsersBody)),
)]
pub(super) async fn users(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<UsersBody>, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    let users = api.identity.directory.users();
    Ok(Json(UsersBody {
        users: users.iter().map(|user| UserBody::from(user.as_ref())).collect(),
    }))
}

/// Makes a user.
#[utoipa::path(
    post, path = "/api/v1/users", operation_id = "add_user", tag = "accounts",
    request_body = UserToMake,
    responses(
        (status = 201, description = "The user.", body = UserBody),
        (status = 409, description = "There is one of that name, or the password is one that is guessed first.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn add_user(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(body): JsonBody<UserToMake>,
) -> Result<Response, ApiError> {
    whole_fleet(&caller)?;
    let new = NewUser {
        name: body.name,
        role: body.role.into(),
        agents: selector(body.agents)?,
        password: body.password.0,
    };
    let record = api.identity.add_user(&caller, &new).await?;
    Ok((StatusCode::CREATED, Json(UserBody::from(&record))).into_response())
}

/// What to change of a user; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option, reason = "absent, null and a value are three things")]
pub(super) struct UserChange {
    #[serde(default)]
    role: Option<RoleName>,
    /// `null` for all agents.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<Entry>>, min_items = 1, max_items = 64)]
    agents: Option<Option<Vec<Entry>>>,
    /// Another password; the user's sessions end.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password, min_length = 12, max_length = 256)]
    password: Option<Hidden>,
    /// `false` has the user sign in without one-time codes, for one who has lost the device.
    #[serde(default)]
    one_time_codes: Option<bool>,
}

/// Changes what a user may do, or helps one who can't sign in any more. Its open streams end.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", operation_id = "change_user", tag = "accounts",
    params(("name" = String, Path, description = "The user's name")),
    request_body = UserChange,
    responses(
        (status = 204, description = "It is changed."),
        (status = 409, description = "The password is one that is guessed first, or only the user can set codes up.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn change_user(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named,
    JsonBody(body): JsonBody<UserChange>,
) -> Result<StatusCode, ApiError> {
    whole_fleet(&caller)?;
    if body.one_time_codes == Some(true) {
        return Err(IdentityError::UsersOnly.into());
    }
    let change = Change {
        role: body.role.map(Role::from),
        agents: body.agents.map(entries).transpose()?,
        expires_at: None,
    };
    api.identity.change_user(&caller, &name, &change).await?;
    if let Some(password) = &body.password {
        api.identity.reset_password(&caller, &name, &password.0).await?;
    }
    if body.one_time_codes == Some(false) {
        api.identity.reset_totp(&caller, &name).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a user. Its open streams and its sessions end.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", operation_id = "remove_user", tag = "accounts",
    params(("name" = String, Path, description = "The user's name")),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn remove_user(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    api.identity.remove_user(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
