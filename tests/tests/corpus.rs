//! Every input of the fuzzers' corpus through the functions that fuzzers call: what once did harm does none any more.

#[path = "../../fuzz/entries.rs"]
mod entries;
#[path = "../../fuzz/programs.rs"]
mod programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeglass_model::{Sample, SampleId, UnixMillis};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_proto::packed::{BackfillPacker, LivePacker};
use nodeglass_proto::v1;
use prost::Message;

type Entry = fn(&[u8]);

const TARGETS: [(&str, Entry); 7] = [
    ("packed", entries::packed),
    ("message", entries::message),
    ("chunk", entries::chunk),
    ("journal", entries::journal),
    ("query", programs::query),
    ("config", programs::config),
    ("enrolment", entries::enrolment),
];
/// What one input may take, on a machine with other things to do and without optimisation. Fuzzers are told less.
const LONGEST: Duration = Duration::from_secs(20);

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target)
}

#[test]
fn no_input_of_the_corpus_does_harm() {
    for (target, run) in TARGETS {
        let mut inputs: Vec<PathBuf> = fs::read_dir(corpus(target))
            .expect("a corpus")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        inputs.sort();
        assert!(inputs.len() >= 3, "{target} has a corpus");
        for input in &inputs {
            // Shown if the test fails, or hangs.
            println!("{}", input.display());
            let began = Instant::now();
            run(&fs::read(input).expect("an input"));
            assert!(
                began.elapsed() < LONGEST,
                "{} took {:?}",
                input.display(),
                began.elapsed()
            );
        }
        eprintln!("{target}: {} inputs", inputs.len());
    }
}

/// Writes inputs to begin with, of what our own programs write. Run it once after the format of something changed.
#[test]
#[ignore = "it writes to the corpus"]
fn write_seeds() {
    write_sample_seeds();
    write_journal_seeds();
    write_text_seeds();
}

fn put(target: &str, name: &str, bytes: &[u8]) {
    fs::create_dir_all(corpus(target)).expect("a directory");
    fs::write(corpus(target).join(format!("seed-{name}")), bytes).expect("a file");
}

fn seed_id(seq: i64) -> SampleId {
    SampleId {
        epoch: 1,
        seq: seq as u64,
    }
}

fn seed_sample(number: i64) -> Sample {
    let mut sample = Sample {
        timestamp: UnixMillis(1_763_712_000_000 + number * 5_000),
        ..Sample::default()
    };
    for metric in nodeglass_model::catalogue::METRICS.iter().step_by(7) {
        let value = metric.unit.of_steps(number);
        nodeglass_model::catalogue::set(&mut sample, metric, &(number % 3).to_string(), Some(value));
    }
    sample
}

/// Messages, samples and chunks.
fn write_sample_seeds() {
    let (mut live, mut records) = (LivePacker::default(), Vec::new());
    for number in 1..=3 {
        let batch = live.pack(seed_id(number), &seed_sample(number));
        records.extend(batch.packed.expect("packed samples").records);
    }
    put("packed", "live", &[&[0, 3], &records[..]].concat());
    let mut backfill = BackfillPacker::default();
    for number in 1..=20 {
        backfill.add(seed_id(number), &seed_sample(number));
    }
    let batch = backfill.finish().expect("a batch");
    let packed = batch.packed.clone().expect("packed samples");
    put("packed", "backfill", &[&[3, 20], &packed.records[..]].concat());
    put("packed", "empty", &[1, 1]);

    let up = |message| {
        v1::AgentMessage {
            message: Some(message),
        }
        .encode_to_vec()
    };
    let whole = v1::SampleBatch {
        samples: vec![v1::Sample {
            epoch: 1,
            seq: 1,
            data: Some((&seed_sample(1)).into()),
        }],
        ..Default::default()
    };
    put(
        "message",
        "samples",
        &[&[0], &up(v1::agent_message::Message::Samples(whole))[..]].concat(),
    );
    put(
        "message",
        "packed",
        &[&[0], &up(v1::agent_message::Message::Samples(batch))[..]].concat(),
    );
    let hello = v1::Hello {
        agent_id: "web-01".to_owned(),
        system: Some((&nodeglass_model::system::SystemInfo::default()).into()),
        ..Default::default()
    };
    put(
        "message",
        "hello",
        &[&[0], &up(v1::agent_message::Message::Hello(Box::new(hello)))[..]].concat(),
    );
    let query = v1::MetricsQueryRequest {
        metrics: vec!["cpu.usage_percent".to_owned(), "disk.used_bytes@*".to_owned()],
        start_timestamp: 1_763_712_000,
        end_timestamp: 1_763_715_600,
        ..Default::default()
    };
    put("message", "query", &[&[2], &query.encode_to_vec()[..]].concat());

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/nodeglass-chunk/tests/fixtures");
    for fixture in fs::read_dir(fixtures).expect("fixtures").flatten() {
        let name = fixture.file_name().to_string_lossy().into_owned();
        put("chunk", &name, &fs::read(fixture.path()).expect("a fixture"));
    }
}

fn write_journal_seeds() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = nodeglass_journal::JournalConfig {
        directory: Some(directory.path().to_owned()),
        max_bytes: 1 << 20,
        max_memory_bytes: 1 << 20,
        max_age: Duration::from_hours(24),
        sync: nodeglass_journal::Sync::Never,
    };
    let now = UnixMillis(1_763_712_000_000);
    let (journal, _) = nodeglass_journal::Journal::open(config, now, Instant::now());
    for number in 1..=20 {
        journal.append(
            &std::sync::Arc::new(seed_sample(number)),
            nodeglass_journal::Role::Both,
            Instant::now(),
        );
    }
    journal.flush();
    drop(journal);
    let mut segments = fs::read_dir(directory.path()).expect("segments").flatten();
    let segment = segments.find(|entry| entry.path().extension().is_some_and(|end| end == "log"));
    let bytes = fs::read(segment.expect("a segment").path()).expect("a segment");
    put("journal", "as-it-is", &[&[1], &bytes[..]].concat());
    let mut framed = vec![0];
    let mut rest = &bytes[..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let record = &after[4..4 + length];
        framed.extend((record.len() as u16).to_le_bytes());
        framed.extend(record);
        rest = &after[4 + length..];
    }
    put("journal", "records", &framed);
    put("journal", "empty", &[0]);
}

/// What people and programs write as text.
fn write_text_seeds() {
    for (name, text) in [
        (
            "history",
            "metrics=cpu.usage_percent,disk.used_bytes@*&start=-1h&end=now&interval=60&aggregation=max",
        ),
        (
            "glob",
            "agents=web-*,db-?&status=connected&q=*a*b*c*&sort=-cpu.usage_percent&limit=10&cursor=abc",
        ),
        (
            "times",
            "start=2026-11-21T00:00:00Z&end=1763712000&at=1763712000123&max_points=10000",
        ),
        ("escapes", "metrics=%63pu.usage_percent&start=%2d1d&q=%ff&&==&a"),
    ] {
        put("query", name, text.as_bytes());
    }
    let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    put(
        "config",
        "server",
        &[b"0", &fs::read(shown.join("server.yaml")).expect("a file")[..]].concat(),
    );
    put(
        "config",
        "agent",
        &[b"1", &fs::read(shown.join("agent.yaml")).expect("a file")[..]].concat(),
    );
    put(
        "config",
        "anchors",
        b"0a: &a [1, 2]\nb: {<<: *a, c: [*a, *a]}\nlisten: 127.0.0.1:1\n",
    );
    for (name, ca_pin) in [("plain", None), ("pinned", Some([7; 32]))] {
        let enrolment = Enrolment {
            server: "https://127.0.0.1:7080".to_owned(),
            ca_pin,
            agent: Some("web-01".parse().expect("a name")),
            token: "nga_secret".to_owned(),
        };
        put("enrolment", name, enrolment.encode().as_bytes());
    }
    put("enrolment", "prefix", b"ng1.");
}
