//! An answer to a history query.

use std::collections::BTreeMap;

use crate::time::UnixMillis;

/// The buckets that have values, oldest first; a gap in the data is a gap here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The starts of the buckets, rising, multiples of the interval.
    pub times: Vec<UnixMillis>,
    /// The series that have a value in any of the buckets, by name.
    pub series: Vec<Series>,
    /// Whether there was more than `max_points` allow.
    pub truncated: bool,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// As it was asked for: `metric` or `metric@device`.
    pub name: String,
    /// Its value in each bucket, in the metric's unit; `None` where it has none.
    pub values: Vec<Option<f64>>,
}

/// Whose values an overlay keeps where both answers have a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefer {
    /// Those that are there: the other answer may know only a part of the bucket.
    Own,
    /// Those of the other answer, which knows more.
    Other,
}

impl History {
    /// Makes an answer of buckets, which may come in any order; of two for one time the later counts.
    pub fn from_rows<R: IntoIterator<Item = (String, f64)>>(
        rows: impl IntoIterator<Item = (UnixMillis, R)>,
        truncated: bool,
    ) -> Self {
        let rows: BTreeMap<UnixMillis, R> = rows.into_iter().collect();
        let count = rows.len();
        let mut times = Vec::with_capacity(count);
        let mut series: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
        for (at, (time, row)) in rows.into_iter().enumerate() {
            times.push(time);
            for (name, value) in row {
                series.entry(name).or_insert_with(|| vec![None; count])[at] = Some(value);
            }
        }
        let named = |(name, values)| Series { name, values };
        Self {
            times,
            series: series.into_iter().map(named).collect(),
            truncated,
        }
    }

    /// Whether there is no bucket.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The series that have a value in the bucket at this place, by name, with the value.
    pub fn row(&self, at: usize) -> impl Iterator<Item = (&str, f64)> {
        self.series.iter().filter_map(move |series| {
            let value = series.values.get(at).copied().flatten()?;
            Some((series.name.as_str(), value))
        })
    }

    /// Every bucket with its series.
    pub fn rows(&self) -> impl Iterator<Item = (UnixMillis, impl Iterator<Item = (&str, f64)>)> {
        self.times
            .iter()
            .enumerate()
            .map(|(at, time)| (*time, self.row(at)))
    }

    /// The values of the series with this name.
    pub fn values(&self, name: &str) -> Option<&[Option<f64>]> {
        let found = self.series.iter().find(|series| series.name == name)?;
        Some(&found.values)
    }

    /// Takes over the buckets of another answer to the same query.
    pub fn overlay(&mut self, other: &Self, prefer: Prefer, max_points: u32) {
        let mut rows: BTreeMap<UnixMillis, BTreeMap<String, f64>> = BTreeMap::new();
        for (time, row) in self.rows() {
            let named = row.map(|(name, value)| (name.to_owned(), value));
            rows.insert(time, named.collect());
        }
        for (time, row) in other.rows() {
            let named = row.map(|(name, value)| (name.to_owned(), value));
            match (rows.get_mut(&time), prefer) {
                (Some(there), Prefer::Other) => there.extend(named),
                (Some(_), Prefer::Own) => {}
                (None, _) => drop(rows.insert(time, named.collect())),
            }
        }
        let is_more = rows.len() > max_points as usize;
        *self = Self::from_rows(
            rows.into_iter().take(max_points as usize),
            self.truncated || other.truncated || is_more,
        );
    }
}
