//! Many who come back at once, and those who vanish without a word.

use std::time::Duration;

use nodeglass_proto::pushback::{push_back, pushed_back};
use nodeglass_proto::v1;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::chance::Chance;
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::fake_server::FakeServer;
use nodeglass_tests::proxy::{Proxy, Weather};
use nodeglass_tests::server::Server;
use tokio::time::Instant;
use tonic::{Code, Status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_comes_back_when_it_was_told_to() {
    const TOLD: Duration = Duration::from_secs(4);
    let mut server = FakeServer::start().await;
    let mut agent = Agent::prepared(&server.enrolment("host"), "local_endpoint: {enabled: false}").await;
    agent.start_again();
    // By itself it would be back after half a second at most.
    let (session, _) = server.session(v1::Settings::default()).await;
    session.end(push_back(Status::unavailable("full"), TOLD)).await;
    let ended = Instant::now();
    let (session, _) = server.session(v1::Settings::default()).await;
    assert!(ended.elapsed() >= TOLD, "{:?}", ended.elapsed());
    session.end(Status::unavailable("no more is said")).await;
    let ended = Instant::now();
    server.session(v1::Settings::default()).await;
    assert!(ended.elapsed() < TOLD, "{:?}", ended.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_sends_its_agents_away_one_after_the_other() {
    let database = Database::sqlite();
    let mut server = Server::start(&database).await;
    let mut agents = Vec::new();
    for number in 0..10 {
        let enrolment = server.enrolment(&format!("host-{number}")).await;
        agents.push(FakeAgent::open(&enrolment, 1).await.unwrap());
    }
    let stopping = tokio::spawn(async move { server.terminate().await });
    let mut pauses = Vec::new();
    for agent in &mut agents {
        let end = agent.next().await.unwrap_err();
        assert_eq!(end.code(), Code::Unavailable, "{end}");
        pauses.push(pushed_back(&end).expect("a time to come back"));
    }
    assert_eq!(stopping.await.unwrap(), Some(0));
    pauses.sort();
    pauses.dedup();
    assert!(pauses.len() >= 8, "each has a time of its own: {pauses:?}");
    assert!(
        pauses.iter().all(|pause| *pause >= Duration::from_millis(500)),
        "{pauses:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_vanishes_is_dead_after_three_intervals_and_so_is_its_connection() {
    const INTERVAL: Duration = Duration::from_secs(1);
    let database = Database::sqlite();
    let server = Server::start_with(&database, Some("agents: {heartbeat_interval: 1s}")).await;
    let proxy = Proxy::start(&server.url, Chance::new("a line that is silenced")).await;
    let before = server.connections();
    let mut identity = server.enrolment("host").await;
    identity.server = proxy.redirect(&server.url);
    let mut agent = FakeAgent::open(&identity, 1).await.unwrap();
    agent.send([(1, sample(now(), 1.0))]).await;
    agent.settled(1).await.unwrap();
    assert_eq!(server.overview("host").await.unwrap()["status"], "connected");
    assert!(server.connections() > before);

    // No end of the connection is seen: neither a FIN nor a reset passes.
    agent.heartbeat().await;
    let silent = Instant::now();
    proxy.set(Weather::Silence);
    eventually("the agent to be shown as disconnected", async || {
        let overview = server.overview("host").await?;
        (overview["status"] == "disconnected").then_some(())
    })
    .await;
    let dead = silent.elapsed();
    assert!(dead >= INTERVAL * 2, "{dead:?}: a missed heartbeat is no death");
    assert!(
        dead < INTERVAL * 5,
        "{dead:?}: three intervals, and some for a busy machine"
    );
    eventually("the connection to be closed", async || {
        (server.connections() <= before).then_some(())
    })
    .await;
    let closed = silent.elapsed();
    assert!(
        closed < Duration::from_secs(12),
        "{closed:?}: not only when keepalive has found out"
    );
}
