//! A day of the same hosts in servers of others, each taken in as it takes history in, and how soon a question about it is answered.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::client::Client;
use super::fleet::{Options, TRACE};
use super::others::Other;
use super::programs::{Running, program};
use super::table::Row;

const HOSTS: usize = 24;
/// What is taken in of each host; others have underscores for the dots. Prometheus' tool reads everything once for each two hours.
const METRICS: [&str; 2] = ["cpu.usage_percent", "memory.used_bytes"];
const HOURS: u64 = 24;
/// Questions that are timed, after half as many that are not.
const QUESTIONS: usize = 500;
/// Seconds in a bucket, as we are asked: 993 of a day.
const STEP: u64 = 87;

/// How soon a server of others answers for a day of one series.
pub(super) struct Archive {
    name: &'static str,
    p50_ms: f64,
}

/// Those that are there or can be unpacked; says which can't be measured.
pub(super) fn measure(options: &Options) -> Vec<Archive> {
    Other::each("history", |other| one(other, options))
}

/// The rows of ours about a day with what the others take.
pub(super) fn beside(rows: Vec<Row>, others: &[Archive]) -> Vec<Row> {
    let with = |row: Row| match row.key {
        "day_cold_p50_ms" | "day_other_p50_ms" | "day_again_p50_ms" => others
            .iter()
            .fold(row, |row, other| row.beside(other.name, Some(other.p50_ms))),
        _ => row,
    };
    rows.into_iter().map(with).collect()
}

fn one(other: Other, options: &Options) -> anyhow::Result<Archive> {
    // Before a day is written down for it.
    other.program()?;
    let directory = tempfile::tempdir()?;
    let hour = Duration::from_hours(1).as_secs();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs();
    let end = now / hour * hour;
    let start = end - HOURS * hour;
    let lines = directory.path().join("lines");
    write_lines(&lines, options, start)?;
    let config = directory.path().join("empty.yml");
    fs::write(&config, "{}")?;
    let data = directory.path().join("data");
    let (_running, address) = other.start_with(&lines, &config, &data)?;
    Ok(Archive {
        name: other.name(),
        p50_ms: ask(address, start, end)?,
    })
}

/// Writes the history of all hosts to a file.
fn write_lines(file: &Path, options: &Options, start: u64) -> anyhow::Result<()> {
    let trace = options.trace.clone();
    let mut lines = program("nodeglass-queries");
    lines.args([
        "lines",
        "--start",
        &start.to_string(),
        "--hours",
        &HOURS.to_string(),
    ]);
    lines.args([
        "--hosts",
        &HOSTS.to_string(),
        "--series",
        &options.series.to_string(),
    ]);
    lines.args(["--metrics", &METRICS.join(",")]);
    lines
        .arg("--trace")
        .arg(trace.unwrap_or_else(|| crate::workspace().join(TRACE)));
    let lines = lines.stdout(File::create(file)?).stderr(Stdio::inherit());
    let status = Running(lines.spawn()?).0.wait()?;
    ensure!(status.success(), "the history can't be written down");
    Ok(())
}

/// The median of how long it takes until the whole answer is there, in milliseconds.
fn ask(address: SocketAddr, start: u64, end: u64) -> anyhow::Result<f64> {
    let mut client = Client::plain(address)?;
    let mut waits = Vec::new();
    for question in 0..QUESTIONS + QUESTIONS / 2 {
        let host = question % HOSTS;
        let metric = METRICS[question / HOSTS % METRICS.len()].replace('.', "_");
        // An answer that is kept from the last time is none: only one of them would keep it.
        let took = client.get(&format!(
            "/query_range?query=avg_over_time({metric}%7Bhost%3D%22host-{host}%22%7D%5B{STEP}s%5D)&start={}&end={end}&step={STEP}&nocache=1",
            start + STEP
        ))?;
        let answer: Value = serde_json::from_slice(client.body())?;
        let points = answer["data"]["result"][0]["values"]
            .as_array()
            .map_or(0, Vec::len);
        ensure!(
            points as u64 >= HOURS * 3_600 / STEP - 1,
            "it has {points} of a day's points only"
        );
        waits.push(took.as_secs_f64() * 1e3);
    }
    let timed = waits
        .get_mut(QUESTIONS / 2..)
        .context("the questions that count")?;
    timed.sort_by(f64::total_cmp);
    Ok(timed[timed.len() / 2])
}
