//! Every call of the API that changes something is made, and is in the audit log. A new one that is not made here fails the test.

use std::collections::{BTreeMap, BTreeSet};

use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::FakeAgent;
use nodeglass_tests::people::{SignedIn, TokenCaller, totp_code};
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::{eventually, on_every_database};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

on_every_database!(every_change_is_noted);

/// What changes nothing that somebody set: samples, signs of life, what opens a stream, and a secret that is not in force
/// until it is confirmed.
const NO_CHANGES: [&str; 4] = ["push_metrics", "heartbeat", "add_ticket", "begin_totp"];
const PASSWORD: &str = "correct horse battery";

/// What the admin does, in this order: the call's name, its method and path, what it is called in the log, and its body.
const CHANGES: &str = r#"
add_agent           POST   /agents                      agent.add          {"name": "made"}
register_agent      POST   /agents/register             agent.register     {"agent_id": "pusher"}
change_agent_labels PATCH  /agents/made/labels          agent.label        {"env": "prod"}
set_agent_labels    PUT    /agents/made/labels          agent.label        {"env": "prod"}
change_agent_settings PATCH /agents/made/settings       agent.settings     {"collection_interval_seconds": 2}
set_agent_settings  PUT    /agents/made/settings        agent.settings     {"collection_interval_seconds": 2}
change_agent_stream PATCH  /agents/host/metrics/stream  agent.settings     {"action": "UPDATE_INTERVAL", "interval_seconds": 3}
rename_agent        POST   /agents/made/rename          agent.rename       {"name": "renamed"}
revoke_agent        POST   /agents/host/revoke          agent.revoke
forget_agent        DELETE /agents/renamed?data=delete  agent.forget
set_group           PUT    /groups/web                  group.set          {"agents": ["web-*"]}
remove_group        DELETE /groups/web                  group.remove
save_dashboard      PUT    /dashboards/ours             dashboard.save     {"name": "Ours", "content": {}}
remove_dashboard    DELETE /dashboards/ours             dashboard.remove
add_fleet_token     POST   /fleet-tokens                fleet_token.add    {"name": "image"}
revoke_fleet_token  DELETE /fleet-tokens/image          fleet_token.revoke
add_token           POST   /tokens                      token.add          {"name": "reader", "role": "viewer"}
change_token        PATCH  /tokens/reader               token.change       {"role": "operator"}
revoke_token        DELETE /tokens/reader               token.revoke
add_user            POST   /users                       user.add           {"name": "bob", "role": "viewer", "password": "correct horse battery"}
change_user         PATCH  /users/bob                   user.change        {"role": "operator"}
remove_user         DELETE /users/bob                   user.remove
import              POST   /import                      samples.import
"#;

/// What was done: the call's name and what it is called in the log, by the call's number.
#[derive(Default)]
struct Done(BTreeMap<String, (&'static str, &'static str)>);

impl Done {
    /// Makes a call that changes something; gives its answer.
    async fn call(&mut self, name: &'static str, request: RequestBuilder, action: &'static str) -> Value {
        let answer = request.send().await.expect("an answer");
        let number = answer.headers()["x-request-id"]
            .to_str()
            .expect("text")
            .to_owned();
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{name}: {status} {text}");
        self.0.insert(number, (name, action));
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

async fn every_change_is_noted(database: Database) {
    let server = Server::start(&database).await;
    let _agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let mut done = Done::default();
    let admin = TokenCaller::new(&server, TOKEN);
    for line in CHANGES.lines().filter(|line| !line.is_empty()) {
        let (call, body) = line.split_at(line.find('{').unwrap_or(line.len()));
        let words: Vec<_> = call.split_whitespace().collect();
        let [name, method, path, action] = words[..] else {
            panic!("{line}");
        };
        let request = admin.call(method.parse().expect("a method"), &format!("/api/v1{path}"));
        let request = if body.is_empty() {
            request
        } else {
            request.header("content-type", "application/json").body(body)
        };
        done.call(name, request, action).await;
    }
    as_a_user(&server, &mut done).await;

    let document = server.ok("/api/v1/openapi.json").await;
    let paths = document["paths"].as_object().expect("paths");
    let calls = paths.values().flat_map(|item| item.as_object().expect("calls"));
    let changing: BTreeSet<_> = calls
        .filter(|(method, _)| *method != "get")
        .map(|(_, call)| call["operationId"].as_str().expect("a name"))
        .filter(|name| !NO_CHANGES.contains(name))
        .collect();
    let made: BTreeSet<_> = done.0.values().map(|(name, _)| *name).collect();
    assert_eq!(made, changing, "the calls made here are those of the document");

    eventually("the log to have every change", async || {
        let log = server.ok("/api/v1/audit?outcome=done&limit=1000").await;
        let noted: BTreeMap<_, _> = log["entries"]
            .as_array()?
            .iter()
            .filter_map(|entry| Some((entry["request_id"].as_str()?, entry["action"].as_str()?)))
            .collect();
        let missing: Vec<_> = done
            .0
            .iter()
            .filter(|(number, (_, action))| noted.get(number.as_str()) != Some(action))
            .collect();
        if !missing.is_empty() {
            println!("not in the log: {missing:?}");
        }
        missing.is_empty().then_some(())
    })
    .await;
}

/// What somebody does with a session and a password of their own.
async fn as_a_user(server: &Server, done: &mut Done) {
    let user = json!({ "name": "ann", "role": "viewer", "password": PASSWORD });
    done.call("add_user", server.post("/api/v1/users").json(&user), "user.add")
        .await;
    let credentials = json!({ "user": "ann", "password": PASSWORD });
    let sign_in = server.anonymous_post("/api/v1/session").json(&credentials);
    done.call("sign_in", sign_in, "session.begin").await;
    let ann = SignedIn::with(server, &credentials).await.unwrap();
    let other = SignedIn::with(server, &credentials).await.unwrap();
    let id = other.me["session"]["id"].as_str().expect("an id").to_owned();
    let request = ann.call(Method::DELETE, &format!("/api/v1/sessions/{id}"));
    done.call("end_session", request, "session.end").await;
    let totp = "/api/v1/session/totp";
    let (_, begun) = ann
        .send(Method::POST, totp, &json!({ "password": PASSWORD }))
        .await;
    let secret = begun["secret"].as_str().expect("a secret");
    let confirm = ann
        .call(Method::PUT, totp)
        .json(&json!({ "code": totp_code(secret, 0) }));
    done.call("confirm_totp", confirm, "user.totp_on").await;
    let end = ann
        .call(Method::POST, "/api/v1/session/totp/off")
        .json(&json!({ "password": PASSWORD, "code": totp_code(secret, 1) }));
    done.call("end_totp", end, "user.totp_off").await;
    let password = json!({ "old": PASSWORD, "new": "staple battery horse" });
    let change = ann.call(Method::PUT, "/api/v1/session/password").json(&password);
    done.call("change_own_password", change, "user.password").await;
    let sign_out = ann.call(Method::DELETE, "/api/v1/session");
    done.call("sign_out", sign_out, "session.end").await;
}
