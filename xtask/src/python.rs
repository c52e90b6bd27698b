//! Python with packages of `PyPI`'s, for tests that speak to us as programs do that we did not write. It is made once, beside what
//! cargo builds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, bail};

/// What the tests' programs need: a gRPC client that asks for what there is and how it does, a WebSocket, and what the example of
/// how to push figures uses.
const PACKAGES: [&str; 6] = [
    "grpcio==1.85.3",
    "grpcio-health-checking==1.85.1",
    "grpcio-reflection==1.85.1",
    "psutil==7.2.2",
    "requests==2.34.2",
    "websockets==17.4",
];
/// Changes with [`PACKAGES`], so that an older one is not taken for it.
const NAME: &str = "python-programs-1";

/// The interpreter that has them.
///
/// # Errors
/// Python or the packages can't be had; says what to install.
pub fn with_programs() -> anyhow::Result<PathBuf> {
    let directory = crate::target().join("tools").join(NAME);
    let python = directory.join("bin/python");
    if python.is_file() {
        return Ok(python);
    }
    make(&directory).with_context(|| {
        "the tests' Python programs need Python 3.9 or newer with venv and pip (Debian, Ubuntu: `apt-get install python3-venv`) and \
         packages of PyPI: make both reachable once"
    })?;
    Ok(python)
}

fn make(directory: &Path) -> anyhow::Result<()> {
    let parent = directory.parent().context("a directory for tools")?;
    fs::create_dir_all(parent)?;
    // Tests that need it at once make it each for itself, and the first one's is used.
    let work = tempfile::tempdir_in(parent)?;
    let made = work.path().join("python");
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    crate::run(Command::new(python).args(["-m", "venv"]).arg(&made))?;
    let mut pip = Command::new(made.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
    ]);
    crate::run(pip.args(PACKAGES))?;
    match fs::rename(&made, directory) {
        Err(_) if directory.join("bin/python").is_file() => Ok(()),
        Err(error) => bail!("{error}"),
        Ok(()) => Ok(()),
    }
}
