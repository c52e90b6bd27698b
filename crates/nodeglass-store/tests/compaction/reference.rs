//! What the store ought to have: a map of samples, and sums over it.

use std::collections::{BTreeMap, BTreeSet};

use nodeglass_chunk::chunk::{Chunk, Head};
use nodeglass_chunk::row;
use nodeglass_model::catalogue::{self, Dimension, Kind};
use nodeglass_model::{Sample, SampleId, TimeRange, UnixMillis};
use nodeglass_store::tiers::{ChunkHead, HourFigures, Level, Levels, RollupPoint, SeriesName, Summary};
use nodeglass_store::{AgentKey, Position, StagedSample, Store};

const HOUR_MS: i64 = 3_600_000;
const ALL: TimeRange = TimeRange {
    start: UnixMillis(0),
    end: UnixMillis(i64::MAX),
};

/// The sample of that moment, whose identity and values follow from the moment: a level, a rate, a counter that goes up and
/// down, a device that is not always there, and a process.
pub(crate) fn sample(agent: AgentKey, at: UnixMillis) -> StagedSample {
    let seconds = at.0.div_euclid(1000);
    let noise = ((seconds as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44) as f64;
    let mut sample = Sample {
        timestamp: at,
        ..Sample::default()
    };
    let mut set = |path: &str, label: &str, value: f64| {
        let metric = catalogue::by_path(path).expect("a metric of the catalogue");
        catalogue::set(&mut sample, metric, label, Some(value));
    };
    set("cpu.usage_percent", "", (noise % 10_000.0) / 100.0);
    set("memory.used_bytes", "", noise * 4096.0);
    set("network.bytes_recv_per_sec", "eth0", noise);
    set("network.errors_in", "eth0", noise % 97.0);
    if seconds % 7 < 3 {
        set("network.errors_in", "veth1", noise % 89.0);
    }
    set("process.cpu_percent", "7", 1.0);
    StagedSample {
        agent,
        // Two lives of the agent, an hour each in turn.
        id: SampleId {
            epoch: 1_000 + (seconds / 3600 % 2) as u64,
            seq: seconds as u64,
        },
        timestamp: at,
        payload: row::encode(&sample),
        weight: 1 + (seconds % 3) as u32,
    }
}

/// What the store ought to have of one agent.
#[derive(Debug, Default)]
struct Of {
    samples: BTreeMap<Position, Sample>,
    /// Samples that retention removed: the rollups still have them.
    removed: BTreeMap<Position, Sample>,
    /// Weights of everything that was given.
    given: u64,
    /// Weights of different samples.
    stored: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Reference {
    agents: BTreeMap<AgentKey, Of>,
}

/// How many samples the store ought to have of an agent.
pub(crate) fn number_of(reference: &Reference, agent: AgentKey) -> u64 {
    reference
        .agents
        .get(&agent)
        .map_or(0, |of| of.samples.len() as u64)
}

/// All chunks of an agent.
pub(crate) async fn heads(store: &dyn Store, agent: AgentKey) -> Vec<ChunkHead> {
    store.heads(agent, ALL, Levels::All, u32::MAX).await.unwrap()
}

impl Reference {
    pub(crate) fn append(&mut self, samples: &[StagedSample]) {
        for staged in samples {
            let of = self.agents.entry(staged.agent).or_default();
            of.given += u64::from(staged.weight);
            let position = staged.position();
            if of.samples.contains_key(&position) {
                continue;
            }
            let sample = row::read(&staged.payload, staged.timestamp).expect("a row");
            of.samples.insert(position, sample);
            of.stored += u64::from(staged.weight);
        }
    }

    /// Some samples that are stored, as they were given.
    pub(crate) fn some(&self, agent: AgentKey, from: usize, count: usize) -> Vec<StagedSample> {
        let Some(of) = self.agents.get(&agent) else {
            return Vec::new();
        };
        let from = from * of.samples.len() / 256;
        let positions = of.samples.keys().skip(from).take(count);
        positions
            .map(|position| sample(agent, position.timestamp))
            .collect()
    }

    /// Takes note of what retention removed: it may have left some of what is older than `kept_from`, and nothing else.
    pub(crate) async fn forget(&mut self, store: &dyn Store, kept_from: UnixMillis) {
        for (agent, of) in &mut self.agents {
            let there: BTreeSet<Position> = read(store, *agent).await.into_keys().collect();
            let gone: Vec<Position> = of
                .samples
                .keys()
                .filter(|it| !there.contains(it))
                .copied()
                .collect();
            for position in gone {
                assert!(
                    position.timestamp < kept_from,
                    "{agent:?} {position:?} was to be kept"
                );
                if let Some(sample) = of.samples.remove(&position) {
                    of.removed.insert(position, sample);
                }
            }
        }
    }

    /// Compares everything.
    pub(crate) async fn check(&self, store: &dyn Store) {
        for (agent, of) in &self.agents {
            assert_eq!(read(store, *agent).await, of.samples, "samples of {agent:?}");
            let ledger = store.ledger(*agent).await.unwrap();
            assert_eq!(
                ledger.stored + ledger.duplicate,
                of.given,
                "the ledger of {agent:?}"
            );
            assert!(ledger.stored >= of.stored, "{ledger:?} of {agent:?}");
            let full = full_samples(store, *agent, of).await;
            check_rollups(store, *agent, full).await;
        }
    }

    /// Compares what holds only once all duplicates were recognised, and everything is in full chunks.
    pub(crate) async fn check_settled(&self, store: &dyn Store) {
        for (agent, of) in &self.agents {
            let ledger = store.ledger(*agent).await.unwrap();
            assert_eq!(
                (ledger.stored, ledger.duplicate),
                (of.stored, of.given - of.stored),
                "{agent:?}"
            );
            let outline = store.outline(*agent, ALL, Levels::All, &[]).await.unwrap();
            assert_eq!(outline.staged.len(), 0, "staged samples of {agent:?}");
            for head in &outline.chunks {
                assert_eq!(head.level, Level::Full, "{agent:?}");
                assert!(head.points < 1080, "{} points", head.points);
            }
        }
    }
}

/// All samples of an agent, read in small pages.
async fn read(store: &dyn Store, agent: AgentKey) -> BTreeMap<Position, Sample> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.samples(agent, ALL, after, 500).await.unwrap();
        let is_last = page.len() < 500;
        for stored in page {
            let position = stored.position();
            assert!(after.is_none_or(|after| position > after), "pages are in order");
            after = Some(position);
            all.insert(position, stored.sample);
        }
        if is_last {
            return all;
        }
    }
}

/// The samples that were ever in full chunks. No sample is in two chunks.
async fn full_samples(store: &dyn Store, agent: AgentKey, of: &Of) -> BTreeMap<Position, Sample> {
    let mut full = of.removed.clone();
    let mut seen = BTreeSet::new();
    for head in heads(store, agent).await {
        let chunk = store
            .chunks(agent, &[head.id])
            .await
            .unwrap()
            .pop()
            .expect("the chunk");
        let directory = Head::read(&head.directory).unwrap();
        let samples = Chunk::of(directory, &chunk.payload).unwrap().samples().unwrap();
        assert_eq!(samples.len(), head.points as usize);
        for (id, sample) in samples {
            let position = Position {
                timestamp: sample.timestamp,
                id,
            };
            assert!((head.id.t0..head.end).contains(&position.timestamp), "{head:?}");
            assert!(
                seen.insert(position),
                "{position:?} of {agent:?} is in two chunks"
            );
            if head.level == Level::Full {
                full.insert(position, sample);
            }
        }
    }
    full
}

async fn check_rollups(store: &dyn Store, agent: AgentKey, full: BTreeMap<Position, Sample>) {
    let expected = summaries(&full);
    let series: Vec<SeriesName> = store.series(agent).await.unwrap();
    let rollups = store
        .rollups(agent, ALL, &series, HourFigures::All)
        .await
        .unwrap();
    let found: BTreeMap<(UnixMillis, SeriesName), Summary> = (series.iter().zip(rollups.series))
        .flat_map(|(name, points)| {
            let one = move |point: RollupPoint| ((point.hour, name.clone()), point.summary);
            points.into_iter().map(one)
        })
        .collect();
    let keys = |all: &BTreeMap<(UnixMillis, SeriesName), Summary>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&found), keys(&expected), "the hours of {agent:?}");
    for (key, summary) in &expected {
        let other = found[key];
        assert_eq!(other.count, summary.count, "{key:?} of {agent:?}");
        // Lowest and highest are kept with 24 significant bits.
        for (found, exact) in [(other.min, summary.min), (other.max, summary.max)] {
            assert!(
                (found - exact).abs() <= exact.abs() * 1e-7,
                "{key:?} of {agent:?}: {other:?} for {summary:?}"
            );
        }
        let difference = (other.mean - summary.mean).abs();
        assert!(
            difference <= summary.mean.abs() * 1e-12,
            "{key:?} of {agent:?}: {other:?} for {summary:?}"
        );
    }
}

/// Hourly figures, worked out the plain way.
fn summaries(samples: &BTreeMap<Position, Sample>) -> BTreeMap<(UnixMillis, SeriesName), Summary> {
    let mut series: BTreeMap<_, (Kind, Vec<f64>)> = BTreeMap::new();
    for sample in samples.values() {
        let hour = UnixMillis(sample.timestamp.0.div_euclid(HOUR_MS) * HOUR_MS);
        for device in catalogue::devices(sample).filter(|device| device.dimension != Dimension::Process) {
            for (metric, value) in device.values(sample) {
                let name = SeriesName {
                    metric: metric.id,
                    device: Some(device.label.to_string()).filter(|label| !label.is_empty()),
                };
                let values = series.entry((hour, name)).or_insert((metric.kind, Vec::new()));
                values.1.push(value);
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
    series.into_iter().map(|(key, it)| (key, summary(it))).collect()
}
