//! Slots of staging: closing, compacting and dropping them, with what comes twice, late, or at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nodeglass_chunk::chunk::{Effort, Encoder, Head};
use nodeglass_chunk::row;
use nodeglass_model::{SampleId, TimeRange, UnixMillis};
use nodeglass_store::tiers::{ClosedSlot, Level, Levels, NewChunk, Outcome, PackedAgent, SlotId, SlotLimits};
use nodeglass_store::{AgentKey, Appended, StagedSample, Store, open};

use crate::{A, ALL, B, sample, stored};

on_every_database!(
    closes_a_slot_when_it_is_due,
    knows_what_is_in_slots_that_were_closed,
    compacts_agent_after_agent_and_resumes,
    reads_staging_and_chunks_as_one,
    leaves_out_what_a_chunk_has_already,
    keeps_all_while_slots_are_closed_and_dropped,
);

/// Every slot with a row in it is due.
pub(crate) const AT_ONCE: SlotLimits = SlotLimits {
    age: Duration::ZERO,
    bytes: u64::MAX,
};

/// Samples of one agent as a chunk.
pub(crate) fn chunk(rows: &[StagedSample]) -> NewChunk {
    let samples: Vec<_> = rows
        .iter()
        .map(|one| (one.id, row::read(&one.payload, one.timestamp).unwrap()))
        .collect();
    let parts = Encoder::new().parts(&samples, Effort::Best).unwrap();
    NewChunk {
        t0: rows.iter().map(|one| one.timestamp).min().unwrap(),
        end: UnixMillis(rows.iter().map(|one| one.timestamp.0).max().unwrap() + 1),
        points: rows.len() as u32,
        directory: parts.directory,
        payload: parts.payload,
    }
}

/// Rows of agents as they are put into small chunks; those whose ids are in a chunk already are left out.
async fn pack(store: &Arc<dyn Store>, rows: Vec<StagedSample>) -> Vec<PackedAgent> {
    let mut agents: BTreeMap<AgentKey, Vec<StagedSample>> = BTreeMap::new();
    for row in rows {
        agents.entry(row.agent).or_default().push(row);
    }
    let mut packed = Vec::new();
    for (agent, rows) in agents {
        let range = TimeRange {
            start: rows[0].timestamp,
            end: UnixMillis(rows[rows.len() - 1].timestamp.0 + 1),
        };
        let mut known = BTreeSet::new();
        for (_, head) in store.overlapping(&[(agent, range)]).await.unwrap() {
            known.extend(Head::read(&head.directory).unwrap().ids());
        }
        let (new, old): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| known.insert(row.id));
        let weight = |rows: &[StagedSample]| rows.iter().map(|row| u64::from(row.weight)).sum();
        packed.push(PackedAgent {
            agent,
            stored: weight(&new),
            duplicate: weight(&old),
            chunks: if new.is_empty() { vec![] } else { vec![chunk(&new)] },
        });
    }
    packed
}

/// Makes small chunks of a closed slot, some rows at a time.
async fn compact_slot(store: &Arc<dyn Store>, slot: ClosedSlot, now: UnixMillis) -> Outcome {
    let (mut after, mut done) = (None, slot.done_through);
    let mut pending: Vec<StagedSample> = Vec::new();
    loop {
        let rows = store.slot_rows(slot.id, after, 7).await.unwrap();
        after = rows.last().map(|row| (row.agent, row.position())).or(after);
        let is_end = rows.len() < 7;
        pending.extend(rows);
        // The last agent of a page may go on in the next.
        let through = pending.last().map(|row| row.agent);
        let rest = match through {
            Some(last) if !is_end => pending.split_off(pending.partition_point(|row| row.agent < last)),
            _ => Vec::new(),
        };
        if let Some(through) = pending.last().map(|row| row.agent) {
            let packed = pack(store, pending).await;
            if store
                .put_small(slot.id, done, through, &packed, now)
                .await
                .unwrap()
                == Outcome::Stale
            {
                return Outcome::Stale;
            }
            done = Some(through);
        }
        pending = rest;
        if is_end {
            return store.finish_slot(slot.id, done, now).await.unwrap();
        }
    }
}

/// Closes the open slot, makes small chunks of every closed one, and drops them.
pub(crate) async fn compact(store: &Arc<dyn Store>, now: UnixMillis) {
    store.close_slot(now, AT_ONCE).await.unwrap();
    for slot in store.closed_slots().await.unwrap() {
        assert_eq!(compact_slot(store, slot, now).await, Outcome::Done);
    }
    drop_slots(store, now).await;
}

async fn drop_slots(store: &Arc<dyn Store>, now: UnixMillis) {
    while store.drop_slots(now.plus(Duration::from_mins(2))).await.unwrap() {}
}

async fn counts(store: &Arc<dyn Store>, agent: AgentKey) -> (u64, u64) {
    let ledger = store.ledger(agent).await.unwrap();
    (ledger.stored, ledger.duplicate)
}

async fn staged(store: &Arc<dyn Store>, agent: AgentKey) -> usize {
    store
        .outline(agent, ALL, Levels::All, &[])
        .await
        .unwrap()
        .staged
        .len()
}

/// The slots there are when a database was just made: the one that what was staged before went to.
async fn finish_first(store: &Arc<dyn Store>) {
    for slot in store.closed_slots().await.unwrap() {
        assert_eq!(
            store.finish_slot(slot.id, None, UnixMillis(0)).await.unwrap(),
            Outcome::Done
        );
    }
}

async fn closes_a_slot_when_it_is_due(url: &str) {
    let store = open(url).await.unwrap();
    finish_first(&store).await;
    let limits = SlotLimits {
        age: Duration::from_mins(5),
        bytes: 1 << 20,
    };
    let start = UnixMillis(4_000_000_000_000);
    assert!(
        !store.close_slot(start, limits).await.unwrap(),
        "an empty one stays open, and is young again"
    );
    store.append(&[sample(A, 10, 1)]).await.unwrap();
    let later = |minutes| start.plus(Duration::from_mins(minutes));
    assert!(!store.close_slot(later(4), limits).await.unwrap());
    assert!(store.close_slot(later(5), limits).await.unwrap());
    assert_eq!(store.closed_slots().await.unwrap().len(), 1);
    assert!(!store.close_slot(later(20), limits).await.unwrap());

    let large = StagedSample {
        payload: vec![7; 3_000],
        ..sample(A, 20, 2)
    };
    let group: Vec<_> = (0..500)
        .map(|seq| StagedSample {
            id: SampleId { epoch: 9, seq },
            ..large.clone()
        })
        .collect();
    store.append(&group).await.unwrap();
    assert!(store.close_slot(later(21), limits).await.unwrap(), "it is large");
    let closed = store.closed_slots().await.unwrap();
    assert_eq!(closed.len(), 2);
    assert!(closed[0].id < closed[1].id);
    store.close().await;
}

async fn knows_what_is_in_slots_that_were_closed(url: &str) {
    let store = open(url).await.unwrap();
    let heavy = StagedSample {
        weight: 5,
        ..sample(A, 70_000, 2)
    };
    store.append(&[sample(A, 10, 1), heavy.clone()]).await.unwrap();
    assert!(store.close_slot(UnixMillis(1), AT_ONCE).await.unwrap());
    store.append(&[sample(A, 140_000, 3)]).await.unwrap();
    assert!(store.close_slot(UnixMillis(2), AT_ONCE).await.unwrap());

    // One of each closed slot, one that is new, one that is new twice.
    let again = [
        sample(A, 10, 1),
        heavy,
        sample(A, 140_000, 3),
        sample(A, 20, 4),
        sample(A, 30, 5),
        sample(A, 30, 5),
        sample(B, 10, 1),
    ];
    assert_eq!(
        store.append(&again).await.unwrap(),
        Appended {
            stored: 3,
            duplicate: 8
        }
    );
    assert_eq!(stored(&store, A).await, [1, 4, 5, 2, 3]);
    assert_eq!(counts(&store, A).await, (9, 8));
    assert_eq!(counts(&store, B).await, (1, 0));
    compact(&store, UnixMillis(3)).await;
    assert_eq!(stored(&store, A).await, [1, 4, 5, 2, 3]);
    assert_eq!(counts(&store, A).await, (9, 8));
    store.close().await;
}

async fn compacts_agent_after_agent_and_resumes(url: &str) {
    let store = open(url).await.unwrap();
    finish_first(&store).await;
    let group: Vec<_> = (0..30)
        .map(|n| sample(AgentKey(n % 3), i64::from(n) * 10, n as u64 + 1))
        .collect();
    store.append(&group).await.unwrap();
    store.close_slot(UnixMillis(1), AT_ONCE).await.unwrap();
    let slot = store.closed_slots().await.unwrap()[0];
    assert_eq!(slot.done_through, None);

    let rows = store.slot_rows(slot.id, None, 100).await.unwrap();
    let order: Vec<_> = rows.iter().map(|row| (row.agent, row.position())).collect();
    assert!(order.is_sorted() && order.len() == 30);
    let mut paged = Vec::new();
    while let page = store.slot_rows(slot.id, paged.last().copied(), 4).await.unwrap()
        && !page.is_empty()
    {
        paged.extend(page.iter().map(|row| (row.agent, row.position())));
    }
    assert_eq!(paged, order);

    let first: Vec<_> = rows
        .iter()
        .filter(|row| row.agent == AgentKey(0))
        .cloned()
        .collect();
    let packed = pack(&store, first).await;
    let put = store.put_small(slot.id, Some(AgentKey(5)), AgentKey(6), &packed, UnixMillis(2));
    assert_eq!(put.await.unwrap(), Outcome::Stale, "it is not done so far");
    let put = store.put_small(slot.id, None, AgentKey(0), &packed, UnixMillis(2));
    assert_eq!(put.await.unwrap(), Outcome::Done);
    let put = store.put_small(slot.id, None, AgentKey(0), &packed, UnixMillis(2));
    assert_eq!(put.await.unwrap(), Outcome::Stale, "somebody did it before");
    assert_eq!(
        (staged(&store, AgentKey(0)).await, staged(&store, A).await),
        (0, 10)
    );
    assert_eq!(counts(&store, AgentKey(0)).await, (10, 0));

    // Another process goes on where the first was killed.
    store.close().await;
    let store = open(url).await.unwrap();
    let slot = store.closed_slots().await.unwrap()[0];
    assert_eq!(slot.done_through, Some(AgentKey(0)));
    let rest = store.slot_rows(slot.id, None, 100).await.unwrap();
    assert!(rest.len() == 20 && rest[0].agent == A);
    assert_eq!(compact_slot(&store, slot, UnixMillis(3)).await, Outcome::Done);
    assert_eq!(
        store.finish_slot(slot.id, Some(B), UnixMillis(3)).await.unwrap(),
        Outcome::Stale
    );
    assert_eq!(store.closed_slots().await.unwrap(), []);
    assert_eq!(store.slot_rows(slot.id, None, 100).await.unwrap(), []);
    drop_slots(&store, UnixMillis(3)).await;
    for agent in 0..3 {
        assert_eq!(staged(&store, AgentKey(agent)).await, 0);
        assert_eq!(stored(&store, AgentKey(agent)).await.len(), 10);
        assert_eq!(counts(&store, AgentKey(agent)).await, (10, 0));
    }
    assert_eq!(store.slot_rows(SlotId(999), None, 1).await.unwrap(), []);
    store.close().await;
}

async fn reads_staging_and_chunks_as_one(url: &str) {
    let store = open(url).await.unwrap();
    // Ten small chunks that overlap, and late samples in staging: every third sample of each stretch comes later.
    let sequence: Vec<u64> = (0..300).collect();
    for part in 0..10 {
        let group: Vec<_> = sequence
            .iter()
            .filter(|n| **n / 40 <= part && part <= **n / 30 && (**n + part).is_multiple_of(3))
            .map(|n| sample(A, *n as i64 * 1_000, n + 1))
            .collect();
        store.append(&group).await.unwrap();
        compact(&store, UnixMillis(part as i64)).await;
    }
    let missing: BTreeSet<u64> = {
        let there: BTreeSet<u64> = stored(&store, A).await.into_iter().collect();
        (1..=300).filter(|seq| !there.contains(seq)).collect()
    };
    assert!(!missing.is_empty());
    let late: Vec<_> = missing
        .iter()
        .map(|seq| sample(A, (*seq as i64 - 1) * 1_000, *seq))
        .collect();
    store.append(&late).await.unwrap();
    let outline = store.outline(A, ALL, Levels::All, &[]).await.unwrap();
    assert!(outline.chunks.len() >= 8 && outline.chunks.is_sorted_by_key(|head| head.id));
    assert!(outline.chunks.iter().all(|head| head.level == Level::Small));

    for limit in [1, 7, 100, 299, 300, 1_000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.samples(A, ALL, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() == limit as usize || last.id.seq == 300);
            after = Some(last.position());
            found.extend(page.into_iter().map(|one| {
                assert_eq!(one.sample, crate::said(one.sample.timestamp.0, one.id.seq));
                one.id.seq
            }));
        }
        assert_eq!(found, (1..=300).collect::<Vec<_>>(), "pages of {limit}");
    }
    let range = TimeRange {
        start: UnixMillis(50_000),
        end: UnixMillis(60_000),
    };
    let found = store.samples(A, range, None, 100).await.unwrap();
    let found: Vec<_> = found.iter().map(|one| one.id.seq).collect();
    assert_eq!(found, (51..=60).collect::<Vec<_>>());
    store.close().await;
}

async fn leaves_out_what_a_chunk_has_already(url: &str) {
    let store = open(url).await.unwrap();
    store.append(&[sample(A, 10, 1), sample(A, 20, 2)]).await.unwrap();
    compact(&store, UnixMillis(1)).await;
    // Its slot is gone, so that nobody knows yet that it comes again.
    let again = store.append(&[sample(A, 20, 2), sample(A, 15, 3)]).await.unwrap();
    assert_eq!(again.stored + again.duplicate, 2);
    assert_eq!(stored(&store, A).await, [1, 3, 2], "a reader knows it");
    compact(&store, UnixMillis(2)).await;
    assert_eq!(stored(&store, A).await, [1, 3, 2]);
    assert_eq!(counts(&store, A).await, (3, 1));
    store.close().await;
}

async fn keeps_all_while_slots_are_closed_and_dropped(url: &str) {
    const WRITERS: i32 = 3;
    const GROUPS: u64 = 40;
    let (one, other) = (open(url).await.unwrap(), open(url).await.unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = if writer == 0 { one.clone() } else { other.clone() };
        writers.spawn(async move {
            for n in 0..GROUPS {
                // Its own samples, those of its last group again, and some that all of the writers have.
                let own =
                    (n.saturating_sub(1)..=n).map(|seq| sample(AgentKey(writer), seq as i64 * 1_000, seq));
                let common = (0..3).map(|k| sample(AgentKey(99), (n * 3 + k) as i64 * 500, n * 3 + k));
                let group: Vec<_> = own.chain(common).collect();
                store.append(&group).await.unwrap();
            }
        });
    }
    let mut now = UnixMillis(0);
    let mut round = async || {
        now = now.plus(Duration::from_mins(2));
        // Two servers do the same at once; what one did first is stale to the other.
        for store in [&one, &other] {
            store.close_slot(now, AT_ONCE).await.unwrap();
        }
        let closed = one.closed_slots().await.unwrap();
        for slot in closed {
            let _ = tokio::join!(compact_slot(&one, slot, now), compact_slot(&other, slot, now));
        }
        drop_slots(&one, now).await;
    };
    while !writers.is_empty() {
        round().await;
        while let Some(done) = writers.try_join_next() {
            done.unwrap();
        }
    }
    round().await;
    round().await;
    for writer in 0..WRITERS {
        let agent = AgentKey(writer);
        assert_eq!(stored(&one, agent).await, (0..GROUPS).collect::<Vec<_>>());
        assert_eq!(counts(&one, agent).await, (GROUPS, GROUPS - 1));
    }
    let common = GROUPS * 3;
    assert_eq!(
        stored(&other, AgentKey(99)).await,
        (0..common).collect::<Vec<_>>()
    );
    assert_eq!(
        counts(&other, AgentKey(99)).await,
        (common, common * (WRITERS as u64 - 1))
    );
    assert_eq!(staged(&one, AgentKey(99)).await, 0);
    one.close().await;
    other.close().await;
}
