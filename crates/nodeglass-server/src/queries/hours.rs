//! History of one agent by the hour: hourly figures, and the samples that are in none yet.

use std::collections::{BTreeMap, HashSet};

use nodeglass_model::catalogue::{self, Dimension, Kind, Metric, OverDevices};
use nodeglass_model::history::{Aggregation, Fold, History, HistoryQuery, Partial};
use nodeglass_model::selector::DeviceChoice;
use nodeglass_model::{Sample, TimeRange, UnixMillis};
use nodeglass_store::tiers::{HourFigures, Levels, RollupPoint, SeriesName, Summary};

use super::Queries;
use super::plan::{HOUR, whole_hours};
use super::tiers::{ATTEMPTS, Read};
use crate::error::ApiError;
use crate::live::LiveAgent;

/// Hourly figures that are read at once: some 50 MB of them. Of ten series that is as long as anybody keeps them.
pub(super) const FIGURES: usize = 400_000;

impl Queries {
    /// Buckets of whole hours: those from `since` on that the range touches, each from its rollup and the samples that are
    /// in none yet.
    pub(super) async fn hourly_history(
        &self,
        agent: &LiveAgent,
        query: &HistoryQuery,
        since: UnixMillis,
    ) -> Result<History, ApiError> {
        let mut query = query.clone();
        query.range = whole_hours(query.range);
        let series = self.wanted(agent, &query).await?.len();
        let at_once = HOUR * (self.figures / series.max(1)).max(1) as u32;
        let mut fold = Fold::new(&query);
        let mut start = query.range.start.max(since);
        while start < query.range.end {
            if fold.is_full_before(start) {
                fold.mark_truncated();
                break;
            }
            let end = start.floor(HOUR).plus(at_once).min(query.range.end);
            self.hours(agent, &query, &mut fold, TimeRange { start, end })
                .await?;
            start = end;
        }
        Ok(fold.finish())
    }

    /// Adds some hours to an answer.
    async fn hours(
        &self,
        agent: &LiveAgent,
        query: &HistoryQuery,
        fold: &mut Fold<'_>,
        part: TimeRange,
    ) -> Result<(), ApiError> {
        let figures = match query.aggregation {
            Aggregation::Min | Aggregation::Max => HourFigures::All,
            _ => HourFigures::Means,
        };
        for _ in 0..ATTEMPTS {
            // A merge takes samples out of small chunks and adds them to rollups. If all small chunks that were there before the
            // rollups were read are there after it, no sample is in both, and none in neither.
            let (outline, opened) = self.outline(agent, part, Levels::Small).await?;
            // A merge may have brought a device that no hour had before: which there are is asked behind the outline, too.
            let wanted = self.wanted(agent, query).await?;
            let rollups = self.store.rollups(agent.key, part, &wanted, figures).await?;
            let Read::All(gathered) = self.read(agent, fold, outline, &opened, true, false).await? else {
                continue;
            };
            add_rollups(fold, agent, rollups);
            gathered.fold(fold, part).await;
            return Ok(());
        }
        Err(ApiError::Overloaded)
    }

    /// The series whose hourly figures a query needs.
    async fn wanted(&self, agent: &LiveAgent, query: &HistoryQuery) -> Result<Vec<SeriesName>, ApiError> {
        let mut wanted = HashSet::new();
        let mut of_all_devices = HashSet::new();
        for selector in &query.selectors {
            let metric = selector.metric();
            match selector.device() {
                DeviceChoice::One(label) => {
                    wanted.insert(SeriesName {
                        metric: metric.id,
                        device: Some(label.clone()),
                    });
                }
                _ if metric.dimension() == Dimension::Host => {
                    wanted.insert(SeriesName {
                        metric: metric.id,
                        device: None,
                    });
                }
                DeviceChoice::Total | DeviceChoice::Every => {
                    of_all_devices.insert(metric.id);
                }
            }
        }
        if !of_all_devices.is_empty() {
            let known = self.store.series(agent.key).await?;
            wanted.extend(
                known
                    .into_iter()
                    .filter(|name| of_all_devices.contains(&name.metric)),
            );
        }
        Ok(wanted.into_iter().collect())
    }
}

/// Adds hourly figures to an answer, those of several devices as totals, too.
fn add_rollups(fold: &mut Fold<'_>, agent: &LiveAgent, rollups: Vec<RollupPoint>) {
    let mut of_devices: BTreeMap<_, Vec<(String, Summary)>> = BTreeMap::new();
    for RollupPoint {
        hour,
        series,
        summary,
    } in rollups
    {
        let Some(metric) = catalogue::by_id(series.metric) else {
            continue;
        };
        let label = series.device.unwrap_or_default();
        fold.partial(metric, &label, hour, partial(summary));
        if metric.dimension() != Dimension::Host {
            of_devices
                .entry((metric.id, hour))
                .or_default()
                .push((label, summary));
        }
    }
    let latest = agent.latest().sample;
    let mut parts: Option<(Dimension, HashSet<String>)> = None;
    for ((id, hour), devices) in of_devices {
        let Some(metric) = catalogue::by_id(id) else {
            continue;
        };
        let dimension = metric.dimension();
        if parts.as_ref().is_none_or(|(known, _)| *known != dimension) {
            let sample = latest.as_ref().map(|live| live.sample());
            parts = Some((
                dimension,
                sample
                    .map(|sample| parts_in(sample, dimension))
                    .unwrap_or_default(),
            ));
        }
        let is_part = |label: &str| parts.as_ref().is_some_and(|(_, parts)| parts.contains(label));
        if let Some(total) = total(metric, &devices, is_part) {
            fold.partial_total(metric, hour, total);
        }
    }
}

fn partial(summary: Summary) -> Partial {
    let Summary {
        count,
        mean,
        min,
        max,
    } = summary;
    Partial {
        count,
        mean,
        min,
        max,
    }
}

/// The devices that sums leave out, by what the latest sample says of them: hourly figures don't say.
fn parts_in(sample: &Sample, dimension: Dimension) -> HashSet<String> {
    let devices = catalogue::devices(sample).filter(|device| device.dimension == dimension);
    devices
        .filter(|device| catalogue::is_part(dimension, &device.label, device.attributes(sample)))
        .map(|device| device.label.into_owned())
        .collect()
}

/// The figures of a total over devices from those of the devices. It is exact where each device was there all the time;
/// of its lowest and highest it has what a maximum tells.
pub(super) fn total(
    metric: &Metric,
    devices: &[(String, Summary)],
    is_part: impl Fn(&str) -> bool,
) -> Option<Partial> {
    let counted: Vec<&Summary> = devices
        .iter()
        .filter(|(label, _)| metric.over_devices != OverDevices::Sum || !is_part(label))
        .map(|(_, summary)| summary)
        .collect();
    let count = counted.iter().map(|summary| summary.count).max()?;
    let weighted: f64 = counted.iter().map(|one| one.mean * f64::from(one.count)).sum();
    let all: u32 = counted.iter().map(|one| one.count).sum();
    let highest = |of: fn(&Summary) -> f64| {
        counted
            .iter()
            .map(|one| of(one))
            .fold(f64::NEG_INFINITY, f64::max)
    };
    let mean = match (metric.over_devices, metric.kind) {
        (OverDevices::Sum, Kind::Counter) => counted.iter().map(|one| one.mean).sum(),
        (OverDevices::Sum, Kind::Rate | Kind::Level) => weighted / f64::from(count),
        (OverDevices::Max, _) => highest(|one| one.mean),
        (OverDevices::Mean, _) => weighted / f64::from(all),
    };
    Some(Partial {
        count,
        mean,
        min: mean,
        max: highest(|one| one.max),
    })
}
