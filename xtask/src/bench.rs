//! `cargo xtask bench`: what a sample costs, on the agent and on the server, in processor time of whole processes.
//!
//! Processor time is what holds up on a shared machine; wall time does not. Peers run beside us where they are installed.

mod agent;
mod cost;
mod ingest;
mod instructions;
mod live;
mod peers;
mod programs;
mod relay;
mod table;

use clap::Args;
use serde_json::{Map, Value};

use crate::cargo;
use crate::interrupt::Interrupt;

/// Measure what a sample costs.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to measure; everything without it
    part: Option<Part>,
    /// How long each measurement takes, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many agents the server is given
    #[arg(long, default_value_t = 200)]
    agents: u32,
    /// Print the figures as one JSON object on the last line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The agent's processor time per sample
    Agent,
    /// The server's processor time per stored sample
    Ingest,
    /// How fast the server serves live data, with 2,000 streams and with 64 connections that ask without a pause
    Live,
}

/// One line of the table.
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
}

impl Figure {
    fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
        }
    }
}

impl Bench {
    /// Builds what is measured, measures it, and prints a table.
    ///
    /// # Errors
    /// Something does not build or start.
    pub fn run(&self) -> anyhow::Result<()> {
        let interrupt = Interrupt::watch()?;
        let wanted = |part| self.part.is_none_or(|only| only == part);
        let mut object = Map::new();
        if wanted(Part::Agent) {
            let around = [
                "-p",
                "nodeglass-agent",
                "-p",
                "nodeglass-server",
                "--bin",
                "nodeglass-server",
            ];
            let release = ["build", "--release", "--locked"];
            interrupt.run(cargo().args(release).args(around).args(["--example", "measure"]))?;
            // By itself, as it is shipped: beside others it would have what they need of the libraries, too.
            interrupt.run(cargo().args(release).args([
                "-p",
                "nodeglass-agent",
                "--bin",
                "nodeglass-agent",
            ]))?;
            let rows = agent::measure(self.seconds, &interrupt)?;
            println!(
                "The agent, {} s each, plain HTTP/2 to a server on this host (there is no TLS yet):\n",
                self.seconds
            );
            table::print(&rows);
            let figures: Map<String, Value> = rows.iter().map(table::Row::json).collect();
            object.insert("agent".to_owned(), Value::Object(figures));
        }
        if wanted(Part::Ingest) {
            interrupt.run(cargo().args(["build", "--release", "--workspace", "--bins", "--locked"]))?;
            let figures = ingest::measure(self.agents, self.seconds)?;
            print_figures(&figures);
            let figures = figures
                .into_iter()
                .map(|figure| (format!("{} [{}]", figure.name, figure.unit), figure.value.into()));
            object.insert("ingest".to_owned(), Value::Object(figures.collect()));
        }
        if wanted(Part::Live) {
            interrupt.run(cargo().args(["build", "--release", "--workspace", "--bins", "--locked"]))?;
            let rows = live::measure(self.seconds)?;
            println!(
                "The live side, {} s each, on SQLite, server and clients on this host:\n",
                self.seconds
            );
            table::print(&rows);
            let figures: Map<String, Value> = rows.iter().map(table::Row::json).collect();
            object.insert("live".to_owned(), Value::Object(figures));
        }
        if self.json {
            println!("{}", Value::Object(object));
        }
        Ok(())
    }
}

fn print_figures(figures: &[Figure]) {
    let widths = figures.iter().map(|figure| figure.name.chars().count());
    let width = widths.max().unwrap_or(0);
    for Figure { name, value, unit } in figures {
        println!("{name:<width$}  {value:>12.3} {unit}");
    }
}
