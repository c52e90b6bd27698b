//! Tokens, for admins who may see all agents.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use nodeglass_model::UnixMillis;
use nodeglass_store::Role;
use nodeglass_store::identities::{Change, TokenRecord};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ObjectBuilder, RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Api;
use super::body::JsonBody;
use super::parameters::{Named, Parameters};
use super::session::no_store;
use crate::access::{Caller, ENTRY_PATTERN, Selector};
use crate::error::{ApiError, Problem};
use crate::identity::{IdentityError, NewToken};
use crate::queries::inside;

/// What a caller may do.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RoleName {
    Viewer,
    Operator,
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenToMake {
    /// Its name, unique among tokens.
    #[schema(pattern = "^[A-Za-z0-9._@+-]{1,64}$")]
    name: String,
    role: RoleName,
    /// The agents that it may see: names, patterns (`web-*`) and labels (`env=prod`). Without it all.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 64)]
    agents: Option<Vec<Entry>>,
    /// After how many seconds it is worth nothing. Without it never.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 315_360_000)]
    expires_in_seconds: Option<u64>,
}

/// An agent's name, a pattern of names, or a label with its value or a pattern of values.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Entry(String);

impl PartialSchema for Entry {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(ENTRY_PATTERN));
        text.examples(["web-*", "env=prod"]).into()
    }
}

impl ToSchema for Entry {}

/// A token as lists show it.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenBody {
    name: String,
    role: &'static str,
    /// The agents that it may see; absent where it is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<Vec<String>>,
    /// Unix milliseconds, as the others.
    #[schema(value_type = i64)]
    created_at: UnixMillis,
    /// When it is worth nothing any more; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    expires_at: Option<UnixMillis>,
    /// When it was last used; absent if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    last_used_at: Option<UnixMillis>,
}

impl From<TokenRecord> for TokenBody {
    fn from(record: TokenRecord) -> Self {
        Self {
            name: record.name,
            role: record.role.name(),
            agents: record.agents,
            created_at: record.created_at,
            expires_at: record.expires_at,
            last_used_at: record.last_used_at,
        }
    }
}

/// A token, shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    /// The token itself; it can't be had again.
    token: String,
    #[serde(flatten)]
    record: TokenBody,
}

/// All tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct TokensBody {
    tokens: Vec<TokenBody>,
}

/// Whoever may not see every agent must not make somebody who may.
pub(super) fn whole_fleet(caller: &Caller) -> Result<(), ApiError> {
    if caller.agents.is_all() {
        Ok(())
    } else {
        Err(IdentityError::WholeFleet.into())
    }
}

pub(super) fn selector(agents: Option<Vec<Entry>>) -> Result<Selector, ApiError> {
    let Some(agents) = agents else {
        return Ok(Selector::all());
    };
    Selector::of(agents.iter().map(|entry| &entry.0)).map_err(|error| ApiError::Parameter {
        name: "agents",
        problem: error.to_string(),
    })
}

/// Lists tokens, without what only their owners have.
#[utoipa::path(
    get, path = "/api/v1/tokens", operation_id = "tokens", tag = "accounts",
    responses((status = 200, description = "All tokens, by name.", body = TokensBody)),
)]
pub(super) async fn tokens(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<TokensBody>, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    let tokens = api.identity.directory.tokens();
    Ok(Json(TokensBody {
        tokens: tokens.into_iter().map(TokenBody::from).collect(),
    }))
}

/// Makes a token. It is in the answer, and nowhere else.
#[utoipa::path(
    post, path = "/api/v1/tokens", operation_id = "add_token", tag = "accounts",
    request_body = TokenToMake,
    responses(
        (status = 201, description = "The token.", body = MadeToken),
        (status = 409, description = "There is one of that name.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn add_token(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(body): JsonBody<TokenToMake>,
) -> Result<Response, ApiError> {
    whole_fleet(&caller)?;
    let new = NewToken {
        name: body.name,
        role: body.role.into(),
        agents: selector(body.agents)?,
        expires_at: body
            .expires_in_seconds
            .map(|seconds| in_seconds(&api, seconds))
            .transpose()?,
    };
    let (record, token) = api.identity.add_token(&caller, &new).await?;
    let made = MadeToken {
        token: token.expose().to_owned(),
        record: record.into(),
    };
    Ok(no_store((StatusCode::CREATED, Json(made))))
}

fn in_seconds(api: &Api, seconds: u64) -> Result<UnixMillis, ApiError> {
    /// Ten years.
    const MOST: u64 = 315_360_000;
    let seconds = inside("expires_in_seconds", seconds, 1..=MOST)?;
    Ok(api.queries.now().plus(Duration::from_secs(seconds)))
}

/// What to change of a token; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option, reason = "absent, null and a value are three things")]
pub(super) struct TokenChange {
    #[serde(default)]
    role: Option<RoleName>,
    /// `null` for all agents.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<Entry>>, min_items = 1, max_items = 64)]
    agents: Option<Option<Vec<Entry>>>,
    /// `null` for never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 315_360_000)]
    expires_in_seconds: Option<Option<u64>>,
}

/// Tells `null` from what is absent.
#[allow(clippy::option_option, reason = "absent, null and a value are three things")]
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

pub(super) fn entries(agents: Option<Vec<Entry>>) -> Result<Option<Vec<String>>, ApiError> {
    selector(agents).map(|agents| agents.entries())
}

/// Changes what a token allows. Its open streams end, if it allows something else than before.
#[utoipa::path(
    patch, path = "/api/v1/tokens/{name}", operation_id = "change_token", tag = "accounts",
    params(("name" = String, Path, description = "The token's name")),
    request_body = TokenChange,
    responses((status = 204, description = "It is changed.")),
)]
pub(super) async fn change_token(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named,
    JsonBody(body): JsonBody<TokenChange>,
) -> Result<StatusCode, ApiError> {
    whole_fleet(&caller)?;
    let end = |seconds: Option<u64>| seconds.map(|seconds| in_seconds(&api, seconds)).transpose();
    let change = Change {
        role: body.role.map(Role::from),
        agents: body.agents.map(entries).transpose()?,
        expires_at: body.expires_in_seconds.map(end).transpose()?,
    };
    api.identity.change_token(&caller, &name, &change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a token. Its open streams end, and the sessions that were begun with it.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{name}", operation_id = "revoke_token", tag = "accounts",
    params(("name" = String, Path, description = "The token's name")),
    responses((status = 204, description = "It is worth nothing now.")),
)]
pub(super) async fn revoke_token(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    parameters.only(&[])?;
    whole_fleet(&caller)?;
    api.identity.revoke_token(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
