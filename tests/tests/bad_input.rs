//! What callers and agents get wrong: a clear error, nothing lost, nobody else disturbed.

use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_proto::limits::MAX_MESSAGE_BYTES;
use nodeglass_proto::v1;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::on_every_database;
use nodeglass_tests::server::{Server, TOKEN};
use reqwest::StatusCode;
use tonic::Code;

on_every_database!(
    callers_are_told_what_is_wrong,
    tokens_are_needed_and_checked,
    bad_samples_are_refused_one_by_one,
    an_oversized_message_ends_only_its_own_session,
    agents_can_only_be_themselves,
    streams_are_limited,
);

async fn callers_are_told_what_is_wrong(database: Database) {
    let server = Server::start(&database).await;
    server.add_agent("web-01").await;
    let history = "/api/v1/agents/web-01/metrics/history";
    let bad = StatusCode::BAD_REQUEST;
    for (path, status, code, hint) in [
        (
            "/api/v1/agents/web-02/metrics",
            StatusCode::NOT_FOUND,
            "unknown_agent",
            "web-01",
        ),
        (
            "/api/v1/agents/..%2f..%2f/metrics",
            StatusCode::NOT_FOUND,
            "unknown_agent",
            "lists all",
        ),
        (
            "/api/v1/agents/web-01/metrics",
            StatusCode::NOT_FOUND,
            "no_metrics",
            "check that it runs",
        ),
        (
            "/api/v1/agents/web-01/system",
            StatusCode::NOT_FOUND,
            "no_system_info",
            "check that it runs",
        ),
        (
            "/api/v1/agents/web-01/system?packages=true",
            StatusCode::SERVICE_UNAVAILABLE,
            "agent_disconnected",
            "try again",
        ),
        (
            "/api/v1/agents/web-01/system?packages=perhaps",
            bad,
            "invalid_parameter",
            "true or false",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percnt"),
            bad,
            "unknown_metric",
            "cpu.usage_percent",
        ),
        (history, bad, "missing_parameter", "metrics="),
        (
            &format!("{history}?metrics=cpu.usage_percent&start=200&end=100"),
            bad,
            "invalid_range",
            "swap",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&start=0"),
            bad,
            "invalid_range",
            "days",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&start=NaN"),
            bad,
            "invalid_parameter",
            "RFC 3339",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&end=9999999999999999"),
            bad,
            "invalid_parameter",
            "RFC 3339",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&interval=0"),
            bad,
            "invalid_interval",
            "whole seconds",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&interval=NaN"),
            bad,
            "invalid_parameter",
            "whole seconds",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&interval=-5"),
            bad,
            "invalid_parameter",
            "whole seconds",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&max_points=10001"),
            bad,
            "invalid_parameter",
            "10000",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&max_points=0"),
            bad,
            "invalid_max_points",
            "1 to",
        ),
        (
            &format!("{history}?metrics=cpu.usage_percent&from=5"),
            bad,
            "invalid_parameter",
            "start",
        ),
        (
            &format!("{history}?metrics=a&metrics=b"),
            bad,
            "invalid_parameter",
            "twice",
        ),
        (
            "/api/v1/agents/web-01/metrics/stream?interval=0",
            bad,
            "invalid_parameter",
            "1 to",
        ),
        (
            "/api/v1/metrics/agents?metrics=nonsense",
            bad,
            "unknown_metric",
            "nearest",
        ),
        ("/api/v1/agents/%ff/metrics", bad, "invalid_parameter", "UTF-8"),
        ("/api/v1/nothing", StatusCode::NOT_FOUND, "not_found", "/api/docs"),
    ] {
        let (found, body) = server.get(path).await;
        assert_eq!(
            (found, &body["code"], &body["status"]),
            (status, &code.into(), &status.as_u16().into()),
            "{path}: {body}"
        );
        assert!(body["message"].as_str().unwrap().contains(hint), "{path}: {body}");
    }
}

async fn tokens_are_needed_and_checked(database: Database) {
    let server = Server::start(&database).await;
    let health = server.anonymous("/health").send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    for path in [
        "/ready",
        "/api/v1/metrics/agents",
        "/api/metrics/agents",
        "/api/v1/agents/x/metrics/stream",
        "/nothing",
    ] {
        let missing = server.anonymous(path).send().await.unwrap();
        assert_eq!(missing.status(), StatusCode::UNAUTHORIZED, "{path}");
        let body: serde_json::Value = missing.json().await.unwrap();
        assert_eq!(body["code"], "missing_token", "{path}");
        let wrong = server
            .anonymous(path)
            .bearer_auth("ngt_wrong")
            .send()
            .await
            .unwrap();
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED, "{path}");
        let body: serde_json::Value = wrong.json().await.unwrap();
        assert_eq!(body["code"], "invalid_token", "{path}");
    }
    assert_eq!(server.ok("/ready").await["status"], "ready");
    let string = Enrolment::decode(&server.add_agent("host").await).unwrap();
    let agents = server
        .anonymous("/api/v1/metrics/agents")
        .bearer_auth(&string.token)
        .send()
        .await
        .unwrap();
    assert_eq!(
        agents.status(),
        StatusCode::UNAUTHORIZED,
        "an agent's token reads nothing"
    );
    if let Some(file) = database.url().strip_prefix("sqlite://") {
        for path in [file.to_owned(), format!("{file}-wal")] {
            let kept = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
            assert!(
                !kept.contains(&string.token) && !kept.contains(TOKEN),
                "only hashes are stored"
            );
        }
    }
}

async fn bad_samples_are_refused_one_by_one(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let mut other = FakeAgent::open(&server.enrolment("other").await, 1)
        .await
        .unwrap();
    let at = now();
    let usage = |usage| v1::MetricsDataResponse {
        timestamp: at.0.unsigned_abs(),
        cpu: Some(v1::CpuMetrics {
            usage_percent: Some(usage),
            ..Default::default()
        }),
        ..Default::default()
    };
    let good = |seq: u64| {
        (
            seq,
            v1::MetricsDataResponse::from(&sample(UnixMillis(at.0 - 1000 + seq as i64), 50.0)),
        )
    };
    let future = at.plus(Duration::from_hours(1));
    agent
        .send_raw(
            vec![
                good(1),
                (2, usage(f64::NAN)),
                (3, usage(f64::INFINITY)),
                (4, usage(-1.0)),
                (5, v1::MetricsDataResponse::from(&sample(future, 1.0))),
                (6, v1::MetricsDataResponse::default()),
                good(7),
                good(7),
                (0, usage(1.0)),
            ],
            false,
        )
        .await;
    let (stored, rejected) = agent.settled(8).await.unwrap();
    assert_eq!(
        stored,
        [1, 7],
        "the good ones between the bad are stored, the repeated one once"
    );
    let words: Vec<(u64, &str)> = rejected
        .iter()
        .map(|word| (word.seq, word.code.as_str()))
        .collect();
    let expected = [
        (2, "invalid_value"),
        (3, "invalid_value"),
        (4, "invalid_value"),
        (5, "future_timestamp"),
        (6, "invalid_sample"),
        (0, "invalid_sample"),
    ];
    assert_eq!(words, expected);
    assert!(
        rejected[0].message.contains("cpu.usage_percent is NaN"),
        "{}",
        rejected[0].message
    );
    assert!(
        rejected[3].message.contains("set the host's clock"),
        "{}",
        rejected[3].message
    );

    other.send_raw([good(1)], false).await;
    assert_eq!(other.settled(1).await.unwrap().0, [1], "nobody else is disturbed");
    let late = (
        8,
        v1::MetricsDataResponse::from(&sample(UnixMillis(at.0 - 5000), 10.0)),
    );
    agent.send_raw([good(1), late], true).await;
    assert_eq!(
        agent.settled(2).await.unwrap().0,
        [1, 8],
        "and the session goes on"
    );
    let latest = server.ok("/api/v1/agents/host/metrics").await;
    assert_eq!(
        latest["cpu"]["usage_percent"], 50.0,
        "the live view shows neither bad samples nor old ones"
    );
    assert_eq!(database.stored().await.unwrap().len(), 4);
}

async fn an_oversized_message_ends_only_its_own_session(database: Database) {
    let server = Server::start(&database).await;
    let enrolment = server.enrolment("host").await;
    let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
    let mut other = FakeAgent::open(&server.enrolment("other").await, 1)
        .await
        .unwrap();
    let failure = v1::CollectFailure {
        collector: "disk".into(),
        reason: "x".repeat(MAX_MESSAGE_BYTES + 1),
    };
    let data = v1::MetricsDataResponse {
        timestamp: 1,
        failures: vec![failure],
        ..Default::default()
    };
    agent.send_raw([(1, data)], false).await;
    let end = agent.settled(1).await.unwrap_err();
    assert!(end.message().contains(&MAX_MESSAGE_BYTES.to_string()), "{end}");
    other.send([(1, sample(now(), 1.0))]).await;
    other.settled(1).await.unwrap();
    let mut again = FakeAgent::open(&enrolment, 1).await.unwrap();
    again.send([(2, sample(now(), 1.0))]).await;
    assert_eq!(again.settled(1).await.unwrap().0, [2]);
}

async fn agents_can_only_be_themselves(database: Database) {
    let server = Server::start(&database).await;
    let enrolment = server.enrolment("host").await;
    server.add_agent("victim").await;
    let refused = FakeAgent::open_with(&enrolment, 1, "Bearer nga_wrong")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let refused = FakeAgent::open_as(&enrolment, "victim", 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(
        refused.message().contains("belongs to the agent host"),
        "{refused}"
    );

    let mut first = FakeAgent::open(&enrolment, 1).await.unwrap();
    let mut second = FakeAgent::open(&enrolment, 2).await.unwrap();
    let end = first.next().await.unwrap_err();
    assert_eq!(
        end.code(),
        Code::Aborted,
        "the newer session ends the older: {end}"
    );
    second.send([(1, sample(now(), 1.0))]).await;
    second.settled(1).await.unwrap();
    assert_eq!(server.overview("host").await.unwrap()["status"], "connected");
}

async fn streams_are_limited(database: Database) {
    let config = "metrics: {api: {max_concurrent_streams: 1, rate_limiting: {requests_per_minute: 60}}}";
    let server = Server::start_with(&database, Some(config)).await;
    server.add_agent("host").await;
    let path = "/api/v1/agents/host/metrics/stream";
    let open = server.request(path).send().await.unwrap();
    assert_eq!(open.status(), StatusCode::OK);
    let (status, body) = server.get(path).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"too_many_streams".into())
    );
    drop(open);
    nodeglass_tests::eventually("the stream to be free again", async || {
        let response = server.request(path).send().await.unwrap();
        (response.status() == StatusCode::OK).then_some(())
    })
    .await;
    let limited = nodeglass_tests::eventually("the token's calls to be spent", async || {
        let response = server.request("/api/v1/metrics/agents").send().await.unwrap();
        (response.status() == StatusCode::TOO_MANY_REQUESTS).then_some(response)
    })
    .await;
    assert!(limited.headers().contains_key("retry-after"));
}
