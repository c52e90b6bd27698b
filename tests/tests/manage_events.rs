//! What happens to agents, as the server notes it: from what they say, and from how their sessions end.

use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use serde_json::{Value, json};

on_every_database!(
    what_happens_is_noted,
    another_version_and_another_start_are_noted,
    gaps_are_listed_with_their_reason
);

/// The events of a kind of an agent, once there are so many.
async fn events(server: &Server, agent: &str, kind: &str, count: usize) -> Vec<Value> {
    eventually(kind, async || {
        let path = format!("/api/v1/agents/{agent}/events?kind={kind}");
        let answer = server.ok(&path).await;
        let events = answer["events"].as_array()?.clone();
        (events.len() >= count).then_some(events)
    })
    .await
}

/// Waits for an event of a kind that is of no agent.
async fn events_of_nobody(server: &Server, kind: &str) {
    eventually(kind, async || {
        let answer = server.ok(&format!("/api/v1/events?kind={kind}")).await;
        answer["events"][0]["agent_id"]
            .is_null()
            .then_some(answer["events"][0].as_object()?.len())
    })
    .await;
}

/// A sign of life with a clock that is so far ahead.
fn heartbeat(ahead_ms: i64) -> v1::Heartbeat {
    v1::Heartbeat {
        sent_at: (now().0 + ahead_ms).unsigned_abs(),
        ..Default::default()
    }
}

async fn gaps_are_listed_with_their_reason(database: Database) {
    let server = Server::start(&database).await;
    let agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let ago = |seconds: i64| (now().0 - seconds * 1000).unsigned_abs();
    let gap = |reason: &str, from, to| v1::Gap {
        reason: reason.to_owned(),
        from,
        to,
        samples: 7,
    };
    let (from, to) = (ago(600), ago(500));
    let gaps = vec![gap("full", from, to), gap("age", ago(7_200), ago(7_100))];
    agent
        .send_message(Up::Heartbeat(v1::Heartbeat { gaps, ..heartbeat(0) }))
        .await;
    let listed = eventually("the gap", async || {
        let answer = server.ok("/api/v1/agents/host/gaps?start=-1h").await;
        let gaps = answer["gaps"].as_array()?.clone();
        gaps.iter().any(|gap| gap["reason"] == "full").then_some(gaps)
    })
    .await;
    let full = listed.iter().find(|gap| gap["reason"] == "full").unwrap();
    assert_eq!(
        (&full["from"], &full["to"], &full["samples"]),
        (&json!(from), &json!(to), &json!(7)),
        "{listed:?}"
    );
    assert!(
        listed.iter().all(|gap| gap["reason"] != "age"),
        "it was before: {listed:?}"
    );
}

/// A greeting of a program of this version, on a host that was started so long ago.
fn greeting(version: &str, uptime_seconds: u64) -> v1::Hello {
    let software = v1::SystemSoftware {
        uptime_seconds: Some(uptime_seconds),
        ..Default::default()
    };
    v1::Hello {
        agent_version: version.to_owned(),
        system: Some(v1::SystemInfoResponse {
            software: Some(software),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn another_version_and_another_start_are_noted(database: Database) {
    let server = Server::start(&database).await;
    let enrolment = server.enrolment("host").await;
    let greet = async |epoch, said| {
        let agent = FakeAgent::open_saying(&enrolment, epoch, said).await.unwrap();
        agent.heartbeat().await;
    };
    greet(1, greeting("1.0.0", 86_400)).await;
    // The program was started anew, and is another one.
    greet(2, greeting("1.1.0", 86_400)).await;
    let upgraded = events(&server, "host", "upgraded", 1).await;
    assert_eq!(upgraded[0]["detail"], json!({ "from": "1.0.0", "to": "1.1.0" }));
    events(&server, "host", "restarted", 1).await;
    // The host was.
    greet(3, greeting("1.1.0", 5)).await;
    let rebooted = events(&server, "host", "rebooted", 1).await;
    let at = rebooted[0]["detail"]["booted_at"].as_i64().unwrap();
    assert!((now().0 - at) < 120_000, "{rebooted:?}");
    // Each is said once, and a start of the host is no start of the program besides.
    events(&server, "host", "connected", 3).await;
    for kind in ["upgraded", "restarted", "rebooted"] {
        assert_eq!(events(&server, "host", kind, 1).await.len(), 1, "{kind}");
    }
}

async fn what_happens_is_noted(database: Database) {
    let config = "agents: {heartbeat_interval: 1s}";
    let server = Server::start_with(&database, Some(config)).await;
    let enrolment = server.enrolment("host").await;
    let agent = FakeAgent::open(&enrolment, 1).await.unwrap();
    events(&server, "host", "enrolled", 1).await;
    events(&server, "host", "connected", 1).await;

    // A clock that is set ahead by an hour, and one that only ticks.
    for ahead_ms in [0, 100, 3_600_000, 3_600_000] {
        agent.send_message(Up::Heartbeat(heartbeat(ahead_ms))).await;
    }
    let steps = events(&server, "host", "clock_stepped", 1).await;
    let by_ms = steps[0]["detail"]["by_ms"].as_i64().unwrap();
    assert!((3_590_000..3_610_000).contains(&by_ms), "{steps:?}");

    // Samples that are gone for good are noted once, however often the agent says so.
    let gap = v1::Gap {
        reason: "full".to_owned(),
        from: 1_000,
        to: 2_000,
        samples: 3,
    };
    for _ in 0..3 {
        let heartbeat = v1::Heartbeat {
            gaps: vec![gap.clone()],
            ..heartbeat(3_600_000)
        };
        agent.send_message(Up::Heartbeat(heartbeat)).await;
    }
    let gaps = events(&server, "host", "gap", 1).await;
    let expected = json!({ "reason": "full", "from": 1_000, "to": 2_000, "samples": 3 });
    assert_eq!(gaps[0]["detail"], expected, "{gaps:?}");

    // Silence is a loss; another epoch is another start.
    let lost = events(&server, "host", "lost", 1).await;
    assert!(
        lost[0]["detail"]["reason"].as_str().unwrap().contains("no word"),
        "{lost:?}"
    );
    drop(agent);
    let again = FakeAgent::open(&enrolment, 2).await.unwrap();
    events(&server, "host", "restarted", 1).await;
    drop(again);
    for (kind, count) in [("clock_stepped", 1), ("gap", 1), ("enrolled", 1)] {
        assert_eq!(events(&server, "host", kind, count).await.len(), count, "{kind}");
    }

    // All of the fleet, by kind, by agent, and page by page.
    server.add_agent("other").await;
    let all = server.ok("/api/v1/events?agents=host&limit=2").await;
    assert_eq!(all["events"].as_array().unwrap().len(), 2);
    let before = all["next_before"].as_i64().unwrap();
    let next = server
        .ok(&format!("/api/v1/events?agents=host&limit=1&before={before}"))
        .await;
    assert!(next["events"][0]["id"].as_i64() < Some(before), "{next}");
    let started = server.ok("/api/v1/events?kind=server_started").await;
    assert_eq!(started["events"][0]["agent_id"], Value::Null);
    // Who may see some agents only is told when the server was away, and nothing else that is of no agent of theirs.
    let group = json!({ "agents": ["other"] });
    server.changed("PUT", "/api/v1/groups/others", group).await;
    events_of_nobody(&server, "group_changed").await;
    let printed = ["token", "add", "limited", "--role", "viewer", "--agents", "host"];
    let token = server.command(&printed).await;
    let seen = server
        .anonymous("/api/v1/events?limit=1000")
        .bearer_auth(token.trim());
    let seen: Value = seen.send().await.unwrap().json().await.unwrap();
    let nobodys = seen["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["agent_id"].is_null());
    let nobodys: Vec<_> = nobodys.map(|event| event["kind"].as_str()).collect();
    assert_eq!(nobodys, [Some("server_started")], "{seen}");
    let (status, wrong) = server.get("/api/v1/events?kind=nonsense").await;
    assert_eq!(status.as_u16(), 400, "{wrong}");
}
