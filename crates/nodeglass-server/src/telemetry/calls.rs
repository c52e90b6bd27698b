//! Calls: how long each kind of them takes, and a line in the log for each that wants one.
//!
//! The log's target is [`TARGET`]. It says which route a call took, not what its caller wrote: paths and queries may hold names
//! and tickets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use axum::response::Response;
use http::Method;
use tokio::time::Instant;
use tracing::{Level, Span, debug, enabled};

use super::histogram::{Histogram, Reading};

/// What `NODEGLASS_LOG` calls the log of calls: `NODEGLASS_LOG=info,access=debug`.
const TARGET: &str = "access";
/// Methods that are told apart; the last stands for all others.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
/// Classes of statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Routes that are told apart. There are some fifty; a path that is no route is [`NO_ROUTE`].
const MAX_ROUTES: usize = 256;
/// The route of a call that took none.
pub const NO_ROUTE: &str = "none";

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
#[derive(Debug)]
pub struct UnderWay<'a> {
    calls: &'a Calls,
    began: Instant,
}

impl UnderWay<'_> {
    /// Counts it as answered, and notes in its span what is known of it. The route is its pattern, not its path.
    pub fn answered(self, route: &str, method: &Method, response: &Response, span: &Span) {
        let took = self.began.elapsed();
        let status = status(response);
        let add = |histogram: &Histogram| histogram.add(took);
        self.calls.histogram(route, method, class(status), add);
        if enabled!(target: TARGET, Level::DEBUG) {
            span.record("method", method.as_str());
            span.record("route", route);
            span.record("status", status);
            let latency_ms = took.as_micros() as f64 / 1000.0;
            span.in_scope(|| debug!(target: TARGET, latency_ms, "call"));
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.calls.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Calls {
    /// Times a call from now on.
    pub fn begin(&self) -> UnderWay<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderWay {
            calls: self,
            began: Instant::now(),
        }
    }

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
    use axum::response::IntoResponse;
    use http::StatusCode;

    use super::*;

    #[test]
    fn calls_are_counted_by_route_method_and_status() {
        let calls = Calls::default();
        for (route, method, status) in [
            ("/api/v1/agents/{id}", Method::GET, StatusCode::OK),
            ("/api/v1/agents/{id}", Method::GET, StatusCode::NO_CONTENT),
            (
                "/api/v1/agents/{id}",
                Method::TRACE,
                StatusCode::METHOD_NOT_ALLOWED,
            ),
            (NO_ROUTE, Method::GET, StatusCode::NOT_FOUND),
        ] {
            let under_way = calls.begin();
            assert_eq!(calls.in_flight(), 1);
            under_way.answered(route, &method, &status.into_response(), &Span::none());
        }
        drop(calls.begin());
        let found = calls
            .read()
            .into_iter()
            .map(|(labels, reading)| (labels.join(" "), reading.count));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                ("/api/v1/agents/{id} GET 2xx".to_owned(), 2),
                ("/api/v1/agents/{id} other 4xx".to_owned(), 1),
                ("none GET 4xx".to_owned(), 1),
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
