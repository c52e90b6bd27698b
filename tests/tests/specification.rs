//! The JSON that the specification prints, held against what the OpenAPI document says (from which clients have their types)
//! and against what a server and an agent answer.

#[path = "specification/shape.rs"]
mod shape;

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use serde_json::Value;

use shape::{Schemas, missing};

on_every_database!(answers_have_the_shapes_of_the_specification);

macro_rules! example {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            "../fixtures/specification/",
            $name,
            ".json"
        )))
        .expect("JSON of the specification")
    };
}

/// What not every host can tell: sensors, firmware, what only real disks and links have.
const NOT_EVERYWHERE: [&str; 9] = [
    "temperature_celsius",
    "base_frequency_ghz",
    "max_frequency_ghz",
    "memory_type",
    "speed_mhz",
    "speed_mbps",
    "disk_type",
    "swap_usage_percent",
    "io_util_percent",
];

/// What is in an example and not in an answer, but for what not every host can tell.
fn lacks(example: &Value, answer: &Value) -> Vec<String> {
    let mut missing = missing(example, answer);
    missing.retain(|path| {
        let name = path.rsplit('.').next().unwrap_or_default();
        !NOT_EVERYWHERE.contains(&name)
            && !path.contains("read_bytes_per_sec")
            && !path.contains("write_bytes_per_sec")
    });
    missing
}

#[test]
fn the_document_describes_every_example() {
    let schemas = Schemas(nodeglass_server::api::openapi());
    for (name, schema, example) in [
        ("system", "SystemBody", example!("system")),
        ("metrics", "Snapshot", example!("metrics")),
        ("history", "HistoryBody", with_ours(example!("history"))),
        ("agents", "Overview", example!("agents")),
        ("first event", "Sample", example!("events")[0].clone()),
        ("second event", "Sample", example!("events")[1].clone()),
    ] {
        let problems = schemas.problems(&example, schema);
        assert!(problems.is_empty(), "{name}: {problems:#?}");
    }
    let mut wrong = example!("metrics");
    wrong["cpu"]["usage_percent"] = "much".into();
    wrong["cpu"]["usage"] = 1.into();
    assert_eq!(
        schemas.problems(&wrong, "Snapshot").len(),
        2,
        "what does not fit is noticed"
    );
}

/// An answer on history says more than the example: why there is nothing where there is nothing, and what it is made of.
fn with_ours(mut history: Value) -> Value {
    let ours = [
        ("truncated", false.into()),
        ("resolution", "raw".into()),
        ("source", "store".into()),
        ("gaps", Value::Array(Vec::new())),
    ];
    for (name, value) in ours {
        history[name] = value;
    }
    history
}

async fn answers_have_the_shapes_of_the_specification(database: Database) {
    let server = Server::start(&database).await;
    let _agent = Agent::start(&server, "host").await;
    // Rates need two readings, and a bucket has to be over.
    let snapshot = eventually("a whole sample", async || {
        let (_, sample) = server.get("/api/v1/agents/host/metrics").await;
        sample["cpu"]["usage_percent"].is_number().then_some(sample)
    })
    .await;
    let system = server.ok("/api/v1/agents/host/system").await;
    let path = "/api/v1/agents/host/metrics/history?metrics=cpu.usage_percent,memory.usage_percent&start=-10m&interval=60";
    let history = eventually("history", async || {
        let history = server.ok(path).await;
        // The first reading has no rates, and may be alone in its bucket.
        let has_rates = |bucket: &Value| bucket["cpu.usage_percent"].is_number();
        history["data"]
            .as_array()?
            .iter()
            .any(has_rates)
            .then_some(history)
    })
    .await;
    let agents = server.ok("/api/v1/metrics/agents").await;
    for (name, example, answer) in [
        ("system", example!("system"), &system),
        ("metrics", example!("metrics"), &snapshot),
        ("history", example!("history"), &history),
        ("agents", example!("agents"), &agents),
        ("event", example!("events")[0].clone(), &snapshot),
    ] {
        assert_eq!(lacks(&example, answer), [""; 0], "{name}: {answer:#}");
    }
    let schemas = Schemas(server.ok("/api/v1/openapi.json").await);
    for (answer, schema) in [
        (&system, "SystemBody"),
        (&snapshot, "Snapshot"),
        (&history, "HistoryBody"),
        (&agents, "Overview"),
    ] {
        assert_eq!(schemas.problems(answer, schema), [""; 0], "{schema}: {answer:#}");
    }
}
