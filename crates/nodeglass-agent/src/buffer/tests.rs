//! What the buffer promises, and that its books balance whatever happens.

use nodeglass_model::contiguous;
use proptest::prelude::*;

use super::*;

const ROOMY: BufferLimits = BufferLimits {
    max_bytes: 1 << 20,
    max_age: Duration::from_hours(24),
};

fn sample(second: i64) -> Sample {
    let mut sample = Sample {
        timestamp: UnixMillis::from_seconds(second),
        ..Default::default()
    };
    sample.cpu.usage_percent = Some(second as f64 % 100.0);
    sample
}

fn buffer(limits: BufferLimits) -> SampleBuffer {
    SampleBuffer::new(limits, UnixMillis(7))
}

fn seqs(taken: &[(SampleId, Sample)]) -> Vec<u64> {
    taken.iter().map(|(id, _)| id.seq).collect()
}

fn run(first: u64, last: u64) -> SeqRange {
    SeqRange {
        epoch: 7,
        first,
        last,
    }
}

#[test]
fn the_live_sample_goes_before_the_backlog_and_nothing_goes_twice() {
    let buffer = buffer(ROOMY);
    (1..=5).for_each(|second| _ = buffer.push(&sample(second)));
    let (id, live) = buffer.take_live().unwrap();
    assert_eq!((id, live), (SampleId { epoch: 7, seq: 5 }, sample(5)));
    assert_eq!(buffer.take_live(), None);
    assert_eq!(seqs(&buffer.take_backlog(3, usize::MAX, 100)), [1, 2, 3]);
    assert_eq!(
        seqs(&buffer.take_backlog(3, usize::MAX, 4)),
        [0; 0],
        "four are in flight"
    );
    assert_eq!(seqs(&buffer.take_backlog(3, usize::MAX, 100)), [4]);
}

#[test]
fn what_was_not_acknowledged_is_sent_again() {
    let buffer = buffer(ROOMY);
    (1..=4).for_each(|second| _ = buffer.push(&sample(second)));
    buffer.take_backlog(10, usize::MAX, 10);
    buffer.acknowledge(&[
        run(2, 3),
        SeqRange {
            epoch: 6,
            first: 1,
            last: 9,
        },
    ]);
    buffer.reject(SampleId { epoch: 7, seq: 1 }, "invalid_value");
    buffer.send_again();
    assert_eq!(seqs(&buffer.take_backlog(10, usize::MAX, 10)), [4]);
    let books = buffer.books();
    assert_eq!((books.sampled, books.acknowledged, books.buffered), (4, 2, 1));
    assert_eq!(books.rejected["invalid_value"], 1);
}

#[test]
fn a_full_buffer_lets_the_oldest_go_and_says_so() {
    let cost = row::encode(&sample(1)).len() + OVERHEAD_BYTES;
    let buffer = buffer(BufferLimits {
        max_bytes: 3 * cost,
        ..ROOMY
    });
    (1..=2).for_each(|second| _ = buffer.push(&sample(second)));
    buffer.take_backlog(10, usize::MAX, 10);
    buffer.acknowledge(&[run(1, 1)]);
    (3..=6).for_each(|second| _ = buffer.push(&sample(second)));
    let books = buffer.books();
    let span = TimeRange {
        start: UnixMillis(2_000),
        end: UnixMillis(3_000),
    };
    assert_eq!(
        books.evicted[&Evicted::Full],
        (2, span),
        "the acknowledged one is no loss"
    );
    assert_eq!((books.sampled, books.acknowledged, books.buffered), (6, 1, 3));
}

#[test]
fn history_is_answered_from_stored_and_unstored_alike_until_age_takes_it() {
    let buffer = buffer(BufferLimits {
        max_age: Duration::from_secs(10),
        ..ROOMY
    });
    (0..=5).for_each(|second| _ = buffer.push(&sample(second)));
    buffer.acknowledge(&[run(1, 3)]);
    let range = TimeRange {
        start: UnixMillis(0),
        end: UnixMillis(100_000),
    };
    let query = HistoryQuery::new(&["cpu.usage_percent"], range, Some(1), None).unwrap();
    assert_eq!(buffer.history(&query).points.len(), 6);
    buffer.push(&sample(14));
    assert_eq!(
        buffer.history(&query).points.len(),
        3,
        "0 to 3 are older than 10 s now"
    );
    assert_eq!(
        buffer.books().evicted[&Evicted::TooOld].0,
        1,
        "only the one that was not stored counts"
    );
}

proptest! {
    /// Whatever happens, in whatever order, every sample is in the books once.
    #[test]
    fn the_books_balance(steps in proptest::collection::vec((0_u8..6, 0_u64..40, 0_u64..10), 1..200)) {
        let buffer = buffer(BufferLimits { max_bytes: 1_000, max_age: Duration::from_secs(30) });
        let mut pushed = 0_u64;
        for (step, seq, more) in steps {
            match step {
                0 | 1 => {
                    pushed += 1;
                    buffer.push(&sample(i64::try_from(pushed).unwrap()));
                }
                2 => drop(buffer.take_live()),
                3 => drop(buffer.take_backlog(seq as usize, 500, 20)),
                4 => buffer.acknowledge(&contiguous((seq..seq + more).map(|seq| SampleId { epoch: 7, seq }).collect())),
                _ if more > 5 => buffer.send_again(),
                _ => buffer.reject(SampleId { epoch: 7, seq }, "code"),
            }
            let books = buffer.books();
            let lost = buffer.lost();
            let rejected: u64 = books.rejected.values().sum();
            prop_assert_eq!(books.sampled, books.acknowledged + books.buffered + rejected + lost);
            prop_assert_eq!(books.sampled, pushed);
        }
    }
}
