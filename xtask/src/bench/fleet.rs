//! The server with many agents that send what a recorded host did: processor time of the server and of all of PostgreSQL's
//! processes, memory, acknowledgements, bytes on disk, and whether every sample is there once.
//!
//! The agents are played by `nodeglass-fleet`, which says when it connects, sends and ends; everything is read from outside.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::Value;

use super::cost::{Memory, cpu_seconds, cpu_seconds_of_family, parent};
use super::programs::{Running, Server, Speaks, program};
use super::table::Row;
use crate::postgres::{Binaries, Cluster, Options as ClusterOptions};

/// Where the trace lies, from the repository.
pub(super) const TRACE: &str = "../shared/data/host-trace-1s.csv.gz";

/// Bars for a sample of 200 values: at its agents' pace, and replayed from a backlog.
const PACED_MICROS: f64 = 120.0;
const BACK_TO_BACK_MICROS: f64 = 50.0;
const VALUES_OF_BARS: f64 = 200.0;
/// The longest that 99 of 100 acknowledgements may take.
const ACK_P99_MS: f64 = 2_000.0;
/// What a connected agent may take of the server's memory.
const AGENT_KB: f64 = 100.0;

/// What `bench fleet` plays.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line by itself"
)]
pub(super) struct Options {
    /// How many agents the server is given
    #[arg(long, default_value_t = 200)]
    agents: u32,
    /// Values in a sample
    #[arg(long, default_value_t = 200)]
    pub(super) series: u32,
    /// Seconds between two samples of an agent
    #[arg(long, default_value_t = 5)]
    pub(super) interval: u64,
    /// Seconds that agents send before it is measured: within two minutes all that is written once of each of them is written
    #[arg(long, default_value_t = 0)]
    warm_up: u64,
    /// A PostgreSQL on this host, to be filled, again and again if need be; without it one is started and thrown away
    #[arg(long, conflicts_with = "sqlite")]
    pub(super) database: Option<String>,
    /// SQLite instead of PostgreSQL
    #[arg(long)]
    pub(super) sqlite: bool,
    /// A trace for the agents' values, `.gz` or not: CSV with a column for the time and one for each series, a row a second
    #[arg(long)]
    pub(super) trace: Option<PathBuf>,
    /// Replay a backlog as fast as it is acknowledged, rather than a sample each interval
    #[arg(long)]
    pub(super) back_to_back: bool,
    /// Ask nothing afterwards
    #[arg(long)]
    pub(super) no_queries: bool,
    /// Plain HTTP rather than TLS
    #[arg(long)]
    pub(super) plain: bool,
    /// Leave servers of others out that would scrape as many hosts beside ours
    #[arg(long)]
    pub(super) no_peers: bool,
}

impl Options {
    /// What is measured, in words.
    pub(super) fn title(&self, seconds: u64) -> String {
        let (agents, series, interval) = (self.agents, self.series, self.interval);
        let database = if self.sqlite { "SQLite" } else { "PostgreSQL" };
        let pace = if self.back_to_back {
            "from a backlog, as fast as it is acknowledged"
        } else {
            "at its pace"
        };
        let transport = if self.plain { "plain HTTP/2" } else { "TLS" };
        format!(
            "The server, {agents} agents × {series} series at {interval} s, {pace}, {transport}, {database}, {seconds} s"
        )
    }
}

impl Options {
    /// How many agents the server is given.
    pub(super) fn agents(&self) -> u32 {
        self.agents
    }

    /// The database to measure on, and the cluster that it is in if it is our own.
    pub(super) fn open_database(&self, directory: &Path) -> anyhow::Result<(String, Option<Cluster>)> {
        if let Some(url) = &self.database {
            return Ok((url.clone(), None));
        }
        if self.sqlite {
            return Ok((format!("sqlite://{}", directory.join("bench.db").display()), None));
        }
        let started = Cluster::start(&Binaries::find()?, ClusterOptions { fsync: true })?;
        started.create_database("bench")?;
        Ok((started.url("bench"), Some(started)))
    }

    /// Starts the fleet; gives what it says.
    pub(super) fn play(
        &self,
        server: &Server,
        database: &str,
        seconds: u64,
    ) -> anyhow::Result<(Running, Said)> {
        let mut fleet = program("nodeglass-fleet");
        fleet.args(["--server", &server.url, "--database", database]);
        if let Some(ca) = &server.ca {
            fleet.arg("--ca").arg(ca);
        }
        fleet.arg("--trace");
        let trace = self.trace.clone();
        fleet.arg(trace.unwrap_or_else(|| crate::workspace().join(TRACE)));
        fleet.args(["--agents", &self.agents.to_string()]);
        fleet.args(["--series", &self.series.to_string()]);
        fleet.args(["--interval", &self.interval.to_string()]);
        fleet.args(["--seconds", &seconds.to_string()]);
        fleet.args(["--warm-up", &self.warm_up.to_string()]);
        if self.back_to_back {
            fleet.arg("--back-to-back");
        }
        let fleet = fleet.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut fleet = Running(fleet.spawn().context("can't start the fleet")?);
        let output = fleet.0.stdout.take().context("the fleet's output")?;
        Ok((fleet, Said(BufReader::new(output).lines())))
    }
}

/// What has been used up to a moment.
struct Standing {
    server: f64,
    database: f64,
    generator: f64,
    /// What the fleet said then.
    said: Value,
}

impl Standing {
    fn number(&self, key: &str) -> anyhow::Result<f64> {
        number(&self.said, key)
    }
}

fn number(said: &Value, key: &str) -> anyhow::Result<f64> {
    said[key]
        .as_f64()
        .with_context(|| format!("{key} in what the fleet says"))
}

/// Plays the fleet and measures.
///
/// # Errors
/// A program does not start, or the fleet fails.
pub(super) fn measure(options: &Options, seconds: u64) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let (database, cluster) = options.open_database(directory.path())?;
    let speaks = if options.plain { Speaks::Plain } else { Speaks::Tls };
    let server = Server::start(&directory.path().join("server"), &database, speaks, None)?;
    let empty = Memory::of(server.pid())?.resident_mb;

    let (mut fleet, mut said) = options.play(&server, &database, seconds)?;

    let enrolled = said.next("enrolled")?;
    let postmaster = enrolled["database_process"]
        .as_u64()
        .and_then(|pid| parent(pid as u32));
    if postmaster.is_none() && !options.sqlite {
        bail!("PostgreSQL does not run on this host, so its processor time can't be measured");
    }
    said.next("connected")?;
    let connected = Memory::of(server.pid())?.resident_mb;
    let standing = |said: Value| {
        anyhow::Ok(Standing {
            server: cpu_seconds(server.pid())?,
            database: postmaster.map_or(Ok(0.0), cpu_seconds_of_family)?,
            generator: cpu_seconds(fleet.pid())?,
            said,
        })
    };
    let begin = standing(said.next("measuring")?)?;
    let end = standing(said.next("measured")?)?;
    let loaded = Memory::of(server.pid())?.resident_mb;
    let done = said.next("done")?;
    let status = fleet.0.wait()?;
    ensure!(status.success(), "the fleet failed: {status}");
    drop(server);
    drop(cluster);

    let memory = [empty, connected, loaded];
    rows(options, &enrolled, &begin, &end, &done, memory)
}

/// Lines of the fleet.
pub(super) struct Said(Lines<BufReader<ChildStdout>>);

impl Said {
    pub(super) fn next(&mut self, event: &str) -> anyhow::Result<Value> {
        let line = self
            .0
            .next()
            .with_context(|| format!("the fleet ended before it was {event}"))??;
        let said: Value = serde_json::from_str(&line)?;
        ensure!(
            said["event"] == event,
            "the fleet is {}, not {event}",
            said["event"]
        );
        Ok(said)
    }
}

fn rows(
    options: &Options,
    enrolled: &Value,
    begin: &Standing,
    end: &Standing,
    done: &Value,
    [empty, connected, loaded]: [f64; 3],
) -> anyhow::Result<Vec<Row>> {
    let series = number(enrolled, "series")?;
    let samples = end.number("acknowledged")? - begin.number("acknowledged")?;
    ensure!(samples > 0.0, "nothing was acknowledged while it was measured");
    let values = samples * series;
    let micros = |seconds: f64| seconds * 1e6 / samples;
    let server = micros(end.server - begin.server);
    let database = micros(end.database - begin.database);
    let both = server + database;
    let bar = if options.back_to_back {
        BACK_TO_BACK_MICROS
    } else {
        PACED_MICROS
    };
    let agents = f64::from(options.agents);
    let kilobytes = |megabytes: f64| (megabytes - empty) * 1000.0 / agents;
    let stored = number(done, "stored")? * series;
    // A database that was given may have had samples before.
    let bytes = |tier: &str, part: &str| {
        let then = |said: &Value| said["tiers"][tier][part].as_f64().unwrap_or(0.0);
        then(done) - then(enrolled)
    };
    let whole = |tier| bytes(tier, "table") + bytes(tier, "index");
    let tiers = ["staging", "chunk", "rollup"].map(whole);

    let mut rows = vec![
        Row::new("samples", "samples acknowledged while measured", samples, ""),
        Row::new("series", "values in a sample", series, ""),
        Row::new("server_cpu_us_per_sample", "CPU per sample: server", server, "µs"),
        Row::new(
            "database_cpu_us_per_sample",
            "CPU per sample: PostgreSQL",
            database,
            "µs",
        ),
        Row::new("cpu_us_per_sample", "CPU per sample: both", both, "µs")
            .at_most(bar * series / VALUES_OF_BARS),
        Row::new("cpu_us_per_value", "CPU per value: both", both / series, "µs")
            .at_most(bar / VALUES_OF_BARS),
        Row::new(
            "generator_cpu_us_per_sample",
            "CPU per sample: the fleet itself, in neither",
            micros(end.generator - begin.generator),
            "µs",
        ),
        Row::new(
            "connected_kb_per_agent",
            "server's memory per agent, connected",
            kilobytes(connected),
            "KB",
        )
        .at_most(AGENT_KB),
        Row::new(
            "loaded_kb_per_agent",
            "server's memory per agent, after the run",
            kilobytes(loaded),
            "KB",
        ),
        Row::new("resident_mb", "server's memory after the run", loaded, "MB"),
    ];
    let mut said = |key, name: &str, bar: Option<f64>| {
        if let Some(measured) = done[key].as_f64() {
            let row = Row::new(key, name, measured, "ms");
            rows.push(Row { bar, ..row });
        }
    };
    said("ack_p50_ms", "acknowledged after, median", None);
    let p99 = (!options.back_to_back).then_some(ACK_P99_MS);
    said("ack_p99_ms", "acknowledged after, p99", p99);
    said("commit_p50_ms", "a commit of nothing meanwhile, median", None);
    said("commit_p99_ms", "a commit of nothing meanwhile, p99", None);
    if let (Ok(before), Ok(after)) = (begin.number("wal_bytes"), end.number("wal_bytes")) {
        rows.push(Row::new(
            "wal_bytes_per_value",
            "written ahead per value",
            (after - before) / values,
            "B",
        ));
    }
    let per_value = |key, name, bytes: f64| Row::new(key, name, bytes / stored, "B");
    rows.extend([
        per_value(
            "fresh_bytes_per_value",
            "on the disk per value right after the run, mostly in staging",
            tiers.iter().sum(),
        ),
        per_value("staging_bytes_per_value", "of it staging", tiers[0]),
        per_value(
            "staging_index_bytes_per_value",
            "of that indexes",
            bytes("staging", "index"),
        ),
        per_value("chunk_bytes_per_value", "of it chunks", tiers[1]),
        per_value("rollup_bytes_per_value", "of it rollups", tiers[2]),
        Row::new("sent", "samples sent, all told", number(done, "sent")?, ""),
        Row::new("lost", "of them lost", number(done, "lost")?, "").at_most(0.0),
        Row::new(
            "duplicate",
            "of them stored twice",
            number(done, "duplicate")?,
            "",
        )
        .at_most(0.0),
        Row::new("repeated", "of them sent again", number(done, "repeated")?, ""),
        Row::new("rejected", "of them refused", number(done, "rejected")?, ""),
    ]);
    Ok(rows)
}
