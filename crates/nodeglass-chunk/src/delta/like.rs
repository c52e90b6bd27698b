//! Texts of a device in the light of one that is known already: a compiler that is started a hundred times is described once,
//! and then by what differs.

use std::borrow::Cow;

use nodeglass_model::Sample;
use nodeglass_model::catalogue::{Attribute, Dimension};

use super::departed::Departed;
use crate::row::RowError;
use crate::varint::{Reader, put, put_text};

/// The most that one text takes over at either end; what longer ones have between is repeated.
const MOST_SHARED: usize = 512;
/// Devices that a writer looks at in search of a model, of each place where there are some.
const LOOKED_AT: usize = 32;

/// The devices of a kind that both ends know while one is described: those before it in the record, those of the record
/// before, those that departed; numbered in this order.
pub(super) struct Known<'a> {
    pub(super) holder: Dimension,
    pub(super) here: (&'a Sample, usize),
    pub(super) before: &'a Sample,
    pub(super) departed: &'a Departed,
}

impl<'a> Known<'a> {
    fn places(&self) -> [(Option<&'a Sample>, usize); 3] {
        let departed = self.departed.sample();
        [
            (Some(self.here.0), self.here.1),
            (Some(self.before), self.holder.len(self.before)),
            (departed, departed.map_or(0, |sample| self.holder.len(sample))),
        ]
    }

    /// The device with this number.
    pub(super) fn at(&self, mut number: usize) -> Option<(&'a Sample, usize)> {
        for (sample, count) in self.places() {
            if number < count {
                return sample.map(|sample| (sample, number));
            }
            number -= count;
        }
        None
    }

    /// The number of the device whose texts save most of those of `device`; `None` if none saves anything.
    pub(super) fn likest(&self, device: (&Sample, usize)) -> Option<usize> {
        let mut first = 0;
        let mut numbers = Vec::new();
        for (_, count) in self.places() {
            numbers.extend(first + count.saturating_sub(LOOKED_AT)..first + count);
            first += count;
        }
        let saved = |number: &usize| self.at(*number).map_or(0, |model| self.saved(model, device));
        let (saved, best) = numbers.into_iter().map(|number| (saved(&number), number)).max()?;
        (saved > 0).then_some(best)
    }

    /// How many bytes `device` is shorter in the light of `model`.
    fn saved(&self, model: (&Sample, usize), device: (&Sample, usize)) -> isize {
        let label = |it: (&Sample, usize)| self.holder.label(it.0, it.1).into_owned();
        let mut saved = gain(&label(model), &label(device));
        for view in self.holder.views() {
            for (attribute, text) in view.attributes(device.0, device.1) {
                saved += gain(text_of(*view, model, attribute), text);
            }
        }
        saved
    }
}

/// What an attribute of a device says; empty if nothing.
pub(super) fn text_of(view: Dimension, device: (&Sample, usize), attribute: Attribute) -> &str {
    let mut attributes = view.attributes(device.0, device.1).into_iter();
    attributes
        .find_map(|(known, text)| (known == attribute).then_some(text))
        .unwrap_or_default()
}

/// A text takes two bytes more to say what it shares.
fn gain(model: &str, text: &str) -> isize {
    let (prefix, suffix) = shared(model, text);
    (prefix + suffix) as isize - 2
}

/// How many bytes two texts have in common at the beginning and, of the rest, at the end: whole characters.
fn shared(model: &str, text: &str) -> (usize, usize) {
    let (a, b) = (model.as_bytes(), text.as_bytes());
    let mut prefix = a
        .iter()
        .zip(b)
        .take(MOST_SHARED)
        .take_while(|(a, b)| a == b)
        .count();
    while !text.is_char_boundary(prefix) {
        prefix -= 1;
    }
    let ends = a[prefix..].iter().rev().zip(b[prefix..].iter().rev());
    let mut suffix = ends.take(MOST_SHARED).take_while(|(a, b)| a == b).count();
    while !text.is_char_boundary(text.len() - suffix) {
        suffix -= 1;
    }
    (prefix, suffix)
}

/// Appends a text in the light of another.
pub(super) fn put_like(out: &mut Vec<u8>, model: &str, text: &str) {
    let (prefix, suffix) = shared(model, text);
    put(out, prefix as u64);
    put(out, suffix as u64);
    put_text(out, &text[prefix..text.len() - suffix]);
}

/// A text as it stands in a record.
pub(super) struct Like<'a> {
    prefix: usize,
    middle: &'a str,
    suffix: usize,
}

impl<'a> Like<'a> {
    /// Reads one, of a device that was described with a model or without.
    pub(super) fn read(reader: &mut Reader<'a>, with_model: bool) -> Result<Self, RowError> {
        let mut length = || -> Result<usize, RowError> {
            if !with_model {
                return Ok(0);
            }
            let length = usize::try_from(reader.unsigned()?).unwrap_or(usize::MAX);
            (length <= MOST_SHARED)
                .then_some(length)
                .ok_or(RowError::Malformed("a text that shares more than it may"))
        };
        let (prefix, suffix) = (length()?, length()?);
        let middle = reader.text()?;
        Ok(Self {
            prefix,
            middle,
            suffix,
        })
    }

    /// The whole text.
    pub(super) fn complete(&self, model: &str) -> Result<Cow<'a, str>, RowError> {
        if self.prefix + self.suffix == 0 {
            return Ok(Cow::Borrowed(self.middle));
        }
        let wrong = RowError::Malformed("a text that is not like its model");
        let Some(start) = model.get(..self.prefix) else {
            return Err(wrong);
        };
        let end = model[self.prefix..].len().checked_sub(self.suffix);
        let Some(end) = end.and_then(|end| model[self.prefix..].get(end..)) else {
            return Err(wrong);
        };
        Ok([start, self.middle, end].concat().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back_in_the_light_of_any_other(model in "[aä-é]{0,6}", text in "[aä-é]{0,6}", tail: String) {
            for (model, text) in [(model.clone(), text.clone()), (format!("{tail}{model}"), format!("{tail}{text}"))] {
                let mut bytes = Vec::new();
                put_like(&mut bytes, &model, &text);
                let mut reader = Reader::new(&bytes);
                let like = Like::read(&mut reader, true).unwrap();
                prop_assert_eq!(like.complete(&model).unwrap(), text);
                prop_assert!(reader.is_empty());
            }
        }

        #[test]
        fn lengths_that_are_not_the_model_s_are_an_error(prefix in 0..9_u64, suffix in 0..9_u64) {
            let mut bytes = Vec::new();
            put(&mut bytes, prefix);
            put(&mut bytes, suffix);
            put_text(&mut bytes, "x");
            let like = Like::read(&mut Reader::new(&bytes), true).unwrap();
            // Characters of two bytes: odd lengths would cut one.
            let fits = prefix + suffix <= 6 && prefix % 2 == 0 && suffix % 2 == 0;
            prop_assert_eq!(like.complete("äöü").is_ok(), fits);
        }
    }
}
