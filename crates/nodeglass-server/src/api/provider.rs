//! Signing in at the provider of identities: there and back.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::guard::Visitor;
use super::parameters::Parameters;
use super::session::{begun, no_store};
use crate::error::{ApiError, Problem};
use crate::identity::IdentityError;
use crate::identity::cookies::cookie;
use crate::identity::oidc::{Answer, Begun};

/// How long the cookie of a sign-in lasts, as long as the sign-in itself.
const COOKIE_SECONDS: u64 = 600;
/// Where the provider sends browsers back to.
const CALLBACK: &str = "/api/v1/session/oidc/callback";

/// How one may sign in here.
#[derive(Serialize, ToSchema)]
pub(super) struct Ways {
    /// By a user's name and password, or a token: always.
    #[schema(example = true)]
    password: bool,
    /// At a provider, if there is one: what its button says.
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc: Option<String>,
}

/// How one may sign in here.
#[utoipa::path(
    get, path = "/api/v1/session/ways", operation_id = "ways_to_sign_in", tag = "session",
    responses((status = 200, description = "The ways.", body = Ways)),
)]
pub(super) async fn ways(State(api): State<Api>, parameters: Parameters) -> Result<Json<Ways>, ApiError> {
    parameters.only(&[])?;
    let oidc = api.identity.oidc.as_ref();
    Ok(Json(Ways {
        password: true,
        oidc: oidc.map(|oidc| oidc.settings().title.clone()),
    }))
}

/// Sends a browser to the provider.
#[utoipa::path(
    get, path = "/api/v1/session/oidc", operation_id = "begin_oidc", tag = "session",
    params(("return_to" = Option<String>, Query, description = "The path of this server to come back to in the end")),
    responses(
        (status = 303, description = "To the provider."),
        (status = 404, description = "There is no provider.", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The provider does not answer.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn begin(State(api): State<Api>, parameters: Parameters) -> Result<Response, ApiError> {
    let parameters = parameters.only(&["return_to"])?;
    let oidc = api.identity.oidc.as_ref().ok_or(IdentityError::NoProvider)?;
    let redirect = format!("{}{CALLBACK}", api.identity.url);
    let begun = oidc
        .begin(&redirect, parameters.text("return_to").unwrap_or("/"))
        .await;
    let Begun { location, cookie } = begun.map_err(IdentityError::Oidc)?;
    let cookie = api.identity.cookies.set_sign_in(&cookie, COOKIE_SECONDS);
    let headers = [(header::LOCATION, location)];
    let mut response = (StatusCode::SEE_OTHER, headers).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(no_store(response))
}

/// Takes a browser back from the provider, and begins its session.
#[utoipa::path(
    get, path = "/api/v1/session/oidc/callback", operation_id = "finish_oidc", tag = "session",
    params(
        ("state" = Option<String>, Query, description = "Which sign-in it is"),
        ("code" = Option<String>, Query, description = "The provider's code"),
        ("error" = Option<String>, Query, description = "Why there is none"),
        ("error_description" = Option<String>, Query, description = "The same for people"),
        ("error_uri" = Option<String>, Query, description = "More of it"),
        ("iss" = Option<String>, Query, description = "The provider"),
        ("session_state" = Option<String>, Query, description = "The provider's, for others"),
    ),
    responses(
        (status = 303, description = "To where it wanted to go; with a cookie."),
        (status = 404, description = "There is no provider.", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The provider does not answer.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn finish(
    State(api): State<Api>,
    visitor: Visitor,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&[
        "state",
        "code",
        "error",
        "error_description",
        "error_uri",
        "iss",
        "session_state",
    ])?;
    let answer = Answer {
        state: parameters.text("state").unwrap_or_default(),
        code: parameters.text("code"),
        error: parameters.text("error"),
        issuer: parameters.text("iss"),
    };
    let cookies = &api.identity.cookies;
    let own = cookie(&headers, cookies.sign_in_name());
    let done = api
        .identity
        .finish_at_provider(&visitor.caller, &answer, own)
        .await;
    let (signed_in, return_to) = done?;
    let mut response = begun(&api, &signed_in, Some(&return_to));
    let gone = cookies.remove(cookies.sign_in_name());
    response.headers_mut().append(header::SET_COOKIE, gone);
    Ok(response)
}
