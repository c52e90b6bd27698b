//! Chunks that somebody else has changed.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_store::tiers::{Levels, Retention, SlotLimits, Tiers};
use nodeglass_store::{AgentKey, Compacted, Compactor, Store, open};
use sqlx::{Connection, SqliteConnection};

use crate::{ALL, direct, enrol, sample, stored};

on_every_database!(holds_up_nothing_but_itself);

const SECOND: i64 = 1_000;
const HOUR: Duration = Duration::from_hours(1);
const AT_ONCE: SlotLimits = SlotLimits {
    age: Duration::ZERO,
    bytes: 0,
};

/// Ten samples from a second on, in a small chunk.
async fn small(store: &Arc<dyn Store>, compactor: &mut Compactor, agent: AgentKey, second: i64) {
    let rows: Vec<_> = (second..second + 10)
        .map(|at| sample(agent, at * SECOND, at.unsigned_abs()))
        .collect();
    store.append(&rows).await.unwrap();
    let now = UnixMillis((second + 10) * SECOND);
    store.close_slot(now, AT_ONCE).await.unwrap();
    while compactor.pack_slot(store.as_ref(), now).await.unwrap().is_some() {}
}

/// Merges whatever is due.
async fn merge(store: &Arc<dyn Store>, compactor: &mut Compactor, now: UnixMillis) -> Compacted {
    let store: &dyn Tiers = store.as_ref();
    let mut sum = Compacted::default();
    for _ in 0..20 {
        match compactor.merge(store, now).await.unwrap() {
            Some(done) => sum += done,
            None => return sum,
        }
    }
    panic!("there is no end of it: {sum:?}");
}

async fn damage(url: &str, second: i64) {
    let statement = format!(
        "update chunk set payload = {} where t0 = {}",
        if url.starts_with("sqlite") {
            "x'00'"
        } else {
            "'\\x00'"
        },
        second * SECOND
    );
    let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement));
    let changed = if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        statement.execute(&mut connection).await.unwrap().rows_affected()
    } else {
        statement
            .execute(&mut direct(url).await)
            .await
            .unwrap()
            .rows_affected()
    };
    assert_eq!(changed, 1);
}

async fn holds_up_nothing_but_itself(url: &str) {
    let store = open(url).await.unwrap();
    let agent = enrol(&store, "host").await;
    let mut compactor = Compactor::default();
    for second in [0, 100, 200] {
        small(&store, &mut compactor, agent, second).await;
    }
    damage(url, 100).await;
    let now = UnixMillis(0).plus(HOUR * 3);
    let done = merge(&store, &mut compactor, now).await;
    assert_eq!(
        (done.troubled_agents, done.merged_samples, done.stale),
        (1, 20, 0),
        "{done:?}"
    );
    let starts = async |levels| -> Vec<i64> {
        let heads = store.heads(agent, ALL, levels, 10).await.unwrap();
        heads.iter().map(|head| head.id.t0.0 / SECOND).collect()
    };
    assert_eq!(starts(Levels::Small).await, [100], "it stays as it is");

    // What comes later is merged, too, though not at once; and with a full one that was damaged meanwhile.
    small(&store, &mut compactor, agent, 300).await;
    assert_eq!(merge(&store, &mut compactor, now).await, Compacted::default());
    damage(url, 0).await;
    let now = now.plus(HOUR * 2);
    let done = merge(&store, &mut compactor, now).await;
    assert_eq!((done.troubled_agents, done.full_chunks), (1, 1), "{done:?}");
    assert_eq!(starts(Levels::Small).await, [100]);
    assert_eq!(stored(&store, agent).await, (300..310).collect::<Vec<_>>());

    // And what can be merged goes when it is old.
    let retention = Retention {
        raw: HOUR,
        rollups: HOUR,
        max_bytes: None,
    };
    while store.retain(&retention, now).await.unwrap().more {}
    assert_eq!(starts(Levels::All).await, [100]);
    store.close().await;
}
