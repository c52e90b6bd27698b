//! `cargo xtask test`: every test there is, with the databases that they need.

mod page;
mod routes;
mod sum;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::Args;

use crate::cargo;
use crate::interrupt::Interrupt;
use crate::postgres::{Binaries, Cluster, Options};
use crate::tools::{NODE_EXPORTER, PGBOUNCER, PROMTOOL, python};
use sum::Sum;

/// Run all tests, on SQLite and on a PostgreSQL that is started for them.
#[derive(Debug, Args)]
pub struct Test {
    /// Passed on to `cargo test`: `-- --package nodeglass-tests --test restart`
    #[arg(last = true)]
    cargo_arguments: Vec<String>,
}

impl Test {
    /// Starts PostgreSQL, builds, tests, and prints the sum as the last line. The code is a failure if a test failed or
    /// none ran.
    ///
    /// # Errors
    /// Something does not build or start, or the command was interrupted. PostgreSQL is gone all the same.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let interrupt = Interrupt::watch()?;
        let (database, cluster) = database()?;
        timed("found the programs to compare ours with", || {
            NODE_EXPORTER
                .find_or_unpack()
                .and(PROMTOOL.find_or_unpack())
                .and(PGBOUNCER.find_or_unpack())
                .and(python::programs())
                .map(drop)
        })?;
        timed("built the programs", || {
            interrupt.run(cargo().args(["build", "--workspace", "--bins", "--locked"]))
        })?;
        let mut sum = timed("ran the tests", || {
            let mut command = cargo();
            command.args(["test", "--locked", "--no-fail-fast"]);
            if !names_packages(&self.cargo_arguments) {
                command.arg("--workspace");
            }
            command
                .args(&self.cargo_arguments)
                .env("TEST_DATABASE_URL", &database);
            test(&interrupt, command)
        })?;
        if self.tests_the_store() {
            sum += routes::run(&interrupt, cluster.as_ref())?;
        }
        if self.cargo_arguments.is_empty() {
            sum += page::run(&interrupt)?;
        }
        drop(cluster);
        println!("{sum}");
        Ok(if sum.failed == 0 && sum.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Whether all is tested, or the store by name.
    fn tests_the_store(&self) -> bool {
        let arguments = &self.cargo_arguments;
        arguments.is_empty()
            || arguments
                .iter()
                .any(|argument| argument.contains("nodeglass-store"))
    }
}

/// Runs tests, and adds up what they say.
fn test(interrupt: &Interrupt, mut command: Command) -> anyhow::Result<Sum> {
    command.stdout(Stdio::piped());
    let mut tests = Interrupt::start(&mut command)?;
    let output = tests.stdout.take().context("the tests' output")?;
    let reader = thread::spawn(move || pass_on(output));
    let status = interrupt.wait(&mut tests)?;
    if !status.success() {
        eprintln!("cargo test failed: {status}; what failed is named above");
    }
    let sum = reader
        .join()
        .map_err(|_| anyhow!("the tests' output can't be read"))?;
    Ok(sum.finish(status.success()))
}

/// The PostgreSQL to test on: its URL, and the cluster if it is our own.
fn database() -> anyhow::Result<(String, Option<Cluster>)> {
    // The tests of outages kill a server of their own, so the programs are needed in any case.
    let binaries = timed("found PostgreSQL's programs", Binaries::find_or_install);
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        eprintln!("PostgreSQL: the server of TEST_DATABASE_URL");
        return Ok((url, None));
    }
    let binaries = binaries?;
    let cluster = timed("started PostgreSQL", || {
        Cluster::start(&binaries, Options { fsync: false })
    })?;
    eprintln!("PostgreSQL: a server of our own, {binaries}");
    Ok((cluster.url("postgres"), Some(cluster)))
}

/// Whether these arguments say which packages to test.
fn names_packages(arguments: &[String]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

/// Passes the output on as it comes, and adds it up.
fn pass_on(output: impl Read) -> Sum {
    let mut sum = Sum::default();
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // A closed terminal is no reason to stop counting.
        let _ = writeln!(std::io::stdout(), "{line}");
        sum.add(&line);
    }
    sum
}

/// Says how long a step took, if it succeeded.
fn timed<T>(what: &str, step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let began = Instant::now();
    let result = step()?;
    eprintln!("» {what} in {:.1} s", began.elapsed().as_secs_f64());
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_packages_are_tested_alone() {
        let names = |line: &str| names_packages(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(names("--package nodeglass-tests --test restart"));
        assert!(names("-p xtask") && names("-pxtask") && names("--package=xtask"));
        assert!(!names("--test restart") && !names("--lib -- -p"));
    }
}
