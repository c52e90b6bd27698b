//! The whole system by way of `PgBouncer` in transaction mode, with fewer sessions than the server has connections: samples, compaction,
//! hours, what people change, a line that breaks and a server that is killed.

use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::line::{DatabaseLine, Line};
use nodeglass_tests::server::{Server, assert_all_stored, settled_since};
use serde_json::json;
use xtask::postgres::{Binaries, Cluster, Options, Pooler};

const SOON: &str = "{metrics: {storage: {compaction_interval: 1s}}}";
const HOUR: Duration = Duration::from_hours(1);
/// Five hours of a host at five seconds.
const SAMPLES: u64 = 3_600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_by_way_of_a_pooler() {
    let cluster = Cluster::start(
        &Binaries::find().expect("PostgreSQL's programs"),
        Options { fsync: false },
    )
    .expect("a PostgreSQL of the test's own");
    cluster.create_database("pooled").expect("a database");
    let pooler = Pooler::start(&cluster).expect("PgBouncer");
    let direct = Database::borrowed(cluster.url("pooled"));
    let way = DatabaseLine::to(&pooler.url("pooled")).await;
    let mut server = Server::start_to_be_killed(&Database::borrowed(way.url.clone()), SOON).await;
    let mut real = Agent::start(&server, "real").await;
    let enrolment = server.enrolment("host").await;
    let mut host = FakeAgent::open(&enrolment, 1).await.unwrap();
    let start = now().floor(HOUR).minus(HOUR * 6);
    let of = |seq: u64| {
        let at = start.plus(Duration::from_secs((seq - 1) * 5));
        (seq, sample(at, (seq % 100) as f64))
    };

    // Half of it while all is well, the rest while the line breaks.
    host.send((1..=SAMPLES / 2).map(of)).await;
    host.settled(SAMPLES as usize / 2).await.unwrap();
    way.set(Line::Dead);
    host.send((SAMPLES / 2 + 1..=SAMPLES).map(of)).await;
    let newest = start.plus(Duration::from_secs((SAMPLES - 1) * 5));
    eventually("the live view to have it all the same", async || {
        host.heartbeat().await;
        let shown = server.overview("host").await?["last_metrics_update"].as_i64()?;
        (UnixMillis(shown) == newest).then_some(())
    })
    .await;
    way.set(Line::Open);
    host.settled(SAMPLES as usize / 2).await.unwrap();

    // A change that people made, and chunks and hours that compaction made, by way of it.
    let labels = json!({"site": "north"});
    server.changed("PUT", "/api/v1/agents/host/labels", labels).await;
    eventually("most of it to be in full chunks", async || {
        let full = "select cast(coalesce(sum(n), 0) as text) from chunk where level = 1";
        let points: u64 = direct.texts(full).await.ok()?[0].parse().ok()?;
        (points >= SAMPLES / 2).then_some(())
    })
    .await;

    server.kill().await;
    server.start_again().await;
    let hours = format!(
        "/api/v1/agents/host/metrics/history?metrics=cpu.usage_percent&start={}&end={}&interval=3600&agg=sum",
        start.seconds(),
        start.plus(HOUR * 5).seconds(),
    );
    let found = server.ok(&hours).await;
    assert_eq!(found["resolution"], "hour");
    let expected: Vec<f64> = (0..5)
        .map(|hour| {
            (hour * 720 + 1..=(hour + 1) * 720)
                .map(|seq| f64::from(seq % 100))
                .sum()
        })
        .collect();
    let sums = found["data"].as_array().unwrap().iter();
    let sums: Vec<f64> = sums
        .map(|row| row["cpu.usage_percent"].as_f64().unwrap())
        .collect();
    assert_eq!(sums, expected);
    let labels = server.ok("/api/v1/agents/host/labels").await;
    assert_eq!(labels["labels"]["site"]["value"], "north", "{labels}");

    // Everything comes again, and is known.
    let mut host = FakeAgent::open(&enrolment, 1).await.unwrap();
    host.send((1..=SAMPLES).map(of)).await;
    host.settled(SAMPLES as usize).await.unwrap();
    let stored = direct.stored().await.unwrap();
    let seqs = stored
        .iter()
        .filter(|(agent, ..)| agent == "host")
        .map(|(.., seq)| *seq);
    assert!(seqs.eq(1..=SAMPLES as i64), "every sample, each once");
    let over = now();
    assert_eq!(real.terminate().await, Some(0));
    assert_all_stored(&server.ledger_when("real", settled_since(over)).await);
}
