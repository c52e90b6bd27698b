//! What is asked of the overview.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeglass_model::AgentId;
use nodeglass_model::history::{MAX_SELECTORS, QueryError};
use nodeglass_model::selector::Selector;

use crate::api::parameters::{Parameters, wrong};
use crate::error::ApiError;
use crate::glob;
use crate::queries::inside;
use crate::registry::selector::Choices;

/// What is shown of each agent unless the caller names something else.
const SHOWN: [&str; 2] = ["cpu.usage_percent", "memory.usage_percent"];
/// Agents on one page at most.
const MAX_LIMIT: usize = 10_000;

/// Metrics by the section of a sample in which they stand, each with its name in it.
pub(super) type Shown = Vec<(String, Vec<(String, Selector)>)>;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Request {
    /// The metrics.
    pub(super) shown: Shown,
    /// Whether connected agents are wanted, or those that are not; `None` for both.
    pub(super) connected: Option<bool>,
    /// Which names are wanted; `None` for all.
    pub(super) pattern: Option<String>,
    /// Which agents are wanted.
    pub(super) chosen: Choices,
    /// What the agents are sorted by.
    pub(super) order: Order,
    /// Whether the greatest comes first.
    pub(super) descending: bool,
    /// Agents on a page; `None` for all agents on one.
    pub(super) limit: Option<usize>,
    /// Where the page before ended; `None` for the first.
    pub(super) cursor: Option<Cursor>,
    /// What `sort` said, which a cursor holds for alone.
    sort: String,
}

/// What agents are sorted by.
#[derive(Debug)]
pub(super) enum Order {
    Name,
    /// The time of the latest sample.
    Update,
    /// A figure of the latest sample.
    Metric(Selector),
}

/// The last agent of a page. The next page goes on behind where it stood, even if it is gone or stands elsewhere by then.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) key: Option<f64>,
    pub(super) id: AgentId,
}

impl Request {
    /// Reads the parameters.
    ///
    /// # Errors
    /// One of them can't be read; says what would be right.
    pub(super) fn read(parameters: Parameters) -> Result<Self, ApiError> {
        let parameters = parameters.only(&["metrics", "status", "q", "agents", "sort", "limit", "cursor"])?;
        let connected = match parameters.text("status") {
            None => None,
            Some("connected") => Some(true),
            Some("disconnected") => Some(false),
            Some(_) => return Err(wrong("status", "it is connected or disconnected".to_owned())),
        };
        let pattern = parameters.text("q");
        if pattern.is_some_and(|pattern| pattern.len() > glob::LONGEST) {
            return Err(wrong(
                "q",
                format!("it is longer than {} characters", glob::LONGEST),
            ));
        }
        let limit = parameters.parsed::<usize>("limit", "a whole number")?;
        let limit = limit
            .map(|limit| inside("limit", limit, 1..=MAX_LIMIT))
            .transpose()?;
        let sort = parameters.text("sort").unwrap_or("agent_id");
        let (descending, by) = match sort.strip_prefix('-') {
            Some(by) => (true, by),
            None => (false, sort),
        };
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
            shown: shown(&parameters)?,
            connected,
            pattern: pattern.map(str::to_owned),
            chosen: Choices::parse(parameters.list("agents")).map_err(|problem| wrong("agents", problem))?,
            order: order(by)?,
            descending,
            limit,
            cursor: cursor.transpose()?,
            sort: sort.to_owned(),
        })
    }

    /// Whether the order is that in which agents lie in memory.
    pub(super) fn is_by_name(&self) -> bool {
        matches!(self.order, Order::Name) && !self.descending
    }

    /// The cursor of the page after an agent.
    pub(super) fn cursor_after(&self, key: Option<f64>, id: &AgentId) -> String {
        let cursor = serde_json::json!([self.sort, key, id]).to_string();
        URL_SAFE_NO_PAD.encode(cursor)
    }
}

fn read_cursor(text: &str, sort: &str) -> Option<Cursor> {
    let json = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (of, key, id): (String, Option<f64>, AgentId) = serde_json::from_slice(&json).ok()?;
    (of == sort).then_some(Cursor { key, id })
}

fn order(by: &str) -> Result<Order, ApiError> {
    match by {
        "agent_id" => Ok(Order::Name),
        "last_metrics_update" => Ok(Order::Update),
        metric => {
            let selector = Selector::parse(metric).map_err(|unknown| ApiError::Query(unknown.into()))?;
            if selector.is_of_every_device() {
                let problem =
                    format!("{metric} has many values in a sample: name one device, or none for their total");
                return Err(wrong("sort", problem));
            }
            Ok(Order::Metric(selector))
        }
    }
}

/// The metrics of the parameter `metrics`, by section.
fn shown(parameters: &Parameters) -> Result<Shown, ApiError> {
    let named = parameters.list("metrics");
    let wanted = if named.is_empty() { SHOWN.to_vec() } else { named };
    if wanted.len() > MAX_SELECTORS {
        return Err(ApiError::Query(QueryError::TooManyMetrics(wanted.len())));
    }
    let mut sections = Shown::new();
    for text in wanted {
        let selector = Selector::parse(text).map_err(|unknown| ApiError::Query(unknown.into()))?;
        let (section, name) = text.split_once('.').unwrap_or(("", text));
        let (section, name) = (section.to_owned(), name.to_owned());
        match sections.iter_mut().find(|(known, _)| *known == section) {
            // A metric that is named twice is shown once.
            Some((_, figures)) if figures.iter().any(|(known, _)| *known == name) => {}
            Some((_, figures)) => figures.push((name, selector)),
            None => sections.push((section, vec![(name, selector)])),
        }
    }
    Ok(sections)
}
