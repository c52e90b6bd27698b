//! The programs that are measured, as processes, and what they answer over HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

/// The token of the server's first user.
pub(super) const TOKEN: &str = "bench-token-0123456789";

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Keys of a sample whose numbers are no figures: times, identities, and the usage of cores that stands there twice.
const NO_FIGURES: [&str; 8] = [
    "timestamp",
    "core_usage",
    "core",
    "pid",
    "parent_pid",
    "start_time",
    "index",
    "mig_instance",
];

/// A program of ours, built for release.
pub(super) fn program(name: &str) -> Command {
    quiet(&crate::target().join("release").join(name))
}

/// An example of ours, built for release.
pub(super) fn example(name: &str) -> Command {
    quiet(&crate::target().join("release/examples").join(name))
}

/// A program that neither reads nor says anything.
pub(super) fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
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

/// A server that runs until it is dropped.
pub(super) struct Server {
    pub(super) process: Running,
    /// `https://…` if it speaks TLS, and `http://…` if not.
    pub(super) url: String,
    /// The CA that it is known by if it speaks TLS.
    pub(super) ca: Option<PathBuf>,
}

/// What a server speaks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Speaks {
    /// TLS with a certificate that it makes: on all addresses, as it is installed.
    Tls,
    /// Plain HTTP on loopback.
    Plain,
}

impl Server {
    /// Starts one.
    pub(super) fn start(
        data_dir: &Path,
        database: &str,
        speaks: Speaks,
        config: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut command = program("nodeglass-server");
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let listen = match speaks {
            Speaks::Tls => "0.0.0.0:0",
            Speaks::Plain => "127.0.0.1:0",
        };
        command.args(["--listen", listen, "--database", database, "--data-dir"]);
        command.arg(data_dir).env("NODEGLASS_ADMIN_TOKEN", TOKEN);
        let process = Running(command.spawn().context("can't start the server")?);
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let state = std::fs::read(data_dir.join("server.json")).unwrap_or_default();
            let state: Value = serde_json::from_slice(&state).unwrap_or_default();
            if state["pid"] == process.pid() {
                let url = state["url"].as_str().context("the server's address")?.to_owned();
                let ca = state["ca"].as_str().map(PathBuf::from);
                return Ok(Self { process, url, ca });
            }
            ensure!(Instant::now() < until, "the server does not start");
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The address without what is spoken there.
    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        let (_, address) = self.url.split_once("://").context("the server's address")?;
        Ok(address.parse()?)
    }

    /// What it answers to its admin.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        ask(self.connect()?, self.address()?, path, Some(TOKEN))
    }

    /// A connection to it, as it speaks.
    pub(super) fn connect(&self) -> anyhow::Result<Box<dyn Stream>> {
        let address = self.address()?;
        let stream = connect(address)?;
        let Some(ca) = &self.ca else {
            return Ok(Box::new(stream));
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca)?)?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = ClientConnection::new(Arc::new(config), address.ip().into())?;
        Ok(Box::new(StreamOwned::new(tls, stream)))
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

/// What a program answers to a call.
///
/// # Errors
/// It does not answer, or not with 200.
pub(super) fn get(address: SocketAddr, path: &str) -> anyhow::Result<Vec<u8>> {
    ask(connect(address)?, address, path, None)
}

/// What calls and their answers go over.
pub(super) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection to whoever is there, without TLS.
pub(super) fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}

fn ask(
    mut stream: impl Read + Write,
    address: SocketAddr,
    path: &str,
    token: Option<&str>,
) -> anyhow::Result<Vec<u8>> {
    let login = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let call = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{login}\r\n");
    stream.write_all(call.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.with_context(|| format!("the head of what {address} answers"))?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer);
    ensure!(
        head.split_whitespace().nth(1) == Some("200"),
        "{address}{path} answers {}",
        head.lines().next().unwrap_or_default()
    );
    Ok(body)
}

/// How many figures a sample has, as the server shows it.
pub(super) fn figures(sample: &Value) -> usize {
    match sample {
        Value::Number(_) => 1,
        Value::Array(values) => values.iter().map(figures).sum(),
        Value::Object(entries) => entries
            .iter()
            .filter(|(key, _)| !NO_FIGURES.contains(&key.as_str()))
            .map(|(_, value)| figures(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_numbers_that_were_measured() {
        let sample = json!({
            "agent_id": "a", "timestamp": 5,
            "cpu": {"usage_percent": 1.5, "core_usage": [1.0, 2.0], "cores": [{"core": 0, "usage_percent": 1.0}]},
            "processes": {"total_processes": 3, "top": [{"pid": 1, "start_time": 2, "name": "x", "cpu_percent": 4.0}]},
        });
        assert_eq!(figures(&sample), 4);
    }
}
