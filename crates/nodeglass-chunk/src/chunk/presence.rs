//! At which of some places something is there: a device at the points, a metric at the points of its device.
//!
//! ```text
//! presence = count of runs, then each: places left out before it, places in it
//! ```
//!
//! No runs stand for one over all places, which is the usual case.

use std::ops::Range;

use super::ChunkError;
use crate::varint::{Reader, put};

/// Runs of places, rising, with at least one place between two of them.
#[derive(Debug, Clone)]
pub(super) enum Presence {
    /// At most one run, which is the usual case and takes no memory of its own.
    One(Range<u32>),
    Many(Vec<Range<u32>>),
}

impl Default for Presence {
    fn default() -> Self {
        Self::One(0..0)
    }
}

impl PartialEq for Presence {
    fn eq(&self, other: &Self) -> bool {
        self.runs() == other.runs()
    }
}

impl Eq for Presence {}

impl Presence {
    /// All of so many places.
    pub(super) fn all(total: u32) -> Self {
        Self::One(0..total)
    }

    /// Adds places, which must lie after all there are.
    pub(super) fn add(&mut self, places: Range<u32>) {
        match self {
            Self::One(run) if run.start == run.end => *run = places,
            Self::One(run) if run.end == places.start => run.end = places.end,
            Self::One(run) => *self = Self::Many(vec![run.clone(), places]),
            Self::Many(runs) => match runs.last_mut() {
                Some(last) if last.end == places.start => last.end = places.end,
                _ => runs.push(places),
            },
        }
    }

    /// The runs.
    pub(super) fn runs(&self) -> &[Range<u32>] {
        match self {
            Self::One(run) if run.start == run.end => &[],
            Self::One(run) => std::slice::from_ref(run),
            Self::Many(runs) => runs,
        }
    }

    /// The places, rising.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        self.runs().iter().cloned().flatten()
    }

    /// How many places there are.
    pub(super) fn count(&self) -> u32 {
        self.runs().iter().map(|run| run.end - run.start).sum()
    }

    /// The last place.
    pub(super) fn last(&self) -> Option<u32> {
        self.runs().last().map(|run| run.end - 1)
    }

    /// The part within `places`, counted from their start.
    pub(super) fn within(&self, places: Range<u32>) -> impl Iterator<Item = u32> {
        let runs = self.runs();
        let first = runs.partition_point(|run| run.end <= places.start);
        let Range { start, end } = places;
        let runs = runs[first..].iter().take_while(move |run| run.start < end);
        runs.flat_map(move |run| run.start.max(start) - start..run.end.min(end) - start)
    }

    /// Writes what is there of `total` places.
    pub(super) fn write(&self, out: &mut Vec<u8>, total: u32) {
        if self.count() == total {
            return put(out, 0);
        }
        put(out, self.runs().len() as u64);
        let mut end = 0;
        for run in self.runs() {
            put(out, u64::from(run.start - end));
            put(out, u64::from(run.end - run.start));
            end = run.end;
        }
    }

    /// Reads what [`Presence::write`] wrote about `total` places.
    pub(super) fn read(reader: &mut Reader<'_>, total: u32) -> Result<Self, ChunkError> {
        const WRONG: ChunkError = ChunkError::Malformed("places that are not there");
        let count = reader.unsigned()?;
        let mut presence = Self::default();
        if count == 0 {
            return Ok(Self::all(total));
        }
        let mut end = 0_u32;
        for _ in 0..count {
            let start = end.checked_add(reader.short()?).ok_or(WRONG)?;
            end = start.checked_add(reader.short()?).ok_or(WRONG)?;
            if end > total || start == end {
                return Err(WRONG);
            }
            presence.add(start..end);
        }
        Ok(presence)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everything_is_one_byte() {
        let mut presence = Presence::default();
        (0..300).for_each(|place| presence.add(place..place + 1));
        let mut bytes = Vec::new();
        presence.write(&mut bytes, 300);
        assert_eq!(bytes, [0]);
        assert_eq!(Presence::read(&mut Reader::new(&bytes), 300), Ok(presence));
    }

    #[test]
    fn runs_outside_the_places_are_refused() {
        for bytes in [
            &[1, 0, 11][..],
            &[1, 11, 1],
            &[1, 3, 0],
            &[2, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x0f, 1],
        ] {
            assert!(Presence::read(&mut Reader::new(bytes), 10).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn comes_back(there in proptest::collection::vec(any::<bool>(), 1..200)) {
            let places: Vec<u32> = (0..there.len() as u32).filter(|place| there[*place as usize]).collect();
            prop_assume!(!places.is_empty());
            let mut presence = Presence::default();
            for place in &places {
                presence.add(*place..place + 1);
            }
            let mut bytes = Vec::new();
            presence.write(&mut bytes, there.len() as u32);
            let back = Presence::read(&mut Reader::new(&bytes), there.len() as u32).unwrap();
            prop_assert_eq!(back.places().collect::<Vec<_>>(), places);
            prop_assert_eq!(back, presence);
        }
    }
}
