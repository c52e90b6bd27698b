//! The pure parts together: rows into small chunks, small chunks into full ones, and what that makes of the rollups,
//! against sums over the samples themselves.

use std::collections::BTreeMap;

use nodeglass_chunk::chunk::{Chunk, Effort, Encoder, Head};
use nodeglass_chunk::row;
use nodeglass_model::catalogue::{self, Kind};
use nodeglass_model::{Sample, SampleId, UnixMillis};
use proptest::prelude::*;

use super::merge::{Merged, merge};
use super::slot::condense;
use crate::tiers::{
    ChunkHead, ChunkId, Hour, Level, NewChunk, RollupChange, SeriesName, StoredChunk, Summary,
};
use crate::{AgentKey, Position, StagedSample};

type Identified = (SampleId, Sample);

fn position((id, sample): &Identified) -> Position {
    Position {
        timestamp: sample.timestamp,
        id: *id,
    }
}

const HOUR_MS: i64 = 3_600_000;

/// A sample with a rate, a counter that goes up and down, a device that is not always there, and a process.
fn sample(at: i64, seq: u64) -> Identified {
    let mut sample = Sample {
        timestamp: UnixMillis(at),
        ..Sample::default()
    };
    let mut set = |path: &str, label: &str, value: f64| {
        let metric = catalogue::by_path(path).unwrap();
        catalogue::set(&mut sample, metric, label, Some(value));
    };
    let noise = (seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64;
    set("cpu.usage_percent", "", (noise % 10_000.0) / 100.0);
    set("memory.used_bytes", "", noise * 1e6);
    set("network.bytes_recv_per_sec", "eth0", noise);
    set("network.errors_in", "eth0", noise + at as f64);
    if seq.is_multiple_of(3) {
        set("network.errors_in", "veth1", noise);
    }
    set("process.cpu_percent", "7", 1.0);
    (SampleId { epoch: 1, seq }, sample)
}

fn stored(chunk: &NewChunk, level: Level, rev: i32) -> StoredChunk {
    StoredChunk {
        head: ChunkHead {
            id: ChunkId { t0: chunk.t0, rev },
            end: chunk.end,
            level,
            points: chunk.points,
            directory: chunk.directory.clone(),
        },
        payload: chunk.payload.clone(),
    }
}

fn small(samples: &[Identified], rev: i32) -> StoredChunk {
    let parts = Encoder::new().parts(samples, Effort::Quick).unwrap();
    let chunk = NewChunk {
        t0: samples[0].1.timestamp,
        end: UnixMillis(samples[samples.len() - 1].1.timestamp.0 + 1),
        points: samples.len() as u32,
        directory: parts.directory,
        payload: parts.payload,
    };
    stored(&chunk, Level::Small, rev)
}

fn samples_of(chunks: &[StoredChunk]) -> Vec<Identified> {
    let mut all: Vec<Identified> = chunks
        .iter()
        .flat_map(|chunk| {
            let head = Head::read(&chunk.head.directory).unwrap();
            Chunk::of(head, &chunk.payload).unwrap().samples().unwrap()
        })
        .collect();
    all.sort_by_key(position);
    all
}

/// What the samples of each hour make, worked out the plain way.
fn direct(samples: &[Identified]) -> BTreeMap<UnixMillis, Hour> {
    let mut found: BTreeMap<_, BTreeMap<SeriesName, (Kind, Vec<f64>)>> = BTreeMap::new();
    for (_, sample) in samples {
        let hour = UnixMillis(sample.timestamp.0.div_euclid(HOUR_MS) * HOUR_MS);
        for device in catalogue::devices(sample) {
            for (metric, value) in device
                .values(sample)
                .filter(|(metric, _)| !metric.path.starts_with("process."))
            {
                let name = SeriesName {
                    metric: metric.id,
                    device: Some(device.label.to_string()).filter(|label| !label.is_empty()),
                };
                let series = found.entry(hour).or_default().entry(name);
                series.or_insert((metric.kind, Vec::new())).1.push(value);
            }
        }
    }
    let summary = |(kind, values): (Kind, Vec<f64>)| Summary {
        count: values.len() as u32,
        mean: match kind {
            Kind::Counter => values[values.len() - 1],
            Kind::Rate | Kind::Level => values.iter().sum::<f64>() / values.len() as f64,
        },
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    let hour = |series: BTreeMap<_, _>| series.into_iter().map(|(name, it)| (name, summary(it))).collect();
    found
        .into_iter()
        .map(|(start, series)| (start, hour(series)))
        .collect()
}

fn apply(rollups: &mut BTreeMap<UnixMillis, Hour>, change: &dyn RollupChange) {
    for start in change.hours() {
        let hour = rollups.entry(start).or_default();
        let changed = change.apply(start, hour);
        hour.extend(changed);
    }
}

fn assert_alike(found: &BTreeMap<UnixMillis, Hour>, expected: &BTreeMap<UnixMillis, Hour>) {
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (start, hour) in expected {
        let there = &found[start];
        assert_eq!(there.keys().collect::<Vec<_>>(), hour.keys().collect::<Vec<_>>());
        for (name, summary) in hour {
            let other = there[name];
            assert_eq!(
                (other.count, other.min, other.max),
                (summary.count, summary.min, summary.max),
                "{name:?}"
            );
            let difference = (other.mean - summary.mean).abs();
            assert!(
                difference <= summary.mean.abs() * 1e-12,
                "{name:?}: {other:?} for {summary:?}"
            );
        }
    }
}

fn merged(chunks: &[StoredChunk], beside: &[StoredChunk]) -> Merged {
    merge(&mut Encoder::new(), chunks, beside).unwrap()
}

#[test]
fn rows_that_a_chunk_has_already_are_left_out_with_their_weight() {
    let rows: Vec<StagedSample> = (0..10)
        .map(|number| {
            let (id, sample) = sample(number * 1000, number as u64 + 1);
            StagedSample {
                agent: AgentKey(1),
                id,
                timestamp: sample.timestamp,
                payload: row::encode(&sample),
                weight: 2,
            }
        })
        .collect();
    // The fourth, and one of another moment with the number of the fifth: that is another sample.
    let there = small(&[sample(3000, 4), sample(4500, 5)], 1);
    let heads = [Head::read(&there.head.directory).unwrap()];
    let condensed = condense(&mut Encoder::new(), &rows, &heads).unwrap();
    assert_eq!(
        (condensed.stored, condensed.duplicate, condensed.unreadable),
        (18, 2, 0)
    );
    let chunks: Vec<_> = condensed
        .chunks
        .iter()
        .map(|it| stored(it, Level::Small, 2))
        .collect();
    let ids: Vec<u64> = samples_of(&chunks).iter().map(|(id, _)| id.seq).collect();
    assert_eq!(ids, [1, 2, 3, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_row_that_is_damaged_is_counted_and_one_from_a_newer_program_is_left_to_it() {
    let mut rows = vec![StagedSample {
        agent: AgentKey(1),
        id: SampleId { epoch: 1, seq: 1 },
        timestamp: UnixMillis(5),
        payload: vec![1, 7],
        weight: 1,
    }];
    let condensed = condense(&mut Encoder::new(), &rows, &[]).unwrap();
    assert_eq!(
        (condensed.chunks.len(), condensed.stored, condensed.unreadable),
        (0, 0, 1)
    );
    rows[0].payload = row::Compressor::new().compress(&[9, 0, 0]).unwrap();
    assert!(condense(&mut Encoder::new(), &rows, &[]).is_err());
}

#[test]
fn what_a_counter_ended_with_may_lie_in_a_chunk_that_stays() {
    let at = |seconds: i64, seq| sample(seconds * 1000, seq);
    let later = merged(&[small(&[at(100, 3), at(200, 6)], 1)], &[]);
    let mut rollups = BTreeMap::new();
    apply(&mut rollups, &later.rollups);
    let later = stored(&later.chunks[0], Level::Full, 2);
    let earlier = merged(&[small(&[at(10, 9)], 3)], std::slice::from_ref(&later));
    apply(&mut rollups, &earlier.rollups);
    assert_alike(&rollups, &direct(&[at(10, 9), at(100, 3), at(200, 6)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Samples of two hours come in any order, a few at a time, and each time some of the full chunks are rewritten.
    #[test]
    fn whatever_the_order_samples_and_rollups_come_out_exact(
        groups in proptest::collection::vec(proptest::collection::btree_set(0_i64..7_200, 1..40), 1..8),
        taken in proptest::collection::vec(any::<u8>(), 8),
    ) {
        let mut full: Vec<StoredChunk> = Vec::new();
        let mut rollups = BTreeMap::new();
        let mut expected: BTreeMap<_, Identified> = BTreeMap::new();
        for ((number, seconds), taken) in (0..).zip(&groups).zip(&taken) {
            let samples: Vec<Identified> = seconds.iter()
                .map(|second| sample(second * 1000, *second as u64 + 1))
                .filter(|it| !expected.contains_key(&position(it)))
                .collect();
            if samples.is_empty() {
                continue;
            }
            expected.extend(samples.iter().map(|it| (position(it), it.clone())));
            let mut chunks = vec![small(&samples, number * 10)];
            let (with, beside): (Vec<_>, Vec<_>) = (0..).zip(std::mem::take(&mut full))
                .partition(|(number, _)| taken >> number & 1 == 1);
            let strip = |it: Vec<(u32, StoredChunk)>| it.into_iter().map(|(_, it)| it).collect::<Vec<_>>();
            chunks.extend(strip(with));
            full = strip(beside);
            let merged = merged(&chunks, &full);
            apply(&mut rollups, &merged.rollups);
            full.extend(merged.chunks.iter().map(|it| stored(it, Level::Full, number * 10 + 1)));
        }
        let expected: Vec<Identified> = expected.into_values().collect();
        prop_assert_eq!(samples_of(&full), expected.clone());
        assert_alike(&rollups, &direct(&expected));
    }
}
