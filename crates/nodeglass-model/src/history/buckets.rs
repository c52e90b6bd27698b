//! The buckets of one series, and an answer made of those of all.

use super::Aggregation;
use super::aggregate::Gathered;
use super::answer::{History, Series};
use crate::catalogue::Metric;
use crate::time::UnixMillis;

/// One series that is being gathered.
#[derive(Debug)]
pub(super) struct Buckets {
    pub(super) name: String,
    pub(super) metric: &'static Metric,
    /// By their starts, rising.
    pub(super) values: Vec<(i64, Gathered)>,
}

/// Where a bucket is, and what became of others on its way there.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// `None` if it comes after all that there is room for.
    pub(super) place: Option<usize>,
    /// Values that are kept more.
    pub(super) added: usize,
    /// Values that are kept no more.
    pub(super) dropped: usize,
    /// Whether there is more than there is room for.
    pub(super) is_over: bool,
}

impl Buckets {
    pub(super) fn new(name: String, metric: &'static Metric) -> Self {
        let values = Vec::new();
        Self { name, metric, values }
    }

    /// The bucket that begins at `start`; a new one may push the latest out of the first `limit`.
    pub(super) fn find_or_add(&mut self, start: i64, aggregation: Aggregation, limit: usize) -> Found {
        let place = if self.values.last().is_none_or(|(last, _)| start > *last) {
            Err(self.values.len())
        } else {
            self.values.binary_search_by_key(&start, |(start, _)| *start)
        };
        let mut found = Found::default();
        match place {
            Ok(known) => found.place = Some(known),
            Err(free) if free >= limit => found.is_over = true,
            Err(free) => {
                self.values
                    .insert(free, (start, Gathered::new(aggregation, self.metric)));
                found.place = Some(free);
                found.added = 1;
                if self.values.len() > limit {
                    let dropped = self.values.pop();
                    found.dropped = dropped.map_or(0, |(_, gathered)| gathered.kept());
                    found.is_over = true;
                }
            }
        }
        found
    }

    /// How many values it keeps.
    pub(super) fn kept(&self) -> usize {
        self.values.iter().map(|(_, gathered)| gathered.kept()).sum()
    }
}

/// The first `limit` buckets of all series.
pub(super) fn finish(mut series: Vec<Buckets>, limit: usize, truncated: bool) -> History {
    series.sort_by(|one, other| one.name.cmp(&other.name));
    let mut times: Vec<i64> = match series.as_slice() {
        [one] => one.values.iter().map(|(start, _)| *start).collect(),
        several => {
            let starts = several.iter().flat_map(|series| &series.values);
            let mut starts: Vec<i64> = starts.map(|(start, _)| *start).collect();
            starts.sort_unstable();
            starts.dedup();
            starts
        }
    };
    let truncated = truncated || times.len() > limit;
    times.truncate(limit);
    let answer = series.into_iter().filter_map(|series| {
        let mut values = vec![None; times.len()];
        let mut place = 0;
        for (start, mut gathered) in series.values {
            while times.get(place).is_some_and(|time| *time < start) {
                place += 1;
            }
            let Some(value) = values.get_mut(place) else { break };
            *value = Some(gathered.value(series.metric)).filter(|value| value.is_finite());
        }
        let is_there = values.iter().any(Option::is_some);
        is_there.then_some(Series {
            name: series.name,
            values,
        })
    });
    let series: Vec<Series> = answer.collect();
    History {
        times: times.into_iter().map(UnixMillis).collect(),
        series,
        truncated,
    }
}
