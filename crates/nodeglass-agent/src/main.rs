//! `nodeglass-agent`: see `cli`.

use std::process::ExitCode;

use nodeglass_agent::cli::Cli;
use nodeglass_runtime::exit;

fn main() -> ExitCode {
    exit::main(async |cli: Cli| cli.run().await)
}
