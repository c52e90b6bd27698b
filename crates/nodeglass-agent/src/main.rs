//! `nodeglass-agent`: see `cli`.

use std::process::ExitCode;

use nodeglass_agent::cli::Cli;
use nodeglass_runtime::exit;

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let ended = exit::main_on_one_thread(async |cli: Cli| {
        code = cli.run().await?;
        Ok(())
    });
    if ended == ExitCode::SUCCESS { code } else { ended }
}
