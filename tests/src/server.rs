//! The real server as a process.

pub mod commands;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_runtime::tls::Pin;
use nodeglass_runtime::tls::client::{self, Trust};
use nodeglass_server::state::ServerState;
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::database::Database;
use crate::process::{Log, Process, command};
use crate::{PATIENCE, eventually};

/// The admin token of every test server.
pub const TOKEN: &str = "test-admin-token-0123456789";

/// Whether a ledger says that nothing waits any more, by word of the agent from after `moment`.
pub fn settled_since(moment: UnixMillis) -> impl Fn(&Value) -> bool {
    move |ledger| ledger["balance"]["buffered"] == 0 && ledger["agent"]["as_of"].as_i64() >= Some(moment.0)
}

/// Checks that nothing is lost, and that every sample is accounted for.
///
/// # Panics
/// It is not so; shows the ledger.
pub fn assert_all_stored(ledger: &Value) {
    let balance = &ledger["balance"];
    assert_eq!(balance["balanced"], true, "{ledger:#}");
    assert_eq!(
        (&balance["unaccounted"], &balance["lost"]),
        (&0.into(), &0.into()),
        "{ledger:#}"
    );
    assert_eq!(balance["sampled"], balance["stored"], "{ledger:#}");
}

/// A client for servers that prove who they are as `trust` wants it.
///
/// # Panics
/// There is nobody to trust.
pub fn https(trust: &Trust) -> reqwest::Client {
    let config = client::config(trust).expect("a CA to trust");
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .tls_info(true);
    client.build().expect("a client")
}

/// A client for servers without TLS, which trusts nobody.
pub fn plain_http() -> reqwest::Client {
    https(&Trust::Pin(Pin([0; 32])))
}

/// A server on a port of its own.
#[derive(Debug)]
pub struct Server {
    process: Option<Process>,
    log: Option<Log>,
    log_filter: Option<String>,
    /// Where it is reached: `http://127.0.0.1:PORT`, or `https://`.
    pub url: String,
    data_dir: TempDir,
    database: String,
    config: Option<String>,
    http: reqwest::Client,
}

impl Server {
    /// Starts a server on `database` with the default configuration.
    pub async fn start(database: &Database) -> Self {
        Self::start_with(database, None).await
    }

    /// Starts a server with a configuration of the test's own.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with(database: &Database, config: Option<&str>) -> Self {
        let mut server = Self::prepared(database, config);
        server.spawn("127.0.0.1:0");
        server.ready().await;
        server
    }

    /// Starts a server that can be killed and started again many times: on a loopback address of its own, so that its port
    /// is still free then, and with its log in a file.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_to_be_killed(database: &Database, config: &str) -> Self {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let (number, pid) = (NUMBER.fetch_add(1, Ordering::Relaxed), std::process::id());
        // 127.1.0.0 to 127.127.255.255, by this process's number: each of them is this host.
        let address = Ipv4Addr::new(127, (pid >> 8) as u8 % 127 + 1, pid as u8, number);
        let mut server = Self::prepared(database, Some(config));
        server.log = Some(Log::new(&server.data_dir.path().join("server.log")));
        server.spawn(&format!("{address}:0"));
        server.ready().await;
        server
    }

    /// Starts a server that speaks TLS on loopback too, with a certificate of its own making; its log is kept.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with_tls(database: &Database) -> Self {
        Self::start_logged(database, "tls: {always: true}").await
    }

    /// Starts a server with a configuration, and keeps its log in a file, where [`Server::logged`] finds it.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_logged(database: &Database, config: &str) -> Self {
        Self::start_at(database, "127.0.0.1:0", config).await
    }

    /// The same at an address of the test's choice.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_at(database: &Database, listen: &str, config: &str) -> Self {
        let mut server = Self::prepared(database, Some(config));
        server.log = Some(Log::new(&server.data_dir.path().join("server.log")));
        server.spawn(listen);
        server.ready().await;
        server
    }

    /// The same, with what is logged as `NODEGLASS_LOG` says it.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_logging(database: &Database, config: &str, filter: &str) -> Self {
        let mut server = Self::prepared(database, Some(config));
        server.log = Some(Log::new(&server.data_dir.path().join("server.log")));
        server.log_filter = Some(filter.to_owned());
        server.spawn("127.0.0.1:0");
        server.ready().await;
        server
    }

    /// The lines of its log that have a text in them, if it is kept.
    pub fn lines(&self, text: &str) -> Vec<String> {
        self.log.as_ref().map(|log| log.lines(text)).unwrap_or_default()
    }

    /// How many lines of its log have a text in them, if it is kept.
    pub fn logged(&self, text: &str) -> usize {
        self.log.as_ref().map_or(0, |log| log.count(text))
    }

    /// The CA that its certificate comes from, if systems don't know it.
    ///
    /// # Panics
    /// It never ran.
    pub fn ca(&self) -> Option<PathBuf> {
        let state = ServerState::load(self.data_dir()).expect("its state");
        state.expect("a server that has run").ca
    }

    /// Tells it to read its certificate anew.
    ///
    /// # Panics
    /// It does not run.
    pub fn hang_up(&self) {
        self.process.as_ref().expect("a running server").hang_up();
    }

    fn prepared(database: &Database, config: Option<&str>) -> Self {
        Self {
            process: None,
            log: None,
            log_filter: None,
            url: String::new(),
            data_dir: tempfile::tempdir().expect("a temporary directory"),
            database: database.url().to_owned(),
            config: config.map(str::to_owned),
            http: plain_http(),
        }
    }

    fn spawn(&mut self, listen: &str) {
        let mut command = command("nodeglass-server");
        command
            .args(["--listen", listen, "--database", &self.database, "--data-dir"])
            .arg(self.data_dir.path())
            .env("NODEGLASS_ADMIN_TOKEN", TOKEN);
        if let Some(config) = &self.config {
            let path = self.data_dir.path().join("server.yaml");
            std::fs::write(&path, config).expect("a file in a temporary directory");
            command.arg("--config").arg(path);
        }
        if let Some(filter) = &self.log_filter {
            command.env("NODEGLASS_LOG", filter);
        }
        if let Some(log) = &self.log {
            log.attach(&mut command);
        }
        self.process = Some(Process::start(&mut command));
    }

    /// Waits until it serves.
    ///
    /// # Panics
    /// It ends, or does not run.
    pub async fn ready(&mut self) {
        let process = self.process.as_mut().expect("a started server");
        let pid = process.pid();
        let state = self.data_dir.path().join("server.json");
        self.url = eventually("the server's address", async || {
            assert!(
                !process.has_ended(),
                "the server ended at its start; its log says why"
            );
            let state: Value = serde_json::from_slice(&std::fs::read(&state).ok()?).ok()?;
            (state["pid"] == pid).then(|| state["url"].as_str().map(str::to_owned))?
        })
        .await;
        if let Some(ca) = self.ca() {
            self.http = https(&Trust::File(ca));
        }
        eventually("the server to be healthy", async || {
            self.http
                .get(format!("{}/health", self.url))
                .send()
                .await
                .ok()
                .filter(|answer| answer.status().is_success())
        })
        .await;
    }

    /// Its pid.
    ///
    /// # Panics
    /// It does not run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running server").pid()
    }

    /// How many sockets it has open.
    ///
    /// # Panics
    /// It does not run.
    pub fn connections(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("a running server");
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        targets
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// What it has in memory, in bytes.
    ///
    /// # Panics
    /// It does not run.
    pub fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a running server");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("its memory");
        let kib = line
            .trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("a number");
        kib * 1024
    }

    /// Where it keeps its state.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// Kills it, as a power loss would.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Tells it to stop; gives its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.process.take()?.terminate().await.code()
    }

    /// Has it start with another configuration the next time.
    pub fn reconfigure(&mut self, config: &str) {
        self.config = Some(config.to_owned());
    }

    /// Starts it again on the same port.
    pub async fn start_again(&mut self) {
        self.spawn_again();
        self.ready().await;
    }

    /// The same without waiting until it serves.
    pub fn spawn_again(&mut self) {
        let (_, listen) = self.url.split_once("://").expect("an address");
        let listen = listen.to_owned();
        self.spawn(&listen);
    }

    /// The ledger of an agent, once `settled` says that it is as the test wants it.
    ///
    /// # Panics
    /// It never is; says what it was last.
    pub async fn ledger_when(&self, agent: &str, settled: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let (status, ledger) = self.get(&format!("/api/v1/agents/{agent}/ledger")).await;
            if status == StatusCode::OK && settled(&ledger) {
                return ledger;
            }
            assert!(Instant::now() < until, "the ledger stays at {ledger:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A call with the admin token: status and JSON.
    ///
    /// # Panics
    /// No JSON comes back.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.request(path).send().await.expect("an answer");
        let status = response.status();
        (
            status,
            response
                .json()
                .await
                .unwrap_or_else(|error| panic!("{path}: {error}")),
        )
    }

    /// A call that must succeed.
    ///
    /// # Panics
    /// It does not.
    pub async fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// A client that trusts it.
    pub fn client(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// A call to be sent.
    pub fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN)
    }

    /// A call of any kind with the admin token.
    pub fn request_of(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(TOKEN)
    }

    /// A call that changes something, to be sent with a body.
    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.anonymous_post(path).bearer_auth(TOKEN)
    }

    /// The same without a token.
    pub fn anonymous_post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    /// A call that changes something, with the admin token: status and JSON, null where nothing comes back.
    ///
    /// # Panics
    /// No answer, or no JSON comes back.
    pub async fn change(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let method = method.parse().expect("a method");
        let mut call = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(TOKEN);
        if let Some(body) = body {
            call = call.json(&body);
        }
        let response = call.send().await.expect("an answer");
        let status = response.status();
        let bytes = response.bytes().await.expect("a body");
        if bytes.is_empty() {
            return (status, Value::Null);
        }
        let read = serde_json::from_slice(&bytes);
        (status, read.unwrap_or_else(|error| panic!("{path}: {error}")))
    }

    /// The same where it must succeed.
    ///
    /// # Panics
    /// It does not.
    pub async fn changed(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.change(method, path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{method} {path}: {answer}");
        answer
    }

    /// A call of any kind without a token.
    pub fn anonymous_call(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Without a token.
    pub fn anonymous(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    /// The overview's entry of an agent.
    pub async fn overview(&self, agent: &str) -> Option<Value> {
        let all = self.ok("/api/v1/metrics/agents").await;
        all["agents"]
            .as_array()?
            .iter()
            .find(|entry| entry["agent_id"] == agent)
            .cloned()
    }
}
