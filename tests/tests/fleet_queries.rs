//! Questions about several agents, and answers in every form.

use std::io::Read;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
use arrow_ipc::reader::StreamReader;
use nodeglass_model::sample::NetworkMetrics;
use nodeglass_model::{Sample, UnixMillis};
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::on_every_database;
use nodeglass_tests::server::Server;
use reqwest::StatusCode;
use serde_json::{Value, json};

on_every_database!(
    histories_of_several_agents,
    the_latest_and_the_highest,
    buckets_show_what_is_asked_for,
    answers_in_every_form,
    a_few_figures_under_plain_names,
    senseless_questions_are_refused,
);

/// A minute that lies a few minutes back, so that nothing here is from the future.
fn whole_minute() -> i64 {
    now().seconds() / 60 * 60 - 600
}

/// A sample with a usage and an interface.
fn busy(second: i64, usage: f64, sent: u64) -> Sample {
    Sample {
        network_interfaces: vec![NetworkMetrics {
            interface: "eth0".to_owned(),
            bytes_sent_per_sec: Some(sent),
            ..Default::default()
        }],
        ..sample(UnixMillis::from_seconds(second), usage)
    }
}

/// Agents that have sent these samples.
async fn fleet(server: &Server, agents: &[(&str, &[Sample])]) -> Vec<FakeAgent> {
    let mut fleet = Vec::new();
    for (name, samples) in agents {
        let mut agent = FakeAgent::open(&server.enrolment(name).await, 1).await.unwrap();
        agent.send((1..).zip(samples.iter().cloned())).await;
        agent.settled(samples.len()).await.unwrap();
        fleet.push(agent);
    }
    fleet
}

async fn histories_of_several_agents(database: Database) {
    let server = Server::start(&database).await;
    let start = whole_minute();
    let _fleet = fleet(
        &server,
        &[
            ("web-1", &[busy(start, 10.0, 100), busy(start + 30, 20.0, 300)]),
            ("web-2", &[busy(start + 10, 30.5, 50), busy(start + 70, 40.0, 60)]),
            ("db-1", &[busy(start, 99.0, 7)]),
        ],
    )
    .await;
    let range = format!("start={start}&end={}&interval=60", start + 120);
    let metrics = "metrics=cpu.usage_percent,network.bytes_sent_per_sec@eth0";
    let found = server
        .ok(&format!("/api/v1/metrics/history?agents=web-*&{metrics}&{range}"))
        .await;
    let agents = found["agents"].as_array().unwrap();
    let data: Vec<_> = agents
        .iter()
        .map(|agent| (&agent["agent_id"], &agent["data"]))
        .collect();
    let row = |second: i64, usage: f64, sent: f64| json!({ "timestamp": start + second, "cpu.usage_percent": usage, "network.bytes_sent_per_sec@eth0": sent });
    assert_eq!(
        data,
        [
            (&json!("web-1"), &json!([row(0, 15.0, 200.0)])),
            (&json!("web-2"), &json!([row(0, 30.5, 50.0), row(60, 40.0, 60.0)])),
        ]
    );
    assert_eq!(agents[0]["resolution"], "raw");

    // Shares make a mean, bytes a sum.
    let found = server
        .ok(&format!(
            "/api/v1/metrics/history?agents=web-1,web-?&group_by=none&{metrics}&{range}"
        ))
        .await;
    assert_eq!(found["agents"], json!(["web-1", "web-2"]));
    assert_eq!(found["data"], json!([row(0, 22.75, 250.0), row(60, 40.0, 60.0)]));
}

async fn the_latest_and_the_highest(database: Database) {
    let server = Server::start(&database).await;
    let start = whole_minute();
    let mut fleet = fleet(
        &server,
        &[
            ("a", &[busy(start, 80.0, 1), busy(start + 60, 10.0, 1)]),
            ("b", &[busy(start, 20.0, 2), busy(start + 60, 30.0, 2)]),
            ("c", &[busy(start, 25.0, 3), busy(start + 60, 30.0, 3)]),
        ],
    )
    .await;
    let named = |body: &Value| -> Vec<(String, f64)> {
        let agents = body["agents"].as_array().unwrap().iter();
        agents
            .map(|entry| {
                (
                    entry["agent_id"].as_str().unwrap().to_owned(),
                    entry["value"].as_f64().unwrap(),
                )
            })
            .collect()
    };
    let owned = |expected: &[(&str, f64)]| -> Vec<(String, f64)> {
        expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    };
    let latest = server.ok("/api/v1/metrics/latest?metric=cpu.usage_percent").await;
    assert_eq!(named(&latest), owned(&[("a", 10.0), ("b", 30.0), ("c", 30.0)]));
    assert_eq!(
        (&latest["unit"], &latest["agents"][0]["timestamp"]),
        (&json!("%"), &json!((start + 60) * 1000))
    );
    let devices = server
        .ok("/api/v1/metrics/latest?metric=network.bytes_sent_per_sec@*&agents=b")
        .await;
    assert_eq!(devices["agents"][0]["device"], "eth0");

    let top = server
        .ok("/api/v1/metrics/top?metric=cpu.usage_percent&k=2")
        .await;
    assert_eq!(
        named(&top),
        owned(&[("b", 30.0), ("c", 30.0)]),
        "by name where they are equal"
    );
    let range = format!("start={start}&end={}", start + 120);
    let top = server
        .ok(&format!(
            "/api/v1/metrics/top?metric=cpu.usage_percent&k=2&{range}"
        ))
        .await;
    assert_eq!(
        named(&top),
        owned(&[("a", 45.0), ("c", 27.5)]),
        "means of the span"
    );
    let low = server
        .ok(&format!(
            "/api/v1/metrics/top?metric=cpu.usage_percent&k=1&order=asc&agg=max&{range}"
        ))
        .await;
    assert_eq!(
        (named(&low), &low["resolution"]),
        (owned(&[("b", 30.0)]), &json!("raw"))
    );

    // What an agent did that is away is not how it does now.
    drop(fleet.pop());
    nodeglass_tests::eventually("c to be gone", async || {
        let latest = server.ok("/api/v1/metrics/latest?metric=cpu.usage_percent").await;
        (named(&latest).len() == 2).then_some(())
    })
    .await;
}

async fn buckets_show_what_is_asked_for(database: Database) {
    let server = Server::start(&database).await;
    let start = whole_minute();
    // 1 to 20, out of order: 19 of 20 are 95 of 100.
    let samples: Vec<_> = (0..20)
        .map(|second| busy(start + second, ((second * 7) % 20 + 1) as f64, 5))
        .collect();
    let _fleet = fleet(&server, &[("host", &samples)]).await;
    for (agg, expected) in [
        ("avg", 10.5),
        ("min", 1.0),
        ("max", 20.0),
        ("sum", 210.0),
        // 19 * 7 % 20 + 1
        ("last", 14.0),
        ("p95", 19.0),
    ] {
        let found = server
            .ok(&format!(
                "/api/v1/agents/host/metrics/history?metrics=cpu.usage_percent&start={start}&end={}&interval=60&agg={agg}",
                start + 60
            ))
            .await;
        assert_eq!(found["data"][0]["cpu.usage_percent"], expected, "{agg}");
        assert_eq!(
            (&found["query"]["agg"], &found["resolution"]),
            (&json!(agg), &json!("raw"))
        );
    }
}

async fn answers_in_every_form(database: Database) {
    let server = Server::start(&database).await;
    let start = whole_minute();
    let samples: Vec<_> = (0..300)
        .map(|second| busy(start + second, (second % 100) as f64 + 0.5, 5))
        .collect();
    let _fleet = fleet(&server, &[("host", &samples)]).await;
    let one = format!(
        "/api/v1/agents/host/metrics/history?metrics=cpu.usage_percent,load.load1&start={start}&end={}&interval=1",
        start + 300
    );
    let ask = async |path: &str, accept: &str| {
        let answer = server
            .request(path)
            .header("accept", accept)
            .send()
            .await
            .unwrap();
        let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status(), media_type, answer.bytes().await.unwrap())
    };

    let (status, media_type, csv) = ask(&one, "text/csv").await;
    assert_eq!((status, media_type.as_str()), (StatusCode::OK, "text/csv"));
    let csv = String::from_utf8(csv.to_vec()).unwrap();
    let lines: Vec<_> = csv.split("\r\n").collect();
    let first = UnixMillis::from_seconds(start);
    assert_eq!(
        &lines[..2],
        [
            "timestamp,cpu.usage_percent,load.load1".to_owned(),
            format!("{first},0.5,")
        ],
        "a metric without values is a column without values"
    );
    assert_eq!(lines.len(), 302);

    let (_, media_type, arrow) = ask(&one, "application/vnd.apache.arrow.stream").await;
    assert_eq!(media_type, "application/vnd.apache.arrow.stream");
    let batches: Vec<_> = StreamReader::try_new(&arrow[..], None)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        batches
            .iter()
            .map(arrow_array::RecordBatch::num_rows)
            .sum::<usize>(),
        300
    );
    let times = batches[0]
        .column_by_name("timestamp")
        .unwrap()
        .as_primitive::<TimestampMillisecondType>();
    let usage = batches[0]
        .column_by_name("cpu.usage_percent")
        .unwrap()
        .as_primitive::<Float64Type>();
    assert_eq!((times.value(7), usage.value(7)), ((start + 7) * 1000, 7.5));
    let load = batches[0].column_by_name("load.load1").unwrap();
    assert_eq!(load.null_count(), 300);

    let several = format!(
        "/api/v1/metrics/history?agents=*&metrics=cpu.usage_percent&start={start}&end={}&interval=60",
        start + 60
    );
    let (_, _, csv) = ask(&several, "text/csv").await;
    let expected = format!("agent_id,timestamp,series,value\r\nhost,{first},cpu.usage_percent,30\r\n");
    assert_eq!(csv, expected);

    let (status, _, refused) = ask(&one, "text/html").await;
    let refused: Value = serde_json::from_slice(&refused).unwrap();
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::NOT_ACCEPTABLE, &json!("not_acceptable"))
    );
    assert!(
        refused["message"].as_str().unwrap().contains("text/csv"),
        "{refused}"
    );

    for accept in [
        "application/json",
        "text/csv",
        "application/vnd.apache.arrow.stream",
    ] {
        for path in [&one, &several] {
            let plain = server
                .request(path)
                .header("accept", accept)
                .send()
                .await
                .unwrap();
            let vary: Vec<_> = plain.headers().get_all("vary").iter().collect();
            assert_eq!(vary, ["accept", "accept-encoding"], "{accept}");
            let plain = plain.bytes().await.unwrap();
            for encoding in ["gzip", "zstd"] {
                let request = server.request(path).header("accept", accept);
                let answer = request.header("accept-encoding", encoding).send().await.unwrap();
                assert_eq!(answer.headers()["content-encoding"], encoding, "{accept}");
                let body = answer.bytes().await.unwrap();
                let mut unpacked = Vec::new();
                match encoding {
                    "gzip" => flate2::read::GzDecoder::new(&body[..])
                        .read_to_end(&mut unpacked)
                        .unwrap(),
                    _ => zstd::stream::read::Decoder::new(&body[..])
                        .unwrap()
                        .read_to_end(&mut unpacked)
                        .unwrap(),
                };
                assert_eq!(unpacked, plain, "{accept} in {encoding}");
            }
        }
    }
    let small = server.request("/api/v1/metrics/latest?metric=cpu.usage_percent");
    let small = small
        .header("accept-encoding", "gzip, zstd")
        .send()
        .await
        .unwrap();
    assert!(small.headers().get("content-encoding").is_none(), "not worth it");
}

async fn a_few_figures_under_plain_names(database: Database) {
    let server = Server::start(&database).await;
    let start = whole_minute();
    let _fleet = fleet(
        &server,
        &[("host", &[busy(start, 12.5, 300), busy(start + 300, 25.0, 100)])],
    )
    .await;
    let found = server.ok("/api/v1/agents/host/metrics?hours=24").await;
    let metrics = found["metrics"].as_array().unwrap();
    let figures: Vec<_> = metrics
        .iter()
        .map(|entry| (&entry["cpu_usage"], &entry["network_io"]))
        .collect();
    assert_eq!(
        figures,
        [(&json!(12.5), &json!(300.0)), (&json!(25.0), &json!(100.0))]
    );
    // A day in at most 1,000 points has buckets of two minutes.
    let bucket = UnixMillis::from_seconds(start / 120 * 120).to_string();
    assert_eq!(metrics[0]["timestamp"], json!(bucket));
    assert!(metrics[0].get("response_time").is_none() && metrics[0].get("memory_usage").is_none());
}

async fn senseless_questions_are_refused(database: Database) {
    let server = Server::start(&database).await;
    server.add_agent("web-01").await;
    for (path, status, code, hint) in [
        (
            "history?metrics=cpu.usage_percent&agents=db-*",
            404,
            "unknown_agent",
            "db-*",
        ),
        (
            "history?metrics=cpu.usage_percent&agents=web-02",
            404,
            "unknown_agent",
            "web-01",
        ),
        (
            "history?metrics=cpu.usage_percent&agents=label:role=db",
            404,
            "unknown_agent",
            "label:role=db",
        ),
        (
            "history?metrics=cpu.usage_percent&group_by=label",
            400,
            "invalid_parameter",
            "label:NAME",
        ),
        (
            "history?metrics=cpu.usage_percent&agg=mean",
            400,
            "invalid_aggregation",
            "avg",
        ),
        ("latest", 400, "invalid_parameter", "cpu.usage_percent"),
        (
            "latest?metric=cpu.usage_percnt",
            400,
            "unknown_metric",
            "cpu.usage_percent",
        ),
        (
            "top?metric=cpu.usage_percent&k=0",
            400,
            "invalid_parameter",
            "1 to",
        ),
        (
            "top?metric=cpu.usage_percent&agg=max",
            400,
            "invalid_parameter",
            "start",
        ),
    ] {
        let (found, body) = server.get(&format!("/api/v1/metrics/{path}")).await;
        assert_eq!(
            (found.as_u16(), &body["code"]),
            (status, &json!(code)),
            "{path}: {body}"
        );
        assert!(body["message"].as_str().unwrap().contains(hint), "{path}: {body}");
    }
}
