//! The password in a URL is told to the database and to nobody else, whatever goes wrong.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nodeglass_store::{AgentKey, Options, check_url, open_with};
use tracing_subscriber::fmt::MakeWriter;
use xtask::postgres::{Cluster, Tcp};

use crate::relay::Relay;
use crate::{binaries, sample};

const SECRET: &str = "pAsSw0rd";

/// Everything that was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Whatever can be said of an error.
fn everything(error: &(dyn Error + 'static)) -> String {
    let mut said = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        said.push(format!("{error} {error:?} {error:#?}"));
        next = error.source();
    }
    said.join(" ")
}

fn assert_secret(said: &str, of: &str) {
    assert!(!said.contains(SECRET), "{of} tells the password: {said}");
}

// One thread, so that all that is logged goes to this test's log.
#[tokio::test(flavor = "current_thread")]
async fn a_password_is_never_shown() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    // The proof that the log is listened to.
    tracing::trace!("the log is open");

    let options = xtask::postgres::Options { fsync: false };
    let tcp = Tcp {
        tls: None,
        method: "scram-sha-256",
    };
    let mut cluster = Cluster::start_on_tcp(&binaries(), options, tcp).unwrap();
    let port = cluster.port().unwrap();
    let relay = Relay::start(port).await;
    let relayed = relay.port;
    let limits = Options {
        silence: Duration::from_millis(300),
        ..Options::default()
    };

    let urls = [
        format!("postgres://postgres:{SECRET}@127.0.0.1:{port}/postgres"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:1/postgres"),
        format!("postgres://postgres:{SECRET}@nowhere.invalid/postgres"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:{port}/postgres?sslmode=require"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:{port}/postgres?sslrootcert=/{SECRET}x"),
        format!("postgres://postgres@127.0.0.1:{port}/postgres?password={SECRET}"),
        format!("postgres://postgres@127.0.0.1:{port}/postgres?passwd={SECRET}"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:port/postgres"),
        format!("postgres://postgres:1?{SECRET}@127.0.0.1/postgres"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:{port}/postgres?sslmode={SECRET}"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:{port}/nowhere?options=-c%20no_setting%3D1"),
        format!("postgres:/{SECRET}"),
        format!("sqlite://{SECRET}/nowhere?password={SECRET}"),
        format!("mysql://root:{SECRET}@127.0.0.1/db"),
    ];
    // Files and databases are named where they are wrong; the secret stands only where passwords do.
    for url in urls
        .iter()
        .filter(|url| !url.contains("sslrootcert") && !url.starts_with("sqlite"))
    {
        let error = open_with(url, &limits).await.expect_err("none of them opens");
        assert_secret(&everything(&error), &url.replace(SECRET, "***"));
        if let Err(error) = check_url(url) {
            assert_secret(&everything(&error), &url.replace(SECRET, "***"));
        }
    }

    // With the right password: silence and death in the middle.
    let mut administrator = <sqlx::PgConnection as sqlx::Connection>::connect(&cluster.url("postgres"))
        .await
        .unwrap();
    let statement = format!("alter role postgres password '{SECRET}'");
    {
        // The test's own words are not the store's.
        let _quiet = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut administrator)
            .await
            .unwrap();
    }
    let url = format!("postgres://postgres:{SECRET}@127.0.0.1:{relayed}/postgres");
    let store = open_with(&url, &limits).await.expect("the right password");
    store.append(&[sample(1)]).await.unwrap();
    assert_secret(&format!("{store:?} {store:#?}"), "the store");
    relay.set_silent(true);
    let error = store.append(&[sample(2)]).await.unwrap_err();
    assert_secret(&everything(&error), "silence");
    relay.set_silent(false);
    store.append(&[sample(2)]).await.unwrap();
    cluster.stop_immediate().unwrap();
    let error = store.ledger(AgentKey(1)).await.unwrap_err();
    assert_secret(&everything(&error), "a dead database");
    store.close().await;
    let error = store.ping().await.unwrap_err();
    assert_secret(&everything(&error), "a closed store");

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("the log is open") && logged.contains("sqlx"),
        "{logged}"
    );
    assert_secret(&logged, "the log");
}
