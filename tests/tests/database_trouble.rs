//! A database that is gone, hangs, takes its time, is full or locked: whatever it is, the live view stays quick,
//! acknowledgements stop, the server's memory stays bounded, and when the trouble is over everything is stored, once.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::line::{DatabaseLine, Line};
use nodeglass_tests::namespace::{mount_small, ran_in_own_mounts};
use nodeglass_tests::server::{Server, assert_all_stored, settled_since};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tokio::sync::Mutex;
use tokio::time::Instant;
use xtask::postgres::{Binaries, Cluster, Options};

const CONFIG: &str = "agents: {heartbeat_interval: 5s}\nmetrics: {storage: {queue_max_bytes: 1 MiB}}";
/// Samples that come while the database is in trouble: more than the queue has room for.
const BACKLOG: u64 = 6_000;
/// What the server may need more for all that: the queue's bound, the samples in hand, and what an allocator keeps.
const MORE_BYTES: u64 = 48 << 20;
/// Live reads of which the slowest hundredth is looked at. They take longer than an answer about a token holds.
const READS: usize = 200;
const BETWEEN_READS: Duration = Duration::from_millis(30);
const QUICK: Duration = Duration::from_millis(100);

/// What a kind of trouble does to acknowledgements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Storing {
    Stops,
    GoesOn,
}

/// The ninety-ninth of a hundred live reads, from one round of them, while an agent shows that it is alive.
async fn p99(server: &Server, load: &FakeAgent) -> Duration {
    let mut times = Vec::new();
    for number in 0..READS {
        let path = match number % 2 {
            0 => "/api/v1/agents/one/metrics",
            _ => "/api/v1/metrics/agents",
        };
        let began = Instant::now();
        server.ok(path).await;
        times.push(began.elapsed());
        tokio::time::sleep(BETWEEN_READS).await;
        if number % 20 == 0 {
            load.heartbeat().await;
        }
    }
    times.sort();
    times[READS * 99 / 100 - 1]
}

/// Plays trouble from its beginning to its end and after.
async fn survive(server: &Server, storing: Storing, begin: impl AsyncFnOnce(), end: impl AsyncFnOnce()) {
    let mut agent = Agent::start(server, "one").await;
    let mut load = FakeAgent::open(&server.enrolment("load").await, 1).await.unwrap();
    let first = now().minus(Duration::from_hours(1));
    let batch = |from: u64, count: u64| {
        (from..from + count).map(move |seq| (seq, sample(UnixMillis(first.0 + seq as i64), 1.0)))
    };
    load.send(batch(1, 200)).await;
    load.settled(200).await.unwrap();
    let newest = async || {
        server.overview("load").await.unwrap()["last_metrics_update"]
            .as_i64()
            .unwrap()
    };
    // Once before, so that what the server needs for this at all is not counted.
    p99(server, &load).await;
    let before = server.resident_bytes();

    begin().await;
    for from in (201..=200 + BACKLOG).step_by(500) {
        load.send(batch(from, 500)).await;
    }
    let shown = first.0 + 200 + BACKLOG as i64;
    eventually("the live view to be up to date", async || {
        load.heartbeat().await;
        (newest().await == shown).then_some(())
    })
    .await;
    // A machine that is busy with other tests may be slow for a while; trouble is slow all the time.
    let mut rounds = Vec::new();
    while rounds.last().is_none_or(|p99| *p99 > QUICK) {
        assert!(rounds.len() < 5, "live reads, p99 of each round: {rounds:?}");
        rounds.push(p99(server, &load).await);
    }
    let more = server.resident_bytes().saturating_sub(before);
    assert!(more < MORE_BYTES, "{} KiB more than before", more >> 10);
    if storing == Storing::Stops {
        while let Ok(said) = tokio::time::timeout(Duration::from_millis(20), load.next()).await {
            let said = said.expect("the session lives on");
            assert!(!matches!(said, Down::Acknowledgement(_)), "{said:?}");
        }
    }

    end().await;
    let mut missing: std::collections::BTreeSet<u64> = (201..=200 + BACKLOG).collect();
    let until = Instant::now() + Duration::from_mins(2);
    while !missing.is_empty() {
        assert!(Instant::now() < until, "{} samples are not stored", missing.len());
        load.heartbeat().await;
        match tokio::time::timeout(Duration::from_secs(1), load.next()).await {
            Ok(Ok(Down::Acknowledgement(words))) => {
                for seq in words.stored.iter().flat_map(|run| run.first..=run.last) {
                    missing.remove(&seq);
                }
            }
            Ok(Ok(Down::Resend(_))) => {
                let again: Vec<u64> = missing.iter().copied().collect();
                for part in again.chunks(500) {
                    let part = part.iter().flat_map(|seq| batch(*seq, 1));
                    load.send_raw(part.map(|(seq, sample)| (seq, (&sample).into())), true)
                        .await;
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
    // Its last word are the books as they are left.
    let over = now();
    assert_eq!(agent.terminate().await, Some(0));
    assert_all_stored(&server.ledger_when("one", settled_since(over)).await);
}

async fn on_a_line(cluster: &Cluster, name: &str, line: Line, storing: Storing) {
    cluster.create_database(name).expect("a database");
    let way = DatabaseLine::to(&cluster.url(name)).await;
    let server = Server::start_with(&Database::borrowed(way.url.clone()), Some(CONFIG)).await;
    survive(
        &server,
        storing,
        async || way.set(line),
        async || way.set(Line::Open),
    )
    .await;
    assert_once(&Database::borrowed(cluster.url(name))).await;
    eprintln!("{line:?}: ok");
}

/// Every sample of the load is stored, each once.
async fn assert_once(database: &Database) {
    let stored = database.stored().await.unwrap();
    let load = stored
        .iter()
        .filter(|(agent, ..)| agent == "load")
        .map(|(.., seq)| *seq);
    assert!(load.eq(1..=200 + BACKLOG as i64), "every sample, each once");
}

fn cluster() -> Cluster {
    let binaries = Binaries::find().expect("PostgreSQL's programs");
    Cluster::start(&binaries, Options { fsync: true }).expect("a PostgreSQL of the test's own")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_or_hangs_or_is_slow_costs_nothing() {
    let cluster = cluster();
    tokio::join!(
        on_a_line(&cluster, "dead", Line::Dead, Storing::Stops),
        on_a_line(&cluster, "silent", Line::Silent, Storing::Stops),
        on_a_line(
            &cluster,
            "slow",
            Line::Slow(Duration::from_millis(400)),
            Storing::GoesOn
        ),
    );
}

/// Leaves no room in a file system.
fn fill(directory: &Path) -> PathBuf {
    let path = directory.join("ballast");
    let mut file = File::create(&path).unwrap();
    for size in [1 << 20, 4096] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_whose_disk_is_full_costs_nothing() {
    if ran_in_own_mounts("a_postgresql_whose_disk_is_full_costs_nothing").await {
        return;
    }
    let cluster = cluster();
    let url = cluster.url("postgres");
    let place = tempfile::Builder::new()
        .prefix("nodeglass-small-")
        .tempdir_in("/tmp")
        .unwrap();
    mount_small(place.path(), 64).await;
    // PostgreSQL has the directory of its socket, and wants one of its own for tables.
    let tables = place.path().join("tables");
    fs::create_dir(&tables).unwrap();
    let socket = url
        .split_once('@')
        .unwrap()
        .1
        .split_once('/')
        .unwrap()
        .0
        .replace("%2F", "/");
    let owner = fs::metadata(socket).unwrap();
    chown(&tables, Some(owner.uid()), Some(owner.gid())).unwrap();
    let mut admin = PgConnection::connect(&url).await.unwrap();
    for statement in [
        format!("create tablespace small location '{}'", tables.display()),
        "create database small tablespace small".to_owned(),
    ] {
        admin.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
    let database = Database::borrowed(cluster.url("small"));
    let server = Server::start_with(&database, Some(CONFIG)).await;
    let ballast = place.path().join("ballast");
    let end = async || fs::remove_file(&ballast).unwrap();
    survive(
        &server,
        Storing::Stops,
        async || {
            fill(place.path());
        },
        end,
    )
    .await;
    assert_once(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_whose_disk_is_full_costs_nothing() {
    if ran_in_own_mounts("an_sqlite_whose_disk_is_full_costs_nothing").await {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    mount_small(place.path(), 64).await;
    let database = Database::borrowed(format!("sqlite://{}/test.db", place.path().display()));
    let server = Server::start_with(&database, Some(CONFIG)).await;
    let ballast = place.path().join("ballast");
    let end = async || fs::remove_file(&ballast).unwrap();
    survive(
        &server,
        Storing::Stops,
        async || {
            fill(place.path());
        },
        end,
    )
    .await;
    assert_once(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_that_another_process_locks_costs_nothing() {
    let database = Database::sqlite();
    let server = Server::start_with(&database, Some(CONFIG)).await;
    let other = Mutex::new(SqliteConnection::connect(database.url()).await.unwrap());
    let begin = async || {
        other.lock().await.execute("begin immediate").await.unwrap();
    };
    let end = async || {
        other.lock().await.execute("rollback").await.unwrap();
    };
    survive(&server, Storing::Stops, begin, end).await;
    assert_once(&database).await;
}
