//! `cargo xtask`: see the library.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What developers and CI run.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all tests, on SQLite and on a PostgreSQL that is started for them
    Test(xtask::test::Test),
    /// Check format, lints, dependencies and generated files
    Check,
    /// Check the dependencies alone: advisories, licences, duplicates, sources
    Deny,
    /// Write the files that are made from the code
    Generate(xtask::generate::Generate),
    /// Measure what a sample costs
    Bench(xtask::bench::Bench),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Test(test) => return test.run(),
        Command::Check => xtask::check::run(),
        Command::Deny => xtask::deny::run(),
        Command::Generate(generate) => generate.run(),
        Command::Bench(bench) => bench.run(),
    }?;
    Ok(ExitCode::SUCCESS)
}
