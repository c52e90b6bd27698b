//! A database that is there and says nothing: noticed within a bound, told apart from one that takes its time, and used
//! again as soon as it answers.

use std::time::{Duration, Instant};

use nodeglass_store::{AgentKey, Options, open_with};
use sqlx::{Connection, PgConnection};
use xtask::postgres::{Cluster, Tcp};

use crate::relay::Relay;
use crate::{binaries, sample};

/// Long enough for a busy machine to take up a connection.
const SILENCE: Duration = Duration::from_secs(2);

fn cluster() -> Cluster {
    let options = xtask::postgres::Options { fsync: false };
    let tcp = Tcp {
        tls: None,
        method: "trust",
    };
    Cluster::start_on_tcp(&binaries(), options, tcp).expect("a PostgreSQL of the test's own")
}

fn limits() -> Options {
    Options {
        silence: SILENCE,
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_database_is_noticed_and_used_again() {
    let cluster = cluster();
    let relay = Relay::start(cluster.port().unwrap()).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", relay.port);
    let store = open_with(&url, &limits()).await.unwrap();
    store.append(&[sample(1)]).await.unwrap();

    // More calls than there are connections: none may be held up by another's.
    relay.set_silent(true);
    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for seq in 2..8 {
        let store = store.clone();
        calls.spawn(async move { store.append(&[sample(seq)]).await });
    }
    for result in calls.join_all().await {
        let error = result.expect_err("nothing passes");
        assert!(error.is_unreachable(), "{error:?}");
    }
    let noticed = began.elapsed();
    // Two connections for six calls: three rounds of one silence each, some of two.
    assert!(noticed < SILENCE * 7, "noticed after {noticed:?}");

    relay.set_silent(false);
    let began = Instant::now();
    store.append(&[sample(2)]).await.expect("it is used again");
    let resumed = began.elapsed();
    assert!(resumed < SILENCE, "resumed after {resumed:?}");
    assert_eq!(store.ledger(AgentKey(1)).await.unwrap().stored, 2);
    eprintln!(
        "silence of {SILENCE:?}: six calls noticed it within {noticed:?}, and storing went on after {resumed:?}"
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_amid_silence_is_given_up() {
    let cluster = cluster();
    let relay = Relay::start(cluster.port().unwrap()).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", relay.port);
    let store = open_with(&url, &limits()).await.unwrap();
    let mut holder = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    let mut lock = holder.begin().await.unwrap();
    sqlx::query("lock table ledger in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    let call = tokio::spawn({
        let store = store.clone();
        async move { store.ledger(AgentKey(1)).await }
    });
    until_blocked(&cluster).await;
    relay.set_silent(true);
    let began = Instant::now();
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert!(began.elapsed() < SILENCE * 4, "after {:?}", began.elapsed());
    lock.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_its_time_is_waited_for() {
    let cluster = cluster();
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres",
        cluster.port().unwrap()
    );
    let store = open_with(&url, &limits()).await.unwrap();
    let mut holder = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    let mut lock = holder.begin().await.unwrap();
    sqlx::query("lock table ledger in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    let call = tokio::spawn({
        let store = store.clone();
        async move { store.ledger(AgentKey(1)).await }
    });
    until_blocked(&cluster).await;
    // As long as the server would have to show no sign of life several times over.
    let slept = format!("select pg_sleep({})", (SILENCE * 3).as_secs_f64());
    sqlx::query(sqlx::AssertSqlSafe(slept))
        .execute(&mut *lock)
        .await
        .unwrap();
    assert!(!call.is_finished());
    lock.rollback().await.unwrap();
    assert_eq!(call.await.unwrap().unwrap().stored, 0);
    store.close().await;
}

/// Waits until a statement of the store's waits for a lock.
async fn until_blocked(cluster: &Cluster) {
    const QUESTION: &str = "select exists (select 1 from pg_stat_activity \
                            where application_name = 'nodeglass' and wait_event_type = 'Lock')";
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let is_blocked: bool = sqlx::query_scalar(QUESTION)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if is_blocked {
            return;
        }
        assert!(Instant::now() < until, "no statement waits");
        tokio::task::yield_now().await;
    }
}
