//! Parts of chunks that were read and are kept for the next reader, bounded in bytes.
//!
//! A chunk never changes, so nothing that is kept here is ever wrong; what nobody asks for goes.

use std::sync::Arc;

use nodeglass_chunk::chunk::{ChunkError, Column, Head};
use nodeglass_model::catalogue::{self, Metric, MetricId, OverDevices};
use nodeglass_model::history::DeviceColumn;
use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_store::AgentKey;
use nodeglass_store::tiers::{ChunkId, HoursVersion, Level, Levels, Outline, OutlinedChunk};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::bounded;

/// Directories that are kept: at some 50 kB each, a day of 60 agents.
const HEADS_BYTES: u64 = 64 << 20;
/// Values that are kept: at 12 kB for an hour of a series, a day of 230 series.
const COLUMNS_BYTES: u64 = 64 << 20;
/// Which directories are kept of whom: at 16 bytes each, as many as there may be.
const LISTS_BYTES: u64 = 4 << 20;
/// What a directory takes in memory for each of its bytes, about.
const UNPACKED: u64 = 16;

/// A chunk whose directory was read.
#[derive(Debug)]
pub(super) struct OpenChunk {
    pub(super) head: Head,
    pub(super) times: Vec<UnixMillis>,
    level: Level,
    weight: u64,
}

impl OpenChunk {
    fn reaches_into(&self, range: TimeRange) -> bool {
        let (first, last) = (self.times.first(), self.times.last());
        first.is_some_and(|first| *first < range.end) && last.is_some_and(|last| *last >= range.start)
    }
}

/// Chunks of one agent whose directories are kept, by id. They stay as long as this does.
#[derive(Debug, Default)]
pub(super) struct Opened(Vec<(ChunkId, Arc<OpenChunk>)>);

impl Opened {
    /// Which they are.
    pub(super) fn ids(&self) -> Vec<ChunkId> {
        self.0.iter().map(|(id, _)| *id).collect()
    }

    /// Adds chunks to those that an outline has, and to those that it was asked for with.
    pub(super) fn add_to(self, outline: &mut Outline, opened: &mut Self) {
        outline
            .chunks
            .extend(self.0.iter().map(|(id, chunk)| OutlinedChunk {
                id: *id,
                level: chunk.level,
                points: chunk.times.len() as u32,
                directory: None,
            }));
        outline.chunks.sort_unstable_by_key(|chunk| chunk.id);
        opened.0.extend(self.0);
        opened.0.sort_unstable_by_key(|(id, _)| *id);
    }

    fn get(&self, id: ChunkId) -> Option<&Arc<OpenChunk>> {
        let place = self.0.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.0[place].1)
    }
}

/// The values of one metric of one device or of several.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) devices: Vec<DeviceValues>,
}

#[derive(Debug)]
pub(super) struct DeviceValues {
    pub(super) label: Box<str>,
    /// Whether a sum over devices leaves it out.
    pub(super) is_part: bool,
    /// In steps of the metric's unit, one for each point of the chunk.
    pub(super) values: Vec<Option<f64>>,
}

impl DeviceValues {
    /// The values as an answer takes them.
    pub(super) fn column(&self) -> DeviceColumn<'_> {
        DeviceColumn {
            label: &self.label,
            is_part: self.is_part,
            values: &self.values,
        }
    }
}

/// Which column: of which chunk, of which metric, and which one of those that the chunk has of it.
pub(super) type ColumnKey = (AgentKey, ChunkId, MetricId, usize);

/// The full chunks of an agent that reach into a range: all of them, in one state of its hours. A merge makes another state.
#[derive(Debug)]
struct FullChunks {
    version: HoursVersion,
    range: TimeRange,
    ids: Vec<ChunkId>,
}

/// What is kept.
#[derive(Debug)]
pub(super) struct Pieces {
    heads: Cache<(AgentKey, ChunkId), Arc<OpenChunk>, ByBytes>,
    /// Of which chunks of an agent the directories were read, by id. Some may have gone.
    lists: Cache<AgentKey, Arc<[ChunkId]>, ByBytes>,
    /// Which full chunks there are of whom.
    full: Cache<AgentKey, Arc<FullChunks>, ByBytes>,
    columns: Cache<ColumnKey, Arc<Values>, ByBytes>,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<(AgentKey, ChunkId), Arc<OpenChunk>> for ByBytes {
    fn weight(&self, _: &(AgentKey, ChunkId), chunk: &Arc<OpenChunk>) -> u64 {
        chunk.weight
    }
}

impl Weighter<AgentKey, Arc<[ChunkId]>> for ByBytes {
    fn weight(&self, _: &AgentKey, ids: &Arc<[ChunkId]>) -> u64 {
        128 + size_of_val(&ids[..]) as u64
    }
}

impl Weighter<AgentKey, Arc<FullChunks>> for ByBytes {
    fn weight(&self, _: &AgentKey, full: &Arc<FullChunks>) -> u64 {
        128 + size_of_val(full.ids.as_slice()) as u64
    }
}

impl Weighter<ColumnKey, Arc<Values>> for ByBytes {
    fn weight(&self, _: &ColumnKey, values: &Arc<Values>) -> u64 {
        let device = |device: &DeviceValues| 128 + size_of_val(device.values.as_slice()) as u64;
        128 + values.devices.iter().map(device).sum::<u64>()
    }
}

impl Pieces {
    pub(super) fn new() -> Self {
        Self {
            heads: bounded(4_096, HEADS_BYTES, ByBytes),
            lists: bounded(4_096, LISTS_BYTES, ByBytes),
            full: bounded(4_096, LISTS_BYTES, ByBytes),
            columns: bounded(8_192, COLUMNS_BYTES, ByBytes),
        }
    }

    /// The chunks of an agent that reach into a range and whose directories are kept.
    pub(super) fn opened(&self, agent: AgentKey, range: TimeRange, which: Levels) -> Opened {
        let list = self.lists.get(&agent);
        let kept = list.iter().flat_map(|ids| ids.iter()).filter_map(|id| {
            let chunk = self.heads.get(&(agent, *id))?;
            let is_wanted = which == Levels::All || chunk.level == Level::Small;
            (is_wanted && chunk.reaches_into(range)).then_some((*id, chunk))
        });
        Opened(kept.collect())
    }

    /// All full chunks of an agent that reach into a range, and in which state of its hours that is so; `None` if that, or the
    /// directory of one of them, is not kept.
    pub(super) fn full(&self, agent: AgentKey, range: TimeRange) -> Option<(HoursVersion, Opened)> {
        let full = self.full.get(&agent)?;
        if full.range.start > range.start || full.range.end < range.end {
            return None;
        }
        let chunks = full
            .ids
            .iter()
            .map(|id| Some((*id, self.heads.get(&(agent, *id))?)));
        let mut chunks: Vec<_> = chunks.collect::<Option<_>>()?;
        chunks.retain(|(_, chunk)| chunk.reaches_into(range));
        Some((full.version, Opened(chunks)))
    }

    /// Takes note of which full chunks there are in a range, from an outline of all.
    pub(super) fn note_full(&self, agent: AgentKey, range: TimeRange, outline: &Outline) {
        let full = outline.chunks.iter().filter(|chunk| chunk.level == Level::Full);
        let full = FullChunks {
            version: outline.hours,
            range,
            ids: full.map(|chunk| chunk.id).collect(),
        };
        self.full.insert(agent, Arc::new(full));
    }

    /// Forgets which full chunks there are of an agent: one of them has gone by age.
    pub(super) fn forget_full(&self, agent: AgentKey) {
        self.full.remove(&agent);
    }

    /// A chunk of an outline that was asked for with the knowledge of `opened`.
    pub(super) fn open(
        &self,
        agent: AgentKey,
        outlined: &OutlinedChunk,
        opened: &Opened,
    ) -> Result<Arc<OpenChunk>, ChunkError> {
        if let Some(known) = opened.get(outlined.id) {
            return Ok(known.clone());
        }
        let directory = outlined.directory.as_deref().unwrap_or_default();
        let head = Head::read(directory)?;
        let times = head.timestamps()?;
        let weight = 256 + directory.len() as u64 * UNPACKED + size_of_val(times.as_slice()) as u64;
        let chunk = Arc::new(OpenChunk {
            head,
            times,
            level: outlined.level,
            weight,
        });
        self.heads.insert((agent, outlined.id), chunk.clone());
        Ok(chunk)
    }

    /// Takes note of which chunks of an agent were opened.
    pub(super) fn note(&self, agent: AgentKey, ids: impl Iterator<Item = ChunkId>) {
        let known = self.lists.get(&agent).unwrap_or_default();
        let is_new = |id: &ChunkId| known.binary_search(id).is_err();
        let mut all: Vec<ChunkId> = ids.filter(is_new).collect();
        if all.is_empty() {
            return;
        }
        // What has gone from the cache or from the store goes from the list, too.
        let is_kept = |id: &&ChunkId| self.heads.get(&(agent, **id)).is_some();
        all.extend(known.iter().filter(is_kept));
        all.sort_unstable();
        self.lists.insert(agent, all.into());
    }

    /// A column that was read before.
    pub(super) fn known(&self, key: &ColumnKey) -> Option<Arc<Values>> {
        self.columns.get(key)
    }

    /// Reads a column from its bytes, and keeps it.
    pub(super) fn read(
        &self,
        key: ColumnKey,
        metric: &'static Metric,
        chunk: &OpenChunk,
        column: &Column<'_>,
        bytes: &[u8],
    ) -> Result<Arc<Values>, ChunkError> {
        let read = column.read_steps(bytes)?;
        let mut devices = Vec::new();
        for series in read.series() {
            devices.push(DeviceValues {
                label: series.label().into(),
                is_part: is_part(metric, chunk, series.label())?,
                values: series.column(),
            });
        }
        let values = Arc::new(Values { devices });
        self.columns.insert(key, values.clone());
        Ok(values)
    }
}

/// Whether a sum over devices leaves a device out, by what the chunk says of it.
fn is_part(metric: &Metric, chunk: &OpenChunk, label: &str) -> Result<bool, ChunkError> {
    let dimension = metric.dimension();
    if metric.over_devices != OverDevices::Sum || !dimension.has_parts() {
        return Ok(false);
    }
    let attributes = chunk.head.attributes(dimension, label)?;
    Ok(catalogue::is_part(dimension, label, attributes))
}

#[cfg(test)]
mod tests {
    use nodeglass_chunk::chunk::{Effort, Encoder};
    use nodeglass_chunk::row;
    use nodeglass_model::history::{Fold, History, HistoryBuilder, HistoryQuery};
    use nodeglass_model::sample::{CoreMetrics, DiskMetrics};
    use nodeglass_model::{Sample, SampleId, TimeRange};
    use nodeglass_store::StagedSample;

    use super::super::staged::{Staged, fold_columns};
    use super::*;

    const AGENT: AgentKey = AgentKey(7);
    const ID: ChunkId = ChunkId {
        t0: UnixMillis(0),
        rev: 1,
    };

    /// Half an hour of a host, whose second disk comes later and whose partition is a part of the first.
    fn samples() -> Vec<(SampleId, Sample)> {
        let disk = |device: &str, parent: &str, read: i64| DiskMetrics {
            mount_point: device.to_owned(),
            device: device.to_owned(),
            parent: parent.to_owned(),
            read_bytes_per_sec: (read % 7 != 0).then_some(read.unsigned_abs() * 512),
            ..Default::default()
        };
        let sample = |number: i64| {
            let mut sample = Sample {
                timestamp: UnixMillis(number * 5_000 + number % 3),
                ..Default::default()
            };
            sample.cpu.usage_percent = (number % 11 != 0).then_some((number % 100) as f64 + 0.25);
            sample.cpu.cores = (0..2)
                .map(|core| CoreMetrics {
                    core,
                    usage_percent: Some(((number * 37) % 10_000) as f64 / 100.0),
                    ..Default::default()
                })
                .collect();
            sample.disks = vec![disk("/dev/sda", "", number), disk("/dev/sda1", "sda", number - 1)];
            if number > 200 {
                sample.disks.push(disk("/dev/sdb", "", number + 5));
            }
            let seq = number.unsigned_abs();
            (SampleId { epoch: 1, seq }, sample)
        };
        (1..=360).map(sample).collect()
    }

    fn query() -> HistoryQuery {
        let asked = [
            "cpu.usage_percent",
            "cpu.core_usage",
            "disk.read_bytes_per_sec",
            "disk.read_bytes_per_sec@*",
            "disk.read_bytes_per_sec@sdb",
        ];
        let range = TimeRange {
            start: UnixMillis(60_000),
            end: UnixMillis(1_700_000),
        };
        HistoryQuery::new(&asked, range, Some(60), None).unwrap()
    }

    fn expected(query: &HistoryQuery) -> History {
        let mut builder = HistoryBuilder::new(query);
        for (_, sample) in samples() {
            let _ = builder.add(&sample);
        }
        builder.finish()
    }

    #[test]
    fn pieces_of_a_chunk_answer_as_its_samples_do() {
        let parts = Encoder::new().parts(&samples(), Effort::Best).unwrap();
        let pieces = Pieces::new();
        let query = query();
        let mut outlined = OutlinedChunk {
            id: ID,
            level: Level::Full,
            points: 360,
            directory: Some(parts.directory),
        };
        // The first time from bytes, the second time from what is kept.
        for is_kept in [false, true] {
            let mut fold = Fold::new(&query);
            let opened = pieces.opened(AGENT, query.range, Levels::All);
            assert_eq!(opened.ids(), if is_kept { vec![ID] } else { vec![] });
            let chunk = pieces.open(AGENT, &outlined, &opened).unwrap();
            pieces.note(AGENT, [ID].into_iter());
            // The store leaves it out from then on.
            outlined.directory = None;
            let mut read = Vec::new();
            for metric in fold.metrics() {
                for (number, column) in chunk.head.columns(metric).unwrap().iter().enumerate() {
                    let key = (AGENT, ID, metric.id, number);
                    let span = column.span();
                    let bytes = &parts.payload[span.offset as usize..][..span.length as usize];
                    let values = if is_kept {
                        pieces.known(&key).expect("it was kept")
                    } else {
                        pieces.read(key, metric, &chunk, column, bytes).unwrap()
                    };
                    read.push((metric, values));
                }
            }
            let columns = read
                .iter()
                .flat_map(|(metric, values)| values.devices.iter().map(|device| (*metric, device.column())));
            fold_columns(&mut fold, &chunk.times, columns);
            assert_eq!(fold.finish(), expected(&query));
        }
        // What the hourly figures cover, and what has nothing of the range, is not said to be known.
        assert_eq!(pieces.opened(AGENT, query.range, Levels::Small).ids(), []);
        let later = TimeRange {
            start: UnixMillis(1_800_003),
            end: UnixMillis(9_000_000),
        };
        assert_eq!(pieces.opened(AGENT, later, Levels::All).ids(), []);
    }

    #[test]
    fn staged_samples_answer_as_samples_do() {
        let query = query();
        let mut fold = Fold::new(&query);
        let mut staged = Staged::default();
        let mut compressor = row::Compressor::new();
        for (id, sample) in samples() {
            let one = StagedSample {
                agent: AGENT,
                id,
                timestamp: sample.timestamp,
                payload: compressor.compress(&row::encode(&sample)).unwrap(),
                weight: 1,
            };
            staged.add(&one, &fold).unwrap();
        }
        staged.fold(&mut fold);
        assert_eq!(fold.finish(), expected(&query));
    }
}
