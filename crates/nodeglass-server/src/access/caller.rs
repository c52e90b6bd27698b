//! Who makes a call: a name, what it may do, and which agents it may see. It travels with the call, in the request's
//! extensions, whichever way the call came.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;
use nodeglass_model::AgentId;
use nodeglass_store::identities::SessionKind;
use nodeglass_store::{Role, TokenHash};
use tokio_util::sync::CancellationToken;

use super::selector::Selector;
use crate::error::ApiError;
use crate::live::LiveAgent;

/// What somebody calls by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// A token of a program or a person.
    Token,
    /// A user, signed in with a password.
    User,
    /// Somebody whom the provider knows.
    Oidc,
    /// An agent, by its key.
    Agent,
    /// Nothing: what is called is open, or denied.
    Nobody,
}

impl CallerKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
            Self::Oidc => "oidc",
            Self::Agent => "agent",
            Self::Nobody => "nobody",
        }
    }

    /// Of whoever is in a session that was begun so.
    pub fn of_session(kind: SessionKind) -> Self {
        match kind {
            SessionKind::Token => Self::Token,
            SessionKind::User => Self::User,
            SessionKind::Oidc => Self::Oidc,
        }
    }
}

/// Who makes a call, and this call of theirs. A clone is the same call, and costs next to nothing.
#[derive(Debug, Clone)]
pub struct Caller(Arc<InCall>);

#[derive(Debug)]
struct InCall {
    who: Arc<Who>,
    address: Option<IpAddr>,
    request_id: Option<Arc<str>>,
    /// Whether the call asked for an agent that there is and that it may not see.
    asked_for_foreign: AtomicBool,
}

/// Whoever calls, in all of their calls.
#[derive(Debug, Clone)]
pub struct Who {
    /// Its name, unique among those of its kind.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// The agents that it may see; to it there are no others.
    pub agents: Selector,
    /// What it calls by.
    pub kind: CallerKind,
    /// Its session, if it came with a cookie.
    pub session: Option<TokenHash>,
    ended: CancellationToken,
}

impl Deref for Caller {
    type Target = Who;

    fn deref(&self) -> &Who {
        &self.0.who
    }
}

impl From<Who> for Caller {
    fn from(who: Who) -> Self {
        Self::calling(Arc::new(who), None, None)
    }
}

impl Caller {
    /// One whose rights end when `ended` is cancelled.
    pub fn new(name: &str, role: Role, agents: Selector, kind: CallerKind, ended: CancellationToken) -> Self {
        Self::from(Who {
            name: name.into(),
            role,
            agents,
            kind,
            session: None,
            ended,
        })
    }

    fn calling(who: Arc<Who>, address: Option<IpAddr>, request_id: Option<Arc<str>>) -> Self {
        Self(Arc::new(InCall {
            who,
            address,
            request_id,
            asked_for_foreign: AtomicBool::new(false),
        }))
    }

    /// Whoever calls without credentials.
    pub fn nobody(address: Option<IpAddr>, request_id: Option<Arc<str>>) -> Self {
        let (agents, ended) = (Selector::all(), CancellationToken::new());
        Self::new("", Role::Viewer, agents, CallerKind::Nobody, ended).in_call(address, request_id)
    }

    /// An agent that speaks for itself.
    pub fn agent(id: &str, address: Option<IpAddr>) -> Self {
        let (agents, ended) = (Selector::all(), CancellationToken::new());
        Self::new(id, Role::Viewer, agents, CallerKind::Agent, ended).in_call(address, None)
    }

    /// The same, in a session.
    pub(crate) fn signed_in(&self, session: TokenHash) -> Self {
        Self::from(Who {
            session: Some(session),
            ..Who::clone(self)
        })
    }

    /// The same as whoever makes this call.
    pub(crate) fn in_call(&self, address: Option<IpAddr>, request_id: Option<Arc<str>>) -> Self {
        Self::calling(self.0.who.clone(), address, request_id)
    }

    /// The caller of a request that the guard has let in.
    ///
    /// # Errors
    /// [`ApiError::NoToken`] if it did not pass one.
    pub fn of(extensions: &Extensions) -> Result<Self, ApiError> {
        extensions.get::<Self>().cloned().ok_or(ApiError::NoToken)
    }

    /// Whether it may know of this agent. One that it may not is to it as if there were none.
    pub fn may_see(&self, agent: &LiveAgent) -> bool {
        self.agents.is_all() || self.agents.has(&agent.id, &agent.labels().to_map())
    }

    /// Whether it may make an agent of this name, which has no labels yet.
    pub fn may_make(&self, id: &AgentId) -> bool {
        self.agents.has(id, &BTreeMap::new())
    }

    /// Cancelled when it may no longer do what it could when the call came: its token was revoked or changed or ran out, or
    /// the server stops. Streams end then.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Whether both are of the same token or session, with the same rights.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // Each is made once, and then cloned.
        Arc::ptr_eq(&self.name, &other.name)
    }

    /// Notes that it asked for an agent that is not for it to see.
    pub(crate) fn note_foreign(&self) {
        self.0.asked_for_foreign.store(true, Ordering::Relaxed);
    }

    /// Whether it asked for one.
    pub(crate) fn has_asked_for_foreign(&self) -> bool {
        self.0.asked_for_foreign.load(Ordering::Relaxed)
    }

    /// From where it calls, if that is known.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// The call's number, if it has one.
    pub fn request_id(&self) -> Option<&Arc<str>> {
        self.0.request_id.as_ref()
    }

    /// From where it calls, as text; empty if that is not known.
    pub fn address_text(&self) -> String {
        self.address()
            .map_or_else(String::new, |address| address.to_canonical().to_string())
    }

    /// One that may do everything.
    #[cfg(test)]
    pub(crate) fn anybody() -> Self {
        let (all, ended) = (Selector::all(), CancellationToken::new());
        Self::new("anybody", Role::Admin, all, CallerKind::Token, ended)
    }

    /// The same with another role.
    #[cfg(test)]
    pub(crate) fn with_role(&self, role: Role) -> Self {
        Self::from(Who {
            role,
            ..Who::clone(self)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(&parts.extensions)
    }
}
