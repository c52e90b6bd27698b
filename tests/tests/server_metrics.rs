//! The server's own figures: Prometheus reads them, and they tell what happened. And the log of calls.

use std::process::Stdio;

use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use tokio::io::AsyncWriteExt;
use xtask::tools::PROMTOOL;

on_every_database!(figures_tell_what_happened_and_prometheus_reads_them);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// What `promtool check metrics` complains of.
async fn complaints(text: &str) -> String {
    let promtool = PROMTOOL.find_or_unpack().expect("promtool");
    let mut child = tokio::process::Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut input = child.stdin.take().expect("its input");
    input
        .write_all(text.as_bytes())
        .await
        .expect("it takes its input");
    drop(input);
    let output = child.wait_with_output().await.expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        String::new()
    } else {
        format!("{}: {said}", output.status)
    }
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| {
        line.strip_prefix(series)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

async fn page(server: &Server) -> String {
    let response = server.request("/metrics").send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    response.text().await.unwrap()
}

async fn figures_tell_what_happened_and_prometheus_reads_them(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    agent
        .send([
            (1, sample(now(), 1.0)),
            (2, sample(now(), 2.0)),
            (3, sample(now(), 200.0)),
        ])
        .await;
    agent.settled(3).await.unwrap();
    server.ok("/api/v1/agents/host/metrics").await;
    server
        .get("/api/v1/agents/nobody/metrics/stream?ticket=secret-ticket")
        .await;
    server.get("/nowhere/at/all").await;
    let stream = server
        .request("/api/v1/agents/host/metrics/stream")
        .send()
        .await
        .unwrap();
    let text = eventually("what the store takes", async || {
        let text = page(&server).await;
        text.contains("nodeglass_server_store_bytes{tier=\"staging\"}")
            .then_some(text)
    })
    .await;
    for (series, expected) in [
        ("nodeglass_server_samples_received_total", 3.0),
        ("nodeglass_server_samples_rejected_total", 1.0),
        ("nodeglass_server_samples_stored_total", 2.0),
        ("nodeglass_server_agents{state=\"connected\"}", 1.0),
        ("nodeglass_server_sessions", 1.0),
        ("nodeglass_server_sessions_opened_total", 1.0),
        ("nodeglass_server_streams", 1.0),
        ("nodeglass_server_streams_opened_total", 1.0),
        ("nodeglass_server_commit_failing", 0.0),
        (
            "nodeglass_server_request_seconds_count{route=\"/api/v1/agents/{id}/metrics\",method=\"GET\",status=\"2xx\"}",
            1.0,
        ),
        (
            "nodeglass_server_request_seconds_count{route=\"/api/v1/agents/{id}/metrics/stream\",method=\"GET\",status=\"4xx\"}",
            1.0,
        ),
        (
            "nodeglass_server_request_seconds_count{route=\"none\",method=\"GET\",status=\"4xx\"}",
            1.0,
        ),
        ("nodeglass_server_requests_in_flight", 1.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    for series in [
        "nodeglass_server_commit_seconds_count",
        "process_cpu_seconds_total",
        "process_open_fds",
    ] {
        assert!(
            value(&text, series).is_some_and(|value| value > 0.0),
            "{series} in\n{text}"
        );
    }
    assert!(
        value(&text, "process_resident_memory_bytes") > Some(4e6),
        "{text}"
    );
    assert!(!text.contains("secret-ticket") && !text.contains("nobody"));
    assert_eq!(complaints(&text).await, "");
    drop(stream);
    eventually("the stream's place to be free", async || {
        (value(&page(&server).await, "nodeglass_server_streams") == Some(0.0)).then_some(())
    })
    .await;
    let open = server
        .request("/metrics")
        .header("accept", OPEN_METRICS)
        .send()
        .await
        .unwrap();
    assert!(
        open.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let open = open.text().await.unwrap();
    assert!(
        open.ends_with("# EOF\n") && open.contains("# TYPE nodeglass_server_samples_stored counter\n"),
        "{open}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_need_a_token_and_a_viewer_s_is_enough() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    assert_eq!(server.anonymous("/metrics").send().await.unwrap().status(), 401);
    let viewer = server.add_token("prometheus", "viewer").await;
    let answer = server
        .anonymous("/metrics")
        .bearer_auth(viewer)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_of_calls_when_it_is_asked_and_of_no_secret() {
    let database = Database::sqlite();
    let server = Server::start_logging(&database, "log: {format: json}", "info,access=debug").await;
    let path = "/api/v1/agents/nobody/metrics/stream?ticket=secret-ticket";
    let response = server
        .request(path)
        .header("x-request-id", "call-4711")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
    eventually("the call's line", async || {
        let lines = server.lines("call-4711");
        let line = lines.iter().find(|line| line.contains("\"target\":\"access\""))?;
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let span = &line["span"];
        assert_eq!(
            (&span["method"], &span["route"], &span["status"], &span["caller"]),
            (
                &"GET".into(),
                &"/api/v1/agents/{id}/metrics/stream".into(),
                &404.into(),
                &"admin".into()
            ),
            "{line}"
        );
        assert!(line["latency_ms"].is_number(), "{line}");
        assert_eq!(&line["spans"][0], span, "{line}");
        Some(())
    })
    .await;
    assert_eq!(server.logged("secret-ticket"), 0);
    assert_eq!(server.logged(nodeglass_tests::server::TOKEN), 0);
}
