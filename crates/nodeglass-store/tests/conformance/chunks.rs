//! Chunks: outlines, slices, replacing them, and which agents have some to merge.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_store::tiers::{ChunkId, Level, Levels, NewChunk, Outcome, Slice};
use nodeglass_store::{AgentKey, StagedSample, Store, open};

use crate::slots::{AT_ONCE, chunk, compact};
use crate::{A, ALL, B, sample, stored};

on_every_database!(
    reads_slices_until_their_chunk_is_replaced,
    finds_what_reaches_into_a_range,
    replaces_all_or_nothing,
    keeps_late_samples_in_chunks_of_any_day,
    tells_which_agents_have_chunks_to_merge,
    says_what_each_tier_takes,
);

/// A small chunk of an agent with these samples.
async fn small(store: &Arc<dyn Store>, rows: &[StagedSample], now: i64) {
    store.append(rows).await.unwrap();
    compact(store, UnixMillis(now)).await;
}

async fn ids(store: &Arc<dyn Store>, agent: AgentKey) -> Vec<ChunkId> {
    let heads = store.heads(agent, ALL, Levels::All, 1_000).await.unwrap();
    heads.iter().map(|head| head.id).collect()
}

fn slice(chunk: ChunkId, offset: u32, length: u32) -> Slice {
    Slice {
        chunk,
        offset,
        length,
    }
}

/// A chunk that nobody can read, of a payload that does not fit into a row.
fn opaque(t0: i64, payload: Vec<u8>) -> NewChunk {
    NewChunk {
        t0: UnixMillis(t0),
        end: UnixMillis(t0 + 1_000),
        points: 2,
        directory: vec![1; 3_000],
        payload,
    }
}

async fn reads_slices_until_their_chunk_is_replaced(url: &str) {
    let store = open(url).await.unwrap();
    small(&store, &[sample(A, 10, 1), sample(A, 20, 2)], 1).await;
    let old = ids(&store, A).await;
    let bytes: Vec<u8> = (0..60_000_u32).map(|n| (n * 7 / 5) as u8).collect();
    let new = [opaque(10, bytes.clone()), opaque(2_000, vec![9; 10])];
    assert_eq!(store.replace(A, &old, &new, &()).await.unwrap(), Outcome::Done);
    let now = ids(&store, A).await;
    assert_eq!(now.len(), 2);
    assert!(!now.contains(&old[0]), "no two chunks have one name");

    let wanted = [
        slice(now[1], 0, 10),
        slice(now[0], 40_000, 5_000),
        slice(old[0], 0, 1),
        slice(now[0], 0, 1),
        slice(now[0], 59_999, 1),
    ];
    let found = store.slices(A, &wanted).await.unwrap();
    assert_eq!(found[0].as_deref(), Some(&[9; 10][..]));
    assert_eq!(found[1].as_deref(), Some(&bytes[40_000..45_000]));
    assert_eq!(found[2], None);
    assert_eq!(found[3].as_deref(), Some(&bytes[..1]));
    assert_eq!(found[4].as_deref(), Some(&bytes[59_999..]));
    assert_eq!(
        store.slices(B, &wanted[..1]).await.unwrap(),
        [None],
        "chunks are an agent's own"
    );
    assert_eq!(store.slices(A, &[]).await.unwrap(), []);

    // Whoever knows a directory is not given it again.
    let outline = store
        .outline(A, ALL, Levels::All, &[now[1], old[0]])
        .await
        .unwrap();
    let directories = outline
        .chunks
        .iter()
        .map(|chunk| (chunk.id, chunk.directory.as_ref()));
    let given: Vec<_> = directories.map(|(id, given)| (id, given.map(Vec::len))).collect();
    assert_eq!(given, [(now[0], Some(3_000)), (now[1], None)]);

    let whole = store.chunks(A, &[now[1], old[0], now[0]]).await.unwrap();
    assert_eq!(whole.len(), 2);
    assert_eq!(whole[0].head.id, now[0]);
    assert_eq!(
        (whole[0].payload.len(), whole[0].head.directory.len()),
        (60_000, 3_000)
    );
    assert_eq!(whole[1].head.level, Level::Full);
    store.close().await;
}

async fn finds_what_reaches_into_a_range(url: &str) {
    let store = open(url).await.unwrap();
    let hour = 3_600_000;
    // One that spans nearly a day, and two short ones.
    let long = [sample(A, 0, 1), sample(A, 23 * hour, 2)];
    small(&store, &long, 1).await;
    small(&store, &[sample(A, 5 * hour, 3)], 2).await;
    small(&store, &[sample(A, 30 * hour, 4)], 3).await;
    let within = async |from: i64, to: i64| -> Vec<u32> {
        let range = TimeRange {
            start: UnixMillis(from),
            end: UnixMillis(to),
        };
        let outline = store.outline(A, range, Levels::All, &[]).await.unwrap();
        let overlapping = store.overlapping(&[(B, range), (A, range)]).await.unwrap();
        let heads: Vec<_> = overlapping
            .into_iter()
            .map(|(agent, head)| (agent, head.id))
            .collect();
        let outlined: Vec<_> = outline.chunks.iter().map(|head| (A, head.id)).collect();
        assert_eq!(heads, outlined);
        outline.chunks.iter().map(|head| head.points).collect()
    };
    assert_eq!(within(22 * hour, 23 * hour + 1).await, [2]);
    assert_eq!(within(23 * hour + 1, 30 * hour).await, [0_u32; 0]);
    assert_eq!(within(hour, 6 * hour).await, [2, 1]);
    assert_eq!(within(0, 31 * hour).await, [2, 1, 1]);
    assert_eq!(within(30 * hour, 30 * hour).await, [0_u32; 0]);
    assert_eq!(store.heads(A, ALL, Levels::All, 2).await.unwrap().len(), 2);
    store.close().await;
}

async fn replaces_all_or_nothing(url: &str) {
    let store = open(url).await.unwrap();
    let rows: Vec<_> = (1..=20).map(|seq| sample(A, seq as i64 * 1_000, seq)).collect();
    small(&store, &rows[..10], 1).await;
    small(&store, &rows[10..], 2).await;
    let old = ids(&store, A).await;
    let missing = ChunkId {
        rev: i32::MAX,
        ..old[0]
    };
    let full = [chunk(&rows)];
    let replaced = store.replace(A, &[old[0], missing], &full, &()).await.unwrap();
    assert_eq!(replaced, Outcome::Stale);
    assert_eq!(ids(&store, A).await, old, "nothing was removed");

    // Two servers merge the same chunks at the same time.
    let beside = open(url).await.unwrap();
    let (one, other) = tokio::join!(
        store.replace(A, &old, &full, &()),
        beside.replace(A, &old, &full, &())
    );
    let outcomes = [one.unwrap(), other.unwrap()];
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == Outcome::Done)
            .count(),
        1
    );
    assert_eq!(stored(&store, A).await, (1..=20).collect::<Vec<_>>());
    let heads = store.heads(A, ALL, Levels::All, 10).await.unwrap();
    assert_eq!(
        (heads.len(), heads[0].level, heads[0].points),
        (1, Level::Full, 20)
    );
    let small = store.outline(A, ALL, Levels::Small, &[]).await.unwrap();
    assert_eq!(small.chunks, [], "the rollups cover it");

    // A full chunk is rewritten with late samples.
    let late = [sample(A, 1_500, 30)];
    super::chunks::small(&store, &late, 3).await;
    let both: Vec<_> = ids(&store, A).await;
    let mut all = rows.clone();
    all.insert(1, late[0].clone());
    let halves = [chunk(&all[..11]), chunk(&all[11..])];
    assert_eq!(
        store.replace(A, &both, &halves, &()).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(stored(&store, A).await[..3], [1, 30, 2]);
    assert_eq!(stored(&store, A).await.len(), 21);
    beside.close().await;
    store.close().await;
}

async fn keeps_late_samples_in_chunks_of_any_day(url: &str) {
    let store = open(url).await.unwrap();
    let day = 86_400_000;
    // Before there were chunks, today, and days to come.
    let today = 20_700 * day;
    let times = [1_000, today, today + day, today + 3 * day, today + 400 * day];
    for (n, at) in times.into_iter().enumerate() {
        let rows = [sample(A, at, n as u64 + 1), sample(A, at + 5_000, n as u64 + 11)];
        small(&store, &rows, n as i64 + 1).await;
        let old: Vec<_> = store.heads(A, ALL, Levels::Small, 10).await.unwrap();
        let outcome = store
            .replace(A, &[old[0].id], &[chunk(&rows)], &())
            .await
            .unwrap();
        assert_eq!(outcome, Outcome::Done);
    }
    assert_eq!(stored(&store, A).await, [1, 11, 2, 12, 3, 13, 4, 14, 5, 15]);
    store.close().await;
}

async fn tells_which_agents_have_chunks_to_merge(url: &str) {
    let store = open(url).await.unwrap();
    let rows = |agent, count: u64, from: u64| -> Vec<_> {
        (from..from + count)
            .map(|seq| sample(agent, seq as i64 * 1_000, seq))
            .collect()
    };
    small(&store, &rows(A, 10, 1), 1_000).await;
    small(&store, &rows(B, 4, 1), 2_000).await;
    let due = async |points, before| store.mergeable(points, UnixMillis(before), 10).await.unwrap();
    assert_eq!(due(11, 0).await, []);
    assert_eq!(due(10, 0).await, [A]);
    assert_eq!(due(11, 1_500).await, [A], "it waits for long");
    assert_eq!(due(4, 0).await, [A, B]);
    assert_eq!(store.mergeable(1, UnixMillis(0), 1).await.unwrap(), [A]);
    small(&store, &rows(B, 7, 5), 9_000).await;
    assert_eq!(due(11, 0).await, [B]);
    assert_eq!(due(99, 2_000).await, [A, B], "the oldest counts");

    let old = ids(&store, A).await;
    let replaced = store
        .replace(A, &old, &[chunk(&rows(A, 10, 1))], &())
        .await
        .unwrap();
    assert_eq!(replaced, Outcome::Done);
    assert_eq!(due(1, 9_000).await, [B]);
    store.close().await;
}

async fn says_what_each_tier_takes(url: &str) {
    let store = open(url).await.unwrap();
    let empty = store.sizes().await.unwrap();
    let rows: Vec<_> = (1..=3_000)
        .map(|seq| StagedSample {
            payload: vec![seq as u8; 400],
            ..sample(A, seq as i64, seq)
        })
        .collect();
    store.append(&rows).await.unwrap();
    let staged = store.sizes().await.unwrap();
    assert!(staged.staging > empty.staging + 3_000 * 400);
    assert_eq!(staged.full_chunks, empty.full_chunks);

    // Bytes that don't compress.
    let payload: Vec<u8> = (0..2_000_000_u64)
        .map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect();
    let replaced = store.replace(B, &[], &[opaque(10, payload)], &()).await.unwrap();
    assert_eq!(replaced, Outcome::Done);
    let after = store.sizes().await.unwrap();
    assert!(after.full_chunks > staged.full_chunks + 1_900_000);
    assert!(after.full_chunks < staged.full_chunks + 2_400_000);
    // What is in a slot that is said to be done goes with it.
    store.close_slot(UnixMillis(1), AT_ONCE).await.unwrap();
    for slot in store.closed_slots().await.unwrap() {
        let done = store.finish_slot(slot.id, None, UnixMillis(1)).await.unwrap();
        assert_eq!(done, Outcome::Done);
    }
    let later = UnixMillis(1).plus(Duration::from_mins(2));
    while store.drop_slots(later).await.unwrap() {}
    assert!(store.sizes().await.unwrap().staging < staged.staging);
    store.close().await;
}
