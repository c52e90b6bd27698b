//! What to merge next: a choice by sizes and times alone, before anything is read.
//!
//! A merge stays within one day of one agent, since chunks do, and takes a cluster: small chunks that follow one another,
//! with the full ones that they overlap. It is bounded, so a backlog of any size is merged in steps; and a cluster that
//! would make a short chunk takes the short chunk beside it along, so that hosts with a few samples in an hour get full
//! chunks, too.

use nodeglass_model::{TimeRange, UnixMillis};

use super::pack::{FEWEST_POINTS, POINTS};
use crate::tiers::{ChunkHead, ChunkId};

/// The most points in one merge: six chunks, some 30 MB of samples of 200 series while it works.
const MOST_POINTS: u64 = 6 * POINTS as u64;

/// The most bytes of directories in one merge, for hosts with thousands of series. A directory has some 15 bytes for each
/// series, so twelve small chunks of 200 series have a thirtieth of it.
const MOST_BYTES: u64 = 1 << 20;

/// One chunk, as much of it as a plan needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlined {
    /// Which it is.
    pub(super) id: ChunkId,
    /// From its earliest sample to just after its latest.
    pub(super) range: TimeRange,
    /// How many samples it has.
    pub(super) points: u32,
    /// The length of its directory.
    pub(super) bytes: u64,
}

impl From<&ChunkHead> for Outlined {
    fn from(head: &ChunkHead) -> Self {
        Self {
            id: head.id,
            range: TimeRange {
                start: head.id.t0,
                end: head.end,
            },
            points: head.points,
            bytes: head.directory.len() as u64,
        }
    }
}

/// Small chunks in a row, and full chunks that go with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    /// The small ones, at least one.
    pub(super) small: Vec<Outlined>,
    /// The full ones.
    pub(super) full: Vec<Outlined>,
}

impl Cluster {
    /// The first cluster among the chunks of one day of an agent, each list by beginning; `None` if nothing is small.
    pub(super) fn first(small: &[Outlined], full: &[Outlined]) -> Option<Self> {
        let mut cluster = Self {
            small: Vec::new(),
            full: Vec::new(),
        };
        let mut range = small.first()?.range;
        for next in small {
            let reach = TimeRange {
                start: range.start,
                end: range.end.max(next.range.end),
            };
            let between: Vec<Outlined> = full
                .iter()
                .filter(|it| overlap(it.range, reach))
                .copied()
                .collect();
            // A full chunk that lies between this one and those before, and overlaps neither, parts two clusters.
            let parts = |it: &Outlined| it.range.start >= range.end && it.range.end <= next.range.start;
            let all = || cluster.small.iter().chain([next]).chain(&between);
            let is_too_much = points(all()) > MOST_POINTS || bytes(all()) > MOST_BYTES;
            if !cluster.small.is_empty() && (is_too_much || between.iter().any(parts)) {
                break;
            }
            cluster.small.push(*next);
            cluster.full = between;
            range = reach;
        }
        cluster.keep_within_bounds();
        cluster.take_short_neighbours(range, full);
        Some(cluster)
    }

    /// One small chunk may overlap many full ones, though it is made so that it overlaps few. Then those beyond the bounds
    /// stay, and overlap what is made: readers know how to deal with that.
    fn keep_within_bounds(&mut self) {
        let mut sum = (points(&self.small), bytes(&self.small));
        let fits = |it: &&Outlined| {
            sum = (sum.0 + u64::from(it.points), sum.1 + it.bytes);
            sum.0 <= MOST_POINTS && sum.1 <= MOST_BYTES
        };
        let fitting = self.full.iter().take_while(fits).count().max(1);
        self.full.truncate(fitting);
    }

    fn take_short_neighbours(&mut self, range: TimeRange, full: &[Outlined]) {
        let before = full.iter().rfind(|it| it.range.end <= range.start);
        let after = full.iter().find(|it| it.range.start >= range.end);
        for beside in [before, after].into_iter().flatten() {
            let all = points(self.small.iter().chain(&self.full));
            if all.min(u64::from(beside.points)) < u64::from(FEWEST_POINTS) {
                self.full.push(*beside);
            }
        }
    }

    /// All its chunks.
    pub(super) fn ids(&self) -> Vec<ChunkId> {
        self.small.iter().chain(&self.full).map(|it| it.id).collect()
    }

    /// From its first sample to just after its last.
    pub(super) fn range(&self) -> TimeRange {
        let all = || self.small.iter().chain(&self.full).map(|it| it.range);
        TimeRange {
            start: all().map(|it| it.start).min().unwrap_or(UnixMillis(0)),
            end: all().map(|it| it.end).max().unwrap_or(UnixMillis(0)),
        }
    }
}

fn overlap(one: TimeRange, other: TimeRange) -> bool {
    one.start < other.end && other.start < one.end
}

pub(super) fn points<'a>(chunks: impl IntoIterator<Item = &'a Outlined>) -> u64 {
    chunks.into_iter().map(|it| u64::from(it.points)).sum()
}

fn bytes<'a>(chunks: impl IntoIterator<Item = &'a Outlined>) -> u64 {
    chunks.into_iter().map(|it| it.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk over these seconds with so many points.
    fn chunk(seconds: std::ops::Range<i64>, points: u32) -> Outlined {
        let range = TimeRange {
            start: UnixMillis::from_seconds(seconds.start),
            end: UnixMillis::from_seconds(seconds.end),
        };
        Outlined {
            id: ChunkId {
                t0: range.start,
                rev: points as i32,
            },
            range,
            points,
            bytes: 3_000,
        }
    }

    fn chunks(count: i64, points: u32) -> Vec<Outlined> {
        (0..count)
            .map(|at| chunk(at * 100..at * 100 + 100, points))
            .collect()
    }

    fn first(small: &[Outlined], full: &[Outlined]) -> (Vec<Outlined>, Vec<Outlined>) {
        let cluster = Cluster::first(small, full).unwrap();
        (cluster.small, cluster.full)
    }

    #[test]
    fn small_chunks_in_a_row_go_together() {
        let small = chunks(12, 60);
        assert_eq!(first(&small, &[chunk(-100..0, 720)]), (small, vec![]));
        assert_eq!(Cluster::first(&[], &[chunk(-100..0, 7)]), None);
    }

    #[test]
    fn late_samples_take_only_the_chunk_that_they_overlap() {
        let full = chunks(3, 720);
        let small = [chunk(110..111, 400), chunk(400..500, 60)];
        assert_eq!(first(&small, &full), (small[..1].to_vec(), full[1..2].to_vec()));
        assert_eq!(first(&small[1..], &full[..1]).0, small[1..]);
    }

    #[test]
    fn a_sparse_host_fills_up_its_last_chunk() {
        let new = [chunk(7_200..9_000, 24)];
        for points in [300, 700] {
            let last = [chunk(0..7_000, points)];
            assert_eq!(first(&new, &last), (new.to_vec(), last.to_vec()));
        }
        let enough = [chunk(7_200..9_000, 400)];
        assert_eq!(first(&enough, &[chunk(0..7_000, 700)]).1, []);
        let short = [chunk(0..7_000, 300)];
        assert_eq!(first(&enough, &short).1, short);
    }

    #[test]
    fn a_backlog_is_merged_in_steps() {
        let small = chunks(100, 720);
        assert_eq!(first(&small, &[]).0, small[..6]);
        let mut heavy = chunks(100, 60);
        for it in &mut heavy {
            it.bytes = 150_000;
        }
        assert_eq!(first(&heavy, &[]).0, heavy[..6]);
    }

    #[test]
    fn a_small_chunk_over_a_whole_day_takes_only_some_of_it() {
        let full = chunks(100, 720);
        let small = [chunk(0..10_000, 400)];
        assert_eq!(first(&small, &full).1, full[..5]);
    }
}
