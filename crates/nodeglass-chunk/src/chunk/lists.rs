//! Texts, each once, and what holds them over time: lists of pairs (the failures of a sample, the attributes of a
//! device), each once, and for each point which list it has, as runs.
//!
//! ```text
//! texts    = count, length of each, then all of them
//! lists    = count, then each: count of pairs, each pair's two numbers
//! timeline = count of runs, then each: list, places (left out in the last run: it has the rest)
//! ```

use std::collections::HashMap;
use std::ops::Range;

use super::ChunkError;
use crate::varint::{Reader, put};

/// Texts by number.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    /// The text with this number.
    pub(super) fn get(&self, number: u32) -> Option<&str> {
        self.all.get(self.range(number)?)
    }

    /// Where the text with this number stands among all of them.
    pub(super) fn range(&self, number: u32) -> Option<Range<usize>> {
        let number = number as usize;
        let end = *self.ends.get(number)?;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        Some(start..end)
    }

    /// All of them, one after the other.
    pub(super) fn all(&self) -> &str {
        &self.all
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put(out, self.ends.len() as u64);
        let mut start = 0;
        for end in &self.ends {
            put(out, (end - start) as u64);
            start = *end;
        }
        out.extend_from_slice(self.all.as_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ChunkError> {
        let mut ends = Vec::new();
        let mut end = 0_u32;
        for _ in 0..reader.unsigned()? {
            end = end.checked_add(reader.short()?).ok_or(ChunkError::Cut)?;
            ends.push(end as usize);
        }
        let not_utf8 = ChunkError::Malformed("a text that is not UTF-8");
        let all = std::str::from_utf8(reader.bytes(u64::from(end))?).map_err(|_| not_utf8)?;
        if ends.iter().all(|end| all.is_char_boundary(*end)) {
            let all = all.to_owned();
            Ok(Self { all, ends })
        } else {
            Err(not_utf8)
        }
    }
}

/// Pairs of numbers: of a text and a text (failures), or of an attribute and a text.
pub(super) type List = Vec<(u32, u32)>;

pub(super) fn write_lists(lists: &[List], out: &mut Vec<u8>) {
    put(out, lists.len() as u64);
    for list in lists {
        put(out, list.len() as u64);
        for (a, b) in list {
            put(out, u64::from(*a));
            put(out, u64::from(*b));
        }
    }
}

pub(super) fn read_lists(reader: &mut Reader<'_>) -> Result<Vec<List>, ChunkError> {
    let mut lists = Vec::new();
    for _ in 0..reader.unsigned()? {
        let mut list = List::new();
        for _ in 0..reader.unsigned()? {
            list.push((reader.short()?, reader.short()?));
        }
        lists.push(list);
    }
    Ok(lists)
}

/// Gives each text and each list its number.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    pub(super) texts: Texts,
    pub(super) lists: Vec<List>,
    text_numbers: HashMap<Box<str>, u32>,
    list_numbers: HashMap<List, u32>,
}

impl Numbering {
    pub(super) fn text(&mut self, text: &str) -> u32 {
        if let Some(known) = self.text_numbers.get(text) {
            return *known;
        }
        let number = self.texts.ends.len() as u32;
        self.texts.all.push_str(text);
        self.texts.ends.push(self.texts.all.len());
        self.text_numbers.insert(text.into(), number);
        number
    }

    pub(super) fn list(&mut self, list: List) -> u32 {
        if let Some(known) = self.list_numbers.get(&list) {
            return *known;
        }
        let number = self.lists.len() as u32;
        self.lists.push(list.clone());
        self.list_numbers.insert(list, number);
        number
    }
}

/// Which list each place has: runs of a list and its number of places, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Timeline(Vec<(u32, u32)>);

impl Timeline {
    /// Says what the next place has.
    pub(super) fn push(&mut self, list: u32) {
        match self.0.last_mut() {
            Some((latest, places)) if *latest == list => *places += 1,
            _ => self.0.push((list, 1)),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put(out, self.0.len() as u64);
        for (at, (list, places)) in self.0.iter().enumerate() {
            put(out, u64::from(*list));
            if at + 1 < self.0.len() {
                put(out, u64::from(*places));
            }
        }
    }

    /// Reads the timeline of `total` places, each with one of so many lists.
    pub(super) fn read(reader: &mut Reader<'_>, total: u32, lists: usize) -> Result<Self, ChunkError> {
        const WRONG: ChunkError = ChunkError::Malformed("a list for places that are not there");
        let runs = reader.unsigned()?;
        let mut left = total;
        let mut timeline = Self::default();
        for run in 1..=runs {
            let list = reader.short()?;
            if list as usize >= lists {
                return Err(ChunkError::Malformed("a list that is not there"));
            }
            let places = if run == runs { left } else { reader.short()? };
            left = left.checked_sub(places).filter(|_| places > 0).ok_or(WRONG)?;
            timeline.0.push((list, places));
        }
        if left == 0 { Ok(timeline) } else { Err(WRONG) }
    }

    /// The sum over the places of what the list of each weighs.
    pub(super) fn weight(&self, weights: &[u64]) -> u64 {
        let run = |(list, places): &(u32, u32)| weights[*list as usize].saturating_mul(u64::from(*places));
        self.0.iter().map(run).fold(0, u64::saturating_add)
    }

    /// The list of each place, in order.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            runs: &self.0,
            taken: 0,
        }
    }
}

/// Goes along a [`Timeline`].
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor<'a> {
    runs: &'a [(u32, u32)],
    taken: u32,
}

impl Iterator for Cursor<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let ((list, places), rest) = self.runs.split_first()?;
        self.taken += 1;
        if self.taken == *places {
            self.runs = rest;
            self.taken = 0;
        }
        Some(*list)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timeline_that_never_changes_is_two_bytes() {
        let mut timeline = Timeline::default();
        (0..720).for_each(|_| timeline.push(7));
        let mut bytes = Vec::new();
        timeline.write(&mut bytes);
        assert_eq!(bytes, [1, 7]);
    }

    #[test]
    fn timelines_of_too_many_or_too_few_places_are_refused() {
        for bytes in [&[0][..], &[2, 0, 10, 0], &[2, 0, 11, 0], &[2, 0, 0, 0], &[1, 3]] {
            assert!(
                Timeline::read(&mut Reader::new(bytes), 10, 3).is_err(),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_text_that_ends_within_a_letter_is_refused() {
        let bytes = [&[2, 1, 1][..], "ü".as_bytes()].concat();
        assert!(Texts::read(&mut Reader::new(&bytes)).is_err());
    }

    proptest! {
        #[test]
        fn come_back(texts: Vec<String>, places in proptest::collection::vec(0_u32..3, 1..60)) {
            let mut numbering = Numbering::default();
            let numbers: Vec<u32> = texts.iter().map(|text| numbering.text(text)).collect();
            let list = numbers.iter().map(|number| (7, *number)).collect();
            let list = numbering.list(list) as usize;
            let mut timeline = Timeline::default();
            for list in &places {
                timeline.push(*list);
            }
            let mut bytes = Vec::new();
            numbering.texts.write(&mut bytes);
            write_lists(&numbering.lists, &mut bytes);
            timeline.write(&mut bytes);

            let mut reader = Reader::new(&bytes);
            let back = Texts::read(&mut reader).unwrap();
            let lists = read_lists(&mut reader).unwrap();
            let found: Option<Vec<_>> = lists[list].iter().map(|(_, number)| back.get(*number)).collect();
            prop_assert_eq!(found.unwrap(), texts);
            let timeline = Timeline::read(&mut reader, places.len() as u32, 3).unwrap();
            prop_assert_eq!(timeline.cursor().collect::<Vec<_>>(), places);
        }
    }
}
