//! The API under load: mixed reads at a fixed rate beside a fleet that sends, on the same two cores, callers and fleet included.

use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::cost::cpu_seconds;
use super::fleet::Options;
use super::programs::{Server, Speaks, TOKEN, program};
use super::table::Row;

/// Callers may call as often as they do here.
const CONFIG: &str =
    "metrics: {api: {rate_limiting: {requests_per_minute: 0, requests_per_minute_per_address: 0}}}\n";
/// The longest that 99 of 100 calls may take.
const P99_MS: f64 = 20.0;
/// How much longer the fleet plays than the callers call: they begin when it does.
const AROUND_SECONDS: u64 = 5;

/// What is measured, in words.
pub(super) fn title(options: &Options, rate: u32, seconds: u64) -> String {
    let database = if options.sqlite { "SQLite" } else { "PostgreSQL" };
    format!(
        "The API, {rate} calls a second beside {} agents × {} series at {} s, plain, {database}, {seconds} s",
        options.agents(),
        options.series,
        options.interval
    )
}

/// Plays the fleet, makes the calls, and measures how long they take.
///
/// # Errors
/// A program does not start, or the fleet or a call fails.
pub(super) fn measure(options: &Options, rate: u32, seconds: u64) -> anyhow::Result<Vec<Row>> {
    ensure!(
        !options.back_to_back,
        "the fleet sends at its pace here: leave --back-to-back out"
    );
    let directory = tempfile::tempdir()?;
    let (database, cluster) = options.open_database(directory.path())?;
    let config = directory.path().join("server.yaml");
    std::fs::write(&config, CONFIG)?;
    let server = Server::start(
        &directory.path().join("server"),
        &database,
        Speaks::Plain,
        Some(&config),
    )?;
    let (mut fleet, mut said) = options.play(&server, &database, seconds + AROUND_SECONDS)?;
    said.next("enrolled")?;
    said.next("connected")?;
    said.next("measuring")?;
    let before = (cpu_seconds(server.pid())?, cpu_seconds(fleet.pid())?);
    let mut callers = program("nodeglass-callers");
    callers.args(["--server", &server.url, "--token", TOKEN]);
    callers.args([
        "--agents",
        &options.agents().to_string(),
        "--rate",
        &rate.to_string(),
    ]);
    callers.args(["--seconds", &seconds.to_string()]);
    let output = callers.stdout(Stdio::piped()).stderr(Stdio::inherit()).output();
    let output = output.context("can't start the callers")?;
    ensure!(output.status.success(), "the callers failed");
    let after = (cpu_seconds(server.pid())?, cpu_seconds(fleet.pid())?);
    let measured = said.next("measured")?;
    let done = said.next("done")?;
    let status = fleet.0.wait()?;
    ensure!(status.success(), "the fleet failed: {status}");
    drop(server);
    drop(cluster);
    let report: Value = serde_json::from_slice(&output.stdout).context("the callers' report")?;
    ensure!(
        measured["acknowledged"].as_f64() > Some(0.0),
        "the fleet sent nothing"
    );
    rows(
        &report,
        &done,
        rate,
        [after.0 - before.0, after.1 - before.1],
        seconds,
    )
}

fn rows(
    report: &Value,
    done: &Value,
    rate: u32,
    [server, fleet]: [f64; 2],
    seconds: u64,
) -> anyhow::Result<Vec<Row>> {
    let number = |value: &Value, what: &str| value.as_f64().with_context(|| format!("{what} in the reports"));
    let cores = |spent: f64| spent / seconds as f64;
    let mut rows = vec![
        Row::new(
            "calls_per_second",
            "calls answered",
            number(&report["rate"], "rate")?,
            "/s",
        )
        .at_least(f64::from(rate) * 0.99),
        Row::new(
            "p50_ms",
            "answered after, median",
            number(&report["all"]["p50_ms"], "p50_ms")?,
            "ms",
        ),
        Row::new(
            "p99_ms",
            "answered after, p99",
            number(&report["all"]["p99_ms"], "p99_ms")?,
            "ms",
        )
        .at_most(P99_MS),
        Row::new(
            "max_ms",
            "answered after, the longest",
            number(&report["all"]["max_ms"], "max_ms")?,
            "ms",
        ),
    ];
    for (kind, key, name) in [
        (
            "snapshot",
            "snapshot_p99_ms",
            "of them an agent's latest sample, p99",
        ),
        (
            "overview",
            "overview_p99_ms",
            "of them a page of the overview, p99",
        ),
        (
            "history",
            "history_p99_ms",
            "of them 15 minutes of an agent's history, p99",
        ),
        ("top", "top_p99_ms", "of them the first 10 of all agents, p99"),
        ("hours", "hours_p99_ms", "of them an hour under plain names, p99"),
        ("ledger", "ledger_p99_ms", "of them a ledger, p99"),
    ] {
        rows.push(Row::new(key, name, number(&report[kind]["p99_ms"], kind)?, "ms"));
    }
    rows.extend([
        Row::new(
            "server_cores",
            "the server's processor time",
            cores(server),
            "cores",
        ),
        Row::new("fleet_cores", "the fleet's, beside it", cores(fleet), "cores"),
        Row::new(
            "ack_p99_ms",
            "samples acknowledged after, p99",
            number(&done["ack_p99_ms"], "ack_p99_ms")?,
            "ms",
        ),
        Row::new("lost", "samples lost", number(&done["lost"], "lost")?, "").at_most(0.0),
    ]);
    Ok(rows)
}
