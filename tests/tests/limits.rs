//! What all calls together may take: so many are in hand at once, and each has so much time until its answer begins.

use std::time::{Duration, Instant};

use nodeglass_tests::database::Database;
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::{PATIENCE, eventually};
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Calls in hand at once.
const PLACES: usize = 256;
/// Calls more than that.
const MORE: usize = 20;
/// How long a call may take.
const TIME: Duration = Duration::from_secs(30);

/// A call with a body of which only the beginning comes.
async fn stalled(server: &Server) -> TcpStream {
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /api/v1/agents/host/metrics HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.expect("room for it");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_have_so_many_places_and_so_much_time() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let (status, made) = server
        .change(
            "POST",
            "/api/v1/agents/register",
            Some(json!({ "agent_id": "host" })),
        )
        .await;
    assert!(status.is_success(), "{made}");
    let began = Instant::now();
    let mut calls = Vec::new();
    for _ in 0..PLACES + MORE {
        calls.push(stalled(&server).await);
    }
    // The next one is turned away at once, and not made to wait.
    let refused = eventually("all places to be taken", async || {
        let answer = server.request("/api/v1/agents").send().await.unwrap();
        (answer.status() != StatusCode::OK).then_some(answer)
    })
    .await;
    assert!(
        began.elapsed() < TIME,
        "on a machine that is fast enough to ask in time"
    );
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"), "{refused:?}");
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "overloaded");
    // What asks whether the server lives needs no place, and who has no token takes none.
    assert_eq!(
        server.anonymous("/health").send().await.unwrap().status(),
        StatusCode::OK
    );
    let stranger = server.anonymous("/api/v1/agents").send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);

    let (mut timed_out, mut turned_away) = (0, 0);
    for call in calls {
        let mut lines = BufReader::new(call).lines();
        let first = tokio::time::timeout(TIME + PATIENCE, lines.next_line()).await;
        match first
            .expect("an answer in time")
            .unwrap()
            .unwrap_or_default()
            .as_str()
        {
            line if line.starts_with("HTTP/1.1 504 ") => timed_out += 1,
            line if line.starts_with("HTTP/1.1 503 ") => turned_away += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((timed_out, turned_away), (PLACES, MORE));
    assert!(began.elapsed() >= TIME, "{:?}", began.elapsed());
    server.ok("/api/v1/agents").await;
}
