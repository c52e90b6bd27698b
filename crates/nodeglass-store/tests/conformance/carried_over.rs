//! What a database has from before there were tiers.

use nodeglass_model::UnixMillis;
use nodeglass_store::open;
use sqlx::{Connection, SqliteConnection};

use crate::latest::latest;
use crate::slots::compact;
use crate::{A, B, direct, enrol, sample, stored};

on_every_database!(keeps_what_was_staged_before_there_were_tiers);

/// The last migration before.
const THEN: i64 = 2;

const LEDGER: &str = "insert into ledger (agent_key, stored, duplicate) values ($1, 7, 1)";
const STAGING: &str = "insert into staging (ts, agent_key, epoch, seq, payload) values ($1, $2, $3, $4, $5)";
const LATEST: &str = "insert into latest (agent_key, ts, epoch, seq) values ($1, $2, $3, $4)";

async fn keeps_what_was_staged_before_there_were_tiers(url: &str) {
    let before = [sample(A, 10, 1), sample(B, 15, 1), sample(A, 20, 2)];
    // Both databases understand the same statements.
    macro_rules! fill {
        ($connection:expr) => {
            for one in &before {
                let (epoch, seq) = (one.id.epoch as i64, one.id.seq as i64);
                sqlx::query(STAGING)
                    .bind(one.timestamp.0)
                    .bind(one.agent.0)
                    .bind(epoch)
                    .bind(seq)
                    .bind(&one.payload)
                    .execute($connection)
                    .await
                    .unwrap();
            }
            let newest = &before[2];
            sqlx::query(LATEST)
                .bind(A.0)
                .bind(newest.timestamp.0)
                .bind(newest.id.epoch as i64)
                .bind(newest.id.seq as i64)
                .execute($connection)
                .await
                .unwrap();
            sqlx::query(LEDGER)
                .bind(A.0)
                .execute($connection)
                .await
                .unwrap();
        };
    }
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc"))
            .await
            .unwrap();
        let migrator = sqlx::migrate!("../../migrations/sqlite");
        migrator.run_to(THEN, &mut connection).await.unwrap();
        fill!(&mut connection);
        connection.close().await.unwrap();
    } else {
        let mut connection = direct(url).await;
        let migrator = sqlx::migrate!("../../migrations/postgres");
        migrator.run_to(THEN, &mut connection).await.unwrap();
        fill!(&mut connection);
        connection.close().await.unwrap();
    }

    let store = open(url).await.unwrap();
    assert_eq!((enrol(&store, "a").await, enrol(&store, "b").await), (A, B));
    assert_eq!(latest(&store).await, [(A, 20), (B, 15)]);
    assert_eq!(stored(&store, A).await, [1, 2]);
    let ledger = store.ledger(A).await.unwrap();
    assert_eq!(
        (ledger.stored, ledger.duplicate),
        (7, 1),
        "they were counted then"
    );
    let again = store.append(&[sample(A, 20, 2), sample(A, 30, 3)]).await.unwrap();
    assert_eq!((again.stored, again.duplicate), (1, 1));
    compact(&store, UnixMillis(1)).await;
    assert_eq!(
        (stored(&store, A).await, stored(&store, B).await),
        (vec![1, 2, 3], vec![1])
    );
    let ledger = store.ledger(A).await.unwrap();
    assert_eq!((ledger.stored, ledger.duplicate), (8, 2));
    assert_eq!(latest(&store).await[0], (A, 20), "as it was saved last");
    store.close().await;
}

/// The last migration with a row for each name of a series.
const NAMES_IN_ROWS: i64 = 10;

#[tokio::test]
async fn postgres_keeps_the_numbers_of_series_that_had_a_row_each() {
    let database = crate::Database::postgres("numbers_of_series").await;
    let url = &database.url();
    let mut connection = direct(url).await;
    let migrator = sqlx::migrate!("../../migrations/postgres");
    migrator.run_to(NAMES_IN_ROWS, &mut connection).await.unwrap();
    for statement in [
        "insert into agent (id, enrolled_at) values ('host', 0)",
        // More than a block holds, and not in the order of their numbers.
        "insert into series select key, number, 140, 'disk ' || number from agent, generate_series(80, 0, -1) as number",
        "insert into latest (agent_key, ts, epoch, seq, series, value) select key, 1, 1, 1, '{79, 3}', '{7.5, 0.5}' from agent",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }

    let store = open(url).await.unwrap();
    let shown = "select device || ' ' || value from metrics_latest order by 1";
    let shown: Vec<String> = sqlx::query_scalar(shown)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(shown, ["disk 3 0.5", "disk 79 7.5"]);
    assert_eq!(store.series(A).await.unwrap().len(), 81);
    store.close().await;
    connection.close().await.unwrap();
    database.remove().await;
}
