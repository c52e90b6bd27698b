//! What is asked of several agents at once: their histories, the latest of one metric, and who has most of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt};
use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::{self, Metric, OverDevices};
use nodeglass_model::history::{History, HistoryQuery, Series};
use nodeglass_model::selector::Selector;

use super::Queries;
use super::past::StoredHistory;
use super::plan::{Plan, plan};
use crate::access::Caller;
use crate::error::ApiError;
use crate::live::LiveAgent;
use crate::registry::selector::Choice;
use crate::retention::Since;

/// Agents in one question about history: at a millisecond or two each it is answered within seconds.
pub const MAX_AGENTS: usize = 1_000;
/// Agents of which a figure is kept while somebody asks for it again and again; of fewer it is found soon enough.
const MANY: usize = 64;
/// Histories read at a time for one question, so that others are answered, too.
const AT_ONCE: usize = 4;

/// Says how the history of an agent is read.
type Planner = Arc<dyn Fn(&Queries, &LiveAgent) -> Result<Plan, ApiError> + Send + Sync>;

/// One figure of one agent.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Whose it is.
    pub agent: Arc<LiveAgent>,
    /// When it was taken; for a span, when it begins.
    pub at: UnixMillis,
    /// Of what: `metric` or `metric@device`.
    pub series: Arc<str>,
    /// The figure, in the metric's unit.
    pub value: f64,
}

/// Which end of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The highest values first.
    Highest,
    /// The lowest values first.
    Lowest,
}

impl Queries {
    /// The agents that a list stands for, by name; all of them for an empty list. An entry is a name or a pattern
    /// (`web-01`, `web-*`), a label (`label:env=prod`) or a group (`group:web`). Those that the caller may not see are not
    /// among them.
    ///
    /// # Errors
    /// An entry that can't be, a name that no agent has, or an entry that stands for none.
    pub async fn choose(&self, caller: &Caller, list: &[&str]) -> Result<Vec<Arc<LiveAgent>>, ApiError> {
        if list.is_empty() {
            return Ok(self.agents_of(caller).await);
        }
        let mut chosen = BTreeMap::new();
        let mut all = None;
        for entry in list {
            let choice = Choice::parse(entry).map_err(|problem| ApiError::Parameter {
                name: "agents",
                problem: format!("{:?}: {problem}", entry.chars().take(80).collect::<String>()),
            })?;
            if let Choice::Name(name) = &choice {
                let agent = self.agent(caller, name).await?;
                chosen.insert(agent.id.clone(), agent);
                continue;
            }
            if all.is_none() {
                all = Some(self.agents_of(caller).await);
            }
            let fitting: Vec<_> = all.iter().flatten().filter(|agent| choice.means(agent)).collect();
            if fitting.is_empty() {
                return Err(ApiError::NoAgentFits(entry.chars().take(80).collect()));
            }
            chosen.extend(fitting.into_iter().map(|agent| (agent.id.clone(), agent.clone())));
        }
        Ok(chosen.into_values().collect())
    }

    /// What is stored of several agents, each by itself, in their order. It is read while the answer is taken.
    pub fn histories(
        self: &Arc<Self>,
        agents: Vec<Arc<LiveAgent>>,
        query: &HistoryQuery,
    ) -> impl Stream<Item = Result<(Arc<LiveAgent>, StoredHistory), ApiError>> + Send + 'static + use<> {
        let query = query.clone();
        let by_agent = move |queries: &Self, agent: &LiveAgent| plan(query.clone(), queries.since(agent));
        self.planned(agents, Arc::new(by_agent))
    }

    /// The same with all answers from one tier, in buckets of one width, so that they can be compared: the tier that all of
    /// these agents have.
    fn histories_alike(
        self: &Arc<Self>,
        agents: Vec<Arc<LiveAgent>>,
        query: &HistoryQuery,
    ) -> Result<impl Stream<Item = Result<(Arc<LiveAgent>, StoredHistory), ApiError>> + Send + use<>, ApiError>
    {
        let since = agents.iter().map(|agent| self.since(agent));
        let plan = plan(query.clone(), since.fold(Since::EVER, Since::and))?;
        Ok(self.planned(agents, Arc::new(move |_: &Self, _: &LiveAgent| Ok(plan.clone()))))
    }

    fn planned(
        self: &Arc<Self>,
        agents: Vec<Arc<LiveAgent>>,
        plan: Planner,
    ) -> impl Stream<Item = Result<(Arc<LiveAgent>, StoredHistory), ApiError>> + Send + 'static + use<> {
        let queries = self.clone();
        let reads = agents.into_iter().map(move |agent| {
            let (queries, plan) = (queries.clone(), plan.clone());
            async move {
                let plan = plan(&queries, &agent)?;
                let stored = queries.planned_history(&agent, plan).await?;
                Ok((agent, stored))
            }
        });
        stream::iter(reads).buffered(AT_ONCE)
    }

    /// What is stored of several agents made one: their values of each bucket are put together as the metric's totals over
    /// devices are.
    ///
    /// # Errors
    /// A query that needs what is not kept any more, or a database that does not answer.
    pub async fn history_together(
        self: &Arc<Self>,
        agents: Vec<Arc<LiveAgent>>,
        query: &HistoryQuery,
    ) -> Result<StoredHistory, ApiError> {
        let mut together = Together::default();
        let (mut answered, mut resolution) = (query.clone(), super::Resolution::Raw);
        let mut histories = std::pin::pin!(self.histories_alike(agents, query)?);
        while let Some(found) = histories.next().await {
            let (_, stored) = found?;
            (answered, resolution) = (stored.query, stored.resolution);
            together.add(&stored.history);
        }
        Ok(StoredHistory {
            history: together.finish(answered.max_points as usize),
            query: answered,
            resolution,
        })
    }

    /// The latest figures of a metric of these agents, by agent; those that are away have none.
    pub fn latest_of(&self, agents: Vec<Arc<LiveAgent>>, selector: &Selector) -> Vec<Reading> {
        let mut readings = Vec::with_capacity(agents.len());
        if selector.is_of_every_device() {
            for agent in agents {
                agent.with_current(|live| {
                    selector.each(live.sample(), |series, value| {
                        readings.push(Reading {
                            agent: agent.clone(),
                            at: live.timestamp,
                            series: series.into(),
                            value,
                        });
                    });
                });
            }
            return readings;
        }
        // Of ten thousand agents, whatever is made for each takes longer than finding its figure.
        let series: Arc<str> = selector.to_string().into();
        let place = (agents.len() >= MANY)
            .then(|| self.live.hot().place(selector))
            .flatten();
        for agent in agents {
            if let Some((at, value)) = agent.figure(selector, place) {
                let series = series.clone();
                readings.push(Reading {
                    agent,
                    at,
                    series,
                    value,
                });
            }
        }
        readings
    }

    /// The one figure of each series of these agents over the span of a query.
    ///
    /// # Errors
    /// A query that needs what is not kept any more, or a database that does not answer.
    pub async fn figures_over(
        self: &Arc<Self>,
        agents: Vec<Arc<LiveAgent>>,
        query: HistoryQuery,
    ) -> Result<(Vec<Reading>, super::Resolution), ApiError> {
        let start = query.range.start;
        let mut readings = Vec::new();
        let mut resolution = super::Resolution::Raw;
        let mut histories = std::pin::pin!(self.histories_alike(agents, &query.as_one_bucket())?);
        while let Some(found) = histories.next().await {
            let (agent, stored) = found?;
            resolution = stored.resolution;
            for series in stored.history.series {
                let name: Arc<str> = series.name.into();
                let values = series.values.into_iter().flatten();
                readings.extend(values.map(|value| Reading {
                    agent: agent.clone(),
                    at: start,
                    series: name.clone(),
                    value,
                }));
            }
        }
        Ok((readings, resolution))
    }
}

/// The first `count` of some figures; of equal ones the agents' names decide.
pub fn first(mut readings: Vec<Reading>, order: Order, count: usize) -> Vec<Reading> {
    let compare = |one: &Reading, other: &Reading| {
        let by_value = match order {
            Order::Highest => other.value.total_cmp(&one.value),
            Order::Lowest => one.value.total_cmp(&other.value),
        };
        let by_name = || (&one.agent.id, &one.series).cmp(&(&other.agent.id, &other.series));
        by_value.then_with(by_name)
    };
    if (1..readings.len()).contains(&count) {
        readings.select_nth_unstable_by(count, compare);
        readings.truncate(count);
    }
    readings.sort_unstable_by(compare);
    readings.truncate(count);
    readings
}

/// Puts answers to one query together.
#[derive(Debug, Default)]
struct Together {
    series: BTreeMap<String, BTreeMap<UnixMillis, Gathered>>,
    truncated: bool,
}

/// The values of several agents in one bucket.
#[derive(Debug, Clone, Copy)]
struct Gathered {
    count: u32,
    sum: f64,
    highest: f64,
}

impl Together {
    fn add(&mut self, history: &History) {
        self.truncated |= history.truncated;
        for series in &history.series {
            let buckets = self.series.entry(series.name.clone()).or_default();
            for (time, value) in history.times.iter().zip(&series.values) {
                let Some(value) = *value else { continue };
                let gathered = buckets.entry(*time).or_insert(Gathered {
                    count: 0,
                    sum: 0.0,
                    highest: f64::NEG_INFINITY,
                });
                gathered.count += 1;
                gathered.sum += value;
                gathered.highest = gathered.highest.max(value);
            }
        }
    }

    fn finish(self, max_points: usize) -> History {
        let buckets = self.series.values().flat_map(BTreeMap::keys);
        let mut times: Vec<UnixMillis> = buckets.copied().collect();
        times.sort_unstable();
        times.dedup();
        let truncated = self.truncated || times.len() > max_points;
        times.truncate(max_points);
        let series = self.series.into_iter().filter_map(|(name, buckets)| {
            let path = name.split('@').next().unwrap_or_default();
            let metric = catalogue::by_path(path)?;
            let value = |time: &UnixMillis| buckets.get(time).map(|gathered| gathered.value(metric));
            let values = times.iter().map(value).collect();
            Some(Series { name, values })
        });
        History {
            series: series.collect(),
            times,
            truncated,
        }
    }
}

impl Gathered {
    fn value(self, metric: &Metric) -> f64 {
        let value = match metric.over_devices {
            OverDevices::Sum => self.sum,
            OverDevices::Max => self.highest,
            OverDevices::Mean => self.sum / f64::from(self.count),
        };
        // As fine as the buckets that it is made of.
        nodeglass_model::rates::to_step(value, metric.unit.steps() * 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_put_together_as_devices_are() {
        let at = |second| UnixMillis::from_seconds(second);
        let history = |rows: &[(i64, f64, f64)]| {
            let rows = rows.iter().map(|(second, usage, sent)| {
                let row = [
                    ("cpu.usage_percent".to_owned(), *usage),
                    ("network.bytes_sent_per_sec@eth0".to_owned(), *sent),
                ];
                (at(*second), row)
            });
            History::from_rows(rows, false)
        };
        let mut together = Together::default();
        together.add(&history(&[(0, 10.0, 1.0), (60, 20.0, 2.0)]));
        together.add(&history(&[(60, 25.5, 40.0), (120, 5.0, 7.0)]));
        let expected = history(&[(0, 10.0, 1.0), (60, 22.75, 42.0), (120, 5.0, 7.0)]);
        assert_eq!(together.finish(10), expected, "a mean of shares, a sum of bytes");
    }
}
