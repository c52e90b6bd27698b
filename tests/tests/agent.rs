//! The real agent seen from the other end: what it sends, keeps, and sends again.

use std::collections::BTreeMap;

use nodeglass_model::{Sample, SampleId};
use nodeglass_proto::v1;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_tests::PATIENCE;
use nodeglass_tests::agent::{Agent, EACH_SECOND};
use nodeglass_tests::fake_server::{FakeServer, FakeSession};

/// A sample under its identity.
type Owed = (SampleId, Sample);

/// Live samples until the one of that number.
async fn live_until(session: &mut FakeSession, seq: u64) -> Vec<Owed> {
    let mut samples = Vec::new();
    while samples.last().is_none_or(|(id, _): &Owed| id.seq < seq) {
        let batch = session.batch().await;
        assert!(!batch.backfill, "{:?} were sent again", batch.samples);
        samples.extend(batch.samples);
    }
    samples
}

/// What was sent before and comes once more, whether live or as backfill, by number.
async fn once_more(session: &mut FakeSession, wanted: &[Owed]) -> Vec<Owed> {
    let mut found = BTreeMap::new();
    let gather = async {
        while found.len() < wanted.len() {
            let again = session.batch().await.samples.into_iter();
            found.extend(
                again
                    .filter(|sample| wanted.contains(sample))
                    .map(|(id, sample)| (id.seq, (id, sample))),
            );
        }
    };
    tokio::time::timeout(PATIENCE, gather)
        .await
        .expect("all of them come once more");
    found.into_values().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_acknowledged_comes_again_as_it_was() {
    let mut server = FakeServer::start().await;
    let mut agent = Agent::enrolled(&server.enrolment("host"), EACH_SECOND).await;
    let (mut session, hello) = server.session(v1::Settings::default()).await;
    assert_eq!(hello.agent_id, "host");
    assert!(hello.system.is_some_and(|system| system.hardware.is_some()));
    let first = live_until(&mut session, 3).await;
    assert_eq!(first.iter().map(|(id, _)| id.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(first.iter().all(|(id, _)| id.epoch == hello.epoch));
    session.acknowledge(hello.epoch, 2, 2).await;
    // The next sample shows that the agent has read the acknowledgement before the session breaks.
    let next = live_until(&mut session, 4).await;
    drop(session);

    let (mut session, again) = server.session(v1::Settings::default()).await;
    assert_eq!(again.epoch, hello.epoch, "one life of the agent");
    let wanted = [first[0].clone(), first[2].clone(), next[0].clone()];
    assert_eq!(
        once_more(&mut session, &wanted).await,
        wanted,
        "the same samples under the same identity"
    );

    session.acknowledge(hello.epoch, 1, 1_000).await;
    assert_eq!(agent.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_found_no_room_gets_them_again() {
    let mut server = FakeServer::start().await;
    let _agent = Agent::enrolled(&server.enrolment("host"), EACH_SECOND).await;
    let (mut session, hello) = server.session(v1::Settings::default()).await;
    let sent = live_until(&mut session, 3).await;
    let (epoch, code) = (hello.epoch, "invalid_value".to_owned());
    let rejected = vec![v1::Rejection {
        epoch,
        seq: 2,
        code,
        message: "no".to_owned(),
    }];
    session
        .say(Down::Acknowledgement(v1::Acknowledgement {
            stored: Vec::new(),
            rejected,
        }))
        .await;
    session.say(Down::Resend(v1::Resend {})).await;
    let next_backfill = async {
        loop {
            let batch = session.batch().await;
            if batch.backfill {
                return batch;
            }
        }
    };
    let batch = tokio::time::timeout(PATIENCE, next_backfill)
        .await
        .expect("a backfill");
    assert_eq!(
        batch.samples[..2],
        [sent[0].clone(), sent[2].clone()],
        "all but the one that was refused for good"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_s_settings_hold() {
    let mut server = FakeServer::start().await;
    let _agent = Agent::enrolled(&server.enrolment("host"), "metrics: {collection_interval: 1h}").await;
    let settings = v1::Settings {
        collection_interval_ms: Some(1_000),
        heartbeat_interval_ms: 500,
        ..Default::default()
    };
    let (mut session, hello) = server.session(settings).await;
    let samples = live_until(&mut session, 4).await;
    assert!(
        samples.iter().all(|(id, _)| id.epoch == hello.epoch),
        "an hour was configured, a second is asked for"
    );
    let heartbeat = loop {
        if let v1::agent_message::Message::Heartbeat(heartbeat) = session.next().await {
            break heartbeat;
        }
    };
    assert_eq!(
        heartbeat.sampled, heartbeat.buffered,
        "the agent's side of the books: none is stored yet"
    );
}
