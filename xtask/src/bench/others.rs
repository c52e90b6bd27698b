//! The servers of others that are measured beside ours: Prometheus and `VictoriaMetrics`, where they are found, how they start,
//! and how they take history in.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::programs::{Running, get, quiet};
use crate::tools::{self, Tool};

/// How long one may take until it answers.
const START: Duration = Duration::from_mins(1);

/// A server of others.
#[derive(Debug, Clone, Copy)]
pub(super) enum Other {
    Prometheus,
    VictoriaMetrics,
}

impl Other {
    /// Has `measure` measure `what` of each that is there or can be unpacked, one after the other; says which can't be measured.
    pub(super) fn each<T>(what: &str, measure: impl Fn(Self) -> anyhow::Result<T>) -> Vec<T> {
        let measured = |other: Self| {
            measure(other)
                .inspect_err(|error| eprintln!("{}: {what} is not measured: {error:#}", other.name()))
                .ok()
        };
        [Self::Prometheus, Self::VictoriaMetrics]
            .into_iter()
            .filter_map(measured)
            .collect()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    /// Where its program is, unpacked if need be.
    pub(super) fn program(self) -> anyhow::Result<PathBuf> {
        self.tool().find_or_unpack()
    }

    fn tool(self) -> Tool {
        match self {
            Self::Prometheus => tools::PROMETHEUS,
            Self::VictoriaMetrics => tools::VICTORIA_METRICS,
        }
    }

    /// What it calls its configuration, its data and its address.
    fn arguments(self) -> [&'static str; 3] {
        match self {
            Self::Prometheus => ["--config.file", "--storage.tsdb.path", "--web.listen-address"],
            Self::VictoriaMetrics => ["-promscrape.config", "-storageDataPath", "-httpListenAddr"],
        }
    }

    /// Starts it, and waits until it answers.
    pub(super) fn start(self, config: &Path, data: &Path) -> anyhow::Result<(Running, SocketAddr)> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let [for_config, for_data, for_address] = self.arguments();
        let mut command = quiet(&self.program()?);
        command.args([
            format!("{for_config}={}", config.display()),
            format!("{for_data}={}", data.display()),
            format!("{for_address}={address}"),
        ]);
        let server = Running(command.spawn()?);
        let until = Instant::now() + START;
        while get(address, "/api/v1/query?query=1").is_err() {
            ensure!(Instant::now() < until, "it does not start");
            thread::sleep(Duration::from_millis(50));
        }
        Ok((server, address))
    }

    /// The same with the history that a file of lines in `OpenMetrics` text has, ready to be asked for.
    pub(super) fn start_with(
        self,
        lines: &Path,
        config: &Path,
        data: &Path,
    ) -> anyhow::Result<(Running, SocketAddr)> {
        match self {
            Self::Prometheus => {
                make_blocks(lines, data)?;
                self.start(config, data)
            }
            Self::VictoriaMetrics => {
                let started = self.start(config, data)?;
                send(started.1, lines)?;
                Ok(started)
            }
        }
    }
}

/// Makes the blocks of Prometheus out of a history.
fn make_blocks(lines: &Path, data: &Path) -> anyhow::Result<()> {
    fs::create_dir(data)?;
    let mut blocks = quiet(&tools::PROMTOOL.find_or_unpack()?);
    let blocks = blocks.args(["tsdb", "create-blocks-from", "openmetrics"]);
    let made = blocks.arg(lines).arg(data).status()?;
    ensure!(made.success(), "promtool makes no blocks of the history");
    Ok(())
}

/// Has `VictoriaMetrics` take a history in, and waits until it can be asked for.
fn send(address: SocketAddr, file: &Path) -> anyhow::Result<()> {
    let (mut lines, length) = (File::open(file)?, fs::metadata(file)?.len());
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /api/v1/import/prometheus HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n"
    )?;
    std::io::copy(&mut lines, &mut stream)?;
    let answer = std::io::read_to_string(stream)?;
    ensure!(
        answer.contains(" 204 ") || answer.contains(" 200 "),
        "it does not take the history: {answer}"
    );
    get(address, "/internal/force_flush").map(drop)
}
