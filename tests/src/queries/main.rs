//! `nodeglass-queries`: a store with history in it, and agents that are there, for a server to answer about.
//!
//! `fill` writes what agents would have sent, and compacts it as a server does; it prints what there is now as one JSON
//! object. `hold` connects agents, each of which sends one sample and stays; it prints a line when all are there. `schema` makes
//! a place of its own for a store in a database with others. `lines` prints history for servers of others.

mod fill;
mod hold;
mod lines;
mod schema;

use clap::Parser;

/// A store with history in it, and agents that are there.
#[derive(Debug, Parser)]
enum Work {
    /// Fill a database with history
    Fill(fill::Fill),
    /// Connect agents and keep them connected
    Hold(hold::Hold),
    /// Make a schema in a PostgreSQL database, or drop it
    Schema(schema::Schema),
    /// Print history for servers of others
    Lines(lines::Lines),
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match Work::parse() {
        Work::Fill(fill) => runtime.block_on(fill.run()),
        Work::Lines(lines) => lines.run(),
        Work::Schema(schema) => runtime.block_on(schema.run()),
        Work::Hold(hold) => {
            nodeglass_server::listener::raise_open_files();
            tokio::task::LocalSet::new().block_on(&runtime, hold.run())
        }
    }
}
