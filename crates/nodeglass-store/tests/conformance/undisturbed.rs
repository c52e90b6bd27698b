//! On PostgreSQL, removing tables or their contents takes locks that others wait behind. Storing samples must not be
//! among those that wait.

use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_store::open;
use nodeglass_store::tiers::{Levels, Outcome, Retention};
use sqlx::{Connection, PgConnection};

use crate::slots::{AT_ONCE, chunk, compact};
use crate::{A, ALL, B, Database, direct, sample, stored};

/// Longer than anything here takes, even on a busy machine; what waits for a lock waits for ever.
const DEADLINE: Duration = Duration::from_secs(30);

/// A connection on which something is read and kept.
async fn reading(url: &str, tables: &str) -> PgConnection {
    let mut connection = direct(url).await;
    let statement = format!("begin; lock table {tables} in access share mode");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn appending_never_waits_for_what_is_dropped() {
    let database = Database::postgres("undisturbed").await;
    let url = database.url();
    let store = open(&url).await.unwrap();
    store.append(&[sample(A, 10, 1)]).await.unwrap();
    store.close_slot(UnixMillis(1), AT_ONCE).await.unwrap();
    for slot in store.closed_slots().await.unwrap() {
        let done = store.finish_slot(slot.id, None, UnixMillis(1)).await.unwrap();
        assert_eq!(done, Outcome::Done);
    }

    // Somebody reads all of staging for long, a backup for one, and a slot is to be emptied meanwhile.
    let reader = reading(&url, "staging").await;
    let later = UnixMillis(1).plus(Duration::from_mins(2));
    let dropping = store.drop_slots(later);
    assert!(!tokio::time::timeout(DEADLINE, dropping).await.unwrap().unwrap());
    // Somebody without our patience waits for the very tables that are done with, and would hold up all who touch them.
    let mut impatient = direct(&url).await;
    let waiting = tokio::spawn(async move {
        sqlx::raw_sql("begin; lock table staging_0, staging_1 in access exclusive mode")
            .execute(&mut impatient)
            .await
            .unwrap();
        impatient.close().await.unwrap();
    });
    let mut observer = direct(&url).await;
    let until = tokio::time::Instant::now() + DEADLINE;
    let waits =
        "select exists (select 1 from pg_locks where not granted and relation = 'staging_0'::regclass)";
    while !sqlx::query_scalar::<_, bool>(waits)
        .fetch_one(&mut observer)
        .await
        .unwrap()
    {
        assert!(tokio::time::Instant::now() < until, "nobody waits");
        tokio::task::yield_now().await;
    }
    let group = [sample(A, 20, 2), sample(A, 30, 3)];
    let append = store.append(&group);
    assert_eq!(
        tokio::time::timeout(DEADLINE, append)
            .await
            .unwrap()
            .unwrap()
            .stored,
        2
    );
    reader.close().await.unwrap();
    waiting.await.unwrap();
    store.drop_slots(later).await.unwrap();
    assert_eq!(stored(&store, A).await, [2, 3]);

    // The same with a day of chunks: the step gives up, and is taken once nobody reads.
    let at = 26_000 * 86_400_000;
    let rows = [sample(B, at, 4)];
    store.append(&rows).await.unwrap();
    compact(&store, UnixMillis(2)).await;
    let small = store.heads(B, ALL, Levels::Small, 10).await.unwrap();
    let small = small.iter().find(|head| head.id.t0.0 == at).unwrap();
    let replaced = store.replace(B, &[small.id], &[chunk(&rows)], &()).await.unwrap();
    assert_eq!(replaced, Outcome::Done);
    let retention = Retention {
        raw: Duration::ZERO,
        rollups: Duration::ZERO,
        max_bytes: None,
    };
    let now = UnixMillis(26_010 * 86_400_000);
    let reader = reading(&url, "chunk").await;
    let removed = tokio::time::timeout(DEADLINE, store.retain(&retention, now))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(removed.partitions, 0);
    assert_eq!(store.append(&[sample(A, 40, 5)]).await.unwrap().stored, 1);
    reader.close().await.unwrap();
    assert_eq!(store.retain(&retention, now).await.unwrap().partitions, 1);
    observer.close().await.unwrap();
    store.close().await;
    database.remove().await;
}

/// With every place for slots taken, because nobody compacts, the open slot stays open and takes all that comes.
#[tokio::test]
async fn staging_grows_where_compaction_is_behind() {
    let database = Database::postgres("behind").await;
    let store = open(&database.url()).await.unwrap();
    for seq in 1..=20 {
        store.append(&[sample(A, seq as i64, seq)]).await.unwrap();
        store.close_slot(UnixMillis(seq as i64), AT_ONCE).await.unwrap();
    }
    assert_eq!(store.closed_slots().await.unwrap().len(), 7);
    assert_eq!(stored(&store, A).await, (1..=20).collect::<Vec<_>>());
    compact(&store, UnixMillis(30)).await;
    compact(&store, UnixMillis(40)).await;
    assert_eq!(store.closed_slots().await.unwrap(), []);
    assert_eq!(stored(&store, A).await, (1..=20).collect::<Vec<_>>());
    store.close().await;
    database.remove().await;
}
