//! Every secret that is given to the system, or made by it, planted and looked for: in logs at their most talkative, in answers,
//! in a dump of the database, in the data directories but for the files that are there to keep them, and in the command
//! lines of our processes. New kinds of secrets are planted in `plant`.

#[path = "secrets/people.rs"]
mod people;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use nodeglass_proto::enrolment::Enrolment;
use nodeglass_runtime::private;
use nodeglass_runtime::tls::client::Trust;
use nodeglass_server::state::ServerState;
use nodeglass_tests::agent::EACH_SECOND;
use nodeglass_tests::database::Database;
use nodeglass_tests::host_tree::{contents, holds};
use nodeglass_tests::process::{Process, command, run};
use nodeglass_tests::server::https;
use nodeglass_tests::{eventually, on_every_database};
use tempfile::TempDir;

on_every_database!(no_secret_is_where_it_need_not_be);

const ADMIN: &str = "canary-admin-token-0123456789";
const PASSWORD: &str = "canary-database-password";
const USER_PASSWORD: &str = "canary-password-of-a-user";

/// Secrets by what they are.
#[derive(Default)]
struct Planted(Vec<(&'static str, Vec<u8>)>);

impl Planted {
    fn plant(&mut self, what: &'static str, secret: &str) {
        assert!(
            secret.len() >= 16,
            "{what} is long enough to be found by no chance"
        );
        self.plant_bytes(what, secret.as_bytes().to_vec());
    }

    fn plant_bytes(&mut self, what: &'static str, secret: Vec<u8>) {
        self.0.push((what, secret));
    }

    /// Checks that none of them is in a place.
    fn assert_none_in(&self, place: &str, bytes: &[u8]) {
        for (what, secret) in &self.0 {
            assert!(!holds(bytes, secret), "{what} is in {place}");
        }
    }
}

/// A server and an agent that log all they can, started as services are: secrets in files and in the environment.
struct System {
    server: Process,
    server_dir: TempDir,
    agent: Option<Process>,
    agent_dir: TempDir,
    url: String,
}

/// The database's URL with a password in it. The tests' PostgreSQL trusts whoever reaches it; SQLite has none.
fn with_password(url: &str) -> String {
    match url.split_once("://") {
        Some(("postgres" | "postgresql", rest)) => {
            let (user, rest) = rest.split_once('@').unwrap_or(("postgres", rest));
            let user = user.split(':').next().unwrap_or_default();
            format!("postgres://{user}:{PASSWORD}@{rest}")
        }
        _ => url.to_owned(),
    }
}

impl System {
    async fn start(database: &Database) -> Self {
        let server_dir = tempfile::tempdir().expect("a temporary directory");
        let config = format!(
            "tls: {{always: true}}\ndatabase: '{}'\n",
            with_password(database.url())
        );
        private::write(&server_dir.path().join("server.yaml"), config.as_bytes()).expect("a file");
        let mut serve = command("nodeglass-server");
        serve
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(server_dir.path().join("server.yaml"))
            .arg("--data-dir")
            .arg(server_dir.path())
            .env("NODEGLASS_ADMIN_TOKEN", ADMIN)
            .env("NODEGLASS_LOG", "trace")
            .stdout(Stdio::null())
            .stderr(fs::File::create(server_dir.path().join("server.log")).expect("a file"));
        let server = Process::start(&mut serve);
        let pid = server.pid();
        let url = eventually("the server's address", async || {
            let state = ServerState::load(server_dir.path()).ok().flatten()?;
            (state.pid == pid).then_some(state.url)
        })
        .await;
        Self {
            server,
            server_dir,
            agent: None,
            agent_dir: tempfile::tempdir().expect("a temporary directory"),
            url,
        }
    }

    async fn command(&self, arguments: &[&str]) -> String {
        let mut command = command("nodeglass-server");
        let output = run(command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.server_dir.path()))
        .await;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    async fn start_agent(&mut self, enrolment: &str) {
        let mut enroll = command("nodeglass-agent");
        let output = run(enroll
            .args(["enroll", enrolment, "--data-dir"])
            .arg(self.agent_dir.path()))
        .await;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let config =
            format!("{EACH_SECOND}\nprivacy: {{hostnames: hash}}\nlocal_endpoint: {{enabled: false}}\n");
        fs::write(self.agent_dir.path().join("agent.yaml"), config).expect("a file");
        let mut sample = command("nodeglass-agent");
        sample
            .args(["run", "--data-dir"])
            .arg(self.agent_dir.path())
            .arg("--config")
            .arg(self.agent_dir.path().join("agent.yaml"))
            .env("NODEGLASS_LOG", "trace")
            .stderr(fs::File::create(self.agent_dir.path().join("agent.log")).expect("a file"));
        self.agent = Some(Process::start(&mut sample));
    }

    fn client(&self) -> reqwest::Client {
        let state = ServerState::load(self.server_dir.path())
            .expect("its state")
            .expect("a server that ran");
        https(&Trust::File(state.ca.expect("a CA")))
    }
}

/// Plants all there is, and gives the enrolment of an agent.
async fn plant(system: &System, planted: &mut Planted) -> String {
    planted.plant("the admin token", ADMIN);
    planted.plant("the database's password", PASSWORD);
    planted.plant(
        "a reader's token",
        system
            .command(&["token", "add", "reader", "--role", "viewer"])
            .await
            .trim(),
    );
    let enrolment = system.command(&["agent", "add", "host", "--json"]).await;
    let enrolment: serde_json::Value = serde_json::from_str(&enrolment).expect("JSON");
    let enrolment = enrolment["enrolment"].as_str().expect("an enrolment").to_owned();
    planted.plant("an enrolment string", &enrolment);
    planted.plant(
        "the token of an enrolment",
        &Enrolment::decode(&enrolment).expect("an enrolment").token,
    );
    planted.plant("a user's password", USER_PASSWORD);
    let mut add_user = command("nodeglass-server");
    add_user
        .args(["user", "add", "somebody", "--data-dir"])
        .arg(system.server_dir.path())
        .env("NODEGLASS_PASSWORD", USER_PASSWORD);
    let output = run(&mut add_user).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let privacy = fs::read_to_string(system.server_dir.path().join("privacy.key")).expect("a key");
    planted.plant("the key for hashes", privacy.trim());
    let sealing = fs::read(system.server_dir.path().join("identity.key")).expect("a key");
    planted.plant_bytes("the key that seals", sealing);
    for key in private_keys(&system.server_dir.path().join("tls")) {
        planted.plant("a private key", &key);
    }
    enrolment
}

/// The first line of each private key in a directory.
fn private_keys(directory: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&contents(directory)).into_owned();
    let mut keys = Vec::new();
    for part in text.split("PRIVATE KEY-----\n").skip(1).step_by(2) {
        keys.push(part.lines().next().expect("a key").to_owned());
    }
    assert!(!keys.is_empty(), "the server has keys");
    keys
}

/// Everything that a directory holds, but for files whose business it is to hold secrets, which only their owner can read.
fn without_keepers(directory: &Path, keepers: &[&str]) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if keepers.contains(&&*name) {
            if path.is_file() {
                use std::os::unix::fs::PermissionsExt;
                let mode = fs::metadata(&path).expect("a file").permissions().mode();
                assert_eq!(mode & 0o077, 0, "{name} is its owner's alone");
            }
            continue;
        }
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.extend(fs::read(path).unwrap_or_default());
        }
    }
    all
}

/// Calls of all kinds, good and bad; what was answered, with its headers.
async fn answers(system: &System, planted: &mut Planted) -> String {
    let client = system.client();
    let (wrong, in_url) = (
        "canary-wrong-token-0123456789",
        "canary-token-in-a-url-0123456789",
    );
    let mut said = String::new();
    for (path, token) in [
        ("/health", None),
        ("/ready", Some(ADMIN)),
        ("/api/v1/metrics/agents", Some(ADMIN)),
        ("/api/v1/metrics/agents", Some(wrong)),
        ("/api/v1/metrics/agents?page=2", Some(ADMIN)),
        ("/api/v1/agents/nobody/metrics", Some(ADMIN)),
        ("/api/v1/agents/host/system", Some(ADMIN)),
        ("/api/v1/agents/host/ledger", Some(ADMIN)),
        ("/api/v1/nothing", Some(ADMIN)),
        (&format!("/api/v1/metrics/agents?access_token={in_url}"), None),
    ] {
        let mut request = client.get(format!("{}{path}", system.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        said.extend(answer.headers().values().map(|value| format!("{value:?}")));
        said += &answer.text().await.expect("a text");
    }
    for body in ["{", "{\"agent_id\": 1}", ""] {
        let import = client
            .post(format!("{}/api/v1/import", system.url))
            .bearer_auth(ADMIN);
        said += &import
            .body(body)
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a text");
    }
    said += &people::use_all(system, planted).await;
    planted.plant("a token that is none", wrong);
    planted.plant("a token in a URL", in_url);
    said
}

async fn no_secret_is_where_it_need_not_be(database: Database) {
    let mut system = System::start(&database).await;
    let mut planted = Planted::default();
    let enrolment = plant(&system, &mut planted).await;
    system.start_agent(&enrolment).await;
    let client = system.client();
    eventually("the agent's samples", async || {
        let path = format!("{}/api/v1/agents/host/metrics", system.url);
        let answer = client.get(path).bearer_auth(ADMIN).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    let identity = fs::read(system.agent_dir.path().join("identity.json")).expect("the agent's identity");
    let identity: serde_json::Value = serde_json::from_slice(&identity).expect("JSON");
    planted.plant("the agent's key", identity["key"].as_str().expect("a key"));
    let said = answers(&system, &mut planted).await;
    planted.assert_none_in("an answer", said.as_bytes());
    let agent = system.agent.take().expect("a running agent");
    for (whose, pid) in [
        ("the server's", system.server.pid()),
        ("the agent's", agent.pid()),
    ] {
        let line = fs::read(format!("/proc/{pid}/cmdline")).expect("a running process");
        assert!(!line.is_empty());
        planted.assert_none_in(&format!("{whose} command line"), &line);
    }
    agent.terminate().await;
    let System {
        server,
        server_dir,
        agent_dir,
        ..
    } = system;
    server.terminate().await;
    planted.assert_none_in("the database", &database.dump().await);
    let logs = [
        server_dir.path().join("server.log"),
        agent_dir.path().join("agent.log"),
    ];
    for log in &logs {
        let text = fs::read(log).expect("a log");
        assert!(holds(&text, "TRACE"), "{} tells all", log.display());
        planted.assert_none_in(&log.display().to_string(), &text);
    }
    let of_server = without_keepers(
        server_dir.path(),
        &["server.yaml", "server.json", "privacy.key", "identity.key", "tls"],
    );
    planted.assert_none_in("the server's directory", &of_server);
    let of_agent = without_keepers(
        agent_dir.path(),
        &["identity.json", "enrolling.json", "privacy.key"],
    );
    planted.assert_none_in("the agent's directory", &of_agent);
}
