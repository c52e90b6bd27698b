//! The codes with which the programs end, so that scripts and service managers can tell apart what a restart may help
//! and what it can't.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use crate::config::ConfigError;
use crate::telemetry::chain;

/// Something failed while running: a restart may help.
pub const FAILED: u8 = 1;

/// The arguments or the configuration are wrong: a restart won't help until somebody changes them.
pub const CONFIG: u8 = 64;

/// Reads the arguments of this process. Where the program is to end at once, what there is to say has been printed.
///
/// # Errors
/// The code to end with: [`CONFIG`] for wrong arguments, success for `--help` and `--version`.
pub fn arguments<P: Parser>() -> Result<P, ExitCode> {
    arguments_from(std::env::args_os()).map_err(ExitCode::from)
}

/// A whole program: reads the arguments, runs `body` on a runtime, prints what went wrong with all its causes, and
/// ends with the right code.
pub fn main<P: Parser>(body: impl AsyncFnOnce(P) -> anyhow::Result<()>) -> ExitCode {
    run(Builder::new_multi_thread(), body)
}

/// The same for a program that sleeps most of the time: all its tasks run on one thread, because waking one costs less
/// than waking several. What blocks belongs into `spawn_blocking` even more than elsewhere.
pub fn main_on_one_thread<P: Parser>(body: impl AsyncFnOnce(P) -> anyhow::Result<()>) -> ExitCode {
    run(Builder::new_current_thread(), body)
}

fn run<P: Parser>(mut runtime: Builder, body: impl AsyncFnOnce(P) -> anyhow::Result<()>) -> ExitCode {
    let arguments = match arguments::<P>() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: can't start: {error}");
            return FAILED.into();
        }
    };
    let ended = runtime.block_on(body(arguments));
    // Threads that hang in a dead file system must not hold the end up.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            let is_config = error.chain().any(<dyn std::error::Error>::is::<ConfigError>);
            if is_config { CONFIG.into() } else { FAILED.into() }
        }
    }
}

fn arguments_from<P: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<P, u8> {
    P::try_parse_from(arguments).map_err(|error| {
        // A closed terminal is no reason to end with another code.
        drop(error.print());
        if error.use_stderr() { CONFIG } else { 0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Parser)]
    #[command(version = "1")]
    struct Arguments {
        #[arg(long)]
        port: u16,
    }

    fn read(line: &str) -> Result<Arguments, u8> {
        arguments_from(line.split(' ').map(OsString::from))
    }

    #[test]
    fn wrong_arguments_end_with_64_and_help_with_0() {
        assert_eq!(read("x --port 80"), Ok(Arguments { port: 80 }));
        for wrong in ["x", "x --port many", "x --prot 80", "x --port 80 more"] {
            assert_eq!(read(wrong), Err(CONFIG), "{wrong}");
        }
        for asked in ["x --help", "x --version"] {
            assert_eq!(read(asked), Err(0), "{asked}");
        }
    }
}
