//! What every call of the API can rely on: its number, how its caller stands, what a browser may do with the answer, and that
//! nobody is sent what he has already.

use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::on_every_database;
use nodeglass_tests::server::{Server, TOKEN};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;

on_every_database!(
    calls_have_numbers_and_answers_safe_headers,
    callers_who_come_too_often_are_told_when_to_come_back,
    pages_of_named_origins_may_call,
    who_has_an_answer_is_not_sent_it_again,
);

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn calls_have_numbers_and_answers_safe_headers(database: Database) {
    let server = Server::start(&database).await;
    let numbered = server
        .request("/api/v1/agents/nobody/metrics")
        .header("x-request-id", "mine-1");
    let answer = numbered.send().await.unwrap();
    assert_eq!(text(answer.headers(), "x-request-id"), "mine-1");
    assert_eq!(text(answer.headers(), "content-type"), "application/problem+json");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["request_id"], "mine-1");
    assert_eq!(problem["instance"], "/api/v1/agents/nobody/metrics");
    assert_eq!(problem["type"], "/api/docs#unknown_agent");
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&404.into(), &"unknown_agent".into())
    );
    assert_eq!(problem["detail"], problem["message"]);

    let first = server.anonymous("/health").send().await.unwrap();
    let second = server.anonymous("/health").send().await.unwrap();
    let number = |answer: &reqwest::Response| text(answer.headers(), "x-request-id").to_owned();
    assert!(!number(&first).is_empty() && number(&first) != number(&second));
    for path in ["/health", "/api/docs", "/api/v1/metrics/agents", "/nowhere"] {
        let answer = server.anonymous(path).send().await.unwrap();
        assert_eq!(
            text(answer.headers(), "x-content-type-options"),
            "nosniff",
            "{path}"
        );
        let may = text(answer.headers(), "content-security-policy");
        assert!(
            may.contains("default-src 'none'") && may.contains("frame-ancestors 'none'"),
            "{path}: {may}"
        );
    }
    let page = server.anonymous("/api/docs").send().await.unwrap();
    assert!(text(page.headers(), "content-security-policy").contains("script-src 'self'"));
    let page = page.text().await.unwrap();
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains("<script>"),
        "{page}"
    );
    let wrong = server
        .anonymous_call(Method::DELETE, "/health")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(text(wrong.headers(), "allow").contains("GET"));
}

async fn callers_who_come_too_often_are_told_when_to_come_back(database: Database) {
    let limits = "{requests_per_minute: 3, requests_per_minute_per_address: 20}";
    let config = format!("metrics: {{api: {{rate_limiting: {limits}}}}}");
    let server = Server::start_with(&database, Some(&config)).await;
    let path = "/api/v1/metrics/agents";
    for left in ["2", "1", "0"] {
        let answer = server.request(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(text(answer.headers(), "ratelimit-limit"), "3");
        assert_eq!(text(answer.headers(), "ratelimit-remaining"), left);
        assert_eq!(text(answer.headers(), "ratelimit-policy"), "3;w=60");
    }
    let refused = server.request(path).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(text(refused.headers(), "ratelimit-remaining"), "0");
    let wait: u64 = text(refused.headers(), "retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "rate_limited");
    let refused = nodeglass_tests::eventually("the address to have spent its calls", async || {
        let answer = server.anonymous("/health").send().await.unwrap();
        (answer.status() == StatusCode::TOO_MANY_REQUESTS).then_some(answer)
    })
    .await;
    assert!(
        refused.json::<Value>().await.unwrap()["detail"]
            .as_str()
            .unwrap()
            .contains("address")
    );
}

async fn pages_of_named_origins_may_call(database: Database) {
    let asked = async |server: &Server, origin: &str| {
        let call = server
            .anonymous_call(Method::OPTIONS, "/api/v1/metrics/agents")
            .header("origin", origin);
        let call = call.header("access-control-request-method", "GET");
        let call = call.header("access-control-request-headers", "authorization,idempotency-key");
        call.send().await.unwrap()
    };
    let named = "https://dashboard.example";
    let server = Server::start(&database).await;
    let refused = asked(&server, named).await;
    assert!(
        refused.headers().get("access-control-allow-origin").is_none(),
        "nobody unless it is said"
    );
    drop(server);
    let config = format!("metrics: {{api: {{cors_origins: ['{named}']}}}}");
    let server = Server::start_with(&database, Some(&config)).await;
    let answer = asked(&server, named).await;
    assert!(answer.status().is_success(), "{}", answer.status());
    assert_eq!(text(answer.headers(), "access-control-allow-origin"), named);
    for header in ["authorization", "idempotency-key"] {
        let allowed = text(answer.headers(), "access-control-allow-headers");
        assert!(allowed.contains(header), "{header} in {allowed}");
    }
    assert!(
        answer.headers().get("access-control-allow-credentials").is_none(),
        "tokens, no cookies"
    );
    let other = asked(&server, "https://elsewhere.example").await;
    assert!(other.headers().get("access-control-allow-origin").is_none());
    let call = server.request("/api/v1/metrics/agents").header("origin", named);
    let answer = call.send().await.unwrap();
    assert_eq!(text(answer.headers(), "access-control-allow-origin"), named);
    assert!(text(answer.headers(), "access-control-expose-headers").contains("x-request-id"));
}

async fn who_has_an_answer_is_not_sent_it_again(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    agent.send([(1, sample(now(), 1.0))]).await;
    agent.settled(1).await.unwrap();
    let end = now().0 / 1000 - 3_600;
    let over = format!(
        "/api/v1/agents/host/metrics/history?metrics=cpu.usage_percent&start={}&end={end}&interval=60",
        end - 600
    );
    for path in [
        "/api/v1/openapi.json",
        "/api/v1/agents/host/metrics",
        "/api/v1/metrics/agents",
        &over,
    ] {
        let first = server.request(path).send().await.unwrap();
        assert_eq!(first.status(), StatusCode::OK, "{path}");
        let tag = text(first.headers(), "etag").to_owned();
        assert!(!tag.is_empty(), "{path}");
        let again = server
            .request(path)
            .header("if-none-match", &tag)
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert!(again.bytes().await.unwrap().is_empty());
        let other = server
            .request(path)
            .header("if-none-match", "\"other\"")
            .send()
            .await
            .unwrap();
        assert_eq!(other.status(), StatusCode::OK, "{path}");
    }
    let wrong = server
        .anonymous("/api/v1/agents/host/metrics")
        .bearer_auth(format!("{TOKEN}x"));
    assert_eq!(wrong.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
