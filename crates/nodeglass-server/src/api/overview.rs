//! Every agent with some of its figures, from memory. A fleet is shown in pages.

mod request;

use std::cmp::Ordering;
use std::hash::Hash;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use nodeglass_model::AgentId;
use nodeglass_model::selector::Selector;
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::Parameters;
use super::tag::{Known, Tag};
use super::{Api, json, shapes};
use crate::access::Caller;
use crate::error::ApiError;
use crate::glob;
use crate::live::{Cloned, Live, LiveAgent, Overview, Place};
use request::{Cursor, Order, Request};

/// About what an agent takes in an answer.
const AGENT_BYTES: usize = 160;

/// An agent that may be in the answer.
struct Candidate {
    agent: Arc<LiveAgent>,
    /// What it is sorted by, if that is a figure of it.
    key: Option<f64>,
}

/// One agent of the answer, as it stood when it was looked at.
struct Row {
    agent: Arc<LiveAgent>,
    overview: Overview,
}

/// Every agent with some of its figures.
///
/// They come by name with the metrics named by `metrics`, nested as in a sample. `limit` and `cursor` give pages, of which
/// all but the last name the `next_cursor`; `status` and `q` leave agents out; `sort` puts them in another order.
#[utoipa::path(
    get, path = "/api/v1/metrics/agents", operation_id = "agents_overview", tag = "metrics",
    params(
        ("metrics" = Option<String>, Query, example = "cpu.usage_percent,memory.usage_percent",
            description = "Which metrics, separated by commas; these two without it"),
        ("status" = Option<String>, Query, description = "`connected` or `disconnected`; all without it"),
        ("q" = Option<String>, Query, max_length = 256, description = "A part of the name, or a pattern such as `web-*`"),
        ("agents" = Option<String>, Query, description = "Only those that any of these means, separated by commas: names, \
            patterns, labels (`label:env=prod`), groups (`group:web`)"),
        ("sort" = Option<String>, Query, example = "-cpu.usage_percent",
            description = "`agent_id`, `last_metrics_update` or a metric; with `-` before it the greatest first"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10_000, description = "Agents on a page; all without it"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "The agents.", body = shapes::Overview),
        (status = 304, description = "Nothing has changed."),
    ),
)]
pub(super) async fn overview(
    State(api): State<Api>,
    caller: Caller,
    known: Known,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let request = Request::read(parameters)?;
    let live = api.queries.agents().await;
    let (rows, next) = page(live, &caller, &request);
    let tag = Tag::new(live, |state| {
        for Row { agent, overview, .. } in &rows {
            agent.id.as_str().hash(state);
            (overview.connected, overview.update, overview.number).hash(state);
            overview.cloned.as_ref().map(|cloned| cloned.at).hash(state);
        }
        next.hash(state);
    });
    Ok(tag.answer(&known, || json(body(&rows, &request, next.as_deref()))))
}

/// Two hosts that report as one agent.
#[derive(Serialize, ToSchema)]
pub(super) struct Copies {
    /// When that was last seen, in Unix milliseconds.
    last_seen: i64,
    /// Where the host is whose samples are taken.
    kept_address: Option<String>,
    /// Where the host is that is refused.
    refused_address: Option<String>,
}

impl From<&Cloned> for Copies {
    fn from(cloned: &Cloned) -> Self {
        Self {
            last_seen: cloned.at.0,
            kept_address: cloned.kept.map(|address| address.to_string()),
            refused_address: cloned.refused.map(|address| address.to_string()),
        }
    }
}

/// What decides on an agent's place: what it is sorted by, and its name.
type Standing<'a> = (Option<f64>, &'a AgentId);

impl Candidate {
    fn standing(&self) -> Standing<'_> {
        (self.key, &self.agent.id)
    }
}

/// The agents of a page for a caller, and the cursor of the next.
fn page(live: &Live, caller: &Caller, request: &Request) -> (Vec<Row>, Option<String>) {
    let mut candidates = Vec::new();
    let most = request.limit.unwrap_or(usize::MAX);
    let place = match &request.order {
        Order::Metric(selector) => live.hot().place(selector),
        Order::Name | Order::Update => None,
    };
    if request.is_by_name() {
        // They lie in that order: no more is looked at than is shown.
        let start = request.cursor.as_ref().map(|cursor| &cursor.id);
        live.after(start, |agent| {
            candidates.extend(candidate(agent, caller, request, place));
            candidates.len() <= most
        });
    } else {
        live.after(None, |agent| {
            candidates.extend(candidate(agent, caller, request, place));
            true
        });
        if let Some(Cursor { key, id }) = &request.cursor {
            let given = |one: &Candidate| order(request, one.standing(), (*key, id)).is_le();
            candidates.retain(|one| !given(one));
        }
        let compare = |one: &Candidate, other: &Candidate| order(request, one.standing(), other.standing());
        if most < candidates.len() {
            // A page of many agents needs no order among those behind it; no two are alike.
            candidates.select_nth_unstable_by(most, compare);
            candidates.truncate(most + 1);
        }
        candidates.sort_unstable_by(compare);
    }
    let is_last = candidates.len() <= most;
    candidates.truncate(most);
    let next = candidates.last().filter(|_| !is_last);
    let next = next.map(|last| request.cursor_after(last.key, &last.agent.id));
    let rows = candidates.into_iter().map(|Candidate { agent, .. }| Row {
        overview: agent.overview(),
        agent,
    });
    // It may have come or gone since it was chosen.
    let is_wanted = |row: &Row| {
        request
            .connected
            .is_none_or(|wanted| wanted == row.overview.connected)
    };
    (rows.filter(is_wanted).collect(), next)
}

/// An agent, unless it is not asked for, or not for the caller to see.
fn candidate(
    agent: &Arc<LiveAgent>,
    caller: &Caller,
    request: &Request,
    place: Option<Place>,
) -> Option<Candidate> {
    caller.may_see(agent).then_some(())?;
    request
        .pattern
        .as_ref()
        .is_none_or(|pattern| glob::finds(pattern, agent.id.as_str()))
        .then_some(())?;
    request.chosen.means(agent).then_some(())?;
    request
        .connected
        .is_none_or(|wanted| wanted == agent.is_connected())
        .then_some(())?;
    let key = match &request.order {
        Order::Name => None,
        Order::Update => agent.latest().update.map(|at| at.0 as f64),
        Order::Metric(selector) => agent.figure(selector, place).map(|(_, value)| value),
    };
    Some(Candidate {
        agent: agent.clone(),
        key,
    })
}

/// How two agents are ordered: by what they are sorted by, those without it last, and by name among equals.
fn order(request: &Request, one: Standing<'_>, other: Standing<'_>) -> Ordering {
    let turned = |ordering: Ordering| {
        if request.descending {
            ordering.reverse()
        } else {
            ordering
        }
    };
    let names = || one.1.cmp(other.1);
    match (one.0, other.0) {
        _ if matches!(request.order, Order::Name) => turned(names()),
        (Some(one), Some(other)) => turned(one.total_cmp(&other)).then_with(names),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => names(),
    }
}

/// The answer as JSON, written straight down: a tree of it would cost more than all the rest.
fn body(rows: &[Row], request: &Request, next: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(64 + rows.len() * AGENT_BYTES);
    out.extend_from_slice(b"{\"agents\":[");
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write(&mut out, row, request);
    }
    out.push(b']');
    if let Some(next) = next {
        out.extend_from_slice(b",\"next_cursor\":");
        put(&mut out, next);
    }
    out.push(b'}');
    Bytes::from(out)
}

fn write(out: &mut Vec<u8>, row: &Row, request: &Request) {
    let Overview {
        connected,
        update,
        sample,
        cloned,
        ..
    } = &row.overview;
    out.extend_from_slice(b"{\"agent_id\":");
    put(out, row.agent.id.as_str());
    out.extend_from_slice(b",\"status\":");
    put(out, if *connected { "connected" } else { "disconnected" });
    if let Some(cloned) = cloned {
        out.extend_from_slice(b",\"cloned\":");
        put(out, &Copies::from(cloned));
    }
    out.extend_from_slice(b",\"last_metrics_update\":");
    put(out, &update.map(|at| at.0));
    out.extend_from_slice(b",\"metrics\":");
    let Some(live) = sample else {
        out.extend_from_slice(b"null}");
        return;
    };
    out.push(b'{');
    let mut first_section = true;
    for (section, figures) in &request.shown {
        let begin = out.len();
        if !first_section {
            out.push(b',');
        }
        put(out, section.as_str());
        out.extend_from_slice(b":{");
        let empty = out.len();
        for (name, selector) in figures {
            let mut figure = |name: &str, value: f64| {
                if out.len() > empty {
                    out.push(b',');
                }
                put(out, name);
                out.push(b':');
                put(out, &value);
            };
            each(selector, live.sample(), name, section.len() + 1, &mut figure);
        }
        if out.len() == empty {
            // A section without figures is left out, as in a sample.
            out.truncate(begin);
        } else {
            out.push(b'}');
            first_section = false;
        }
    }
    out.extend_from_slice(b"}}");
}

/// Gives `figure` each value of a selection, under its name within its section.
fn each(
    selector: &Selector,
    sample: &nodeglass_model::Sample,
    name: &str,
    section: usize,
    figure: &mut impl FnMut(&str, f64),
) {
    if selector.is_of_every_device() {
        selector.each(sample, |path, value| {
            figure(path.get(section..).unwrap_or(&path), value);
        });
    } else if let Some(value) = selector.value(sample) {
        figure(name, value);
    }
}

fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and numbers can be written");
}

#[cfg(test)]
mod tests;
