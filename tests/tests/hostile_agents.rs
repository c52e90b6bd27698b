//! Agents that are enrolled and mean harm: each of their ways has its bound and its code, and costs nobody else anything.

use nodeglass_chunk::varint::put;
use nodeglass_model::UnixMillis;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::on_every_database;
use nodeglass_tests::server::Server;
use tonic::Code;

on_every_database!(
    samples_are_refused_with_a_code_of_their_own,
    messages_that_become_large_end_their_session_alone,
    descriptions_are_bounded,
);

fn units(from: usize, count: usize) -> v1::MetricsDataResponse {
    let unit = |number| v1::UnitMetrics {
        unit: format!("{number}.service"),
        failed: Some(1),
    };
    v1::MetricsDataResponse {
        timestamp: now().0.unsigned_abs(),
        units: (from..from + count).map(unit).collect(),
        ..Default::default()
    }
}

async fn samples_are_refused_with_a_code_of_their_own(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1)
        .await
        .expect("a session");
    let old = |days: i64| {
        let at = UnixMillis(now().0 - days * 24 * 3600 * 1000);
        v1::MetricsDataResponse::from(&sample(at, 1.0))
    };
    let long = v1::MetricsDataResponse {
        units: vec![v1::UnitMetrics {
            unit: "n".repeat(2000),
            failed: Some(1),
        }],
        ..units(0, 0)
    };
    agent
        .send_raw(
            [
                (1, old(0)),
                (2, old(80)),
                (3, old(200)),
                (4, old(20_000)),
                (5, long),
            ],
            true,
        )
        .await;
    let (stored, rejected) = agent.settled(5).await.expect("words");
    let words: Vec<_> = rejected
        .iter()
        .map(|word| (word.seq, word.code.as_str()))
        .collect();
    assert_eq!(
        stored,
        [1, 2],
        "what is of hourly figures' age is taken: {words:?}"
    );
    assert_eq!(words, [(3, "too_old"), (4, "too_old"), (5, "too_large")]);
    assert!(
        rejected[0].message.contains("set the host's clock"),
        "{}",
        rejected[0].message
    );

    // Ever new devices: some tens of thousands in a day, and then no more; those that are known go on.
    let mut first_refused = None;
    for round in 0..16_u64 {
        agent
            .send_raw([(10 + round, units(round as usize * 4000, 4000))], false)
            .await;
        let (_, rejected) = agent.settled(1).await.expect("its word");
        if let Some(word) = rejected.first() {
            assert_eq!(word.code, "too_many_devices");
            first_refused.get_or_insert(round);
        }
    }
    let first = first_refused.expect("there is an end to it");
    assert!((12..=14).contains(&first), "56,000 devices at most: {first}");
    agent
        .send_raw([(90, units(20_000, 4000)), (91, units(0, 0))], false)
        .await;
    assert_eq!(agent.settled(2).await.expect("words").0, [90, 91]);
}

/// A record with a million failures without a text, in a message of a few hundred bytes.
fn bomb() -> v1::PackedSamples {
    let mut record = vec![5, 2, 1, 10, 10, 0, 0];
    put(&mut record, 1_700_000);
    record.resize(3_500_000, 0);
    let mut records = Vec::new();
    put(&mut records, record.len() as u64);
    records.extend(record);
    let small = zstd::bulk::compress(&records, 3).expect("it can be compressed");
    assert!(small.len() < 2_000, "{}", small.len());
    v1::PackedSamples {
        ids: vec![v1::SeqRange {
            epoch: 1,
            first: 1,
            last: 1,
        }],
        unpacked_bytes: records.len() as u32,
        records: small,
    }
}

async fn messages_that_become_large_end_their_session_alone(database: Database) {
    let server = Server::start(&database).await;
    let enrolment = server.enrolment("host").await;
    let mut other = FakeAgent::open(&server.enrolment("other").await, 1)
        .await
        .expect("a session");
    let before = server.resident_bytes();
    let empty = v1::Sample {
        data: Some(v1::MetricsDataResponse::default()),
        ..Default::default()
    };
    let batch = |samples, packed| {
        Up::Samples(v1::SampleBatch {
            samples,
            packed,
            backfill: false,
        })
    };
    for (message, code) in [
        (batch(vec![empty; 400_000], None), Code::ResourceExhausted),
        (batch(Vec::new(), Some(bomb())), Code::InvalidArgument),
    ] {
        let mut agent = FakeAgent::open(&enrolment, 1).await.expect("a session");
        agent.send_message(message).await;
        // A word on the sample, perhaps, and then the end.
        let end = agent.settled(2).await.expect_err("the session ends");
        assert_eq!(end.code(), code, "{end}");
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(
        grown < 64 << 20,
        "a gigabyte it would have been; it is {} MB",
        grown >> 20
    );
    other.send([(1, sample(now(), 1.0))]).await;
    assert_eq!(other.settled(1).await.expect("its word").0, [1]);
    let mut again = FakeAgent::open(&enrolment, 2).await.expect("a session");
    again.send([(1, sample(now(), 1.0))]).await;
    assert_eq!(again.settled(1).await.expect("its word").0, [1]);
}

async fn descriptions_are_bounded(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1)
        .await
        .expect("a session");
    let described = |name: &str, interfaces| {
        let interface = v1::NetworkInterface {
            name: "n".repeat(100),
            ..Default::default()
        };
        Up::System(Box::new(v1::SystemInfoResponse {
            software: Some(v1::SystemSoftware {
                hostname: name.to_owned(),
                ..Default::default()
            }),
            network_interfaces: vec![interface; interfaces],
            has_network_interfaces: true,
            ..Default::default()
        }))
    };
    agent.send_message(described("small", 1)).await;
    agent.send_message(described("large", 10_000)).await;
    // Its word says that what came before was looked at.
    agent.send([(1, sample(now(), 1.0))]).await;
    agent.settled(1).await.expect("its word");
    assert_eq!(
        server.ok("/api/v1/agents/host/system").await["software"]["hostname"],
        "small"
    );
    for number in 0..20 {
        agent.send_message(described(&number.to_string(), 1)).await;
    }
    agent.send([(2, sample(now(), 1.0))]).await;
    agent.settled(1).await.expect("its word");
    let name = server.ok("/api/v1/agents/host/system").await["software"]["hostname"].clone();
    assert_ne!(
        name, "19",
        "one that describes itself all the time is not listened to"
    );
}
