//! Calls: how long each kind of them takes, and a line in the log for each that wants one.
//!
//! The log's target is [`TARGET`]. It says which route a call took, not what its caller wrote: paths and queries may hold names
//! and tickets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{Extensions, Method};
use tokio::time::Instant;
use tracing::{Level, Span, debug, enabled};

use super::histogram::{Histogram, Reading};
use crate::policy;

/// What `NODEGLASS_LOG` calls the log of calls: `NODEGLASS_LOG=info,access=debug`.
const TARGET: &str = "access";
/// Methods that are told apart; the last stands for all others.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
/// Classes of statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Routes that are told apart. There are some fifty; a path that is no route is [`NO_ROUTE`].
const MAX_ROUTES: usize = 256;
/// The route of a call that took none.
const NO_ROUTE: &str = "none";
/// The same paths under a shorter base are the same routes.
const BASES: (&str, &str) = ("/api/v1/", "/api/");

/// What is known of the calls so far.
#[derive(Debug, Default)]
pub struct Calls {
    /// Replaced whole when a route is called for the first time, so that counting takes no lock.
    routes: ArcSwap<HashMap<String, Arc<OfRoute>>>,
    adding: Mutex<()>,
    in_flight: AtomicU64,
}

/// The calls of one route; what never happened takes no room.
#[derive(Debug, Default)]
struct OfRoute([[OnceLock<Box<Histogram>>; CLASSES.len()]; METHODS.len()]);

/// A call that is under way. One whose caller goes away meanwhile is not counted as answered.
struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    fn new(calls: &'a AtomicU64) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Self(calls)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Calls {
    /// Calls whose answer has not begun.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What there is, by route, method and class of the status.
    pub fn read(&self) -> Vec<([String; 3], Reading)> {
        let mut all = Vec::new();
        for (name, route) in &**self.routes.load() {
            for (method, classes) in METHODS.iter().zip(&route.0) {
                for (class, histogram) in CLASSES.iter().zip(classes) {
                    if let Some(histogram) = histogram.get() {
                        let labels = [name.clone(), (*method).to_owned(), (*class).to_owned()];
                        all.push((labels, histogram.read()));
                    }
                }
            }
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    fn histogram<T>(
        &self,
        route: &str,
        method: &Method,
        class: usize,
        add: impl FnOnce(&Histogram) -> T,
    ) -> T {
        let method = METHODS.iter().position(|known| *known == method.as_str());
        let method = method.unwrap_or(METHODS.len() - 1);
        let add = |known: &OfRoute| add(known.0[method][class].get_or_init(Box::default));
        if let Some(known) = self.routes.load().get(route) {
            return add(known);
        }
        add(&self.add_route(route))
    }

    fn add_route(&self, route: &str) -> Arc<OfRoute> {
        let _turn = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut routes = HashMap::clone(&self.routes.load());
        let route = if routes.len() < MAX_ROUTES {
            route
        } else {
            NO_ROUTE
        };
        let added = routes.entry(route.to_owned()).or_default().clone();
        self.routes.store(Arc::new(routes));
        added
    }
}

/// The route that a call took, in its extensions, for those before whom it is not known yet.
#[derive(Debug, Clone, Default)]
pub struct Route(Arc<OnceLock<Arc<str>>>);

impl Route {
    /// Notes that a call came to a path of this pattern, and took no route of it.
    pub fn note_pattern(call: &Extensions) {
        if let Some(matched) = call.get() {
            Self::note(call, &of_pattern(matched).into());
        }
    }

    /// Notes that a call took this route.
    pub fn note(call: &Extensions, route: &Arc<str>) {
        if let Some(Self(noted)) = call.get() {
            // A call takes one.
            let _ = noted.set(route.clone());
        }
    }
}

/// Times a call, and notes in its span what is known of it.
pub async fn watch(State(calls): State<Arc<Calls>>, mut request: Request, next: Next) -> Response {
    let known = known_route(&request);
    let route = Route::default();
    request.extensions_mut().insert(route.clone());
    let method = request.method().clone();
    let began = Instant::now();
    let under_way = UnderWay::new(&calls.in_flight);
    let response = next.run(request).await;
    drop(under_way);
    let took = began.elapsed();
    let status = status(&response);
    let route = known.as_deref().or(route.0.get().map(|route| &**route));
    let route = route.unwrap_or(NO_ROUTE);
    calls.histogram(route, &method, class(status), |histogram| histogram.add(took));
    if enabled!(target: TARGET, Level::DEBUG) {
        let span = Span::current();
        span.record("method", method.as_str());
        span.record("route", route);
        span.record("status", status);
        debug!(target: TARGET, latency_ms = took.as_micros() as f64 / 1000.0, "call");
    }
    response
}

/// The pattern of the path, not the path, where that is known before the call is answered.
fn known_route(request: &Request) -> Option<String> {
    // gRPC's routes are patterns for whole services; of its methods those are told apart that there are.
    let path = request.uri().path();
    if policy::of_method(path).is_some() {
        return Some(path.to_owned());
    }
    request.extensions().get().map(of_pattern)
}

/// The route of a path's pattern: `/api/v1/agents/{id}/metrics`.
fn of_pattern(matched: &MatchedPath) -> String {
    let (base, other) = BASES;
    match matched.as_str() {
        same if same.starts_with(base) => same.to_owned(),
        matched => match matched.strip_prefix(other) {
            Some(rest) => format!("{base}{rest}"),
            None => matched.to_owned(),
        },
    }
}

/// The status of an answer; what gRPC says instead of it is put into its words.
fn status(response: &Response) -> u16 {
    let Some(grpc) = response.headers().get("grpc-status") else {
        return response.status().as_u16();
    };
    match grpc
        .to_str()
        .ok()
        .and_then(|code| code.parse::<i32>().ok())
        .map(tonic::Code::from)
    {
        Some(tonic::Code::Ok) => 200,
        Some(tonic::Code::Unauthenticated) => 401,
        Some(tonic::Code::PermissionDenied) => 403,
        Some(tonic::Code::NotFound) => 404,
        Some(tonic::Code::ResourceExhausted) => 429,
        Some(tonic::Code::Unimplemented) => 405,
        Some(tonic::Code::Unavailable) => 503,
        Some(tonic::Code::DeadlineExceeded) => 504,
        Some(tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::DataLoss) | None => 500,
        Some(_) => 400,
    }
}

fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES.len()) - 1
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::StatusCode;
    use tower::ServiceExt;

    use super::*;

    async fn call(router: &Router, path: &str) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap();
    }

    #[tokio::test]
    async fn calls_are_counted_by_route_and_not_by_what_their_callers_write() {
        let calls = Arc::<Calls>::default();
        let agent = get(async || "ok");
        let router = Router::new()
            .route("/api/v1/agents/{id}", agent.clone())
            .route("/api/agents/{id}", agent)
            .route("/fails", get(async || StatusCode::INTERNAL_SERVER_ERROR))
            .fallback(async || StatusCode::NOT_FOUND)
            .layer(axum::middleware::from_fn_with_state(calls.clone(), watch));
        for path in [
            "/api/v1/agents/a?ticket=secret",
            "/api/agents/b",
            "/fails",
            "/nowhere",
            "/nowhere/else",
        ] {
            call(&router, path).await;
        }
        let found = calls
            .read()
            .into_iter()
            .map(|(labels, reading)| (labels.join(" "), reading.count));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                ("/api/v1/agents/{id} GET 2xx".to_owned(), 2),
                ("/fails GET 5xx".to_owned(), 1),
                ("none GET 4xx".to_owned(), 2),
            ]
        );
        assert_eq!(calls.in_flight(), 0);
    }

    #[test]
    fn routes_are_bounded() {
        let calls = Calls::default();
        for number in 0..2 * MAX_ROUTES {
            calls.histogram(&number.to_string(), &Method::GET, 1, |_| ());
        }
        assert!(calls.routes.load().len() <= MAX_ROUTES + 1);
    }
}
