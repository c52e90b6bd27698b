//! Signing in and out, who one is, and tickets.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use nodeglass_model::UnixMillis;
use nodeglass_runtime::config::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::JsonBody;
use super::guard::Visitor;
use super::parameters::Parameters;
use crate::access::{Caller, CallerKind};
use crate::error::{ApiError, Problem};
use crate::identity::IdentityError;
use crate::identity::cookies::csrf_token;
use crate::identity::{Credentials, SignedIn};

/// What somebody signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SignIn {
    /// A token.
    Token(SignInByToken),
    /// A user.
    User(SignInByPassword),
}

/// A token to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInByToken {
    /// The token.
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1024)]
    token: Hidden,
}

/// A user's name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInByPassword {
    /// The user's name.
    #[schema(min_length = 1, max_length = 256)]
    user: String,
    /// The password.
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1024)]
    password: Hidden,
    /// The code of the authenticator, or a recovery code; asked for with the error `code_required`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password, max_length = 64)]
    code: Option<Hidden>,
}

/// A text of a body that nothing shows.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct Hidden(pub(super) Secret);

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(Secret::from(text))
    }
}

/// Who a caller is.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// Its name.
    name: String,
    /// `token`, `user` or `oidc`.
    #[schema(example = "user")]
    kind: &'static str,
    /// `viewer`, `operator` or `admin`.
    #[schema(example = "viewer")]
    role: &'static str,
    /// Which agents it may see: names, patterns and labels. Absent where it is all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<Vec<String>>,
    /// Its session, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<MySession>,
    /// Whether it signs in with one-time codes, where it is a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    one_time_codes: Option<bool>,
}

/// A session of one's own.
#[derive(Serialize, ToSchema)]
struct MySession {
    /// Its name, which opens nothing.
    id: String,
    /// What goes into the header `x-csrf-token` of every call that changes something.
    csrf_token: String,
    /// When it ends in any case, in Unix milliseconds.
    #[schema(value_type = i64)]
    expires_at: UnixMillis,
    /// After how many seconds without a call it ends.
    idle_seconds: u64,
}

impl Me {
    fn new(api: &Api, caller: &Caller, session: Option<MySession>) -> Self {
        let user = api.identity.directory.user(&caller.name);
        let user = user.filter(|_| caller.kind == CallerKind::User);
        Self {
            name: caller.name.to_string(),
            kind: caller.kind.name(),
            role: caller.role.name(),
            agents: caller.agents.entries(),
            session,
            one_time_codes: user.map(|user| user.totp_secret.is_some()),
        }
    }
}

impl MySession {
    fn new(api: &Api, id: &str, secret: &str, expires_at: UnixMillis) -> Self {
        Self {
            id: id.to_owned(),
            csrf_token: csrf_token(secret),
            expires_at,
            idle_seconds: api.identity.directory.limits().idle.as_secs(),
        }
    }
}

/// Signs in, for a browser: sets a session cookie.
///
/// With a token, or with a user's name and password and, where the answer is the error `code_required`, a one-time code. Calls
/// that change something and come with the cookie need the header `x-csrf-token`, too.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "sign_in", tag = "session",
    request_body = SignIn,
    responses(
        (status = 200, description = "Who one is now; with a cookie.", body = Me),
        (status = 401, description = "What is shown is not good, or a one-time code is missing.",
            body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The call comes from another site's page.",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn sign_in(
    State(api): State<Api>,
    visitor: Visitor,
    headers: HeaderMap,
    JsonBody(body): JsonBody<SignIn>,
) -> Result<Response, ApiError> {
    // Nobody is to be signed in as somebody else by another site's page.
    if !api.identity.cookies.is_own(&headers, visitor.host.as_deref()) {
        return Err(IdentityError::CrossSite.into());
    }
    let credentials = match body {
        SignIn::Token(SignInByToken { token }) => Credentials::Token(token.0),
        SignIn::User(SignInByPassword { user, password, code }) => Credentials::Password {
            user,
            password: password.0,
            code: code.map(|code| code.0),
        },
    };
    let signed_in = api.identity.sign_in(&visitor.caller, credentials).await?;
    Ok(begun(&api, &signed_in, None))
}

/// The answer that begins a session: a description, or a place to go to.
pub(super) fn begun(api: &Api, signed_in: &SignedIn, return_to: Option<&str>) -> Response {
    let SignedIn {
        secret,
        caller,
        record,
    } = signed_in;
    let seconds = api.identity.directory.limits().absolute.as_secs();
    let cookie = api.identity.cookies.set_session(secret, seconds);
    let mut response = if let Some(path) = return_to {
        (StatusCode::SEE_OTHER, [(header::LOCATION, path.to_owned())]).into_response()
    } else {
        let session = MySession::new(api, &record.id, secret.expose(), record.expires_at);
        Json(Me::new(api, caller, Some(session))).into_response()
    };
    response.headers_mut().append(header::SET_COOKIE, cookie);
    no_store(response)
}

/// Answers with secrets are kept by nobody on the way.
pub(super) fn no_store(response: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], response).into_response()
}

/// Who one is.
#[utoipa::path(
    get, path = "/api/v1/session", operation_id = "session", tag = "session",
    responses((status = 200, description = "Who one is.", body = Me)),
)]
pub(super) async fn session(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    parameters.only(&[])?;
    let sessions = api.identity.directory.sessions();
    let own = sessions
        .iter()
        .find(|session| Some(session.record.token) == caller.session);
    let own = own
        .zip(api.identity.cookies.session(&headers))
        .map(|(session, secret)| MySession::new(&api, &session.record.id, secret, session.ends_at));
    Ok(no_store(Json(Me::new(&api, &caller, own))))
}

/// Signs out: ends the session of the cookie, and its streams.
#[utoipa::path(
    delete, path = "/api/v1/session", operation_id = "sign_out", tag = "session",
    responses(
        (status = 204, description = "It is over."),
        (status = 409, description = "The call came without a session.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn sign_out(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    parameters.only(&[])?;
    api.identity.sign_out(&caller).await?;
    let cookies = &api.identity.cookies;
    let cookie = cookies.remove(cookies.session_name());
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// A one-use ticket.
#[derive(Serialize, ToSchema)]
pub(super) struct Ticket {
    /// What goes into the address: `?ticket=`.
    ticket: String,
    /// How long it is good.
    expires_in_seconds: u64,
}

/// Makes a ticket, with which one stream is opened, once, where a browser can't send a header.
#[utoipa::path(
    post, path = "/api/v1/tickets", operation_id = "add_ticket", tag = "session",
    responses((status = 201, description = "The ticket.", body = Ticket)),
)]
pub(super) async fn ticket(
    State(api): State<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    parameters.only(&[])?;
    let ticket = api.identity.tickets.issue(&caller)?;
    let body = Ticket {
        ticket: ticket.expose().to_owned(),
        expires_in_seconds: crate::identity::tickets::GOOD.as_secs(),
    };
    Ok(no_store((StatusCode::CREATED, Json(body))))
}
