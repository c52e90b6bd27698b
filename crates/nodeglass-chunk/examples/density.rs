//! How small chunks are and what they cost, on a trace of a real host.
//!
//! ```text
//! cargo run --release -p nodeglass-chunk --example density -- trace.csv
//! ```
//!
//! The trace is a CSV file: a line of names, then a line for each second; column `t` is the second, every other one a
//! series. The series become metrics of made-up devices: the whole-numbered metrics of network interfaces, eight or so
//! to a device, `if0`, `if1` and so on, so that any number of columns fits. A column that has parts of a unit is kept to
//! hundredths, as percentages and loads are; the others are whole already, or rates that are rounded as agents round
//! them. Chunks are of 720 points. What it prints is all in: directory, identities and times.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, ensure};
use nodeglass_chunk::chunk::{Chunk, Encoder};
use nodeglass_model::catalogue::{self, Dimension, Metric};
use nodeglass_model::{Sample, SampleId, UnixMillis};
use rustix::time::{ClockId, clock_gettime};

const POINTS: usize = 720;
/// Each figure is the mean of so many runs.
const RUNS: u32 = 20;

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("which CSV file?")?;
    let trace = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let samples = samples(&trace)?;
    let chunks: Vec<_> = samples.chunks_exact(POINTS).collect();
    ensure!(!chunks.is_empty(), "{path} has fewer than {POINTS} points");

    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    for samples in &chunks {
        bytes.push(encoder.encode(samples)?);
    }
    let size: usize = bytes.iter().map(Vec::len).sum();
    let opened = bytes
        .iter()
        .map(|bytes| Chunk::open(bytes))
        .collect::<Result<Vec<_>, _>>()?;
    let series = opened[0].series()?.len();
    let values = (chunks.len() * POINTS * series) as f64;
    let each = size as f64 / values;
    println!("{} chunks of {POINTS} points, {series} series", chunks.len());
    println!("{each:.3} bytes a value, {} bytes a chunk", size / chunks.len());
    println!(
        "24 h of 200 series at one second: {:.2} MB",
        each * 200.0 * 86_400.0 / 1e6
    );

    println!("CPU a chunk, in ms:");
    print_millis("encode", &chunks, |samples| Ok(encoder.encode(samples)?.len()))?;
    print_millis("decode all", &bytes, |bytes| {
        Ok(Chunk::open(bytes)?.samples()?.len())
    })?;
    print_millis("open", &bytes, |bytes| Ok(Chunk::open(bytes)?.len()))?;
    let (metric, label) = opened[0].series()?[0];
    print_millis("open and decode one series", &bytes, |bytes| {
        Ok(Chunk::open(bytes)?
            .column(metric, label)?
            .map_or(0, |column| column.len()))
    })
}

/// Does some work on each of these, and prints the CPU time that it takes for one.
fn print_millis<T>(
    name: &str,
    all: &[T],
    mut work: impl FnMut(&T) -> anyhow::Result<usize>,
) -> anyhow::Result<()> {
    let start = cpu_time();
    for one in (0..RUNS).flat_map(|_| all) {
        black_box(work(one)?);
    }
    let took = cpu_time().saturating_sub(start) / RUNS / all.len() as u32;
    println!("  {:.3} {name}", took.as_secs_f64() * 1e3);
    Ok(())
}

/// The trace as samples of one second each.
fn samples(trace: &str) -> anyhow::Result<Vec<(SampleId, Sample)>> {
    let mut lines = trace.lines();
    let names: Vec<&str> = lines.next().context("an empty file")?.split(',').collect();
    let mut table = Vec::new();
    for line in lines {
        let cells = line.split(',').map(|cell| cell.trim().parse::<f64>().ok());
        table.push(cells.collect::<Vec<_>>());
    }
    let is_whole = |metric: &&Metric| metric.unit.steps() == 1;
    let metrics: Vec<_> = Dimension::Interface
        .metrics()
        .iter()
        .copied()
        .filter(is_whole)
        .collect();
    let columns: Vec<(usize, f64)> = (0..names.len())
        .filter(|column| names[*column] != "t")
        .map(|column| (column, scale(names[column])))
        .collect();
    let mut samples = Vec::new();
    for (second, row) in table.iter().enumerate() {
        let mut sample = Sample {
            timestamp: UnixMillis::from_seconds(1_763_700_000 + second as i64),
            ..Default::default()
        };
        for (at, (column, scale)) in columns.iter().enumerate() {
            let label = format!("if{}", at / metrics.len());
            let value = row
                .get(*column)
                .copied()
                .flatten()
                .map(|value| (value * scale).round());
            catalogue::set(&mut sample, metrics[at % metrics.len()], &label, value);
        }
        let seq = second as u64 + 1;
        samples.push((
            SampleId {
                epoch: 1_763_700_000_000,
                seq,
            },
            sample,
        ));
    }
    Ok(samples)
}

/// How many steps a column's unit has.
fn scale(name: &str) -> f64 {
    let hundredths = ["cpu.", "cpu0.", "cpu1.", "load", "psi."];
    if hundredths.iter().any(|start| name.starts_with(start)) || name.ends_with("percent") {
        100.0
    } else {
        1.0
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
