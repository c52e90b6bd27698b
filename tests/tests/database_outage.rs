//! PostgreSQL dies under load and comes back: the live view goes on, acknowledgements stop, nothing is lost, and storing
//! goes on by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::chance::Chance;
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::proxy::{Proxy, Weather};
use nodeglass_tests::server::Server;
use reqwest::StatusCode;
use tokio::time::Instant;
use xtask::postgres::{Binaries, Cluster, Options, Tcp};

/// A server of the test's own, which it may kill.
fn cluster() -> Cluster {
    let binaries = Binaries::find().expect("PostgreSQL's programs");
    Cluster::start(&binaries, Options { fsync: true }).expect("a PostgreSQL of the test's own")
}

async fn timestamp(server: &Server, agent: &str) -> i64 {
    server
        .overview(agent)
        .await
        .and_then(|overview| overview["last_metrics_update"].as_i64())
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_database_costs_nothing() {
    let mut cluster = cluster();
    cluster.create_database("outage").expect("a database");
    let database = Database::borrowed(cluster.url("outage"));
    let server = Server::start(&database).await;
    let mut agents = [
        Agent::start(&server, "one").await,
        Agent::start(&server, "two").await,
    ];
    let enrolment = server.enrolment("load").await;
    let mut load = FakeAgent::open(&enrolment, 1).await.unwrap();
    let first = now().minus(Duration::from_hours(1));
    let batch =
        |from: u64| (from..from + 200).map(move |seq| (seq, sample(UnixMillis(first.0 + seq as i64), 1.0)));
    load.send(batch(1)).await;
    load.settled(200).await.unwrap();
    eventually("both agents to be stored", async || {
        let stored = database.stored().await.ok()?;
        ["one", "two"]
            .iter()
            .all(|name| stored.iter().any(|(agent, ..)| agent == name))
            .then_some(())
    })
    .await;

    // Under load: a batch is on its way when the database dies, and more come after.
    load.send(batch(201)).await;
    cluster.stop_immediate().expect("a stopped PostgreSQL");
    load.send(batch(401)).await;
    load.heartbeat().await;

    let seen = timestamp(&server, "one").await;
    eventually("the live view to go on", async || {
        (timestamp(&server, "one").await >= seen + 3_000).then_some(())
    })
    .await;
    let (status, body) = server.get("/ready").await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"database_unavailable".into())
    );
    let (status, body) = server
        .get("/api/v1/agents/one/metrics/history?metrics=cpu.usage_percent")
        .await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"database_unavailable".into())
    );
    assert_eq!(
        server.anonymous("/health").send().await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(server.get("/api/v1/agents/two/metrics").await.0, StatusCode::OK);

    cluster.start_again().expect("PostgreSQL again");
    load.heartbeat().await;
    let (stored, rejected) = load.settled(400).await.expect("the session lives on");
    assert_eq!(
        (stored, rejected.len()),
        ((201..=600).collect::<Vec<_>>(), 0),
        "all acknowledged now, none before"
    );
    assert_eq!(server.get("/ready").await.0, StatusCode::OK);
    for agent in &mut agents {
        assert_eq!(agent.terminate().await, Some(0));
    }

    let stored = database.stored().await.unwrap();
    for name in ["one", "two", "load"] {
        let seqs: Vec<i64> = stored
            .iter()
            .filter(|(agent, ..)| agent == name)
            .map(|(_, _, seq)| *seq)
            .collect();
        let expected: Vec<i64> = (1..=seqs.len() as i64).collect();
        assert_eq!(seqs, expected, "every sample of {name}, each once");
    }
}

/// The longest that a silent database may go unnoticed, and that storing may take to go on when it speaks again: one sign
/// of life more, the connection after it, and the pause between two attempts, with room for a busy machine.
const NOTICED: Duration = Duration::from_secs(20);
const RESUMED: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_behind_a_black_hole_is_noticed_and_storing_goes_on_soon() {
    let binaries = Binaries::find().expect("PostgreSQL's programs");
    let tcp = Tcp {
        tls: None,
        method: "trust",
    };
    let cluster =
        Cluster::start_on_tcp(&binaries, Options { fsync: true }, tcp).expect("a PostgreSQL on TCP");
    let port = cluster.port().expect("its port");
    let hole = Proxy::start(&format!("http://127.0.0.1:{port}"), Chance::new("black hole")).await;
    let address = hole.url.trim_start_matches("http://");
    let server = Server::start(&Database::borrowed(format!(
        "postgres://postgres@{address}/postgres"
    )))
    .await;
    let mut agent = FakeAgent::open(&server.enrolment("load").await, 1).await.unwrap();
    let first = now().minus(Duration::from_hours(1));
    let batch =
        |from: u64| (from..from + 200).map(move |seq| (seq, sample(UnixMillis(first.0 + seq as i64), 1.0)));
    agent.send(batch(1)).await;
    agent.settled(200).await.unwrap();

    hole.set(Weather::Silence);
    agent.send(batch(201)).await;
    let began = Instant::now();
    eventually("the silence to be noticed", async || {
        let (status, _) = server.get("/ready").await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    let noticed = began.elapsed();
    // The live view knows nothing of it.
    assert_eq!(server.get("/api/v1/agents/load/metrics").await.0, StatusCode::OK);

    hole.set(Weather::Calm);
    let began = Instant::now();
    agent.heartbeat().await;
    let (stored, rejected) = agent.settled(200).await.expect("the session lives on");
    let resumed = began.elapsed();
    eprintln!("the black hole was noticed after {noticed:?}, and storing went on {resumed:?} after its end");
    assert_eq!((stored, rejected.len()), ((201..=400).collect::<Vec<_>>(), 0));
    assert!(noticed < NOTICED, "noticed after {noticed:?}");
    assert!(resumed < RESUMED, "went on after {resumed:?}");
    let database = Database::borrowed(cluster.url("postgres"));
    assert_eq!(database.stored().await.unwrap().len(), 400, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finds_no_room_is_asked_for_again() {
    let mut cluster = cluster();
    cluster.create_database("full").expect("a database");
    let database = Database::borrowed(cluster.url("full"));
    let server = Server::start_with(&database, Some("metrics: {storage: {queue_max_bytes: 1 MiB}}")).await;
    let mut agent = FakeAgent::open(&server.enrolment("load").await, 1).await.unwrap();
    let first = now().minus(Duration::from_hours(1));
    let all = 1..=6_000_u64;
    let batch = |seqs: Vec<u64>| {
        seqs.into_iter()
            .map(|seq| (seq, sample(UnixMillis(first.0 + seq as i64), 1.0)))
    };
    cluster.stop_immediate().expect("a stopped PostgreSQL");
    for from in all.clone().step_by(500) {
        agent.send(batch((from..from + 500).collect())).await;
    }
    // The live view has all of them, though there is room for a part only.
    let newest = first.0 + 6_000;
    eventually("the live view to be up to date", async || {
        (timestamp(&server, "load").await == newest).then_some(())
    })
    .await;

    cluster.start_again().expect("PostgreSQL again");
    agent.heartbeat().await;
    let (mut stored, mut asked) = (BTreeSet::new(), 0);
    while stored.len() < 6_000 {
        match agent.next().await.expect("the session lives on") {
            Down::Acknowledgement(words) => {
                stored.extend(words.stored.iter().flat_map(|run| run.first..=run.last));
            }
            Down::Resend(_) => {
                asked += 1;
                let missing: Vec<u64> = all.clone().filter(|seq| !stored.contains(seq)).collect();
                for part in missing.chunks(500) {
                    agent
                        .send_raw(
                            batch(part.to_vec()).map(|(seq, sample)| (seq, (&sample).into())),
                            true,
                        )
                        .await;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(asked > 0, "some were turned away");
    assert_eq!(
        database.stored().await.unwrap().len(),
        6_000,
        "all of them, each once"
    );
}
