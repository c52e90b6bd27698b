//! What the database has at the end: whether each sample of the fleet is there once and as it was sent.

use std::collections::HashSet;

use anyhow::ensure;
use nodeglass_model::{AgentId, Sample, SampleId, TimeRange, UnixMillis};
use nodeglass_store::{AgentKey, Position, Store};

use crate::player::EPOCH;

/// Samples that are read at once.
const PAGE: u32 = 5_000;

/// What became of the fleet's samples.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Samples in the store, each counted once.
    pub(crate) stored: u64,
    /// Samples that were sent and are not in the store.
    pub(crate) lost: u64,
    /// Samples that the store has more than once.
    pub(crate) duplicate: u64,
    /// Samples that came to the server again, by its ledger.
    pub(crate) repeated: u64,
}

impl Found {
    /// Adds what became of one agent's samples, of which those from 1 to `sent` were sent. `check` is given each of them.
    pub(crate) async fn add(
        &mut self,
        store: &dyn Store,
        agent: AgentKey,
        sent: u64,
        mut check: impl FnMut(SampleId, Sample) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let range = TimeRange {
            start: UnixMillis(0),
            end: UnixMillis(i64::MAX),
        };
        let mut seen = HashSet::new();
        let mut after: Option<Position> = None;
        loop {
            let page = store.samples(agent, range, after, PAGE).await?;
            after = page.last().map(nodeglass_store::tiers::StoredSample::position);
            for staged in page.iter().filter(|staged| staged.id.epoch == *EPOCH) {
                if seen.insert(staged.id.seq) {
                    check(staged.id, staged.sample.clone())?;
                } else {
                    self.duplicate += 1;
                }
                ensure!(
                    (1..=sent).contains(&staged.id.seq),
                    "the store has a sample that was never sent: {:?}",
                    staged.id
                );
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
        self.stored += seen.len() as u64;
        self.lost += sent - seen.len() as u64;
        self.repeated += store.ledger(agent).await?.duplicate;
        Ok(())
    }
}

/// The fleet's agents and their keys.
pub(crate) async fn keys(store: &dyn Store) -> anyhow::Result<Vec<(AgentId, AgentKey)>> {
    let agents = store.agents().await?;
    Ok(agents.into_iter().map(|agent| (agent.id, agent.key)).collect())
}
