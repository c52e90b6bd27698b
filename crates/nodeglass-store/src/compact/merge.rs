//! Small chunks, and the full ones that they overlap, into full ones.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;

use nodeglass_chunk::chunk::{Chunk, Effort, Encoder, Head, Merge, MergeError};
use nodeglass_model::UnixMillis;

use super::CompactError;
use super::pack::{pack, parts};
use super::rollup::{Addition, positions};
use crate::Position;
use crate::tiers::{Level, NewChunk, StoredChunk};

/// What a merge makes of the chunks that it takes.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// The full chunks in their place.
    pub(super) chunks: Vec<NewChunk>,
    /// What the samples that were in no full chunk before add to the rollups.
    pub(super) rollups: Addition,
}

/// Merges chunks of one day. `beside` are full ones that stay, near enough to have later samples of the same hours.
///
/// # Errors
/// A chunk that can't be read, or no memory.
pub(super) fn merge(
    encoder: &mut Encoder,
    chunks: &[StoredChunk],
    beside: &[StoredChunk],
) -> Result<Merged, CompactError> {
    // Of two samples with one identity the first that was stored stays: the one of a full chunk, or of a lower revision.
    let mut in_order: Vec<&StoredChunk> = chunks.iter().collect();
    in_order.sort_by_key(|it| (Reverse(it.head.level), it.head.id.rev));
    let mut before: HashSet<Position> = HashSet::new();
    let mut opened = Vec::with_capacity(in_order.len());
    for stored in in_order {
        let head = Head::read(&stored.head.directory)?;
        if stored.head.level == Level::Full {
            before.extend(positions(&head)?);
        }
        opened.push(Chunk::of(head, &stored.payload)?);
    }
    let merge = Merge::of(&opened)?;
    let times: Vec<UnixMillis> = merge.points().map(|(_, time)| time).collect();
    let mut merged = Merged::default();
    let mut refused = 0;
    let mut encode = |range: Range<usize>| match merge.parts(encoder, range, Effort::Best) {
        Ok(parts) => Ok(Ok(parts)),
        Err(MergeError::Encode(error)) => Ok(Err(error)),
        Err(MergeError::Chunk(error)) => Err(CompactError::from(error)),
    };
    for part in parts(&times) {
        refused += pack(&times, part, &mut merged.chunks, &mut encode)?;
    }
    if refused > 0 {
        // They were in a chunk, so they fit into one: better to leave everything as it is than to lose them.
        return Err(CompactError::Refused(refused));
    }
    for chunk in &merged.chunks {
        let head = Head::read(&chunk.directory)?;
        let is_new = |at: &Position| !before.contains(at);
        merged.rollups.add(&head, &chunk.payload, is_new)?;
    }
    for stored in beside {
        let head = Head::read(&stored.head.directory)?;
        if head
            .time_range()
            .is_some_and(|range| merged.rollups.may_lie_before(range))
        {
            merged.rollups.see(&head, &stored.payload)?;
        }
    }
    Ok(merged)
}
