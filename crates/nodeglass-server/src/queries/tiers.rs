//! History of one agent from the store: the pieces of chunks that a query needs, staged samples, and hourly figures.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::catalogue::{self, Dimension, Kind, Metric, OverDevices};
use nodeglass_model::history::{Aggregation, Fold, History, HistoryQuery, Partial};
use nodeglass_model::selector::DeviceChoice;
use nodeglass_model::{Sample, TimeRange, UnixMillis};
use nodeglass_store::StagedSample;
use nodeglass_store::tiers::{HourFigures, Levels, Outline, RollupPoint, SeriesName, Slice, Summary};
use tracing::warn;

use super::Queries;
use super::pieces::{OpenChunk, Opened, Values};
use super::plan::whole_hours;
use super::staged::{Staged, fold_columns};
use crate::error::ApiError;
use crate::live::LiveAgent;

/// The span that is read at once, at first: a hundred chunks at five seconds.
const SPAN: Duration = Duration::from_hours(4 * 24);
/// The longest, where there is little.
const LONGEST_SPAN: Duration = Duration::from_hours(512 * 24);
/// The shortest, where there is much.
const SHORTEST_SPAN: Duration = Duration::from_mins(10);
/// Values that are read at once: 64 MB of them.
const VALUES: u64 = 4 << 20;
/// How often it begins again because chunks were merged while they were read; a merge takes place once in minutes.
const ATTEMPTS: usize = 4;

/// What was read of some time.
#[derive(Debug, Default)]
struct Gathered {
    chunks: Vec<ChunkPart>,
    staged: Staged,
}

/// The columns of one chunk that are wanted.
#[derive(Debug)]
struct ChunkPart {
    chunk: Arc<OpenChunk>,
    columns: Vec<(&'static Metric, Arc<Values>)>,
}

/// What came of reading.
enum Read {
    All(Gathered),
    /// There are more values than are to be read at once.
    TooMuch,
    /// Chunks have gone meanwhile.
    Stale,
}

impl Queries {
    /// Buckets of the samples from `since` on.
    pub(super) async fn raw_history(
        &self,
        agent: &LiveAgent,
        query: &HistoryQuery,
        since: UnixMillis,
    ) -> Result<History, ApiError> {
        let mut fold = Fold::new(query);
        let mut span = SPAN;
        let mut start = query.range.start.max(since);
        let mut attempts = 0;
        while start < query.range.end {
            let part = TimeRange {
                start,
                end: start.plus(span).min(query.range.end),
            };
            let (outline, opened) = self.outline(agent, part, Levels::All).await?;
            let is_empty = outline.chunks.is_empty() && outline.staged.is_empty();
            if is_empty {
                span = (span * 2).min(LONGEST_SPAN);
                start = part.end;
                continue;
            }
            if fold.is_full_before(start) {
                fold.mark_truncated();
                break;
            }
            match self
                .read(agent, &fold, outline, &opened, false, span > SHORTEST_SPAN)
                .await?
            {
                Read::All(gathered) => {
                    gathered.fold(&mut fold, part).await;
                    start = part.end;
                    attempts = 0;
                }
                Read::TooMuch => span = (span / 2).max(SHORTEST_SPAN),
                Read::Stale => {
                    attempts += 1;
                    if attempts >= ATTEMPTS {
                        return Err(ApiError::Overloaded);
                    }
                }
            }
        }
        Ok(fold.finish())
    }

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
        let part = TimeRange {
            start: query.range.start.max(since),
            end: query.range.end,
        };
        if part.start >= part.end {
            return Ok(Fold::new(&query).finish());
        }
        for _ in 0..ATTEMPTS {
            let mut fold = Fold::new(&query);
            // A merge takes samples out of small chunks and adds them to rollups. If all small chunks that were there before the
            // rollups were read are there after it, no sample is in both, and none in neither.
            let (outline, opened) = self.outline(agent, part, Levels::Small).await?;
            let rollups = self.rollups(agent, &query, part).await?;
            let Read::All(gathered) = self.read(agent, &fold, outline, &opened, true, false).await? else {
                continue;
            };
            add_rollups(&mut fold, agent, rollups);
            gathered.fold(&mut fold, part).await;
            return Ok(fold.finish());
        }
        Err(ApiError::Overloaded)
    }

    /// What there is in a range, without the directories of the chunks that are opened already.
    async fn outline(
        &self,
        agent: &LiveAgent,
        range: TimeRange,
        which: Levels,
    ) -> Result<(Outline, Opened), ApiError> {
        let opened = self.pieces.opened(agent.key, range, which);
        let known = opened.ids();
        let outline = self.store.outline(agent.key, range, which, &known).await?;
        Ok((outline, opened))
    }

    /// Reads what an answer needs of the chunks and samples of an outline. With `check`, every chunk is asked for something,
    /// so that one that has gone shows; with `bounded`, too many values are not read.
    async fn read(
        &self,
        agent: &LiveAgent,
        fold: &Fold<'_>,
        outline: Outline,
        known: &Opened,
        check: bool,
        bounded: bool,
    ) -> Result<Read, ApiError> {
        let mut gathered = Gathered::default();
        let mut opened = Vec::with_capacity(outline.chunks.len());
        for chunk in &outline.chunks {
            match self.pieces.open(agent.key, chunk, known) {
                Ok(open) => opened.push((chunk.id, open)),
                Err(error) => {
                    warn!(agent = %agent.id, at = %chunk.id.t0, %error, "a stored chunk can't be read");
                }
            }
        }
        self.pieces.note(agent.key, opened.iter().map(|(id, _)| *id));
        let metrics = fold.metrics();
        let (mut slices, mut asked) = (Vec::new(), Vec::new());
        let mut values = 0;
        for (place, (id, open)) in opened.iter().enumerate() {
            let before = slices.len();
            let mut columns = Vec::new();
            for metric in &metrics {
                let found = open.head.columns(metric).unwrap_or_default();
                for (number, column) in found.iter().enumerate() {
                    if !column.labels().any(|label| fold.wants(metric, label)) {
                        continue;
                    }
                    values += open.times.len() as u64;
                    let key = (agent.key, *id, metric.id, number);
                    if let Some(known) = self.pieces.known(&key) {
                        columns.push((*metric, known));
                        continue;
                    }
                    let span = column.span();
                    asked.push((place, *metric, number, (span.length > 0).then_some(slices.len())));
                    if span.length > 0 {
                        slices.push(Slice {
                            chunk: *id,
                            offset: span.offset,
                            length: span.length,
                        });
                    }
                }
            }
            if check && slices.len() == before {
                slices.push(Slice {
                    chunk: *id,
                    offset: 0,
                    length: 0,
                });
            }
            gathered.chunks.push(ChunkPart {
                chunk: open.clone(),
                columns,
            });
        }
        if bounded && values > VALUES {
            return Ok(Read::TooMuch);
        }
        let bytes = if slices.is_empty() {
            Vec::new()
        } else {
            self.store.slices(agent.key, &slices).await?
        };
        if bytes.iter().any(Option::is_none) {
            return Ok(Read::Stale);
        }
        for (place, metric, number, slice) in asked {
            let (id, open) = &opened[place];
            let bytes = slice
                .and_then(|slice| bytes.get(slice)?.as_deref())
                .unwrap_or_default();
            let column = open
                .head
                .columns(metric)
                .ok()
                .and_then(|columns| columns.into_iter().nth(number));
            let Some(column) = column else { continue };
            let key = (agent.key, *id, metric.id, number);
            match self.pieces.read(key, metric, open, &column, bytes) {
                Ok(values) => gathered.chunks[place].columns.push((metric, values)),
                Err(error) => {
                    warn!(agent = %agent.id, at = %id.t0, metric = metric.path, %error, "a part of a stored chunk can't be read");
                }
            }
        }
        // What became part of a chunk between the two reads of the outline is in both.
        let is_new = |staged: &&StagedSample| !opened.iter().any(|(_, open)| open.head.contains(staged.id));
        for staged in outline.staged.iter().filter(is_new) {
            if let Err(error) = gathered.staged.add(staged, fold) {
                warn!(agent = %agent.id, at = %staged.timestamp, %error, "a stored sample can't be read");
            }
        }
        Ok(Read::All(gathered))
    }

    /// The hourly figures that a query needs.
    async fn rollups(
        &self,
        agent: &LiveAgent,
        query: &HistoryQuery,
        part: TimeRange,
    ) -> Result<Vec<RollupPoint>, ApiError> {
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
        let wanted: Vec<_> = wanted.into_iter().collect();
        let figures = match query.aggregation {
            Aggregation::Min | Aggregation::Max => HourFigures::All,
            _ => HourFigures::Means,
        };
        Ok(self.store.rollups(agent.key, part, &wanted, figures).await?)
    }
}

impl Gathered {
    /// Adds everything to an answer.
    async fn fold(self, fold: &mut Fold<'_>, part: TimeRange) {
        fold.narrow(part);
        for ChunkPart { chunk, columns } in &self.chunks {
            let devices = columns.iter().flat_map(|(metric, values)| {
                values
                    .devices
                    .iter()
                    .map(move |device| (*metric, device.column()))
            });
            fold_columns(fold, &chunk.times, devices);
            // Others get their turn.
            tokio::task::consume_budget().await;
        }
        self.staged.fold(fold);
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
fn total(metric: &Metric, devices: &[(String, Summary)], is_part: impl Fn(&str) -> bool) -> Option<Partial> {
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
