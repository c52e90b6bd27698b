//! One agent's rows of a closed slot into small chunks.

use std::collections::HashSet;
use std::ops::Range;

use nodeglass_chunk::chunk::{Effort, Encoder, Head};
use nodeglass_chunk::row::{self, RowError};
use nodeglass_model::{Sample, SampleId, TimeRange, UnixMillis};

use super::CompactError;
use super::pack::{pack, parts_between};
use super::rollup::positions;
use crate::tiers::NewChunk;
use crate::{Position, StagedSample};

/// What became of some rows of one agent.
#[derive(Debug, Default)]
pub(super) struct Condensed {
    /// The chunks that they made.
    pub(super) chunks: Vec<NewChunk>,
    /// The weights of the rows in those chunks.
    pub(super) stored: u64,
    /// The weights of the rows whose sample is in a chunk already.
    pub(super) duplicate: u64,
    /// Rows that can't be read, or not be written as a chunk: the disk, or somebody else, has changed them.
    pub(super) unreadable: u64,
}

/// Makes small chunks of rows of one agent, which are in order and each there once; `there` are the directories of its
/// chunks that the rows overlap in time.
///
/// # Errors
/// A row from a newer program, which is for that one to compact, a directory that can't be read, or no memory.
pub(super) fn condense(
    encoder: &mut Encoder,
    rows: &[StagedSample],
    there: &[Head],
) -> Result<Condensed, CompactError> {
    let mut condensed = Condensed::default();
    let known = known(rows, there)?;
    let rows: Vec<&StagedSample> = rows
        .iter()
        .filter(|row| {
            let is_known = known.contains(&row.position());
            condensed.duplicate += u64::from(row.weight) * u64::from(is_known);
            !is_known
        })
        .collect();
    let times: Vec<UnixMillis> = rows.iter().map(|row| row.timestamp).collect();
    let ranges: Vec<TimeRange> = there.iter().filter_map(Head::time_range).collect();
    for part in parts_between(&times, &ranges) {
        let mut samples: Vec<(SampleId, Sample)> = Vec::with_capacity(part.len());
        for row in &rows[part] {
            match row::read(&row.payload, row.timestamp) {
                Ok(sample) => {
                    condensed.stored += u64::from(row.weight);
                    samples.push((row.id, sample));
                }
                Err(error @ RowError::Version(_)) => return Err(CompactError::Row(error)),
                Err(_) => condensed.unreadable += 1,
            }
        }
        let times: Vec<UnixMillis> = samples.iter().map(|(_, sample)| sample.timestamp).collect();
        let mut encode = |range: Range<usize>| Ok(encoder.parts(&samples[range], Effort::Quick));
        let all = 0..samples.len();
        condensed.unreadable += pack::<CompactError>(&times, all, &mut condensed.chunks, &mut encode)?;
    }
    Ok(condensed)
}

/// Which of the rows are in a chunk already. Times are read only of chunks that have some of the ids.
fn known(rows: &[StagedSample], there: &[Head]) -> Result<HashSet<Position>, CompactError> {
    let mut known = HashSet::new();
    for head in there {
        if rows.iter().any(|row| head.contains(row.id)) {
            known.extend(positions(head)?);
        }
    }
    Ok(known)
}
