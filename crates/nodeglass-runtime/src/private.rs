//! Files and directories that only their owner can read: tokens and passwords lie in them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Makes a directory that only its owner can enter, unless it is there.
///
/// # Errors
/// It can't be made; the message names it.
pub fn make_dir(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.recursive(true).create(directory);
    made.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("can't make {}: {error}", directory.display()),
        )
    })
}

/// Writes a file that only its owner can read, by way of another beside it, so that nobody ever sees half of it.
///
/// # Errors
/// It can't be written; the message names it.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    written.map_err(|error| io::Error::new(error.kind(), format!("can't write {}: {error}", path.display())))
}
