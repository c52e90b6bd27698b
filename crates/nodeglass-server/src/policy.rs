//! What each call asks of its caller: the one table of it for gRPC, and the type in which REST says it for each route
//! (`api/routes.rs` takes no route without one).

use nodeglass_store::Role;

use crate::access::Caller;
use crate::error::ApiError;

/// What a call is about, and so whom it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Anybody may call it, without a token: it tells nothing of the fleet.
    Open,
    /// All that the caller may see; what it may not see is left out.
    Fleet,
    /// The one agent that the call names. To a caller who may not see it there is no such agent.
    Agent,
    /// An agent's own: it shows its own token, and can speak of nobody else. `ingest/admission.rs` looks at it.
    Session,
}

impl Scope {
    /// Its name in the documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Fleet => "fleet",
            Self::Agent => "agent",
            Self::Session => "session",
        }
    }
}

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The least role that may.
    pub least: Role,
    /// What the call is about.
    pub scope: Scope,
}

impl Policy {
    /// A call that needs no token.
    pub const OPEN: Self = Self {
        least: Role::Viewer,
        scope: Scope::Open,
    };

    /// A call that is for anybody who shows a token, whatever it may do.
    pub const KNOWN: Self = Self::fleet(Role::Viewer);

    /// A call about the agents that the caller may see, all or some, or about none in particular.
    pub const fn fleet(least: Role) -> Self {
        Self {
            least,
            scope: Scope::Fleet,
        }
    }

    /// A call about the agent that it names: in the path as `{id}`, or in the field `agent_id`.
    pub const fn agent(least: Role) -> Self {
        Self {
            least,
            scope: Scope::Agent,
        }
    }

    /// Whether anybody may make the call.
    pub fn is_open(self) -> bool {
        self.scope == Scope::Open
    }

    /// Whether this caller's role suffices. Which agents it may see is asked where an agent is looked up.
    ///
    /// # Errors
    /// [`ApiError::NoToken`] without a caller, [`ApiError::Forbidden`] for a lesser role.
    pub fn check(self, caller: Option<&Caller>) -> Result<(), ApiError> {
        if self.is_open() {
            return Ok(());
        }
        let caller = caller.ok_or(ApiError::NoToken)?;
        if caller.role < self.least {
            return Err(ApiError::Forbidden {
                role: caller.role.name(),
                least: self.least.name(),
            });
        }
        Ok(())
    }
}

/// The methods of gRPC, by their full names. One that is not here is not served.
pub const METHODS: &[(&str, Policy)] = &[
    (
        "/nodeglass.v1.AgentService/Session",
        Policy {
            least: Role::Viewer,
            scope: Scope::Session,
        },
    ),
    (
        "/nodeglass.v1.AgentService/Enrol",
        Policy {
            least: Role::Viewer,
            scope: Scope::Session,
        },
    ),
    (
        "/nodeglass.v1.MetricsService/ListAgents",
        Policy::fleet(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/GetSystemInfo",
        Policy::agent(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/GetMetrics",
        Policy::agent(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/StreamMetrics",
        Policy::agent(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/QueryHistory",
        Policy::agent(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/QueryFleetHistory",
        Policy::fleet(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/StreamFleet",
        Policy::fleet(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/GetLatest",
        Policy::fleet(Role::Viewer),
    ),
    ("/nodeglass.v1.MetricsService/GetTop", Policy::fleet(Role::Viewer)),
    (
        "/nodeglass.v1.MetricsService/GetLedger",
        Policy::agent(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/ListTasks",
        Policy::agent(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/GetProcesses",
        Policy::agent(Role::Viewer),
    ),
    // As `/health` does it tells whether the server serves, and nothing else. A watch holds a stream, so it takes a token.
    ("/grpc.health.v1.Health/Check", Policy::OPEN),
    ("/grpc.health.v1.Health/List", Policy::OPEN),
    ("/grpc.health.v1.Health/Watch", Policy::fleet(Role::Viewer)),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Policy::fleet(Role::Viewer),
    ),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Policy::fleet(Role::Viewer),
    ),
    (
        "/nodeglass.v1.MetricsService/ExecuteTask",
        Policy::agent(Role::Operator),
    ),
];

/// The policy of a gRPC method, by the path of its call.
pub fn of_method(path: &str) -> Option<Policy> {
    METHODS
        .iter()
        .find(|(name, _)| *name == path)
        .map(|(_, policy)| *policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesser_role_is_refused_and_told_which_it_takes() {
        let policy = Policy::agent(Role::Operator);
        let check = |role| policy.check(Some(&Caller::anybody().with_role(role)));
        assert!(check(Role::Operator).is_ok() && check(Role::Admin).is_ok());
        let refused = check(Role::Viewer).unwrap_err().to_string();
        assert!(refused.contains("operator"), "{refused}");
        assert!(matches!(policy.check(None), Err(ApiError::NoToken)));
        assert!(Policy::OPEN.check(None).is_ok());
    }
}
