//! Between agents and the server lies a network that drops, resets, delays, stalls and half-closes what it carries, at any
//! byte. What was sampled is stored once all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use nodeglass_agent::identity::Identity;
use nodeglass_model::UnixMillis;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::chance::Chance;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::proxy::{Proxy, Weather};
use nodeglass_tests::server::{Server, assert_all_stored, settled_since};
use nodeglass_tests::{at_once_on_every_database, eventually};
use tokio::time::timeout;

at_once_on_every_database!(a_bad_network:
    a_storm_costs_nothing,
    a_network_that_carries_nothing_is_given_up_and_tried_again,
);

/// Signs of life each second, so that the ledger is never older than that.
const QUICK: &str = "agents: {heartbeat_interval: 1s}";
/// Samples for the server every other second: at each second the newest would be under way whenever a sign of life is given.
const AGENT: &str = "metrics: {collection_interval: 2s}\nlocal_endpoint: {enabled: false}";
/// How often each fault strikes at least.
const STRIKES: u64 = 3;
/// Longer than the storm holds a connection that carries nothing.
const HEARS_NOTHING: Duration = Duration::from_secs(3);

async fn a_storm_costs_nothing(database: Database) {
    let server = Server::start_with(&database, Some(QUICK)).await;
    let proxy = Proxy::start(&server.url, Chance::new("storm")).await;
    proxy.set(Weather::Storm);
    let mut agents = Vec::new();
    for name in ["one", "two"] {
        let config = format!("server: {}\n{AGENT}", proxy.redirect(&server.url));
        let mut agent = Agent::prepared(&server.add_agent(name).await, &config).await;
        agent.keep_log();
        agent.start_again();
        agents.push(agent);
    }
    let mut identity = server.enrolment("load").await;
    identity.server = proxy.redirect(&server.url);
    let first = now().minus(Duration::from_hours(1));
    let mut load = Load {
        identity,
        first,
        taken: 0,
        acknowledged: BTreeSet::new(),
    };
    while proxy.all_struck().iter().any(|(_, times)| *times < STRIKES) {
        load.session(50, |_| false).await;
    }
    println!(
        "{} connections, struck by {:?}",
        proxy.accepted(),
        proxy.all_struck()
    );

    proxy.set(Weather::Calm);
    let calm = now();
    load.session(0, |load| load.acknowledged.len() as u64 == load.taken)
        .await;
    for name in ["one", "two"] {
        assert_all_stored(&server.ledger_when(name, settled_since(calm)).await);
    }
    for agent in &mut agents {
        assert_eq!(agent.terminate().await, Some(0));
    }
    let stored = database.stored().await.unwrap();
    for name in ["one", "two", "load"] {
        let of_agent = stored.iter().filter(|(agent, ..)| agent == name);
        let seqs: Vec<i64> = of_agent.map(|(_, _, seq)| *seq).collect();
        let expected: Vec<i64> = (1..=seqs.len() as i64).collect();
        assert_eq!(seqs, expected, "every sample of {name}, each once");
    }
    let of_load = stored.iter().filter(|(agent, ..)| agent == "load").count() as u64;
    assert_eq!(of_load, load.taken);
    let ledger = server.ok("/api/v1/agents/load/ledger").await;
    assert_eq!(
        ledger["server"]["stored"], load.taken,
        "the server's own count: {ledger:#}"
    );
}

/// An agent that takes samples as fast as it likes, and tries again at once when its session breaks.
struct Load {
    identity: Identity,
    first: UnixMillis,
    taken: u64,
    acknowledged: BTreeSet<u64>,
}

impl Load {
    /// One session, until it breaks or `done`: what is not acknowledged goes again, and `more` new ones with it.
    async fn session(&mut self, more: u64, done: impl Fn(&Self) -> bool) {
        let Ok(Ok(mut agent)) = timeout(HEARS_NOTHING, FakeAgent::open(&self.identity, 1)).await else {
            return;
        };
        self.taken += more;
        let missing: Vec<u64> = (1..=self.taken)
            .filter(|seq| !self.acknowledged.contains(seq))
            .collect();
        for part in missing.chunks(10) {
            let first = self.first;
            let numbered = |seq: &u64| (*seq, sample(UnixMillis(first.0 + *seq as i64), 1.0));
            if timeout(HEARS_NOTHING, agent.send(part.iter().map(numbered)))
                .await
                .is_err()
            {
                return;
            }
        }
        while !done(self) {
            let Ok(Ok((stored, rejected))) = timeout(HEARS_NOTHING, agent.settled(1)).await else {
                return;
            };
            assert_eq!(rejected, [], "a bad network makes no bad samples");
            self.acknowledged.extend(stored);
            if self.acknowledged.len() as u64 == self.taken && more > 0 {
                return;
            }
        }
    }
}

async fn a_network_that_carries_nothing_is_given_up_and_tried_again(database: Database) {
    let server = Server::start_with(&database, Some(QUICK)).await;
    let proxy = Proxy::start(&server.url, Chance::seeded(1)).await;
    let config = format!("server: {}\n{AGENT}", proxy.redirect(&server.url));
    let mut agent = Agent::prepared(&server.add_agent("host").await, &config).await;
    agent.keep_log();
    agent.start_again();
    server.ledger_when("host", settled_since(UnixMillis(0))).await;

    proxy.set(Weather::Silence);
    let (silent, before) = (now(), proxy.accepted());
    eventually("the server to see the agent as gone", async || {
        let overview = server.overview("host").await?;
        (overview["status"] == "disconnected").then_some(())
    })
    .await;
    eventually("the agent to give its connection up", async || {
        (proxy.accepted() > before).then_some(())
    })
    .await;
    let given_up = now();
    proxy.set(Weather::Calm);
    let ledger = server.ledger_when("host", settled_since(given_up)).await;
    assert_all_stored(&ledger);
    assert_eq!(
        ledger["agent"]["gaps"],
        serde_json::json!([]),
        "it sampled on: {ledger:#}"
    );

    // Every sample of the silence is in the store, behind the live samples.
    let path = format!(
        "/api/v1/agents/host/metrics/history?metrics=memory.used_bytes&interval=2&start={}&end={}",
        silent.seconds(),
        given_up.seconds()
    );
    let history = server.ok(&path).await;
    let points = history["data"].as_array().map_or(0, Vec::len) as i64;
    let expected = (given_up.seconds() - silent.seconds()) / 2;
    assert!(points >= expected * 8 / 10, "{points} of {expected}: {history:#}");
    assert_eq!(agent.terminate().await, Some(0));
}
