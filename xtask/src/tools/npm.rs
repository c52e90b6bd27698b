//! Programs of others from npm: installed beside what cargo builds, from a lock file with the hash of every package.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::Context;

/// Installs what the `package.json` and `package-lock.json` of a directory name, once, and gives the directory where it is.
/// The rest of the directory's files are there, too.
///
/// # Errors
/// npm is not on this machine, or can't have the packages; says what to install.
pub fn install(source: &Path) -> anyhow::Result<PathBuf> {
    let name = source.file_name().context("a directory with a name")?;
    let parent = crate::target().join("tools");
    fs::create_dir_all(&parent)?;
    let directory = parent.join(name);
    let lock = fs::read(source.join("package-lock.json"))?;
    let is_there = || {
        fs::read(directory.join("package-lock.json")).is_ok_and(|there| there == lock)
            && directory.join("node_modules").is_dir()
    };
    if !is_there() {
        // Tests that need it may install it at once: each for itself, and the first one's is used.
        let work = tempfile::tempdir_in(&parent)?;
        copy(source, work.path())?;
        let mut npm = Command::new("npm");
        // Nothing of these packages is run but what is asked for by name.
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        crate::run(npm.current_dir(work.path())).context(
            "a test needs packages of npm, which can't be had here: install Node.js 20 or later with npm (Debian, \
             Ubuntu: `apt-get install nodejs npm`), and let npm reach its registry",
        )?;
        // Whoever was faster may be using it by now.
        if !is_there() {
            let _ = fs::remove_dir_all(&directory);
            let renamed = fs::rename(work.path(), &directory);
            if !is_there() {
                renamed?;
            }
        }
    }
    copy(source, &directory)?;
    Ok(directory)
}

/// Copies the files of a directory.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            // Whole or not at all: another test may just read it.
            let beside = to.join(format!("{}.{}", name.to_string_lossy(), std::process::id()));
            fs::copy(&path, &beside)?;
            fs::rename(beside, to.join(name))?;
        }
    }
    Ok(())
}

/// The program that runs them.
pub fn node() -> PathBuf {
    env::var_os("NODE").map_or_else(|| "node".into(), PathBuf::from)
}
