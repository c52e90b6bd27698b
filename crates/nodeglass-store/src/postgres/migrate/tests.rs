//! The next migration comes while samples do: none is lost, and none waits for long.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nodeglass_model::{SampleId, UnixMillis};
use sqlx::migrate::MigrationType;
use sqlx::{Connection, PgConnection, SqlSafeStr};
use xtask::postgres::{Binaries, Cluster};

use super::*;
use crate::{AgentKey, StagedSample, Store};

fn cluster() -> Cluster {
    let options = xtask::postgres::Options { fsync: false };
    Cluster::start(&Binaries::find().unwrap(), options).unwrap()
}

/// Our migrations, and one more that changes a table that every sample needs.
fn with_one_more() -> Migrator {
    let more = Migration::new(
        9_000,
        Cow::Borrowed("a column more"),
        MigrationType::Simple,
        "alter table ledger add column more bigint not null default 0; \
         create index ledger_by_more on ledger (more); alter table ledger rename column more to most"
            .into_sql_str(),
        false,
    );
    Migrator::with_migrations(MIGRATIONS.iter().cloned().chain([more]).collect())
}

/// What a load has done so far.
#[derive(Default)]
struct Load {
    stored: AtomicU64,
    failed: AtomicU64,
    slowest_ms: AtomicU64,
    stop: AtomicBool,
}

/// Stores samples one after another, and each again until it is stored.
async fn load(store: Arc<dyn Store>, load: Arc<Load>) {
    for seq in 1.. {
        if load.stop.load(Ordering::Relaxed) {
            return;
        }
        let sample = StagedSample {
            agent: AgentKey(1),
            id: SampleId { epoch: 1, seq },
            timestamp: UnixMillis(seq as i64),
            payload: vec![1; 30],
            weight: 1,
        };
        let began = Instant::now();
        while store.append(std::slice::from_ref(&sample)).await.is_err() {
            load.failed.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        load.slowest_ms
            .fetch_max(began.elapsed().as_millis() as u64, Ordering::Relaxed);
        load.stored.store(seq, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_under_load_loses_nothing_and_stalls_nobody() {
    let cluster = cluster();
    let url = cluster.url("postgres");
    let store = crate::open(&url).await.unwrap();
    let progress = Arc::new(Load::default());
    let loading = tokio::spawn(load(store.clone(), progress.clone()));

    // Somebody reads the table for long, a backup say, and nobody can change it meanwhile.
    let mut reader = PgConnection::connect(&url).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("lock table ledger in access share mode")
        .execute(&mut *reading)
        .await
        .unwrap();
    let pools = super::super::connect::connect(&url, &crate::Options::default())
        .await
        .unwrap();
    let migrator = with_one_more();
    let migrating = async { run_all(&pools.writer, &migrator).await };
    let meanwhile = async {
        // The migration tries, gives way, and tries again, and samples are stored between.
        let until = Instant::now() + Duration::from_secs(30);
        let mut attempts = 0;
        let mut was_waiting = false;
        let mut before = progress.stored.load(Ordering::Relaxed);
        let mut beside = PgConnection::connect(&url).await.unwrap();
        while attempts < 3 {
            assert!(Instant::now() < until, "the migration waits as long as it likes");
            let is_waiting: bool = sqlx::query_scalar(
                "select exists (select 1 from pg_locks where mode = 'AccessExclusiveLock' and not granted)",
            )
            .fetch_one(&mut beside)
            .await
            .unwrap();
            if was_waiting && !is_waiting {
                attempts += 1;
                // Ingest goes on before the next attempt ends.
                while progress.stored.load(Ordering::Relaxed) <= before {
                    assert!(Instant::now() < until, "nothing is stored any more");
                    tokio::task::yield_now().await;
                }
                before = progress.stored.load(Ordering::Relaxed);
            }
            was_waiting = is_waiting;
        }
        reading.rollback().await.unwrap();
    };
    let (migrated, ()) = tokio::join!(migrating, meanwhile);
    migrated.unwrap();
    let at_migration = progress.stored.load(Ordering::Relaxed);
    while progress.stored.load(Ordering::Relaxed) < at_migration + 20 {
        assert!(!loading.is_finished());
        tokio::task::yield_now().await;
    }
    progress.stop.store(true, Ordering::Relaxed);
    loading.await.unwrap();

    let stored = progress.stored.load(Ordering::Relaxed);
    let ledger = store.ledger(AgentKey(1)).await.unwrap();
    assert_eq!((ledger.stored, ledger.duplicate), (stored, 0));
    let slowest = progress.slowest_ms.load(Ordering::Relaxed);
    eprintln!(
        "{stored} samples stored one by one, the slowest in {slowest} ms, {} attempts failed",
        progress.failed.load(Ordering::Relaxed)
    );
    assert!(
        Duration::from_millis(slowest) < TABLES * 4,
        "a sample waited for {slowest} ms"
    );
    store.close().await;
    pools.writer.close().await;
    // This program knows nothing of the column.
    let error = crate::open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(9_000)), "{error:?}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let cluster = cluster();
    let url = cluster.url("postgres");
    crate::open(&url).await.unwrap().close().await;
    let broken = Migration::new(
        9_000,
        Cow::Borrowed("broken"),
        MigrationType::Simple,
        "create table half (a integer); select 1 / 0".into_sql_str(),
        false,
    );
    let migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().chain([broken]).collect());
    let pools = super::super::connect::connect(&url, &crate::Options::default())
        .await
        .unwrap();
    let error = run_all(&pools.writer, &migrator).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration(_)), "{error:?}");
    let mut beside = PgConnection::connect(&url).await.unwrap();
    let half: bool = sqlx::query_scalar("select exists (select 1 from pg_class where relname = 'half')")
        .fetch_one(&mut beside)
        .await
        .unwrap();
    assert!(!half);
    crate::open(&url).await.expect("as it was before").close().await;
    pools.writer.close().await;
}

#[tokio::test]
async fn what_is_copied_into_another_table_has_what_came_last() {
    let cluster = cluster();
    let url = cluster.url("postgres");
    let pools = super::super::connect::connect(&url, &crate::Options::default())
        .await
        .unwrap();
    let before = MIGRATIONS.iter().filter(|migration| migration.version < 11);
    let before = Migrator::with_migrations(before.cloned().collect());
    run_all(&pools.writer, &before).await.unwrap();

    // An older server names a series, and has not ended its transaction.
    let mut writer = PgConnection::connect(&url).await.unwrap();
    let mut naming = writer.begin().await.unwrap();
    naming
        .execute("insert into series (agent_key, id, metric, device) values (1, 0, 7, 'sda')")
        .await
        .unwrap();
    let migrating = run(&pools.writer);
    let meanwhile = async {
        let mut beside = PgConnection::connect(&url).await.unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let is_waiting: bool = sqlx::query_scalar(
                "select exists (select from pg_locks where relation = to_regclass('series') and not granted)",
            )
            .fetch_one(&mut beside)
            .await
            .unwrap();
            if is_waiting {
                break;
            }
            assert!(Instant::now() < until, "the migration waits for nobody");
            tokio::task::yield_now().await;
        }
        naming.commit().await.unwrap();
    };
    let (migrated, ()) = tokio::join!(migrating, meanwhile);
    migrated.unwrap();
    let devices: Vec<Vec<String>> = sqlx::query_scalar("select device from series")
        .fetch_all(&mut writer)
        .await
        .unwrap();
    assert_eq!(devices, [["sda"]]);
    pools.writer.close().await;
}
