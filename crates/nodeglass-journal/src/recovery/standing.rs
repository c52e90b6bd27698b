//! What the records say: what is owed, and the books.

use std::collections::BTreeMap;

use nodeglass_model::{SeqRange, TimeRange};

use super::{Event, Found, Recovery};
use crate::books::{Books, Reason};
use crate::ids::{self, IdSet};

/// Where everything stood when the journal was last written: the beginning of the newest segment, and what its records
/// say since.
pub(super) fn standing(found: &BTreeMap<u64, Found>, recovery: &mut Recovery) -> (IdSet, Books, u64) {
    let epoch = found.values().map(|one| one.start.epoch).max().unwrap_or(0);
    let Some((_, newest)) = found.iter().next_back() else {
        return (IdSet::default(), Books::default(), epoch);
    };
    let runs = newest.start.owed.iter().filter(|(_, first, last)| first <= last);
    let mut owed: IdSet = runs
        .map(|(epoch, first, last)| SeqRange {
            epoch: *epoch,
            first: *first,
            last: *last,
        })
        .collect();
    let mut books = newest.start.books.clone();
    // Where the newest is packed, its chunks tell of what it promised, and a record of what the server had by then; what it
    // said later is forgotten, and asked for again by sending those samples.
    if newest.segment.index.packed {
        for run in newest.segment.index.owed.iter().chain(left_out(newest)) {
            let first = run.first.max(newest.start.next_seq);
            if run.epoch == newest.start.epoch && first <= run.last {
                owed.insert_run(SeqRange { first, ..*run });
                books.sampled += run.last - first + 1;
                books.journalled += run.last - first + 1;
            }
        }
    }
    for event in &newest.events {
        match event {
            Event::Lost(at) => {
                let span = TimeRange { start: *at, end: *at };
                books.sampled += 1;
                books.journalled += 1;
                recovery.lost += 1;
                books.lose(Reason::Damaged, 1, Some(span));
            }
            Event::Owed(id) => {
                owed.insert(*id);
                books.sampled += 1;
                books.journalled += 1;
            }
            Event::Local => books.local += 1,
            Event::Words(words) => {
                for run in words.stored.iter().filter(|run| run.first <= run.last) {
                    books.acknowledged += ids::count(&owed.remove_run(*run));
                }
                for (id, code) in &words.refused {
                    if owed.remove(*id) {
                        *books.rejected.entry(code.clone()).or_default() += 1;
                    }
                }
            }
        }
    }
    // What is owed and lies nowhere lay in damage.
    let there: IdSet = found
        .values()
        .flat_map(|one| one.segment.index.owed.iter().copied())
        .collect();
    let mut missing = owed.clone();
    for run in there.runs() {
        missing.remove_run(run);
    }
    for run in missing.runs() {
        owed.remove_run(run);
    }
    // Unless a segment was packed without them because the server had them.
    for run in found.values().flat_map(left_out) {
        books.acknowledged += ids::count(&missing.remove_run(*run));
    }
    recovery.lost += missing.count();
    books.lose(Reason::Damaged, missing.count(), hole(found, &missing));
    (owed, books, epoch)
}

/// The samples that a segment was packed without.
fn left_out(found: &Found) -> impl Iterator<Item = &SeqRange> {
    let words = found.events.iter().filter_map(|event| match event {
        Event::Words(words) if found.segment.index.packed => Some(words),
        _ => None,
    });
    let runs = words.flat_map(|words| &words.stored);
    runs.filter(|run| run.first <= run.last)
}

/// The time between the segments that lie around missing samples.
fn hole(found: &BTreeMap<u64, Found>, missing: &IdSet) -> Option<TimeRange> {
    let first = missing.first()?;
    let mut span: Option<TimeRange> = None;
    for one in found.values() {
        let Some(here) = one.segment.index.span else {
            continue;
        };
        let is_before = one
            .segment
            .index
            .owed
            .iter()
            .all(|run| (run.epoch, run.first) < (first.epoch, first.seq));
        match &mut span {
            None if is_before => {
                span = Some(TimeRange {
                    start: here.end,
                    end: here.end,
                });
            }
            Some(span) if is_before => {
                *span = TimeRange {
                    start: here.end,
                    end: here.end,
                }
            }
            Some(span) => {
                span.end = here.start.max(span.start);
                break;
            }
            None => {
                return Some(TimeRange {
                    start: here.start,
                    end: here.end,
                });
            }
        }
    }
    span
}
