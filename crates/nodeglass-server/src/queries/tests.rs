//! Answers from every tier of a real store against those from the samples themselves.

mod hours;

use std::collections::BTreeMap;

use nodeglass_chunk::chunk::{Effort, Encoder};
use nodeglass_chunk::row;
use nodeglass_model::catalogue::{self, Kind};
use nodeglass_model::history::{History, HistoryBuilder, HistoryQuery};
use nodeglass_model::sample::NetworkMetrics;
use nodeglass_model::{Sample, SampleId, TimeRange};
use nodeglass_store::tiers::{
    ClosedSlot, Hour, Levels, NewChunk, PackedAgent, Retention, RollupChange, SeriesName, SlotLimits, Summary,
};
use nodeglass_store::{AgentRecord, StagedSample};

use super::plan::HOUR;
use super::*;
use crate::ledger::Gap;

/// A whole hour.
const START: UnixMillis = UnixMillis(1_763_700_000_000 / 3_600_000 * 3_600_000);

/// A clock that stands.
#[derive(Debug)]
struct At(UnixMillis);

impl Clock for At {
    fn now(&self) -> UnixMillis {
        self.0
    }
}

/// A sample each minute: a share, and two interfaces with a rate and a counter, of which one comes later.
fn sample(minute: i64) -> (SampleId, Sample) {
    let mut sample = Sample {
        timestamp: START.plus(Duration::from_secs(minute.unsigned_abs() * 60)),
        ..Default::default()
    };
    sample.cpu.usage_percent = (minute % 13 != 0).then_some((minute * 7 % 100) as f64 + 0.25);
    let interface = |name: &str, sent: i64| NetworkMetrics {
        interface: name.to_owned(),
        bytes_sent_per_sec: Some(sent.unsigned_abs()),
        errors_in: Some(minute.unsigned_abs()),
        ..Default::default()
    };
    sample
        .network_interfaces
        .push(interface("eth0", minute * 31 % 1_000));
    if minute >= 60 {
        sample.network_interfaces.push(interface("eth1", minute));
    }
    let seq = minute.unsigned_abs() + 1;
    (SampleId { epoch: 1, seq }, sample)
}

fn chunk(samples: &[(SampleId, Sample)]) -> NewChunk {
    let parts = Encoder::new().parts(samples, Effort::Best).unwrap();
    NewChunk {
        t0: samples[0].1.timestamp,
        end: samples[samples.len() - 1]
            .1
            .timestamp
            .plus(Duration::from_millis(1)),
        points: samples.len() as u32,
        directory: parts.directory,
        payload: parts.payload,
    }
}

/// Adds samples to hours that have nothing yet.
struct Added<'a>(&'a [(SampleId, Sample)]);

impl RollupChange for Added<'_> {
    fn hours(&self) -> Vec<UnixMillis> {
        let mut hours: Vec<_> = self
            .0
            .iter()
            .map(|(_, sample)| sample.timestamp.floor(HOUR))
            .collect();
        hours.dedup();
        hours
    }

    fn apply(&self, hour: UnixMillis, before: &Hour) -> Vec<(SeriesName, Summary)> {
        assert!(before.is_empty(), "each hour is written once here");
        let mut values: BTreeMap<SeriesName, Vec<f64>> = BTreeMap::new();
        for (_, sample) in self
            .0
            .iter()
            .filter(|(_, sample)| sample.timestamp.floor(HOUR) == hour)
        {
            for device in catalogue::devices(sample) {
                for (metric, value) in device.values(sample) {
                    let label = device.label.clone().into_owned();
                    let name = SeriesName {
                        metric: metric.id,
                        device: Some(label).filter(|label| !label.is_empty()),
                    };
                    values.entry(name).or_default().push(value);
                }
            }
        }
        let summary = |(name, values): (SeriesName, Vec<f64>)| {
            let is_counter = catalogue::by_id(name.metric).unwrap().kind == Kind::Counter;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let summary = Summary {
                count: values.len() as u32,
                mean: if is_counter {
                    values[values.len() - 1]
                } else {
                    mean
                },
                min: values.iter().copied().fold(f64::INFINITY, f64::min),
                max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            };
            (name, summary)
        };
        values.into_iter().map(summary).collect()
    }
}

/// Four hours in full chunks, one in a small one, and a half staged.
async fn history_of_tiers(directory: &std::path::Path) -> (Queries, Arc<LiveAgent>, Vec<Sample>) {
    let url = format!("sqlite://{}", directory.join("test.db").display());
    let store = nodeglass_store::open(&url).await.unwrap();
    let samples: Vec<_> = (0..330).map(sample).collect();
    let now = START.plus(Duration::from_mins(330));
    let id: nodeglass_model::AgentId = "host".parse().unwrap();
    let key = store.enrol_agent(&id, now).await.unwrap();

    append(store.as_ref(), key, &samples[..240], now).await;
    let packed = |samples| PackedAgent {
        agent: key,
        chunks: vec![chunk(samples)],
        stored: samples.len() as u64,
        duplicate: 0,
    };
    pack(store.as_ref(), &packed(&samples[..240]), now).await;
    let all = TimeRange {
        start: START,
        end: now,
    };
    let small = store.heads(key, all, Levels::Small, 10).await.unwrap();
    let full = [chunk(&samples[..100]), chunk(&samples[100..240])];
    let done = store
        .replace(key, &[small[0].id], &full, &Added(&samples[..240]))
        .await
        .unwrap();
    assert_eq!(done, nodeglass_store::tiers::Outcome::Done);

    append(store.as_ref(), key, &samples[240..300], now).await;
    pack(store.as_ref(), &packed(&samples[240..300]), now).await;
    append(store.as_ref(), key, &samples[300..], now).await;

    let live = Arc::new(Live::default());
    let agent = live.admit(&AgentRecord {
        key,
        id,
        system_info: None,
    });
    let kept = Retention {
        raw: Duration::from_hours(24),
        rollups: Duration::from_hours(24 * 90),
        max_bytes: None,
    };
    let limits = QueryLimits {
        max_points: 10_000,
        max_streams: 1,
        streams: false,
    };
    let clock = Arc::new(At(now));
    let registry = Arc::new(Registry::of_test(live.clone(), store.clone(), clock.clone()).await);
    let queries = Queries::new(live, store, clock, limits, Arc::new(Kept::new(kept)), registry);
    (
        queries,
        agent,
        samples.into_iter().map(|(_, sample)| sample).collect(),
    )
}

async fn append(
    store: &dyn Store,
    agent: nodeglass_store::AgentKey,
    samples: &[(SampleId, Sample)],
    now: UnixMillis,
) {
    assert!(samples.iter().all(|(_, sample)| sample.timestamp < now));
    let staged: Vec<_> = samples
        .iter()
        .map(|(id, sample)| StagedSample {
            agent,
            id: *id,
            timestamp: sample.timestamp,
            payload: row::encode(sample),
            weight: 1,
        })
        .collect();
    store.append(&staged).await.unwrap();
}

/// Puts the open slot's rows into chunks.
async fn pack(store: &dyn Store, packed: &PackedAgent, now: UnixMillis) {
    let limits = SlotLimits {
        age: Duration::ZERO,
        bytes: 0,
    };
    assert!(store.close_slot(now, limits).await.unwrap());
    let done = nodeglass_store::tiers::Outcome::Done;
    let closed = store.closed_slots().await.unwrap();
    // A new database begins with an empty one.
    let Some((ClosedSlot { id: slot, .. }, before)) = closed.split_last() else {
        panic!("a slot was closed just now");
    };
    for empty in before {
        assert_eq!(store.finish_slot(empty.id, None, now).await.unwrap(), done);
    }
    let put = store
        .put_small(*slot, None, packed.agent, std::slice::from_ref(packed), now)
        .await;
    assert_eq!(put.unwrap(), done);
    assert_eq!(
        store.finish_slot(*slot, Some(packed.agent), now).await.unwrap(),
        done
    );
}

/// Merges the small chunk that an hour of samples is in.
async fn merge(queries: &Queries, agent: &LiveAgent, samples: &[(SampleId, Sample)]) {
    let range = TimeRange {
        start: START,
        end: START.plus(HOUR * 10),
    };
    let small = queries
        .store
        .heads(agent.key, range, Levels::Small, 10)
        .await
        .unwrap();
    let merged = queries
        .store
        .replace(agent.key, &[small[0].id], &[chunk(samples)], &Added(samples))
        .await;
    assert_eq!(merged.unwrap(), nodeglass_store::tiers::Outcome::Done);
}

/// The fifth hour, which is in a small chunk, on its own.
fn fifth_hour() -> Vec<(SampleId, Sample)> {
    (240..300).map(sample).collect()
}

fn expected(query: &HistoryQuery, samples: &[Sample]) -> History {
    let mut builder = HistoryBuilder::new(query);
    for sample in samples {
        let _ = builder.add(sample);
    }
    builder.finish()
}

const ASKED: [&str; 6] = [
    "cpu.usage_percent",
    "network.bytes_sent_per_sec",
    "network.bytes_sent_per_sec@*",
    "network.errors_in",
    "network.errors_in@eth1",
    "load.load1",
];

fn query(asked: &[&str], from: u64, to: u64, interval: u64, most: u32, agg: &str) -> HistoryQuery {
    let range = TimeRange {
        start: START.plus(Duration::from_secs(from)),
        end: START.plus(Duration::from_secs(to)),
    };
    HistoryQuery::new(asked, range, Some(interval), Some(most))
        .unwrap()
        .with_aggregation(agg.parse().unwrap_or_default())
}

#[tokio::test]
async fn samples_of_every_tier_make_one_answer() {
    let directory = tempfile::tempdir().unwrap();
    let (queries, agent, samples) = history_of_tiers(directory.path()).await;
    for agg in ["", "min", "sum", "p95", "last"] {
        for (from, to, interval, most) in [
            (0, 20_000, 300, 10_000),
            (1_234, 19_001, 60, 100),
            (5_999, 6_001, 1, 5),
        ] {
            let query = query(&ASKED, from, to, interval, most, agg);
            for _ in 0..2 {
                let found = queries.raw_history(&agent, &query, START).await.unwrap();
                assert_eq!(found, expected(&query, &samples), "{agg} {from} {to} {interval}");
            }
        }
    }
    let outside = query(&ASKED, 40_000, 50_000, 60, 10, "");
    assert!(
        queries
            .raw_history(&agent, &outside, START)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn full_chunks_that_are_known_are_looked_for_after_a_merge_and_when_one_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (queries, agent, samples) = history_of_tiers(directory.path()).await;
    let other = query(&["network.bytes_sent_per_sec"], 0, 20_000, 300, 10_000, "");
    let query = query(&["cpu.usage_percent"], 0, 20_000, 300, 10_000, "");
    let ask = async |query: &HistoryQuery| queries.raw_history(&agent, query, START).await.unwrap();
    assert_eq!(ask(&query).await, expected(&query, &samples));
    let known = queries.pieces.full(agent.key, query.range);
    assert_eq!(known.map(|(_, full)| full.ids().len()), Some(2));
    assert_eq!(ask(&query).await, expected(&query, &samples));
    merge(&queries, &agent, &fifth_hour()).await;
    assert_eq!(ask(&query).await, expected(&query, &samples));
    let known = queries.pieces.full(agent.key, query.range);
    assert_eq!(known.map(|(_, full)| full.ids().len()), Some(3));

    // The first two go by age, and the values of another metric are yet to be read.
    let keep = Retention {
        raw: Duration::from_mins(61),
        rollups: Duration::from_hours(24 * 90),
        max_bytes: None,
    };
    let now = START.plus(Duration::from_mins(301));
    while queries.store.retain(&keep, now).await.unwrap().more {}
    let since = START.plus(HOUR * 4);
    let left: Vec<_> = samples
        .iter()
        .filter(|sample| sample.timestamp >= since)
        .cloned()
        .collect();
    assert_eq!(ask(&other).await, expected(&other, &left));
}

#[tokio::test]
async fn what_is_older_than_is_kept_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let (queries, agent, samples) = history_of_tiers(directory.path()).await;
    let kept = |since: UnixMillis| {
        let young = samples.iter().filter(|sample| sample.timestamp >= since);
        young.cloned().collect::<Vec<_>>()
    };
    // In the midst of a full chunk, of the small one, and of what is staged; in the midst of a bucket, too.
    for since in [7_450, 15_000, 19_000, 30_000].map(|seconds| START.plus(Duration::from_secs(seconds))) {
        let query = query(&ASKED, 0, 20_000, 300, 10_000, "");
        let found = queries.raw_history(&agent, &query, since).await.unwrap();
        assert_eq!(found, expected(&query, &kept(since)), "{since}");
    }
    for since in [2, 4, 9].map(|hours| START.plus(HOUR * hours)) {
        let query = query(&ASKED, 0, 21_600, 3_600, 10_000, "");
        let found = queries.hourly_history(&agent, &query, since).await.unwrap();
        assert_eq!(found, expected(&query, &kept(since)), "{since}");
    }
}

#[tokio::test]
async fn the_planner_takes_hours_for_whole_hours() {
    let directory = tempfile::tempdir().unwrap();
    let (queries, agent, samples) = history_of_tiers(directory.path()).await;
    let one = |interval| {
        let range = TimeRange {
            start: START,
            end: START.plus(Duration::from_hours(6)),
        };
        HistoryQuery::new(&["cpu.usage_percent"], range, Some(interval), None).unwrap()
    };
    for (interval, resolution) in [(3_600, Resolution::Hour), (1_800, Resolution::Raw)] {
        let stored = queries.stored_history(&agent, one(interval)).await.unwrap();
        assert_eq!(stored.resolution, resolution);
        assert_eq!(stored.history, expected(&one(interval), &samples));
    }
}

#[tokio::test]
async fn what_an_agent_said_before_the_server_started_is_read_once_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let (queries, agent, _) = history_of_tiers(directory.path()).await;
    let range = TimeRange {
        start: START,
        end: START.plus(HOUR),
    };
    let says = async |reason: &str| {
        let gap = Gap {
            reason: reason.to_owned(),
            from: START.0.unsigned_abs(),
            to: START.0.unsigned_abs() + 1_000,
            samples: 1,
        };
        let side = AgentSide {
            gaps: vec![gap],
            ..AgentSide::default()
        };
        let side = serde_json::to_string(&side).unwrap();
        queries
            .store
            .save_agent_sides(&[(agent.key, side)])
            .await
            .unwrap();
    };
    let shown = async || {
        let gaps = queries.gaps(&agent, range).await.unwrap();
        gaps.iter().map(|gap| gap.reason.clone()).collect::<Vec<_>>()
    };
    says("age").await;
    assert_eq!(shown().await, ["age"]);
    says("size").await;
    assert_eq!(shown().await, ["age"], "what was just read stands for a second");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(shown().await, ["size"]);
}
