//! The newest sample of each agent.

use std::sync::Arc;

use nodeglass_chunk::row;
use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::MetricId;
use nodeglass_store::tiers::{LatestSample, SeriesName};
use nodeglass_store::{AgentKey, Store, open};

use crate::{enrol, sample, slots};

on_every_database!(keeps_the_latest_by_time);

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
