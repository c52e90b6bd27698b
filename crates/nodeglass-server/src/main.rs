//! `nodeglass-server`: see `cli`.

use std::process::ExitCode;

use nodeglass_runtime::exit;
use nodeglass_server::cli::Cli;

/// The system's own keeps what a burst took, in an arena for each thread: this one gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exit::main(async |cli: Cli| cli.run().await)
}
