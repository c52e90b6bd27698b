//! How the store holds on to its database: TLS, silence, limits, several servers at once, and what it never tells.

#[path = "connections/relay.rs"]
mod relay;
#[path = "connections/secrets.rs"]
mod secrets;
#[path = "connections/silence.rs"]
mod silence;
#[path = "connections/tls.rs"]
mod tls;

use std::sync::Arc;

use nodeglass_model::{SampleId, UnixMillis};
use nodeglass_store::{AgentKey, Options, StagedSample, Store, open, open_with};
use sqlx::{Connection, PgConnection};
use xtask::postgres::{Binaries, Cluster};

fn binaries() -> Binaries {
    Binaries::find().expect("PostgreSQL's programs")
}

/// A server of the test's own, on its socket.
fn cluster() -> Cluster {
    let options = xtask::postgres::Options { fsync: false };
    Cluster::start(&binaries(), options).expect("a PostgreSQL of the test's own")
}

fn sample(seq: u64) -> StagedSample {
    StagedSample {
        agent: AgentKey(1),
        id: SampleId { epoch: 1, seq },
        timestamp: UnixMillis(seq as i64),
        payload: vec![7; 20],
        weight: 1,
    }
}

async fn open_four_at_once(url: &str) {
    let opened: Vec<_> = (0..4)
        .map(|_| tokio::spawn(open(url.to_owned().leak())))
        .collect();
    let mut stores: Vec<Arc<dyn Store>> = Vec::new();
    for store in opened {
        stores.push(store.await.unwrap().expect("each of them opens"));
    }
    for (seq, store) in (1..).zip(&stores) {
        assert_eq!(store.append(&[sample(seq)]).await.unwrap().stored, 1);
    }
    for store in stores {
        assert_eq!(store.ledger(AgentKey(1)).await.unwrap().stored, 4);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_servers_may_start_at_once_on_sqlite() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        open_four_at_once(&format!("sqlite://{}/store.db", directory.path().display())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_servers_may_start_at_once_on_postgresql() {
    let cluster = cluster();
    for round in 0..5 {
        let name = format!("start_{round}");
        cluster.create_database(&name).unwrap();
        open_four_at_once(&cluster.url(&name)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_connections_than_allowed() {
    let cluster = cluster();
    let url = cluster.url("postgres");
    let limits = Options {
        readers: 2,
        writers: 1,
        workers: 1,
        ..Options::default()
    };
    let store = open_with(&url, &limits).await.unwrap();
    let mut work = tokio::task::JoinSet::new();
    for seq in 1..=40 {
        let store = store.clone();
        work.spawn(async move {
            store.append(&[sample(seq)]).await.unwrap();
            store.ledger(AgentKey(1)).await.unwrap();
        });
    }
    work.join_all().await;
    let mut beside = PgConnection::connect(&url).await.unwrap();
    // None is closed before it lay idle for minutes, so these are all that there ever were.
    let count: i64 =
        sqlx::query_scalar("select count(*) from pg_stat_activity where application_name = 'nodeglass'")
            .fetch_one(&mut beside)
            .await
            .unwrap();
    assert!(
        (3..=4).contains(&count),
        "two and one, and one for what is done beside them: {count}"
    );
    assert_eq!(store.ledger(AgentKey(1)).await.unwrap().stored, 40);
    store.close().await;
}

#[tokio::test]
async fn limits_hold_on_the_server_s_side_too() {
    let cluster = cluster();
    let url = cluster.url("postgres");
    let store = open(&url).await.unwrap();
    store.ping().await.unwrap();
    let mut beside = PgConnection::connect(&url).await.unwrap();
    let mut holder = beside.begin().await.unwrap();
    sqlx::query("lock table ledger in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();
    // Nobody lets go of the table. Whoever gives up first, the call ends, and the server works on it no longer.
    let error = store.ledger(AgentKey(1)).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert!(
        source
            .as_deref()
            .is_some_and(|source| source.contains("statement timeout")),
        "{error:?}"
    );
    holder.rollback().await.unwrap();
    store
        .ledger(AgentKey(1))
        .await
        .expect("the connection is as good as before");
    store.close().await;
}
