//! The agent: processor time per sample, everything on, streaming to a server, beside `node_exporter` if it is installed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Figure;
use super::cost::{cpu_seconds, processes, resident_mb};
use super::programs::{Running, enrol, program, server};

/// A program's first seconds are its start, not its work.
const SETTLE: Duration = Duration::from_secs(4);
const NODE_EXPORTER: &str = "/usr/bin/prometheus-node-exporter";

pub(super) fn measure(seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let everything = agent(seconds, "metrics: {collection_interval: 1s}")?;
    let lean = agent(
        seconds,
        "metrics: {collection_interval: 1s, process_tracking: {enabled: false}}",
    )?;
    let portable = agent(seconds, "{backend: portable, metrics: {collection_interval: 1s}}")?;
    let mut figures = vec![
        Figure::new("processes on this host", processes(), ""),
        Figure::new("agent: CPU per sample, everything", everything.cpu_ms, "ms"),
        Figure::new("agent: CPU per sample, without processes", lean.cpu_ms, "ms"),
        Figure::new("agent: CPU per sample, portable back end", portable.cpu_ms, "ms"),
        Figure::new("agent: resident memory", everything.resident_mb, "MB"),
    ];
    if Path::new(NODE_EXPORTER).exists() {
        let peer = node_exporter(seconds)?;
        figures.push(Figure::new(
            "node_exporter, defaults: CPU per scrape",
            peer.cpu_ms,
            "ms",
        ));
        figures.push(Figure::new(
            "node_exporter: resident memory",
            peer.resident_mb,
            "MB",
        ));
        figures.push(Figure::new(
            "agent / node_exporter, CPU",
            everything.cpu_ms / peer.cpu_ms,
            "",
        ));
    } else {
        eprintln!("node_exporter is not installed, so it is not measured (Debian: prometheus-node-exporter)");
    }
    Ok(figures)
}

struct Cost {
    cpu_ms: f64,
    resident_mb: f64,
}

fn agent(seconds: u64, config: &str) -> anyhow::Result<Cost> {
    let directory = tempfile::tempdir()?;
    let (server_dir, agent_dir) = (directory.path().join("server"), directory.path().join("agent"));
    let database = format!("sqlite://{}", directory.path().join("bench.db").display());
    let (_server, _) = server(&server_dir, &database)?;
    enrol(&server_dir, &agent_dir)?;
    let file = agent_dir.join("agent.yaml");
    std::fs::write(&file, config)?;
    let mut command = program("nodeglass-agent");
    let agent = Running(
        command
            .args(["run", "--data-dir"])
            .arg(&agent_dir)
            .arg("--config")
            .arg(&file)
            .spawn()?,
    );
    cost(&agent, seconds, || Ok(()))
}

fn node_exporter(seconds: u64) -> anyhow::Result<Cost> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut command = Command::new(NODE_EXPORTER);
    command
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let exporter = Running(command.spawn()?);
    cost(&exporter, seconds, || scrape(address))
}

fn scrape(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    std::io::copy(&mut stream.take(u64::MAX), &mut std::io::sink())?;
    Ok(())
}

/// What a process costs in each second, in which `each` is done once.
fn cost(process: &Running, seconds: u64, each: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<Cost> {
    thread::sleep(SETTLE);
    let (before, began) = (cpu_seconds(process.pid())?, Instant::now());
    for second in 1..=seconds {
        each()?;
        thread::sleep((began + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
    }
    let spent = cpu_seconds(process.pid())? - before;
    let cpu_ms = spent / began.elapsed().as_secs_f64() * 1000.0;
    Ok(Cost {
        cpu_ms,
        resident_mb: resident_mb(process.pid())?,
    })
}
