//! Programs of others that tests compare ours with: found, or unpacked from Debian's packages beside what cargo builds.
//!
//! They are unpacked rather than installed: that needs no root, and starts none of the services that come with them.

pub mod npm;
pub mod python;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, bail};

use crate::apt::apt;

/// A program, and the package of Debian's that has it.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    program: &'static str,
    package: &'static str,
    /// Where the package has it.
    directory: &'static str,
    /// Whether the libraries that it needs and that are not installed are unpacked with it, to be found by
    /// [`Tool::libraries`].
    with_libraries: bool,
}

/// Prometheus' exporter of a host's figures.
pub const NODE_EXPORTER: Tool = Tool {
    program: "prometheus-node-exporter",
    package: "prometheus-node-exporter",
    directory: "usr/bin",
    with_libraries: false,
};

/// A server that scrapes hosts and keeps what they say.
pub const PROMETHEUS: Tool = Tool {
    program: "prometheus",
    package: "prometheus",
    directory: "usr/bin",
    with_libraries: false,
};

/// Another one.
pub const VICTORIA_METRICS: Tool = Tool {
    program: "victoria-metrics",
    package: "victoria-metrics",
    directory: "usr/bin",
    with_libraries: false,
};

/// Prometheus' checker of its formats.
pub const PROMTOOL: Tool = Tool {
    program: "promtool",
    package: "prometheus",
    directory: "usr/bin",
    with_libraries: false,
};

/// A collector of a host's figures, as a daemon.
pub const COLLECTD: Tool = Tool {
    program: "collectd",
    package: "collectd-core",
    directory: "usr/sbin",
    with_libraries: false,
};

/// A program that asks a web server for the same as often as it answers.
pub const WRK: Tool = Tool {
    program: "wrk",
    package: "wrk",
    directory: "usr/bin",
    with_libraries: true,
};

/// PostgreSQL's most common pooler.
pub const PGBOUNCER: Tool = Tool {
    program: "pgbouncer",
    package: "pgbouncer",
    directory: "usr/sbin",
    with_libraries: true,
};

impl Tool {
    /// Finds the program, or unpacks its package where that is possible.
    ///
    /// # Errors
    /// Neither is possible; says what to install.
    pub fn find_or_unpack(self) -> anyhow::Result<PathBuf> {
        let directory = self.unpacked();
        let unpacked = directory.join(self.directory).join(self.program);
        if let Some(found) = self.find(&unpacked) {
            return Ok(found);
        }
        self.unpack(&directory).with_context(|| {
            format!(
                "{} is not on this machine and can't be unpacked from Debian's package {}: install it (Debian, Ubuntu: \
                 `apt-get install --no-install-recommends {}`), or put it into PATH",
                self.program, self.package, self.package
            )
        })?;
        Ok(unpacked)
    }

    /// Where its package is unpacked to, if it is.
    fn unpacked(self) -> PathBuf {
        crate::target().join("tools").join(self.package)
    }

    /// Directories of libraries that were unpacked with it, for `LD_LIBRARY_PATH`.
    pub fn libraries(self) -> Vec<PathBuf> {
        let parent = self.unpacked().join("usr/lib");
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.as_encoded_bytes().ends_with(b"-linux-gnu"))
            })
            .collect()
    }

    fn find(self, unpacked: &Path) -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let in_path = env::split_paths(&path).map(|directory| directory.join(self.program));
        // Not everybody's PATH has the directories of daemons.
        let installed = Path::new("/").join(self.directory).join(self.program);
        in_path
            .chain([installed, unpacked.to_owned()])
            .find(|program| program.is_file())
    }

    fn unpack(self, directory: &Path) -> anyhow::Result<()> {
        let parent = directory.parent().context("a directory for tools")?;
        fs::create_dir_all(parent)?;
        // Tests that need the same tool may unpack it at once: each for itself, and the first one's is used.
        let work = tempfile::tempdir_in(parent)?;
        let download = |package: &str| apt(&["download", "--quiet", package], work.path());
        if download(self.package).is_err() {
            apt(&["update", "--quiet"], work.path())?;
            download(self.package)?;
        }
        if self.with_libraries {
            missing_libraries(self.package)?
                .iter()
                .try_for_each(|library| download(library))?;
        }
        let content = work.path().join("content");
        for entry in fs::read_dir(work.path())?.flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "deb")
            {
                crate::run(Command::new("dpkg").arg("-x").arg(entry.path()).arg(&content))?;
            }
        }
        if !content.join(self.directory).join(self.program).is_file() {
            bail!("the package {} has no {}", self.package, self.program);
        }
        match fs::rename(&content, directory) {
            Err(_) if directory.join(self.directory).join(self.program).is_file() => Ok(()),
            renamed => Ok(renamed?),
        }
    }
}

/// The packages of libraries that a package depends on and that are not installed.
fn missing_libraries(package: &str) -> anyhow::Result<Vec<String>> {
    let output = Command::new("apt-cache").args(["depends", package]).output()?;
    let depends = String::from_utf8_lossy(&output.stdout);
    let libraries = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|name| name.starts_with("lib"));
    Ok(libraries
        .filter(|name| !is_installed(name))
        .map(str::to_owned)
        .collect())
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${Status}", package])
        .output()
        .is_ok_and(|output| output.stdout.ends_with(b"ok installed"))
}
