//! The tests of the TypeScript client, of the React components and of the dashboard in a real browser, and whether the
//! checked-in bundle is what its sources build. They need Node and npm; where those are missing, that is said.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::sum::Sum;
use super::timed;
use crate::apt::apt;
use crate::interrupt::Interrupt;
use crate::{target, workspace};

/// The packages with tests, and where they lie.
const PACKAGES: &[&str] = &["clients/typescript", "clients/react", "dashboard"];
/// Vite needs it so new: 20.19.
const NODE: (u32, u32) = (20, 19);
/// Where Chromium may be.
const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Runs them. What can't be had is said, and not tested.
///
/// # Errors
/// npm can't install the packages, the bundle is not what its sources build, or the command was interrupted.
pub(super) fn run(interrupt: &Interrupt) -> anyhow::Result<Sum> {
    if let Err(missing) = node() {
        eprintln!("The dashboard and the TypeScript client: NOT TESTED: {missing:#}");
        return Ok(Sum::default());
    }
    timed("installed the dashboard's packages", || {
        interrupt.run(npm().args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))
    })?;
    timed("checked the types of the dashboard and the clients", || {
        interrupt.run(npm().args(["run", "check"]))
    })?;
    timed("built the dashboard, and compared the bundle", || {
        rebuild(interrupt)
    })?;
    let browser = chromium();
    let mut sum = Sum::default();
    for package in PACKAGES {
        let report = target().join(format!("{}.json", package.replace('/', "-")));
        let mut tests = npx(package, "vitest");
        tests
            .args(["run", "--reporter=default", "--reporter=json"])
            .arg(format!("--outputFile.json={}", report.display()))
            .env("CARGO_TARGET_DIR", target());
        match &browser {
            Ok(program) => {
                tests.env("NODEGLASS_CHROMIUM", program);
            }
            Err(missing) if *package == "dashboard" => {
                eprintln!("The dashboard in a browser: NOT TESTED: {missing:#}");
                continue;
            }
            Err(missing) if *package == "clients/react" => {
                eprintln!("The React components in a browser: NOT TESTED: {missing:#}");
            }
            Err(_) => {}
        }
        let _ = fs::remove_file(&report);
        let is_good = timed(&format!("ran the tests of {package}"), || {
            let mut running = Interrupt::start(&mut tests)?;
            Ok(interrupt.wait(&mut running)?.success())
        })?;
        sum += counts(&report)?.finish(is_good);
    }
    Ok(sum)
}

/// Builds the bundle anew, and compares it with the one that is checked in.
fn rebuild(interrupt: &Interrupt) -> anyhow::Result<()> {
    let built = target().join("dashboard");
    interrupt.run(
        npx("dashboard", "vite")
            .args(["build", "--emptyOutDir", "--logLevel", "warn", "--outDir"])
            .arg(&built),
    )?;
    let kept = workspace().join("dashboard/dist");
    for file in files(&built)? {
        let same = fs::read(built.join(&file))? == fs::read(kept.join(&file)).unwrap_or_default();
        ensure!(
            same,
            "dashboard/dist/{} is not what the sources build: run `npm run build -w @nodeglass/dashboard`",
            file.display()
        );
    }
    Ok(())
}

/// Every file below a directory, as a path from there.
fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(path.strip_prefix(directory)?.to_owned());
            }
        }
    }
    Ok(found)
}

/// What vitest counted.
fn counts(report: &Path) -> anyhow::Result<Sum> {
    let text = fs::read_to_string(report).with_context(|| format!("vitest wrote no {}", report.display()))?;
    let report: Value = serde_json::from_str(&text)?;
    let count = |name: &str| report[name].as_u64().unwrap_or(0);
    let mut sum = Sum::default();
    sum.passed = count("numPassedTests");
    sum.failed = count("numFailedTests");
    sum.ignored = count("numPendingTests");
    sum.failures = failures(&report);
    Ok(sum)
}

/// What vitest says of the tests that failed, and of the files that could not be run.
fn failures(report: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut failures = Vec::new();
    for file in list(&report["testResults"]) {
        let name = text(&file["name"]);
        let tests = list(&file["assertionResults"]);
        let failed = tests.iter().filter(|test| test["status"] == "failed");
        let before = failures.len();
        failures.extend(failed.map(|test| {
            let said: Vec<String> = list(&test["failureMessages"]).iter().map(text).collect();
            format!("FAILED: {name}: {}\n{}", text(&test["fullName"]), said.join("\n"))
        }));
        if file["status"] == "failed" && failures.len() == before {
            failures.push(format!("FAILED: {name}\n{}", text(&file["message"])));
        }
    }
    failures
}

fn node() -> anyhow::Result<()> {
    let output = Command::new("node").arg("--version").output();
    let output = output.context("node is not on this machine: install Node 20.19 or later with npm")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    let is_new = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= NODE,
        _ => false,
    };
    ensure!(is_new, "node is {version}: install 20.19 or later");
    let npm = Command::new("npm").arg("--version").output();
    npm.context("npm is not on this machine: install it").map(drop)
}

fn npm() -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(workspace());
    npm
}

/// A program of a package's dependencies, in the package's directory.
fn npx(package: &str, program: &str) -> Command {
    let mut command = Command::new("npx");
    command
        .current_dir(workspace().join(package))
        .args(["--no-install", program]);
    command
}

/// Chromium, which is installed where that is possible: it needs more than its own package.
fn chromium() -> anyhow::Result<PathBuf> {
    if let Some(program) = env::var_os("NODEGLASS_CHROMIUM") {
        return Ok(program.into());
    }
    if let Some(found) = find_chromium() {
        return Ok(found);
    }
    let install = ["install", "--yes", "--no-install-recommends", "chromium"];
    if apt(&install, workspace()).is_err() {
        apt(&["update", "--quiet"], workspace())?;
        apt(&install, workspace())
            .context("Chromium is not on this machine and can't be installed: `apt-get install chromium`")?;
    }
    find_chromium().context("Debian's package chromium has no chromium")
}

fn find_chromium() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|directory| CHROMIUM.iter().map(move |name| directory.join(name)))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_in_the_browser_is_told() {
        let report = serde_json::json!({"testResults": [
            {"name": "zoom.test.ts", "status": "failed", "message": "", "assertionResults": [
                {"status": "passed", "fullName": "pans"},
                {"status": "failed", "fullName": "zooms", "failureMessages": ["expected 1 to be 2"]},
            ]},
            {"name": "page.test.ts", "status": "failed", "message": "no chromium", "assertionResults": []},
        ]});
        let told = failures(&report);
        assert_eq!(
            told,
            [
                "FAILED: zoom.test.ts: zooms\nexpected 1 to be 2",
                "FAILED: page.test.ts\nno chromium"
            ]
        );
    }
}
