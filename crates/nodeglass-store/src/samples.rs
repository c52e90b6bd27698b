//! Samples of one agent from every tier, each once and in order: the plain way to read, whole samples at a time.

use std::collections::{BTreeMap, HashSet};

use nodeglass_chunk::chunk::{Chunk, ChunkError, Head};
use nodeglass_chunk::row;
use nodeglass_model::{Sample, SampleId, TimeRange, UnixMillis};

use crate::tiers::{Levels, StoredChunk, StoredSample, Tiers};
use crate::{AgentKey, Position, StoreError};

/// Chunks that a page looks for at first; most pages need one or two.
const FIRST_LOOK: u32 = 8;

/// At most `limit` samples of an agent in a range, oldest first, those after `after` if it is given; fewer only if there
/// are no more. Chunks are opened one after the other, as many as it takes.
pub(crate) async fn page(
    store: &dyn Tiers,
    agent: AgentKey,
    range: TimeRange,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<StoredSample>, StoreError> {
    let start = after.map_or(range.start, |after| after.timestamp.max(range.start));
    let mut page = Page {
        agent,
        range: TimeRange { start, ..range },
        after,
        limit,
        found: BTreeMap::new(),
    };
    // A chunk that was replaced while we read is looked for again.
    while !page.read(store).await? {
        page.found.clear();
    }
    let samples = page.found.into_iter().take(limit as usize);
    Ok(samples
        .map(|(position, sample)| StoredSample {
            id: position.id,
            sample,
        })
        .collect())
}

struct Page {
    agent: AgentKey,
    range: TimeRange,
    after: Option<Position>,
    limit: u32,
    found: BTreeMap<Position, Sample>,
}

impl Page {
    /// Finds at least the first `limit` samples; `false` if a chunk was gone before it was read.
    async fn read(&mut self, store: &dyn Tiers) -> Result<bool, StoreError> {
        // Staging first: what becomes part of a chunk meanwhile is met twice rather than never.
        for one in store
            .staged(self.agent, self.range, self.after, self.limit)
            .await?
        {
            match row::read(&one.payload, one.timestamp) {
                Ok(sample) => self.add(one.id, sample),
                Err(error) => self.warn(one.timestamp, &error),
            }
        }
        let mut look = FIRST_LOOK;
        let mut opened = HashSet::new();
        loop {
            let heads = store.heads(self.agent, self.range, Levels::All, look).await?;
            for head in &heads {
                if self.is_full_before(head.id.t0) {
                    return Ok(true);
                }
                if !opened.insert(head.id) {
                    continue;
                }
                let Some(chunk) = store.chunks(self.agent, &[head.id]).await?.pop() else {
                    return Ok(false);
                };
                match samples_of(&chunk) {
                    Ok(samples) => samples.into_iter().for_each(|(id, sample)| self.add(id, sample)),
                    Err(error) => self.warn(head.id.t0, &error),
                }
            }
            if heads.len() < look as usize {
                return Ok(true);
            }
            look = look.saturating_mul(2);
        }
    }

    fn add(&mut self, id: SampleId, sample: Sample) {
        let position = Position {
            timestamp: sample.timestamp,
            id,
        };
        if self.range.contains(position.timestamp) && self.after.is_none_or(|after| position > after) {
            self.found.entry(position).or_insert(sample);
        }
    }

    /// Whether there are enough samples that are earlier than `at`, from which on chunks were not opened.
    fn is_full_before(&self, at: UnixMillis) -> bool {
        let earlier = ..Position {
            timestamp: at,
            ..Position::FIRST
        };
        self.found.len() >= self.limit as usize && self.found.range(earlier).count() >= self.limit as usize
    }

    fn warn(&self, at: UnixMillis, error: &dyn std::error::Error) {
        let agent = self.agent.0;
        tracing::warn!(agent, %at, %error, "stored samples can't be read; they are left out");
    }
}

fn samples_of(chunk: &StoredChunk) -> Result<Vec<(SampleId, Sample)>, ChunkError> {
    let head = Head::read(&chunk.head.directory)?;
    Chunk::of(head, &chunk.payload)?.samples()
}
