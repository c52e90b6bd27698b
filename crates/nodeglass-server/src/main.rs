//! `nodeglass-server`: see `cli`.

use std::process::ExitCode;

use nodeglass_runtime::exit;
use nodeglass_server::cli::Cli;

fn main() -> ExitCode {
    exit::main(async |cli: Cli| cli.run().await)
}
