//! Making agents, and taking their keys from them, by REST; what the command line does is in `enrolment.rs`.

use nodeglass_proto::enrolment::Enrolment;
use nodeglass_tests::database::Database;
use nodeglass_tests::enrolled::by_string;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_every_database!(
    a_host_is_added_and_revoked_by_admins,
    a_fleet_token_is_made_listed_and_revoked,
    a_name_is_what_it_is_now,
);

async fn call(server: &Server, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let mut request = server.request_of(method, path);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a text");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn a_host_is_added_and_revoked_by_admins(database: Database) {
    let server = Server::start(&database).await;
    // Somebody has just asked for an agent that is not there, so that it was just looked for new ones.
    server.get("/api/v1/agents/web-1").await;
    let body = json!({ "name": "web-1", "labels": { "env": "prod" }, "valid_seconds": 600 });
    let (status, added) = call(&server, Method::POST, "/api/v1/agents", Some(body.clone())).await;
    assert_eq!(
        (status, &added["agent_id"]),
        (StatusCode::CREATED, &json!("web-1"))
    );
    let left = added["expires_at"].as_i64().unwrap() - now().0;
    assert!((1..=600_000).contains(&left), "{added}");
    let listed = server.ok("/api/v1/agents?agents=label:env=prod").await;
    assert_eq!(listed["agents"][0]["agent_id"], "web-1", "{listed}");

    let identity = by_string(added["enrolment"].as_str().unwrap()).await;
    let mut agent = FakeAgent::open(&identity, 1).await.expect("a session");
    agent.send([(1, sample(now(), 1.0))]).await;
    agent.settled(1).await.expect("an open session");

    let (status, taken) = call(&server, Method::POST, "/api/v1/agents", Some(body)).await;
    assert_eq!(
        (status, &taken["code"]),
        (StatusCode::CONFLICT, &json!("name_taken"))
    );
    for (wrong, code) in [
        (json!({ "name": "a b" }), "invalid_parameter"),
        (json!({ "name": "x", "valid_seconds": 59 }), "invalid_parameter"),
        (
            json!({ "name": "x", "labels": { "1": "y" } }),
            "invalid_parameter",
        ),
        (
            json!({ "name": "web-1", "labels": { "a": "b" }, "replace": true }),
            "invalid_parameter",
        ),
        (json!({ "name": "x", "other": 1 }), "invalid_body"),
    ] {
        let (status, problem) = call(&server, Method::POST, "/api/v1/agents", Some(wrong)).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &json!(code)),
            "{problem}"
        );
    }

    let (status, _) = call(&server, Method::POST, "/api/v1/agents/web-1/revoke", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let ended = loop {
        if let Err(ended) = agent.next().await {
            break ended;
        }
    };
    assert!(!ended.message().is_empty(), "{ended}");
    assert!(
        FakeAgent::open(&identity, 2).await.is_err(),
        "its key opens no session"
    );
    let (status, _) = call(&server, Method::POST, "/api/v1/agents/nobody/revoke", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    eventually("the event", async || {
        let events = server.ok("/api/v1/agents/web-1/events?kind=revoked").await;
        (events["events"][0]["detail"]["by"] == "admin").then_some(())
    })
    .await;
    let expected = [
        "agent.add",
        "agent.enrol",
        "agent.revoke",
        "/nodeglass.v1.AgentService/Session",
    ];
    let log = eventually("the log to have it all", async || {
        let log = server.ok("/api/v1/audit").await.to_string();
        expected.iter().all(|action| log.contains(action)).then_some(log)
    })
    .await;
    let secret = Enrolment::decode(added["enrolment"].as_str().unwrap())
        .unwrap()
        .token;
    assert!(!log.contains(&secret));
}

async fn a_fleet_token_is_made_listed_and_revoked(database: Database) {
    let server = Server::start(&database).await;
    let path = "/api/v1/fleet-tokens";
    let body = json!({ "name": "web", "names": "web-*", "max_uses": 2, "labels": { "zone": "a" } });
    let (status, made) = call(&server, Method::POST, path, Some(body.clone())).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (status, taken) = call(&server, Method::POST, path, Some(body)).await;
    assert_eq!(
        (status, &taken["code"]),
        (StatusCode::CONFLICT, &json!("name_taken"))
    );
    for uses in [0, u64::MAX] {
        let much = json!({ "name": "much", "max_uses": uses });
        let (status, _) = call(&server, Method::POST, path, Some(much)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{uses}");
    }
    let enrolment = Enrolment::decode(made["enrolment"].as_str().unwrap()).unwrap();
    assert!(enrolment.agent.is_none());

    let listed = server.ok(path).await;
    let one = &listed["fleet_tokens"][0];
    assert_eq!(
        (
            &one["name"],
            &one["names"],
            &one["uses"],
            &one["max_uses"],
            &one["labels"]
        ),
        (
            &json!("web"),
            &json!("web-*"),
            &json!(0),
            &json!(2),
            &json!({ "zone": "a" })
        ),
        "{listed}"
    );
    assert!(!listed.to_string().contains(&enrolment.token));
    let (status, _) = call(&server, Method::DELETE, "/api/v1/fleet-tokens/web", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(server.ok(path).await["fleet_tokens"][0]["revoked_at"].is_number());
    let (status, gone) = call(&server, Method::DELETE, "/api/v1/fleet-tokens/nothing", None).await;
    assert_eq!(
        (status, &gone["code"]),
        (StatusCode::NOT_FOUND, &json!("unknown_name"))
    );
}

/// Under a new name nothing says the old one, and an agent that was forgotten can be added again at once.
async fn a_name_is_what_it_is_now(database: Database) {
    let server = Server::start(&database).await;
    let identity = server.enrolment("old").await;
    let mut agent = FakeAgent::open(&identity, 1).await.expect("a session");
    agent.send([(1, sample(now(), 1.0))]).await;
    agent.settled(1).await.expect("an open session");
    assert_eq!(server.ok("/api/v1/agents/old/metrics").await["agent_id"], "old");
    let rename = json!({ "name": "new" });
    let (status, _) = call(&server, Method::POST, "/api/v1/agents/old/rename", Some(rename)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(server.ok("/api/v1/agents/new/metrics").await["agent_id"], "new");

    let (status, _) = call(&server, Method::DELETE, "/api/v1/agents/new?data=keep", None).await;
    assert!(status.is_success(), "{status}");
    let (status, added) = call(
        &server,
        Method::POST,
        "/api/v1/agents",
        Some(json!({ "name": "new" })),
    )
    .await;
    assert_eq!(status, StatusCode::CREATED, "{added}");
    assert_eq!(server.ok("/api/v1/agents/new").await["agent_id"], "new");
    let identity = by_string(added["enrolment"].as_str().unwrap()).await;
    FakeAgent::open(&identity, 2).await.expect("a session");
}
