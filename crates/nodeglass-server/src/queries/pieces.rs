//! Parts of chunks that were read and are kept for the next reader, bounded in bytes.
//!
//! A chunk never changes, so nothing that is kept here is ever wrong; what nobody asks for goes.

use std::sync::Arc;

use nodeglass_chunk::chunk::{ChunkError, Column, Head};
use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::{self, Metric, MetricId, OverDevices};
use nodeglass_model::history::DeviceColumn;
use nodeglass_store::AgentKey;
use nodeglass_store::tiers::ChunkId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Directories that are kept: at some 50 kB each, a day of 60 agents.
const HEADS_BYTES: u64 = 64 << 20;
/// Values that are kept: at 12 kB for an hour of a series, a day of 230 series.
const COLUMNS_BYTES: u64 = 64 << 20;
/// What a directory takes in memory for each of its bytes, about.
const UNPACKED: u64 = 16;

/// A chunk whose directory was read.
#[derive(Debug)]
pub(super) struct OpenChunk {
    pub(super) head: Head,
    pub(super) times: Vec<UnixMillis>,
    weight: u64,
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

/// What is kept.
#[derive(Debug)]
pub(super) struct Pieces {
    heads: Cache<(AgentKey, ChunkId), Arc<OpenChunk>, ByBytes>,
    columns: Cache<ColumnKey, Arc<Values>, ByBytes>,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<(AgentKey, ChunkId), Arc<OpenChunk>> for ByBytes {
    fn weight(&self, _: &(AgentKey, ChunkId), chunk: &Arc<OpenChunk>) -> u64 {
        chunk.weight
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
            heads: Cache::with_weighter(4_096, HEADS_BYTES, ByBytes),
            columns: Cache::with_weighter(8_192, COLUMNS_BYTES, ByBytes),
        }
    }

    /// A chunk's directory, kept or read now.
    pub(super) fn open(
        &self,
        agent: AgentKey,
        id: ChunkId,
        directory: &[u8],
    ) -> Result<Arc<OpenChunk>, ChunkError> {
        if let Some(known) = self.heads.get(&(agent, id)) {
            return Ok(known);
        }
        let head = Head::read(directory)?;
        let times = head.timestamps()?;
        let weight = 256 + directory.len() as u64 * UNPACKED + size_of_val(times.as_slice()) as u64;
        let chunk = Arc::new(OpenChunk { head, times, weight });
        self.heads.insert((agent, id), chunk.clone());
        Ok(chunk)
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
        // The first time from bytes, the second time from what is kept.
        for is_kept in [false, true] {
            let mut fold = Fold::new(&query);
            let chunk = pieces
                .open(AGENT, ID, if is_kept { &[] } else { &parts.directory })
                .unwrap();
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
