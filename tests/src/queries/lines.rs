//! History as lines of `OpenMetrics`, for those who take it in so: a few series of each host, one after the other.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue;
use nodeglass_tests::trace::{Trace, exposed};

/// Print history as lines of `OpenMetrics`.
#[derive(Debug, Args)]
pub(crate) struct Lines {
    /// The trace that the values are from
    #[arg(long)]
    trace: PathBuf,
    /// Values in a sample; those that are printed are among them
    #[arg(long, default_value_t = 200)]
    series: usize,
    /// Seconds between two samples
    #[arg(long, default_value_t = 5)]
    interval: u64,
    /// How many hosts
    #[arg(long)]
    hosts: u32,
    /// Which metrics of a host are printed
    #[arg(long, value_delimiter = ',', required = true)]
    metrics: Vec<String>,
    /// The time of the first sample, Unix seconds
    #[arg(long)]
    start: i64,
    /// How many hours
    #[arg(long, default_value_t = 24)]
    hours: u64,
}

impl Lines {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        ensure!(self.interval > 0, "an interval is a second at least");
        let mut trace = Trace::read(&self.trace, self.series, self.interval)?;
        let mut out = BufWriter::new(std::io::stdout().lock());
        let steps = Duration::from_hours(self.hours).as_secs() / self.interval;
        for path in &self.metrics {
            let metric = catalogue::by_path(path).with_context(|| format!("no metric is called {path}"))?;
            let name = exposed(path);
            for host in 0..self.hosts {
                for step in 0..steps {
                    let at = self.start + (step * self.interval) as i64;
                    let value = trace.with(host, step, UnixMillis::from_seconds(at), |sample| {
                        catalogue::value(sample, metric, None)
                    });
                    let value = value.with_context(|| format!("the samples have no {path}"))?;
                    writeln!(out, "{name}{{host=\"host-{host}\"}} {value} {at}")?;
                }
            }
        }
        writeln!(out, "# EOF")?;
        Ok(out.flush()?)
    }
}
