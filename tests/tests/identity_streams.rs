//! Whoever may no longer call is cut off: what a token, a user or a session has open ends within five seconds, whichever way
//! its rights end, over SSE and over gRPC alike. Each time is printed.

use std::time::Duration;

use nodeglass_proto::v1;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::on_every_database;
use nodeglass_tests::people::{SignedIn, TokenCaller, answer};
use nodeglass_tests::server::Server;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::Streaming;

on_every_database!(
    what_is_open_ends_with_the_right_to_it,
    streams_of_many_agents_end_with_the_right_to_them,
    a_stream_ends_with_its_agent,
    what_nobody_touched_goes_on
);

/// How long it may take.
const WITHIN: Duration = Duration::from_secs(5);
const PASSWORD: &str = "correct horse battery";
const STREAM: &str = "/api/v1/agents/host/metrics/stream?interval=1";

async fn host(server: &Server) -> FakeAgent {
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    agent.send([(1, sample(now(), 1.0))]).await;
    agent.settled(1).await.unwrap();
    agent
}

/// An open stream with its first event read.
async fn opened(request: reqwest::RequestBuilder) -> Response {
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.chunk().await.unwrap().is_some(), "the first event");
    response
}

async fn follow(caller: &TokenCaller) -> Streaming<v1::MetricsDataResponse> {
    let ask = v1::StreamMetricsRequest {
        agent_id: "host".to_owned(),
        interval_seconds: 1,
        metrics: Vec::new(),
    };
    let mut client = caller.grpc().await;
    let mut stream = client.stream_metrics(caller.ask(ask)).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some(), "the first sample");
    stream
}

async fn sse_end(stream: Response) {
    sse_rest(stream).await;
}

/// What a stream says until it ends.
async fn sse_rest(mut stream: Response) -> String {
    let mut said = Vec::new();
    while let Ok(Some(chunk)) = stream.chunk().await {
        said.extend_from_slice(&chunk);
    }
    String::from_utf8(said).expect("text")
}

/// The code of the last event, which says why there is no other.
fn last_code(said: &str) -> String {
    let (_, last) = said.rsplit_once("event: error\ndata: ").expect("an error");
    let last: Value = serde_json::from_str(last.trim()).expect("JSON");
    last["code"].as_str().expect("a code").to_owned()
}

async fn grpc_end(mut stream: Streaming<v1::MetricsDataResponse>) {
    while let Ok(Some(_)) = stream.message().await {}
}

/// Waits for the end of a stream, which is to come in time.
async fn ends(what: &str, since: Instant, end: impl Future<Output = ()>) {
    let ended = tokio::time::timeout_at(since + WITHIN, end).await;
    assert!(ended.is_ok(), "{what}: still open after {WITHIN:?}");
    println!("{what}: ended after {} ms", since.elapsed().as_millis());
}

async fn admin(server: &Server, method: Method, path: &str, body: &Value) {
    let (status, body) = answer(server.request_of(method, path).json(body)).await;
    assert!(status.is_success(), "{path}: {status} {body}");
}

async fn what_is_open_ends_with_the_right_to_it(database: Database) {
    let server = Server::start(&database).await;
    let _agent = host(&server).await;
    let role = json!({ "role": "operator" });
    let agents = json!({ "agents": ["web-*"] });
    // What an admin does to a token, over the API.
    for (what, method, body) in [
        ("revoked", Method::DELETE, &Value::Null),
        ("another role", Method::PATCH, &role),
        ("other agents", Method::PATCH, &agents),
    ] {
        let caller = TokenCaller::make(
            &server,
            &json!({ "name": what.replace(' ', "-"), "role": "viewer" }),
        )
        .await;
        let session = SignedIn::with(&server, &json!({ "token": caller.token }))
            .await
            .unwrap();
        let sse = opened(caller.call(Method::GET, STREAM)).await;
        let by_cookie = opened(session.call(Method::GET, STREAM)).await;
        let grpc = follow(&caller).await;
        let path = format!("/api/v1/tokens/{}", what.replace(' ', "-"));
        let since = Instant::now();
        admin(&server, method, &path, body).await;
        ends(&format!("token {what}, SSE"), since, sse_end(sse)).await;
        ends(&format!("token {what}, gRPC"), since, grpc_end(grpc)).await;
        ends(
            &format!("token {what}, SSE of a session that began with it"),
            since,
            sse_end(by_cookie),
        )
        .await;
    }
    // What the command line does, beside the server.
    let caller = TokenCaller::make(&server, &json!({ "name": "cli", "role": "viewer" })).await;
    let (sse, grpc) = (
        opened(caller.call(Method::GET, STREAM)).await,
        follow(&caller).await,
    );
    server.command(&["token", "revoke", "cli"]).await;
    let since = Instant::now();
    ends("token revoked by the command line, SSE", since, sse_end(sse)).await;
    ends("token revoked by the command line, gRPC", since, grpc_end(grpc)).await;
    assert_eq!(caller.get(STREAM).await.0, StatusCode::UNAUTHORIZED);
    // Its end.
    let brief = json!({ "name": "brief", "role": "viewer", "expires_in_seconds": 8 });
    let caller = TokenCaller::make(&server, &brief).await;
    let since = Instant::now() + Duration::from_secs(8);
    let (sse, grpc) = (
        opened(caller.call(Method::GET, STREAM)).await,
        follow(&caller).await,
    );
    ends("token run out, SSE", since, sse_end(sse)).await;
    ends("token run out, gRPC", since, grpc_end(grpc)).await;
    // Users.
    let body = json!({ "name": "ann", "role": "viewer", "password": PASSWORD });
    admin(&server, Method::POST, "/api/v1/users", &body).await;
    let signed_in = async || SignedIn::user(&server, "ann", PASSWORD).await.unwrap();
    let (one, other) = (signed_in().await, signed_in().await);
    let (sse, kept) = (
        opened(one.call(Method::GET, STREAM)).await,
        opened(other.call(Method::GET, STREAM)).await,
    );
    let since = Instant::now();
    assert_eq!(
        one.send(Method::DELETE, "/api/v1/session", &Value::Null).await.0,
        StatusCode::NO_CONTENT
    );
    ends("signed out, SSE", since, sse_end(sse)).await;
    assert_eq!(
        other.get("/api/v1/session").await.0,
        StatusCode::OK,
        "the other session goes on"
    );
    let since = Instant::now();
    admin(&server, Method::PATCH, "/api/v1/users/ann", &role).await;
    ends("user with another role, SSE", since, sse_end(kept)).await;
    let sse = opened(other.call(Method::GET, STREAM)).await;
    let since = Instant::now();
    admin(
        &server,
        Method::PATCH,
        "/api/v1/users/ann",
        &json!({ "password": "staple battery horse" }),
    )
    .await;
    ends("user with another password, SSE", since, sse_end(sse)).await;
    let again = SignedIn::user(&server, "ann", "staple battery horse")
        .await
        .unwrap();
    let ticket = again.send(Method::POST, "/api/v1/tickets", &Value::Null).await.1;
    let by_ticket = format!("{STREAM}&ticket={}", ticket["ticket"].as_str().unwrap());
    let sse = opened(server.anonymous(&by_ticket)).await;
    let since = Instant::now();
    admin(&server, Method::DELETE, "/api/v1/users/ann", &Value::Null).await;
    ends("user removed, SSE that a ticket opened", since, sse_end(sse)).await;
}

async fn streams_of_many_agents_end_with_the_right_to_them(database: Database) {
    let server = Server::start(&database).await;
    let _agent = host(&server).await;
    let caller = TokenCaller::make(&server, &json!({ "name": "fleet", "role": "viewer" })).await;
    let sse = opened(caller.call(Method::GET, "/api/v1/metrics/stream?interval=1")).await;
    let overview = opened(caller.call(Method::GET, "/api/v1/metrics/stream?view=overview")).await;
    let mut client = caller.grpc().await;
    let ask = caller.ask(v1::StreamFleetRequest::default());
    let mut grpc = client.stream_fleet(ask).await.unwrap().into_inner();
    assert!(grpc.message().await.unwrap().is_some(), "the first message");
    let since = Instant::now();
    admin(&server, Method::DELETE, "/api/v1/tokens/fleet", &Value::Null).await;
    let mut said = String::new();
    let reading = async { said = sse_rest(sse).await };
    ends("token revoked, SSE of many agents", since, reading).await;
    assert_eq!(last_code(&said), "access_ended");
    ends("token revoked, SSE of the overview", since, sse_end(overview)).await;
    let reading = async { while let Ok(Some(_)) = grpc.message().await {} };
    ends("token revoked, gRPC of many agents", since, reading).await;
}

async fn a_stream_ends_with_its_agent(database: Database) {
    let server = Server::start(&database).await;
    let _agent = host(&server).await;
    let sse = opened(server.request(STREAM)).await;
    let since = Instant::now();
    let path = "/api/v1/agents/host?data=keep";
    admin(&server, Method::DELETE, path, &Value::Null).await;
    let mut said = String::new();
    let reading = async { said = sse_rest(sse).await };
    ends("agent forgotten, SSE", since, reading).await;
    assert_eq!(last_code(&said), "agent_gone");
}

async fn what_nobody_touched_goes_on(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = host(&server).await;
    let kept = TokenCaller::make(&server, &json!({ "name": "kept", "role": "viewer" })).await;
    let gone = TokenCaller::make(&server, &json!({ "name": "gone", "role": "viewer" })).await;
    let mut stream = opened(kept.call(Method::GET, STREAM)).await;
    let ended = opened(gone.call(Method::GET, STREAM)).await;
    // Neither what happens to others, nor what leaves its own rights as they are.
    admin(
        &server,
        Method::PATCH,
        "/api/v1/tokens/kept",
        &json!({ "expires_in_seconds": 3_600 }),
    )
    .await;
    admin(&server, Method::DELETE, "/api/v1/tokens/gone", &Value::Null).await;
    sse_end(ended).await;
    agent.send([(2, sample(now(), 2.0))]).await;
    agent.settled(1).await.unwrap();
    let next = tokio::time::timeout(nodeglass_tests::PATIENCE, stream.chunk()).await;
    assert!(next.unwrap().unwrap().is_some(), "the next sample comes");
}
