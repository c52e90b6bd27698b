//! `cargo xtask generate`: the files that are made from the code.

mod api;
mod catalogue;
mod keys;

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, ensure};
use clap::Args;
use nodeglass_model::catalogue::{Dimension, METRICS, Metric};

use crate::workspace;

/// Write the files that are made from the code.
#[derive(Debug, Args)]
pub struct Generate {
    /// Change nothing; fail if a file is not as it would be written
    #[arg(long)]
    pub check: bool,
}

impl Generate {
    /// Writes or checks all of them.
    ///
    /// # Errors
    /// One can't be written, or, with `check`, is out of date.
    pub fn run(&self) -> anyhow::Result<()> {
        let document = api::document()?;
        self.write("docs/openapi.json", |_| Ok(document.clone()))?;
        self.run_without_server()
    }

    /// Writes or checks those that this program can make by itself.
    ///
    /// # Errors
    /// As of [`Generate::run`].
    pub fn run_without_server(&self) -> anyhow::Result<()> {
        let document = read("docs/openapi.json")?;
        self.write("docs/api.md", |text| api::with_tables(text, &document))?;
        self.write("docs/metrics.md", |_| Ok(metrics()))?;
        self.write("clients/typescript/src/catalogue.ts", |_| catalogue::typescript())?;
        let yaml = read("config/agent.yaml")?;
        self.write("docs/agent.md", |document| keys::with_keys(document, &yaml))
    }

    fn write(&self, name: &str, make: impl Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<()> {
        let found = read(name)?;
        let wanted = make(&found).with_context(|| name.to_owned())?;
        if self.check {
            ensure!(
                found == wanted,
                "{name} is out of date: run `cargo xtask generate`"
            );
            return Ok(());
        }
        fs::write(workspace().join(name), wanted).with_context(|| format!("can't write {name}"))
    }
}

fn read(name: &str) -> anyhow::Result<String> {
    fs::read_to_string(workspace().join(name)).with_context(|| format!("can't read {name}"))
}

const PREAMBLE: &str = "\
# Metrics

Made from the catalogue in `crates/nodeglass-model/src/catalogue/table.rs` by `cargo xtask generate`; don't edit it here.

A metric of the host has one series, its name. A metric of devices has one series for each, `metric@device`
(`disk.read_bytes_per_sec@sda`, `network.bytes_recv_per_sec@eth0.100`, `disk.used_bytes@/home`); its bare name is the
total over all devices (a part of another device is not counted again), and `metric@*` is every device.

Values are absent rather than zero where they can't be known: rates at the first reading and after a counter was reset,
sensors that are not there, file systems that don't answer.

- **rate**: worked out over the interval before the sample. Several samples make their mean.
- **level**: how it was at the moment of the sample. A stored interval keeps the last, a history bucket shows the mean.
- **counter**: counts up until its device or host starts anew. The last one counts.

Values are kept to a step: percentages, loads, averages, milliseconds, cores and rare events 0.01, temperatures and power 0.1,
everything else 1.
";

/// The whole of `docs/metrics.md`.
fn metrics() -> String {
    let mut text = PREAMBLE.to_owned();
    let mut section = "";
    for metric in METRICS {
        let (first, _) = metric.path.split_once('.').unwrap_or((metric.path, ""));
        if first != section {
            section = first;
            write!(
                text,
                "\n## {section}\n\n| metric | unit | kind | of each | total | source on Linux | meaning |\n\
                 |---|---|---|---|---|---|---|\n"
            )
            .expect("text can be written to");
        }
        text.push_str(&row(metric));
    }
    text
}

fn row(metric: &Metric) -> String {
    let (device, total) = match metric.dimension() {
        Dimension::Host => ("", ""),
        device => (device.name(), metric.over_devices.name()),
    };

    format!(
        "| `{}` | {} | {} | {device} | {total} | {} | {} |\n",
        metric.path,
        metric.unit.name(),
        metric.kind.name(),
        metric.source,
        metric.description
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_row() {
        let text = metrics();
        for metric in METRICS {
            assert_eq!(
                text.matches(&format!("| `{}` |", metric.path)).count(),
                1,
                "{}",
                metric.path
            );
        }
    }

    #[test]
    fn the_checked_in_files_are_current() {
        Generate { check: true }.run_without_server().unwrap();
    }
}
