//! Readers of live streams: those who come back, and those who don't read.

use std::time::Duration;

use nodeglass_model::Sample;
use nodeglass_model::sample::NetworkMetrics;
use nodeglass_proto::v1;
use nodeglass_proto::v1::metrics_service_client::MetricsServiceClient;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now};
use nodeglass_tests::people::TokenCaller;
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::{PATIENCE, eventually};
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tonic::transport::Endpoint;

/// Readers who don't read, and the interfaces in a sample for them: more JSON than fits into what lies between them and
/// the server.
const STALLED: usize = 200;
const INTERFACES: usize = 1_000;
/// What they may cost the server, in its own memory: far less than a copy of each sample for each of them.
const MORE_BYTES: u64 = 64 << 20;
/// How long a reader who takes nothing may stay: less than the kernel, which gives such a connection up after 30 s, would
/// leave it.
const GONE_WITHIN: Duration = Duration::from_secs(29);

/// The event ids of a stream, as they come, until there are so many of them.
async fn ids(mut response: reqwest::Response, count: usize) -> Vec<String> {
    let mut text = String::new();
    loop {
        let ids: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("id: "))
            .map(str::to_owned)
            .collect();
        if ids.len() >= count && text.ends_with("\n\n") {
            return ids;
        }
        let chunk = tokio::time::timeout(PATIENCE, response.chunk())
            .await
            .expect("an event in time");
        text.push_str(&String::from_utf8_lossy(
            &chunk.unwrap().expect("the stream goes on"),
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_comes_back_goes_on_where_it_was() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 9).await.unwrap();
    let at = now();
    // Seconds apart by their own clock, so that a stream of one a second has them all.
    let shown = async |agent: &mut FakeAgent, seq: u64| {
        let sample = Sample {
            timestamp: at.minus(Duration::from_secs(100 - seq)),
            ..Default::default()
        };
        agent.send([(seq, sample)]).await;
        agent.settled(1).await.unwrap();
    };
    shown(&mut agent, 1).await;
    let path = "/api/v1/agents/host/metrics/stream?interval=1";
    let first = server.request(path).send().await.unwrap();
    assert_eq!(first.headers()["content-type"], "text/event-stream");
    assert_eq!(ids(first, 1).await, ["9-1"]);
    for seq in 2..=5 {
        shown(&mut agent, seq).await;
    }
    let back = server
        .request(path)
        .header("Last-Event-ID", "9-2")
        .send()
        .await
        .unwrap();
    assert_eq!(ids(back, 3).await, ["9-3", "9-4", "9-5"]);
    let stranger = server
        .request(path)
        .header("Last-Event-ID", "8-2")
        .send()
        .await
        .unwrap();
    assert_eq!(
        ids(stranger, 1).await,
        ["9-5"],
        "what it saw is not known: it has the latest"
    );
    let up_to_date = server
        .request(path)
        .header("Last-Event-ID", "9-5")
        .send()
        .await
        .unwrap();
    let waiting = tokio::spawn(ids(up_to_date, 1));
    shown(&mut agent, 6).await;
    assert_eq!(waiting.await.unwrap(), ["9-6"], "nothing comes twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_answer_is_told_that_it_still_holds() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let mut seq = 0;
    for path in ["/api/v1/agents/host/metrics", "/api/v1/metrics/agents?limit=5"] {
        let mut send = async || {
            seq += 1;
            let sample = Sample {
                timestamp: now(),
                ..Default::default()
            };
            agent.send([(seq, sample)]).await;
            agent.settled(1).await.unwrap();
        };
        send().await;
        let first = server.request(path).send().await.unwrap();
        let tag = first.headers()["etag"].clone();
        let again = server
            .request(path)
            .header("If-None-Match", tag.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(again.bytes().await.unwrap().len(), 0);
        send().await;
        let changed = server
            .request(path)
            .header("If-None-Match", tag.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(changed.status(), StatusCode::OK, "{path}");
        assert_ne!(changed.headers()["etag"], tag);
    }
}

/// Opens a stream and reads nothing of it but that it is open, with as little room as the kernel gives.
async fn stalled(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let address = server.url.trim_start_matches("http://").parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let call = format!(
        "GET /api/v1/agents/host/metrics/stream?interval=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all(call.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(
        head.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    stream
}

fn large(seq: u64) -> Sample {
    let interfaces = (0..INTERFACES).map(|number| NetworkMetrics {
        interface: format!("interface{number}"),
        bytes_sent_per_sec: Some(seq * 1000 + number as u64),
        bytes_recv_per_sec: Some(seq * 7000 + number as u64),
        errors_in: Some(seq),
        drops_in: Some(seq),
        ..Default::default()
    });
    Sample {
        timestamp: now(),
        network_interfaces: interfaces.collect(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_who_do_not_read_cost_little_and_are_cut_off() {
    let database = Database::sqlite();
    let server = Server::start_with(&database, Some("metrics: {api: {max_concurrent_streams: 201}}")).await;
    server.get("/health").await;
    let idle = server.connections();
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let send = async |agent: &mut FakeAgent, seq: u64| {
        agent.send([(seq, large(seq))]).await;
        agent.settled(1).await.unwrap();
    };
    send(&mut agent, 1).await;
    let response = server
        .request("/api/v1/agents/host/metrics/stream?interval=1")
        .send()
        .await
        .unwrap();
    // The good reader has the connection that was there already; that of the enrolment is over then.
    eventually("nobody else but the agent", async || {
        (server.connections() <= idle + 1).then_some(())
    })
    .await;
    let before = (server.connections(), server.resident_bytes());
    let mut readers = Vec::new();
    for _ in 0..STALLED {
        readers.push(stalled(&server).await);
    }
    let (status, _) = server.get("/api/v1/agents/host/metrics/stream").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "all places are taken");

    // A sample each second, as they asked for; the good reader has them all.
    let (began, mut last) = (Instant::now(), 1);
    let good = tokio::spawn(ids(response, 20));
    let mut most = 0;
    while server.connections() > before.0 + 1 {
        last += 1;
        send(&mut agent, last).await;
        most = most.max(server.resident_bytes());
        let here = server.connections().saturating_sub(before.0);
        assert!(began.elapsed() < GONE_WITHIN, "{here} are still here");
        tokio::time::sleep_until(began + Duration::from_secs(last - 1)).await;
    }
    let more = most.saturating_sub(before.1);
    assert!(more < MORE_BYTES, "{} KiB more than before", more >> 10);
    while !good.is_finished() {
        last += 1;
        send(&mut agent, last).await;
        tokio::time::sleep_until(began + Duration::from_secs(last - 1)).await;
    }
    let given = good.await.unwrap();
    let expected: Vec<String> = (1..=20).map(|seq| format!("1-{seq}")).collect();
    assert_eq!(given, expected, "the others are no trouble to who reads");
    for mut reader in readers {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is over for the reader, too");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_reads_ends_without_the_others_of_its_connection() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let send = async |agent: &mut FakeAgent, seq: u64| {
        agent.send([(seq, large(seq))]).await;
        agent.settled(1).await.unwrap();
    };
    send(&mut agent, 1).await;
    let program = TokenCaller::new(&server, TOKEN);
    // With as little room as a stream may have, so that it is full after a few samples.
    let endpoint = Endpoint::from_shared(server.url.clone()).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).connect().await;
    let client = MetricsServiceClient::new(endpoint.unwrap());
    let stream = async || {
        let request = program.ask(v1::StreamMetricsRequest {
            agent_id: "host".into(),
            ..Default::default()
        });
        let streamed = client.clone().stream_metrics(request).await;
        streamed.unwrap().into_inner()
    };
    let (mut stalled, mut good) = (stream().await, stream().await);
    let mut next = async || {
        let message = tokio::time::timeout(PATIENCE, good.message()).await;
        message
            .expect("a sample in time")
            .unwrap()
            .expect("the stream goes on")
    };
    next().await;
    let cut = async || {
        let text = server
            .request("/metrics")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        text.contains("\nnodeglass_server_stream_readers_cut_total 1\n")
    };
    let (began, mut last) = (Instant::now(), 1);
    while !cut().await {
        assert!(began.elapsed() < GONE_WITHIN, "who does not read is still here");
        last += 1;
        send(&mut agent, last).await;
        next().await;
        // Fast enough to fill what lies between within a few seconds.
        tokio::time::sleep_until(began + Duration::from_millis(last * 200)).await;
    }
    loop {
        match tokio::time::timeout(PATIENCE, stalled.message())
            .await
            .expect("an end")
        {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was broken off, and looks as if it were over"),
            Err(_) => break,
        }
    }
    send(&mut agent, last + 1).await;
    next().await;
}
