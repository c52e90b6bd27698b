//! Instructions of a sample, as `callgrind` counts them on a captured tree: a figure that no load of the machine changes.
//!
//! What the kernel does for a sample is not in it. Each figure is the difference of two runs that do a different amount of
//! one kind of work, so that starting and ending cancel out.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::programs::example;
use super::table::Row;
use crate::interrupt::Interrupt;

/// The captured tree.
const TREE: &str = "crates/nodeglass-collect/fixtures/linux-6.18-kvm/t0";
/// What every run does of each kind, and what the longer one does more of its kind.
const LEAST: u64 = 5;
const MORE: u64 = 50;

/// The work that is counted: light samples, full samples, appends to the journal.
const KINDS: [(&str, &str); 3] = [
    ("instructions_light_sample", "light sample"),
    ("instructions_full_sample", "full sample"),
    ("instructions_journal_append", "sample into the journal"),
];

/// Counts; no lines where `valgrind` is not installed.
pub(super) fn measure(interrupt: &Interrupt) -> anyhow::Result<Vec<Row>> {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !version.is_ok_and(|status| status.success()) {
        eprintln!("valgrind is not installed, so no instructions are counted (Debian: valgrind)");
        return Ok(Vec::new());
    }
    let directory = tempfile::tempdir()?;
    let base = count(interrupt, directory.path(), [LEAST; 3])?;
    let mut rows = Vec::new();
    for (place, (key, name)) in KINDS.into_iter().enumerate() {
        let mut work = [LEAST; 3];
        work[place] += MORE;
        let more = count(interrupt, directory.path(), work)?;
        let each = more.saturating_sub(base) as f64 / MORE as f64;
        rows.push(Row::new(
            key,
            format!("instructions of a {name}"),
            each / 1000.0,
            "thousand",
        ));
    }
    Ok(rows)
}

/// Instructions of one run.
fn count(interrupt: &Interrupt, directory: &Path, work: [u64; 3]) -> anyhow::Result<u64> {
    let out = directory.join("callgrind.out");
    let measure = example("measure");
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(measure.get_program())
        .arg("work")
        .arg(crate::workspace().join(TREE))
        .args(work.map(|count| count.to_string()))
        .stdout(Stdio::null());
    interrupt.run(&mut command)?;
    parse_total(&fs::read_to_string(&out)?)
}

/// The count at the end of a file of callgrind's.
fn parse_total(profile: &str) -> anyhow::Result<u64> {
    let Some(total) = profile
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("totals:"))
    else {
        bail!("callgrind's file has no total");
    };
    total.trim().parse().context("callgrind's total")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_line_of_its_name() {
        let profile = "version: 1\nevents: Ir\nsummary: 7\n\nfn=(1) main\n16 7\n\ntotals: 1234567\n";
        assert_eq!(parse_total(profile).unwrap(), 1_234_567);
        assert!(parse_total("version: 1\n").is_err());
    }
}
