//! The newest sample of each agent.

use std::sync::Arc;

use nodeglass_chunk::row;
use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::MetricId;
use nodeglass_store::tiers::{LatestSample, SeriesName};
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

    let newest = |agent, timestamp, seq| {
        let staged = sample(agent, timestamp, seq);
        LatestSample {
            agent,
            id: staged.id,
            timestamp: staged.timestamp,
            payload: staged.payload,
            values: vec![(
                SeriesName {
                    metric: MetricId(1),
                    device: None,
                },
                7.5,
            )],
        }
    };
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
    let newest = |agent, at: i64, values: &[(&str, f64)]| {
        let staged = sample(agent, at, at as u64);
        let name = |device: &&str| SeriesName {
            metric: MetricId(140),
            device: Some((*device).to_owned()),
        };
        LatestSample {
            agent,
            id: staged.id,
            timestamp: staged.timestamp,
            payload: staged.payload,
            values: values
                .iter()
                .map(|(device, value)| (name(device), *value))
                .collect(),
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
        newest(b, 1, &[("x", 0.5)]),
        newest(a, 1, &[("x", 1.5), ("y", 2.5)]),
    ])
    .await;
    assert_eq!(shown().await, ["a x 1.5", "a y 2.5", "b x 0.5"]);
    // The same series, others, the same ones in another order, and an older sample.
    save(&[
        newest(a, 2, &[("x", 3.5), ("y", 4.5)]),
        newest(b, 2, &[("z", 5.5)]),
    ])
    .await;
    assert_eq!(shown().await, ["a x 3.5", "a y 4.5", "b z 5.5"]);
    save(&[
        newest(a, 3, &[("y", 6.5), ("x", 7.5)]),
        newest(b, 1, &[("x", 8.5)]),
    ])
    .await;
    assert_eq!(shown().await, ["a x 7.5", "a y 6.5", "b z 5.5"]);
    // Another program numbers a series meanwhile.
    let beside = open(url).await.unwrap();
    beside
        .save_latest(&[newest(a, 4, &[("w", 1.25), ("x", 9.5)])])
        .await
        .unwrap();
    beside.close().await;
    save(&[newest(a, 5, &[("y", 2.25), ("x", 3.25)])]).await;
    assert_eq!(shown().await, ["a x 3.25", "a y 2.25", "b z 5.5"]);
    save(&[newest(a, 6, &[])]).await;
    assert_eq!(shown().await, ["b z 5.5"]);
    store.close().await;
}
