//! `cargo xtask check`: what must hold before the tests are worth running.

use crate::cargo;
use crate::generate::Generate;

/// Checks format, lints, dependencies, generated files, and that the dashboard's bundle is built from its sources.
///
/// # Errors
/// One of them is not as it should be.
pub fn run() -> anyhow::Result<()> {
    crate::run(cargo().args(["fmt", "--all", "--check"]))?;
    crate::run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    crate::deny::run()?;
    Generate { check: true }.run()?;
    crate::bundle::check()
}
