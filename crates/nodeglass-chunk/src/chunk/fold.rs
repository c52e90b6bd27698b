//! A chunk's figures over stretches of time, for rollups: column by column, without samples.

use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::Metric;

use super::{Chunk, ChunkError};

/// What the values of one series in one stretch of time come to; several of one stretch can be added up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Partial {
    /// How many values there are; never zero.
    pub count: u32,
    /// Their sum.
    pub sum: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The latest, which is what counts of a counter.
    pub last: f64,
    /// When that was.
    pub last_at: UnixMillis,
}

impl Partial {
    /// That of one value.
    pub fn of(at: UnixMillis, value: f64) -> Self {
        Self {
            count: 1,
            sum: value,
            min: value,
            max: value,
            last: value,
            last_at: at,
        }
    }

    /// Adds what other values of the same stretch come to.
    #[inline]
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.last_at >= self.last_at {
            self.last = other.last;
            self.last_at = other.last_at;
        }
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

/// A series in one stretch of time.
#[derive(Debug, Clone)]
pub struct Folded<'c> {
    /// What was measured.
    pub metric: &'static Metric,
    /// The device's label; empty for the host.
    pub label: &'c str,
    /// Where the stretch begins: a multiple of its length.
    pub start: UnixMillis,
    /// What the values come to.
    pub partial: Partial,
}

impl Chunk<'_> {
    /// What the values of each wanted series come to in each stretch of this length; those without values are left out.
    /// `wanted` is asked once for each series.
    ///
    /// # Errors
    /// A piece that no encoder wrote.
    pub fn fold(
        &self,
        stretch: Duration,
        mut wanted: impl FnMut(&'static Metric, &str) -> bool,
    ) -> Result<Vec<Folded<'_>>, ChunkError> {
        let times = self.timestamps()?;
        let mut starts: Vec<UnixMillis> = times.iter().map(|time| time.floor(stretch)).collect();
        let of_points = starts.clone();
        starts.sort_unstable();
        starts.dedup();
        let place = |start: &UnixMillis| starts.binary_search(start).unwrap_or(0);
        let places: Vec<usize> = of_points.iter().map(place).collect();

        let mut all = Vec::new();
        let mut partials: Vec<Option<Partial>> = vec![None; starts.len()];
        for section in [&self.head.opened.own, self.shared()?] {
            let groups = section.groups.iter();
            for (metric, column) in groups.flat_map(|group| self.known_of(section, group)) {
                // Once for each label, and the column is not read for none.
                let labels: Vec<&str> = column.labels().filter(|label| wanted(metric, label)).collect();
                if labels.is_empty() {
                    continue;
                }
                let values = column.read(self.slice(column.span())?)?;
                let mut labels = labels.into_iter().peekable();
                for series in values.series() {
                    let Some(label) = labels.next_if_eq(&series.label()) else {
                        continue;
                    };
                    for (point, value) in series.points() {
                        let one = Partial::of(times[point], value);
                        match &mut partials[places[point]] {
                            Some(partial) => partial.add(&one),
                            none => *none = Some(one),
                        }
                    }
                    let folded = starts.iter().zip(&mut partials).filter_map(|(start, partial)| {
                        let (start, partial) = (*start, partial.take()?);
                        Some(Folded {
                            metric,
                            label,
                            start,
                            partial,
                        })
                    });
                    all.extend(folded);
                }
            }
        }
        Ok(all)
    }
}
