//! What `cargo xtask` does, and what tests share with it: a PostgreSQL of one's own, and programs to
//! compare ours with.

mod apt;
pub mod bench;
mod bundle;
pub mod check;
pub mod deny;
pub mod generate;
pub mod interrupt;
pub mod postgres;
pub mod test;
pub mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The workspace's directory.
///
/// # Panics
/// The package was moved out of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Cargo, in the workspace.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    // What cargo said of this package when it started it is not true of others; build scripts that listen to it would
    // have much built anew.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
    cargo
}

/// Runs a command that must succeed.
///
/// # Errors
/// It can't be started, or fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    eprintln!("» {}", shown(command));
    let status = command
        .status()
        .with_context(|| format!("can't start {}", shown(command)))?;
    ensure!(status.success(), "{} failed: {status}", shown(command));
    Ok(())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
