//! One suite for every database behind [`Store`]: what holds on one holds on the other.
//!
//! The PostgreSQL half needs `TEST_DATABASE_URL`, which `cargo xtask test` provides. With `TEST_DATABASE_VIA`, the URL of a
//! pooler before that server, the stores are opened by way of it.

use std::sync::Arc;

use nodeglass_chunk::row;
use nodeglass_model::catalogue;
use nodeglass_model::{Sample, SampleId, TimeRange, UnixMillis};
use nodeglass_store::tiers::StoredSample;
use nodeglass_store::{AgentKey, Appended, Ledger, StagedSample, Store, StoreError, open};
use sqlx::{Connection, PgConnection};

/// A database of the test's own, removed at its end.
enum Database {
    Sqlite(tempfile::TempDir),
    Postgres { name: String },
}

fn postgres_url() -> String {
    std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL: run `cargo xtask test`, or set it to a PostgreSQL on which databases may be created")
}

/// The URL of another database on the same server.
fn with_database(url: &str, name: &str) -> String {
    let (server, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}?{parameters}")
}

/// A connection to the database of a store past any pooler, which tests' own statements know nothing of.
async fn direct(url: &str) -> PgConnection {
    let name = url.rsplit('/').next().expect("a database");
    let name = name.split('?').next().expect("its name");
    PgConnection::connect(&with_database(&postgres_url(), name))
        .await
        .expect("the PostgreSQL of TEST_DATABASE_URL")
}

async fn administrate(statement: String) {
    let mut connection = PgConnection::connect(&postgres_url())
        .await
        .expect("the PostgreSQL of TEST_DATABASE_URL");
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .expect("the statement");
    connection.close().await.ok();
}

impl Database {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a temporary directory"))
    }

    async fn postgres(test: &str) -> Self {
        let name = format!("conformance_{test}_{}", std::process::id());
        administrate(format!("create database {name}")).await;
        Self::Postgres { name }
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => format!("sqlite://{}/store.db", directory.path().display()),
            Self::Postgres { name } => {
                let via = std::env::var("TEST_DATABASE_VIA").ok();
                with_database(&via.unwrap_or_else(postgres_url), name)
            }
        }
    }

    async fn remove(self) {
        if let Self::Postgres { name } = self {
            administrate(format!("drop database {name} with (force)")).await;
        }
    }
}

/// Makes each function a test on each database.
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let database = crate::Database::sqlite();
                super::$test(&database.url()).await;
                database.remove().await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                let database = crate::Database::postgres(stringify!($test)).await;
                super::$test(&database.url()).await;
                database.remove().await;
            })+
        }
    };
}

#[path = "conformance/boards.rs"]
mod boards;
#[path = "conformance/carried_over.rs"]
mod carried_over;
#[path = "conformance/chunks.rs"]
mod chunks;
#[path = "conformance/damage.rs"]
mod damage;
#[path = "conformance/enrolments.rs"]
mod enrolments;
#[path = "conformance/identities.rs"]
mod identities;
#[path = "conformance/latest.rs"]
mod latest;
#[path = "conformance/records.rs"]
mod records;
#[path = "conformance/registry.rs"]
mod registry;
#[path = "conformance/retention.rs"]
mod retention;
#[path = "conformance/rollups.rs"]
mod rollups;
#[path = "conformance/slots.rs"]
mod slots;
#[path = "conformance/undisturbed.rs"]
mod undisturbed;

on_every_database!(
    stores_each_sample_once,
    tells_samples_of_one_moment_apart,
    stores_a_group_whole_or_not_at_all,
    pages_through_a_range,
    survives_being_opened_again,
    counts_what_it_stores_with_the_samples,
    refuses_tables_from_a_newer_version,
);

fn sample(agent: AgentKey, timestamp: i64, seq: u64) -> StagedSample {
    StagedSample {
        agent,
        id: SampleId {
            epoch: 1_700_000_000_000,
            seq,
        },
        timestamp: UnixMillis(timestamp),
        payload: row::encode(&said(timestamp, seq)),
        weight: 1,
    }
}

/// What a sample of these tests says: its number is its uptime.
fn said(timestamp: i64, seq: u64) -> Sample {
    let mut sample = Sample {
        timestamp: UnixMillis(timestamp),
        ..Sample::default()
    };
    let metric = catalogue::by_path("system.uptime_seconds").expect("a metric of the catalogue");
    metric.set(&mut sample, 0, seq as f64);
    sample
}

const ALL: TimeRange = TimeRange {
    start: UnixMillis(0),
    end: UnixMillis(i64::MAX),
};
const A: AgentKey = AgentKey(1);
const B: AgentKey = AgentKey(2);

async fn stored(store: &Arc<dyn Store>, agent: AgentKey) -> Vec<u64> {
    store
        .samples(agent, ALL, None, 1_000)
        .await
        .unwrap()
        .iter()
        .map(|sample| sample.id.seq)
        .collect()
}

async fn stores_each_sample_once(url: &str) {
    let store = open(url).await.unwrap();
    let first = [sample(A, 10, 1), sample(B, 10, 1), sample(A, 20, 2)];
    assert_eq!(
        store.append(&first).await.unwrap(),
        Appended {
            stored: 3,
            duplicate: 0
        }
    );
    let again = [sample(A, 20, 2), sample(A, 30, 3), sample(A, 30, 3)];
    assert_eq!(
        store.append(&again).await.unwrap(),
        Appended {
            stored: 1,
            duplicate: 2
        }
    );
    assert_eq!(store.append(&[]).await.unwrap(), Appended::default());
    assert_eq!(stored(&store, A).await, [1, 2, 3]);
    assert_eq!(stored(&store, B).await, [1]);
    let first = store.samples(A, ALL, None, 1).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].sample, said(10, 1));
    store.close().await;
}

async fn tells_samples_of_one_moment_apart(url: &str) {
    let store = open(url).await.unwrap();
    let mut other_epoch = sample(A, 10, 1);
    other_epoch.id.epoch += 1;
    let group = [sample(A, 10, 1), sample(A, 10, 2), other_epoch];
    assert_eq!(store.append(&group).await.unwrap().stored, 3);
    store.close().await;
}

async fn stores_a_group_whole_or_not_at_all(url: &str) {
    let store = open(url).await.unwrap();
    store.close().await;
    assert!(store.append(&[sample(A, 10, 1)]).await.is_err());
    let store = open(url).await.unwrap();
    assert_eq!(stored(&store, A).await, [0; 0]);
    let group: Vec<_> = (1..=2_500).map(|seq| sample(A, 10 * seq as i64, seq)).collect();
    assert_eq!(store.append(&group).await.unwrap().stored, 2_500);
    store.close().await;
}

async fn pages_through_a_range(url: &str) {
    let store = open(url).await.unwrap();
    // Three samples a moment, so that pages end within one.
    let group: Vec<_> = (0..30)
        .map(|n| sample(A, i64::try_from(n / 3).unwrap() * 10, n + 1))
        .collect();
    store.append(&group).await.unwrap();
    let range = TimeRange {
        start: UnixMillis(10),
        end: UnixMillis(90),
    };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.samples(A, range, after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.position());
        found.extend(page.iter().map(StoredSample::position));
    }
    let expected: Vec<_> = group[3..27].iter().map(StagedSample::position).collect();
    assert_eq!(found, expected);
    store.close().await;
}

async fn enrol(store: &Arc<dyn Store>, name: &str) -> AgentKey {
    store
        .enrol_agent(&name.parse().unwrap(), UnixMillis(1))
        .await
        .unwrap()
}

async fn survives_being_opened_again(url: &str) {
    let store = open(url).await.unwrap();
    store.append(&[sample(A, 10, 1)]).await.unwrap();
    let beside = open(url).await.unwrap();
    beside.append(&[sample(A, 20, 2)]).await.unwrap();
    assert_eq!(
        stored(&store, A).await,
        [1, 2],
        "two programs may use one database"
    );
    beside.close().await;
    store.close().await;
    let store = open(url).await.unwrap();
    assert_eq!(stored(&store, A).await, [1, 2]);
    store.ping().await.unwrap();
    store.close().await;
}

async fn counts_what_it_stores_with_the_samples(url: &str) {
    let store = open(url).await.unwrap();
    assert_eq!(store.ledger(A).await.unwrap(), Ledger::default());
    let mean = StagedSample {
        weight: 6,
        ..sample(A, 30, 8)
    };
    let group = [
        sample(A, 10, 1),
        sample(A, 20, 2),
        sample(A, 10, 1),
        mean.clone(),
        sample(B, 10, 1),
    ];
    let appended = store.append(&group).await.unwrap();
    assert_eq!((appended.stored, appended.duplicate), (9, 1));
    store.append(&[mean, sample(A, 40, 9)]).await.unwrap();
    let counts = async |agent| {
        let ledger = store.ledger(agent).await.unwrap();
        (ledger.stored, ledger.duplicate)
    };
    assert_eq!(counts(A).await, (9, 7));
    assert_eq!(counts(B).await, (1, 0));

    let side = |agent, text: &str| (agent, text.to_owned());
    store.save_agent_sides(&[side(B, "{\"a\":0}")]).await.unwrap();
    store
        .save_agent_sides(&[side(B, "{\"a\":1}"), side(A, "{}")])
        .await
        .unwrap();
    store.save_agent_sides(&[]).await.unwrap();
    let mut sides = store.agent_sides().await.unwrap();
    sides.sort_unstable();
    assert_eq!(sides, [(A, "{}".to_owned()), (B, "{\"a\":1}".to_owned())]);
    slots::compact(&store, UnixMillis(1_000)).await;
    assert_eq!(
        counts(A).await,
        (9, 7),
        "what is in chunks is counted as it was in staging"
    );
    assert_eq!(
        store.ledger(B).await.unwrap().agent_side.as_deref(),
        Some("{\"a\":1}")
    );
    store.close().await;
}

async fn refuses_tables_from_a_newer_version(url: &str) {
    open(url).await.unwrap().close().await;
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'from the future', true, ''::bytea, 0)";
    if url.starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        let newer = newer.replace("''::bytea", "x''");
        sqlx::query(sqlx::AssertSqlSafe(newer))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = direct(url).await;
        sqlx::query(newer).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    let error = open(url).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(9999)), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none_says_what_would_be() {
    for url in [
        "",
        "mysql://host/db",
        "/var/lib/db",
        "postgres://u:secret@h:noport/d",
        "postgres://h/d?sslmode=secret",
    ] {
        let message = open(url).await.unwrap_err().to_string();
        assert!(
            message.contains("postgres://") && message.contains("sqlite://"),
            "{message}"
        );
        assert!(
            !message.contains("secret") && nodeglass_store::check_url(url).is_err(),
            "{message}"
        );
    }
}
