//! The programs that are measured, as processes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// A program of ours, built for release.
pub(super) fn program(name: &str) -> Command {
    let mut command = Command::new(crate::target().join("release").join(name));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A process that ends when it is dropped.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

/// Starts a server, and gives it with its address.
pub(super) fn server(data_dir: &Path, database: &str) -> anyhow::Result<(Running, String)> {
    let mut command = program("nodeglass-server");
    command
        .args(["--listen", "127.0.0.1:0", "--database", database, "--data-dir"])
        .arg(data_dir);
    let server = Running(
        command
            .env("NODEGLASS_ADMIN_TOKEN", "bench-token-0123456789")
            .spawn()?,
    );
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let state = std::fs::read(data_dir.join("server.json")).unwrap_or_default();
        let state: Value = serde_json::from_slice(&state).unwrap_or_default();
        if state["pid"] == server.pid() {
            let url = state["url"].as_str().context("the server's address")?.to_owned();
            return Ok((server, url));
        }
        if Instant::now() > until {
            bail!("the server does not start");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Enrols a host with the server of `data_dir`, as the agent whose data lies in `agent_dir`.
pub(super) fn enrol(data_dir: &Path, agent_dir: &Path) -> anyhow::Result<()> {
    let mut add = program("nodeglass-server");
    let output = add
        .args(["agent", "add", "bench", "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::piped())
        .output()?;
    let enrolment = String::from_utf8(output.stdout)?;
    let mut enroll = program("nodeglass-agent");
    let status = enroll
        .args(["enroll", enrolment.trim(), "--data-dir"])
        .arg(agent_dir)
        .status()?;
    ensure!(status.success(), "the agent can't be enrolled");
    Ok(())
}
