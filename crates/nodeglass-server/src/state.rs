//! What a server leaves in its data directory for the commands beside it: where it listens and which database it uses.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nodeglass_runtime::private;
use serde::{Deserialize, Serialize};

/// The file's content. It may hold a database password, so only its owner can read it.
#[derive(Serialize, Deserialize)]
pub struct ServerState {
    /// Where agents and callers reach the server: `https://monitor.example.org:7080`.
    pub url: String,
    /// The CA that its certificate comes from, if systems don't know it: a PEM file.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The database's URL.
    pub database: String,
    /// The server's process.
    pub pid: u32,
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("server.json")
}

impl ServerState {
    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn save(&self, data_dir: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        private::write(&path(data_dir), text.as_bytes())
    }

    /// Reads the file of a server that runs now; `None` if none does, or if it may not be read.
    pub fn load_running(data_dir: &Path) -> Option<Self> {
        let state = Self::load(data_dir).ok().flatten()?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(state.pid).ok()?)?;
        let runs = match rustix::process::test_kill_process(pid) {
            // Somebody else's runs as well.
            Ok(()) | Err(rustix::io::Errno::PERM) => true,
            Err(_) => false,
        };
        runs.then_some(state)
    }

    /// Reads the file; `None` if no server ever ran here.
    ///
    /// # Errors
    /// The file is there but can't be read.
    pub fn load(data_dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(path(data_dir)) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The data directory is in use by this server, until it is dropped or the process ends.
#[derive(Debug)]
pub struct DataDirLock {
    _file: fs::File,
}

impl DataDirLock {
    /// Takes hold of a data directory.
    ///
    /// # Errors
    /// Another server has it; the message names its process.
    pub fn take(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("server.lock");
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|error| {
            io::Error::new(error.kind(), format!("can't write {}: {error}", path.display()))
        })?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let other = ServerState::load(data_dir).ok().flatten();
            let pid = other.map_or_else(|| "unknown".to_owned(), |state| state.pid.to_string());
            let directory = data_dir.display();
            io::Error::other(format!(
                "another server (process {pid}) uses {directory}: stop it, or choose another data directory"
            ))
        })?;
        Ok(Self { _file: file })
    }
}
