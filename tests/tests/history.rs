//! History returns what was sent, bucket by bucket.

use nodeglass_model::sample::NetworkMetrics;
use nodeglass_model::{Sample, UnixMillis};
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use serde_json::{Value, json};

on_every_database!(
    buckets_hold_what_was_sent,
    devices_are_told_apart,
    a_full_answer_says_so,
    the_persist_interval_stores_means,
    retention_removes_what_is_older,
    agents_are_kept_as_long_as_was_said_of_them,
);

/// A minute that lies a few minutes back, so that nothing here is from the future.
fn whole_minute() -> i64 {
    now().seconds() / 60 * 60 - 600
}

async fn history(server: &Server, parameters: &str) -> Value {
    server
        .ok(&format!("/api/v1/agents/host/metrics/history?{parameters}"))
        .await
}

async fn buckets_hold_what_was_sent(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let start = whole_minute();
    // A sample each second for three minutes, but none in the second one.
    let seconds = (0..60).chain(120..180);
    let samples: Vec<(u64, Sample)> = seconds
        .map(|second| {
            let at = UnixMillis::from_seconds(start + second);
            (second.unsigned_abs() + 1, sample(at, (second % 50) as f64 + 0.25))
        })
        .collect();
    agent.send(samples).await;
    let (stored, rejected) = agent.settled(120).await.unwrap();
    assert_eq!((stored.len(), rejected.len()), (120, 0));

    let found = history(
        &server,
        &format!(
            "metrics=cpu.usage_percent&start={start}&end={}&interval=60",
            start + 180
        ),
    )
    .await;
    // 0 to 49 and 0 to 9 make (1225 + 45) / 60; 120 to 179 are 20 to 49 and 0 to 29: (1035 + 435) / 60.
    let expected = json!([
        { "timestamp": start, "cpu.usage_percent": 21.4167 },
        { "timestamp": start + 120, "cpu.usage_percent": 24.75 },
    ]);
    assert_eq!(found["data"], expected);

    let found = history(
        &server,
        &format!(
            "metrics=cpu.usage_percent&start={}&end={}&interval=1",
            start + 3,
            start + 6
        ),
    )
    .await;
    let expected = json!([
        { "timestamp": start + 3, "cpu.usage_percent": 3.25 },
        { "timestamp": start + 4, "cpu.usage_percent": 4.25 },
        { "timestamp": start + 5, "cpu.usage_percent": 5.25 },
    ]);
    assert_eq!(
        found["data"], expected,
        "start belongs to the range, end does not"
    );
    assert_eq!(found["truncated"], false);
}

async fn devices_are_told_apart(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let start = whole_minute();
    let with = |second: i64, errors: u64| {
        let interface = |name: &str, sent: u64| NetworkMetrics {
            interface: name.to_owned(),
            bytes_sent_per_sec: Some(sent),
            errors_in: Some(errors),
            ..Default::default()
        };
        Sample {
            timestamp: UnixMillis::from_seconds(start + second),
            network_interfaces: vec![interface("eth0", 100), interface("eth0.100", 7)],
            ..Default::default()
        }
    };
    agent.send([(1, with(0, 3)), (2, with(1, 5))]).await;
    agent.settled(2).await.unwrap();
    let metrics = "network.bytes_sent_per_sec,network.bytes_sent_per_sec@*,network.errors_in@eth0.100";
    let found = history(
        &server,
        &format!("metrics={metrics}&start={start}&end={}&interval=60", start + 60),
    )
    .await;
    let expected = json!([{
        "timestamp": start,
        "network.bytes_sent_per_sec": 107.0,
        "network.bytes_sent_per_sec@eth0": 100.0,
        "network.bytes_sent_per_sec@eth0.100": 7.0,
        "network.errors_in@eth0.100": 5.0,
    }]);
    assert_eq!(
        found["data"], expected,
        "the last of a counter, the mean of a rate, the sum of devices"
    );
}

async fn a_full_answer_says_so(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let start = whole_minute();
    let at = |second: i64| sample(UnixMillis::from_seconds(start + second), 1.0);
    agent
        .send((0_i64..30).map(|second| (second.unsigned_abs() + 1, at(second))))
        .await;
    agent.settled(30).await.unwrap();
    let range = format!("metrics=cpu.usage_percent&start={start}&end={}", start + 600);
    let cut = history(&server, &format!("{range}&interval=1&max_points=10")).await;
    assert_eq!(
        (cut["data"].as_array().unwrap().len(), &cut["truncated"]),
        (10, &json!(true))
    );
    let wide = history(&server, &format!("{range}&max_points=10")).await;
    assert_eq!(
        (&wide["query"]["interval_seconds"], &wide["truncated"]),
        (&json!(60), &json!(false))
    );
}

async fn the_persist_interval_stores_means(database: Database) {
    let config = "metrics: {storage: {persist_interval: 30s}}";
    let mut server = Server::start_with(&database, Some(config)).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let start = whole_minute();
    let at = |second: i64, usage: f64| sample(UnixMillis::from_seconds(start + second), usage);
    agent
        .send([
            (1, at(0, 10.0)),
            (2, at(10, 20.0)),
            (3, at(20, 60.0)),
            (4, at(30, 5.0)),
        ])
        .await;
    let (stored, _) = agent.settled(3).await.unwrap();
    assert_eq!(
        stored,
        [1, 2, 3],
        "acknowledged together, once their interval's mean is stored"
    );
    assert_eq!(database.stored().await.unwrap().len(), 1);
    let found = history(
        &server,
        &format!(
            "metrics=cpu.usage_percent&start={start}&end={}&interval=30",
            start + 60
        ),
    )
    .await;
    assert_eq!(
        found["data"],
        json!([{ "timestamp": start, "cpu.usage_percent": 30.0 }])
    );

    assert_eq!(server.terminate().await, Some(0));
    assert_eq!(
        database.stored().await.unwrap().len(),
        2,
        "the open interval is stored at the end"
    );
}

async fn retention_removes_what_is_older(database: Database) {
    let config = "metrics: {storage: {retention_period: 1m, compaction_interval: 1s}}";
    let server = Server::start_with(&database, Some(config)).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let start = whole_minute();
    agent
        .send([(1, sample(UnixMillis::from_seconds(start), 1.0))])
        .await;
    agent.settled(1).await.unwrap();
    let until = now().seconds() + 600;
    let parameters = format!("metrics=cpu.usage_percent&start={start}&end={until}&interval=60");
    let found = history(&server, &parameters).await;
    assert_eq!(
        found["data"],
        json!([]),
        "it is not shown, wherever it is: {found}"
    );
    assert_eq!(found["gaps"][0]["reason"], "expired");
    eventually("the old sample to go", async || {
        database.stored().await.ok()?.is_empty().then_some(())
    })
    .await;

    agent.send([(2, sample(now(), 2.0))]).await;
    agent.settled(1).await.unwrap();
    let found = history(&server, &parameters).await;
    assert_eq!(
        found["data"][0]["cpu.usage_percent"], 2.0,
        "a new one is shown: {found}"
    );
    assert_eq!(database.stored().await.unwrap(), [("host".to_owned(), 1, 2)]);
}

async fn agents_are_kept_as_long_as_was_said_of_them(database: Database) {
    let config = "metrics: {storage: {retention_period: 1m, compaction_interval: 1s}}";
    let server = Server::start_with(&database, Some(config)).await;
    let start = whole_minute();
    let long = server.enrolment("host").await;
    let said = server
        .command(&["agent", "retention", "host", "--raw", "2h"])
        .await;
    assert!(said.contains("host   2h       default"), "{said}");
    let mut agents = Vec::new();
    for enrolment in [long, server.enrolment("other").await] {
        let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
        agent
            .send([(1, sample(UnixMillis::from_seconds(start), 1.0))])
            .await;
        agent.settled(1).await.unwrap();
        agents.push(agent);
    }
    let until = start + 60;
    let parameters = format!("metrics=cpu.usage_percent&start={start}&end={until}&interval=60");
    // The running server is not told; it looks.
    eventually("the server to know how long it is kept", async || {
        let found = history(&server, &parameters).await;
        (found["data"][0]["cpu.usage_percent"] == 1.0 && found["gaps"] == json!([])).then_some(())
    })
    .await;
    eventually("the other agent's to go, and only that", async || {
        let stored = database.stored().await.ok()?;
        assert!(stored.iter().any(|(agent, ..)| agent == "host"), "{stored:?}");
        (stored.len() == 1).then_some(())
    })
    .await;

    server.command(&["agent", "retention", "host", "--default"]).await;
    assert_eq!(
        server.command(&["agent", "retention"]).await.lines().count(),
        1,
        "nothing is said of any agent any more"
    );
    eventually("the agent's own sample to go, too", async || {
        database.stored().await.ok()?.is_empty().then_some(())
    })
    .await;
}
