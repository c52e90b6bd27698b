//! How a route is registered: with its policy and its description, or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use http::Method;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;
use utoipa_axum::router::UtoipaMethodRouter;

use super::body::MAX_BODY_BYTES;
use super::{Api, document};
use crate::policy::Policy;

/// Where the API stands.
const BASE: &str = "/api/v1";
/// Where it stands, too.
const OTHER_BASE: &str = "/api";

/// Routes on their way into a router, and what the document says of them.
pub(super) struct Routes {
    router: Router<Api>,
    gates: BTreeMap<String, Gate>,
    /// The description of them all.
    pub(super) document: OpenApi,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(),
            gates: BTreeMap::new(),
            document: document::empty(),
        }
    }

    /// Adds calls of one path, `routes!(handler)` or several handlers of the same path and policy. Whoever may not make a
    /// call does not get to its handler.
    pub(super) fn with(self, policy: Policy, routes: UtoipaMethodRouter<Api>) -> Self {
        self.with_body(policy, MAX_BODY_BYTES, routes)
    }

    /// The same for calls whose bodies may have so many bytes.
    pub(super) fn with_body(
        mut self,
        policy: Policy,
        most_bytes: usize,
        routes: UtoipaMethodRouter<Api>,
    ) -> Self {
        let (schemas, paths, handlers) = routes;
        for (path, described) in &paths.paths {
            let gate = self.gates.entry(path.clone()).or_insert_with(|| Gate {
                route: path.as_str().into(),
                calls: Vec::new(),
            });
            gate.calls.extend(methods(described).map(|method| Allowed {
                method,
                policy,
                most_bytes,
            }));
            let other = other_path(path);
            for path in [Some(path), other.as_ref()].into_iter().flatten() {
                self.router = self.router.route(path, handlers.clone());
            }
        }
        document::add(&mut self.document, policy, schemas, paths);
        self
    }

    /// The handlers, and the gates before them.
    pub(super) fn parts(self) -> (Router<Api>, Gates) {
        (self.router, Gates::new(self.gates))
    }
}

/// The same path under the other base.
fn other_path(path: &str) -> Option<String> {
    let rest = path.strip_prefix(BASE)?;
    Some(format!("{OTHER_BASE}{rest}"))
}

/// The calls of one path, and what is known of them before they are made.
#[derive(Debug)]
pub(super) struct Gate {
    /// What the path is called: its pattern.
    pub(super) route: Box<str>,
    calls: Vec<Allowed>,
}

/// Who may make a call.
#[derive(Debug)]
struct Allowed {
    method: Method,
    policy: Policy,
    /// Bytes that its body may have.
    most_bytes: usize,
}

impl Gate {
    fn call(&self, method: &Method) -> Option<&Allowed> {
        let of = |method: &Method| self.calls.iter().find(|call| call.method == *method);
        // What has no answer of its own to HEAD is answered as GET.
        of(method).or_else(|| of(&Method::GET).filter(|_| *method == Method::HEAD))
    }

    /// Who may make a call. Of a method that the path has not, those are told who may make another.
    pub(super) fn policy(&self, method: &Method) -> Policy {
        let is_open = || self.calls.iter().all(|call| call.policy.is_open());
        match self.call(method) {
            Some(call) => call.policy,
            None if !self.calls.is_empty() && is_open() => Policy::OPEN,
            None => Policy::KNOWN,
        }
    }

    /// How many bytes the body of a call may have.
    pub(super) fn most_bytes(&self, method: &Method) -> usize {
        self.call(method).map_or(MAX_BODY_BYTES, |call| call.most_bytes)
    }
}

/// The gates of all paths.
#[derive(Debug, Default)]
pub(super) struct Gates(matchit::Router<Arc<Gate>>);

impl Gates {
    fn new(gates: BTreeMap<String, Gate>) -> Self {
        let mut all = matchit::Router::new();
        for (path, gate) in gates {
            let gate = Arc::new(gate);
            for path in [other_path(&path), Some(path)].into_iter().flatten() {
                all.insert(path, gate.clone())
                    .expect("the router of the handlers takes the same paths");
            }
        }
        Self(all)
    }

    /// The gate of a path; `None` if there is no such path.
    pub(super) fn of(&self, path: &str) -> Option<&Gate> {
        self.0.at(path).ok().map(|found| &**found.value)
    }
}

/// The methods that are described of a path.
fn methods(path: &PathItem) -> impl Iterator<Item = Method> {
    let all = [
        (&path.get, Method::GET),
        (&path.put, Method::PUT),
        (&path.post, Method::POST),
        (&path.delete, Method::DELETE),
        (&path.options, Method::OPTIONS),
        (&path.head, Method::HEAD),
        (&path.patch, Method::PATCH),
        (&path.trace, Method::TRACE),
    ];
    all.into_iter()
        .filter_map(|(operation, method)| operation.as_ref().map(|_| method))
}

#[cfg(test)]
mod tests {
    use nodeglass_store::Role;
    use utoipa::openapi::path::{HttpMethod, Operation};

    use super::super::routes;
    use super::*;
    use crate::push::MAX_PUSH_BYTES;

    #[test]
    fn a_path_of_which_nothing_is_known_is_not_open() {
        let of = |calls| Gate {
            route: "/new".into(),
            calls,
        };
        assert_eq!(of(Vec::new()).policy(&Method::GET), Policy::KNOWN);
        let described = PathItem::new(HttpMethod::Options, Operation::new());
        assert_eq!(methods(&described).collect::<Vec<_>>(), [Method::OPTIONS]);
        let head = Allowed {
            method: Method::HEAD,
            policy: Policy::fleet(Role::Admin),
            most_bytes: 0,
        };
        assert_eq!(of(vec![head]).policy(&Method::HEAD), Policy::fleet(Role::Admin));
    }

    #[test]
    fn every_call_has_a_policy_of_its_own_and_every_other_needs_a_token() {
        let (_, gates) = routes().parts();
        let policy = |method: Method, path: &str| gates.of(path).map(|gate| gate.policy(&method));
        let viewer = Policy::agent(Role::Viewer);
        for path in ["/api/v1/agents/a/metrics", "/api/agents/b/metrics"] {
            assert_eq!(policy(Method::GET, path), Some(viewer));
            assert_eq!(policy(Method::HEAD, path), Some(viewer), "answered as GET");
            assert_eq!(policy(Method::DELETE, path), Some(Policy::KNOWN), "there is none");
        }
        let session = "/api/v1/session";
        assert_eq!(policy(Method::POST, session), Some(Policy::OPEN));
        assert_eq!(policy(Method::GET, session), Some(Policy::fleet(Role::Viewer)));
        assert_eq!(policy(Method::PUT, session), Some(Policy::KNOWN));
        assert_eq!(policy(Method::PUT, "/health"), Some(Policy::OPEN));
        assert_eq!(
            policy(Method::GET, "/api/v1/tokens"),
            Some(Policy::fleet(Role::Admin))
        );
        let most_bytes = |method: Method| {
            gates
                .of("/api/v1/agents/a/metrics")
                .map(|gate| gate.most_bytes(&method))
        };
        assert_eq!(most_bytes(Method::POST), Some(MAX_PUSH_BYTES));
        assert_eq!(most_bytes(Method::PUT), Some(MAX_BODY_BYTES));
        for path in ["/api/v1/agents/a/metrics/", "/api/v1", "/nowhere", ""] {
            assert_eq!(policy(Method::GET, path), None, "{path}");
        }
        assert_eq!(
            gates.of("/api/agents/b/metrics").map(|gate| &*gate.route),
            Some("/api/v1/agents/{id}/metrics")
        );
    }
}
