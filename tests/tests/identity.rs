//! Tokens, users and sessions: who may see what, and what is written down of it.

#[path = "identity/users.rs"]
mod users;

use nodeglass_proto::v1;
use nodeglass_proto::v1::metrics_service_client::MetricsServiceClient;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::people::{TokenCaller, answer};
use nodeglass_tests::process::{command, run};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

on_every_database!(
    a_token_s_agents_are_all_there_are_to_it,
    tokens_have_names_and_ends,
    what_is_done_and_denied_is_in_the_log,
    calls_of_grpc_are_in_the_log,
);

async fn agents_with_samples(server: &Server, names: &[&str]) -> Vec<FakeAgent> {
    let mut agents = Vec::new();
    for name in names {
        let mut agent = FakeAgent::open(&server.enrolment(name).await, 1).await.unwrap();
        agent.send([(1, sample(now(), 1.0))]).await;
        agent.settled(1).await.unwrap();
        agents.push(agent);
    }
    agents
}

fn names(list: &Value) -> Vec<&str> {
    let agents = list["agents"].as_array().unwrap().iter();
    agents
        .map(|agent| agent["agent_id"].as_str().or(agent.as_str()).unwrap())
        .collect()
}

async fn a_token_s_agents_are_all_there_are_to_it(database: Database) {
    let server = Server::start(&database).await;
    let _webs = agents_with_samples(&server, &["web-1", "web-2"]).await;
    let web = json!({ "name": "web", "role": "admin", "agents": ["web-*"] });
    let web = TokenCaller::make(&server, &web).await;
    let mut grpc = web.grpc().await;

    // An agent that it may not see is answered as it was before it was there, to the letter.
    let unknown = answers_about(&web, &mut grpc, "db-1").await;
    let _db = agents_with_samples(&server, &["db-1"]).await;
    assert_eq!(server.get("/api/v1/agents/db-1/metrics").await.0, StatusCode::OK);
    let foreign = answers_about(&web, &mut grpc, "db-1").await;
    assert_eq!(foreign, unknown);
    assert!(
        foreign.iter().all(|answer| answer.contains("there is no agent")),
        "{foreign:?}"
    );
    assert_eq!(web.get("/api/v1/agents/web-1/metrics").await.0, StatusCode::OK);

    // Lists leave it out, and patterns and names don't find it.
    assert_eq!(
        names(&web.get("/api/v1/metrics/agents").await.1),
        ["web-1", "web-2"]
    );
    assert_eq!(names(&web.get("/api/v1/metrics/agents?q=1").await.1), ["web-1"]);
    let together = "/api/v1/metrics/history?metrics=cpu.usage_percent&group_by=none";
    assert_eq!(names(&web.get(together).await.1), ["web-1", "web-2"]);
    assert_eq!(
        names(&web.get(&format!("{together}&agents=*-1")).await.1),
        ["web-1"]
    );
    for (agents, code) in [
        ("db-1", "unknown_agent"),
        ("web-1,db-1", "unknown_agent"),
        ("db-*", "unknown_agent"),
    ] {
        let (status, body) = web.get(&format!("{together}&agents={agents}")).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::NOT_FOUND, &json!(code)),
            "{agents}"
        );
    }
    for path in [
        "/api/v1/metrics/latest?metric=cpu.usage_percent",
        "/api/v1/metrics/top?metric=cpu.usage_percent&order=asc",
    ] {
        let (_, body) = web.get(path).await;
        assert!(!body.to_string().contains("db-1"), "{path}: {body}");
    }
    let export = web
        .call(Method::GET, "/api/v1/export")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        export.contains("web-1") && export.contains("web-2") && !export.contains("db-1"),
        "{export}"
    );

    // Taking in is no way around it, neither for what there is nor for what there is not.
    let line = export.lines().next().unwrap();
    for name in ["db-1", "db-9"] {
        let body = line.replace("web-1", name);
        let request = web
            .call(Method::POST, "/api/v1/import?create_agents=true")
            .body(body);
        let (status, body) = answer(request.header("content-type", "application/x-ndjson")).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::NOT_FOUND, &json!("unknown_agent")),
            "{name}"
        );
    }
    // Nor is making somebody who may see more.
    let more = json!({ "name": "more", "role": "viewer" });
    let (status, body) = web.send(Method::POST, "/api/v1/tokens", &more).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");

    // The same by gRPC.
    let listed = grpc
        .list_agents(web.ask(v1::ListAgentsRequest {}))
        .await
        .unwrap()
        .into_inner();
    let listed: Vec<_> = listed
        .agents
        .iter()
        .map(|agent| agent.agent_id.as_str())
        .collect();
    assert_eq!(listed, ["web-1", "web-2"]);
}

/// What is answered about an agent that there is not, by every call that is about one, over REST and gRPC; all but the calls'
/// numbers.
async fn answers_about(
    caller: &TokenCaller,
    grpc: &mut MetricsServiceClient<Channel>,
    agent: &str,
) -> Vec<String> {
    let mut answers = Vec::new();
    for path in [
        "metrics",
        "system",
        "ledger",
        "tasks",
        "processes",
        "metrics/stream",
        "metrics/history?metrics=cpu.usage_percent",
    ] {
        let (status, mut body) = caller.get(&format!("/api/v1/agents/{agent}/{path}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
        assert_eq!(body["code"], "unknown_agent", "{path}");
        body["request_id"] = Value::Null;
        answers.push(body.to_string());
    }
    let agent_id = agent.to_owned();
    let ask = v1::GetMetricsRequest {
        agent_id: agent_id.clone(),
    };
    let metrics = grpc.get_metrics(caller.ask(ask)).await.unwrap_err();
    let follow = v1::StreamMetricsRequest {
        agent_id: agent_id.clone(),
        interval_seconds: 1,
        metrics: Vec::new(),
    };
    let stream = grpc.stream_metrics(caller.ask(follow)).await.unwrap_err();
    let ask = v1::GetSystemInfoRequest {
        agent_id,
        include: None,
    };
    let system = grpc.get_system_info(caller.ask(ask)).await.unwrap_err();
    for refused in [metrics, stream, system] {
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        answers.push(refused.message().to_owned());
    }
    answers
}

async fn tokens_have_names_and_ends(database: Database) {
    let server = Server::start(&database).await;
    let ci = json!({ "name": "ci", "role": "viewer", "agents": ["web-*", "env=prod"] });
    let caller = TokenCaller::make(&server, &ci).await;
    assert!(
        caller.token.starts_with("ngt_") && caller.token.len() == 4 + 43,
        "{}",
        caller.token
    );
    let (status, again) = answer(server.post("/api/v1/tokens").json(&ci)).await;
    assert_eq!(
        (status, &again["code"]),
        (StatusCode::CONFLICT, &json!("name_taken")),
        "{again}"
    );
    let token = |list: &Value, name: &str| {
        let tokens = list["tokens"].as_array().unwrap().iter();
        tokens.clone().find(|token| token["name"] == name).cloned()
    };
    let listed = token(&server.ok("/api/v1/tokens").await, "ci").unwrap();
    assert_eq!(listed["agents"], ci["agents"]);
    assert_eq!(listed.get("last_used_at"), None);
    assert!(!listed.to_string().contains(&caller.token));
    assert_eq!(caller.get("/api/v1/session").await.1["name"], "ci");
    let listed = token(&server.ok("/api/v1/tokens").await, "ci").unwrap();
    assert!(
        listed["last_used_at"].as_i64() > Some(now().0 - 60_000),
        "{listed}"
    );

    // The command line does the same, and says the same.
    let printed = server.command(&["token", "list"]).await;
    assert!(
        printed.contains("ci") && printed.contains("web-*,env=prod"),
        "{printed}"
    );
    let refused = failing(&server, &["token", "add", "ci"]).await;
    assert!(
        refused.contains("already") && refused.contains("--replace"),
        "{refused}"
    );
    let replaced = server
        .command(&["token", "add", "ci", "--role", "operator", "--replace"])
        .await;
    let again = TokenCaller::new(&server, replaced.trim());
    assert_eq!(
        again.get("/api/v1/session").await.1["role"],
        "operator",
        "at once"
    );
    let gone = eventually("the token before to be worth nothing", async || {
        let (status, body) = caller.get("/api/v1/session").await;
        (status == StatusCode::UNAUTHORIZED).then_some(body)
    });
    assert_eq!(gone.await["code"], "invalid_token");
    let refused = failing(&server, &["token", "revoke", "nobody"]).await;
    assert!(refused.contains("there is no token"), "{refused}");

    // One that ends.
    let brief = json!({ "name": "brief", "role": "viewer", "expires_in_seconds": 5 });
    let brief = TokenCaller::make(&server, &brief).await;
    assert_eq!(brief.get("/api/v1/session").await.0, StatusCode::OK);
    eventually("its end", async || {
        (brief.get("/api/v1/session").await.0 == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let change = |body: Value| {
        answer(
            server
                .request_of(Method::PATCH, "/api/v1/tokens/brief")
                .json(&body),
        )
    };
    let (status, body) = change(json!({ "expires_in_seconds": null, "role": "admin" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    assert_eq!(brief.get("/api/v1/session").await.1["role"], "admin");
    assert_eq!(change(json!({ "agents": [] })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(
        change(json!({ "rolle": "admin" })).await.0,
        StatusCode::BAD_REQUEST
    );
    let unknown = answer(server.request_of(Method::DELETE, "/api/v1/tokens/nobody")).await;
    assert_eq!(
        (unknown.0, &unknown.1["code"]),
        (StatusCode::NOT_FOUND, &json!("unknown_name"))
    );
}

/// What a command that fails says.
async fn failing(server: &Server, arguments: &[&str]) -> String {
    let mut command = command("nodeglass-server");
    command.args(arguments).arg("--data-dir").arg(server.data_dir());
    let output = run(&mut command).await;
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn what_is_done_and_denied_is_in_the_log(database: Database) {
    let server = Server::start(&database).await;
    let viewer = TokenCaller::make(
        &server,
        &json!({ "name": "looker", "role": "viewer", "agents": ["web-*"] }),
    )
    .await;
    server.add_agent("db-1").await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        let refused = viewer.call(Method::GET, "/api/v1/users").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        ids.push(refused.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    assert_eq!(
        viewer.get("/api/v1/agents/db-1/ledger").await.0,
        StatusCode::NOT_FOUND
    );
    server
        .anonymous("/api/v1/metrics/agents")
        .bearer_auth("ngt_wrong")
        .send()
        .await
        .unwrap();
    server.command(&["token", "revoke", "looker"]).await;
    let log = eventually("the log to have it all", async || {
        let log = server.ok("/api/v1/audit").await;
        let entries = log["entries"].as_array().unwrap().clone();
        let has = |action: &str| entries.iter().any(|entry| entry["action"] == action);
        (has("token.revoke") && has("GET /api/v1/agents/db-1/ledger")).then_some(entries)
    })
    .await;
    let find = |action: &str| {
        log.iter()
            .find(|entry| entry["action"] == action)
            .unwrap()
            .clone()
    };
    let added = find("token.add");
    assert_eq!(
        (&added["name"], &added["subject"], &added["outcome"]),
        (&json!("admin"), &json!("looker"), &json!("done"))
    );
    assert_eq!(
        (&added["address"], &added["detail"]),
        (&json!("127.0.0.1"), &json!("viewer of web-*"))
    );
    let revoked = find("token.revoke");
    assert_eq!(
        (&revoked["kind"], &revoked["subject"]),
        (&json!("command"), &json!("looker"))
    );
    let denied = find("GET /api/v1/users");
    assert_eq!(
        (&denied["name"], &denied["outcome"], &denied["detail"]),
        (&json!("looker"), &json!("denied"), &json!("forbidden"))
    );
    assert_eq!(denied["request_id"], ids[0].as_str());
    let alike = log.iter().filter(|entry| entry["action"] == "GET /api/v1/users");
    assert_eq!(alike.count(), 1, "a flood is one entry");
    assert_eq!(find("GET /api/v1/agents/db-1/ledger")["detail"], "unknown_agent");
    assert_eq!(find("GET /api/v1/metrics/agents")["kind"], "nobody");
    assert!(!json!(log).to_string().contains("ngt_"));

    let page = server.ok("/api/v1/audit?limit=1&outcome=denied").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = server
        .ok(&format!("/api/v1/audit?limit=1&outcome=denied&cursor={cursor}"))
        .await;
    assert!(next["entries"][0]["id"].as_i64() < page["entries"][0]["id"].as_i64());
    let tokens = server.ok("/api/v1/audit?action=token.*&subject=looker").await;
    assert_eq!(tokens["entries"].as_array().unwrap().len(), 2, "{tokens}");
}

async fn calls_of_grpc_are_in_the_log(database: Database) {
    let server = Server::start(&database).await;
    let _agents = agents_with_samples(&server, &["web-1", "db-1"]).await;
    let viewer = TokenCaller::make(&server, &json!({ "name": "looker", "role": "viewer" })).await;
    let operator = json!({ "name": "doer", "role": "operator", "agents": ["web-*"] });
    let operator = TokenCaller::make(&server, &operator).await;
    let task = |agent: &str| {
        let stream = v1::MetricsStreamRequest {
            interval_seconds: 5,
            ..Default::default()
        };
        let request = v1::MetricsRequest {
            request_type: Some(v1::metrics_request::RequestType::StreamRequest(stream)),
        };
        v1::TaskRequest {
            agent_id: agent.to_owned(),
            task_id: "1".to_owned(),
            task: Some(v1::task_request::Task::MetricsRequest(request)),
        }
    };
    let stranger = TokenCaller::new(&server, "ngt_wrong");
    for (caller, agent, code) in [
        (&stranger, "web-1", Code::Unauthenticated),
        (&viewer, "web-1", Code::PermissionDenied),
        (&operator, "db-1", Code::NotFound),
    ] {
        let mut client = caller.grpc().await;
        let refused = client.execute_task(caller.ask(task(agent))).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused:?}");
    }
    // The agent is played, and carries nothing out.
    let mut client = operator.grpc().await;
    client
        .execute_task(operator.ask(task("web-1")))
        .await
        .unwrap_err();
    let path = "/api/v1/audit?limit=100";
    let entries = eventually("the log to have it all", async || {
        let log = server.ok(path).await;
        let entries = log["entries"].as_array().unwrap().clone();
        let has = |entry: &Value| entry["action"] == "agent.task";
        entries.iter().any(has).then_some(entries)
    })
    .await;
    let method = "POST /nodeglass.v1.MetricsService/ExecuteTask";
    let denied: Vec<_> = entries
        .iter()
        .filter(|entry| entry["action"] == method)
        .map(|entry| {
            (
                entry["kind"].as_str(),
                entry["name"].as_str(),
                entry["detail"].as_str(),
            )
        })
        .collect();
    for expected in [
        ("nobody", "", "invalid_token"),
        ("token", "looker", "forbidden"),
        ("token", "doer", "unknown_agent"),
    ] {
        let (kind, name, detail) = expected;
        assert!(
            denied.contains(&(Some(kind), Some(name), Some(detail))),
            "{expected:?} in {denied:?}"
        );
    }
    let asked = entries
        .iter()
        .find(|entry| entry["action"] == "agent.task")
        .unwrap();
    assert_eq!(
        (&asked["name"], &asked["subject"], &asked["outcome"]),
        (&json!("doer"), &json!("web-1"), &json!("failed"))
    );
    assert_eq!(asked["detail"], "START interval_seconds 5: agent_timeout");
}
