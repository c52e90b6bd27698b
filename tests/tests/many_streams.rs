//! Streams of many agents: samples as they come, in one stream, and the overview; only of those that the reader may see.

use std::time::Duration;

use nodeglass_tests::PATIENCE;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use reqwest::StatusCode;
use serde_json::Value;

/// Reads server-sent events.
struct Reader {
    response: reqwest::Response,
    text: String,
}

/// One of them.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: Option<String>,
    /// When to come back, in milliseconds.
    retry: Option<u64>,
    data: Value,
}

impl Event {
    fn of(&self, agent: &str) -> bool {
        self.data["agent_id"] == agent
    }
}

impl Reader {
    async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let mut lines = block.lines();
                    lines.find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                let Some(name) = field("event: ") else { continue };
                return Some(Event {
                    name,
                    id: field("id: "),
                    retry: field("retry: ").map(|ms| ms.parse().unwrap()),
                    data: serde_json::from_str(&field("data: ")?).unwrap(),
                });
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("an event in time").ok()??;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// The next event that is meant.
    async fn find(&mut self, is_meant: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if is_meant(&event) {
                return event;
            }
        }
    }
}

/// Shows a sample; they are seconds apart by their own clock, so that a stream of one a second has them all.
async fn show(agent: &mut FakeAgent, seq: u64, usage: f64) {
    let mut sample = sample(now().minus(Duration::from_secs(100 - seq)), usage);
    sample.memory.usage_percent = Some(50.0);
    agent.send([(seq, sample)]).await;
    agent.settled(1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_has_many_agents_and_whoever_joins_and_no_foreign_one() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let token = server
        .command(&["token", "add", "web", "--role", "viewer", "--agents", "web-*"])
        .await;
    let mut first = FakeAgent::open(&server.enrolment("web-1").await, 1)
        .await
        .unwrap();
    let mut foreign = FakeAgent::open(&server.enrolment("db-1").await, 1).await.unwrap();
    show(&mut first, 1, 1.0).await;
    show(&mut foreign, 1, 2.0).await;
    let path = "/api/v1/metrics/stream?interval=1&metrics=cpu.usage_percent";
    let open = |path: &str| server.anonymous(path).bearer_auth(token.trim());
    let mut reader = Reader::open(open(path)).await;
    let mut seen = Vec::new();
    let event = reader.next().await.unwrap();
    assert_eq!(
        (event.name.as_str(), &event.data["status"]),
        ("agent", &"connected".into())
    );
    let event = reader.next().await.unwrap();
    assert_eq!(event.name, "metrics");
    assert!(
        event.of("web-1") && event.data["cpu"]["usage_percent"] == 1.0,
        "{event:?}"
    );
    assert_eq!(event.data.get("memory"), None, "it was not asked for");
    // Somebody joins.
    let mut second = FakeAgent::open(&server.enrolment("web-2").await, 1)
        .await
        .unwrap();
    show(&mut second, 1, 3.0).await;
    show(&mut foreign, 2, 2.0).await;
    let event = reader
        .find(|event| event.name == "metrics" && event.of("web-2"))
        .await;
    seen.push(event.id.clone().unwrap());
    drop(reader);

    // What came while nobody read is there for who comes back.
    for seq in 2..=4 {
        show(&mut first, seq, seq as f64).await;
        show(&mut second, seq, seq as f64).await;
        show(&mut foreign, seq + 1, seq as f64).await;
    }
    let mut back = Reader::open(open(path).header("Last-Event-ID", &seen[0])).await;
    let mut found = Vec::new();
    while found.len() < 6 {
        let event = back.find(|event| event.name == "metrics").await;
        found.push(format!(
            "{} {}",
            event.data["agent_id"], event.data["cpu"]["usage_percent"]
        ));
    }
    let expected = [
        r#""web-1" 2.0"#,
        r#""web-2" 2.0"#,
        r#""web-1" 3.0"#,
        r#""web-2" 3.0"#,
        r#""web-1" 4.0"#,
        r#""web-2" 4.0"#,
    ];
    assert_eq!(
        found, expected,
        "each once, in the order in which they came, and none of a foreign agent"
    );
    drop(first);
    let event = back.find(|event| event.data["status"] == "disconnected").await;
    assert!(event.of("web-1"), "{event:?}");
    let refused = open("/api/v1/metrics/stream?agents=db-1").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_is_one_event_a_second_of_what_changed() {
    let database = Database::sqlite();
    let mut server = Server::start(&database).await;
    let mut agents = Vec::new();
    for number in 0..5 {
        let mut agent = FakeAgent::open(&server.enrolment(&format!("host-{number}")).await, 1)
            .await
            .unwrap();
        show(&mut agent, 1, 1.0).await;
        agents.push(agent);
    }
    let path = "/api/v1/metrics/stream?view=overview&interval=1&metrics=cpu.usage_percent";
    let mut reader = Reader::open(server.request(path)).await;
    let first = reader.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["full"]),
        ("overview", &true.into())
    );
    assert_eq!(first.data["agents"].as_array().unwrap().len(), 5);
    assert_eq!(first.data["agents"][0]["values"]["cpu.usage_percent"], 1.0);
    show(&mut agents[3], 2, 9.0).await;
    let next = reader.next().await.unwrap();
    assert_eq!(next.data["full"], false);
    let changed = next.data["agents"].as_array().unwrap();
    assert_eq!(
        (changed.len(), &changed[0]["agent_id"]),
        (1, &"host-3".into()),
        "{next:?}"
    );
    assert_eq!(changed[0]["values"]["cpu.usage_percent"], 9.0);
    let back = Reader::open(server.request(path).header("Last-Event-ID", first.id.unwrap()));
    let event = back.await.find(|event| event.name == "overview").await;
    // All are in it, so that it is known who left, and figures of those alone that changed.
    let again = event.data["agents"].as_array().unwrap();
    let with_figures: Vec<_> = again
        .iter()
        .filter(|agent| agent.get("values").is_some())
        .map(|agent| &agent["agent_id"])
        .collect();
    assert_eq!(
        (&event.data["full"], again.len(), with_figures),
        (&true.into(), 5, vec![&"host-3".into()])
    );
    // The server says why it ends.
    server.terminate().await;
    let last = reader.find(|event| event.name == "error").await;
    assert_eq!(last.data["code"], "server_stopping");
    assert!((1_000..=6_000).contains(&last.retry.unwrap()), "{last:?}");
    assert!(reader.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_one_agent_has_what_was_asked_for() {
    let database = Database::sqlite();
    let mut server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 4).await.unwrap();
    show(&mut agent, 1, 7.0).await;
    let path = "/api/v1/agents/host/metrics/stream?interval=1&metrics=memory";
    let mut reader = Reader::open(server.request(path)).await;
    let event = reader.next().await.unwrap();
    assert_eq!(
        (event.name.as_str(), event.id.as_deref()),
        ("metrics", Some("4-1"))
    );
    assert_eq!(event.data["memory"]["usage_percent"], 50.0);
    assert_eq!(event.data.get("cpu"), None, "{event:?}");
    let (status, problem) = server
        .get("/api/v1/agents/host/metrics/stream?metrics=memori")
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        problem["detail"].as_str().unwrap().contains("memory"),
        "{problem}"
    );
    server.terminate().await;
    let last = reader.find(|event| event.name == "error").await;
    assert_eq!(last.data["code"], "server_stopping");
    assert!((1_000..=6_000).contains(&last.retry.unwrap()), "{last:?}");
}
