//! A day of the same hosts in servers of others, each taken in as it takes history in, and how soon a question about it is answered.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::client::Client;
use super::fleet::{Options, TRACE};
use super::programs::{Running, program, quiet};
use super::scrapers::{ALL, launch};
use super::table::Row;
use crate::tools::{self, Tool};

const HOSTS: usize = 24;
/// What is taken in of each host. Prometheus' tool reads everything once for each two hours.
const METRICS: [&str; 2] = ["cpu_usage_percent", "memory_used_bytes"];
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
    let measured = |(name, tool)| {
        let measured = one(name, tool, options);
        measured
            .inspect_err(|error| eprintln!("{name} is not asked for history: {error:#}"))
            .ok()
    };
    ALL.into_iter().filter_map(measured).collect()
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

fn one(name: &'static str, tool: Tool, options: &Options) -> anyhow::Result<Archive> {
    let server = tool.find_or_unpack()?;
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
    let (_running, address) = if name == "Prometheus" {
        fs::create_dir(&data)?;
        let mut blocks = quiet(&tools::PROMTOOL.find_or_unpack()?);
        let made = blocks
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .arg(&lines)
            .arg(&data)
            .status()?;
        ensure!(made.success(), "promtool makes no blocks of the history");
        launch(name, &server, &config, &data)?
    } else {
        let launched = launch(name, &server, &config, &data)?;
        send(launched.1, &lines)?;
        launched
    };
    Ok(Archive {
        name,
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
    lines.args(["--metrics", "cpu.usage_percent,memory.used_bytes"]);
    lines
        .arg("--trace")
        .arg(trace.unwrap_or_else(|| crate::workspace().join(TRACE)));
    let lines = lines.stdout(File::create(file)?).stderr(Stdio::inherit());
    let status = Running(lines.spawn()?).0.wait()?;
    ensure!(status.success(), "the history can't be written down");
    Ok(())
}

/// Has `VictoriaMetrics` take them in, and waits until they can be asked for.
fn send(address: SocketAddr, file: &Path) -> anyhow::Result<()> {
    let (mut lines, length) = (File::open(file)?, fs::metadata(file)?.len());
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /api/v1/import/prometheus HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n"
    )?;
    std::io::copy(&mut lines, &mut stream)?;
    let answer = std::io::read_to_string(stream)?;
    ensure!(
        answer.contains(" 204 ") || answer.contains(" 200 "),
        "it does not take the history: {answer}"
    );
    super::programs::get(address, "/internal/force_flush").map(drop)
}

/// The median of how long it takes until the whole answer is there, in milliseconds.
fn ask(address: SocketAddr, start: u64, end: u64) -> anyhow::Result<f64> {
    let mut client = Client::plain(address)?;
    let mut waits = Vec::new();
    for question in 0..QUESTIONS + QUESTIONS / 2 {
        let (host, metric) = (question % HOSTS, METRICS[question / HOSTS % METRICS.len()]);
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
