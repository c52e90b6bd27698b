//! Hourly rollups: what merges add to them, and reading one series of many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::catalogue::MetricId;
use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_store::tiers::{
    AgentRetention, Hour, HourFigures, Levels, Outcome, RollupChange, RollupPoint, SeriesName, Summary,
};
use nodeglass_store::{AgentKey, Store, open};
use sqlx::Connection;

use crate::retention::retain;
use crate::slots::{chunk, compact};
use crate::{A, ALL, B, direct, enrol, sample};

on_every_database!(
    adds_up_what_merges_bring,
    have_another_version_after_each_merge,
    reads_one_series_of_many,
    brings_two_merges_of_an_hour_together,
    go_by_age_and_agent,
    shows_each_series_to_those_who_read_by_sql,
);

const HOUR: i64 = 3_600_000;

/// Adds values to the hours, one sample each.
struct Add(BTreeMap<i64, Vec<(SeriesName, f64)>>);

impl RollupChange for Add {
    fn hours(&self) -> Vec<UnixMillis> {
        self.0.keys().map(|hour| UnixMillis(*hour)).collect()
    }

    fn apply(&self, hour: UnixMillis, before: &Hour) -> Vec<(SeriesName, Summary)> {
        let add = |(name, value): &(SeriesName, f64)| {
            let was = before.get(name);
            let count = was.map_or(0, |was| was.count);
            let sum = was.map_or(0.0, |was| was.mean * f64::from(count)) + value;
            let summary = Summary {
                count: count + 1,
                mean: sum / f64::from(count + 1),
                min: was.map_or(*value, |was| was.min.min(*value)),
                max: was.map_or(*value, |was| was.max.max(*value)),
            };
            (name.clone(), summary)
        };
        self.0[&hour.0].iter().map(add).collect()
    }
}

fn series(metric: u16, device: &str) -> SeriesName {
    SeriesName {
        metric: MetricId(metric),
        device: Some(device.to_owned()).filter(|device| !device.is_empty()),
    }
}

/// A merge of one sample that adds to the rollups.
async fn merge(store: &Arc<dyn Store>, agent: AgentKey, seq: u64, add: &Add) {
    let row = [sample(agent, seq as i64 * 1_000, seq)];
    store.append(&row).await.unwrap();
    compact(store, UnixMillis(seq as i64)).await;
    let small = store.heads(agent, ALL, Levels::Small, 1).await.unwrap();
    let replaced = store.replace(agent, &[small[0].id], &[chunk(&row)], add).await;
    assert_eq!(replaced.unwrap(), Outcome::Done);
}

/// The hours of one series, with what means need.
async fn hours_of(
    store: &Arc<dyn Store>,
    agent: AgentKey,
    range: TimeRange,
    series: &SeriesName,
) -> Vec<RollupPoint> {
    let found = store
        .rollups(agent, range, std::slice::from_ref(series), HourFigures::Means)
        .await
        .unwrap();
    let [hours] = <[_; 1]>::try_from(found.series).unwrap();
    hours
}

async fn adds_up_what_merges_bring(url: &str) {
    let store = open(url).await.unwrap();
    let (cpu, disk) = (series(1, ""), series(70, "sda"));
    let first = BTreeMap::from([
        (HOUR, vec![(cpu.clone(), 10.0), (disk.clone(), 16_777_217.0)]),
        (2 * HOUR, vec![(cpu.clone(), 1.0)]),
    ]);
    merge(&store, A, 1, &Add(first)).await;
    let second = BTreeMap::from([(HOUR, vec![(cpu.clone(), 20.0), (series(1, "x"), 0.1)])]);
    merge(&store, A, 2, &Add(second)).await;

    let found = store
        .rollups(
            A,
            ALL,
            &[disk.clone(), cpu.clone(), series(2, ""), series(1, "x")],
            HourFigures::All,
        )
        .await
        .unwrap();
    let point = |hour, count, mean, min, max| RollupPoint {
        hour: UnixMillis(hour),
        summary: Summary {
            count,
            mean,
            min,
            max,
        },
    };
    assert_eq!(
        found.series,
        [
            // The bounds have 24 bits, but never pass the mean of equal values.
            vec![point(HOUR, 1, 16_777_217.0, 16_777_216.0, 16_777_217.0)],
            vec![
                point(HOUR, 2, 15.0, 10.0, 20.0),
                point(2 * HOUR, 1, 1.0, 1.0, 1.0),
            ],
            vec![],
            vec![point(HOUR, 1, 0.1, 0.1, f64::from(0.1_f32))],
        ]
    );
    let range = TimeRange {
        start: UnixMillis(HOUR + 1),
        end: UnixMillis(2 * HOUR + 1),
    };
    assert_eq!(hours_of(&store, A, range, &cpu).await.len(), 1);
    assert_eq!(hours_of(&store, B, ALL, &cpu).await, []);
    let nothing = store.rollups(A, ALL, &[], HourFigures::All).await.unwrap();
    assert!(nothing.series.is_empty());
    assert_eq!(nothing.version, found.version);
    assert_eq!(store.series(A).await.unwrap(), [cpu, series(1, "x"), disk]);
    store.close().await;
}

async fn have_another_version_after_each_merge(url: &str) {
    let (store, other) = (open(url).await.unwrap(), open(url).await.unwrap());
    let seen = async |agent| {
        let outline = store.outline(agent, ALL, Levels::Small, &[]).await.unwrap();
        let read = other
            .rollups(agent, ALL, &[series(1, "")], HourFigures::All)
            .await;
        assert_eq!(read.unwrap().version, outline.hours, "both see one state");
        outline.hours
    };
    let never = seen(A).await;
    let add = |mean| Add(BTreeMap::from([(HOUR, vec![(series(1, ""), mean)])]));
    merge(&store, A, 1, &add(1.0)).await;
    let first = seen(A).await;
    assert_ne!(first, never);
    // What is stored, and what becomes a small chunk, is in the outline.
    store.append(&[sample(A, 2_000, 2)]).await.unwrap();
    assert_eq!(seen(A).await, first);
    compact(&store, UnixMillis(2)).await;
    assert_eq!(seen(A).await, first);
    merge(&other, B, 1, &add(2.0)).await;
    assert_eq!(seen(A).await, first, "another agent's hours are none of its own");
    let small = store.heads(A, ALL, Levels::Small, 1).await.unwrap();
    let full = [chunk(&[sample(A, 2_000, 2)])];
    let merged = other.replace(A, &[small[0].id], &full, &add(3.0)).await.unwrap();
    assert_eq!(merged, Outcome::Done);
    let second = seen(A).await;
    assert!(
        second != first && second != never,
        "{never:?} {first:?} {second:?}"
    );
    let again = other.replace(A, &[small[0].id], &full, &add(3.0)).await.unwrap();
    assert_eq!(again, Outcome::Stale);
    assert_eq!(seen(A).await, second, "what did not take place changed nothing");
    store.close().await;
    other.close().await;
}

async fn reads_one_series_of_many(url: &str) {
    let store = open(url).await.unwrap();
    let all: Vec<_> = (0..150)
        .map(|n| series(n % 3 + 1, &format!("device {n:03}")))
        .collect();
    let values = |hour: i64| -> Vec<_> {
        let there = all
            .iter()
            .enumerate()
            .filter(|(n, _)| *n as i64 % (hour + 1) == 0);
        there
            .map(|(n, name)| (name.clone(), n as f64 + 1_000.0 * hour as f64))
            .collect()
    };
    let hours = (0..5).map(|hour| (hour * HOUR, values(hour))).collect();
    merge(&store, A, 1, &Add(hours)).await;
    for (n, name) in all.iter().enumerate() {
        let found = hours_of(&store, A, ALL, name).await;
        let expected: Vec<_> = (0..5)
            .filter(|hour| n as i64 % (hour + 1) == 0)
            .map(|hour| (hour * HOUR, n as f64 + 1_000.0 * hour as f64))
            .collect();
        let found: Vec<_> = found
            .iter()
            .map(|point| (point.hour.0, point.summary.mean))
            .collect();
        assert_eq!(found, expected, "{name:?}");
    }
    assert_eq!(store.series(A).await.unwrap().len(), 150);
    store.close().await;
}

async fn brings_two_merges_of_an_hour_together(url: &str) {
    let (one, other) = (open(url).await.unwrap(), open(url).await.unwrap());
    let rows: Vec<_> = (1..=20).map(|seq| sample(A, seq * 1_000, seq as u64)).collect();
    for row in &rows {
        one.append(std::slice::from_ref(row)).await.unwrap();
        compact(&one, row.timestamp).await;
    }
    let small = one.heads(A, ALL, Levels::Small, 100).await.unwrap();
    let merge_all = async |store: &Arc<dyn Store>, parity: usize| {
        for (n, head) in small.iter().enumerate().filter(|(n, _)| n % 2 == parity) {
            let names = [series(1, ""), series(2, &format!("disk {n}"))];
            let add = Add(BTreeMap::from([(0, names.map(|name| (name, 1.0)).to_vec())]));
            let full = [chunk(&rows[n..=n])];
            let replaced = store.replace(A, &[head.id], &full, &add).await.unwrap();
            assert_eq!(replaced, Outcome::Done);
        }
    };
    tokio::join!(merge_all(&one, 0), merge_all(&other, 1));
    let found = hours_of(&one, A, ALL, &series(1, "")).await;
    assert_eq!(found[0].summary.count, 20);
    assert_eq!(one.series(A).await.unwrap().len(), 21);
    one.close().await;
    other.close().await;
}

async fn go_by_age_and_agent(url: &str) {
    const DAY: Duration = Duration::from_hours(24);
    let store = open(url).await.unwrap();
    let (usual, short, long) = (
        enrol(&store, "usual").await,
        enrol(&store, "short").await,
        enrol(&store, "long").await,
    );
    let keep = |days: u32| AgentRetention {
        raw: None,
        rollups: Some(DAY * days),
    };
    store.set_retention(short, keep(30)).await.unwrap();
    store.set_retention(long, keep(150)).await.unwrap();
    // Days to come: they have partitions, where there are partitions, of 30 days each, one of which ends at the 20th.
    let first = UnixMillis(25_000 * 86_400_000);
    let cpu = series(1, "");
    for agent in [usual, short, long] {
        let hours = (0..=12).map(|n| (first.plus(DAY * 10 * n).0, vec![(cpu.clone(), 1.0)]));
        merge(&store, agent, 1, &Add(hours.collect())).await;
    }
    let now = first.plus(DAY * 120 + Duration::from_hours(2));
    let left = async |agent| {
        let found = hours_of(&store, agent, ALL, &cpu).await;
        let days = |point: &RollupPoint| point.hour.since(first).as_secs() / DAY.as_secs();
        found.iter().map(days).collect::<Vec<_>>()
    };
    retain(&store, DAY * 60, now).await;
    assert_eq!(left(usual).await, [70, 80, 90, 100, 110, 120]);
    assert_eq!(left(short).await, [100, 110, 120]);
    assert_eq!(left(long).await, (0..=120).step_by(10).collect::<Vec<_>>());

    store
        .set_retention(long, AgentRetention::default())
        .await
        .unwrap();
    retain(&store, DAY * 60, now).await;
    if url.starts_with("sqlite") {
        assert_eq!(left(long).await, [70, 80, 90, 100, 110, 120]);
    } else {
        // Whole partitions only: of the third a part is to be kept.
        assert_eq!(left(long).await, [50, 60, 70, 80, 90, 100, 110, 120]);
    }
    assert_eq!(left(short).await, [100, 110, 120]);
    store.close().await;
}

async fn shows_each_series_to_those_who_read_by_sql(url: &str) {
    let store = open(url).await.unwrap();
    let agent = enrol(&store, "host").await;
    // So many that they fill several rows of an hour.
    let added = (0..200).map(|device| (series(140, &device.to_string()), f64::from(device)));
    merge(&store, agent, 1, &Add(BTreeMap::from([(HOUR, added.collect())]))).await;
    store.close().await;
    let question = "select device || ' ' || mean from metrics_hourly where agent = 'host'";
    let mut found: Vec<String> = if url.starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        let question = question.replace("|| mean", "|| cast(mean as integer)");
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(question));
        query.fetch_all(&mut connection).await.unwrap()
    } else {
        let query = sqlx::query_scalar(question);
        query.fetch_all(&mut direct(url).await).await.unwrap()
    };
    found.sort();
    let mut expected: Vec<String> = (0..200).map(|device| format!("{device} {device}")).collect();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn postgres_counts_no_elements_of_arrays() {
    let database = crate::Database::postgres("no_statistics").await;
    let store = open(&database.url()).await.unwrap();
    let agent = enrol(&store, "host").await;
    // Which makes a partition.
    merge(
        &store,
        agent,
        1,
        &Add(BTreeMap::from([(HOUR, vec![(series(1, ""), 1.0)])])),
    )
    .await;
    store.close().await;
    let counted = "select relname || '.' || attname from pg_attribute
        join pg_class on pg_class.oid = attrelid
        join pg_type on pg_type.oid = atttypid
        where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace
            and typcategory = 'A' and attstattarget is distinct from 0";
    let mut connection = direct(&database.url()).await;
    let counted: Vec<String> = sqlx::query_scalar(counted)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(counted, Vec::<String>::new());
    connection.close().await.unwrap();
    database.remove().await;
}
