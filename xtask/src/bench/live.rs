//! The live side: how soon 2,000 streams have a sample, how often the latest sample can be had, and what a connected agent
//! costs in memory.

use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::cost::{Memory, cpu_seconds};
use super::programs::{Server, Speaks, TOKEN, program};
use super::table::Row;

/// More streams than the clients open, and calls as fast as can be.
const CONFIG: &str = "metrics: {api: {max_concurrent_streams: 5000, rate_limiting: {requests_per_minute: 0, requests_per_minute_per_address: 0}}}\n";
/// Streams, and the agents that they follow.
const STREAMS: u32 = 2_000;
const AGENTS: u32 = 100;

pub(super) fn measure(seconds: u64) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let database = format!("sqlite://{}", directory.path().join("bench.db").display());
    let config = directory.path().join("server.yaml");
    std::fs::write(&config, CONFIG)?;
    let server_dir = directory.path().join("server");
    let server = Server::start(&server_dir, &database, Speaks::Plain, Some(&config))?;
    let before = cpu_seconds(server.pid())?;
    let mut readers = program("nodeglass-readers");
    readers.args(["--server", &server.url, "--database", &database, "--token", TOKEN]);
    readers.args(["--streams", &STREAMS.to_string(), "--agents", &AGENTS.to_string()]);
    readers.args(["--seconds", &seconds.to_string()]);
    let output = readers
        .stderr(Stdio::inherit())
        .stdout(Stdio::piped())
        .output()
        .context("can't start the readers")?;
    ensure!(output.status.success(), "the readers failed");
    let spent = cpu_seconds(server.pid())? - before;
    let report: Value = serde_json::from_slice(&output.stdout).context("the readers' report")?;
    let number = |key: &str| {
        let value = report[key].as_f64();
        value.with_context(|| format!("{key} in the readers' report"))
    };
    let streams = format!("{STREAMS} streams of {AGENTS} agents, a sample a second");
    Ok(vec![
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
        Row::new(
            "snapshots_per_second",
            "latest sample of an agent, 64 connections",
            number("snapshots_per_second")?,
            "/s",
        )
        .at_least(30_000.0),
        Row::new(
            "snapshot_bytes",
            "of so many bytes",
            number("snapshot_bytes")?,
            "B",
        ),
        Row::new("server_cpu_s", "CPU of the server for all that", spent, "s"),
        Row::new(
            "server_resident_mb",
            "memory of the server after it",
            Memory::of(server.pid())?.resident_mb,
            "MB",
        ),
    ])
}
