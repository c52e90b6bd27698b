//! The store's conformance suite on other ways to PostgreSQL than the one on which everything is tested: through a pooler,
//! and on a newer version.

use std::process::Command;

use super::sum::Sum;
use super::{test, timed};
use crate::cargo;
use crate::interrupt::Interrupt;
use crate::postgres::{Binaries, Cluster, Options, Pooler};

/// Runs it, given the cluster of the other tests, if that is ours. What can't be had is said, and not tested.
pub(super) fn run(interrupt: &Interrupt, cluster: Option<&Cluster>) -> anyhow::Result<Sum> {
    let mut sum = Sum::default();
    match cluster {
        Some(cluster) => {
            let pooler = Pooler::start(cluster)?;
            let mut suite = conformance();
            suite
                .env("TEST_DATABASE_URL", cluster.url("postgres"))
                .env("TEST_DATABASE_VIA", pooler.url("postgres"));
            sum += timed(
                "ran the conformance suite through PgBouncer in transaction mode",
                || test(interrupt, suite),
            )?;
        }
        None => eprintln!(
            "PgBouncer: NOT TESTED, since the server of TEST_DATABASE_URL is not ours to put it before"
        ),
    }
    match newest() {
        Ok((cluster, binaries)) => {
            let mut suite = conformance();
            suite.env("TEST_DATABASE_URL", cluster.url("postgres"));
            sum += timed(&format!("ran the conformance suite on {binaries}"), || {
                test(interrupt, suite)
            })?;
        }
        Err(error) => eprintln!("PostgreSQL's newest version: NOT TESTED: {error:#}"),
    }
    Ok(sum)
}

fn newest() -> anyhow::Result<(Cluster, Binaries)> {
    let binaries = timed("found the newest PostgreSQL", Binaries::newest)?;
    let cluster = Cluster::start(&binaries, Options { fsync: false })?;
    Ok((cluster, binaries))
}

fn conformance() -> Command {
    let mut suite = cargo();
    suite.args([
        "test",
        "--locked",
        "--no-fail-fast",
        "--package",
        "nodeglass-store",
    ]);
    suite.args(["--test", "conformance", "--", "postgres::"]);
    suite
}
