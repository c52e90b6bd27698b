//! Compaction against a plain reference: random programs of appends, late and repeated samples, closed slots, steps of
//! compaction that break off anywhere, restarts, a second server and retention. After every step what the store has is
//! compared with a map of samples: each sample exactly once, the ledger, and the rollups to what full chunks hold.
//!
//! The PostgreSQL half needs `TEST_DATABASE_URL`, which `cargo xtask test` provides.

#[path = "compaction/reference.rs"]
mod reference;
#[path = "compaction/support.rs"]
mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_store::tiers::{Retention, SlotLimits, Tiers};
use nodeglass_store::{AgentKey, Compacted, Compactor, StagedSample, Store, open};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use reference::{Reference, number_of, sample};
use support::Database;

const AGENTS: i32 = 3;
/// Programs begin at this moment, twenty minutes before a midnight: days, hours and slots end soon. It is far ahead of any
/// clock, since the database says itself when its first slot was opened.
const START: UnixMillis = UnixMillis(4_102_443_600_000);

/// One step of a program.
#[derive(Debug, Clone)]
enum Step {
    /// Samples of one agent, so many seconds apart, the first so many seconds before now.
    Append {
        agent: i32,
        ago: i64,
        every: i64,
        count: i64,
    },
    /// Samples that were stored already, with some new ones among them.
    Again { agent: i32, from: u8, count: u8 },
    /// The clock goes on.
    Wait { minutes: u8 },
    /// The slot is closed if it is old enough, and emptied ones are dropped.
    Close,
    /// Some of a slot becomes small chunks.
    Pack,
    /// Some small chunks become full ones.
    Merge,
    /// A slot's time goes by, and all of it becomes small chunks.
    Slot,
    /// Compaction is killed in the middle: the future is dropped after so many polls.
    Killed { polls: u8, merge: bool },
    /// Two servers compact at once.
    Race,
    /// The server starts again.
    Restart,
    /// What is older than so many hours goes.
    Retain { hours: u8 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let append = |agos: std::ops::Range<i64>, counts: std::ops::Range<i64>| {
        (
            1..=AGENTS,
            agos,
            prop_oneof![Just(1_i64), Just(5), Just(60)],
            counts,
        )
            .prop_map(|(agent, ago, every, count)| Step::Append {
                agent,
                ago,
                every,
                count,
            })
    };
    prop_oneof![
        6 => append(0..60, 1..40),
        2 => append(0..100_000, 1..20),
        1 => append(3_000..8_000, 700..900),
        3 => (1..=AGENTS, any::<u8>(), 1..100_u8).prop_map(|(agent, from, count)| Step::Again { agent, from, count }),
        4 => (1..20_u8).prop_map(|minutes| Step::Wait { minutes }),
        1 => (120..180_u8).prop_map(|minutes| Step::Wait { minutes }),
        5 => Just(Step::Close),
        6 => Just(Step::Pack),
        6 => Just(Step::Merge),
        4 => Just(Step::Slot),
        4 => (0..60_u8, any::<bool>()).prop_map(|(polls, merge)| Step::Killed { polls, merge }),
        2 => Just(Step::Race),
        1 => Just(Step::Restart),
        1 => (20..72_u8).prop_map(|hours| Step::Retain { hours }),
    ]
}

/// Drops a future once it was polled so often; `None` if that came before its end.
async fn killed_after<T>(polls: u8, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// One that reads few rows at once, so that slots and agents have many pages.
fn compactor() -> Compactor {
    Compactor::with_page(50)
}

struct World {
    url: String,
    store: Arc<dyn Store>,
    compactor: Compactor,
    now: UnixMillis,
    reference: Reference,
    done: Compacted,
}

impl World {
    async fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            store: open(url).await.unwrap(),
            compactor: compactor(),
            now: START,
            reference: Reference::default(),
            done: Compacted::default(),
        }
    }

    async fn restart(&mut self) {
        self.store.close().await;
        self.store = open(&self.url).await.unwrap();
        self.compactor = compactor();
    }

    async fn append(&mut self, samples: Vec<StagedSample>) {
        let appended = self.store.append(&samples).await.unwrap();
        let given: u64 = samples.iter().map(|sample| u64::from(sample.weight)).sum();
        assert_eq!(appended.stored + appended.duplicate, given);
        self.reference.append(&samples);
    }

    async fn close(&self) {
        let limits = SlotLimits {
            age: Duration::from_mins(5),
            bytes: 64 << 20,
        };
        self.store.close_slot(self.now, limits).await.unwrap();
        while self.store.drop_slots(self.now).await.unwrap() {}
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Append {
                agent,
                ago,
                every,
                count,
            } => {
                let first = self.now.0 - ago * 1000;
                let samples = (0..count).map(|at| UnixMillis(first + at * every * 1000));
                let samples = samples.map(|at| sample(AgentKey(agent), at)).collect();
                self.append(samples).await;
            }
            Step::Again { agent, from, count } => {
                let mut samples = self
                    .reference
                    .some(AgentKey(agent), usize::from(from), usize::from(count));
                samples.push(sample(AgentKey(agent), self.now));
                self.append(samples).await;
            }
            Step::Wait { minutes } => self.now = self.now.plus(Duration::from_mins(minutes.into())),
            Step::Close => self.close().await,
            Step::Pack => drop(self.pack().await),
            Step::Merge => drop(self.merge().await),
            Step::Slot => {
                self.now = self.now.plus(Duration::from_mins(6));
                self.close().await;
                while self.pack().await {}
                self.close().await;
            }
            Step::Killed { polls, merge } => {
                let store: &dyn Tiers = self.store.as_ref();
                if merge {
                    drop(killed_after(polls, self.compactor.merge(store, self.now)).await);
                } else {
                    drop(killed_after(polls, self.compactor.pack_slot(store, self.now)).await);
                }
                self.restart().await;
            }
            Step::Race => self.race().await,
            Step::Restart => self.restart().await,
            Step::Retain { hours } => {
                let retention = Retention {
                    raw: Duration::from_hours(hours.into()),
                    rollups: Duration::from_hours(10_000),
                    max_bytes: None,
                };
                while self.store.retain(&retention, self.now).await.unwrap().more {}
                let kept_from = self.now.minus(retention.raw);
                self.reference.forget(self.store.as_ref(), kept_from).await;
            }
        }
    }

    async fn race(&mut self) {
        let second = open(&self.url).await.unwrap();
        let mut other = compactor();
        let first = self.store.clone();
        let (one, two) = (first.as_ref(), second.as_ref());
        let (a, b) = tokio::join!(
            self.compactor.pack_slot(one, self.now),
            other.pack_slot(two, self.now)
        );
        self.count(a.unwrap());
        self.count(b.unwrap());
        let (a, b) = tokio::join!(self.compactor.merge(one, self.now), other.merge(two, self.now));
        self.count(a.unwrap());
        self.count(b.unwrap());
        second.close().await;
    }

    async fn pack(&mut self) -> bool {
        let store = self.store.clone();
        let packed = self.compactor.pack_slot(store.as_ref(), self.now).await.unwrap();
        self.count(packed)
    }

    async fn merge(&mut self) -> bool {
        let store = self.store.clone();
        let merged = self.compactor.merge(store.as_ref(), self.now).await.unwrap();
        self.count(merged)
    }

    /// Whether there was anything to do.
    fn count(&mut self, done: Option<Compacted>) -> bool {
        self.done += done.unwrap_or_default();
        done.is_some()
    }

    /// Compacts all there is, however long that takes.
    async fn settle(&mut self) {
        for _ in 0..2 {
            self.now = self.now.plus(Duration::from_hours(3));
            self.close().await;
            while self.pack().await {}
            while self.merge().await {}
        }
    }
}

async fn run(url: &str, program: &[Step]) -> Compacted {
    let mut world = World::new(url).await;
    for step in program {
        world.step(step).await;
        world.reference.check(world.store.as_ref()).await;
    }
    world.settle().await;
    world.reference.check(world.store.as_ref()).await;
    world.reference.check_settled(world.store.as_ref()).await;
    world.store.close().await;
    world.done
}

/// A program that reaches what compaction is for, whatever chance makes of the others: samples that come once more after they
/// are in a chunk, and chunks to merge.
fn usual() -> Vec<Step> {
    let append = Step::Append {
        agent: 1,
        ago: 30,
        every: 1,
        count: 30,
    };
    let again = Step::Again {
        agent: 1,
        from: 0,
        count: 20,
    };
    vec![append, Step::Slot, again, Step::Slot, Step::Merge]
}

/// Runs the usual program and random ones, each on a database of its own.
fn run_programs(cases: u32, steps: usize, database: impl Fn(u32) -> Database) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let number = std::cell::Cell::new(0);
    let run_one = |program: Vec<Step>| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            let database = database(number.get());
            database.create().await;
            let ran = tokio::spawn({
                let url = database.url();
                async move { run(&url, &program).await }
            });
            let ran = ran.await;
            database.remove().await;
            ran.map_err(|error| TestCaseError::fail(panic_text(error)))
        })
    };
    let reached = run_one(usual()).unwrap();
    assert!(
        reached.duplicates > 0 && reached.merges > 0 && reached.slots > 0,
        "{reached:?}"
    );
    let config = Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&proptest::collection::vec(any_step(), 1..steps), |program| {
            run_one(program).map(drop)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

#[test]
fn sqlite_stays_as_the_reference() {
    run_programs(24, 40, |_| Database::sqlite());
}

#[test]
fn postgres_stays_as_the_reference() {
    run_programs(8, 40, |number| {
        Database::postgres(&format!("compaction_{number}"))
    });
}

/// The usual day of an agent, without anything odd: how many chunks there are in the end, and how full.
async fn makes_full_chunks(url: &str) {
    let mut world = World::new(url).await;
    let agent = AgentKey(1);
    for _ in 0..26 {
        let start = world.now;
        let samples = (0..60).map(|at| sample(agent, start.plus(Duration::from_secs(at * 5))));
        world.append(samples.collect()).await;
        world.now = start.plus(Duration::from_mins(5));
        world.close().await;
        while world.pack().await {}
        while world.merge().await {}
    }
    let heads = reference::heads(world.store.as_ref(), agent).await;
    let sizes: Vec<(nodeglass_store::tiers::Level, u32)> =
        heads.iter().map(|head| (head.level, head.points)).collect();
    let full: Vec<u32> = sizes
        .iter()
        .filter(|(level, _)| *level == nodeglass_store::tiers::Level::Full)
        .map(|it| it.1)
        .collect();
    assert!(!full.is_empty() && full.iter().sum::<u32>() >= 720, "{sizes:?}");
    world.reference.check(world.store.as_ref()).await;
    // The slot and the page are numbered by who reads them: nothing was lost in between.
    assert_eq!(
        heads.iter().map(|head| u64::from(head.points)).sum::<u64>(),
        26 * 60
    );
    assert_eq!(number_of(&world.reference, agent), 26 * 60);
    world.store.close().await;
}

#[tokio::test]
async fn sqlite_makes_full_chunks() {
    let database = Database::sqlite();
    database.create().await;
    makes_full_chunks(&database.url()).await;
    database.remove().await;
}

#[tokio::test]
async fn postgres_makes_full_chunks() {
    let database = Database::postgres("compaction_full");
    database.create().await;
    makes_full_chunks(&database.url()).await;
    database.remove().await;
}
