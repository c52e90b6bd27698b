//! The newest sample of each agent.

use std::sync::Arc;

use nodeglass_chunk::row;
use nodeglass_model::{Sample, UnixMillis, catalogue};
use nodeglass_store::tiers::LatestSample;
use nodeglass_store::{AgentKey, Store, open};
use sqlx::{Connection, SqliteConnection};

use crate::{direct, enrol, sample, slots};

on_every_database!(keeps_the_latest_by_time, shows_values_to_those_who_read_by_sql);

async fn keeps_the_latest_by_time(url: &str) {
    let store = open(url).await.unwrap();
    let (a, b) = (enrol(&store, "a").await, enrol(&store, "b").await);
    store
        .append(&[sample(a, 30, 3), sample(a, 20, 2), sample(b, 5, 1)])
        .await
        .unwrap();
    store.append(&[sample(a, 10, 1)]).await.unwrap();
    assert_eq!(latest(&store).await, [(a, 30), (b, 5)]);

    // Newer than what is staged, and older.
    store
        .save_latest(&[newest(a, 40, 4), newest(b, 4, 1)])
        .await
        .unwrap();
    assert_eq!(latest(&store).await, [(a, 40), (b, 5)]);
    store.save_latest(&[newest(a, 35, 3)]).await.unwrap();
    assert_eq!(latest(&store).await, [(a, 40), (b, 5)]);
    // What is in chunks only is known by what was saved.
    slots::compact(&store, UnixMillis(1_000)).await;
    assert_eq!(latest(&store).await, [(a, 40), (b, 4)]);
    store.close().await;
}

/// A sample to be kept as an agent's newest.
pub(crate) fn newest(agent: AgentKey, timestamp: i64, seq: u64) -> LatestSample {
    let staged = sample(agent, timestamp, seq);
    LatestSample {
        agent,
        id: staged.id,
        timestamp: staged.timestamp,
        payload: staged.payload,
    }
}

/// The newest sample of each agent: when it was taken, which its payload says too.
pub(crate) async fn latest(store: &Arc<dyn Store>) -> Vec<(AgentKey, i64)> {
    let mut latest = store.latest().await.unwrap();
    latest.sort_by_key(|latest| latest.agent);
    latest
        .into_iter()
        .map(|one| {
            row::read(&one.payload.expect("a payload"), one.timestamp).expect("a row");
            (one.agent, one.timestamp.0)
        })
        .collect()
}

async fn shows_values_to_those_who_read_by_sql(url: &str) {
    let store = open(url).await.unwrap();
    let (a, b) = (enrol(&store, "a").await, enrol(&store, "b").await);
    let saying = |agent, at: i64, values: &[(&str, f64)]| {
        let mut said = Sample::default();
        let mut say = |path, label: &str, value| {
            let metric = catalogue::by_path(path).expect("a metric of the catalogue");
            catalogue::set(&mut said, metric, label, Some(value));
        };
        for (sensor, value) in values {
            say("sensor.temperature_celsius", sensor, *value);
        }
        // Processes come and go; none is among what is shown.
        say("process.cpu_percent", "7", at as f64);
        LatestSample {
            payload: row::encode(&said),
            ..newest(agent, at, at as u64)
        }
    };
    let shown = async || -> Vec<String> {
        let question = "select agent || ' ' || device || ' ' || value from metrics_latest order by 1";
        if url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            let query = sqlx::query_scalar(question);
            query.fetch_all(&mut connection).await.unwrap()
        } else {
            let query = sqlx::query_scalar(question);
            query.fetch_all(&mut direct(url).await).await.unwrap()
        }
    };
    let save = async |samples: &[LatestSample]| store.save_latest(samples).await.unwrap();
    save(&[
        saying(b, 1, &[("x", 0.5)]),
        saying(a, 1, &[("x", 1.5), ("y", 2.5)]),
    ])
    .await;
    assert_eq!(shown().await, ["a x 1.5", "a y 2.5", "b x 0.5"]);
    // The same series, others, the same ones in another order, and an older sample.
    save(&[
        saying(a, 2, &[("x", 3.5), ("y", 4.5)]),
        saying(b, 2, &[("z", 5.5)]),
    ])
    .await;
    assert_eq!(shown().await, ["a x 3.5", "a y 4.5", "b z 5.5"]);
    save(&[
        saying(a, 3, &[("y", 6.5), ("x", 7.5)]),
        saying(b, 1, &[("x", 8.5)]),
    ])
    .await;
    assert_eq!(shown().await, ["a x 7.5", "a y 6.5", "b z 5.5"]);
    // Another program numbers a series meanwhile.
    let beside = open(url).await.unwrap();
    beside
        .save_latest(&[saying(a, 4, &[("w", 1.2), ("x", 9.5)])])
        .await
        .unwrap();
    beside.close().await;
    save(&[saying(a, 5, &[("y", 2.2), ("x", 3.2)])]).await;
    assert_eq!(shown().await, ["a x 3.2", "a y 2.2", "b z 5.5"]);
    save(&[saying(a, 6, &[])]).await;
    assert_eq!(shown().await, ["b z 5.5"]);
    store.close().await;
}
