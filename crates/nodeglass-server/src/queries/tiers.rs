//! History of one agent from its samples: the pieces of chunks that a query needs, and what is staged.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::catalogue::Metric;
use nodeglass_model::history::{Fold, History, HistoryQuery};
use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_store::StagedSample;
use nodeglass_store::tiers::{Levels, Outline, Slice};
use tracing::warn;

use super::Queries;
use super::pieces::{OpenChunk, Opened, Values};
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
pub(super) const ATTEMPTS: usize = 4;

/// What was read of some time.
#[derive(Debug, Default)]
pub(super) struct Gathered {
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
pub(super) enum Read {
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
            let (outline, opened) = self.outline_of_all(agent, part).await?;
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
                .read(agent, &fold, outline, &opened, span > SHORTEST_SPAN)
                .await?
            {
                Read::All(gathered) => {
                    gathered.fold(&mut fold, part).await;
                    start = part.end;
                    attempts = 0;
                }
                Read::TooMuch => span = (span / 2).max(SHORTEST_SPAN),
                Read::Stale => {
                    self.pieces.forget_full(agent.key);
                    attempts += 1;
                    if attempts >= ATTEMPTS {
                        return Err(ApiError::Overloaded);
                    }
                }
            }
        }
        Ok(fold.finish())
    }

    /// What there is of samples in a range. The full chunks are not looked for that are known from before, unless a merge has
    /// made others since.
    async fn outline_of_all(
        &self,
        agent: &LiveAgent,
        range: TimeRange,
    ) -> Result<(Outline, Opened), ApiError> {
        if let Some((version, full)) = self.pieces.full(agent.key, range) {
            let (mut outline, mut opened) = self.outline(agent, range, Levels::Small).await?;
            if outline.hours == version {
                full.add_to(&mut outline, &mut opened);
                return Ok((outline, opened));
            }
        }
        let (outline, opened) = self.outline(agent, range, Levels::All).await?;
        self.pieces.note_full(agent.key, range, &outline);
        Ok((outline, opened))
    }

    /// What there is in a range, without the directories of the chunks that are opened already.
    pub(super) async fn outline(
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

    /// Reads what an answer needs of the chunks and samples of an outline. With `bounded`, too many values are not read.
    pub(super) async fn read(
        &self,
        agent: &LiveAgent,
        fold: &Fold<'_>,
        outline: Outline,
        known: &Opened,
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
        // What was sent again after it became part of a chunk is in both until compaction finds it.
        let is_new = |staged: &&StagedSample| !opened.iter().any(|(_, open)| open.head.contains(staged.id));
        for staged in outline.staged.iter().filter(is_new) {
            if let Err(error) = gathered.staged.add(staged, fold) {
                warn!(agent = %agent.id, at = %staged.timestamp, %error, "a stored sample can't be read");
            }
        }
        Ok(Read::All(gathered))
    }
}

impl Gathered {
    /// Adds everything to an answer.
    pub(super) async fn fold(self, fold: &mut Fold<'_>, part: TimeRange) {
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
