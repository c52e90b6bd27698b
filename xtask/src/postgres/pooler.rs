//! A `PgBouncer` before a cluster, in transaction mode and as unkind as it can be: few sessions, each transaction on the one
//! that has waited longest, no parameter that it does not know.

use std::env;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::server::{Server, ends_with_its_starter};
use super::{Cluster, PATIENCE, parent_directory, percent_encoded};
use crate::tools::PGBOUNCER;

/// A running `PgBouncer`, gone when it is dropped.
#[derive(Debug)]
pub struct Pooler {
    directory: TempDir,
    server: Option<Server>,
}

impl Pooler {
    /// Starts one before `cluster`, found or unpacked.
    ///
    /// # Errors
    /// It is not to be had, or does not start; says what its log says.
    pub fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let program = PGBOUNCER.find_or_unpack()?;
        let directory = tempfile::Builder::new()
            .prefix("nodeglass-pgbouncer-")
            .tempdir_in(parent_directory(cluster.user))?;
        cluster.user.own(directory.path())?;
        let here = directory.path().display();
        let port = cluster.port().unwrap_or(5432);
        let configuration = format!(
            "[databases]\n* = host={} port={port}\n[pgbouncer]\nlisten_port = 5432\nunix_socket_dir = {here}\n\
             logfile = {here}/log\nauth_type = trust\nauth_file = {here}/users\npool_mode = transaction\n\
             default_pool_size = 3\nserver_round_robin = 1\nmax_client_conn = 500\n",
            cluster.directory.path().display()
        );
        fs::write(directory.path().join("pgbouncer.ini"), configuration)?;
        fs::write(directory.path().join("users"), "\"postgres\" \"\"\n")?;
        let prefix = ends_with_its_starter();
        let mut command = match prefix {
            [] => Command::new(&program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&program);
                command
            }
        };
        let mut libraries = PGBOUNCER.libraries();
        libraries.extend(env::split_paths(
            &env::var_os("LD_LIBRARY_PATH").unwrap_or_default(),
        ));
        command
            .arg("--quiet")
            .arg(directory.path().join("pgbouncer.ini"))
            .env("LD_LIBRARY_PATH", env::join_paths(libraries)?)
            .current_dir(directory.path())
            .stdin(Stdio::null());
        cluster.user.become_it(&mut command);
        let mut pooler = Self {
            server: Some(Server::start(command)?),
            directory,
        };
        pooler.wait_until_it_serves()?;
        Ok(pooler)
    }

    fn wait_until_it_serves(&mut self) -> anyhow::Result<()> {
        let socket = self.directory.path().join(".s.PGSQL.5432");
        let until = Instant::now() + PATIENCE;
        while !socket.exists() {
            if self.server.as_ref().is_none_or(Server::has_ended) || Instant::now() > until {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                bail!("PgBouncer does not start:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The URL of a database by way of it, like [`Cluster::url`].
    pub fn url(&self, database: &str) -> String {
        let socket = percent_encoded(self.directory.path());
        format!("postgres://postgres@{socket}/{database}")
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let Some(server) = self.server.take() else {
            return Ok(());
        };
        if let Some(pid) = rustix::process::Pid::from_raw(server.pid().cast_signed())
            && !server.has_ended()
        {
            // To it, SIGTERM is an immediate end.
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .context("can't stop PgBouncer")?;
        }
        server.wait().map(drop)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Its own end is all that there is to wait for.
        let _ = self.stop();
    }
}
