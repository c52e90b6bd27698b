//! The journal against a model, and against everything that can happen to its files.

mod bounds;
mod packing;
mod recovery;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nodeglass_model::history::HistoryQuery;
use nodeglass_model::sample::ProcessEntry;
use nodeglass_model::{Sample, SampleId, SeqRange, TimeRange, UnixMillis};
use proptest::prelude::*;

use super::*;

const START: UnixMillis = UnixMillis(1_700_000_000_000);

fn config(directory: &Path) -> JournalConfig {
    JournalConfig {
        directory: Some(directory.to_owned()),
        max_bytes: 64 << 20,
        max_memory_bytes: 1 << 20,
        max_age: Duration::from_hours(24),
        sync: Sync::Never,
    }
}

fn open(config: JournalConfig) -> (Journal, Recovery) {
    Journal::open(config, START, Instant::now())
}

/// A host's sample, the `number`th second of its life.
fn sample(number: u64) -> Arc<Sample> {
    let mut sample = Sample {
        timestamp: START.plus(Duration::from_secs(number)),
        ..Default::default()
    };
    sample.cpu.usage_percent = Some((number % 100) as f64);
    sample.memory.used_bytes = Some(number * 4096);
    sample.processes.top = vec![ProcessEntry {
        pid: number as u32 / 10,
        name: "cc1".to_owned(),
        cpu_percent: Some(99.0),
        ..Default::default()
    }];
    Arc::new(sample)
}

/// Appends samples, one a second of wall and monotonic time alike.
fn append(journal: &Journal, role: Role, numbers: std::ops::Range<u64>, start: Instant) -> Vec<SampleId> {
    let one = |number| journal.append(&sample(number), role, start + Duration::from_secs(number));
    numbers.filter_map(one).collect()
}

/// Everything that waits, taken as if it were sent.
fn take_all(journal: &Journal) -> Vec<(SampleId, Sample)> {
    let mut taken = Vec::new();
    journal.take_backlog(u64::MAX, |id, sample| {
        taken.push((id, sample.clone()));
        ControlFlow::Continue(())
    });
    taken
}

fn numbers(taken: &[(SampleId, Sample)]) -> Vec<u64> {
    let number = |(_, sample): &(SampleId, Sample)| sample.memory.used_bytes.map(|bytes| bytes / 4096);
    taken.iter().filter_map(number).collect()
}

fn run(ids: &[SampleId]) -> SeqRange {
    SeqRange {
        epoch: ids[0].epoch,
        first: ids[0].seq,
        last: ids[ids.len() - 1].seq,
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    files.sort();
    files
}

fn assert_balanced(standing: &Standing) {
    let Books {
        sampled,
        acknowledged,
        rejected,
        ..
    } = &standing.books;
    assert_eq!(
        *sampled,
        acknowledged + rejected.values().sum::<u64>() + standing.books.lost() + standing.buffered,
        "{standing:?}"
    );
}

fn query(from: u64, to: u64, metric: &str) -> HistoryQuery {
    let range = TimeRange {
        start: START.plus(Duration::from_secs(from)),
        end: START.plus(Duration::from_secs(to)),
    };
    HistoryQuery::new(&[metric], range, Some(1), None).unwrap()
}

#[test]
fn what_is_owed_survives_and_what_is_stored_is_not_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, recovery) = open(config(directory.path()));
    assert_eq!(recovery, Recovery::default());
    let start = Instant::now();
    let ids = append(&journal, Role::Both, 0..50, start);
    journal.acknowledge(&[run(&ids[..20])]);
    journal.reject(ids[30], "invalid_value");
    append(&journal, Role::Local, 50..60, start);
    let before = journal.standing();
    assert_balanced(&before);
    // A crash: nothing is flushed that the last sample did not take along.
    journal.crash();

    let (journal, recovery) = Journal::open(
        config(directory.path()),
        START.plus(Duration::from_mins(5)),
        Instant::now(),
    );
    assert_eq!((recovery.owed, recovery.cut_bytes, recovery.damaged), (29, 0, 0));
    let taken = take_all(&journal);
    assert_eq!(numbers(&taken), (20..30).chain(31..50).collect::<Vec<_>>());
    assert_eq!(*sample(20), taken[0].1, "every figure comes back");
    let after = journal.standing();
    assert_balanced(&after);
    assert_eq!((after.books.sampled, after.books.local), (50, 60));
    assert_eq!(after.books.rejected["invalid_value"], 1);
    assert_eq!(
        after.books.gaps.back().map(|gap| gap.reason),
        Some(Reason::NotRunning)
    );
    let newer = append(&journal, Role::Owed, 400..401, Instant::now());
    assert!(newer[0] > ids[49], "a new life has a new epoch");
}

#[test]
fn live_goes_first_and_the_backlog_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    let ids = append(&journal, Role::Owed, 0..10, Instant::now());
    assert!(journal.has_live());
    let (live, newest) = journal.take_live().unwrap();
    assert_eq!((live, newest), (ids[9], sample(9)));
    assert!(!journal.has_live());
    assert!(journal.take_live().is_none(), "it is sent once");
    let mut taken = Vec::new();
    journal.take_backlog(4, |id, _| {
        taken.push(id);
        ControlFlow::Continue(())
    });
    assert_eq!(taken, ids[..3], "with the live one four are out");
    assert!(!journal.has_backlog(4) && journal.has_backlog(5));
    let mut seen = 0;
    journal.take_backlog(100, |_, _| {
        seen += 1;
        if seen > 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    journal.send_again();
    let span = journal.standing().buffered_span.unwrap();
    assert_eq!((span.start, span.end), (sample(0).timestamp, sample(9).timestamp));
    assert_eq!(numbers(&take_all(&journal)), (0..10).collect::<Vec<_>>());
    assert_eq!(journal.standing().books.sent, 1 + 3 + 2 + 10);
    journal.acknowledge(&[run(&ids)]);
    assert!(journal.is_settled());
}

#[test]
fn local_history_has_the_samples_that_are_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    let start = Instant::now();
    for number in 0..30 {
        append(&journal, Role::Local, number..number + 1, start);
        if number % 5 == 4 {
            append(&journal, Role::Owed, number..number + 1, start);
        }
    }
    let found = journal.history(&query(0, 100, "memory.used_bytes"));
    let expected: Vec<_> = (0..30).map(|number| Some(f64::from(number) * 4096.0)).collect();
    assert_eq!(found.values("memory.used_bytes"), Some(expected.as_slice()));
    assert_eq!(numbers(&take_all(&journal)), [4, 9, 14, 19, 24, 29]);
}

#[test]
fn a_clock_set_back_mixes_nothing_up() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    let start = Instant::now();
    let times: Vec<u64> = (3_600..5_600).chain(3_000..5_000).collect();
    for (second, number) in (0..).zip(&times) {
        journal.append(&sample(*number), Role::Both, start + Duration::from_secs(second));
    }
    assert_eq!(numbers(&take_all(&journal)), times);
    let found = journal.history(&query(3_000, 5_600, "cpu.usage_percent"));
    assert_eq!(found.times.len(), 2_600);
    assert!(found.times.is_sorted());
    assert_eq!(journal.standing().books.lost(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random lives of a journal, with crashes, against plain sets.
    #[test]
    fn the_books_balance_through_any_life(steps in proptest::collection::vec((0..8_u8, 1..40_u64), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = open(config(directory.path())).0;
        let (mut owed, mut out) = (BTreeSet::new(), BTreeSet::new());
        let (mut second, mut lives) = (0, 0_u64);
        let start = Instant::now();
        // What the server said since the last sample is forgotten by a crash, and owed again.
        let mut unwritten: Vec<SampleId> = Vec::new();
        for (step, many) in steps {
            match step {
                0..=2 => {
                    for _ in 0..many {
                        second += 1;
                        let role = if step == 0 { Role::Local } else { Role::Owed };
                        owed.extend(journal.append(&sample(second), role, start + Duration::from_secs(second)));
                    }
                    unwritten.clear();
                }
                3 | 4 => journal.take_backlog(many, |id, _| {
                    out.insert(id);
                    ControlFlow::Continue(())
                }),
                5 => {
                    let done: Vec<_> = out.iter().copied().take(many as usize).collect();
                    for id in done {
                        out.remove(&id);
                        prop_assert!(owed.remove(&id));
                        journal.acknowledge(&[run(&[id])]);
                        unwritten.push(id);
                    }
                }
                6 => {
                    journal.send_again();
                    out.clear();
                }
                _ => {
                    journal.crash();
                    lives += 1;
                    let now = START.plus(Duration::from_secs(10_000 + lives));
                    journal = Journal::open(config(directory.path()), now, start).0;
                    owed.extend(unwritten.drain(..));
                    out.clear();
                }
            }
            let standing = journal.standing();
            prop_assert_eq!(standing.buffered, owed.len() as u64);
            assert_balanced(&standing);
        }
        journal.send_again();
        let taken: BTreeSet<_> = take_all(&journal).into_iter().map(|(id, _)| id).collect();
        prop_assert_eq!(taken, owed);
    }
}
