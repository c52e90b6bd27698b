//! A file of `/proc` or `/sys` that is kept open and read anew from its beginning.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Most files fit, so that they need no second buffer size.
const FIRST_SIZE: usize = 8 * 1024;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// It was read but does not hold what it should.
    #[error("{} holds no {what}", path.display())]
    Content { path: PathBuf, what: &'static str },
}

/// A file that is opened once. To open and close it each time would double the cost of a reading.
#[derive(Debug)]
pub(super) struct ProcFile {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl ProcFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            buffer: Vec::new(),
        }
    }

    /// The content now.
    ///
    /// # Errors
    /// It can't be opened or read; the next call opens it again.
    pub(super) fn read(&mut self) -> Result<&[u8], ReadError> {
        match fill(&mut self.file, &self.path, &mut self.buffer) {
            Ok(length) => Ok(&self.buffer[..length]),
            Err(source) => {
                self.file = None;
                Err(ReadError::Io {
                    path: self.path.clone(),
                    source,
                })
            }
        }
    }

    /// The error for a file that was read but made no sense.
    pub(super) fn without(&self, what: &'static str) -> ReadError {
        ReadError::Content {
            path: self.path.clone(),
            what,
        }
    }
}

fn fill(file: &mut Option<File>, path: &PathBuf, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let file = match file {
        Some(file) => file,
        None => file.insert(File::open(path)?),
    };
    read_whole(file, buffer)
}

/// Reads a file from its beginning into a buffer that is used again and grows as needed; gives the length.
///
/// # Errors
/// It can't be read: what it describes may be gone.
pub(super) fn read_whole(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    if buffer.is_empty() {
        buffer.resize(FIRST_SIZE, 0);
    }
    let mut length = 0;
    // The kernel hands out long files a page at a time, so only an empty read is the end.
    loop {
        if length == buffer.len() {
            buffer.resize(length * 2, 0);
        }
        match file.read_at(&mut buffer[length..], length as u64)? {
            0 => return Ok(length),
            more => length += more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_anew_each_time_and_grows_for_long_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, vec![b'x'; 3 * FIRST_SIZE + 5]).unwrap();
        let mut file = ProcFile::new(path.clone());
        assert_eq!(file.read().unwrap().len(), 3 * FIRST_SIZE + 5);
        std::fs::write(&path, "short").unwrap();
        assert_eq!(file.read().unwrap(), b"short");
    }

    #[test]
    fn names_the_file_that_is_missing() {
        let error = ProcFile::new(PathBuf::from("/nowhere/stat")).read().unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/stat: "), "{error}");
    }
}
