//! What people and programs are given, each planted the moment it is there, and used: passwords, cookies, one-time codes, tickets,
//! fleet tokens.

use nodeglass_proto::enrolment::Enrolment;
use nodeglass_tests::people::{session_cookie, totp_code};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use super::{ADMIN, Planted, System, USER_PASSWORD};

const WRONG_PASSWORD: &str = "canary-wrong-password-0123456789";

/// Signs in and does what a person does; gives what errors said.
pub(crate) async fn use_all(system: &System, planted: &mut Planted) -> String {
    let client = system.client();
    planted.plant("a wrong password", WRONG_PASSWORD);
    let refused = sign_in(system, &client, WRONG_PASSWORD).await;
    assert!(!refused.status().is_success());
    let mut said = refused.text().await.expect("a text");
    let answer = sign_in(system, &client, USER_PASSWORD).await;
    let cookie = session_cookie(&answer).expect("a session's cookie");
    let (_, secret) = cookie.split_once('=').expect("a cookie");
    planted.plant("a session's cookie", secret);
    let me: Value = answer.json().await.expect("JSON");
    let csrf = me["session"]["csrf_token"].as_str().expect("a token").to_owned();
    planted.plant("what goes with the cookie", &csrf);
    let call = async |method: Method, path: &str, body: Value| {
        let request = client
            .request(method, format!("{}{path}", system.url))
            .header("cookie", &cookie)
            .header("x-csrf-token", &csrf);
        request.json(&body).send().await.expect("an answer")
    };
    let json = async |answer: Response| -> Value {
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json().await.expect("JSON")
    };

    let totp = "/api/v1/session/totp";
    let begun = json(call(Method::POST, totp, json!({ "password": USER_PASSWORD })).await).await;
    let secret = begun["secret"].as_str().expect("a secret");
    planted.plant("the secret of one-time codes", secret);
    said += &call(Method::PUT, totp, json!({ "code": "000000" }))
        .await
        .text()
        .await
        .expect("a text");
    let confirmed = json(call(Method::PUT, totp, json!({ "code": totp_code(secret, 0) })).await).await;
    for code in confirmed["recovery_codes"].as_array().expect("codes") {
        planted.plant("a recovery code", code.as_str().expect("a code"));
    }

    let ticket = json(call(Method::POST, "/api/v1/tickets", Value::Null).await).await;
    let ticket = ticket["ticket"].as_str().expect("a ticket");
    planted.plant("a ticket", ticket);
    // Used, and worth nothing after that.
    for is_good in [true, false] {
        let url = format!("{}/api/v1/metrics/stream?ticket={ticket}", system.url);
        let answer = client.get(url).send().await.expect("an answer");
        assert_eq!(answer.status().is_success(), is_good, "{answer:?}");
        if !is_good {
            said += &answer.text().await.expect("a text");
        }
    }
    said + &fleet_token(system, &client, planted).await
}

async fn sign_in(system: &System, client: &Client, password: &str) -> Response {
    let body = json!({ "user": "somebody", "password": password });
    let request = client.post(format!("{}/api/v1/session", system.url)).json(&body);
    request.send().await.expect("an answer")
}

/// Makes a string for many hosts; gives what the list says of it.
async fn fleet_token(system: &System, client: &Client, planted: &mut Planted) -> String {
    let url = format!("{}/api/v1/fleet-tokens", system.url);
    let request = client
        .post(&url)
        .bearer_auth(ADMIN)
        .json(&json!({ "name": "image" }));
    let made: Value = request
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let enrolment = made["enrolment"].as_str().expect("a string");
    planted.plant("a string for many hosts", enrolment);
    let token = Enrolment::decode(enrolment).expect("an enrolment").token;
    planted.plant("a fleet token", &token);
    let listed = client
        .get(&url)
        .bearer_auth(ADMIN)
        .send()
        .await
        .expect("an answer");
    listed.text().await.expect("a text")
}
