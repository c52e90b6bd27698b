//! `GET /agents`: every agent with what it is called and how it stands, from memory, in pages.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use nodeglass_model::AgentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::parameters::{Parameters, wrong};
use crate::api::tag::Tag;
use crate::api::{Api, json};
use crate::error::ApiError;
use crate::glob;
use crate::live::LiveAgent;
use crate::registry::selector::Choice;

/// Agents on one page at most, and unless the caller says otherwise.
const MAX_LIMIT: usize = 10_000;
const USUAL_LIMIT: usize = 1_000;
/// Labels that one call may ask for.
const MAX_LABELS: usize = 20;

/// An agent in a list.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AgentEntry {
    /// Its name.
    agent_id: String,
    /// `connected` or `disconnected`.
    status: &'static str,
    /// When its latest sample was taken, in Unix milliseconds; null before the first.
    #[schema(required)]
    last_metrics_update: Option<i64>,
    /// When it was enrolled, in Unix milliseconds.
    #[schema(required)]
    enrolled_at: Option<i64>,
    /// The version of its program; null before its first session.
    #[schema(required)]
    version: Option<String>,
    /// Its labels, its own and the server's.
    labels: BTreeMap<String, String>,
    /// The groups that it is in, but for that of all agents.
    groups: Vec<String>,
    /// What is the matter with it: `cloned`.
    flags: Vec<String>,
    /// Whether what is asked of it is in force; null if it never said.
    #[schema(required)]
    settings_applied: Option<bool>,
}

impl AgentEntry {
    pub(super) fn of(api: &Api, agent: &LiveAgent) -> Self {
        let profile = agent.profile();
        let said = profile.report.is_some();
        Self {
            agent_id: agent.id.to_string(),
            status: status(agent.is_connected()),
            last_metrics_update: agent.latest().update.map(|at| at.0),
            enrolled_at: profile.enrolled_at.map(|at| at.0),
            version: profile.version.as_deref().map(str::to_owned),
            labels: profile
                .labels
                .iter()
                .map(|label| (label.name.to_string(), label.value.to_string()))
                .collect(),
            groups: profile.groups.iter().map(ToString::to_string).collect(),
            flags: agent.cloned().map(|_| "cloned".to_owned()).into_iter().collect(),
        total,
        next_cursor,
    };
    let body = serde_json::to_vec(&body).map_err(|error| ApiError::Internal(error.into()))?;
    let tag = Tag::new(live, |state| body.hash(state));
    Ok(tag.answer(&headers, || json(body.into())))
}
