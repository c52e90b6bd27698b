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
    write_synced(&beside, content)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| not_written(path, &error))
}

/// The same, unless the file is there: then it is left as it is, and the answer is `false`. Of several that make it at
/// once, one does.
///
/// # Errors
/// It can't be written; the message names it.
pub fn create(path: &Path, content: &[u8]) -> io::Result<bool> {
    let beside = path.with_extension(format!("new{}", std::process::id()));
    let made = write_synced(&beside, content).and_then(|()| match fs::hard_link(&beside, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    });
    // What is left of it does no harm.
    let _ = fs::remove_file(&beside);
    made.map_err(|error| not_written(path, &error))
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn not_written(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("can't write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_that_make_a_file_one_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        assert!(create(&path, b"first").unwrap());
        assert!(!create(&path, b"second").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let error = create(&directory.path().join("no/key"), b"").unwrap_err();
        assert!(error.to_string().contains("no/key"), "{error}");
    }
}
