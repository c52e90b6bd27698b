//! What is written is read again as it was, and what is no export says where and why.

use std::io::Write;

use nodeglass_model::catalogue::{self, METRICS};
use nodeglass_model::sample::{CollectFailure, DiskMetrics};
use nodeglass_model::{Sample, SampleId, UnixMillis};

use super::*;

/// Samples of two agents: one with every metric, texts that are hard to quote, one that says nothing, and one of a minute
/// later.
fn samples() -> Vec<(&'static str, Option<SampleId>, Sample)> {
    let at = |millis: i64| Sample {
        timestamp: UnixMillis(1_763_712_000_000 + millis),
        ..Default::default()
    };
    let mut all = at(250);
    all.disks.push(DiskMetrics {
        device: "/dev/sda1".into(),
        mount_point: "/a \"b\",\nc\\".into(),
        parent: "sda".into(),
        used_bytes: Some(9_007_199_254_740_991),
        read_bytes_per_sec: Some(9),
        ..Default::default()
    });
    for (number, metric) in METRICS.iter().enumerate() {
        let label = if metric.dimension().name() == "host" {
            ""
        } else {
            "4"
        };
        catalogue::set(
            &mut all,
            metric,
            label,
            Some(metric.unit.of_steps(number as i64 % 90 + 1)),
        );
    }
    all.processes.top[0].command = "a 'b'\r\n\"c\"".into();
    all.failures.push(CollectFailure {
        collector: "disk".into(),
        reason: "no, answer".into(),
    });
    let mut later = at(60_000);
    later.clock.offset_ms = Some(-0.25);
    let id = |seq| {
        Some(SampleId {
            epoch: 1_763_711_111_111,
            seq,
        })
    };
    vec![
        ("a", id(1), all.clone()),
        ("a", id(2), at(1_000)),
        ("a", id(3), later),
        ("b", None, all),
    ]
}

fn record(agent: &str, id: Option<SampleId>, sample: &Sample) -> Record {
    let none = SampleId { epoch: 0, seq: 1 };
    Record::of(agent, id.unwrap_or(none), sample)
}

fn written(format: Format, records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = format.sink(&mut out).unwrap();
    for record in records {
        sink.add(record).unwrap();
    }
    sink.finish().unwrap();
    out
}

fn read_back(bytes: &[u8]) -> anyhow::Result<Vec<(u64, Record)>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    let mut found = Vec::new();
    read(file.path(), |Place(line), record| {
        found.push((line, record));
        Ok(())
    })?;
    Ok(found)
}

/// An error with its causes.
fn problem(bytes: &[u8]) -> String {
    format!("{:#}", read_back(bytes).unwrap_err())
}

#[test]
fn csv_and_parquet_lose_nothing() {
    let samples = samples();
    let records: Vec<_> = samples
        .iter()
        .map(|(agent, id, sample)| record(agent, *id, sample))
        .collect();
    for format in [Format::Csv, Format::Parquet] {
        let found = read_back(&written(format, &records)).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(_, record)| {
                let id = record.id().ok().filter(|_| record.epoch.is_some());
                (record.agent_id.as_str(), id, record.sample().unwrap())
            })
            .collect();
        assert_eq!(found, samples, "{format:?}");
    }
}

#[test]
fn openmetrics_keeps_the_figures() {
    let samples = samples();
    let records: Vec<_> = samples
        .iter()
        .map(|(agent, id, sample)| record(agent, *id, sample))
        .collect();
    let bytes = written(Format::Openmetrics, &records);
    let found = read_back(&bytes).unwrap();
    let figures = |sample: &Sample| -> Vec<_> {
        let mut all: Vec<_> = catalogue::devices(sample)
            .flat_map(|device| {
                let label = device.label.to_string();
                let values = device.values(sample).collect::<Vec<_>>();
                values
                    .into_iter()
                    .map(move |(metric, value)| (metric.path, label.clone(), value.to_bits()))
            })
            .collect();
        all.sort();
        all
    };
    // The one that says nothing leaves nothing.
    let expected: Vec<_> = [0, 2, 3]
        .map(|place: usize| &samples[place])
        .into_iter()
        .collect();
    assert_eq!(found.len(), expected.len());
    for ((_, found), (agent, _, sample)) in found.iter().zip(expected) {
        assert_eq!(
            (found.agent_id.as_str(), found.timestamp),
            (*agent, sample.timestamp.0)
        );
        assert_eq!(found.epoch, None);
        assert_eq!(figures(&found.sample().unwrap()), figures(sample));
    }
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("# EOF\n"));
    let offset: Vec<_> = text
        .lines()
        .filter(|line| line.contains("clock_offset"))
        .collect();
    assert_eq!(
        offset[1..],
        [
            "# HELP nodeglass_clock_offset_seconds ".to_owned()
                + METRICS
                    .iter()
                    .find(|metric| metric.path == "clock.offset_ms")
                    .unwrap()
                    .description,
            format!(
                "nodeglass_clock_offset_seconds{{agent=\"a\"}} {} 1763712000.250",
                offset_of(&samples[0].2)
            ),
            "nodeglass_clock_offset_seconds{agent=\"a\"} -0.00025 1763712060.000".to_owned(),
            format!(
                "nodeglass_clock_offset_seconds{{agent=\"b\"}} {} 1763712000.250",
                offset_of(&samples[0].2)
            ),
        ]
    );
}

fn offset_of(sample: &Sample) -> f64 {
    sample.clock.offset_ms.unwrap() / 1000.0
}

#[test]
fn what_can_not_be_read_says_where_and_what_to_do() {
    let head = "agent,timestamp,epoch,seq,metric,device,value,unit,text\n";
    let good = "a,2025-11-21T08:00:00.250Z,7,1,load.load1,,1.5,tasks,\n";
    for (line, expected) in [
        ("a,2025-11-21T08:00:00Z,7,1,load.load1,,1.5\n", "7 fields, not 9"),
        (
            "a,yesterday,7,1,load.load1,,1.5,,\n",
            "\"yesterday\" is not a time",
        ),
        ("a,2025-11-21T08:00:00Z,x,1,load.load1,,1.5,,\n", "epoch \"x\""),
        (
            "a,2025-11-21T08:00:00Z,7,1,load.load,,1.5,,\n",
            "the nearest are load.load1",
        ),
        (
            "a,2025-11-21T08:00:00Z,7,1,load.load1,,much,,\n",
            "\"much\" is no number",
        ),
        (
            "a,2025-11-21T08:00:00Z,7,1,load.load1,,NaN,,\n",
            "\"NaN\" is no number",
        ),
        (
            "a,2025-11-21T08:00:00Z,7,1,load.load1,,,,\n",
            "load.load1 has no value",
        ),
        (
            "a,2025-11-21T08:00:00Z,7,1,about:thing:name,,,,x\n",
            "no kind of device",
        ),
        (",2025-11-21T08:00:00Z,7,1,load.load1,,1,,\n", "there is no agent"),
        (
            "a,2025-11-21T08:00:00.250Z,7,1,load.load1,,1.5,,\n",
            "has load.load1 already",
        ),
        (
            "a,2025-11-21T08:00:00Z,7,1,\"load.load1,,1.5,,\n",
            "quoted text that begins here has no end",
        ),
        (
            "a,2025-11-21T08:00:00Z,7,1,\"load\".load1,,1.5,,\n",
            "closing quotes",
        ),
        ("a,2025-11-21T08:0", "breaks off"),
    ] {
        let problem = problem(format!("{head}{good}{line}").as_bytes());
        assert!(problem.contains(expected), "{line}: {problem}");
        assert!(problem.contains("line 3"), "{line}: {problem}");
    }
    let found = read_back(format!("{head}{good}").as_bytes()).unwrap();
    assert_eq!(found[0].0, 2);
    assert!(problem(b"hello\n").contains("no file that"));

    let line = "nodeglass_load_load1{agent=\"a\"} 1.5 1763712000.250\n";
    for (text, expected) in [
        (format!("# TYPE x gauge\n{line}"), "# EOF has to be its last line"),
        (format!("# EOF\n{line}"), "line 2: nothing may stand behind"),
        (
            "# a\nup{agent=\"a\"} 1 1\n# EOF\n".to_owned(),
            "line 2: \"up\" is no metric",
        ),
        (
            "# a\nnodeglass_load_load1{job=\"a\"} 1 1\n# EOF\n".to_owned(),
            "no label \"job\"",
        ),
        (
            "# a\nnodeglass_load_load1{agent=\"a} 1 1\n# EOF\n".to_owned(),
            "has no end",
        ),
        (
            "# a\nnodeglass_load_load1{agent=\"a\"} 1\n# EOF\n".to_owned(),
            "a time in Unix seconds",
        ),
        (
            "# a\nnodeglass_load_load1{agent=\"a\"} NaN 1\n# EOF\n".to_owned(),
            "no value",
        ),
        (
            "# a\nnodeglass_cpu_core_usage{agent=\"a\"} 1 1\n# EOF\n".to_owned(),
            "line 2",
        ),
    ] {
        let problem = problem(text.as_bytes());
        assert!(problem.contains(expected), "{text}: {problem}");
    }

    let mut parquet = written(Format::Parquet, &[record("a", None, &samples()[0].2)]);
    parquet.truncate(parquet.len() / 2);
    assert!(problem(&parquet).contains("export it again"));
}
