//! Samples of one agent into chunks: where one ends and the next begins.

use std::ops::Range;
use std::time::Duration;

use nodeglass_chunk::chunk::{EncodeError, Parts};
use nodeglass_model::{TimeRange, UnixMillis};

use crate::tiers::NewChunk;

/// The points of a full chunk, more or less: an hour at five seconds. Fewer cost more bytes for each value, more make a
/// reader of one series decode more than it wants.
pub(super) const POINTS: u32 = 720;

/// Full chunks have fewer points only where a day has no more.
pub(super) const FEWEST_POINTS: u32 = POINTS / 2;

/// No chunk reaches from one day (UTC) into the next, so that a day can be removed whole.
pub(super) const DAY: Duration = Duration::from_hours(24);

/// How many full chunks one small chunk overlaps at most: all of them are read when it is merged.
const MOST_OVERLAPS: usize = 4;

/// Makes one chunk of the samples in `range`, of which `times` are the times, in order; more where a host has so many
/// devices that one would be over a chunk's limits. Says how many samples are over them by themselves and were left out.
///
/// # Errors
/// Whatever `encode` says besides.
pub(super) fn pack<E: From<EncodeError>>(
    times: &[UnixMillis],
    range: Range<usize>,
    packed: &mut Vec<NewChunk>,
    encode: &mut impl FnMut(Range<usize>) -> Result<Result<Parts, EncodeError>, E>,
) -> Result<u64, E> {
    if range.is_empty() {
        return Ok(0);
    }
    match encode(range.clone())? {
        Ok(parts) => {
            packed.push(NewChunk {
                t0: times[range.start],
                end: UnixMillis(times[range.end - 1].0.saturating_add(1)),
                points: range.len() as u32,
                directory: parts.directory,
                payload: parts.payload,
            });
            Ok(0)
        }
        Err(EncodeError::TooMuch(_)) if range.len() > 1 => {
            let middle = range.start + range.len() / 2;
            let refused = pack(times, range.start..middle, packed, encode)?;
            Ok(refused + pack(times, middle..range.end, packed, encode)?)
        }
        Err(EncodeError::TooMuch(_)) => Ok(1),
        Err(error @ EncodeError::Compression) => Err(error.into()),
    }
}

/// Which samples of these times, which are in order, make a chunk each: about [`POINTS`], evenly, within a day.
pub(super) fn parts(times: &[UnixMillis]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for day in times.chunk_by(|one, next| one.floor(DAY) == next.floor(DAY)) {
        parts.extend(even_parts(day).map(|part| start + part.start..start + part.end));
        start += day.len();
    }
    parts
}

/// As [`parts`], and none of them overlaps more than a few of the chunks there are.
pub(super) fn parts_between(times: &[UnixMillis], there: &[TimeRange]) -> Vec<Range<usize>> {
    let parts = parts(times);
    if there.len() <= MOST_OVERLAPS {
        return parts;
    }
    let overlaps = |first: UnixMillis, last: UnixMillis| {
        there
            .iter()
            .filter(|it| it.start <= last && first < it.end)
            .count()
    };
    let mut narrow = Vec::new();
    for part in parts {
        let mut start = part.start;
        for at in part.clone() {
            if at > start && overlaps(times[start], times[at]) > MOST_OVERLAPS {
                narrow.push(start..at);
                start = at;
            }
        }
        narrow.push(start..part.end);
    }
    narrow
}

/// Samples of one moment are not parted unless they are too many.
fn even_parts(times: &[UnixMillis]) -> impl Iterator<Item = Range<usize>> {
    let (points, fewest) = (POINTS as usize, FEWEST_POINTS as usize);
    let count = ((times.len() + fewest) / points).max(1);
    let mut start = 0;
    (1..=count).filter_map(move |part| {
        let even = times.len() * part / count;
        let parts_moment = |at: &usize| *at > 0 && times.get(*at) == times.get(*at - 1);
        let end = (even..=times.len().min(even + fewest))
            .find(|at| !parts_moment(at))
            .unwrap_or(even);
        let range = start..end.max(start);
        start = range.end;
        (!range.is_empty()).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(millis: impl IntoIterator<Item = i64>) -> Vec<UnixMillis> {
        millis.into_iter().map(UnixMillis).collect()
    }

    fn sizes(times: &[UnixMillis]) -> Vec<usize> {
        parts(times).iter().map(Range::len).collect()
    }

    #[test]
    fn chunks_are_even() {
        for (count, expected) in [
            (0, &[][..]),
            (1, &[1]),
            (720, &[720]),
            (1079, &[1079]),
            (1080, &[540, 540]),
            (2000, &[666, 667, 667]),
        ] {
            assert_eq!(sizes(&times(0..count)), expected, "{count}");
        }
    }

    #[test]
    fn a_chunk_ends_with_its_day() {
        let day = 86_400_000;
        let times = times([-1, 0, day - 1, day, day + 1]);
        assert_eq!(parts(&times), [0..1, 1..3, 3..5]);
    }

    #[test]
    fn samples_of_one_moment_stay_together_unless_they_are_too_many() {
        let moments = (0..700).chain([700; 100]).chain(701..1341);
        assert_eq!(sizes(&times(moments)), [800, 640]);
        assert_eq!(sizes(&times(vec![7; 3000])), [750, 750, 750, 750]);
    }

    #[test]
    fn late_samples_over_a_day_make_chunks_that_overlap_few_others() {
        let there: Vec<_> = (0..24)
            .map(|hour| TimeRange {
                start: UnixMillis(hour * 1000),
                end: UnixMillis(hour * 1000 + 900),
            })
            .collect();
        let times = times((0..24).map(|hour| hour * 1000 + 500));
        let parts = parts_between(&times, &there);
        assert_eq!(parts, [0..4, 4..8, 8..12, 12..16, 16..20, 20..24]);
    }

    #[test]
    fn what_is_too_much_for_one_chunk_becomes_several() {
        let times = times(0..10);
        let mut packed = Vec::new();
        // No chunk may have more than three samples, and none the one at 5.
        let refused = pack::<EncodeError>(&times, 0..10, &mut packed, &mut |range| {
            Ok(match range.len() {
                0..=3 if !range.contains(&5) => Ok(Parts::default()),
                _ => Err(EncodeError::TooMuch("more than three")),
            })
        });
        assert_eq!(refused, Ok(1));
        let spans: Vec<_> = packed.iter().map(|it| (it.t0.0, it.end.0, it.points)).collect();
        assert_eq!(spans, [(0, 2, 2), (2, 5, 3), (6, 7, 1), (7, 10, 3)]);
    }

    proptest! {
        #[test]
        fn no_chunk_is_short_or_long(count in 1_usize..5000) {
            let sizes = sizes(&times(0..count as i64));
            prop_assert_eq!(sizes.iter().sum::<usize>(), count);
            for size in &sizes {
                prop_assert!(*size < 1080 && (*size >= 360 || sizes.len() == 1), "{:?}", sizes);
            }
        }
    }
}
