//! Hosts and programs without our agent: they register, give signs of life and push figures, and all is as if an agent sent them.

use std::time::Duration;

use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database, process, python};
use reqwest::StatusCode;
use serde_json::{Value, json};

on_every_database!(
    a_push_is_seen_everywhere_and_stored_once,
    a_push_survives_a_kill_and_its_repetition_is_known_afterwards,
);

const PATH: &str = "/api/v1/agents/web-server-01/metrics";

async fn post(server: &Server, path: &str, body: Value) -> (StatusCode, Value) {
    let response = server.post(path).json(&body).send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

async fn register(server: &Server) {
    let (status, body) = post(
        server,
        "/api/v1/agents/register",
        json!({"agent_id": "web-server-01"}),
    )
    .await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
}

async fn a_push_is_seen_everywhere_and_stored_once(database: Database) {
    let server = Server::start(&database).await;
    let body = json!({"agent_id": "web-server-01", "hostname": "web", "os": "Linux", "metrics_interval": 30});
    let (status, _) = post(&server, "/api/v1/agents/register", body.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, again) = post(&server, "/api/v1/agents/register", body).await;
    assert_eq!((status, &again["created"]), (StatusCode::OK, &json!(false)));
    let overview = server.overview("web-server-01").await.unwrap();
    assert_eq!(overview["status"], "connected", "{overview}");

    let at = now().seconds() - 60;
    let body = json!({
        "cpu_usage": 12.5, "memory_usage": 40, "disk_usage": 71.25, "network_io": 1500, "response_time": 23.4,
        "requests_per_minute": 600, "error_rate": 0.5, "custom_metrics": {"queue_length": 17}, "timestamp": at,
    });
    let (status, first) = post(&server, PATH, body.clone()).await;
    assert_eq!(
        (status, &first["status"]),
        (StatusCode::OK, &json!("success")),
        "{first}"
    );
    assert_eq!(
        (&first["timestamp"], &first["repeated"]),
        (&json!(at * 1000), &json!(false))
    );
    let (status, second) = post(&server, PATH, body.clone()).await;
    assert_eq!((status, &second["repeated"]), (StatusCode::OK, &json!(true)));
    assert_eq!(database.times("web-server-01").await.unwrap().len(), 1);

    let live = server.ok(PATH).await;
    assert_eq!(live["app"]["response_time_ms"], 23.4, "{live}");
    assert_eq!(live["custom"], json!([{"name": "queue_length", "value": 17.0}]));
    let figures = server.ok(&format!("{PATH}?hours=1")).await;
    let mut entry = figures["metrics"].as_array().unwrap().last().unwrap().clone();
    entry.as_object_mut().unwrap().remove("timestamp");
    assert_eq!(
        entry,
        json!({
            "cpu_usage": 12.5, "memory_usage": 40.0, "disk_usage": 71.25, "network_io": 1500.0, "response_time": 23.4,
            "requests_per_minute": 600.0, "error_rate": 0.5,
        })
    );
    let history = server
        .ok(&format!(
            "{PATH}/history?metrics=custom.value@queue_length,app.error_percent&start=-1h"
        ))
        .await;
    let point = &history["data"][0];
    assert_eq!(
        (&point["custom.value@queue_length"], &point["app.error_percent"]),
        (&json!(17.0), &json!(0.5)),
        "{history}"
    );
    let ledger = server.ok("/api/v1/agents/web-server-01/ledger").await;
    assert_eq!(
        (&ledger["server"]["stored"], &ledger["server"]["duplicate"]),
        (&json!(1), &json!(1)),
        "{ledger}"
    );
    let system = server.ok("/api/v1/agents/web-server-01/system").await;
    assert_eq!(system["software"]["hostname"], "web");

    // Other figures at the same time are no repetition, and are not lost in silence.
    let mut other = body;
    other["cpu_usage"] = json!(13);
    let (status, problem) = post(&server, PATH, other).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("push_conflict"))
    );
    let old = json!({"cpu_usage": 1, "timestamp": at - 60});
    assert_eq!(post(&server, PATH, old).await.0, StatusCode::OK);
    assert_eq!(
        server.ok(PATH).await["cpu"]["usage_percent"],
        12.5,
        "an older one is not the latest"
    );
}

async fn a_push_survives_a_kill_and_its_repetition_is_known_afterwards(database: Database) {
    let mut server = Server::start_to_be_killed(&database, "").await;
    register(&server).await;
    let keyed = async |server: &Server, key: &str, body: Value| {
        let response = server.post(PATH).header("Idempotency-Key", key).json(&body);
        let response = response.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let at = now().seconds();
    let body = json!({"cpu_usage": 5, "timestamp": at});
    assert_eq!(keyed(&server, "one", body.clone()).await.0, StatusCode::OK);
    let twin = json!({"cpu_usage": 6, "timestamp": at});
    assert_eq!(
        keyed(&server, "two", twin).await.0,
        StatusCode::OK,
        "another key is another push"
    );
    let timeless = json!({"cpu_usage": 7});
    let (_, first) = keyed(&server, "three", timeless.clone()).await;
    let (_, second) = keyed(&server, "three", timeless).await;
    assert_eq!(
        first["timestamp"], second["timestamp"],
        "it has the time that it had at first"
    );
    let (status, _) = keyed(&server, "three", json!({"cpu_usage": 8})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    // What was answered is stored.
    server.kill().await;
    server.start_again().await;
    assert_eq!(database.times("web-server-01").await.unwrap().len(), 3);
    assert_eq!(keyed(&server, "one", body).await.0, StatusCode::OK);
    assert_eq!(
        database.times("web-server-01").await.unwrap().len(),
        3,
        "the store knows it"
    );
    let ledger = server.ok("/api/v1/agents/web-server-01/ledger").await;
    assert_eq!(ledger["server"]["duplicate"], 2, "{ledger}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_the_guide_works_with_a_token_for_its_host_alone() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    server.add_agent("other").await;
    let token = server
        .command(&[
            "token",
            "add",
            "web-server-01",
            "--role",
            "operator",
            "--agents",
            "web-server-01",
        ])
        .await;
    let token = token.trim();
    let mut script = tokio::process::Command::new(python::interpreter());
    script
        .arg(python::script("agent_metrics_client.py"))
        .args([&server.url, "web-server-01", token, "3"]);
    let output = process::run(&mut script).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(database.times("web-server-01").await.unwrap().len(), 3);
    let figures = server.ok(&format!("{PATH}?hours=1")).await;
    let last = figures["metrics"].as_array().unwrap().last().unwrap().clone();
    for name in [
        "cpu_usage",
        "memory_usage",
        "disk_usage",
        "network_io",
        "response_time",
    ] {
        assert!(last[name].is_number(), "{name} in {last}");
    }
    // The token is for no other agent, of which it does not even learn that it is there.
    for agent in ["other", "nobody"] {
        let path = format!("/api/v1/agents/{agent}/metrics");
        let foreign = server
            .anonymous_post(&path)
            .bearer_auth(token)
            .json(&json!({"cpu_usage": 1}));
        assert_eq!(foreign.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    let make = server
        .anonymous_post("/api/v1/agents/register")
        .bearer_auth(token)
        .json(&json!({"agent_id": "mine"}));
    assert_eq!(make.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_taken_is_refused_with_a_reason() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    register(&server).await;
    let future = now().plus(Duration::from_hours(1)).seconds();
    let long = "x".repeat(65);
    for (body, status, code) in [
        (json!({"cpu": 1}), 400, "invalid_body"),
        (json!({}), 400, "invalid_parameter"),
        (json!({"cpu_usage": 101}), 422, "invalid_value"),
        (
            json!({"cpu_usage": 1, "timestamp": future}),
            422,
            "future_timestamp",
        ),
        (
            json!({"cpu_usage": 1, "timestamp": "soon"}),
            400,
            "invalid_parameter",
        ),
        (json!({"custom_metrics": {long: 1}}), 400, "invalid_parameter"),
        (
            json!({"custom_metrics": {"x": "y".repeat(70_000)}}),
            413,
            "too_large",
        ),
    ] {
        let (found, problem) = post(&server, PATH, body.clone()).await;
        assert_eq!(
            (found.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{body} {problem}"
        );
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    let broken = server
        .post(PATH)
        .header("content-type", "application/json")
        .body("{not json");
    assert_eq!(broken.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let viewer = server.add_token("viewer", "viewer").await;
    let refused = server
        .anonymous_post(PATH)
        .bearer_auth(viewer)
        .json(&json!({"cpu_usage": 1}));
    assert_eq!(refused.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let anonymous = server.anonymous_post(PATH).json(&json!({"cpu_usage": 1}));
    assert_eq!(anonymous.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert!(
        database.times("web-server-01").await.unwrap().is_empty(),
        "nothing of it is stored"
    );

    // An agent that reports by itself is reported for by nobody else.
    let mut agent = FakeAgent::open(&server.enrolment("real").await, 1).await.unwrap();
    agent.send([(1, sample(now(), 5.0))]).await;
    agent.settled(1).await.unwrap();
    let (status, problem) = post(&server, "/api/v1/agents/real/metrics", json!({"cpu_usage": 1})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("agent_reports_itself"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_falls_silent_is_shown_as_disconnected() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let body = json!({"agent_id": "web-server-01", "heartbeat_interval": 1});
    assert_eq!(
        post(&server, "/api/v1/agents/register", body).await.0,
        StatusCode::CREATED
    );
    let status = async || server.overview("web-server-01").await.unwrap()["status"].clone();
    assert_eq!(status().await, "connected");
    eventually("its silence to be noticed", async || {
        (status().await == "disconnected").then_some(())
    })
    .await;
    let path = "/api/v1/agents/web-server-01/heartbeat";
    assert_eq!(post(&server, path, json!({})).await.0, StatusCode::OK);
    assert_eq!(status().await, "connected");
}
