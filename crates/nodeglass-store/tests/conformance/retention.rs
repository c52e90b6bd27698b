//! Retention: by age, of agents kept longer or shorter than others, and by size.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_store::tiers::{AgentRetention, Levels, NewChunk, Outcome, Removed, Retention};
use nodeglass_store::{AgentKey, Store, TaskRecord, open};

use crate::latest::newest;
use crate::slots::{chunk, compact};
use crate::{ALL, enrol, sample, stored};

on_every_database!(
    removes_chunks_by_age_and_agent,
    drops_days_that_are_too_old,
    tasks_and_latest_samples_go_with_the_samples,
);

const DAY: Duration = Duration::from_hours(24);

/// A full chunk with two samples from `at` on; their numbers are the days since 1970.
async fn full(store: &Arc<dyn Store>, agent: AgentKey, at: UnixMillis) {
    let day = at.0.div_euclid(86_400_000) as u64;
    let rows = [sample(agent, at.0, day), sample(agent, at.0 + 1_000, day)];
    store.append(&rows).await.unwrap();
    compact(store, at).await;
    let small = store.heads(agent, ALL, Levels::Small, 1).await.unwrap();
    let replaced = store.replace(agent, &[small[0].id], &[chunk(&rows)], &()).await;
    assert_eq!(replaced.unwrap(), Outcome::Done);
}

/// Removes all that is older, samples and hourly figures.
pub(crate) async fn retain(store: &Arc<dyn Store>, raw: Duration, now: UnixMillis) -> Removed {
    let retention = Retention {
        raw,
        rollups: raw,
        max_bytes: None,
    };
    let mut sum = Removed::default();
    loop {
        let step = store.retain(&retention, now).await.unwrap();
        sum.chunks += step.chunks;
        sum.partitions += step.partitions;
        if !step.more {
            return sum;
        }
    }
}

async fn removes_chunks_by_age_and_agent(url: &str) {
    let store = open(url).await.unwrap();
    let (usual, short, long) = (
        enrol(&store, "usual").await,
        enrol(&store, "short").await,
        enrol(&store, "long").await,
    );
    let keep = |days: u32| AgentRetention {
        raw: Some(DAY * days),
        rollups: None,
    };
    store.set_retention(short, keep(2)).await.unwrap();
    store.set_retention(long, keep(8)).await.unwrap();
    assert_eq!(
        store.retention_overrides().await.unwrap(),
        [(short, keep(2)), (long, keep(8))]
    );
    let days = |days: u32| UnixMillis(0).plus(DAY * days);
    for agent in [usual, short, long] {
        for day in 0..10 {
            full(&store, agent, days(day)).await;
        }
    }
    // What is in a small chunk stays until it is in a full one.
    store.append(&[sample(short, 5, 100)]).await.unwrap();
    compact(&store, days(10)).await;

    let now = days(10).plus(Duration::from_mins(1));
    retain(&store, DAY * 5, now).await;
    let left = async |agent| {
        let mut days = stored(&store, agent).await;
        days.dedup();
        days
    };
    assert_eq!(left(usual).await, [6, 7, 8, 9]);
    assert_eq!(left(short).await, [100, 9]);
    assert_eq!(left(long).await, [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(retain(&store, DAY * 5, now).await, Removed::default());

    store
        .set_retention(short, AgentRetention::default())
        .await
        .unwrap();
    store
        .set_retention(long, AgentRetention::default())
        .await
        .unwrap();
    assert_eq!(store.retention_overrides().await.unwrap(), []);
    retain(&store, DAY * 5, now).await;
    assert_eq!(left(long).await, [6, 7, 8, 9]);
    store.close().await;
}

async fn drops_days_that_are_too_old(url: &str) {
    let store = open(url).await.unwrap();
    let agent = enrol(&store, "host").await;
    // Days to come: each has a partition, where there are partitions, and another server knows the first.
    let beside = open(url).await.unwrap();
    let first = UnixMillis(25_000 * 86_400_000);
    full(&beside, agent, first).await;
    for day in 1..6 {
        full(&store, agent, first.plus(DAY * day)).await;
    }
    let now = first.plus(DAY * 6);
    let removed = retain(&store, DAY * 3, now).await;
    let days = stored(&store, agent).await;
    if url.starts_with("sqlite") {
        assert_eq!((removed.chunks, removed.partitions), (3, 0));
    } else {
        assert_eq!(
            (removed.chunks, removed.partitions),
            (0, 2),
            "whole days, since a chunk reaches into the next"
        );
    }
    assert!(days.contains(&25_003) && !days.contains(&25_001));
    // A late sample of a day that was dropped finds a place, with each of them.
    full(&beside, agent, first).await;
    assert_eq!(stored(&store, agent).await[0], 25_000);
    retain(&store, DAY * 3, now).await;
    beside.close().await;
    full(&store, agent, first).await;
    assert_eq!(stored(&store, agent).await[0], 25_000);
    retain(&store, DAY * 3, now).await;
    assert_eq!(stored(&store, agent).await, days);
    // What is kept for a day or two can't wait for whole days.
    retain(&store, DAY * 2, now).await;
    assert_eq!(stored(&store, agent).await, [25_004, 25_004, 25_005, 25_005]);
    store.close().await;
}

async fn tasks_and_latest_samples_go_with_the_samples(url: &str) {
    let store = open(url).await.unwrap();
    let (usual, long) = (enrol(&store, "usual").await, enrol(&store, "long").await);
    let own = AgentRetention {
        raw: Some(DAY * 8),
        rollups: None,
    };
    store.set_retention(long, own).await.unwrap();
    let then = UnixMillis(0).plus(DAY * 10);
    for agent in [usual, long] {
        store.save_latest(&[newest(agent, then.0, 1)]).await.unwrap();
        let task = TaskRecord {
            agent,
            task_id: "build".to_owned(),
            started_at: then,
            last_seen_at: then,
            ended_at: None,
            exit_code: None,
            command: "make".to_owned(),
            cpu_time_ms: None,
            peak_memory_bytes: None,
        };
        store.save_tasks(&[task]).await.unwrap();
    }
    for (days, left) in [(4, (2, 2)), (6, (1, 1)), (9, (0, 0))] {
        let now = then.plus(DAY * days);
        retain(&store, DAY * 5, now).await;
        store.prune_tasks(DAY * 5, now).await.unwrap();
        let latest = store.latest().await.unwrap();
        assert!(latest.iter().all(|latest| latest.timestamp == then));
        let (mut samples, mut tasks) = (0, 0);
        for agent in [usual, long] {
            samples += (latest.iter())
                .filter(|latest| latest.agent == agent && latest.payload.is_some())
                .count();
            tasks += store.tasks(agent, ALL, 10).await.unwrap().len();
        }
        assert_eq!((samples, tasks), left, "after {days} days");
    }
    store.close().await;
}

#[tokio::test]
async fn a_file_that_may_hold_only_so_much_loses_the_oldest_chunks() {
    let database = crate::Database::sqlite();
    let store = open(&database.url()).await.unwrap();
    let agent = enrol(&store, "host").await;
    let large = |n: i64| NewChunk {
        t0: UnixMillis(n * 10_000),
        end: UnixMillis(n * 10_000 + 1),
        points: 1,
        directory: vec![1; 100],
        payload: vec![n as u8; 10_000],
    };
    let put = async |from: i64, to: i64| {
        let new: Vec<_> = (from..to).map(large).collect();
        let replaced = store.replace(agent, &[], &new, &()).await.unwrap();
        assert_eq!(replaced, Outcome::Done);
    };
    put(0, 1_000).await;
    let retention = Retention {
        raw: DAY * 36_500,
        rollups: DAY * 36_500,
        max_bytes: Some(6_000_000),
    };
    let now = UnixMillis(20_000_000);
    let mut cut = None;
    loop {
        let removed = store.retain(&retention, now).await.unwrap();
        cut = removed.cut.max(cut);
        if !removed.more {
            break;
        }
    }
    let left = store.heads(agent, ALL, Levels::All, 2_000).await.unwrap();
    assert!((300..600).contains(&left.len()), "{} chunks are left", left.len());
    assert_eq!(left.last().unwrap().id.t0.0, 999 * 10_000, "the newest stay");
    assert_eq!(
        cut,
        Some(UnixMillis(left[0].id.t0.0 - 10_000 + 1)),
        "it is told up to where they went"
    );

    // The room is used again: the file does not grow.
    let file = database.url().trim_start_matches("sqlite://").to_owned();
    let size = || std::fs::metadata(&file).unwrap().len();
    let before = size();
    put(1_000, 1_000 + 1_000 - left.len() as i64 - 100).await;
    store.close().await;
    assert!(size() <= before, "{} after {before}", size());
    database.remove().await;
}
