//! gRPC with a client that we did not write, which knows of the server only what it says of itself: Python's `grpcio`. It makes
//! the calls of `docs/grpc.md`, in plain text and over TLS.

use std::path::PathBuf;

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::{eventually, on_every_database, process, python};
use serde_json::{Value, json};

on_every_database!(every_example_of_the_document_works);

/// What the program found.
async fn examples(server: &Server, token: &str, replacements: &[String]) -> Value {
    let (_, address) = server.url.split_once("://").unwrap();
    let document = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grpc.md"));
    let ca = server.ca().map(|ca| ca.display().to_string()).unwrap_or_default();
    let mut program = tokio::process::Command::new(python::interpreter());
    program
        .arg(python::script("grpc_examples.py"))
        .args([address, token, &ca])
        .arg(document);
    let hour_ago = nodeglass_tests::fake_agent::now().seconds() - 3_600;
    program.args([
        format!("1700000000={hour_ago}"),
        format!("1700003600={}", hour_ago + 3_900),
    ]);
    program.args(replacements);
    let output = process::run(&mut program).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn every_example_of_the_document_works(database: Database) {
    let server = if database.is_sqlite() {
        Server::start(&database).await
    } else {
        Server::start_with_tls(&database).await
    };
    let _agent = Agent::start_with(&server, "web-01", "metrics: {collection_interval: 1s}").await;
    eventually("its processes and rates to be stored", async || {
        let answer = server.ok("/api/v1/agents/web-01/processes").await;
        let usage = server
            .ok("/api/v1/agents/web-01/metrics/history?metrics=cpu.usage_percent&start=-1h")
            .await;
        let has_rates = usage["data"]
            .as_array()?
            .iter()
            .any(|point| point["cpu.usage_percent"].is_number());
        (has_rates && !answer["processes"].as_array()?.is_empty()).then_some(())
    })
    .await;
    let found = examples(&server, TOKEN, &[]).await;
    let services: Vec<_> = found["services"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for service in [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "nodeglass.v1.AgentService",
        "nodeglass.v1.MetricsService",
    ] {
        assert!(services.contains(&service), "{service} in {services:?}");
    }
    assert_eq!(
        (&found["health "], &found["health nodeglass.v1.MetricsService"]),
        (&json!("SERVING"), &json!("SERVING"))
    );
    let calls = &found["calls"];
    let answer = |method: &str, call: usize| {
        let answer = &calls[method][call][0];
        assert!(answer.is_object(), "{method}: {}", calls[method][call]);
        answer.clone()
    };
    assert_eq!(answer("ListAgents", 0)["agents"][0]["agent_id"], "web-01");
    assert!(answer("GetSystemInfo", 0)["software"]["hostname"].is_string());
    assert!(answer("GetMetrics", 0)["cpu"].is_object());
    let streamed = answer("StreamMetrics", 0);
    assert!(
        streamed["memory"]["usage_percent"].is_number() && streamed.get("load").is_none(),
        "{streamed}"
    );
    assert!(answer("QueryHistory", 0)["data_points"][0]["values"]["cpu.usage_percent"].is_number());
    let ledger = answer("GetLedger", 0);
    assert!(
        ledger["server"]["stored"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0,
        "{ledger}"
    );
    answer("ListTasks", 0);
    assert!(answer("GetProcesses", 0)["processes"][0]["pid"].is_number());
    assert_eq!(answer("ExecuteTask", 0)["status"], "STATUS_SUCCEEDED");
    let latest = answer("GetLatest", 0);
    assert_eq!(
        (&latest["readings"][0]["agent_id"], &latest["unit"]),
        (&json!("web-01"), &json!("%"))
    );
    assert_eq!(answer("GetTop", 0)["readings"][0]["agent_id"], "web-01");
    assert_eq!(answer("GetTop", 1)["resolution"], "raw");
    let fleet = answer("QueryFleetHistory", 0);
    assert_eq!(fleet["agent_id"], "web-01");
    assert!(fleet["history"]["data_points"][0]["values"].is_object());
    assert!(answer("QueryFleetHistory", 1)["history"]["data_points"][0]["values"].is_object());
    assert_eq!(answer("StreamFleet", 0)["agent_id"], "web-01");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_agent_and_a_lesser_role_are_refused() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let viewer = server.add_token("viewer", "viewer").await;
    let unknown = ["web-01=nobody", "web-*=nobody-*"].map(str::to_owned);
    let found = examples(&server, &viewer, &unknown).await;
    for (method, answers) in found["calls"].as_object().unwrap() {
        let expected = match method.as_str() {
            "ListAgents" | "GetLatest" | "GetTop" => continue,
            // A pattern waits for whoever joins.
            "StreamFleet" => "DEADLINE_EXCEEDED",
            "ExecuteTask" => "PERMISSION_DENIED",
            _ => "NOT_FOUND",
        };
        for answer in answers.as_array().unwrap() {
            let is_expected = answer.as_str().is_some_and(|text| text.starts_with(expected));
            assert!(is_expected, "{method}: {answer}");
        }
    }
}
