//! `cargo xtask test`: every test there is, with the databases that they need.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::postgres::{Binaries, Cluster, Options};
use crate::{cargo, run};

/// Run all tests, on SQLite and on a PostgreSQL that is started for them.
#[derive(Debug, Args)]
pub struct Test {
    /// Passed on to `cargo test`: `-- --package nodeglass-tests --test restart`
    #[arg(last = true)]
    cargo_arguments: Vec<String>,
}

impl Test {
    /// Builds, starts PostgreSQL, tests, and prints the sum.
    ///
    /// # Errors
    /// Something does not build, a test failed, or none ran.
    pub fn run(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        // The tests of outages kill a server of their own, so the programs are needed in any case.
        let binaries = Binaries::find_or_install();
        let (url, _cluster) = if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
            eprintln!("using the PostgreSQL of TEST_DATABASE_URL");
            (url, None)
        } else {
            let binaries = binaries?;
            let cluster = Cluster::start(&binaries, Options { fsync: false })?;
            let (directory, seconds) = (binaries.directory().display(), began.elapsed().as_secs_f64());
            eprintln!("started a PostgreSQL from {directory} in {seconds:.1} s");
            (cluster.url("postgres"), Some(cluster))
        };
        run(cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
        let tests = Tests::start(&self.cargo_arguments, &url)?;
        let sum = tests.finish()?;
        eprintln!("tests took {:.0} s in all", began.elapsed().as_secs_f64());
        println!("{sum}");
        ensure!(
            sum.failed == 0 && sum.succeeded,
            "tests failed; their names stand above"
        );
        ensure!(sum.passed > 0, "no test ran");
        Ok(())
    }
}

/// `cargo test`, running.
struct Tests {
    child: std::process::Child,
    interrupted: Arc<AtomicBool>,
}

impl Tests {
    fn start(arguments: &[String], database: &str) -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, interrupted.clone())?;
        }
        let mut command: Command = cargo();
        command
            .args(["test", "--workspace", "--locked", "--no-fail-fast"])
            .args(arguments);
        command.env("TEST_DATABASE_URL", database).stdout(Stdio::piped());
        let child = command.spawn().context("can't start cargo test")?;
        Ok(Self { child, interrupted })
    }

    /// Passes the output on and adds it up. An interrupt ends the tests, and then PostgreSQL, in order.
    fn finish(mut self) -> anyhow::Result<Sum> {
        let output = self.child.stdout.take().context("the tests' output")?;
        let reader = thread::spawn(move || {
            let mut sum = Sum::default();
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                // A closed terminal is no reason to stop counting.
                let _ = writeln!(std::io::stdout(), "{line}");
                sum.add(&line);
            }
            sum
        });
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if self.interrupted.load(Ordering::Relaxed) {
                let _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(100));
        };
        let mut sum = reader
            .join()
            .map_err(|_| anyhow::anyhow!("the tests' output could not be read"))?;
        sum.succeeded = status.success();
        Ok(sum)
    }
}

/// What all test programs together report.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
    succeeded: bool,
}

impl Sum {
    /// Adds a line such as `test result: ok. 28 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1s`.
    fn add(&mut self, line: &str) {
        let Some(counts) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.1.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 {
            write!(f, ", {} skipped", self.ignored)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut sum = Sum::default();
        sum.add(
            "test result: ok. 28 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s",
        );
        sum.add("test a_thing ... ok");
        sum.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.90s");
        assert_eq!(sum.to_string(), "30 passed, 1 failed, 1 skipped");
    }
}
