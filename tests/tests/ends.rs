//! Ends are clean whatever others do: exit 0, in time, with nothing lost that was taken.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::process::{Process, command, run};
use nodeglass_tests::server::{Server, TOKEN, plain_http};
use nodeglass_tests::{eventually, on_every_database};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

on_every_database!(the_open_persist_interval_is_stored_at_the_end);

/// Waits for the first sample of the agent `host`.
async fn sampled(server: &Server) {
    let shown = async || {
        server
            .overview("host")
            .await
            .filter(|overview| !overview["metrics"].is_null())
    };
    eventually("a sample", shown).await;
}

fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.trim_start_matches("http://")).expect("a connection")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_does_not_hold_the_end_up() {
    let database = Database::sqlite();
    let mut server = Server::start(&database).await;
    let _agent = Agent::start(&server, "host").await;
    sampled(&server).await;
    let mut stalled = connect(&server.url);
    let call = format!(
        "GET /api/v1/agents/host/system HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stalled
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    // Until the answers fill every buffer between there and here.
    while stalled.write_all(call.as_bytes()).is_ok() {}
    assert_eq!(server.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_agent_does_not_hold_the_end_up() {
    let database = Database::sqlite();
    let mut server = Server::start(&database).await;
    let agent = Agent::start(&server, "host").await;
    sampled(&server).await;
    agent.freeze();
    assert_eq!(server.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_asks_nothing_is_closed() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let mut silent = connect(&server.url);
    silent.set_read_timeout(Some(nodeglass_tests::PATIENCE)).unwrap();
    let read = tokio::task::spawn_blocking(move || silent.read(&mut [0; 1]))
        .await
        .unwrap();
    assert_eq!(read.expect("an end rather than a timeout"), 0);
}

#[tokio::test]
async fn a_server_that_waits_for_its_database_can_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().to_string_lossy().replace('/', "%2F");
    let mut command = command("nodeglass-server");
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--database",
        &format!("postgres://me@{socket}/nothing"),
        "--data-dir",
    ]);
    let mut server = Process::start(command.arg(directory.path().join("data")).stderr(Stdio::piped()));
    let mut log = BufReader::new(server.take_stderr().unwrap()).lines();
    while !log
        .next_line()
        .await
        .unwrap()
        .expect("it goes on waiting")
        .contains("waiting for the database")
    {}
    assert_eq!(server.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_data_is_refused() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let mut second = command("nodeglass-server");
    second
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(server.data_dir());
    let output = run(&mut second).await;
    let (code, error) = (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(
        code == Some(1) && error.contains("another server"),
        "{code:?} {error}"
    );
    server.add_agent("still-the-first").await;
    assert!(server.overview("still-the-first").await.is_some());
}

async fn the_open_persist_interval_is_stored_at_the_end(database: Database) {
    for round in 1..=3 {
        let directory = tempfile::tempdir().unwrap();
        let mut up = command("nodeglass");
        up.args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--database",
            database.url(),
            "--data-dir",
        ])
        .arg(directory.path());
        up.env("METRICS_INTERVAL_LIVE", "1")
            .env("METRICS_INTERVAL_PERSIST", "3600")
            .env("NODEGLASS_ADMIN_TOKEN", TOKEN);
        let up = Process::start(up.stdout(Stdio::null()));
        let state = directory.path().join("server.json");
        let http = plain_http();
        eventually("a connected agent", async || {
            let state: Value = serde_json::from_slice(&std::fs::read(&state).ok()?).ok()?;
            let url = format!(
                "{}/api/v1/metrics/agents?metrics=memory.used_bytes",
                state["url"].as_str()?
            );
            let all: Value = http
                .get(url)
                .bearer_auth(TOKEN)
                .send()
                .await
                .ok()?
                .json()
                .await
                .ok()?;
            let mut agents = all["agents"].as_array()?.iter();
            agents.any(|agent| !agent["metrics"].is_null()).then_some(())
        })
        .await;
        assert_eq!(up.terminate().await.code(), Some(0));
        // Each round is an agent of its own: the data directory, and with it the enrolment, is new.
        assert_eq!(
            database.stored().await.unwrap().len(),
            round,
            "the mean of what was taken is stored"
        );
    }
}
