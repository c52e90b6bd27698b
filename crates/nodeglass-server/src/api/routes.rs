//! How a route is registered: with its policy and its description, or not at all.

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::UtoipaMethodRouter;

use super::guard::Gate;
use super::{Api, document, guard};
use crate::policy::Policy;

/// Where the API stands.
const BASE: &str = "/api/v1";
/// Where it stands, too.
const OTHER_BASE: &str = "/api";

/// Routes on their way into a router, and what the document says of them.
pub(super) struct Routes {
    /// Those that need a token.
    pub(super) guarded: Router<Api>,
    /// Those that don't.
    pub(super) open: Router<Api>,
    /// The description of them all.
    pub(super) document: OpenApi,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self {
            guarded: Router::new(),
            open: Router::new(),
            document: document::empty(),
        }
    }

    /// The same for calls whose bodies may have so many bytes.
    #[allow(dead_code, reason = "for calls that change something")]
    pub(super) fn with_body(
        self,
        policy: Policy,
        most_bytes: usize,
        routes: UtoipaMethodRouter<Api>,
    ) -> Self {
        let (schemas, paths, methods) = routes;
        let methods = methods.layer(DefaultBodyLimit::max(most_bytes));
        self.with(policy, (schemas, paths, methods))
    }

    /// Adds an open call of a path whose other calls are not open: it stands among them, and the guard lets it by.
    pub(super) fn with_open_beside(self, routes: UtoipaMethodRouter<Api>) -> Self {
        let Self {
            guarded,
            open,
            document,
        } = self;
        let turned = Self {
            guarded: open,
            open: guarded,
            document,
        }
        .with(Policy::OPEN, routes);
        Self {
            guarded: turned.open,
            open: turned.guarded,
            document: turned.document,
        }
    }

    /// Adds the calls of one path, `routes!(handler)` or several handlers of the same path and policy. Whoever may not
    /// make a call does not get to its handler.
    pub(super) fn with(mut self, policy: Policy, routes: UtoipaMethodRouter<Api>) -> Self {
        let (schemas, paths, methods) = routes;
        let into = if policy.is_open() {
            &mut self.open
        } else {
            &mut self.guarded
        };
        for path in paths.paths.keys() {
            let gate = Gate {
                policy,
                route: path.as_str().into(),
            };
            let methods = methods
                .clone()
                .route_layer(middleware::from_fn_with_state(gate, guard::allow));
            *into = std::mem::take(into).route(path, methods.clone());
            if let Some(rest) = path.strip_prefix(BASE) {
                let other = format!("{OTHER_BASE}{rest}");
                *into = std::mem::take(into).route(&other, methods.clone());
            }
        }
        document::add(&mut self.document, policy, schemas, paths);
        self
    }
}
