//! The server: processor time per stored sample, of the server and of its database, with agents that send at real pace.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Figure;
use super::cost::{Memory, cpu_seconds, cpu_seconds_of};
use super::programs::{program, server};
use crate::postgres::{Binaries, Cluster, Options};

/// The usual interval between two samples of an agent.
const INTERVAL_SECONDS: u64 = 5;

pub(super) fn measure(agents: u32, seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let directory = tempfile::tempdir()?;
    let sqlite = format!("sqlite://{}", directory.path().join("bench.db").display());
    let mut figures = on(
        "SQLite",
        &sqlite,
        &directory.path().join("sqlite"),
        None,
        agents,
        seconds,
    )?;
    match Binaries::find() {
        Ok(binaries) => {
            let cluster = Cluster::start(&binaries, Options { fsync: true })?;
            cluster.create_database("bench")?;
            let (url, directory) = (cluster.url("bench"), directory.path().join("postgres"));
            figures.extend(on(
                "PostgreSQL",
                &url,
                &directory,
                Some(&cluster),
                agents,
                seconds,
            )?);
        }
        Err(error) => eprintln!("PostgreSQL is not measured: {error}"),
    }
    Ok(figures)
}

fn on(
    name: &str,
    database: &str,
    data_dir: &Path,
    cluster: Option<&Cluster>,
    agents: u32,
    seconds: u64,
) -> anyhow::Result<Vec<Figure>> {
    let (server, url) = server(data_dir, database)?;
    let mut fleet = program("nodeglass-fleet");
    fleet.args([
        "--server",
        &url,
        "--database",
        database,
        "--agents",
        &agents.to_string(),
    ]);
    fleet.args([
        "--interval",
        &INTERVAL_SECONDS.to_string(),
        "--seconds",
        &seconds.to_string(),
    ]);
    fleet.stderr(Stdio::inherit());

    let before = cpu_seconds(server.pid())?;
    // The server has its connections by now and keeps them, so the database's processes stay the same.
    let database_before = cluster.map_or(Ok(0.0), |cluster| cpu_seconds_of(&cluster.pids()))?;
    let output = fleet
        .stdout(Stdio::piped())
        .output()
        .context("can't start the fleet")?;
    ensure!(output.status.success(), "the fleet failed");
    let server_spent = cpu_seconds(server.pid())? - before;
    let database_spent =
        cluster.map_or(Ok(0.0), |cluster| cpu_seconds_of(&cluster.pids()))? - database_before;
    let report: Value = serde_json::from_slice(&output.stdout).context("the fleet's report")?;
    let number = |key: &str| {
        report[key]
            .as_f64()
            .with_context(|| format!("{key} in the fleet's report"))
    };
    let stored = number("acknowledged")?;
    let micros = |seconds: f64| seconds * 1e6 / stored;
    let figure =
        |what: &str, value, unit| Figure::new(format!("{name}, {agents} agents: {what}"), value, unit);
    let mut figures = vec![
        figure("series in a sample", number("series")?, ""),
        figure("samples stored", stored, ""),
        figure("samples lost", number("sent")? - stored, ""),
        figure("server: CPU per stored sample", micros(server_spent), "µs"),
        figure(
            "server: resident memory",
            Memory::of(server.pid())?.resident_mb,
            "MB",
        ),
        figure("acknowledged after, median", number("ack_p50_ms")?, "ms"),
        figure("acknowledged after, p99", number("ack_p99_ms")?, "ms"),
    ];
    if cluster.is_some() {
        figures.insert(
            4,
            figure("database: CPU per stored sample", micros(database_spent), "µs"),
        );
    }
    Ok(figures)
}
