//! What compaction makes of samples, as callers see it: at every moment of it an hour says what its samples did, and a
//! server that is killed amid it has lost nothing and kept nothing twice.

use std::time::Duration;

use nodeglass_model::sample::NetworkMetrics;
use nodeglass_model::{Sample, UnixMillis};
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};

on_every_database!(
    hours_say_what_their_samples_did,
    a_server_killed_amid_compaction_has_everything_once,
);

const HOUR: Duration = Duration::from_hours(1);
/// Slots are closed as soon as they may be, so that everything becomes a part of chunks and hours within seconds.
const SOON: &str = "{metrics: {storage: {compaction_interval: 1s}}}";
/// Samples that are sent at once.
const BATCH: usize = 500;
/// What a caller is told is as fine as this.
const FINE: f64 = 1e-4;

/// Sends samples from `first` on, numbered from 1, until all are stored.
async fn send(agent: &mut FakeAgent, samples: &[(u64, Sample)]) {
    for batch in samples.chunks(BATCH) {
        agent.send(batch.iter().cloned()).await;
        let (stored, rejected) = agent.settled(batch.len()).await.unwrap();
        assert_eq!((stored.len(), rejected.len()), (batch.len(), 0));
    }
}

/// What a sample of a host has that is asked for: the last disappears amid the third hour, and the second is a counter.
fn figures(number: u64) -> [Option<f64>; 3] {
    [
        Some((number * 37 % 10_000) as f64 / 100.0),
        Some((number / 3) as f64),
        (number < 1_800).then_some((number * 11 % 1_000) as f64),
    ]
}

const SERIES: [&str; 3] = [
    "cpu.usage_percent",
    "network.errors_in@eth0",
    "network.bytes_sent_per_sec@eth1",
];

fn host(at: UnixMillis, number: u64) -> Sample {
    let [usage, errors, sent] = figures(number);
    let mut sample = sample(at, usage.unwrap_or_default());
    let interface = |name: &str| NetworkMetrics {
        interface: name.to_owned(),
        ..Default::default()
    };
    let mut first = interface("eth0");
    first.errors_in = errors.map(|errors| errors as u64);
    let mut second = interface("eth1");
    second.bytes_sent_per_sec = sent.map(|sent| sent as u64);
    sample.network_interfaces = vec![first, second];
    sample
}

/// What a bucket is to show of these values of a series.
fn shown(agg: &str, series: &str, values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    match agg {
        "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "sum" => sum,
        _ if series.contains("errors") => *values.last().expect("a value"),
        _ => sum / values.len() as f64,
    }
}

async fn hours_say_what_their_samples_did(database: Database) {
    const HOURS: u64 = 4;
    const IN_AN_HOUR: u64 = 720;
    let server = Server::start_with(&database, Some(SOON)).await;
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let start = now().floor(HOUR).minus(HOUR * (HOURS as u32 + 1));
    let samples: Vec<(u64, Sample)> = (0..HOURS * IN_AN_HOUR)
        .map(|number| {
            let at = start.plus(Duration::from_secs(number * 5));
            (number + 1, host(at, number))
        })
        .collect();
    send(&mut agent, &samples).await;

    // From when all of it is staged to when most of it is in hours, every answer is the same.
    let is_whole = async || {
        for (agg, hours) in [("", 1), ("min", 1), ("max", 2), ("sum", 1), ("", 2)] {
            // Sums of counters are told by samples alone.
            let is_told = |name: &&str| agg != "sum" || !name.contains("errors");
            let series: Vec<&str> = SERIES.into_iter().filter(is_told).collect();
            let query = format!(
                "/api/v1/agents/host/metrics/history?metrics={}&start={}&end={}&interval={}{}",
                series.join(","),
                start.seconds(),
                start.plus(HOUR * HOURS as u32).seconds(),
                hours * 3_600,
                if agg.is_empty() {
                    String::new()
                } else {
                    format!("&agg={agg}")
                },
            );
            let found = server.ok(&query).await;
            assert_eq!(found["resolution"], "hour", "{query}");
            // Buckets lie on the grid of their own width, of which the first hour may be the second half.
            let width = Duration::from_secs(hours * 3_600);
            let (mut bucket, mut rows) = (start.floor(width), Vec::new());
            while bucket < start.plus(HOUR * HOURS as u32) {
                let within = samples
                    .iter()
                    .filter(|(_, sample)| (bucket..bucket.plus(width)).contains(&sample.timestamp));
                let numbers: Vec<u64> = within.map(|(seq, _)| seq - 1).collect();
                rows.push((bucket, numbers));
                bucket = bucket.plus(width);
            }
            let data = found["data"].as_array().unwrap();
            assert_eq!(data.len(), rows.len(), "{query}: {found}");
            for (row, (bucket, numbers)) in data.iter().zip(rows) {
                assert_eq!(row["timestamp"], bucket.seconds());
                for name in &series {
                    let place = SERIES.iter().position(|known| known == name).unwrap();
                    let values: Vec<f64> = numbers
                        .iter()
                        .filter_map(|number| figures(*number)[place])
                        .collect();
                    if values.is_empty() {
                        assert!(row[*name].is_null(), "{query}: {row}");
                        continue;
                    }
                    let expected = shown(agg, name, &values);
                    let value = row[*name].as_f64().unwrap_or(f64::NAN);
                    assert!(
                        (value - expected).abs() <= FINE * expected.abs().max(1.0),
                        "{query}: {name} is {value} in {row}, not {expected}"
                    );
                }
            }
        }
    };
    is_whole().await;
    eventually("all of it to be in chunks, and most of it in hours", async || {
        is_whole().await;
        let points = database
            .texts(
                "select cast(coalesce(sum(n), 0) as text) from chunk where level >= 0 union all \
                    select cast(coalesce(sum(n), 0) as text) from chunk where level = 1",
            )
            .await
            .unwrap();
        let [all, full] = [&points[0], &points[1]].map(|points| points.parse::<u64>().unwrap());
        (all == HOURS * IN_AN_HOUR && full >= all / 2).then_some(())
    })
    .await;
    is_whole().await;
    let ledger = server.ok("/api/v1/agents/host/ledger").await;
    assert_eq!(ledger["server"]["stored"], HOURS * IN_AN_HOUR, "{ledger}");
}

async fn a_server_killed_amid_compaction_has_everything_once(database: Database) {
    const ROUNDS: u64 = 5;
    const EACH: u64 = 2_000;
    let mut server = Server::start_to_be_killed(&database, SOON).await;
    let enrolment = server.enrolment("host").await;
    let first = now().minus(HOUR * 12);
    let of = |seq: u64| (seq, host(UnixMillis(first.0 + seq as i64 * 1_000), seq));
    let mut sent = 0;
    for round in 0..ROUNDS {
        let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
        let samples: Vec<_> = (sent + 1..=sent + EACH).map(of).collect();
        send(&mut agent, &samples).await;
        sent += EACH;
        // In turn while there are the first small chunks, and while there are the first full ones.
        let name = ["compaction_samples_total", "compaction_merges_total"][round as usize % 2];
        eventually("compaction to be at it", async || {
            let text = server.request("/metrics").send().await.ok()?.text().await.ok()?;
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("nodeglass_server_{name} ")))?;
            let value: f64 = line.rsplit(' ').next()?.parse().ok()?;
            (value > 0.0).then_some(())
        })
        .await;
        server.kill().await;
        let stored = database.stored().await.unwrap();
        let seqs: Vec<u64> = stored.iter().map(|(_, _, seq)| seq.unsigned_abs()).collect();
        assert_eq!(seqs, (1..=sent).collect::<Vec<_>>(), "after kill {round}");
        server.start_again().await;
    }
    // All of it comes again, and is known wherever it is by now.
    let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
    let samples: Vec<_> = (1..=sent).map(of).collect();
    send(&mut agent, &samples).await;
    let counted = |ledger: &serde_json::Value| {
        ledger["server"]["stored"] == sent && ledger["server"]["duplicate"] == sent
    };
    server.ledger_when("host", counted).await;
    assert_eq!(database.stored().await.unwrap().len() as u64, sent);
}
