//! History of one agent by the hour: hourly figures, and the samples that are in none yet.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use nodeglass_model::catalogue::{self, Dimension, Kind, Metric, OverDevices};
use nodeglass_model::history::{Aggregation, Fold, History, HistoryQuery, Partial};
use nodeglass_model::selector::DeviceChoice;
use nodeglass_model::{Sample, TimeRange, UnixMillis};
use nodeglass_store::tiers::{
    HourFigures, HoursVersion, Levels, Outline, RollupPoint, Rollups, SeriesName, Summary,
};

use super::Queries;
use super::kept_hours::{Asked, SeriesHours};
use super::pieces::Opened;
use super::plan::{HOUR, whole_hours};
use super::tiers::{ATTEMPTS, Read};
use crate::error::ApiError;
use crate::live::LiveAgent;

/// Hourly figures that are read at once: some 16 MB of them. Of ten series that is as long as anybody keeps them.
pub(super) const FIGURES: usize = 400_000;
/// Of so many figures those that were read are kept; more would push out all that others have asked for.
const KEPT_AT_ONCE: usize = FIGURES / 4;

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
        let series = self.wanted(agent, &query, None).await?.len();
        let mut at_once = (self.figures / series.max(1)).max(1);
        let mut fold = Fold::new(&query);
        let whole = TimeRange {
            start: query.range.start.max(since),
            end: query.range.end,
        };
        let mut start = whole.start;
        let mut attempts = 0;
        while start < whole.end {
            if fold.is_full_before(start) {
                fold.mark_truncated();
                break;
            }
            let end = start.floor(HOUR).plus(HOUR * at_once as u32).min(whole.end);
            let part = TimeRange { start, end };
            let (outline, opened) = self.outline(agent, part, Levels::Small).await?;
            let is_one_state = self
                .hours_with(agent, &query, &mut fold, part, (outline, &opened))
                .await?;
            if is_one_state {
                start = end;
                attempts = 0;
            } else {
                attempts += 1;
                if attempts >= ATTEMPTS {
                    return Err(ApiError::Overloaded);
                }
                // While a backlog is merged, one state lasts for a part of a second.
                at_once = (at_once / 8).max(1);
            }
        }
        Ok(fold.finish())
    }

    /// Adds what an outline has and the hours of its state. `false`, and nothing is added, if that state is gone.
    ///
    /// A merge takes samples out of small chunks and adds them to rollups, and that is another state of the hours. In one
    /// state, no sample is both in the outline's small chunks and in the rollups, and none in neither.
    pub(super) async fn hours_with(
        &self,
        agent: &LiveAgent,
        query: &HistoryQuery,
        fold: &mut Fold<'_>,
        range: TimeRange,
        (outline, opened): (Outline, &Opened),
    ) -> Result<bool, ApiError> {
        let asked = Asked {
            version: outline.hours,
            range,
            figures: match query.aggregation {
                Aggregation::Min | Aggregation::Max => HourFigures::All,
                _ => HourFigures::Means,
            },
        };
        let wanted = self.wanted(agent, query, Some(asked.version)).await?;
        let Some(rollups) = self.rollups(agent, &wanted, asked).await? else {
            return Ok(false);
        };
        let Read::All(gathered) = self.read(agent, fold, outline, opened, false).await? else {
            return Ok(false);
        };
        add_rollups(fold, agent, range, &wanted, &rollups);
        gathered.fold(fold, range).await;
        Ok(true)
    }

    /// The hours of each of some series, those that are kept and the others from the store; `None` if they are not in the
    /// state any more that is asked for.
    async fn rollups(
        &self,
        agent: &LiveAgent,
        wanted: &[SeriesName],
        asked: Asked,
    ) -> Result<Option<Vec<Arc<SeriesHours>>>, ApiError> {
        let mut hours = Vec::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for name in wanted {
            let kept = self.kept_hours.get(agent.key, name, asked);
            if kept.is_none() {
                missing.push(name.clone());
            }
            hours.push(kept);
        }
        let mut read = Vec::new();
        if !missing.is_empty() {
            let Asked { range, figures, .. } = asked;
            let Rollups { version, series } = self.store.rollups(agent.key, range, &missing, figures).await?;
            let asked_now = Asked { version, ..asked };
            let is_little = series.iter().map(Vec::len).sum::<usize>() <= KEPT_AT_ONCE;
            for (name, points) in missing.into_iter().zip(series) {
                let hours = SeriesHours::new(asked_now, points);
                // Those of a later state are what the next attempt asks for.
                if is_little {
                    self.kept_hours.keep(agent.key, name, hours.clone());
                }
                read.push(hours);
            }
            if version != asked.version {
                return Ok(None);
            }
        }
        let mut read = read.into_iter();
        Ok(hours
            .into_iter()
            .map(|kept| kept.or_else(|| read.next()))
            .collect())
    }

    /// The series whose hourly figures a query needs. Which devices there are is that in a state of the hours, if one is given.
    async fn wanted(
        &self,
        agent: &LiveAgent,
        query: &HistoryQuery,
        version: Option<HoursVersion>,
    ) -> Result<Vec<SeriesName>, ApiError> {
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
            let names = self.series_names(agent, version).await?;
            let of_them = |name: &&SeriesName| of_all_devices.contains(&name.metric);
            wanted.extend(names.iter().filter(of_them).cloned());
        }
        Ok(wanted.into_iter().collect())
    }

    /// The series that an agent has hours of, in a state of them if one is given: a merge may bring one that no hour had before.
    async fn series_names(
        &self,
        agent: &LiveAgent,
        version: Option<HoursVersion>,
    ) -> Result<Arc<[SeriesName]>, ApiError> {
        if let Some(names) = self.kept_hours.names(agent.key, version) {
            return Ok(names);
        }
        let names = self.store.series(agent.key).await?;
        Ok(match version {
            Some(version) => self.kept_hours.keep_names(agent.key, version, names),
            None => names.into(),
        })
    }
}

/// Adds hourly figures of some series to an answer, those of several devices as totals, too.
fn add_rollups(
    fold: &mut Fold<'_>,
    agent: &LiveAgent,
    range: TimeRange,
    series: &[SeriesName],
    hours: &[Arc<SeriesHours>],
) {
    let mut of_devices: BTreeMap<_, Vec<(&str, Summary)>> = BTreeMap::new();
    for (name, hours) in series.iter().zip(hours) {
        let Some(metric) = catalogue::by_id(name.metric) else {
            continue;
        };
        let label = name.device.as_deref().unwrap_or_default();
        let is_in_total = metric.dimension() != Dimension::Host && fold.wants_total(metric);
        for RollupPoint { hour, summary } in hours.within(range) {
            fold.partial(metric, label, *hour, partial(*summary));
            if is_in_total {
                of_devices
                    .entry((metric.id, *hour))
                    .or_default()
                    .push((label, *summary));
            }
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
    devices: &[(&str, Summary)],
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
