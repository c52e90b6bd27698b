//! REST and SSE: paths, and what stands before every handler.
//!
//! `/health` is open; everything else needs a token. The API stands under `/api/v1` and, the same, under `/api`.

mod agents;
mod books;
mod fleet;
mod format;
mod guide;
mod history;
mod overview;
mod parameters;
mod streams;
mod tag;
mod transfer;
mod workloads;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{Method, Uri, header};
use nodeglass_store::Store;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::access::Access;
use crate::compaction::{Progress, Totals};
use crate::error::ApiError;
use crate::import::Importer;
use crate::queries::Queries;

/// Calls in hand at once; more are turned away at once rather than made to wait in line. A stream counts until it begins.
const CALLS_AT_ONCE: usize = 256;
/// How long a call may take until its answer begins. Longer than any database or agent may take.
const CALL: Duration = Duration::from_secs(30);

/// Answers of fewer bytes are sent as they are: they fit into a packet or two.
const WORTH_COMPRESSING: u16 = 2_048;

/// What handlers need.
#[derive(Clone)]
pub struct Api {
    /// The answers.
    pub queries: Arc<Queries>,
    /// Takes back what was exported.
    pub importer: Arc<Importer>,
    /// Who may ask.
    pub access: Arc<Access>,
    /// For `/ready`.
    pub store: Arc<dyn Store>,
    /// For `/ready`, too.
    pub compaction: Arc<Totals>,
    /// Ends the streams.
    pub stop: CancellationToken,
}

impl Api {
    /// All paths.
    pub fn router(self) -> Router {
        let api = Router::new()
            .route("/agents/{id}/system", get(agents::system))
            .route("/agents/{id}/metrics", get(agents::metrics))
            .route("/agents/{id}/metrics/history", get(history::history))
            .route("/agents/{id}/metrics/stream", get(streams::stream))
            .route("/agents/{id}/ledger", get(books::ledger))
            .route("/agents/{id}/tasks", get(workloads::tasks))
            .route("/agents/{id}/processes", get(workloads::processes))
            .route("/metrics/agents", get(overview::overview))
            .route("/metrics/history", get(fleet::history))
            .route("/metrics/latest", get(fleet::latest))
            .route("/metrics/top", get(fleet::top))
            .route("/export", get(transfer::export))
            .route("/import", post(transfer::import));
        let guarded = Router::new()
            .route("/ready", get(ready))
            .nest("/api/v1", api.clone())
            .nest("/api", api)
            .method_not_allowed_fallback(wrong_method)
            .fallback(no_such_path)
            .layer(
                ServiceBuilder::new()
                    .layer(HandleErrorLayer::new(async |error: axum::BoxError| {
                        not_taken(&error)
                    }))
                    .layer(LoadShedLayer::new())
                    .layer(GlobalConcurrencyLimitLayer::new(CALLS_AT_ONCE))
                    .timeout(CALL),
            )
            .layer(compression())
            // Outermost: a call without a token takes no place from one that has one.
            .layer(middleware::from_fn_with_state(self.clone(), admit));
        Router::new()
            .route("/health", get(health))
            .method_not_allowed_fallback(wrong_method)
            .merge(guarded)
            .with_state(self)
    }

    /// The same guards before the gRPC service for programs; what they refuse has a gRPC status.
    pub fn guard_grpc(&self, service: Router) -> Router {
        service
            .layer(
                ServiceBuilder::new()
                    .layer(HandleErrorLayer::new(async |error: axum::BoxError| {
                        grpc_response(not_taken(&error))
                    }))
                    .layer(LoadShedLayer::new())
                    .layer(GlobalConcurrencyLimitLayer::new(CALLS_AT_ONCE))
                    .timeout(CALL),
            )
            .layer(middleware::from_fn_with_state(self.clone(), admit_grpc))
    }
}

/// Compresses long answers for callers that ask for it, quickly rather than well. Event streams stay as they are: their
/// events must not wait for one another.
fn compression() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(WORTH_COMPRESSING).and(NotForContentType::SSE))
}

/// Lets nobody past without a token. What the caller may do travels with the call.
async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let role = api.access.admit(request.headers()).await?;
    request.extensions_mut().insert(role);
    Ok(next.run(request).await)
}

async fn admit_grpc(api: State<Api>, request: Request, next: Next) -> Response {
    admit(api, request, next).await.unwrap_or_else(grpc_response)
}

fn grpc_response(error: ApiError) -> Response {
    tonic::Status::from(error).into_http()
}

/// Why the layers before the handlers gave a call up.
fn not_taken(error: &axum::BoxError) -> ApiError {
    if error.is::<tower::timeout::error::Elapsed>() {
        ApiError::TooSlow
    } else {
        ApiError::Overloaded
    }
}

/// The process is alive.
async fn health() -> Response {
    json(r#"{"status":"ok"}"#.into())
}

/// How the server stands.
#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    compaction: Compaction,
}

/// What compaction has done since the start; `slots_behind` says whether it keeps up.
#[derive(Serialize)]
struct Compaction {
    slots_behind: usize,
    failures: u64,
    samples: u64,
    unreadable: u64,
    merges: u64,
    troubled_agents: u64,
}

/// The database answers; how compaction stands.
async fn ready(State(api): State<Api>) -> Result<axum::Json<Readiness>, ApiError> {
    api.store.ping().await?;
    let Progress {
        done,
        failures,
        slots_behind,
    } = api.compaction.read();
    Ok(axum::Json(Readiness {
        status: "ready",
        compaction: Compaction {
            slots_behind,
            failures,
            samples: done.samples,
            unreadable: done.unreadable,
            merges: done.merges,
            troubled_agents: done.troubled_agents,
        },
    }))
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::NoSuchPath(uri.path().chars().take(200).collect())
}

async fn wrong_method(method: Method) -> ApiError {
    ApiError::Method(method.to_string())
}

/// Bytes that are JSON already.
fn json(body: bytes::Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
