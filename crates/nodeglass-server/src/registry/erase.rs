//! Erasing what is of agents that were forgotten: a little at a time, behind everybody's back, and until nothing comes after.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_runtime::telemetry::chain;
use nodeglass_store::registry::Forgotten;
use nodeglass_store::{AgentKey, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Registry;

/// Rows of each kind in one step: a chunk may have a megabyte, and a step is to be over in tens of milliseconds.
const ROWS: u32 = 50;
/// The pause between two steps, in which others write.
const PAUSE: Duration = Duration::from_millis(50);
/// How often to look again for what came after: samples that waited in the writer, a chunk that was just made.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// How long after it was forgotten an agent may be done with: longer than a commit or a compaction's step may take.
const SETTLED: Duration = Duration::from_mins(1);
/// Looks one after the other that must find nothing.
const EMPTY_LOOKS: u32 = 2;
/// How often to look for what another server left undone.
const LOOK_ANYWAY: Duration = Duration::from_mins(10);

impl Registry {
    /// Erases what is of forgotten agents, until `stop`.
    pub async fn erase(self: Arc<Self>, stop: CancellationToken) {
        let work = async {
            let mut empty = HashMap::new();
            loop {
                let pause = match self.erase_round(&mut empty).await {
                    Ok(true) => LOOK_AGAIN,
                    Ok(false) => LOOK_ANYWAY,
                    Err(error) => {
                        warn!(error = %chain(&error), "data of forgotten agents are not erased; trying again");
                        LOOK_AGAIN
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.erase.notified() => {}
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    /// Erases what there is; `true` if somebody is not done with.
    pub(super) async fn erase_round(&self, empty: &mut HashMap<AgentKey, u32>) -> Result<bool, StoreError> {
        let mut is_pending = false;
        for Forgotten { agent, id, at } in self.store.being_forgotten().await? {
            let mut rows = 0;
            loop {
                let step = self.store.erase_data(agent, ROWS).await?;
                rows += step;
                if step == 0 {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            if rows > 0 {
                info!(agent = %id, rows, "erased data of a forgotten agent");
            }
            let now = self.clock.now();
            let looks = empty.entry(agent).or_default();
            *looks = if rows == 0 { *looks + 1 } else { 0 };
            if *looks >= EMPTY_LOOKS && now.since(at) >= SETTLED {
                self.store.finish_forgetting(agent, now).await?;
                empty.remove(&agent);
            } else {
                is_pending = true;
            }
        }
        Ok(is_pending)
    }
}
