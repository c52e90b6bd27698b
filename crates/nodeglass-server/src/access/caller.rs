//! Who calls: put into the call by the guard, once, and read by whoever answers it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use nodeglass_store::Role;

use crate::error::ApiError;
use crate::live::LiveAgent;

/// A person or program that the guard has let in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose token it is.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
}

impl Caller {
    /// Somebody of that role who may see every agent.
    pub fn of_role(name: &str, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
        }
    }

    /// Whether it may know that there is this agent.
    pub fn may_see(&self, _agent: &LiveAgent) -> bool {
        true
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::NoToken)
    }
}
