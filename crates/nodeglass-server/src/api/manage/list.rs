//! `GET /agents`: every agent with what it is called and how it stands, from memory, in pages.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeglass_model::AgentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::parameters::{Parameters, wrong};
use crate::api::tag::{Known, Tag};
use crate::api::{Api, json};
use crate::error::ApiError;
use crate::glob;
use crate::live::LiveAgent;
use crate::queries::inside;
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
            settings_applied: said.then(|| api.registry().is_applied(agent)),
        }
    }
}

fn status(is_connected: bool) -> &'static str {
    if is_connected { "connected" } else { "disconnected" }
}

/// A page of agents.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AgentsBody {
    /// In the order that was asked for.
    agents: Vec<AgentEntry>,
    /// How many agents fit what was asked for, on all pages.
    total: usize,
    /// The cursor of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What agents are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order<'a> {
    Name,
    Update,
    Enrolled,
    Version,
    Status,
    Label(&'a str),
}

/// What an agent is sorted by; those without it come last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

impl Order<'_> {
    fn read(text: &str) -> Result<Order<'_>, ApiError> {
        Ok(match text {
            "agent_id" => Order::Name,
            "last_metrics_update" => Order::Update,
            "enrolled_at" => Order::Enrolled,
            "version" => Order::Version,
            "status" => Order::Status,
            other => match other.strip_prefix("label:") {
                Some(name) if nodeglass_model::label::check_name(name).is_ok() => Order::Label(name),
                _ => {
                    let problem = "it is agent_id, last_metrics_update, enrolled_at, version, status or label:NAME, with - \
                                   before it for the other way round";
                    return Err(wrong("sort", problem.to_owned()));
                }
            },
        })
    }

    fn key(self, agent: &LiveAgent) -> Option<Key> {
        let profile = agent.profile();
        match self {
            Self::Name => None,
            Self::Update => agent.latest().update.map(|at| Key::Number(at.0)),
            Self::Enrolled => profile.enrolled_at.map(|at| Key::Number(at.0)),
            Self::Version => profile
                .version
                .as_deref()
                .map(|version| Key::Text(version.to_owned())),
            Self::Status => Some(Key::Text(status(agent.is_connected()).to_owned())),
            Self::Label(name) => profile
                .labels
                .value(name)
                .map(|value| Key::Text(value.to_owned())),
        }
    }
}

/// What is asked for.
struct Request<'a> {
    order: Order<'a>,
    descending: bool,
    limit: usize,
    cursor: Option<(Option<Key>, AgentId)>,
    sort: &'a str,
    connected: Option<bool>,
    pattern: Option<&'a str>,
    version: Option<&'a str>,
    /// All of these have to hold.
    labels: Vec<Choice>,
    /// Any of these.
    groups: Vec<&'a str>,
    /// Any of these.
    agents: Vec<Choice>,
}

impl<'a> Request<'a> {
    fn read(parameters: &'a Parameters) -> Result<Self, ApiError> {
        let connected = match parameters.text("status") {
            None => None,
            Some("connected") => Some(true),
            Some("disconnected") => Some(false),
            Some(_) => return Err(wrong("status", "it is connected or disconnected".to_owned())),
        };
        for name in ["q", "version"] {
            if parameters
                .text(name)
                .is_some_and(|text| text.len() > glob::LONGEST)
            {
                return Err(wrong(
                    name,
                    format!("it is longer than {} characters", glob::LONGEST),
                ));
            }
        }
        let limit = parameters
            .parsed::<usize>("limit", "a whole number")?
            .unwrap_or(USUAL_LIMIT);
        let limit = inside("limit", limit, 1..=MAX_LIMIT)?;
        let sort = parameters.text("sort").unwrap_or("agent_id");
        let (descending, by) = match sort.strip_prefix('-') {
            Some(by) => (true, by),
            None => (false, sort),
        };
        let labels = parameters.list("label");
        if labels.len() > MAX_LABELS {
            return Err(wrong("label", format!("at most {MAX_LABELS} labels at once")));
        }
        let labels = labels
            .into_iter()
            .map(|label| Choice::parse(&format!("label:{label}")).map_err(|problem| wrong("label", problem)));
        let agents = parameters
            .list("agents")
            .into_iter()
            .map(|entry| Choice::parse(entry).map_err(|problem| wrong("agents", problem)));
        let cursor = parameters.text("cursor").map(|text| {
            let foreign = || {
                wrong(
                    "cursor",
                    "it is not a next_cursor of this list with this sort".to_owned(),
                )
            };
            read_cursor(text, sort).ok_or_else(foreign)
        });
        Ok(Self {
            order: Order::read(by)?,
            descending,
            limit,
            cursor: cursor.transpose()?,
            sort,
            connected,
            pattern: parameters.text("q"),
            version: parameters.text("version"),
            labels: labels.collect::<Result<_, _>>()?,
            groups: parameters.list("group"),
            agents: agents.collect::<Result<_, _>>()?,
        })
    }

    /// Whether an agent is asked for.
    fn wants(&self, agent: &LiveAgent) -> bool {
        let profile = agent.profile();
        self.pattern
            .is_none_or(|pattern| glob::finds(pattern, agent.id.as_str()))
            && self.connected.is_none_or(|wanted| wanted == agent.is_connected())
            && self.version.is_none_or(|pattern| {
                profile
                    .version
                    .as_deref()
                    .is_some_and(|version| glob::fits(pattern, version))
            })
            && self.labels.iter().all(|label| label.means(agent))
            && (self.groups.is_empty() || self.groups.iter().any(|group| profile.is_in(group)))
            && (self.agents.is_empty() || self.agents.iter().any(|choice| choice.means(agent)))
    }

    /// How two agents are ordered: by what they are sorted by, those without it last, and by name among equals.
    fn order(&self, one: (Option<&Key>, &AgentId), other: (Option<&Key>, &AgentId)) -> Ordering {
        let turned = |ordering: Ordering| {
            if self.descending {
                ordering.reverse()
            } else {
                ordering
            }
        };
        let names = || one.1.cmp(other.1);
        match (one.0, other.0) {
            _ if self.order == Order::Name => turned(names()),
            (Some(one), Some(other)) => turned(one.compare(other)).then_with(names),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => names(),
        }
    }
}

fn read_cursor(text: &str, sort: &str) -> Option<(Option<Key>, AgentId)> {
    let json = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (of, key, id): (String, Option<Key>, AgentId) = serde_json::from_slice(&json).ok()?;
    (of == sort).then_some((key, id))
}

/// Every agent, with what it is called and how it stands.
///
/// It comes from memory, in pages: all but the last name the `next_cursor`. The filters all have to hold.
#[utoipa::path(
    get, path = "/api/v1/agents", operation_id = "agents", tag = "agents",
    params(
        ("status" = Option<String>, Query, description = "Only those that are `connected`, or `disconnected`"),
        ("q" = Option<String>, Query, description = "Only those whose name has this in it, or fits this pattern (`web-*`)"),
        ("agents" = Option<String>, Query, description = "Only those that any of these means, separated by commas: names, \
            patterns, labels (`label:env=prod`), groups (`group:web`)"),
        ("label" = Option<String>, Query, description = "Only those with all of these labels, separated by commas: `env`, \
            `env=prod`, `env=p*`, `env!=prod`"),
        ("group" = Option<String>, Query, description = "Only those in any of these groups, separated by commas"),
        ("version" = Option<String>, Query, description = "Only those whose program's version fits this pattern (`1.2.*`)"),
        ("sort" = Option<String>, Query, description = "`agent_id`, `last_metrics_update`, `enrolled_at`, `version`, \
            `status` or `label:NAME`; with `-` before it the other way round"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10_000, description = "Agents on a page; 1000 without it"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of agents.", body = AgentsBody),
        (status = 304, description = "Nothing has changed."),
    ),
)]
pub(in crate::api) async fn agents(
    State(api): State<Api>,
    caller: Caller,
    known: Known,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let parameters = parameters.only(&[
        "status", "q", "agents", "label", "group", "version", "sort", "limit", "cursor",
    ])?;
    let request = Request::read(&parameters)?;
    let live = api.queries.agents().await;
    let mut found: Vec<(Option<Key>, Arc<LiveAgent>)> = Vec::new();
    live.after(None, |agent| {
        if caller.may_see(agent) && request.wants(agent) {
            found.push((request.order.key(agent), agent.clone()));
        }
        true
    });
    let total = found.len();
    if let Some((key, id)) = &request.cursor {
        found.retain(|(of, agent)| {
            request
                .order((of.as_ref(), &agent.id), (key.as_ref(), id))
                .is_gt()
        });
    }
    if request.order != Order::Name || request.descending {
        found.sort_by(|one, other| {
            request.order((one.0.as_ref(), &one.1.id), (other.0.as_ref(), &other.1.id))
        });
    }
    let is_last = found.len() <= request.limit;
    found.truncate(request.limit);
    let next_cursor = found.last().filter(|_| !is_last).map(|(key, agent)| {
        let cursor = serde_json::json!([request.sort, key, agent.id]).to_string();
        URL_SAFE_NO_PAD.encode(cursor)
    });
    let body = AgentsBody {
        agents: found
            .iter()
            .map(|(_, agent)| AgentEntry::of(&api, agent))
            .collect(),
        total,
        next_cursor,
    };
    let body = serde_json::to_vec(&body).map_err(|error| ApiError::Internal(error.into()))?;
    let tag = Tag::new(live, |state| body.hash(state));
    Ok(tag.answer(&known, || json(body.into())))
}
