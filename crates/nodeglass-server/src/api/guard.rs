//! What a call passes before its handler: it gets a number, its caller is found out, and must be allowed to make it. The
//! same for REST and event streams, which [`super::door`] lets in, and for gRPC.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::{Api, headers};
use crate::access::{Call, Caller, Standing, host, nearer};
use crate::error::{ApiError, Problem};
use crate::listener::Connection;
use crate::policy::{self, Policy};
use crate::stream::watched;
use crate::telemetry::calls::{NO_ROUTE, UnderWay};

/// The call's number: taken over from the caller, or made here.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest number that is taken over.
const LONGEST_ID: usize = 64;
/// Headers that every answer gets here, with some of its own.
const HEADERS: usize = 12;

/// The call's number, in the extensions of one that is open.
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
        let number = parts.extensions.get::<RequestId>();
        Ok(Self {
            caller: Caller::nobody(
                address_of(&parts.extensions),
                number.map(|RequestId(number)| number.clone()),
            ),
            host: host(&parts.uri, &parts.headers).map(str::to_owned),
        })
    }
}

fn address_of(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Connection>()?.ip()
}

/// A call on its way, from when it came until its answer goes.
pub(super) struct Passage<'a> {
    api: &'a Api,
    pub(super) method: Method,
    pub(super) uri: Uri,
    number: Arc<str>,
    /// How its caller stands, of the allowances that it came by so far.
    standing: Mutex<Option<Standing>>,
    under_way: UnderWay<'a>,
    /// Has the call's number for the log.
    span: Span,
}

impl<'a> Passage<'a> {
    /// Gives the call a number, and times it.
    pub(super) fn begin(api: &'a Api, request: &Request) -> Self {
        let number = number(request.headers());
        // What is not known yet is filled in by those who find it out.
        let span = info_span!(
            "call",
            request_id = &*number,
            method = Empty,
            route = Empty,
            caller = Empty,
            status = Empty
        );
        Self {
            api,
            method: request.method().clone(),
            uri: request.uri().clone(),
            number,
            standing: Mutex::new(None),
            under_way: api.telemetry.calls.begin(),
            span,
        }
    }

    /// Goes on with what answers the call. What is logged meanwhile names it.
    ///
    /// A future around that one would have room for it twice.
    pub(super) fn poll<F: Future + ?Sized>(
        &self,
        answer: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.span.in_scope(|| answer.poll(context))
    }

    /// Gives the answer what every answer has.
    pub(super) fn end(self, route: &str, mut response: Response) -> Response {
        self.under_way
            .answered(route, &self.method, &response, &self.span);
        let noted = self.standing.into_inner().unwrap_or_else(PoisonError::into_inner);
        let spent = response.extensions_mut().remove::<Standing>();
        let problem = response.extensions_mut().remove::<Problem>();
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        if let Some(standing) = spent.or(noted) {
            headers::allowance(headers, standing);
        }
        headers::secure(headers);
        let number = HeaderValue::from_str(&self.number).expect("a sane number");
        headers.insert(REQUEST_ID, number);
        if let Some(problem) = problem {
            headers.remove(header::CONTENT_LENGTH);
            let body = problem.of_call(self.uri.path(), &self.number).body();
            *response.body_mut() = Body::from(body);
        }
        response
    }

    fn stands(&self, standing: Option<Standing>) {
        if standing.is_some() {
            let mut noted = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
            *noted = nearer(*noted, standing);
        }
    }

    /// Takes the call off what its address may make, before anything else is done for it.
    pub(super) fn knock(&self, extensions: &Extensions) -> Result<(), ApiError> {
        if let Some(address) = address_of(extensions) {
            self.stands(self.api.access.knock(address)?);
        }
        Ok(())
    }

    /// Finds out who makes the call, and takes it off what that caller may make.
    pub(super) async fn caller(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Caller, ApiError> {
        let call = Call {
            method: &self.method,
            uri: &self.uri,
            headers,
            address: address_of(extensions),
            request_id: Some(&self.number),
        };
        let admitted = self.api.access.admit(&call).await;
        let (caller, standing) = admitted.inspect_err(|error| {
            let code = error.code();
            if is_denial(code.status) {
                self.denied(&call.nobody(), code.name);
            }
        })?;
        self.stands(standing);
        self.span.record("caller", &*caller.name);
        // Whoever showed a good token is no stranger to the listener any more.
        if let Some(connection) = extensions.get::<Connection>() {
            connection.vouch();
        }
        Ok(caller)
    }

    /// Notes that the call was denied.
    pub(super) fn denied(&self, caller: &Caller, code: &'static str) {
        let action = format!("{} {}", self.method, self.uri.path());
        self.api.identity.audit.denied(caller, &action, "", code);
    }

    /// What an open call's handler may ask of it, who finds nobody's name in it.
    pub(super) fn visit(&self, request: &mut Request) {
        let number = RequestId(self.number.clone());
        request.extensions_mut().insert(number);
    }
}

/// Whether an answer denies what was asked for.
pub(super) fn is_denial(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// The caller's number for the call, if it is a sane one, or a new one.
fn number(headers: &HeaderMap) -> Arc<str> {
    /// Numbers of another start of the server begin otherwise.
    static START: LazyLock<u32> = LazyLock::new(|| getrandom::u32().unwrap_or(std::process::id()));
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let is_sane = |id: &&str| {
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(sane)
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    given.filter(is_sane).map_or_else(
        || {
            let number = CALLS.fetch_add(1, Ordering::Relaxed);
            format!("{:08x}-{number:x}", *START).into()
        },
        Into::into,
    )
}

/// Before the gRPC services for programs, whose policies are in a table. What it refuses has a gRPC status.
pub(super) async fn programs(State(api): State<Api>, request: Request, next: Next) -> Response {
    let passage = Passage::begin(&api, &request);
    let pattern = request.extensions().get::<MatchedPath>().cloned();
    let policy = policy::of_method(passage.uri.path());
    let answer = {
        // An error is logged when it becomes an answer, and so within.
        let answer = let_program_in(&passage, policy, request, next);
        let mut answer = pin!(answer.map(|answer| answer.unwrap_or_else(grpc_response)));
        poll_fn(|context| passage.poll(answer.as_mut(), context)).await
    };
    let uri = passage.uri.clone();
    let route = match (policy, &pattern) {
        (Some(_), _) => uri.path(),
        // Of a service's methods those are told apart that there are.
        (None, Some(pattern)) => pattern.as_str(),
        (None, None) => NO_ROUTE,
    };
    passage.end(route, answer)
}

async fn let_program_in(
    passage: &Passage<'_>,
    policy: Option<Policy>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let policy = policy.ok_or_else(|| {
        let path = passage.uri.path();
        ApiError::NoSuchPath(path.chars().take(200).collect())
    })?;
    passage.knock(request.extensions())?;
    if policy.is_open() {
        return Ok(next.run(request).await);
    }
    let (headers, extensions) = (request.headers(), request.extensions());
    let caller = passage.caller(headers, extensions).await?;
    let allowed = policy.check(Some(&caller));
    allowed.inspect_err(|error| passage.denied(&caller, error.code().name))?;
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    if caller.has_asked_for_foreign() {
        passage.denied(&caller, "unknown_agent");
    }
    Ok(watched(response))
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
            number(&given.into_iter().collect())
        };
        assert_eq!(&*id(Some("a1-B_2.c")), "a1-B_2.c");
        let long = "x".repeat(LONGEST_ID + 1).leak();
        for bad in [None, Some(""), Some("a b"), Some("<script>"), Some(long)] {
            let (one, other) = (id(bad), id(bad));
            assert!(one != other && Some(&*one) != bad, "{bad:?}");
        }
    }
}
