//! The WebSocket with a client that we did not write: Python's `websockets`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::people::SignedIn;
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::{PATIENCE, python};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A program that reads a socket.
struct Client {
    _child: Child,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn open(server: &Server, path: &str, token: &str, origin: &str) -> Self {
        let header = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}"),
        };
        Self::open_with(server, path, &header, origin)
    }

    /// With a header that says who it is.
    fn open_with(server: &Server, path: &str, header: &str, origin: &str) -> Self {
        let url = format!("{}{path}", server.url.replacen("http", "ws", 1));
        let ca = server.ca().map(|ca| ca.display().to_string()).unwrap_or_default();
        let mut child = Command::new(python::interpreter())
            .arg(python::script("websocket_reader.py"))
            .args([&url, header, origin, &ca])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Python starts");
        let commands = child.stdin.take().expect("its input");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self {
            _child: child,
            commands,
            lines,
        }
    }

    async fn command(&mut self, command: &str) {
        self.commands
            .write_all(format!("{command}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line())
            .await
            .expect("a line in time");
        line.unwrap().expect("the program goes on")
    }

    /// The next message of that kind.
    async fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.line().await;
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            if event["event"] == name {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dashboard_reads_what_it_asks_for_and_asks_for_something_else() {
    let database = Database::sqlite();
    let mut server = Server::start_with_tls(&database).await;
    let mut agents = Vec::new();
    for name in ["web-1", "db-1"] {
        let mut agent = FakeAgent::open(&server.enrolment(name).await, 1).await.unwrap();
        agent.send([(1, sample(now(), 7.0))]).await;
        agent.settled(1).await.unwrap();
        agents.push(agent);
    }
    let mut client = Client::open(&server, "/ws?agents=web-*&metrics=cpu&interval=1", TOKEN, "");
    assert_eq!(client.line().await, "open");
    let event = client.event("metrics").await;
    assert_eq!(
        (&event["data"]["agent_id"], &event["data"]["cpu"]["usage_percent"]),
        (&"web-1".into(), &7.0.into())
    );
    let id = event["id"].as_str().unwrap().to_owned();

    let wanted = r#"send {"type": "subscribe", "agents": ["db-*"], "view": "overview", "interval": 1}"#;
    client.command(wanted).await;
    let event = client.event("overview").await;
    assert_eq!(event["data"]["agents"][0]["agent_id"], "db-1", "{event}");
    agents[0].send([(2, sample(now(), 8.0))]).await;
    agents[0].settled(1).await.unwrap();
    // It goes on where it was.
    let wanted = format!(
        r#"send {{"type": "subscribe", "agents": ["web-*"], "interval": 1, "last_event_id": "{id}"}}"#
    );
    client.command(&wanted).await;
    assert_eq!(client.event("metrics").await["data"]["cpu"]["usage_percent"], 8.0);

    client.command("ping").await;
    loop {
        if client.line().await == "pong" {
            break;
        }
    }
    client.command(r#"send {"type": "unsubscribe"}"#).await;
    client.command(r#"send {"type": "ping"}"#).await;
    client.event("pong").await;
    client
        .command(r#"send {"type": "subscribe", "agents": ["nobody"]}"#)
        .await;
    assert_eq!(client.event("error").await["data"]["code"], "unknown_agent");
    client.command("send gibberish").await;
    assert_eq!(client.event("error").await["data"]["code"], "invalid_parameter");
    server.terminate().await;
    assert_eq!(client.event("error").await["data"]["code"], "server_stopping");
    assert_eq!(client.line().await, "closed 1001");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_read_gets_no_socket_and_places_are_shared_with_other_streams() {
    let database = Database::sqlite();
    let server = Server::start_with(&database, Some("metrics: {api: {max_concurrent_streams: 1}}")).await;
    for (token, origin, expected) in [
        ("", "", "refused 401"),
        ("wrong-token-0123456789", "", "refused 401"),
        (TOKEN, "https://evil.example", "refused 403"),
    ] {
        let mut client = Client::open(&server, "/ws?agents=*", token, origin);
        assert_eq!(client.line().await, expected, "{token} {origin}");
    }
    let own = server.url.clone();
    let mut client = Client::open(&server, "/ws", TOKEN, &own);
    assert_eq!(client.line().await, "open");
    let mut second = Client::open(&server, "/ws", TOKEN, "");
    assert_eq!(second.line().await, "refused 503");
    let stream = server.request("/api/v1/metrics/stream").send().await.unwrap();
    assert_eq!(stream.status(), 503);
    // A message that is too large costs the socket, and frees its place.
    client.command(&format!("send {}", "x".repeat(200_000))).await;
    let closed = client.line().await;
    assert!(closed.starts_with("closed "), "{closed}");
    nodeglass_tests::eventually("its place to be free", async || {
        let stream = server.request("/api/v1/metrics/stream").send().await.unwrap();
        stream.status().is_success().then_some(())
    })
    .await;
    let plain = server.request("/ws").send().await.unwrap();
    assert_eq!(plain.status(), 426, "a call that is no WebSocket's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_opens_a_socket_once() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let made = server
        .request_of(Method::POST, "/api/v1/tickets")
        .send()
        .await
        .unwrap();
    let made: Value = made.json().await.unwrap();
    let path = format!("/ws?ticket={}", made["ticket"].as_str().unwrap());
    let mut first = Client::open(&server, &path, "", "");
    assert_eq!(first.line().await, "open");
    let mut second = Client::open(&server, &path, "", "");
    assert_eq!(second.line().await, "refused 401");
}

/// A browser shows its cookie by itself, whoever wrote the page: so it has to be a page of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_opens_a_socket_for_pages_of_the_server() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let signed_in = SignedIn::with(&server, &json!({ "token": TOKEN })).await.unwrap();
    let cookie = format!("Cookie: {}", signed_in.cookie);
    let mut own = Client::open_with(&server, "/ws", &cookie, &server.url);
    assert_eq!(own.line().await, "open");
    let mut foreign = Client::open_with(&server, "/ws", &cookie, "https://elsewhere.example");
    assert_eq!(foreign.line().await, "refused 403");
    let (status, _) = signed_in
        .send(Method::DELETE, "/api/v1/session", &Value::Null)
        .await;
    assert!(status.is_success());
    assert_eq!(own.event("error").await["data"]["code"], "access_ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_ends_with_the_right_to_it() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let token = server.add_token("reader", "viewer").await;
    let mut client = Client::open(&server, "/ws?agents=*", &token, "");
    assert_eq!(client.line().await, "open");
    let since = Instant::now();
    let revoked = server
        .request_of(Method::DELETE, "/api/v1/tokens/test-reader")
        .send()
        .await
        .unwrap();
    assert!(revoked.status().is_success());
    assert_eq!(client.event("error").await["data"]["code"], "access_ended");
    assert!(client.line().await.starts_with("closed "));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}
