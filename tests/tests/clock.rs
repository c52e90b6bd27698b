//! A host's clock that is set an hour ahead and an hour back while its agent runs: nothing is lost but what the server
//! refuses by name, and nothing is stored twice.
//!
//! The agent runs within the test, since its clock can't be set without setting everybody's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nodeglass_journal::{Journal, JournalConfig, Sync};
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::inner_agent::InnerAgent;
use nodeglass_tests::server::{Server, settled_since};
use nodeglass_tests::{at_once_on_every_database, eventually};

at_once_on_every_database!(a_stepped_clock:a_clock_that_is_stepped_costs_only_what_is_refused);

const HOUR_MS: i64 = 3_600_000;

async fn a_clock_that_is_stepped_costs_only_what_is_refused(database: Database) {
    let server = Server::start_with(&database, Some("agents: {heartbeat_interval: 1s}")).await;
    let directory = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        directory: Some(directory.path().join("journal")),
        max_bytes: 8 << 20,
        max_memory_bytes: 1 << 20,
        max_age: Duration::from_hours(24),
        sync: Sync::Never,
    };
    let (journal, _) = Journal::open(config, now(), Instant::now());
    let agent = InnerAgent::start(&server, "host", journal, Duration::from_millis(300)).await;
    let stored_about = async |ahead: i64, at_least: usize| {
        eventually("samples of that time to be stored", async || {
            let middle = now().0 + ahead;
            let times = database.times("host").await.ok()?;
            let near = times.iter().filter(|at| (at.0 - middle).abs() < HOUR_MS / 2);
            (near.count() >= at_least).then_some(())
        })
        .await;
    };
    let books = || agent.outbox.journal.standing().books;
    let refused = || books().rejected.get("future_timestamp").copied().unwrap_or(0);

    stored_about(0, 5).await;
    assert_eq!(refused(), 0);
    agent.set_ahead(HOUR_MS);
    eventually("samples from the future to be refused", async || {
        (refused() >= 5).then_some(())
    })
    .await;
    agent.set_ahead(0);
    let before = database.times("host").await.unwrap().len();
    stored_about(0, before + 5).await;
    agent.set_ahead(-HOUR_MS);
    stored_about(-HOUR_MS, 5).await;
    agent.set_ahead(0);
    let before = database.times("host").await.unwrap().len();
    eventually("samples of now to be stored again", async || {
        (database.times("host").await.ok()?.len() >= before + 5).then_some(())
    })
    .await;

    // With sampling at rest both sides can be read to the last sample.
    agent.rest();
    let ledger = server.ledger_when("host", settled_since(now())).await;
    let books = books();
    assert_eq!(
        (
            &ledger["agent"]["rejected"]["future_timestamp"],
            &ledger["server"]["rejected"]["future_timestamp"]
        ),
        (&refused().into(), &refused().into()),
        "{ledger:#}"
    );
    assert_eq!(books.evicted.len(), 0, "nothing but that went: {books:?}");
    assert_eq!(
        (&ledger["balance"]["lost"], &ledger["balance"]["balanced"]),
        (&refused().into(), &true.into()),
        "{ledger:#}"
    );
    let stored = database.stored().await.unwrap();
    let seqs: BTreeSet<i64> = stored.iter().map(|(_, _, seq)| *seq).collect();
    assert_eq!(seqs.len(), stored.len(), "none is stored twice");
    assert_eq!(
        stored.len() as u64 + refused(),
        books.sampled,
        "every other sample is stored"
    );
    let ahead = now().plus(Duration::from_mins(5));
    let times = database.times("host").await.unwrap();
    assert!(
        times.iter().all(|at| *at < ahead),
        "none is from the future: {times:?}"
    );

    agent.stop().await;
}
