//! Compaction takes as much memory for a slot of many agents as for one of few: a page of rows and what becomes of it.
//!
//! What the process takes is read from `/proc`, so the two databases are looked at one after the other, in a program of their own.
//! The PostgreSQL half needs `TEST_DATABASE_URL`, which `cargo xtask test` provides.

#[path = "compaction/support.rs"]
mod support;

use std::fs;
use std::time::Duration;

use nodeglass_chunk::row;
use nodeglass_model::sample::NetworkMetrics;
use nodeglass_model::{Sample, SampleId, UnixMillis};
use nodeglass_store::tiers::SlotLimits;
use nodeglass_store::{AgentKey, Compacted, Compactor, StagedSample, Store, open};

use support::Database;

const START: UnixMillis = UnixMillis(4_102_443_600_000);
/// Rows of an agent in a slot, as at five seconds.
const ROWS: u64 = 60;
/// Agents of a slot that shows what a page takes, and of one that is twenty times as large: 13 MB of rows.
const FEW: i32 = 10;
const MANY: i32 = 200;
/// Rows that are read at once: those of eight agents and some.
const PAGE: u32 = 500;
/// What a slot of many may take more than one of few: less than its rows, and far less than what is made of them.
const MORE_BYTES: u64 = 6 << 20;

/// A sample of a host with many interfaces, all of which are busy: a row of a kilobyte.
fn sample(agent: i32, seq: u64, at: UnixMillis) -> StagedSample {
    let noise = |number: u64| {
        let seed = (u64::from(agent.unsigned_abs()) << 40) ^ (seq << 16) ^ number;
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 34
    };
    let interfaces = (0..60).map(|number| NetworkMetrics {
        interface: format!("eth{number}"),
        bytes_sent_per_sec: Some(noise(2 * number)),
        bytes_recv_per_sec: Some(noise(2 * number + 1)),
        ..Default::default()
    });
    let sample = Sample {
        timestamp: at,
        network_interfaces: interfaces.collect(),
        ..Sample::default()
    };
    StagedSample {
        agent: AgentKey(agent),
        id: SampleId { epoch: 1, seq },
        timestamp: at,
        payload: row::encode(&sample),
        weight: 1,
    }
}

/// How much of the process is in memory: at most since the last time, and now.
fn resident_bytes() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        let kib = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        kib << 10
    };
    let most = of("VmHWM:");
    // What is in memory now is the most from here on.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    (most, of("VmRSS:"))
}

/// Stores a slot of so many agents and closes it.
async fn fill(store: &dyn Store, agents: i32, start: UnixMillis) {
    for row in 0..ROWS {
        let at = start.plus(Duration::from_secs(row * 5));
        let seq = at.0.unsigned_abs() / 1_000;
        let rows: Vec<_> = (1..=agents).map(|agent| sample(agent, seq, at)).collect();
        assert_eq!(store.append(&rows).await.unwrap().stored, rows.len() as u64);
    }
    let limits = SlotLimits {
        age: Duration::ZERO,
        bytes: 0,
    };
    let end = start.plus(Duration::from_mins(5));
    assert!(store.close_slot(end, limits).await.unwrap());
}

/// Packs all that waits; gives what it took in memory beyond what was there before.
async fn pack(store: &dyn Store, agents: i32, now: UnixMillis) -> u64 {
    let mut compactor = Compactor::with_page(PAGE);
    let mut done = Compacted::default();
    let (_, before) = resident_bytes();
    while let Some(step) = compactor.pack_slot(store, now).await.unwrap() {
        done += step;
    }
    let (most, _) = resident_bytes();
    assert_eq!(done.samples, u64::from(agents.unsigned_abs()) * ROWS);
    most.saturating_sub(before)
}

async fn takes_a_page(database: Database) {
    database.create().await;
    let store = open(&database.url()).await.unwrap();
    // The first of all makes what is kept: connections, buffers, tables of the encoder.
    let mut took = Vec::new();
    for (slot, agents) in [FEW, FEW, MANY].into_iter().enumerate() {
        let start = START.plus(Duration::from_mins(5) * slot as u32);
        fill(store.as_ref(), agents, start).await;
        took.push(pack(store.as_ref(), agents, start.plus(Duration::from_mins(5))).await);
    }
    let [_, few, many] = took[..] else {
        unreachable!("three slots")
    };
    assert!(
        many < few + MORE_BYTES,
        "{} KiB for a slot of {MANY} agents, {} KiB for one of {FEW}",
        many >> 10,
        few >> 10
    );
    eprintln!(
        "{} KiB for {FEW} agents, {} KiB for {MANY}",
        few >> 10,
        many >> 10
    );
    store.close().await;
    database.remove().await;
}

#[tokio::test]
async fn a_slot_of_many_agents_takes_no_more_than_a_page() {
    takes_a_page(Database::sqlite()).await;
    takes_a_page(Database::postgres("bounded")).await;
}
