//! `nodeglass`: a whole system in one process (`up`), and questions to a server.

mod agent;
mod agents;
mod client;
mod export;
mod import;
mod local;
mod print;
mod query;
mod rest;
mod top;
mod transfer;
mod up;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nodeglass_runtime::exit;

/// As in the server, which is part of this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Host monitoring: every sample is stored exactly once, or counted as lost with its reason and time.
#[derive(Debug, Parser)]
#[command(name = "nodeglass", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run server and agent in one process, with this host enrolled and nothing to set up
    Up(up::Up),
    /// List the agents of a server with what they do now
    Agents(agents::Agents),
    /// Show and change what agents are called, what is said of them, and what is asked of them
    Agent(agent::Agent),
    /// Show the history of an agent's metrics
    Query(query::Query),
    /// Follow an agent live
    Watch(watch::Watch),
    /// Follow all agents, or one, on the terminal
    Top(top::Top),
    /// Write stored samples to a file
    Export(export::Export),
    /// Store samples that were exported
    Import(import::Import),
}

fn main() -> ExitCode {
    exit::main(async |cli: Cli| match cli.command {
        Command::Up(up) => up.run().await,
        Command::Agents(agents) => agents.run().await,
        Command::Agent(agent) => agent.run().await,
        Command::Query(query) => query.run().await,
        Command::Watch(watch) => watch.run().await,
        Command::Top(top) => top.run().await,
        Command::Export(export) => export.run().await,
        Command::Import(import) => import.run().await,
    })
}
