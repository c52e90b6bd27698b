//! Shapes of answers that are written straight down rather than made from a type, and parameters that several calls have,
//! for the document. The tests of whole systems compare them with what is answered.
#![expect(dead_code, reason = "types that only describe")]

use std::collections::BTreeMap;

use nodeglass_model::sample::Sample;
use utoipa::{IntoParams, ToSchema};

use super::history::QueryBody;
use crate::ledger::Gap;

/// The latest sample of an agent.
#[derive(ToSchema)]
pub(super) struct Snapshot {
    /// Whose it is.
    agent_id: String,
    #[serde(flatten)]
    sample: Sample,
}

/// An event of a stream.
#[derive(ToSchema)]
pub(super) struct SampleEvent {
    /// What it is.
    #[schema(example = "metrics")]
    event: String,
    /// Which sample it is: what `Last-Event-ID` takes.
    id: Option<String>,
    /// A `Sample`, as JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// An event of a stream of many agents.
#[derive(ToSchema)]
pub(super) struct FleetEvent {
    /// `metrics`, `agent`, `overview` or `error`.
    #[schema(example = "metrics")]
    event: String,
    /// How far the reader has come with all agents: what `Last-Event-ID` takes.
    id: Option<String>,
    /// A `Sample`, how an agent is connected, figures of all agents, or why the stream ends; as JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// The latest sample, or with `hours` a few figures over time.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum Metrics {
    /// Without `hours`.
    Snapshot(Box<Snapshot>),
    /// With it.
    Figures(super::guide::Figures),
}

/// The agents of a page.
#[derive(ToSchema)]
pub(super) struct Overview {
    /// In the order that was asked for.
    agents: Vec<OverviewAgent>,
    /// The cursor of the next page, if there is one.
    next_cursor: Option<String>,
}

/// An agent with some of its figures.
#[derive(ToSchema)]
pub(super) struct OverviewAgent {
    /// Its name.
    agent_id: String,
    /// Whether it is connected now.
    #[schema(inline)]
    status: Status,
    /// Two hosts that report as this agent; absent unless that was seen in the last hour.
    cloned: Option<super::overview::Copies>,
    /// When its latest sample was taken, in Unix milliseconds; null before the first.
    #[schema(required)]
    last_metrics_update: Option<i64>,
    /// The figures by the section of a sample that they stand in; null before the first sample.
    #[schema(required)]
    metrics: Option<BTreeMap<String, BTreeMap<String, f64>>>,
}

/// Whether an agent is connected.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Connected,
    Disconnected,
}

/// A bucket: the figures of a span of time. Those that were not taken are absent.
#[derive(ToSchema)]
pub(super) struct Bucket {
    /// Where it begins, in Unix seconds.
    timestamp: i64,
    /// Series by their names.
    #[serde(flatten)]
    values: BTreeMap<String, f64>,
}

/// History of one agent.
#[derive(ToSchema)]
pub(super) struct HistoryBody {
    /// Whose it is.
    agent_id: String,
    query: QueryBody,
    /// By rising time; buckets without any figure are left out.
    data: Vec<Bucket>,
    /// Whether there would have been more points than asked for.
    truncated: bool,
    resolution: Resolution,
    source: Source,
    /// Spans without samples, and why.
    gaps: Vec<Gap>,
}

/// What buckets are made of: samples, or hourly figures.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
enum Resolution {
    Raw,
    Hour,
}

/// Where history is from.
#[derive(ToSchema)]
enum Source {
    #[serde(rename = "store")]
    Store,
    #[serde(rename = "agent")]
    Agent,
    #[serde(rename = "store+agent")]
    StoreAndAgent,
}

/// History of one of several agents.
#[derive(ToSchema)]
pub(super) struct AgentHistory {
    /// Whose it is.
    agent_id: String,
    query: QueryBody,
    /// By rising time; buckets without any figure are left out.
    data: Vec<Bucket>,
    /// Whether there would have been more points than asked for.
    truncated: bool,
    resolution: Resolution,
}

/// History of several agents, each by itself.
#[derive(ToSchema)]
pub(super) struct Apart {
    agents: Vec<AgentHistory>,
}

/// History of several agents, all as one.
#[derive(ToSchema)]
pub(super) struct Together {
    /// Whose it is.
    agents: Vec<String>,
    query: QueryBody,
    /// By rising time; buckets without any figure are left out.
    data: Vec<Bucket>,
    /// Whether there would have been more points than asked for.
    truncated: bool,
    resolution: Resolution,
}

/// History of several agents.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum FleetHistory {
    /// With `group_by=agent`.
    Apart(Apart),
    /// With `group_by=none`.
    Together(Together),
    /// With `group_by=label:NAME`.
    ByLabel(ByLabel),
}

/// History of several agents, those of each value of a label as one.
#[derive(ToSchema)]
pub(super) struct ByLabel {
    /// By value; agents without the label come last.
    groups: Vec<LabelGroup>,
}

/// Agents whose label has the same value.
#[derive(ToSchema)]
pub(super) struct LabelGroup {
    label: LabelValue,
    #[serde(flatten)]
    together: Together,
}

/// A label with its value.
#[derive(ToSchema)]
pub(super) struct LabelValue {
    name: String,
    /// Null for agents without the label.
    #[schema(required)]
    value: Option<String>,
}

/// What several agents read on one metric.
#[derive(ToSchema)]
pub(super) struct Readings {
    /// The metric, as it was asked for.
    metric: String,
    /// Its unit.
    unit: String,
    /// What a figure over a span is made of.
    resolution: Option<Resolution>,
    agents: Vec<AgentReading>,
}

/// What one agent reads.
#[derive(ToSchema)]
pub(super) struct AgentReading {
    /// Whose it is.
    agent_id: String,
    /// Which device's, where every device was asked for.
    device: Option<String>,
    /// Unix milliseconds.
    timestamp: i64,
    value: f64,
}

/// A span of time. A moment is Unix seconds, Unix milliseconds, RFC 3339, `now`, or relative to it as in `-1h`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// Where the span begins: `1690534200`, `2023-07-28T08:50:00Z`, `-1h`.
    #[param(example = "-1h")]
    start: Option<String>,
    /// Where it ends; `now` without it.
    #[param(example = "now")]
    end: Option<String>,
}

/// What a history query is made of besides its metrics and its span.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Buckets {
    /// Seconds that a bucket holds. Without it the fewest natural ones with which `max_points` suffice.
    #[param(minimum = 1, maximum = 31_622_400)]
    interval: Option<u64>,
    /// Points in the answer, at most; the configuration may say fewer.
    #[param(minimum = 1, maximum = 10_000)]
    max_points: Option<u32>,
    /// What a bucket shows of its values; without it what suits the metric: the mean of levels and rates, the last of
    /// counters.
    #[param(inline)]
    agg: Option<Aggregation>,
}

/// A way to make one value of several.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Aggregation {
    Avg,
    Min,
    Max,
    Last,
    Sum,
    P95,
}
