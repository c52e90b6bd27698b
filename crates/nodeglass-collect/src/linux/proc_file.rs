//! A file of `/proc` or `/sys` that is kept open and read anew from its beginning.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::collector::Moment;

/// Most files fit, so that they need no second buffer size.
const FIRST_SIZE: usize = 8 * 1024;

/// Longer than any number.
const NUMBER_SIZE: usize = 64;

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

/// A file that not every host has: a kernel without the feature, hardware that is not there, rights that are missing.
#[derive(Debug)]
pub(super) struct MaybeFile {
    file: ProcFile,
    is_missing: bool,
}

impl MaybeFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            file: ProcFile::new(path),
            is_missing: false,
        }
    }

    /// The content now; `None` if there is none on this host. A file that was not there is looked for again in full
    /// samples only.
    ///
    /// # Errors
    /// It is there and can't be read.
    pub(super) fn read(&mut self, moment: &Moment) -> Result<Option<&[u8]>, ReadError> {
        if self.is_missing && !moment.is_full() {
            return Ok(None);
        }
        match self.file.read() {
            Ok(text) => {
                self.is_missing = false;
                Ok(Some(text))
            }
            Err(ReadError::Io { source, .. }) if is_absence(&source) => {
                self.is_missing = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The error for a file that was read but made no sense.
    pub(super) fn without(&self, what: &'static str) -> ReadError {
        self.file.without(what)
    }
}

/// A small file that holds one whole number, kept open. It needs no memory of its own between readings, so there can
/// be many.
#[derive(Debug)]
pub(super) struct NumberFile {
    path: PathBuf,
    file: Option<File>,
}

impl NumberFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// The number now; `None` if the file is not there, can't be read or holds no number.
    pub(super) fn read(&mut self) -> Option<i64> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path).ok()?),
        };
        let mut buffer = [0; NUMBER_SIZE];
        let Ok(length) = file.read_at(&mut buffer, 0) else {
            self.file = None;
            return None;
        };
        std::str::from_utf8(&buffer[..length]).ok()?.trim().parse().ok()
    }
}

/// Whether an error says that this host has no such thing, or keeps it to itself.
pub(super) fn is_absence(error: &io::Error) -> bool {
    let absent = [
        rustix::io::Errno::NOENT,
        rustix::io::Errno::NODEV,
        rustix::io::Errno::NXIO,
        rustix::io::Errno::NODATA,
        rustix::io::Errno::OPNOTSUPP,
        rustix::io::Errno::ACCESS,
        rustix::io::Errno::PERM,
    ];
    absent
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
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
    use crate::sampler::Depth;

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
    fn a_file_that_may_be_missing_is_looked_for_in_full_samples() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = MaybeFile::new(path.clone());
        let moment = |depth| Moment {
            now: std::time::Instant::now(),
            until: std::time::Instant::now(),
            depth,
        };
        assert_eq!(file.read(&moment(Depth::Light)).unwrap(), None);
        std::fs::write(&path, "here").unwrap();
        assert_eq!(file.read(&moment(Depth::Light)).unwrap(), None, "not looked for");
        assert_eq!(file.read(&moment(Depth::Full)).unwrap(), Some(&b"here"[..]));
        assert_eq!(file.read(&moment(Depth::Light)).unwrap(), Some(&b"here"[..]));
        // What is there and can't be read is a failure.
        let mut directory = MaybeFile::new(directory.path().to_owned());
        assert!(directory.read(&moment(Depth::Full)).is_err());
    }

    #[test]
    fn number_files_hold_one_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = NumberFile::new(path.clone());
        assert_eq!(file.read(), None, "not there yet");
        for (text, number) in [
            ("-27800\n", Some(-27_800)),
            ("5", Some(5)),
            ("", None),
            ("5 6", None),
            ("x", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(file.read(), number, "{text:?}");
        }
    }

    #[test]
    fn names_the_file_that_is_missing() {
        let error = ProcFile::new(PathBuf::from("/nowhere/stat")).read().unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/stat: "), "{error}");
    }
}
