//! How rollups lie in rows: the series of an agent are numbered, and a row has those of one block of numbers, each at its
//! own place in the row's arrays.
//!
//! So one series is found without looking for it, and a row stays below two kilobytes, from which on PostgreSQL would
//! compress it or put parts of it elsewhere: either makes reading one element as slow as reading all.

use std::collections::{BTreeMap, HashMap};

use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::MetricId;

use crate::tiers::{Hour, RollupChange, SeriesName, Summary};

/// Series in a row: five such rows fill a page of PostgreSQL's with little left over. The views of `migrations` know it, too.
pub(crate) const BLOCK: i32 = 72;

/// Where in the rows the series with this number is: the block, and the place in its arrays.
pub(crate) fn place_of(series: i32) -> (i32, usize) {
    (series.div_euclid(BLOCK), series.rem_euclid(BLOCK) as usize)
}

/// The summaries of one block of series in one hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) count: Vec<i32>,
    pub(crate) mean: Vec<f64>,
    pub(crate) min: Vec<f32>,
    pub(crate) max: Vec<f32>,
}

impl Row {
    /// The summary at a place; `None` if the series has no samples in this hour.
    pub(crate) fn get(&self, place: usize) -> Option<Summary> {
        let count = *self.count.get(place).filter(|count| **count > 0)?;
        Some(summary(
            count,
            *self.mean.get(place)?,
            *self.min.get(place)?,
            *self.max.get(place)?,
        ))
    }

    fn set(&mut self, place: usize, summary: &Summary) {
        if self.count.len() <= place {
            self.count.resize(place + 1, 0);
            self.mean.resize(place + 1, 0.0);
            self.min.resize(place + 1, 0.0);
            self.max.resize(place + 1, 0.0);
        }
        self.count[place] = summary.count as i32;
        self.mean[place] = summary.mean;
        self.min[place] = summary.min as f32;
        self.max[place] = summary.max as f32;
    }
}

/// What a row has of one series. Lowest and highest were rounded, and so may have passed the mean.
pub(crate) fn summary(count: i32, mean: f64, min: f32, max: f32) -> Summary {
    let (min, max) = (f64::from(min), f64::from(max));
    let passed = |bound: f64| bound as f32 == mean as f32;
    Summary {
        count: count as u32,
        mean,
        min: if passed(min) { min.min(mean) } else { min },
        max: if passed(max) { max.max(mean) } else { max },
    }
}

/// The numbers of an agent's series.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    by_name: HashMap<SeriesName, i32>,
    added: Vec<(i32, SeriesName)>,
    next: i32,
}

impl Numbers {
    /// From what the table `series` has of one agent.
    pub(crate) fn new(known: impl Iterator<Item = (i32, SeriesName)>) -> Self {
        let by_name: HashMap<SeriesName, i32> = known.map(|(id, name)| (name, id)).collect();
        let next = by_name.values().max().map_or(0, |highest| highest + 1);
        Self {
            by_name,
            added: Vec::new(),
            next,
        }
    }

    /// The number of a series; a new one gets the next.
    pub(crate) fn of(&mut self, name: &SeriesName) -> i32 {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = self.next;
        self.next += 1;
        self.by_name.insert(name.clone(), id);
        self.added.push((id, name.clone()));
        id
    }

    /// Those that are not in the table yet.
    pub(crate) fn added(&self) -> &[(i32, SeriesName)] {
        &self.added
    }
}

/// A series' name from the table, where the host's own have an empty device.
pub(crate) fn series_name(metric: i16, device: String) -> SeriesName {
    SeriesName {
        metric: MetricId(metric as u16),
        device: Some(device).filter(|device| !device.is_empty()),
    }
}

/// The rows that a change touches, as they are afterwards, by hour and block.
pub(crate) fn changed(
    mut rows: BTreeMap<(i64, i32), Row>,
    numbers: &mut Numbers,
    change: &dyn RollupChange,
) -> BTreeMap<(i64, i32), Row> {
    let mut changed = BTreeMap::new();
    for hour in change.hours() {
        let before: Hour = (numbers.by_name.iter())
            .filter_map(|(name, id)| {
                let (block, place) = place_of(*id);
                Some((name.clone(), rows.get(&(hour.0, block))?.get(place)?))
            })
            .collect();
        for (name, summary) in change.apply(hour, &before) {
            let (block, place) = place_of(numbers.of(&name));
            let key = (hour.0, block);
            changed
                .entry(key)
                .or_insert_with(|| rows.remove(&key).unwrap_or_default())
                .set(place, &summary);
        }
    }
    changed
}

/// The beginnings of hours as the database has them.
pub(crate) fn starts(hours: &[UnixMillis]) -> Vec<i64> {
    hours.iter().map(|hour| hour.0).collect()
}

#[cfg(test)]
mod tests {
    use super::BLOCK;

    #[test]
    fn views_find_series_where_they_are_put() {
        let blocks = include_str!("../../../migrations/postgres/0011_series_in_blocks.sql");
        let views = include_str!("../../../migrations/sqlite/0004_views.sql");
        for (sql, number, least) in [
            (blocks, " id ", 2),
            (blocks, "point.series ", 3),
            (views, "series.id ", 6),
        ] {
            let places = sql.split(number);
            let mut places = places.filter(|place| place.starts_with(['%', '/']));
            assert!(places.clone().count() >= least, "{number}");
            let counts = [format!("% {BLOCK}"), format!("/ {BLOCK}")];
            assert!(places.all(|place| counts.iter().any(|count| place.starts_with(count))));
        }
    }
}
