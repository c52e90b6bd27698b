//! Debian's package manager, without questions.

use std::path::Path;
use std::process::Command;

/// Runs `apt-get` in a directory.
///
/// # Errors
/// There is none, or it fails.
pub(crate) fn apt(arguments: &[&str], directory: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).current_dir(directory);
    crate::run(command.env("DEBIAN_FRONTEND", "noninteractive"))
}
