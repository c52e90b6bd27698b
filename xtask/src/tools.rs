//! Programs of others that tests compare ours with: found, or unpacked from Debian's packages beside what cargo builds.
//!
//! They are unpacked rather than installed: that needs no root, and starts none of the services that come with them.

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
}

/// Prometheus' exporter of a host's figures.
pub const NODE_EXPORTER: Tool = Tool {
    program: "prometheus-node-exporter",
    package: "prometheus-node-exporter",
    directory: "usr/bin",
};

/// Prometheus' checker of its formats.
pub const PROMTOOL: Tool = Tool {
    program: "promtool",
    package: "prometheus",
    directory: "usr/bin",
};

/// A collector of a host's figures, as a daemon.
pub const COLLECTD: Tool = Tool {
    program: "collectd",
    package: "collectd-core",
    directory: "usr/sbin",
};

impl Tool {
    /// Finds the program, or unpacks its package where that is possible.
    ///
    /// # Errors
    /// Neither is possible; says what to install.
    pub fn find_or_unpack(self) -> anyhow::Result<PathBuf> {
        let directory = crate::target().join("tools").join(self.package);
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
        let download = || apt(&["download", "--quiet", self.package], work.path());
        if download().is_err() {
            apt(&["update", "--quiet"], work.path())?;
            download()?;
        }
        let package = fs::read_dir(work.path())?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("the package that was downloaded")?;
        let content = work.path().join("content");
        crate::run(Command::new("dpkg").arg("-x").arg(package).arg(&content))?;
        if !content.join(self.directory).join(self.program).is_file() {
            bail!("the package {} has no {}", self.package, self.program);
        }
        match fs::rename(&content, directory) {
            Err(_) if directory.join(self.directory).join(self.program).is_file() => Ok(()),
            renamed => Ok(renamed?),
        }
    }
}
