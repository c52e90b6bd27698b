//! A PostgreSQL of one's own: found or installed, run in a temporary directory on a socket, gone at the end.
//!
//! A dropped cluster leaves nothing. Where the process that owns it is killed before it can drop it, the kernel ends
//! the server (on Linux), and only the temporary directory stays.

mod binaries;
mod pooler;
mod server;
mod tcp;
mod user;

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

pub use binaries::Binaries;
pub use pooler::Pooler;
use server::Server;
pub use tcp::{Tcp, Tls};
use user::User;

/// How long the server may take to start or stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a cluster is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether commits reach the disk. Off is faster, and right where the machine's loss is not what is tested.
    pub fsync: bool,
}

/// A running PostgreSQL with no other users, gone when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    options: Options,
    user: User,
    directory: TempDir,
    /// The port on the loopback address, and settings, where it serves TCP.
    tcp: Option<(u16, Vec<String>)>,
    server: Option<Server>,
}

impl Cluster {
    /// Makes one and starts it.
    ///
    /// # Errors
    /// A program of PostgreSQL's failed; says what it said.
    pub fn start(binaries: &Binaries, options: Options) -> anyhow::Result<Self> {
        let mut cluster = Self::make(binaries, options)?;
        cluster.start_again()?;
        Ok(cluster)
    }

    /// Makes one, not started yet.
    fn make(binaries: &Binaries, options: Options) -> anyhow::Result<Self> {
        let user = User::unprivileged()?;
        let parent = parent_directory(user);
        let directory = tempfile::Builder::new()
            .prefix("nodeglass-postgres-")
            .tempdir_in(&parent)
            .with_context(|| format!("can't make a directory in {}", parent.display()))?;
        user.own(directory.path())?;
        let cluster = Self {
            binaries: binaries.clone(),
            options,
            user,
            directory,
            tcp: None,
            server: None,
        };
        let mut initdb = cluster.program("initdb");
        initdb.arg("--pgdata").arg(cluster.data());
        initdb.args([
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        succeed(&mut initdb)?;
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A program of PostgreSQL's, as a user that it accepts.
    fn program(&self, name: &str) -> Command {
        self.program_after(&[], name)
    }

    /// The same, started by the programs of `prefix`.
    fn program_after(&self, prefix: &[&str], name: &str) -> Command {
        let program = self.binaries.directory().join(name);
        let mut command = match prefix {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
            .env_remove("PGDATA")
            .env_remove("PGHOST")
            .env_remove("PGPORT");
        self.user.become_it(&mut command);
        command
    }

    /// The URL of a database: `postgres://postgres@%2Ftmp%2Fnodeglass-postgres-x/database`. A host that begins with a
    /// slash is the directory of the socket, to `libpq` and to `sqlx` alike.
    pub fn url(&self, database: &str) -> String {
        let socket = percent_encoded(self.directory.path());
        match &self.tcp {
            None => format!("postgres://postgres@{socket}/{database}"),
            Some((port, _)) => format!("postgres://postgres@{socket}:{port}/{database}"),
        }
    }

    /// Starts it after [`Cluster::stop_immediate`].
    ///
    /// # Errors
    /// It does not start, saying what its log says; or it runs already.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(!self.runs(), "PostgreSQL runs already");
        let log = self.directory.path().join("log");
        let mut command = self.program_after(server::ends_with_its_starter(), "postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.directory.path());
        command.args(["-c", "max_connections=200", "-c", "shared_buffers=64MB"]);
        match &self.tcp {
            None => {
                command.args(["-c", "listen_addresses="]);
            }
            Some((port, settings)) => {
                command.arg("-p").arg(port.to_string());
                for setting in settings {
                    command.arg("-c").arg(setting);
                }
            }
        }
        if !self.options.fsync {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let output = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        command.stdout(output.try_clone()?).stderr(output);
        self.server = Some(Server::start(command)?);
        let until = Instant::now() + PATIENCE;
        while !self.is_ready() {
            if !self.runs() || Instant::now() > until {
                bail!(
                    "PostgreSQL does not start:\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn runs(&self) -> bool {
        self.server.as_ref().is_some_and(|server| !server.has_ended())
    }

    /// Its own word for it: the last line of the file that it keeps.
    fn is_ready(&self) -> bool {
        let state = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let pid = self.server.as_ref().map(|server| server.pid().to_string());
        state.lines().next().map(str::to_owned) == pid
            && state.lines().last().is_some_and(|line| line.trim() == "ready")
    }

    /// Stops it as a crash would, without a last word to anybody. A server that has ended by itself is stopped.
    ///
    /// # Errors
    /// It does not stop.
    pub fn stop_immediate(&mut self) -> anyhow::Result<()> {
        if self.runs() {
            let mut stop = self.program("pg_ctl");
            succeed(
                stop.arg("stop")
                    .args(["-m", "immediate", "-w", "-D"])
                    .arg(self.data()),
            )?;
        }
        if let Some(server) = self.server.take() {
            server.wait()?;
        }
        Ok(())
    }

    /// Makes a database.
    ///
    /// # Errors
    /// The name is taken, or the server is stopped.
    pub fn create_database(&self, name: &str) -> anyhow::Result<()> {
        let mut create = self.program("createdb");
        if let Some((port, _)) = &self.tcp {
            create.arg("--port").arg(port.to_string());
        }
        succeed(
            create
                .arg("--host")
                .arg(self.directory.path())
                .args(["--username=postgres", name]),
        )
        .map(drop)
    }

    /// The process ids of the server and of everything that it started.
    pub fn pids(&self) -> Vec<u32> {
        let Some(server) = self.server.as_ref().map(Server::pid) else {
            return Vec::new();
        };
        let path = format!("/proc/{server}/task/{server}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        std::iter::once(server)
            .chain(children.split_whitespace().filter_map(|pid| pid.parse().ok()))
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.stop_immediate() {
            // Nothing can be done but to say so.
            let _ = writeln!(std::io::stderr(), "PostgreSQL is left behind: {error:#}");
        }
    }
}

/// Where the cluster's directory may lie: the temporary directory, unless another user could not reach it or the
/// socket's path would be longer than a socket's path may be (107 bytes).
fn parent_directory(user: User) -> PathBuf {
    const LONGEST: usize = 60;
    let wanted = std::env::temp_dir();
    if matches!(user, User::Myself) && wanted.as_os_str().len() <= LONGEST {
        wanted
    } else {
        PathBuf::from("/tmp")
    }
}

/// A path as the host of a URL.
fn percent_encoded(path: &Path) -> String {
    let encode = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.as_os_str().as_bytes().iter().map(encode).collect()
}

fn succeed(command: &mut Command) -> anyhow::Result<Output> {
    let output = command
        .output()
        .with_context(|| format!("can't start {}", crate::shown(command)))?;
    ensure!(
        output.status.success(),
        "{} failed:\n{}{}",
        crate::shown(command),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

#[cfg(test)]
mod tests;
