//! The live side: how soon 2,000 streams have a sample, how often the latest sample can be had, and what a connected agent
//! costs in memory.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::cost::{Memory, cpu_seconds};
use super::fleet::Options;
use super::programs::{Server, Speaks, TOKEN, program};
use super::scrapers;
use super::table::Row;
use crate::tools::WRK;

/// More streams than the clients open, and calls as fast as can be.
const CONFIG: &str = "metrics: {api: {max_concurrent_streams: 5000, rate_limiting: {requests_per_minute: 0, requests_per_minute_per_address: 0}}}\n";
/// Streams, and the agents that they follow.
const STREAMS: u32 = 2_000;
const AGENTS: u32 = 100;

/// Connections that take the latest sample of an agent.
const CONNECTIONS: u32 = 64;
/// In so many rounds.
const ROUNDS: u64 = 5;
/// How often they are to have it, in a second.
const SNAPSHOTS: f64 = 30_000.0;

/// What is measured, in words.
pub(super) fn title(seconds: u64, plain: bool) -> String {
    let transport = if plain { "plain HTTP" } else { "TLS" };
    format!("The live side, {seconds} s each, {transport}, on SQLite, server and clients on this host")
}

pub(super) fn measure(options: &Options, seconds: u64) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let database = format!("sqlite://{}", directory.path().join("bench.db").display());
    let config = directory.path().join("server.yaml");
    std::fs::write(&config, CONFIG)?;
    let server_dir = directory.path().join("server");
    let start = |speaks| Server::start(&server_dir, &database, speaks, Some(&config));
    let server = start(if options.plain { Speaks::Plain } else { Speaks::Tls })?;
    let wrk = WRK
        .find_or_unpack()
        .inspect_err(|error| eprintln!("the latest sample is asked for by a program of ours: {error:#}"))
        .ok();
    let mut readers = program("nodeglass-readers");
    readers.args(["--server", &server.url, "--database", &database, "--token", TOKEN]);
    if let Some(ca) = &server.ca {
        readers.arg("--ca").arg(ca);
    }
    readers.args(["--streams", &STREAMS.to_string(), "--agents", &AGENTS.to_string()]);
    readers.args(["--seconds", &seconds.to_string()]);
    let connections = if wrk.is_some() { 0 } else { CONNECTIONS };
    readers.args(["--connections", &connections.to_string()]);
    let before = cpu_seconds(server.pid())?;
    let output = readers
        .stderr(Stdio::inherit())
        .stdout(Stdio::piped())
        .output()
        .context("can't start the readers")?;
    ensure!(output.status.success(), "the readers failed");
    let reports = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let reports: Vec<Value> = reports.collect::<Result<_, _>>().context("the readers' report")?;
    let spent = cpu_seconds(server.pid())? - before;
    let number = |key: &str| {
        let value = reports.iter().find_map(|report| report[key].as_f64());
        value.with_context(|| format!("{key} in the readers' report"))
    };
    let streams = format!("{STREAMS} streams of {AGENTS} agents, a sample a second");
    let mut rows = vec![
        Row::new("sse_events", format!("{streams}: events"), number("events")?, ""),
        Row::new("sse_dropped", "of them dropped", number("dropped")?, "").at_most(0.0),
        Row::new(
            "sse_p50_ms",
            "from the agent to the reader, median",
            number("sse_p50_ms")?,
            "ms",
        ),
        Row::new(
            "sse_p99_ms",
            "from the agent to the reader, p99",
            number("sse_p99_ms")?,
            "ms",
        )
        .at_most(100.0),
        Row::new(
            "sse_max_ms",
            "from the agent to the reader, the longest",
            number("sse_max_ms")?,
            "ms",
        ),
        Row::new("server_cpu_s", "CPU of the server for that", spent, "s"),
    ];
    let Some(wrk) = wrk else {
        let (rate, bytes) = (number("snapshots_per_second")?, number("snapshot_bytes")?);
        rows.push(snapshots("snapshots_per_second", "a program of ours", rate).at_least(SNAPSHOTS));
        rows.extend(after(&server, bytes)?);
        return Ok(rows);
    };
    rows.extend(by_wrk(&wrk, server, start, options, seconds)?);
    Ok(rows)
}

/// The latest sample, asked for by `wrk`: over TLS, which a server speaks that is reached from elsewhere, and as the others
/// speak here.
fn by_wrk(
    wrk: &Path,
    server: Server,
    start: impl Fn(Speaks) -> anyhow::Result<Server>,
    options: &Options,
    seconds: u64,
) -> anyhow::Result<Vec<Row>> {
    let bytes = server.get(SNAPSHOT)?.len() as f64;
    let rate_of = |server: &Server| answers_per_second(wrk, &format!("{}{SNAPSHOT}", server.url), seconds);
    let mut rows = Vec::new();
    let plain = if options.plain {
        server
    } else {
        let rate = rate_of(&server)?;
        rows.push(snapshots("snapshots_per_second_tls", "wrk, TLS", rate));
        drop(server);
        start(Speaks::Plain)?
    };
    let row = snapshots("snapshots_per_second", "wrk, plain HTTP", rate_of(&plain)?).at_least(SNAPSHOTS);
    let last = after(&plain, bytes)?;
    // The others have the host to themselves.
    drop(plain);
    let others = if options.no_peers {
        Vec::new()
    } else {
        scrapers::answers_per_second(options, |url| answers_per_second(wrk, url, seconds))
    };
    let beside = |row: Row, (name, rate)| row.beside(name, Some(rate));
    rows.push(others.into_iter().fold(row, beside));
    rows.extend(last);
    Ok(rows)
}

/// How often the latest sample was had.
fn snapshots(key: &'static str, by: &str, rate: f64) -> Row {
    let name = format!("latest sample of an agent, {by}, {CONNECTIONS} connections");
    Row::new(key, name, rate, "/s")
}

/// What is seen of the server when it was asked.
fn after(server: &Server, bytes: f64) -> anyhow::Result<[Row; 2]> {
    let memory = Memory::of(server.pid())?.resident_mb;
    Ok([
        Row::new("snapshot_bytes", "of so many bytes", bytes, "B"),
        Row::new(
            "server_resident_mb",
            "memory of the server after it",
            memory,
            "MB",
        ),
    ])
}

/// What is asked for over and over.
const SNAPSHOT: &str = "/api/v1/agents/read-0/metrics";

/// How often in a second a call is answered: the median of some rounds, so that what others do on this host for a moment does not
/// decide.
fn answers_per_second(wrk: &Path, url: &str, seconds: u64) -> anyhow::Result<f64> {
    let each = (seconds / ROUNDS).max(1);
    let rounds = (0..ROUNDS).map(|_| round(wrk, url, each));
    let mut rates = rounds.collect::<anyhow::Result<Vec<f64>>>()?;
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}

/// The same in one round, by `wrk` with one thread: the server has the other core.
fn round(wrk: &Path, url: &str, seconds: u64) -> anyhow::Result<f64> {
    let mut command = Command::new(wrk);
    let connections = CONNECTIONS.to_string();
    command.args(["-t", "1", "-c", &connections, "-d", &format!("{seconds}s")]);
    command.args(["-H", &format!("Authorization: Bearer {TOKEN}"), url]);
    let libraries = std::env::join_paths(WRK.libraries())?;
    let output = command.env("LD_LIBRARY_PATH", libraries).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && !said.contains("Non-2xx"),
        "wrk says {said}"
    );
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.context("wrk's figure")?.trim().parse()?)
}
