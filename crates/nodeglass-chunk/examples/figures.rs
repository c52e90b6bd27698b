//! How small chunks are and what they cost, on a trace of a real host.
//!
//! ```text
//! cargo run --release -p nodeglass-chunk --example figures -- trace.csv [POINTS]
//! ```
//!
//! The trace is a CSV file: a line of names, then a line for each second; column `t` is the second, every other one a
//! series. The series become metrics of made-up devices: the whole-numbered metrics of network interfaces, eight or so
//! to a device, `if0`, `if1` and so on, so that any number of columns fits. A column that has parts of a unit is kept to
//! hundredths, as percentages and loads are; the others are whole already, or rates that are rounded as agents round
//! them. Full chunks are of 720 points, or as many as there are, and small ones of 60. The trace is taken as it is, and
//! as means of five seconds. What it prints is all in: directory, identities and times.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Context;
use nodeglass_chunk::chunk::{Chunk, Effort, Encoder, Head, Merge, Parts};
use nodeglass_model::catalogue::{self, Dimension, Metric};
use nodeglass_model::{Sample, SampleId, UnixMillis};
use rustix::time::{ClockId, clock_gettime};

const FULL: usize = 720;
const SMALL: usize = 60;
/// Each figure is the mean of so many runs.
const RUNS: u32 = 20;

type Samples = Vec<(SampleId, Sample)>;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("which CSV file?")?;
    let full = arguments.next().map_or(Ok(FULL), |points| points.parse())?;
    let trace = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    for seconds in [1, 5] {
        let samples = samples(&trace, seconds)?;
        println!("at {seconds} s:");
        print_figures("full", &samples, full.min(samples.len()), Effort::Best)?;
        print_figures("small", &samples, SMALL, Effort::Quick)?;
    }
    Ok(())
}

fn print_figures(name: &str, samples: &Samples, points: usize, effort: Effort) -> anyhow::Result<()> {
    let chunks: Vec<_> = samples.chunks_exact(points).collect();
    let mut encoder = Encoder::new();
    let parts = (chunks.iter())
        .map(|samples| encoder.parts(samples, effort))
        .collect::<Result<Vec<Parts>, _>>()?;
    let whole: Vec<Vec<u8>> = parts.iter().map(Parts::join).collect();
    let directories: usize = parts.iter().map(|parts| parts.directory.len()).sum();
    let payloads: usize = parts.iter().map(|parts| parts.payload.len()).sum();
    let heads = (parts.iter())
        .map(|parts| Head::read(&parts.directory))
        .collect::<Result<Vec<_>, _>>()?;
    let series = heads[0].series()?;
    let values = (chunks.len() * points * series.len()) as f64;
    println!(
        "  {name}: {} of {points} points, {} series; {:.3} bytes a value; directory {}, payload {} bytes",
        chunks.len(),
        series.len(),
        (directories + payloads) as f64 / values,
        directories / chunks.len(),
        payloads / chunks.len(),
    );
    let micros = |what, took: Duration, each: usize| {
        println!("    {:8.2} µs {what}", took.as_secs_f64() * 1e6 / each as f64);
    };
    let took = time(&chunks, |samples| {
        Ok(encoder.parts(samples, effort)?.payload.len())
    })?;
    micros("to encode a sample", took, points);
    let took = time(&whole, |bytes| Ok(Chunk::open(bytes)?.samples()?.len()))?;
    micros("to decode a sample", took, points);
    let took = time(&parts, |parts| Ok(Head::read(&parts.directory)?.len()))?;
    micros("to open a directory", took, 1);
    let heads_and_parts: Vec<_> = heads.iter().zip(&parts).collect();
    let took = time(&heads_and_parts, |(head, parts)| {
        let mut read = 0;
        for (metric, label) in &series {
            let span = head
                .span(metric, label)?
                .context("every series is in every chunk")?;
            let slice = &parts.payload[span.offset as usize..][..span.length as usize];
            let column = head.column(metric, label)?.context("it is there")?.read(slice)?;
            read += column.series().flat_map(|series| series.points()).count();
        }
        Ok(read)
    })?;
    micros(
        "to find and decode one series, of all of them",
        took,
        series.len(),
    );
    let took = time(&heads, |head| Ok(head.timestamps()?.len()))?;
    micros("to decode the times", took, 1);
    let took = time(&whole, |bytes| {
        Ok(Chunk::open(bytes)?
            .fold(Duration::from_hours(1), |_, _| true)?
            .len())
    })?;
    micros("to fold a sample into hours", took, points);
    let opened = (whole.iter())
        .map(|bytes| Chunk::open(bytes))
        .collect::<Result<Vec<_>, _>>()?;
    let all = [opened];
    let took = time(&all, |opened| {
        let merge = Merge::of(opened)?;
        let mut written = 0;
        for start in (0..merge.len()).step_by(FULL) {
            let range = start..merge.len().min(start + FULL);
            written += merge.parts(&mut encoder, range, Effort::Quick)?.payload.len();
        }
        Ok(written)
    })?;
    micros(
        "to merge a sample, quick encoding included",
        took,
        chunks.len() * points,
    );
    Ok(())
}

/// Does some work on each of these, and gives the CPU time that it takes for one.
fn time<T>(all: &[T], mut work: impl FnMut(&T) -> anyhow::Result<usize>) -> anyhow::Result<Duration> {
    let start = cpu_time();
    for one in (0..RUNS).flat_map(|_| all) {
        black_box(work(one)?);
    }
    Ok(cpu_time().saturating_sub(start) / RUNS / all.len() as u32)
}

/// The trace as samples of so many seconds each.
fn samples(trace: &str, seconds: usize) -> anyhow::Result<Samples> {
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
    for (number, rows) in table.chunks_exact(seconds).enumerate() {
        let mut sample = Sample {
            timestamp: UnixMillis::from_seconds(1_763_700_000 + (number * seconds) as i64),
            ..Default::default()
        };
        for (at, (column, scale)) in columns.iter().enumerate() {
            let label = format!("if{}", at / metrics.len());
            let cells = rows.iter().map(|row| row.get(*column).copied().flatten());
            let value = if is_rate(names[*column]) {
                cells.sum::<Option<f64>>().map(|sum| sum / seconds as f64)
            } else {
                rows.last().and_then(|row| row.get(*column).copied().flatten())
            };
            let value = value.map(|value| (value * scale).round());
            catalogue::set(&mut sample, metrics[at % metrics.len()], &label, value);
        }
        let id = SampleId {
            epoch: 1_763_700_000_000,
            seq: number as u64 + 1,
        };
        samples.push((id, sample));
    }
    Ok(samples)
}

fn is_rate(name: &str) -> bool {
    name.ends_with("_ps") || name.starts_with("cpu")
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
