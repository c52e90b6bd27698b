//! A server that is killed, hangs or refuses, a network that swallows everything, an agent that is away: the picture says how
//! old it is and why, keys are obeyed, and all goes on by itself.

use nodeglass_tests::agent::Agent;
use nodeglass_tests::chance::Chance;
use nodeglass_tests::database::Database;
use nodeglass_tests::proxy::{Proxy, Weather};
use nodeglass_tests::server::Server;
use nodeglass_tests::terminal::Terminal;

use crate::{AT_ONCE, SIZE, agents, column, top};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_says_that_the_server_is_gone_and_goes_on_when_it_is_back() {
    let database = Database::sqlite();
    let mut server = Server::start_to_be_killed(&database, "").await;
    server.add_agent("db-1").await;
    let _agent = Agent::start(&server, "web-1").await;
    let mut top = Terminal::start(top(&server.url, &[]), SIZE);
    top.when("a figure", |text| {
        text.contains("1 of 2 connected") && text.contains('%') && text.contains(" now")
    })
    .await;
    server.kill().await;
    let gone = top
        .when("that nothing new comes, and why", |text| {
            text.contains("STALE")
                && text.contains("can't talk to a server at")
                && text.contains("Connection refused")
        })
        .await;
    assert!(
        gone.contains("web-1") && gone.contains('%') && !gone.contains(" now"),
        "what was known stays, and is not of now: {gone}"
    );
    top.press("N");
    top.within(AT_ONCE, "agents by name", |text| {
        text.contains("STALE") && agents(text) == ["db-1", "web-1"]
    })
    .await;
    top.when("an age that grows", |text| text.contains("STALE 5s"))
        .await;
    server.start_again().await;
    top.when("the server to be back", |text| {
        !text.contains("STALE") && text.contains("1 of 2 connected") && text.contains(" now")
    })
    .await;
    server.kill().await;
    top.press("q");
    top.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_obeys_keys_while_nothing_is_answered() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let _agent = Agent::start(&server, "web-1").await;
    let proxy = Proxy::start(&server.url, Chance::new("top")).await;
    let mut top = Terminal::start(top(&proxy.url, &[]), SIZE);
    top.when("a figure", |text| {
        text.contains("1 of 1 connected") && text.contains('%')
    })
    .await;
    proxy.set(Weather::Silence);
    top.when("an old picture", |text| {
        text.contains("STALE") && text.contains("waiting for the server's answer") && text.contains('%')
    })
    .await;
    // One question or another is on its way all the while: so many keys don't slip in between two of them.
    for _ in 0..40 {
        top.press("?");
        top.within(AT_ONCE, "help", |text| text.contains("Keys")).await;
        top.press("x");
        top.within(AT_ONCE, "no help", |text| !text.contains("Keys"))
            .await;
    }
    top.press("?");
    top.press("x\r");
    let host = top
        .within(AT_ONCE, "a host of which nothing is known", |text| {
            text.contains("WAITING") && text.contains("COMMAND") && !text.contains("Keys")
        })
        .await;
    assert!(
        host.contains("asking the server") && !host.contains("Mem"),
        "{host}"
    );
    top.when("that nothing comes", |text| {
        text.contains("the server did not answer within 8 s")
    })
    .await;
    top.press("\x1b");
    top.within(AT_ONCE, "the fleet as it was, with its age", |text| {
        text.contains("STALE") && agents(text) == ["web-1"] && text.contains('%')
    })
    .await;
    proxy.set(Weather::Calm);
    top.when("a new one", |text| {
        !text.contains("STALE") && text.contains(" now")
    })
    .await;
    proxy.set(Weather::Silence);
    top.when("an old one", |text| text.contains("STALE")).await;
    top.press("q");
    top.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_says_that_it_is_refused_and_asks_when_it_may() {
    let database = Database::sqlite();
    let config = "metrics: {api: {rate_limiting: {requests_per_minute: 12}}}";
    let server = Server::start_with(&database, Some(config)).await;
    server.add_agent("db-1").await;
    let top = Terminal::start(top(&server.url, &["--interval", "100ms"]), SIZE);
    top.when("too many calls", |text| {
        text.contains("STALE") && text.contains("more than 12 calls in a minute") && agents(text) == ["db-1"]
    })
    .await;
    top.when("another answer", |text| !text.contains("STALE")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_waits_for_an_agent_and_says_when_it_is_away() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let enrolment = server.add_agent("web-1").await;
    let top = Terminal::start(top(&server.url, &["web-1"]), SIZE);
    let nothing = top
        .when("that there is nothing yet", |text| {
            text.contains("web-1 has sent nothing yet")
        })
        .await;
    assert!(!nothing.contains("STALE"), "{nothing}");
    let mut agent = Agent::enrolled(&enrolment, nodeglass_tests::agent::EACH_SECOND).await;
    top.when("processes", |text| column(text, "PID").len() > 1).await;
    agent.kill().await;
    top.when("an old picture of a host that is away", |text| {
        text.contains("STALE") && text.contains("web-1 is not connected") && column(text, "PID").len() > 1
    })
    .await;
    agent.start_again();
    top.when("a new one", |text| {
        !text.contains("STALE") && column(text, "PID").len() > 1
    })
    .await;
}
