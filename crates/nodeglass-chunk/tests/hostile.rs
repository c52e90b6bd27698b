//! Chunks that were changed on purpose or by accident: an error or values, never a panic, in bounded memory.
//! `PROPTEST_CASES` says how many.

#[path = "hostile/exercise.rs"]
mod exercise;

use std::sync::LazyLock;

use nodeglass_chunk::chunk::{Effort, Encoder, Parts};
use nodeglass_model::catalogue::{self, METRICS};
use nodeglass_model::sample::{CollectFailure, ProcessEntry};
use nodeglass_model::{Sample, SampleId, UnixMillis};
use proptest::prelude::*;
use rustix::process::{Resource, Rlimit, setrlimit};

/// What all tests here may take together. A chunk may have eight million figures of 16 bytes.
const MEMORY: u64 = 2 << 30;

/// Forty points of a host with all forms of pieces: devices that come and go, gaps, failures, floats, processes.
static SAMPLES: LazyLock<Vec<(SampleId, Sample)>> = LazyLock::new(|| {
    let sample = |point: u64| {
        let mut sample = Sample {
            timestamp: UnixMillis(1_763_700_000_000 + point as i64 * 5000 + (point * 7919 % 11) as i64),
            ..Sample::default()
        };
        for (number, metric) in (0..).zip(METRICS.iter().step_by(5)) {
            let steps = match number % 6 {
                0 => 7,
                1 => point * 3,
                2 => point * point % 97 * 4096,
                3 => (point * 7919).pow(3) % 1_000_003,
                4 => [0, 0, 0, 90_000][(point % 4) as usize],
                _ => 1000 + point * 7919 % 7,
            };
            let value = metric.unit.of_steps(steps as i64) + if number % 13 == 5 { 0.001 } else { 0.0 };
            let is_there = number % 7 != 3 || point % 9 > 2;
            catalogue::set(
                &mut sample,
                metric,
                &(number % 2).to_string(),
                is_there.then_some(value),
            );
        }
        if point % 8 == 5 {
            let (collector, reason) = ("disk".to_owned(), format!("no answer for {point} s"));
            sample.failures.push(CollectFailure { collector, reason });
        }
        sample
            .processes
            .top
            .extend((0..point % 3).map(|slot| ProcessEntry {
                pid: (point / 4 + slot) as u32,
                start_time: 1_763_700_000,
                command: format!("cc1plus -o {point}.o"),
                cpu_percent: Some(point as f64),
                ..ProcessEntry::default()
            }));
        (
            SampleId {
                epoch: 1_763_700_000_000,
                seq: point + 1,
            },
            sample,
        )
    };
    (0..40).map(sample).collect()
});

/// Chunks of every kind that a reader may meet.
static CHUNKS: LazyLock<Vec<Parts>> = LazyLock::new(|| {
    let limit = Rlimit {
        current: Some(MEMORY),
        maximum: None,
    };
    setrlimit(Resource::As, limit).expect("less memory is always granted");
    let mut encoder = Encoder::new();
    let mut chunks = Vec::new();
    for effort in [Effort::Quick, Effort::Best] {
        for samples in [&SAMPLES[..], &SAMPLES[..1], &[]] {
            chunks.push(encoder.parts(samples, effort).expect("they are few"));
        }
    }
    chunks
});

/// The same in one buffer, and frozen ones.
static WHOLE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut all: Vec<Vec<u8>> = CHUNKS.iter().map(Parts::join).collect();
    for name in ["v1-eventful", "v1-every-metric", "v1-empty", "v2-eventful"] {
        let path = format!("{}/tests/fixtures/{name}.chunk", env!("CARGO_MANIFEST_DIR"));
        all.push(std::fs::read(path).expect("the fixture"));
    }
    all
});

/// One change. Places are taken modulo the length.
#[derive(Debug, Clone)]
enum Change {
    Flip(usize, u8),
    Set(usize, u8),
    Cut(usize, usize),
    End(usize),
    Copy(usize, usize, usize),
    Extend(Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, other: &[u8]) {
        let length = bytes.len();
        let place = |at: &usize| at % length.max(1);
        match self {
            Self::Flip(at, bit) if length > 0 => bytes[place(at)] ^= 1 << (bit % 8),
            Self::Set(at, byte) if length > 0 => bytes[place(at)] = *byte,
            Self::Cut(at, count) if length > 0 => {
                let end = (place(at) + count % 20).min(length);
                bytes.drain(place(at)..end);
            }
            Self::End(at) => bytes.truncate(place(at)),
            Self::Copy(from, to, count) if !other.is_empty() => {
                let from = from % other.len();
                let end = (from + count % 200).min(other.len());
                let to = place(to);
                bytes.splice(to..to, other[from..end].iter().copied());
            }
            Self::Extend(more) => bytes.extend(more),
            _ => {}
        }
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    // The front of a directory decides most.
    let at = prop_oneof![any::<usize>(), 0..100_usize];
    prop_oneof![
        4 => (at.clone(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        4 => (at.clone(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (at.clone(), any::<usize>()).prop_map(|(at, count)| Change::Cut(at, count)),
        1 => any::<usize>().prop_map(Change::End),
        2 => (any::<usize>(), at, any::<usize>()).prop_map(|(from, to, count)| Change::Copy(from, to, count)),
        1 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Change::Extend),
    ]
}

fn any_changes() -> impl Strategy<Value = Vec<Change>> {
    proptest::collection::vec(any_change(), 1..6)
}

proptest! {
    #[test]
    fn changed_chunks(chunk: usize, other: usize, changes in any_changes()) {
        let mut bytes = WHOLE[chunk % WHOLE.len()].clone();
        for change in &changes {
            change.apply(&mut bytes, &WHOLE[other % WHOLE.len()]);
        }
        exercise::whole(&bytes);
    }

    #[test]
    fn changed_parts(chunk: usize, other: usize, changes in any_changes(), of_payload in any_changes()) {
        let (chunk, other) = (&CHUNKS[chunk % CHUNKS.len()], &CHUNKS[other % CHUNKS.len()]);
        let (mut directory, mut payload) = (chunk.directory.clone(), chunk.payload.clone());
        for change in &of_payload {
            change.apply(&mut payload, &other.payload);
        }
        exercise::parts(&directory, &payload);
        exercise::parts(&directory, &other.payload);
        for change in &changes {
            change.apply(&mut directory, &other.directory);
        }
        exercise::parts(&directory, &chunk.payload);
        exercise::parts(&directory, &payload);
    }

    #[test]
    fn any_bytes(version in 0..4_u8, noise: Vec<u8>) {
        LazyLock::force(&CHUNKS);
        exercise::whole(&noise);
        let bytes = [&[0xc5, version][..], &noise].concat();
        exercise::whole(&bytes);
        exercise::parts(&bytes, &noise);
    }
}

#[test]
fn what_was_not_changed_is_read() {
    for bytes in &*WHOLE {
        let chunk = nodeglass_chunk::chunk::Chunk::open(bytes).expect("it was not changed");
        chunk.samples().expect("nor were its pieces");
        exercise::whole(bytes);
    }
    for (parts, points) in CHUNKS.iter().zip([40, 1, 0].into_iter().cycle()) {
        exercise::parts(&parts.directory, &parts.payload);
        let whole = parts.join();
        let chunk = nodeglass_chunk::chunk::Chunk::open(&whole).expect("it was not changed");
        for ((_, found), (_, sample)) in chunk
            .samples()
            .expect("all of them")
            .iter()
            .zip(&SAMPLES[..points])
        {
            assert_eq!(found.failures, sample.failures);
            for metric in METRICS {
                for label in ["", "0", "1"] {
                    assert_eq!(
                        catalogue::value(found, metric, Some(label)),
                        catalogue::value(sample, metric, Some(label))
                    );
                }
            }
        }
    }
}
