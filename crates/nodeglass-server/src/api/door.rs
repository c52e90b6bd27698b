//! The one way to the handlers of REST: what [`super::guard`] asks of a call, in its order.
//!
//! It is a service before one router, and no stack of layers before several: each layer would box a call once more on its way
//! in, and its answer on its way out.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, header};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::compression::Predicate;
use tower_http::cors::CorsLayer;

use super::guard::{Passage, is_denial};
use super::routes::{Gate, Gates};
use super::{Api, compression, worth_compressing};
use crate::access::without_ticket;
use crate::error::{ApiError, Problem};
use crate::policy::Policy;
use crate::telemetry::calls::NO_ROUTE;

/// Lets calls of REST in, and answers them.
#[derive(Clone)]
pub(super) struct Door(Arc<Inside>);

struct Inside {
    api: Api,
    router: Router,
    gates: Gates,
    cors: Option<CorsLayer>,
    /// For how many calls there is room at once.
    places: Semaphore,
    /// How long a call may take until its answer begins.
    time: Duration,
}

impl Door {
    /// Before the handlers in `router`.
    pub(super) fn new(
        api: Api,
        router: Router,
        gates: Gates,
        cors: Option<CorsLayer>,
        places: usize,
        time: Duration,
    ) -> Self {
        Self(Arc::new(Inside {
            api,
            router,
            gates,
            cors,
            places: Semaphore::new(places),
            time,
        }))
    }
}

impl Service<Request> for Door {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inside = self.0.clone();
        async move { Ok(inside.answer(request).await) }.boxed()
    }
}

impl Inside {
    async fn answer(&self, request: Request) -> Response {
        let passage = Passage::begin(&self.api, &request);
        let gate = self.gates.of(passage.uri.path());
        let is_plain = self.cors.is_none() && !request.headers().contains_key(header::ACCEPT_ENCODING);
        let response = if is_plain {
            let mut answer = pin!(self.let_in(&passage, gate, request));
            let mut response = poll_fn(|context| passage.poll(answer.as_mut(), context)).await;
            // To another who asks for it, it would be compressed.
            if worth_compressing().should_compress(&response) {
                let headers = response.headers_mut();
                headers.append(header::VARY, HeaderValue::from_name(header::ACCEPT_ENCODING));
            }
            response
        } else {
            let mut answer = self.let_in_otherwise(&passage, gate, request).boxed();
            poll_fn(|context| passage.poll(answer.as_mut(), context)).await
        };
        passage.end(gate.map_or(NO_ROUTE, |gate| &gate.route), response)
    }

    /// Compresses long answers for those who take them so, and answers pages of other origins as they want it, if any may
    /// call.
    async fn let_in_otherwise(
        &self,
        passage: &Passage<'_>,
        gate: Option<&Gate>,
        request: Request,
    ) -> Response {
        let answer = |request| self.let_in(passage, gate, request).map(Ok::<_, Infallible>);
        let answer = compression()
            .layer(service_fn(answer))
            .map_response(|response| response.map(Body::new));
        let Ok(response) = match &self.cors {
            Some(cors) => cors.layer(answer).oneshot(request).await,
            None => answer.oneshot(request).await,
        };
        response
    }

    fn let_in(
        &self,
        passage: &Passage<'_>,
        gate: Option<&Gate>,
        request: Request,
    ) -> impl Future<Output = Response> + Send {
        let answer = self.try_to_let_in(passage, gate, request);
        answer.map(|answer| answer.unwrap_or_else(ApiError::into_response))
    }

    /// Lets nobody past who calls too often, or may not make the call. Who the caller is travels with it.
    async fn try_to_let_in(
        &self,
        passage: &Passage<'_>,
        gate: Option<&Gate>,
        mut request: Request,
    ) -> Result<Response, ApiError> {
        let method = &passage.method;
        passage.knock(request.extensions())?;
        let is_only_looked_at = matches!(*method, Method::GET | Method::HEAD);
        if let Some(gate) = gate.filter(|_| !is_only_looked_at) {
            DefaultBodyLimit::max(gate.most_bytes(method)).apply(&mut request);
        }
        let policy = gate.map_or(Policy::KNOWN, |gate| gate.policy(method));
        let mut caller = None;
        if policy.is_open() {
            passage.visit(&mut request);
        } else {
            let (headers, extensions) = (request.headers(), request.extensions());
            let found = passage.caller(headers, extensions).await?;
            if let Some(uri) = without_ticket(method, &passage.uri) {
                *request.uri_mut() = uri;
            }
            request.extensions_mut().insert(found.clone());
            caller = Some(found);
        }
        // Whoever is not let in takes no place. Nor does what is open and only looked at: it costs little, and tells whether
        // the server is there.
        let place = (!policy.is_open() || !is_only_looked_at).then(|| self.places.try_acquire());
        let answer = match (policy.check(caller.as_ref()), place) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(Err(_))) => Err(ApiError::Overloaded),
            (Ok(()), _place) => {
                let answer = self.router.clone().call(request);
                let answer = tokio::time::timeout(self.time, answer).await;
                answer.map(|Ok(response)| response).map_err(|_| ApiError::TooSlow)
            }
        };
        let response = answer.unwrap_or_else(ApiError::into_response);
        if let Some(caller) = caller
            && (is_denial(response.status()) || caller.has_asked_for_foreign())
        {
            let code = response.extensions().get::<Problem>().map(Problem::code);
            passage.denied(&caller, code.unwrap_or("denied"));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, F: Future>(_: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_call_takes_no_more_room_than_it_needs() {
        // Each step that is an asynchronous function around the next has room for it twice, and each call is that much to copy.
        let bytes = size(|inside: &'static Inside, request| inside.answer(request));
        assert!(bytes <= 2_560, "{bytes} bytes");
    }
}
