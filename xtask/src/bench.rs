//! `cargo xtask bench`: what a sample costs, on the agent and on the server, in processor time of whole processes.
//!
//! Processor time is what holds up on a shared machine; wall time does not. Peers run beside us where they are installed.

mod agent;
mod api;
mod archives;
mod client;
mod cost;
mod fleet;
mod instructions;
mod live;
mod others;
mod peers;
mod programs;
mod queries;
mod relay;
mod scrapers;
mod table;

use clap::Args;
use serde_json::{Map, Value};

use crate::cargo;
use crate::interrupt::Interrupt;

/// How long attacks are played; tests play them for a quarter of it.
const ATTACK_SECONDS: &str = "60";

/// Measure what a sample costs.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to measure; everything without it
    part: Option<Part>,
    /// How long each measurement takes, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    #[command(flatten)]
    fleet: fleet::Options,
    /// Calls in a second, for the API
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Print the figures as one JSON object on the last line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The agent's processor time per sample
    Agent,
    /// The server's and its database's costs with many agents
    Fleet,
    /// How fast the server serves live data, with 2,000 streams and with 64 connections that ask without a pause
    Live,
    /// How soon the API answers mixed reads at a fixed rate beside a fleet; the bar is for --agents 1000
    Api,
    /// How soon history and the latest figures are answered, and in how many bytes they lie on the disk
    Queries,
    /// A minute of attacks from all sides: what it costs others, and how large the server becomes. Not among everything
    Attack,
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
                "The agent, {} s each, over TLS to a server on this host:\n",
                self.seconds
            );
            table::print(&rows);
            let figures: Map<String, Value> = rows.iter().map(table::Row::json).collect();
            object.insert("agent".to_owned(), Value::Object(figures));
        }
        if wanted(Part::Fleet) {
            interrupt.run(cargo().args([
                "build",
                "--release",
                "--locked",
                "-p",
                "nodeglass-server",
                "-p",
                "nodeglass-tests",
                "--bins",
            ]))?;
            let mut rows = fleet::measure(&self.fleet, self.seconds)?;
            if !self.fleet.back_to_back && !self.fleet.no_peers {
                rows = scrapers::beside(
                    rows,
                    &scrapers::measure(&self.fleet, self.fleet.agents(), self.seconds),
                );
            }
            println!("{}:\n", self.fleet.title(self.seconds));
            table::print(&rows);
            if !self.fleet.no_queries && self.part.is_some() {
                let history = queries::measure(&self.fleet, queries::BRIEF)?;
                println!("{}:\n", queries::title(&self.fleet, queries::BRIEF));
                table::print(&history);
                rows.extend(history);
            }
            let figures = rows.iter().map(|row| (row.key.to_owned(), row.measured.into()));
            if self.part.is_some() {
                object.extend(figures);
            } else {
                object.insert("fleet".to_owned(), Value::Object(figures.collect()));
            }
        }
        if wanted(Part::Live) {
            interrupt.run(cargo().args(["build", "--release", "--workspace", "--bins", "--locked"]))?;
            let rows = live::measure(&self.fleet, self.seconds)?;
            println!("{}:\n", live::title(self.seconds, self.fleet.plain));
            table::print(&rows);
            let figures: Map<String, Value> = rows.iter().map(table::Row::json).collect();
            object.insert("live".to_owned(), Value::Object(figures));
        }
        // With more agents than the others: by itself, on request.
        if self.part == Some(Part::Api) {
            let what = ["-p", "nodeglass-server", "-p", "nodeglass-tests", "--bins"];
            interrupt.run(cargo().args(["build", "--release", "--locked"]).args(what))?;
            let rows = api::measure(&self.fleet, self.rate, self.seconds)?;
            println!("{}:\n", api::title(&self.fleet, self.rate, self.seconds));
            table::print(&rows);
            object.extend(rows.iter().map(|row| (row.key.to_owned(), row.measured.into())));
        }
        if wanted(Part::Queries) {
            let what = ["-p", "nodeglass-server", "-p", "nodeglass-tests", "--bins"];
            interrupt.run(cargo().args(["build", "--release", "--locked"]).args(what))?;
            let mut rows = queries::measure(&self.fleet, queries::WHOLE)?;
            if !self.fleet.no_peers {
                rows = archives::beside(rows, &archives::measure(&self.fleet));
                rows = scrapers::beside(rows, &scrapers::measure(&self.fleet, 1_000, self.fleet.interval));
            }
            println!("{}:\n", queries::title(&self.fleet, queries::WHOLE));
            table::print(&rows);
            let figures: Map<String, Value> = rows.iter().map(table::Row::json).collect();
            object.insert("queries".to_owned(), Value::Object(figures));
        }
        if self.part == Some(Part::Attack) {
            interrupt.run(cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
            let mut attack = cargo();
            attack.args([
                "test",
                "--locked",
                "-p",
                "nodeglass-tests",
                "--test",
                "attack",
                "--",
            ]);
            attack.args(["--nocapture", "an_attack_from_all_sides"]);
            interrupt.run(attack.env("NODEGLASS_ATTACK_SECONDS", ATTACK_SECONDS))?;
        }
        if self.json {
            println!("{}", Value::Object(object));
        }
        Ok(())
    }
}
