//! Some agents of a closed slot at a time: their rows are read, packed, and handed over as one step.

use std::collections::BTreeMap;

use nodeglass_chunk::chunk::{ChunkError, Encoder, Head};
use nodeglass_model::{TimeRange, UnixMillis};

use super::slot::{self, Condensed};
use super::{CompactError, Compacted, Compactor, size};
use crate::tiers::{ChunkHead, ClosedSlot, PackedAgent, Tiers};
use crate::{AgentKey, StagedSample};

/// Some agents of a slot, packed.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) packed: Vec<PackedAgent>,
    pub(super) done: Compacted,
}

impl Batch {
    /// Reads rows until there are whole agents to store, and packs them; says whether the slot has no more.
    pub(super) async fn read(
        &mut self,
        store: &dyn Tiers,
        slot: &ClosedSlot,
        compactor: &mut Compactor,
    ) -> Result<bool, CompactError> {
        let mut after = None;
        loop {
            let mut rows = store.slot_rows(slot.id, after, compactor.page).await?;
            let is_last = rows.len() < compactor.page as usize;
            let Some(last) = rows.last() else {
                return Ok(true);
            };
            after = Some((last.agent, last.position()));
            if !is_last {
                // The last agent may have more rows: it waits for the next step, unless it is the only one.
                let last = last.agent;
                let first = self.packed.first().map_or(rows[0].agent, |packed| packed.agent);
                if first != last {
                    rows.retain(|row| row.agent != last);
                    self.pack(store, rows, compactor).await?;
                    return Ok(false);
                }
            }
            self.pack(store, rows, compactor).await?;
            if is_last {
                return Ok(true);
            }
        }
    }

    async fn pack(
        &mut self,
        store: &dyn Tiers,
        rows: Vec<StagedSample>,
        compactor: &mut Compactor,
    ) -> Result<(), CompactError> {
        let ranges: Vec<(AgentKey, TimeRange)> = rows
            .chunk_by(|one, next| one.agent == next.agent)
            .map(|rows| {
                let (first, last) = (&rows[0], &rows[rows.len() - 1]);
                let end = UnixMillis(last.timestamp.0.saturating_add(1));
                let start = first.timestamp;
                (first.agent, TimeRange { start, end })
            })
            .collect();
        let mut there: BTreeMap<AgentKey, Vec<ChunkHead>> = BTreeMap::new();
        for (agent, head) in store.overlapping(&ranges).await? {
            there.entry(agent).or_default().push(head);
        }
        self.done.bytes_in += rows.iter().map(|row| row.payload.len() as u64).sum::<u64>();
        let packed = compactor
            .work(move |encoder| condense(encoder, &rows, &there))
            .await?;
        for (agent, condensed) in packed {
            self.done.samples += condensed
                .chunks
                .iter()
                .map(|it| u64::from(it.points))
                .sum::<u64>();
            self.done.duplicates += condensed.duplicate;
            self.done.unreadable += condensed.unreadable;
            self.done.small_chunks += condensed.chunks.len() as u64;
            self.done.bytes_out += size(&condensed.chunks);
            // An agent of more than one page.
            if let Some(more) = self.packed.last_mut().filter(|packed| packed.agent == agent) {
                more.chunks.extend(condensed.chunks);
                more.stored += condensed.stored;
                more.duplicate += condensed.duplicate;
            } else {
                self.packed.push(PackedAgent {
                    agent,
                    chunks: condensed.chunks,
                    stored: condensed.stored,
                    duplicate: condensed.duplicate,
                });
            }
        }
        Ok(())
    }
}

/// Packs rows of several agents. A directory that can't be read tells nothing of what is there already; it is logged, and
/// the agent's rows are packed all the same.
fn condense(
    encoder: &mut Encoder,
    rows: &[StagedSample],
    there: &BTreeMap<AgentKey, Vec<ChunkHead>>,
) -> Result<Vec<(AgentKey, Condensed)>, CompactError> {
    let mut packed = Vec::new();
    for rows in rows.chunk_by(|one, next| one.agent == next.agent) {
        let agent = rows[0].agent;
        let mut heads = Vec::new();
        for head in there.get(&agent).into_iter().flatten() {
            match Head::read(&head.directory) {
                Ok(head) => heads.push(head),
                Err(error @ ChunkError::Version(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(agent = agent.0, t0 = %head.id.t0, %error, "a chunk can't be read");
                }
            }
        }
        packed.push((agent, slot::condense(encoder, rows, &heads)?));
    }
    Ok(packed)
}
