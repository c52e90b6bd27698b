//! The programs of these tests: the agent, `node_exporter` and `promtool`, each started on a free port and never left
//! behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use xtask::tools::{NODE_EXPORTER, PROMTOOL};

/// How long a program may take for anything on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that serves metrics.
pub(crate) struct Program {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts it, and waits for the line of its log that has the address.
    fn start(command: &mut Command, directory: TempDir, before: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log"));
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            let length = log.read_line(&mut line).expect("a line of its log");
            assert!(length > 0, "it ended: {said}");
            said.push_str(&line);
            if let Some((_, rest)) = line.split_once(before) {
                let end = rest.find(['"', ' ', '\n']).unwrap_or(rest.len());
                break rest[..end].parse().expect("an address");
            }
        };
        // Nobody reads the rest, but it must find room.
        thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            child,
            address,
            _directory: directory,
        }
    }

    /// The body at a path; the answer must be a success.
    pub(crate) fn get(&self, path: &str, accept: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"
        )
        .expect("a call");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.split(' ').nth(1) == Some("200"), "{path}: {head}\n{body}");
        body.to_owned()
    }

    /// Waits until the agent has taken its second sample, so that there are rates.
    pub(crate) fn wait_for_sample(&self) {
        let until = Instant::now() + PATIENCE;
        while !self
            .get("/metrics", "text/plain")
            .contains("\nnodeglass_cpu_usage_percent ")
        {
            assert!(Instant::now() < until, "no sample was taken");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The agent with its local endpoint and nothing else.
pub(crate) fn agent() -> Program {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("agent.yaml");
    let yaml =
        "local_endpoint: {listen: 127.0.0.1:0}\nmetrics: {collection_interval: 1s}\nlog: {format: json}\n";
    fs::write(&config, yaml).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeglass-agent"));
    command.args(["run", "--local-only", "--config"]).arg(config);
    command.env_remove("NODEGLASS_LOG");
    Program::start(&mut command, directory, "\"address\":\"")
}

/// `node_exporter` with the default filters of its authors, where Debian has others.
pub(crate) fn node_exporter() -> Program {
    let program = NODE_EXPORTER.find_or_unpack().expect("node_exporter");
    let mut command = Command::new(program);
    command.args([
        "--web.listen-address=127.0.0.1:0",
        "--no-collector.systemd",
        "--collector.netdev.device-exclude=",
        "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|\
         var/lib/containers/storage/.+)($|/)",
    ]);
    command.env_remove("TZ");
    let directory = tempfile::tempdir().expect("a directory");
    Program::start(&mut command, directory, "msg=\"Listening on\" address=")
}

/// What `promtool check metrics` says, a line each; it must understand the text.
pub(crate) fn check_metrics(text: &str) -> BTreeSet<String> {
    let program = PROMTOOL.find_or_unpack().expect("promtool");
    let mut child = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    child
        .stdin
        .take()
        .expect("its input")
        .write_all(text.as_bytes())
        .expect("it takes its input");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    // 3 is for complaints about names, anything else but 0 for a text that it can't read.
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "{}: {said}",
        output.status
    );
    said.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Has Prometheus' own parser read a text in OpenMetrics. Its only way in wants a time on every series.
pub(crate) fn parse_open_metrics(text: &str) {
    let program = PROMTOOL.find_or_unpack().expect("promtool");
    let directory = tempfile::tempdir().expect("a directory");
    let timed: String = text
        .lines()
        .flat_map(|line| {
            let time = if line.starts_with('#') { "" } else { " 1763712000" };
            [line, time, "\n"]
        })
        .collect();
    let input = directory.path().join("metrics");
    fs::write(&input, timed).expect("a file");
    let output = Command::new(program)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(input)
        .arg(directory.path().join("blocks"))
        .output()
        .expect("promtool runs");
    assert!(output.status.success(), "{output:?}");
}
