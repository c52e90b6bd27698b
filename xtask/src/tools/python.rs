//! Programs of Python's package index that tests need: each in a virtual environment of its own, with the versions that a list
//! names, beside what cargo builds.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::Context;

/// The interpreter for programs of the tests' own, `tests/python`, with the libraries that they speak to servers with.
///
/// # Errors
/// As for [`environment`].
pub fn programs() -> anyhow::Result<PathBuf> {
    environment(
        "python-programs",
        &crate::workspace().join("tests/python/requirements.txt"),
    )
}

/// Makes the environment `name` with what the file of requirements names, or finds it; gives its interpreter.
///
/// # Errors
/// There is no Python 3 with `venv`, or the packages can't be had; says what to do.
pub fn environment(name: &str, requirements: &Path) -> anyhow::Result<PathBuf> {
    let wanted =
        fs::read_to_string(requirements).with_context(|| format!("can't read {}", requirements.display()))?;
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let tools = crate::target().join("tools");
    let directory = tools.join(format!("{name}-{:016x}", hasher.finish()));
    let interpreter = directory.join("bin/python");
    if interpreter.is_file() {
        return Ok(interpreter);
    }
    make(&tools, &directory, requirements).with_context(|| {
        format!(
            "{name} can't be installed: it takes Python 3 with venv (Debian, Ubuntu: `apt-get install python3-venv`) and \
             access to PyPI"
        )
    })?;
    Ok(interpreter)
}

fn make(tools: &Path, directory: &Path, requirements: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(tools)?;
    // Tests that need the same environment may make it at once: each for itself, and the first one's is used. What is run
    // is its interpreter, which may be moved.
    let work = tempfile::tempdir_in(tools)?;
    let made = work.path().join("made");
    crate::run(Command::new("python3").args(["-m", "venv"]).arg(&made))?;
    let mut install = Command::new(made.join("bin/python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    crate::run(install.arg("--requirement").arg(requirements))?;
    match fs::rename(&made, directory) {
        Err(error) if is_there(&error) => Ok(()),
        renamed => Ok(renamed?),
    }
}

fn is_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
    )
}
