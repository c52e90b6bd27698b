//! What a call passes before its handler: it gets a number, its caller is found out, and must be allowed to make it. The
//! same for REST, event streams and gRPC.
//!
//! The guards of REST stand around routers and not around each of their routes: a router is cloned by counting up, a route
//! with all that stands around it, for each guard anew.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tokio::sync::Semaphore;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use super::{Api, headers};
use crate::access::{Call, Caller, Standing, Told, host, without_ticket};
use crate::error::{ApiError, Problem};
use crate::listener::{Connection, Peer};
use crate::policy::{self, Policy};
use crate::stream::watched;
use crate::telemetry::calls::{self, Route};

/// The call's number: taken over from the caller, or made here.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The call's number, in its extensions.
#[derive(Debug, Clone)]
struct RequestId(Arc<str>);

/// Whoever makes a call that is open: nobody in particular, with what is known of the call.
#[derive(Debug)]
pub(super) struct Visitor {
    /// Nobody.
    pub(super) caller: Caller,
    /// Whom the call is for.
    pub(super) host: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self {
            caller: Caller::nobody(
                address_of(&parts.extensions),
                number_of(&parts.extensions).cloned(),
            ),
            host: host(&parts.uri, &parts.headers).map(str::to_owned),
        })
    }
}

fn address_of(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|Peer(address)| address.ip())
}

fn number_of(extensions: &Extensions) -> Option<&Arc<str>> {
    extensions.get::<RequestId>().map(|RequestId(id)| id)
}

fn call(request: &Request) -> Call<'_> {
    Call {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        address: address_of(request.extensions()),
        request_id: number_of(request.extensions()),
    }
}

/// The longest number that is taken over.
const LONGEST_ID: usize = 64;

/// Gives the call a number, which the answer, the log and a problem's details have, too, and times it. And the answer what
/// every answer has.
pub(super) async fn number(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let path = request.uri().path().to_owned();
    let told = Told::default();
    request.extensions_mut().insert(told.clone());
    let number = id.to_str().unwrap_or_default().into();
    request.extensions_mut().insert(RequestId(number));
    // What is not known yet is filled in by those who find it out.
    let span = info_span!(
        "call",
        request_id = id.to_str().unwrap_or_default(),
        method = Empty,
        route = Empty,
        caller = Empty,
        status = Empty
    );
    let watched = calls::watch(State(api.telemetry.calls.clone()), request, next);
    let mut response = watched.instrument(span).await;
    let spent = response.extensions_mut().remove::<Standing>();
    if let Some(standing) = spent.or_else(|| told.standing()) {
        headers::allowance(response.headers_mut(), standing);
    }
    headers::secure(response.headers_mut());
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let body = problem.of_call(&path, id.to_str().unwrap_or_default()).body();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The caller's number for the call, if it is a sane one, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    /// Numbers of another start of the server begin otherwise.
    static START: LazyLock<u32> = LazyLock::new(|| getrandom::u32().unwrap_or(std::process::id()));
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let is_sane = |id: &&HeaderValue| {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(sane)
    };
    headers
        .get(REQUEST_ID)
        .filter(is_sane)
        .cloned()
        .unwrap_or_else(|| {
            let number = CALLS.fetch_add(1, Ordering::Relaxed);
            let text = format!("{:08x}-{number:x}", *START);
            HeaderValue::from_str(&text).expect("hexadecimal digits")
        })
}

/// Who lets calls in, and how many at once.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) api: Api,
    pub(super) places: Arc<Semaphore>,
    /// How long a call may take until its answer begins.
    pub(super) time: Duration,
}

impl Door {
    /// The answer, unless there is no place for the call or it takes too long.
    async fn run(&self, request: Request, next: Next) -> Response {
        let Ok(_place) = self.places.try_acquire() else {
            return ApiError::Overloaded.into_response();
        };
        let answer = tokio::time::timeout(self.time, next.run(request)).await;
        answer.unwrap_or_else(|_| ApiError::TooSlow.into_response())
    }
}

/// Lets nobody past without a token. Who the caller is travels with the call. One that is not let in takes no place.
pub(super) async fn admit(
    State(door): State<Door>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if begins_session(&request) {
        return Ok(door.run(request, next).await);
    }
    let api = &door.api;
    let call = call(&request);
    let admitted = api.access.admit(&call).await;
    let (caller, standing) =
        admitted.inspect_err(|error| denied(api, &call.nobody(), &action(call.method, call.uri), error))?;
    note(&request, standing);
    Span::current().record("caller", &*caller.name);
    vouch(&request);
    if let Some(uri) = without_ticket(request.method(), request.uri()) {
        *request.uri_mut() = uri;
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    request.extensions_mut().insert(caller.clone());
    let response = door.run(request, next).await;
    let is_denied = matches!(
        response.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    if is_denied || caller.has_asked_for_foreign() {
        let code = response.extensions().get::<Problem>().map(Problem::code);
        api.identity
            .audit
            .denied(&caller, &action(&method, &uri), "", code.unwrap_or("denied"));
    }
    Ok(response)
}

/// Whether it is the one call that is open and stands among those that are not: signing in.
fn begins_session(request: &Request) -> bool {
    *request.method() == Method::POST && matches!(request.uri().path(), "/api/v1/session" | "/api/session")
}

/// What a call is called in the audit log.
fn action(method: &Method, uri: &Uri) -> String {
    format!("{method} {}", uri.path())
}

/// Notes that a call was denied, if it was.
fn denied(api: &Api, caller: &Caller, action: &str, error: &ApiError) {
    let code = error.code();
    if matches!(code.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        api.identity.audit.denied(caller, action, "", code.name);
    }
}

/// Whoever showed a good token is no stranger to the listener any more.
fn vouch(request: &Request) {
    if let Some(connection) = request.extensions().get::<Connection>() {
        connection.vouch();
    }
}

fn note(request: &Request, standing: Option<Standing>) {
    if let Some(told) = request.extensions().get::<Told>() {
        told.note(standing);
    }
}

/// Lets nobody past who has called too often from one address.
pub(super) async fn knock(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    knocked(&api, &request)?;
    Ok(next.run(request).await)
}

fn knocked(api: &Api, request: &Request) -> Result<(), ApiError> {
    if let Some(Peer(address)) = request.extensions().get() {
        note(request, api.access.knock(address.ip())?);
    }
    Ok(())
}

/// Who may take a route, and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) policy: Policy,
    pub(super) route: Arc<str>,
}

/// Lets only those past whom the route's policy allows.
pub(super) async fn allow(
    State(gate): State<Gate>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    Route::note(request.extensions(), &gate.route);
    gate.policy.check(request.extensions().get::<Caller>())?;
    Ok(next.run(request).await)
}

/// Both for gRPC, whose policies are in a table.
pub(super) async fn admit_grpc(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let Some(policy) = policy::of_method(path) else {
        let path = path.chars().take(200).collect();
        return grpc_response(ApiError::NoSuchPath(path));
    };
    if let Err(error) = knocked(&api, &request) {
        return grpc_response(error);
    }
    if policy.is_open() {
        return next.run(request).await;
    }
    let action = action(request.method(), request.uri());
    let call = call(&request);
    let caller = match api.access.admit(&call).await {
        Ok((caller, _)) => caller,
        Err(error) => {
            denied(&api, &call.nobody(), &action, &error);
            return grpc_response(error);
        }
    };
    if let Err(error) = policy.check(Some(&caller)) {
        denied(&api, &caller, &action, &error);
        return grpc_response(error);
    }
    Span::current().record("caller", &*caller.name);
    vouch(&request);
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    if caller.has_asked_for_foreign() {
        api.identity.audit.denied(&caller, &action, "", "unknown_agent");
    }
    watched(response)
}

/// An error in gRPC's form.
pub(super) fn grpc_response(error: ApiError) -> Response {
    tonic::Status::from(error).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_number_is_taken_over_and_another_is_made_anew() {
        let id = |given: Option<&'static str>| {
            let given = given.map(|id| (REQUEST_ID, HeaderValue::from_static(id)));
            request_id(&given.into_iter().collect())
        };
        assert_eq!(id(Some("a1-B_2.c")), "a1-B_2.c");
        let long = "x".repeat(LONGEST_ID + 1).leak();
        for bad in [None, Some(""), Some("a b"), Some("<script>"), Some(long)] {
            let (one, other) = (id(bad), id(bad));
            assert!(
                one != other && Some(one.as_bytes()) != bad.map(str::as_bytes),
                "{bad:?}"
            );
        }
    }
}
