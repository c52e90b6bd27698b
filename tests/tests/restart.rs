//! The server killed and started again: no acknowledged sample is missing, none is there twice.

use std::collections::BTreeSet;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};

on_every_database!(
    a_killed_server_has_what_it_acknowledged,
    a_real_agent_fills_the_gap,
    a_stopped_server_has_acknowledged_what_it_took,
    the_newest_is_shown_by_sql_and_after_a_restart,
);

async fn a_killed_server_has_what_it_acknowledged(database: Database) {
    let mut server = Server::start(&database).await;
    let enrolment = server.enrolment("host").await;
    let first = now().minus(Duration::from_hours(1));
    let numbered = |seq: u64| (seq, sample(UnixMillis(first.0 + seq as i64 * 100), 1.0));
    let (mut sent, mut acknowledged) = (0_u64, BTreeSet::new());
    for round in 0..3_u64 {
        let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
        // What was not acknowledged goes again, with what is new, in small batches so that the kill comes amid them.
        let again: Vec<u64> = (1..=sent).filter(|seq| !acknowledged.contains(seq)).collect();
        agent.send(again.into_iter().map(numbered)).await;
        let enough = acknowledged.len() + 100 + 50 * round as usize;
        while acknowledged.len() < enough {
            for _ in 0..20 {
                agent.send((sent + 1..=sent + 10).map(numbered)).await;
                sent += 10;
            }
            acknowledged.extend(agent.settled(1).await.unwrap().0);
        }
        server.kill().await;
        while let Ok((stored, _)) = agent.settled(1).await {
            acknowledged.extend(stored);
        }
        server.start_again().await;
        let stored = database.stored().await.unwrap();
        let seqs: BTreeSet<u64> = stored.iter().map(|(_, _, seq)| seq.unsigned_abs()).collect();
        assert_eq!(seqs.len(), stored.len(), "none is stored twice");
        let missing: Vec<_> = acknowledged.difference(&seqs).collect();
        assert!(missing.is_empty(), "acknowledged and not stored: {missing:?}");
    }
    let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
    agent.send((1..=sent).map(numbered)).await;
    agent.settled(sent as usize).await.unwrap();
    assert_eq!(
        database.stored().await.unwrap().len() as u64,
        sent,
        "all of them, each once"
    );
}

async fn a_real_agent_fills_the_gap(database: Database) {
    let mut server = Server::start(&database).await;
    let mut agent = Agent::start(&server, "host").await;
    let stored_count = async |at_least: usize| {
        eventually("samples to be stored", async || {
            let stored = database.stored().await.ok()?;
            (stored.len() >= at_least).then_some(stored)
        })
        .await
    };
    let before = stored_count(3).await.len();
    server.kill().await;
    let outage = now();
    eventually("three seconds of outage", async || {
        (now().since(outage) > Duration::from_secs(3)).then_some(())
    })
    .await;
    server.start_again().await;
    let latest = server.overview("host").await.unwrap();
    assert!(
        latest["last_metrics_update"].is_i64(),
        "what was known before is known again: {latest}"
    );
    stored_count(before + 6).await;
    assert_eq!(agent.terminate().await, Some(0));

    let stored = database.stored().await.unwrap();
    let seqs: Vec<i64> = stored.iter().map(|(_, _, seq)| *seq).collect();
    let expected: Vec<i64> = (1..=seqs.len() as i64).collect();
    assert_eq!(
        seqs, expected,
        "every sample of the agent's life, each once, through the outage"
    );
}

async fn a_stopped_server_has_acknowledged_what_it_took(database: Database) {
    let mut server = Server::start(&database).await;
    let enrolment = server.enrolment("host").await;
    let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
    let first = now().minus(Duration::from_hours(1));
    agent
        .send((1..=500).map(|seq| (seq, sample(UnixMillis(first.0 + seq as i64), 1.0))))
        .await;
    let (some, _) = agent.settled(1).await.unwrap();
    let (code, rest) = tokio::join!(server.terminate(), async {
        let mut rest = Vec::new();
        while let Ok((stored, _)) = agent.settled(1).await {
            rest.extend(stored);
        }
        rest
    });
    assert_eq!(code, Some(0));
    assert_eq!(
        some.len() + rest.len(),
        database.stored().await.unwrap().len(),
        "each stored sample was acknowledged"
    );
}

async fn the_newest_is_shown_by_sql_and_after_a_restart(database: Database) {
    let config = "metrics: {storage: {compaction_interval: 1s}}";
    let mut server = Server::start_with(&database, Some(config)).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let at = UnixMillis::from_seconds(now().seconds() - 60);
    agent
        .send([
            (1, sample(at, 12.5)),
            (2, sample(at.plus(Duration::from_secs(5)), 37.5)),
        ])
        .await;
    agent.settled(2).await.unwrap();
    let shown = async || {
        database
            .texts("select cast(value as text) from metrics_cpu")
            .await
    };
    assert_eq!(server.terminate().await, Some(0));
    assert_eq!(shown().await.unwrap(), ["37.5"], "it is written down at the end");

    // Nothing in staging may tell what the newest is.
    server.start_again().await;
    let packed = async || {
        let packed = "select cast(coalesce(sum(n), 0) as text) from chunk";
        database.texts(packed).await
    };
    eventually("all samples to be in chunks", async || {
        (packed().await.ok()? == ["2"]).then_some(())
    })
    .await;
    let ready = server.ok("/ready").await;
    assert_eq!(ready["compaction"]["samples"], 2, "and it says so: {ready}");
    server.kill().await;
    server.start_again().await;
    let latest = server.ok("/api/v1/agents/host/metrics").await;
    assert_eq!(latest["cpu"]["usage_percent"], 37.5, "{latest}");
    assert_eq!(shown().await.unwrap(), ["37.5"]);

    // Each start says since when the server was away, the newest first.
    let starts = server.ok("/api/v1/events?kind=server_started").await;
    let newest = at.plus(Duration::from_secs(5)).0;
    let said = starts["events"].as_array().unwrap().iter();
    let said: Vec<_> = said
        .map(|event| event["detail"]["newest_sample"].as_i64())
        .collect();
    assert_eq!(said, [Some(newest), Some(newest), None], "{starts}");
}
