//! A PostgreSQL of one's own: found or installed, run in a temporary directory on a socket, gone at the end.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

/// How long the server may take to start or stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// What to say where PostgreSQL is missing and can't be installed.
const HOW_TO_INSTALL: &str = "PostgreSQL's server programs (initdb, postgres, pg_ctl) are not on this machine. \
     Install them (Debian, Ubuntu: `apt-get install postgresql`; Fedora: `dnf install postgresql-server`; \
     Alpine: `apk add postgresql`), or set TEST_DATABASE_URL to a PostgreSQL on which databases may be made";

/// PostgreSQL's programs.
#[derive(Debug, Clone)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Finds the newest that are installed.
    ///
    /// # Errors
    /// There are none; says what to install.
    pub fn find() -> anyhow::Result<Self> {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                Some((
                    entry.file_name().to_str()?.parse().ok()?,
                    entry.path().join("bin"),
                ))
            })
            .collect();
        versions.sort();
        let packaged = versions.into_iter().rev().map(|(_, directory)| directory);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut all = packaged.chain(std::env::split_paths(&path));
        let complete = |directory: &PathBuf| {
            ["initdb", "postgres", "pg_ctl"]
                .iter()
                .all(|program| directory.join(program).is_file())
        };
        all.find(complete).map(Self).context(HOW_TO_INSTALL)
    }

    /// Finds them, or installs Debian's package where that is possible.
    ///
    /// # Errors
    /// Neither is possible; says what to install.
    pub fn find_or_install() -> anyhow::Result<Self> {
        Self::find().or_else(|missing| {
            if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/apt-get").exists() {
                return Err(missing);
            }
            install().context(HOW_TO_INSTALL)?;
            Self::find()
        })
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.0
    }
}

fn install() -> anyhow::Result<()> {
    // Only the programs are wanted: Debian's package would otherwise make a cluster and start it.
    let settings = Path::new("/etc/postgresql-common/createcluster.conf");
    if !settings.exists() {
        fs::create_dir_all("/etc/postgresql-common")?;
        fs::write(settings, "create_main_cluster = false\n")?;
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        crate::run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "--quiet"])?;
    apt(&[
        "install",
        "--quiet",
        "--yes",
        "--no-install-recommends",
        "-o",
        "Dpkg::Options::=--force-confold",
        "postgresql",
    ])
}

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
    server: Option<Child>,
}

impl Cluster {
    /// Makes one and starts it.
    ///
    /// # Errors
    /// A program of PostgreSQL's failed; says what it said.
    pub fn start(binaries: &Binaries, options: Options) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("nodeglass-postgres-").tempdir()?;
        let user = User::unprivileged()?;
        user.own(directory.path())?;
        let mut cluster = Self {
            binaries: binaries.clone(),
            options,
            user,
            directory,
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
        cluster.start_again()?;
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A program of PostgreSQL's, as a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.directory().join(name));
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
            .env_remove("PGDATA")
            .env_remove("PGHOST")
            .env_remove("PGPORT");
        self.user.become_it(&mut command);
        command
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        let socket = self.directory.path().to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{database}")
    }

    /// Starts it after [`Cluster::stop_immediate`].
    ///
    /// # Errors
    /// It does not start; says what its log says.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let log = self.directory.path().join("log");
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.directory.path());
        command.args([
            "-c",
            "listen_addresses=",
            "-c",
            "max_connections=200",
            "-c",
            "shared_buffers=64MB",
        ]);
        if !self.options.fsync {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let output = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        command.stdout(output.try_clone()?).stderr(output);
        // A group of its own: Ctrl-C is for the one who started it, who then stops it in order.
        command.process_group(0);
        self.server = Some(command.spawn().context("can't start postgres")?);
        let until = Instant::now() + PATIENCE;
        while !self.is_ready() {
            let ended = self
                .server
                .as_mut()
                .is_some_and(|server| server.try_wait().ok().flatten().is_some());
            if ended || Instant::now() > until {
                bail!(
                    "PostgreSQL does not start:\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Its own word for it: the last line of the file that it keeps.
    fn is_ready(&self) -> bool {
        let state = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let pid = self.server.as_ref().map(|server| server.id().to_string());
        state.lines().next().map(str::to_owned) == pid
            && state.lines().last().is_some_and(|line| line.trim() == "ready")
    }

    /// Stops it as a crash would, without a last word to anybody.
    ///
    /// # Errors
    /// It does not stop.
    pub fn stop_immediate(&mut self) -> anyhow::Result<()> {
        let mut stop = self.program("pg_ctl");
        succeed(
            stop.arg("stop")
                .args(["-m", "immediate", "-w", "-D"])
                .arg(self.data()),
        )?;
        if let Some(mut server) = self.server.take() {
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
        let Some(server) = self.server.as_ref().map(Child::id) else {
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
        if self.server.is_some()
            && let Err(error) = self.stop_immediate()
        {
            // Nothing can be done but to say so.
            let _ = writeln!(std::io::stderr(), "PostgreSQL is left behind: {error:#}");
        }
    }
}

/// Whom PostgreSQL runs as; it refuses root.
#[derive(Debug, Clone, Copy)]
enum User {
    Myself,
    Other { uid: u32, gid: u32 },
}

impl User {
    fn unprivileged() -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Myself);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("can't read /etc/passwd")?;
        let find = |name: &str| {
            let fields: Vec<&str> = passwd
                .lines()
                .map(|line| line.split(':').collect::<Vec<_>>())
                .find(|fields| fields[0] == name)?;
            Some(Self::Other {
                uid: fields.get(2)?.parse().ok()?,
                gid: fields.get(3)?.parse().ok()?,
            })
        };
        find("postgres")
            .or_else(|| find("nobody"))
            .context("PostgreSQL can't run as root, and there is neither a user postgres nor nobody")
    }

    fn own(self, directory: &Path) -> anyhow::Result<()> {
        if let Self::Other { uid, gid } = self {
            chown(directory, Some(uid), Some(gid))?;
        }
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        Ok(())
    }

    fn become_it(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }
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
mod tests {
    use super::*;

    #[test]
    fn starts_dies_starts_again_and_leaves_nothing() {
        let mut cluster = Cluster::start(&Binaries::find().unwrap(), Options { fsync: false }).unwrap();
        cluster.create_database("kept").unwrap();
        let directory = cluster.directory.path().to_owned();
        cluster.stop_immediate().unwrap();
        assert!(cluster.create_database("refused").is_err());
        cluster.start_again().unwrap();
        assert!(
            cluster
                .create_database("kept")
                .unwrap_err()
                .to_string()
                .contains("already exists")
        );
        let pids = cluster.pids();
        assert!(pids.len() > 3, "the server and its helpers: {pids:?}");
        drop(cluster);
        assert!(!directory.exists());
        assert!(!Path::new(&format!("/proc/{}", pids[0])).exists());
    }
}
