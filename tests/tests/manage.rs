//! Agents as things that people manage: what is asked of a running agent takes effect in its samples, names and labels hold,
//! and who is forgotten leaves nothing behind.

use std::time::Duration;

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use reqwest::StatusCode;
use serde_json::{Value, json};

on_every_database!(
    settings_take_effect_at_once_and_outlive_restarts,
    samples_are_stopped_and_started,
    a_renamed_agent_keeps_its_history,
    a_forgotten_agent_leaves_nothing,
    agents_are_chosen_by_labels_and_groups,
);

/// Agents that say a little each second.
const CONFIG: &str =
    "labels: [env=dev, rack=7]\nmetrics: {collection_interval: 1s}\nlocal_endpoint: {enabled: false}";

/// The latest sample, once it is as it is to be.
async fn sample_when(server: &Server, agent: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let (status, sample) = server.get(&format!("/api/v1/agents/{agent}/metrics")).await;
        (status == StatusCode::OK && is(&sample)).then_some(sample)
    })
    .await
}

async fn settings_take_effect_at_once_and_outlive_restarts(database: Database) {
    let mut server = Server::start(&database).await;
    let mut agent = Agent::start_with(&server, "host", CONFIG).await;
    sample_when(&server, "host", "memory in the samples", |sample| {
        sample["memory"].is_object()
    })
    .await;
    let path = "/api/v1/agents/host/settings";
    let before = eventually("a report", async || {
        let settings = server.ok(path).await;
        (settings["applied"] == true).then_some(settings)
    })
    .await;
    assert_eq!(
        (&before["applied"], &before["own"]),
        (&json!(true), &json!({})),
        "{before:#}"
    );
    assert_eq!(before["in_force"]["collection_interval_seconds"], 1, "{before:#}");

    let said = json!({ "exclude_metrics": ["memory", "processes"], "collection_interval_seconds": 2, "top_processes": 3 });
    let answer = server.changed("PATCH", path, said).await;
    assert_eq!(
        answer["applied"], true,
        "the answer waits for the agent: {answer:#}"
    );
    assert_eq!(answer["in_force"]["collection_interval_seconds"], 2);
    assert_eq!(
        answer["in_force"]["exclude_metrics"],
        json!(["memory", "processes"])
    );
    assert_eq!(answer["origins"]["top_processes"], "agent");
    let lacks = |sample: &Value| sample["memory"].is_null() && sample["cpu"].is_object();
    sample_when(&server, "host", "samples without memory", lacks).await;
    let shown = server.ok("/api/v1/agents/host").await;
    assert_eq!(shown["collection_interval_seconds"], 2.0, "{shown:#}");

    // What can't be is refused whole, and said with its key.
    let (status, refused) = server
        .change(
            "PATCH",
            path,
            Some(json!({ "collected_metrics": ["nonsense"], "top_processes": 9 })),
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    assert!(refused.to_string().contains("collected_metrics"), "{refused}");
    assert_eq!(server.ok(path).await["wanted"]["top_processes"], 3);

    // It survives the agent's restart and the server's.
    assert_eq!(agent.terminate().await, Some(0));
    agent.start_again();
    let restarted = now();
    // The first ones are of the time before it was told.
    let newer = |sample: &Value| sample["timestamp"].as_i64() > Some(restarted.0);
    let told = |sample: &Value| newer(sample) && lacks(sample);
    sample_when(&server, "host", "a sample of the next agent without memory", told).await;
    assert_eq!(server.terminate().await, Some(0));
    server.start_again().await;
    eventually("the agent at the next server", async || {
        (server.overview("host").await?["status"] == "connected").then_some(())
    })
    .await;
    let kept = server.ok(path).await;
    assert_eq!(
        kept["wanted"]["exclude_metrics"],
        json!(["memory", "processes"]),
        "{kept:#}"
    );
    eventually("the report at the next server", async || {
        (server.ok(path).await["applied"] == true).then_some(())
    })
    .await;

    // Nothing asked for any more is the agent's own configuration.
    let answer = server.changed("PUT", path, json!({})).await;
    assert_eq!(answer["in_force"]["collection_interval_seconds"], 1, "{answer:#}");
    sample_when(&server, "host", "memory again", |sample| {
        sample["memory"].is_object()
    })
    .await;
    let expected = [
        "settings_changed",
        "restarted",
        "connected",
        "disconnected",
        "enrolled",
    ];
    let kinds = eventually("all that happened", async || {
        let events = server.ok("/api/v1/agents/host/events").await;
        let events = events["events"].as_array()?.iter();
        let kinds: Vec<_> = events
            .filter_map(|event| event["kind"].as_str().map(str::to_owned))
            .collect();
        let is_there = |kind: &&str| kinds.iter().any(|found| found == kind);
        expected.iter().all(is_there).then_some(kinds)
    })
    .await;
    assert!(
        !kinds.iter().any(|kind| kind == "lost"),
        "nobody vanished: {kinds:?}"
    );
}

async fn samples_are_stopped_and_started(database: Database) {
    let server = Server::start(&database).await;
    let _agent = Agent::start_with(&server, "host", CONFIG).await;
    sample_when(&server, "host", "a sample", |_| true).await;
    let path = "/api/v1/agents/host/metrics/stream";
    let stopped = server.changed("PATCH", path, json!({ "action": "STOP" })).await;
    assert_eq!(
        (&stopped["applied"], &stopped["in_force"]["enabled"]),
        (&json!(true), &json!(false))
    );
    // One may have been on its way.
    let timestamp = async || {
        server.ok("/api/v1/agents/host/metrics").await["timestamp"]
            .as_i64()
            .unwrap()
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let last = timestamp().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(timestamp().await, last, "no sample comes");
    let start = json!({ "action": "START", "interval_seconds": 1, "metrics": ["load"] });
    let started = server.changed("PATCH", path, start).await;
    assert_eq!(
        started["in_force"]["collected_metrics"],
        json!(["load"]),
        "{started:#}"
    );
    let alone =
        |sample: &Value| sample["load"].is_object() && sample["cpu"].is_null() && sample["memory"].is_null();
    sample_when(&server, "host", "samples of load alone", alone).await;
    let slowed = json!({ "action": "UPDATE_INTERVAL", "interval_seconds": 7 });
    let slowed = server.changed("PATCH", path, slowed).await;
    assert_eq!(slowed["in_force"]["collection_interval_seconds"], 7);
    assert_eq!(
        slowed["in_force"]["collected_metrics"],
        json!(["load"]),
        "that stays as it is"
    );
    let (status, refused) = server
        .change(
            "PATCH",
            path,
            Some(json!({ "action": "START", "interval_seconds": 4_000 })),
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
}

async fn a_renamed_agent_keeps_its_history(database: Database) {
    let server = Server::start(&database).await;
    let _agent = Agent::start_with(&server, "before", CONFIG).await;
    let _other = Agent::start_with(&server, "other", CONFIG).await;
    let began = now();
    eventually("three stored samples", async || {
        (database.times("before").await.ok()?.len() >= 3).then_some(())
    })
    .await;
    let (status, taken) = server
        .change(
            "POST",
            "/api/v1/agents/before/rename",
            Some(json!({ "name": "other" })),
        )
        .await;
    assert_eq!(status, StatusCode::CONFLICT, "{taken}");
    let renamed = now();
    let answer = server
        .changed("POST", "/api/v1/agents/before/rename", json!({ "name": "after" }))
        .await;
    assert_eq!(
        (&answer["agent_id"], &answer["former_names"]),
        (&json!("after"), &json!(["before"]))
    );
    assert_eq!(answer["labels"]["env"], "dev");
    // It goes on under the new name, without a restart, and nothing is lost.
    let newer = |sample: &Value| sample["timestamp"].as_i64() > Some(renamed.0 + 1_000);
    let sample = sample_when(&server, "after", "a sample under the new name", newer).await;
    assert_eq!(sample["agent_id"], "after");
    let times = database.times("after").await.unwrap();
    assert!(times.iter().filter(|at| **at < renamed).count() >= 3, "{times:?}");
    let path = format!(
        "/api/v1/agents/after/metrics/history?metrics=cpu.usage_percent&start={}&end=now&interval=1",
        began.0 / 1_000 - 1
    );
    let history = server.ok(&path).await;
    let data = history["data"].as_array().unwrap();
    assert!(
        data[0]["timestamp"].as_i64() <= Some(renamed.0 / 1_000),
        "{history:#}"
    );
    let ledger = server
        .ledger_when("after", |ledger| {
            ledger["agent"]["as_of"].as_i64() > Some(renamed.0)
        })
        .await;
    assert_eq!(ledger["balance"]["unaccounted"], 0, "{ledger:#}");

    // The old name leads to the new one, in links and in lists.
    let response = server
        .request("/api/v1/agents/before/metrics")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(
        response.url().path().ends_with("/agents/after/metrics"),
        "{}",
        response.url()
    );
    let latest = server
        .ok("/api/v1/metrics/latest?metric=cpu.usage_percent&agents=before")
        .await;
    assert_eq!(latest["agents"][0]["agent_id"], "after");
    let all = server.ok("/api/v1/agents").await;
    let names: Vec<_> = all["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| &agent["agent_id"])
        .collect();
    assert_eq!(names, ["after", "other"]);
    // A host that is enrolled under it now is another.
    server.add_agent("before").await;
    eventually("the old name to be another's", async || {
        let (_, found) = server.get("/api/v1/agents/before").await;
        (found["former_names"] == json!([])).then_some(())
    })
    .await;
}

/// The key of an agent in the database.
async fn key_of(database: &Database, agent: &str) -> i32 {
    let store = nodeglass_store::open(database.url()).await.unwrap();
    let agents = store.agents().await.unwrap();
    store.close().await;
    agents
        .iter()
        .find(|known| known.id.as_str() == agent)
        .unwrap()
        .key
        .0
}

async fn a_forgotten_agent_leaves_nothing(database: Database) {
    let config = "metrics: {storage: {compaction_interval: 1s}}\nagents: {heartbeat_interval: 1s}";
    let server = Server::start_with(&database, Some(config)).await;
    let _gone = Agent::start_with(&server, "gone", CONFIG).await;
    let _stays = Agent::start_with(&server, "stays", CONFIG).await;
    let (key, other) = (key_of(&database, "gone").await, key_of(&database, "stays").await);
    let path = "/api/v1/agents/gone";
    server
        .changed("PATCH", &format!("{path}/labels"), json!({ "env": "prod" }))
        .await;
    eventually("chunks, and what goes with them", async || {
        let tables = database.tables_with(key).await.ok()?;
        ["chunk", "ledger", "agent_side", "registry", "event"]
            .iter()
            .all(|table| tables.iter().any(|found| found == table))
            .then_some(())
    })
    .await;
    let (status, refused) = server.change("DELETE", path, None).await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "what becomes of its data is to be said: {refused}"
    );
    let (status, _) = server
        .change("DELETE", &format!("{path}?data=delete"), None)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = server.get(path).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(server.ok("/api/v1/agents").await["total"], 1);
    eventually("all rows of it to be gone", async || {
        database.tables_with(key).await.ok()?.is_empty().then_some(())
    })
    .await;
    // Its agent runs on, and opens no session any more; nothing of it comes in.
    let until = now().plus(Duration::from_secs(3));
    eventually("three more seconds of the other", async || {
        let sample = server.ok("/api/v1/agents/stays/metrics").await;
        (sample["timestamp"].as_i64() > Some(until.0)).then_some(())
    })
    .await;
    assert_eq!(database.tables_with(key).await.unwrap(), [""; 0]);
    assert!(!database.tables_with(other).await.unwrap().is_empty());
    let (_, events) = server.get("/api/v1/events?kind=forgotten").await;
    assert_eq!(events["events"][0]["agent_id"], "gone", "{events:#}");

    // With its data kept, a host that is enrolled under the name goes on where it was.
    let before = database.times("stays").await.unwrap().len();
    let (status, _) = server
        .change("DELETE", "/api/v1/agents/stays?data=keep", None)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    server.add_agent("stays").await;
    assert_eq!(key_of(&database, "stays").await, other);
    assert!(database.times("stays").await.unwrap().len() >= before);
}

async fn agents_are_chosen_by_labels_and_groups(database: Database) {
    let server = Server::start(&database).await;
    let mut agents = Vec::new();
    for name in ["web-1", "web-2", "db-1"] {
        agents.push(Agent::start_with(&server, name, CONFIG).await);
        sample_when(&server, name, "a sample", |_| true).await;
    }
    let names = async |path: &str| {
        let found = server.ok(path).await;
        let found = found["agents"].as_array().unwrap().clone();
        let name = |agent: &Value| agent.as_str().or(agent["agent_id"].as_str()).unwrap().to_owned();
        found.iter().map(name).collect::<Vec<_>>()
    };
    let labels = server
        .changed(
            "PATCH",
            "/api/v1/agents/web-1/labels",
            json!({ "env": "prod", "rack": null }),
        )
        .await;
    assert_eq!(
        labels["labels"],
        json!({ "env": { "value": "prod", "origin": "server" } })
    );
    server
        .changed("PATCH", "/api/v1/agents/db-1/labels", json!({ "env": "prod" }))
        .await;
    assert_eq!(names("/api/v1/agents?label=env=prod").await, ["db-1", "web-1"]);
    assert_eq!(names("/api/v1/agents?label=env=prod,rack").await, ["db-1"]);
    assert_eq!(names("/api/v1/agents?label=env!=prod").await, ["web-2"]);
    assert_eq!(
        names("/api/v1/agents?sort=-label:env&limit=2").await,
        ["db-1", "web-1"]
    );
    assert_eq!(
        names("/api/v1/metrics/agents?agents=label:env=dev").await,
        ["web-2"]
    );
    assert_eq!(
        names("/api/v1/metrics/latest?metric=load.load1&agents=label:env=prod").await,
        ["db-1", "web-1"]
    );
    let group = json!({ "agents": ["web-*"], "settings": { "collection_interval_seconds": 2 } });
    let made = server.changed("PUT", "/api/v1/groups/web", group).await;
    assert_eq!(made["members"], 2, "{made:#}");
    assert_eq!(names("/api/v1/agents?group=web").await, ["web-1", "web-2"]);
    assert_eq!(
        names("/api/v1/agents?agents=group:web,db-1").await,
        ["db-1", "web-1", "web-2"]
    );
    for (agent, interval, by) in [("web-1", 2, "group:web"), ("db-1", 1, "")] {
        let path = format!("/api/v1/agents/{agent}/settings");
        let settings = eventually("the settings to be in force", async || {
            let settings = server.ok(&path).await;
            (settings["applied"] == true).then_some(settings)
        })
        .await;
        assert_eq!(
            settings["in_force"]["collection_interval_seconds"], interval,
            "{settings:#}"
        );
        let origin = settings["origins"]["collection_interval_seconds"].as_str();
        assert_eq!(origin.unwrap_or_default(), by);
    }

    // Histories by a label: one for each of its values.
    let path = "/api/v1/metrics/history?metrics=load.load1&start=-5m&interval=600&group_by=label:env";
    let grouped = eventually("history of each", async || {
        let grouped = server.ok(path).await;
        let groups = grouped["groups"].as_array()?;
        groups
            .iter()
            .all(|group| group["data"] != json!([]))
            .then_some(grouped)
    })
    .await;
    let groups: Vec<_> = grouped["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (group["label"]["value"].clone(), group["agents"].clone()))
        .collect();
    assert_eq!(
        groups,
        [
            (json!("dev"), json!(["web-2"])),
            (json!("prod"), json!(["db-1", "web-1"]))
        ]
    );

    // Pages of one go on where the one before ended, and say how many there are.
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server
            .ok(&format!("/api/v1/agents?sort=-agent_id&limit=1{cursor}"))
            .await;
        assert_eq!(page["total"], 3);
        found.push(page["agents"][0]["agent_id"].as_str().unwrap().to_owned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, ["web-2", "web-1", "db-1"]);
    // Who asks again is told that nothing has changed.
    let (status, _) = server.change("DELETE", "/api/v1/groups/web", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    for agent in &mut agents {
        agent.terminate().await;
    }
    let tagged = eventually("all to be away", async || {
        let answer = server.request("/api/v1/agents").send().await.ok()?;
        let tag = answer.headers()["etag"].clone();
        let body: Value = answer.json().await.ok()?;
        let all = body["agents"]
            .as_array()?
            .iter()
            .all(|agent| agent["status"] == "disconnected");
        all.then_some(tag)
    })
    .await;
    let again = server
        .request("/api/v1/agents")
        .header("if-none-match", &tagged)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}
