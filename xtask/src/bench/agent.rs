//! The agent, everything on, streaming to a server through a relay that counts: processor time, memory, bytes; and what
//! single parts of it cost. Others run beside it in the same run, each measured by its own processor clock.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::cost::{Memory, cpu_seconds, processes};
use super::instructions;
use super::peers::{self, Peer};
use super::programs::{self, Running, Server, Speaks, enrol, example, program, quiet};
use super::relay::Relay;
use super::table::Row;
use crate::interrupt::Interrupt;

/// A program's first seconds are its start, not its work.
const SETTLE: Duration = Duration::from_secs(6);
/// Processes that are added to those of the host.
const MORE_PROCESSES: usize = 500;
/// The number of series that the bars for bytes are for.
const BAR_SERIES: f64 = 200.0;
const DAY_SECONDS: f64 = 86_400.0;

pub(super) fn measure(seconds: u64, interrupt: &Interrupt) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let few = processes();
    let agent = agent(directory.path(), seconds, interrupt)?;
    let peers = others(directory.path(), seconds, interrupt)?;
    let light = sampling("light", seconds, interrupt)?;
    let full = sampling("full", seconds, interrupt)?;
    let floor = in_process(&["floor", &seconds.to_string()], interrupt)?;
    let day = in_process(&["journal", &seconds.to_string()], interrupt)?;

    let peer = |name: &str, figure: fn(&Other) -> f64| {
        let found = peers.iter().find(|peer| peer.name == name);
        found.map(figure)
    };
    let beside = |row: Row, figure: fn(&Other) -> f64| {
        ["node_exporter", "collectd + processes"]
            .into_iter()
            .fold(row, |row, name| row.beside(name, peer(name, figure)))
    };
    let scaled = |bytes: f64, series: f64| bytes * BAR_SERIES / series;
    let values = number(&day, "local_values")?;
    let disk_bytes = number(&day, "disk_bytes")?;
    let (traffic, series) = (&agent.traffic, agent.series);
    let mut rows = vec![
        beside(
            Row::new(
                "cpu",
                format!("CPU per second, all in, {few} processes"),
                agent.cpu_ms,
                "ms",
            )
            .at_most(0.8),
            |other| other.cpu_ms,
        ),
        beside(
            Row::new(
                "cpu_more_processes",
                format!("CPU per second, {MORE_PROCESSES} processes more"),
                agent.cpu_more_ms,
                "ms",
            )
            .at_most(2.0),
            |other| other.cpu_more_ms,
        ),
        Row::new(
            "sample_without_processes",
            format!("one-second sample without processes, {} series", light["series"]),
            number(&light, "cpu_ms")?,
            "ms",
        )
        .at_most(0.35)
        .beside(
            "nine files of /proc, read and not parsed",
            Some(number(&floor, "cpu_ms")?),
        ),
        Row::new(
            "full_sample_without_processes",
            format!("full sample without processes, {} series", full["series"]),
            number(&full, "cpu_ms")?,
            "ms",
        ),
        beside(
            Row::new(
                "resident",
                format!("resident memory after {} s", agent.age.as_secs()),
                agent.memory.resident_mb,
                "MB",
            )
            .at_most(14.0),
            |other| other.memory.resident_mb,
        ),
        beside(
            Row::new(
                "private_dirty",
                "of it private and dirty",
                agent.memory.private_dirty_mb,
                "MB",
            )
            .at_most(6.0),
            |other| other.memory.private_dirty_mb,
        ),
        Row::new("series", "series in the sample that the server has", series, ""),
        Row::new(
            "traffic",
            "traffic at 5 s, gRPC over TLS, both ways",
            traffic.bytes_per_sec,
            "B/s",
        ),
        Row::new(
            "traffic_with_headers",
            "the same with headers of TCP and IP",
            traffic.with_headers_per_sec,
            "B/s",
        ),
        Row::new(
            "traffic_200_series",
            "traffic at 5 s, per 200 series",
            scaled(traffic.bytes_per_sec, series),
            "B/s",
        )
        .at_most(200.0),
        Row::new(
            "journal",
            format!("journal, 24 h at 1 s, {} series", day["series"]),
            disk_bytes / 1e6,
            "MB",
        ),
        Row::new(
            "journal_bytes_per_value",
            "bytes for a value of the local history",
            disk_bytes / values,
            "B",
        ),
        Row::new(
            "journal_200_series",
            "journal, 24 h at 1 s, per 200 series",
            disk_bytes / values * BAR_SERIES * DAY_SECONDS / 1e6,
            "MB",
        )
        .at_most(12.0),
        Row::new(
            "binary",
            "binary, stripped",
            fs::metadata(program("nodeglass-agent").get_program())?.len() as f64 / 1e6,
            "MB",
        )
        .at_most(9.0),
    ];
    match instructions::measure(interrupt) {
        Ok(counted) => rows.extend(counted),
        Err(error) => eprintln!("no instructions are counted: {error:#}"),
    }
    interrupt.sleep_until(Instant::now())?;
    Ok(rows)
}

/// What the running agent costs.
struct Agent {
    cpu_ms: f64,
    cpu_more_ms: f64,
    memory: Memory,
    /// How long it had run when its memory was read.
    age: Duration,
    traffic: Traffic,
    series: f64,
}

struct Traffic {
    bytes_per_sec: f64,
    with_headers_per_sec: f64,
}

fn agent(directory: &Path, seconds: u64, interrupt: &Interrupt) -> anyhow::Result<Agent> {
    let (server_dir, agent_dir) = (directory.join("server"), directory.join("agent"));
    let database = format!("sqlite://{}", directory.join("bench.db").display());
    let server = Server::start(&server_dir, &database, Speaks::Tls, None)?;
    enrol(&server_dir, &agent_dir)?;
    let relay = Relay::start(server.address()?)?;
    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let config = agent_dir.join("agent.yaml");
    // Everything else is as agents are installed: a sample each second here, one for the server every 5 s.
    let yaml = format!(
        "server: https://{}\nlocal_endpoint: {{listen: '{local}'}}\n",
        relay.address
    );
    fs::write(&config, yaml)?;
    let mut command = program("nodeglass-agent");
    command.args(["run", "--data-dir"]).arg(&agent_dir);
    let started = Instant::now();
    let agent = Running(command.arg("--config").arg(&config).spawn()?);
    interrupt.sleep_until(started + SETTLE)?;

    let (before, began) = (relay.traffic()?, Instant::now());
    let cpu_ms = cost(&[agent.pid()], seconds, interrupt, || Ok(()))?[0];
    let (during, elapsed) = (relay.traffic()?.since(before)?, began.elapsed().as_secs_f64());
    let series = series(&server)?;
    let memory = Memory::of(agent.pid())?;
    let age = started.elapsed();
    let more = more_processes(seconds)?;
    interrupt.sleep_until(Instant::now() + SETTLE)?;
    let cpu_more_ms = cost(&[agent.pid()], seconds, interrupt, || Ok(()))?[0];
    drop(more);
    Ok(Agent {
        cpu_ms,
        cpu_more_ms,
        memory,
        age,
        traffic: Traffic {
            bytes_per_sec: during.bytes as f64 / elapsed,
            with_headers_per_sec: during.with_headers as f64 / elapsed,
        },
        series,
    })
}

/// How many figures the server has of the agent's latest sample.
fn series(server: &Server) -> anyhow::Result<f64> {
    let body = server.get("/api/v1/agents/bench/metrics")?;
    let sample: Value = serde_json::from_slice(&body).context("the server's answer")?;
    Ok(programs::figures(&sample) as f64)
}

/// What another program costs.
struct Other {
    name: &'static str,
    cpu_ms: f64,
    cpu_more_ms: f64,
    memory: Memory,
}

fn others(directory: &Path, seconds: u64, interrupt: &Interrupt) -> anyhow::Result<Vec<Other>> {
    let peers = peers::start(directory);
    if peers.is_empty() {
        return Ok(Vec::new());
    }
    let pids: Vec<u32> = peers.iter().map(|peer| peer.process.pid()).collect();
    let each = || peers.iter().try_for_each(Peer::each_second);
    interrupt.sleep_until(Instant::now() + SETTLE)?;
    let few = cost(&pids, seconds, interrupt, each)?;
    let more = more_processes(seconds)?;
    interrupt.sleep_until(Instant::now() + SETTLE)?;
    let many = cost(&pids, seconds, interrupt, each)?;
    drop(more);
    let costs = few.into_iter().zip(many);
    peers
        .iter()
        .zip(costs)
        .map(|(peer, (cpu_ms, cpu_more_ms))| {
            Ok(Other {
                name: peer.name,
                cpu_ms,
                cpu_more_ms,
                memory: Memory::of(peer.process.pid())?,
            })
        })
        .collect()
}

/// Processes that sleep until they are dropped, or at the latest a while after the measurement.
fn more_processes(seconds: u64) -> anyhow::Result<Vec<Running>> {
    let last = (seconds + 300).to_string();
    let mut sleepers = Vec::with_capacity(MORE_PROCESSES);
    for _ in 0..MORE_PROCESSES {
        let sleeper = quiet(Path::new("sleep")).arg(&last).spawn();
        sleepers.push(Running(sleeper.context("one process more")?));
    }
    Ok(sleepers)
}

/// Milliseconds of processor time of each process in each second, in which `each` is done once.
fn cost(
    pids: &[u32],
    seconds: u64,
    interrupt: &Interrupt,
    each: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<f64>> {
    let spent = || {
        pids.iter()
            .map(|pid| cpu_seconds(*pid))
            .collect::<anyhow::Result<Vec<_>>>()
    };
    let (before, began) = (spent()?, Instant::now());
    for second in 1..=seconds {
        each()?;
        interrupt.sleep_until(began + Duration::from_secs(second))?;
    }
    let (after, elapsed) = (spent()?, began.elapsed().as_secs_f64());
    let grown = after.iter().zip(&before);
    Ok(grown
        .map(|(after, before)| (after - before) / elapsed * 1000.0)
        .collect())
}

/// A sample of so much depth, without processes and tasks.
fn sampling(depth: &str, seconds: u64, interrupt: &Interrupt) -> anyhow::Result<Value> {
    let seconds = seconds.to_string();
    in_process(
        &["sampling", &seconds, depth, "processes", "process", "task"],
        interrupt,
    )
}

/// What a part of the agent costs, by the program that measures parts.
fn in_process(words: &[&str], interrupt: &Interrupt) -> anyhow::Result<Value> {
    let mut measure = example("measure");
    measure.args(words).stdout(Stdio::piped());
    let mut step = Interrupt::start(&mut measure)?;
    let mut stdout = step.stdout.take().context("its output")?;
    let status = interrupt.wait(&mut step)?;
    anyhow::ensure!(status.success(), "measure {} failed: {status}", words.join(" "));
    serde_json::from_reader(&mut stdout).context("what measure printed")
}

fn number(object: &Value, key: &str) -> anyhow::Result<f64> {
    object[key].as_f64().with_context(|| format!("{key} in {object}"))
}
