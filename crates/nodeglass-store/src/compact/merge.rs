//! Small chunks, and the full ones that they overlap, into full ones.

use std::collections::HashSet;

use nodeglass_chunk::chunk::{Chunk, Effort, Encoder, Head};
use nodeglass_model::UnixMillis;

use super::CompactError;
use super::pack::{Identified, pack, parts, position};
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
    let mut before: HashSet<Position> = HashSet::new();
    let mut samples: Vec<Identified> = Vec::new();
    // Full ones first, then by revision: the sort is stable, so of two with one identity the first that was stored stays.
    let mut in_order: Vec<&StoredChunk> = chunks.iter().collect();
    in_order.sort_by_key(|it| (std::cmp::Reverse(it.head.level), it.head.id.rev));
    for stored in in_order {
        let head = Head::read(&stored.head.directory)?;
        if stored.head.level == Level::Full {
            before.extend(positions(&head)?);
        }
        samples.extend(Chunk::of(head, &stored.payload)?.samples()?);
    }
    samples.sort_by_key(position);
    samples.dedup_by_key(|identified| position(identified));

    let mut merged = Merged::default();
    let mut refused = 0;
    let times: Vec<UnixMillis> = samples.iter().map(|(_, sample)| sample.timestamp).collect();
    for part in parts(&times) {
        pack(
            encoder,
            Effort::Best,
            &samples[part],
            &mut merged.chunks,
            &mut refused,
        )?;
    }
    if refused > 0 {
        // They were in a chunk, so they fit into one: better to leave everything as it is than to lose them.
        return Err(CompactError::Refused(refused));
    }
    drop(samples);
    for chunk in &merged.chunks {
        merged
            .rollups
            .add(&Head::read(&chunk.directory)?, &chunk.payload, |at| {
                !before.contains(at)
            })?;
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
