//! What the server shows of a real agent is what this host does: figures agree with `/proc` read by the test.

use std::collections::HashMap;
use std::time::Duration;

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use serde_json::Value;

on_every_database!(
    figures_agree_with_proc,
    shapes_are_those_of_the_specification,
    a_stream_gives_each_sample,
    a_host_says_now_what_it_is_in_the_parts_that_are_asked_for
);

fn meminfo() -> HashMap<String, u64> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            Some((
                name.to_owned(),
                rest.split_whitespace().next()?.parse::<u64>().ok()? * 1024,
            ))
        })
        .collect()
}

/// Busy and all jiffies of the whole machine so far.
fn jiffies() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap();
    let modes: Vec<f64> = text
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap())
        .collect();
    // user nice system idle iowait irq softirq steal; the guests after them are part of user and nice.
    let all: f64 = modes[..8].iter().sum();
    (all - modes[3] - modes[4], all)
}

/// Receive errors and bytes of an interface so far.
fn received(interface: &str) -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/net/dev").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(&format!("{interface}:")))
        .unwrap();
    let fields: Vec<u64> = line
        .split_whitespace()
        .map(|field| field.parse().unwrap())
        .collect();
    (fields[2], fields[0])
}

/// The latest sample of an agent that has at least two behind it, so that rates are there.
async fn settled_sample(server: &Server, agent: &str) -> Value {
    eventually("a sample with rates", async || {
        let (_, sample) = server.get(&format!("/api/v1/agents/{agent}/metrics")).await;
        sample["cpu"]["usage_percent"].is_number().then_some(sample)
    })
    .await
}

fn near(found: &Value, expected: u64, tolerance: f64) -> bool {
    found
        .as_f64()
        .is_some_and(|found| (found - expected as f64).abs() <= tolerance * expected as f64)
}

async fn figures_agree_with_proc(database: Database) {
    let server = Server::start(&database).await;
    let _agent = Agent::start(&server, "host").await;
    let first = settled_sample(&server, "host").await;
    let (busy_before, all_before) = jiffies();

    let memory = meminfo();
    let shown = &first["memory"];
    assert_eq!(shown["total_bytes"], memory["MemTotal"]);
    assert_eq!(shown["swap_total_bytes"], memory["SwapTotal"]);
    assert!(
        near(&shown["available_bytes"], memory["MemAvailable"], 0.1),
        "{shown} {memory:?}"
    );
    let (total, used) = (
        shown["total_bytes"].as_u64().unwrap(),
        shown["used_bytes"].as_u64().unwrap(),
    );
    assert_eq!(used + shown["available_bytes"].as_u64().unwrap(), total);

    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(first["cpu"]["core_usage"].as_array().unwrap().len() >= cores);
    let modes = ["user", "system", "idle", "iowait", "irq", "softirq", "steal"];
    let sum: f64 = modes
        .iter()
        .map(|mode| first["cpu"][format!("{mode}_percent")].as_f64().unwrap())
        .sum();
    assert!((sum - 100.0).abs() < 0.1, "all modes make 100 %: {sum}");

    let (errors, _) = received("lo");
    let interfaces = first["network_interfaces"].as_array().unwrap();
    let loopback = interfaces
        .iter()
        .find(|interface| interface["interface"] == "lo")
        .unwrap();
    assert_eq!(loopback["errors_in"], errors);

    let processes = std::fs::read_dir("/proc").unwrap();
    let count = processes.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .parse::<u32>()
            .is_ok()
    });
    let (count, shown) = (
        count.count() as i64,
        first["processes"]["total_processes"].as_i64().unwrap(),
    );
    assert!((count - shown).abs() < 60, "{count} processes, {shown} shown");

    // Over some seconds, the mean of what is stored is what the kernel counted meanwhile.
    let started = first["timestamp"].as_i64().unwrap();
    let path =
        format!("/api/v1/agents/host/metrics/history?metrics=cpu.usage_percent&start={started}&interval=1");
    let stored = eventually("six stored samples", async || {
        let history = server.ok(&path).await;
        let values: Vec<f64> = history["data"]
            .as_array()?
            .iter()
            .map(|point| point["cpu.usage_percent"].as_f64().unwrap())
            .collect();
        (values.len() >= 7).then_some(values)
    })
    .await;
    let (busy_after, all_after) = jiffies();
    let counted = (busy_after - busy_before) / (all_after - all_before) * 100.0;
    // The first lies before the test's own reading.
    let mean = stored[1..].iter().sum::<f64>() / (stored.len() - 1) as f64;
    assert!(
        (mean - counted).abs() < 25.0,
        "{mean} % stored, {counted} % counted by the kernel"
    );
}

async fn shapes_are_those_of_the_specification(database: Database) {
    let server = Server::start(&database).await;
    assert_eq!(
        server.ok("/api/v1/metrics/agents").await,
        serde_json::json!({ "agents": [] })
    );
    let mut agent = Agent::start(&server, "host").await;
    let sample = settled_sample(&server, "host").await;
    assert_eq!(sample["agent_id"], "host");
    assert!(
        sample["timestamp"].as_i64().unwrap() > 1_700_000_000_000,
        "milliseconds"
    );
    for section in [
        "cpu",
        "memory",
        "disks",
        "network_interfaces",
        "processes",
        "load",
    ] {
        assert!(!sample[section].is_null(), "{section} in {sample}");
    }
    let under_api = server.ok("/api/agents/host/metrics").await;
    assert_eq!(under_api["agent_id"], "host");

    let system = server.ok("/api/v1/agents/host/system").await;
    assert_eq!(system["agent_id"], "host");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(system["software"]["os"]["kernel_version"], kernel.trim());
    assert_eq!(system["hardware"]["memory"]["total_bytes"], meminfo()["MemTotal"]);
    assert!(
        system["network_interfaces"]
            .as_array()
            .unwrap()
            .iter()
            .any(|interface| interface["name"] == "lo")
    );
    assert!(system["software"]["packages"].is_null(), "only on request");
    let with_packages = server.ok("/api/v1/agents/host/system?packages=true").await;
    assert!(with_packages["software"]["packages"].is_array());

    let now = sample["timestamp"].as_i64().unwrap() / 1000;
    let path = format!(
        "/api/v1/agents/host/metrics/history?metrics=cpu.usage_percent,memory.usage_percent&start={}&end={}&interval=60",
        now - 600,
        now + 60
    );
    let history = eventually("history", async || {
        let history = server.ok(&path).await;
        (!history["data"].as_array()?.is_empty()).then_some(history)
    })
    .await;
    assert_eq!(history["agent_id"], "host");
    assert_eq!(
        history["query"]["metrics"],
        serde_json::json!(["cpu.usage_percent", "memory.usage_percent"])
    );
    assert_eq!(history["query"]["start_timestamp"], now - 600);
    assert_eq!(history["query"]["interval_seconds"], 60);
    let point = &history["data"][0];
    assert_eq!(point["timestamp"].as_i64().unwrap() % 60, 0, "seconds, aligned");
    assert!(point["memory.usage_percent"].is_number());

    let overview = server.overview("host").await.unwrap();
    assert_eq!(overview["status"], "connected");
    assert!(overview["last_metrics_update"].is_i64());
    assert!(overview["metrics"]["cpu"]["usage_percent"].is_number());

    assert_eq!(agent.terminate().await, Some(0));
    let gone = eventually("the agent to be shown as disconnected", async || {
        server
            .overview("host")
            .await
            .filter(|overview| overview["status"] == "disconnected")
    })
    .await;
    assert!(
        gone["metrics"].is_null() && gone["last_metrics_update"].is_i64(),
        "{gone}"
    );
}

async fn a_stream_gives_each_sample(database: Database) {
    let server = Server::start(&database).await;
    let _agent = Agent::start(&server, "host").await;
    settled_sample(&server, "host").await;
    let request = server
        .request("/api/v1/agents/host/metrics/stream?interval=1")
        .timeout(Duration::from_mins(1));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while text.matches("event: metrics\n").count() < 3 || !text.ends_with("\n\n") {
        let chunk = response.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let timestamps: Vec<i64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| {
            serde_json::from_str::<Value>(data).unwrap()["timestamp"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert!(
        timestamps.windows(2).all(|pair| pair[0] < pair[1]),
        "{timestamps:?}"
    );
}

async fn a_host_says_now_what_it_is_in_the_parts_that_are_asked_for(database: Database) {
    let server = Server::start(&database).await;
    let _agent = Agent::start(&server, "host").await;
    eventually("a session", async || {
        let (status, _) = server.get("/api/v1/agents/host/metrics").await;
        status.is_success().then_some(())
    })
    .await;
    let parts = ["hardware", "software", "network_interfaces"];
    for (query, expected) in [
        ("include_hardware=true", [true, false, false]),
        ("include_software=true", [false, true, false]),
        ("include_network=true", [false, false, true]),
        (
            "include_hardware=true&include_network=true&include_software=false",
            [true, false, true],
        ),
    ] {
        let system = server.ok(&format!("/api/v1/agents/host/system?{query}")).await;
        let has = parts.map(|part| system.get(part).is_some_and(|part| !part.is_null()));
        assert_eq!(has, expected, "{query}: {system}");
    }
    let (status, _) = server
        .get("/api/v1/agents/host/system?include_hardware=perhaps")
        .await;
    assert_eq!(status, 400);
}
