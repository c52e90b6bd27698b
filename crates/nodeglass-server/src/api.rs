//! REST and SSE: the table of routes, and what stands before every handler.
//!
//! A route is one line of [`routes`]: its policy, and its handler, which `#[utoipa::path]` describes. From both come the
//! router, the guard and the OpenAPI document. What is under `/api/v1` is under `/api`, too.

mod agents;
mod audit;
mod boards;
mod body;
mod books;
mod document;
mod door;
mod enrolments;
mod exposition;
mod feeds;
mod fleet;
mod format;
mod guard;
mod guide;
mod headers;
mod history;
mod manage;
mod overview;
mod own;
mod parameters;
mod provider;
mod push;
mod routes;
mod session;
mod sessions;
mod shapes;
mod state;
mod streams;
mod tag;
mod tokens;
mod transfer;
mod users;
mod workloads;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use http::{HeaderName, HeaderValue, Method, Uri, header};
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_store::{Role, Store};
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::routes;

pub(crate) use parameters::Parameters;

use crate::access::Access;
use crate::compaction::Totals;
use crate::enrol::strings::Entrance;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::import::Importer;
use crate::policy::Policy;
use crate::push::{MAX_PUSH_BYTES, Pushes};
use crate::queries::Queries;
use crate::registry::Registry;
use crate::telemetry::Telemetry;

pub use document::openapi;
use door::Door;
pub(crate) use feeds::Asked;
use routes::Routes;

/// Calls in hand at once; more are turned away at once rather than made to wait in line. A stream counts until it begins.
const CALLS_AT_ONCE: usize = 256;
/// How long a call may take until its answer begins. Longer than any database or agent may take.
const CALL: Duration = Duration::from_secs(30);

/// Answers of fewer bytes are sent as they are: they fit into a packet or two.
const WORTH_COMPRESSING: u16 = 2_048;

/// How long a browser may go by what it was told of another origin's calls.
const PREFLIGHT: Duration = Duration::from_mins(10);

/// What handlers need; each call takes a few clones of it.
#[derive(Clone)]
pub struct Api(Arc<Parts>);

impl Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What handlers need, part by part.
pub struct Parts {
    /// The answers.
    pub queries: Arc<Queries>,
    /// Takes back what was exported.
    pub importer: Arc<Importer>,
    /// Signing in, tokens, users, and what is noted of them.
    pub identity: Arc<Identity>,
    /// Who may ask.
    pub access: Arc<Access>,
    /// What hosts are told that are to be agents.
    pub entrance: Entrance,
    /// For `/ready`.
    pub store: Arc<dyn Store>,
    /// For `/ready`, too.
    pub compaction: Arc<Totals>,
    /// Origins whose pages may call.
    pub cors: Arc<[HeaderValue]>,
    /// Takes what is pushed.
    pub pushes: Pushes,
    /// What the server says of itself.
    pub telemetry: Arc<Telemetry>,
    /// In which sockets are read.
    pub tasks: TaskGroup,
    /// Ends the streams.
    pub stop: CancellationToken,
}

/// The table: every route with who may take it.
fn routes() -> Routes {
    use Role::{Admin, Operator, Viewer};
    Routes::new()
        .with(Policy::OPEN, routes!(state::health))
        .with(Policy::fleet(Viewer), routes!(state::ready))
        .with(Policy::OPEN, routes!(document::openapi_json))
        .with(Policy::OPEN, routes!(document::page))
        .with(Policy::OPEN, routes!(document::script))
        .with(Policy::OPEN, routes!(document::style))
        .with(Policy::agent(Viewer), routes!(agents::system))
        .with(Policy::agent(Viewer), routes!(agents::metrics))
        .with(Policy::agent(Viewer), routes!(history::history))
        .with(Policy::agent(Viewer), routes!(streams::stream))
        .with_body(Policy::agent(Operator), MAX_PUSH_BYTES, routes!(push::push))
        .with(Policy::agent(Operator), routes!(push::heartbeat))
        .with(Policy::fleet(Operator), routes!(push::register))
        .with(Policy::fleet(Viewer), routes!(feeds::stream))
        .with(Policy::fleet(Viewer), routes!(feeds::socket))
        .with(Policy::fleet(Viewer), routes!(exposition::metrics))
        .with(Policy::agent(Viewer), routes!(books::ledger))
        .with(Policy::agent(Viewer), routes!(workloads::tasks))
        .with(Policy::agent(Viewer), routes!(workloads::processes))
        .with(Policy::fleet(Viewer), routes!(overview::overview))
        .with(Policy::fleet(Viewer), routes!(fleet::history))
        .with(Policy::fleet(Viewer), routes!(fleet::latest))
        .with(Policy::fleet(Viewer), routes!(fleet::top))
        .with(Policy::fleet(Viewer), routes!(transfer::export))
        .with(Policy::fleet(Admin), routes!(transfer::import))
        .with(Policy::fleet(Viewer), routes!(manage::list::agents))
        .with(Policy::agent(Viewer), routes!(manage::agent))
        .with(Policy::fleet(Admin), routes!(enrolments::add))
        .with(Policy::agent(Admin), routes!(enrolments::revoke))
        .with(
            Policy::fleet(Admin),
            routes!(enrolments::fleet_tokens, enrolments::add_fleet_token),
        )
        .with(Policy::fleet(Admin), routes!(enrolments::revoke_fleet_token))
        .with(Policy::agent(Admin), routes!(manage::forget))
        .with(Policy::agent(Admin), routes!(manage::rename))
        .with(Policy::agent(Viewer), routes!(manage::show_labels))
        .with(
            Policy::agent(Operator),
            routes!(manage::change_labels, manage::set_labels),
        )
        .with(Policy::agent(Viewer), routes!(manage::gaps))
        .with(Policy::agent(Viewer), routes!(manage::settings::show))
        .with(
            Policy::agent(Operator),
            routes!(manage::settings::change, manage::settings::set),
        )
        .with(Policy::agent(Operator), routes!(manage::settings::stream))
        .with(Policy::agent(Viewer), routes!(manage::events::of_agent))
        .with(Policy::fleet(Viewer), routes!(manage::events::of_fleet))
        .with(Policy::fleet(Viewer), routes!(manage::groups::groups))
        .with(Policy::fleet(Viewer), routes!(manage::groups::group))
        .with(
            Policy::fleet(Admin),
            routes!(manage::groups::set, manage::groups::remove),
        )
        .with(Policy::fleet(Viewer), routes!(boards::list))
        .with(Policy::fleet(Viewer), routes!(boards::show))
        .with(Policy::fleet(Operator), routes!(boards::save, boards::remove))
        .with(Policy::OPEN, routes!(session::sign_in))
        .with(Policy::fleet(Viewer), routes!(session::session))
        .with(Policy::fleet(Viewer), routes!(session::sign_out))
        .with(Policy::OPEN, routes!(provider::ways))
        .with(Policy::OPEN, routes!(provider::begin))
        .with(Policy::OPEN, routes!(provider::finish))
        .with(Policy::fleet(Viewer), routes!(own::password))
        .with(Policy::fleet(Viewer), routes!(own::begin_totp, own::confirm_totp))
        .with(Policy::fleet(Viewer), routes!(own::end_totp))
        .with(Policy::fleet(Viewer), routes!(sessions::sessions))
        .with(Policy::fleet(Viewer), routes!(sessions::end_session))
        .with(Policy::fleet(Viewer), routes!(session::ticket))
        .with(Policy::fleet(Admin), routes!(tokens::tokens, tokens::add_token))
        .with(
            Policy::fleet(Admin),
            routes!(tokens::change_token, tokens::revoke_token),
        )
        .with(Policy::fleet(Admin), routes!(users::users, users::add_user))
        .with(
            Policy::fleet(Admin),
            routes!(users::change_user, users::remove_user),
        )
        .with(Policy::fleet(Admin), routes!(audit::audit))
}

impl Api {
    /// The API of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// What people do with agents.
    fn registry(&self) -> &Registry {
        self.queries.registry()
    }

    /// All paths.
    pub fn router(self) -> Router {
        let (handlers, gates) = routes().parts();
        let handlers = handlers
            .method_not_allowed_fallback(wrong_method)
            .fallback(no_such_path)
            .with_state(self.clone());
        let cors = cors(&self.cors);
        Router::new().fallback_service(Door::new(self, handlers, gates, cors, CALLS_AT_ONCE, CALL))
    }

    /// The same guards before the gRPC services for programs; what they refuse has a gRPC status.
    pub fn guard_grpc(&self, service: Router) -> Router {
        service
            .layer(
                ServiceBuilder::new()
                    .layer(HandleErrorLayer::new(async |error: axum::BoxError| {
                        guard::grpc_response(not_taken(&error))
                    }))
                    .layer(LoadShedLayer::new())
                    .layer(GlobalConcurrencyLimitLayer::new(CALLS_AT_ONCE))
                    .timeout(CALL),
            )
            .layer(middleware::from_fn_with_state(self.clone(), guard::programs))
    }
}

/// Lets pages of these origins call, with tokens and without cookies; of no others.
fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().cloned()))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("idempotency-key"),
            guard::REQUEST_ID,
        ])
        .expose_headers(headers::EXPOSED)
        .max_age(PREFLIGHT);
    Some(layer)
}

/// Compresses long answers for callers that ask for it, quickly rather than well. Event streams stay as they are: their
/// events must not wait for one another.
fn compression() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(worth_compressing())
}

/// What is compressed for those who ask for it.
fn worth_compressing() -> impl Predicate {
    SizeAbove::new(WORTH_COMPRESSING).and(NotForContentType::SSE)
}

/// Why the layers before the handlers gave a call up.
fn not_taken(error: &axum::BoxError) -> ApiError {
    if error.is::<tower::timeout::error::Elapsed>() {
        ApiError::TooSlow
    } else {
        ApiError::Overloaded
    }
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
