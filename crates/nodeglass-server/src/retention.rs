//! Removes samples that are older than what is to be kept, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::Clock;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::Store;
use nodeglass_store::tiers::Retention;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often to look for old samples.
const LOOK: Duration = Duration::from_mins(1);
/// The pause between two statements.
const PAUSE: Duration = Duration::from_millis(50);

/// Removes what is older than `keep`, until `stop`.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, keep: Duration, stop: CancellationToken) {
    let retention = Retention {
        raw: keep,
        rollups: keep,
        max_bytes: None,
    };
    let work = async {
        loop {
            let (mut removed, mut is_more) = (0, true);
            while is_more {
                match store.retain(&retention, clock.now()).await {
                    Ok(done) => {
                        removed += done.chunks + done.rollups + done.partitions;
                        is_more = done.more;
                    }
                    Err(error) => {
                        warn!(error = %chain(&error), "old samples could not be removed; trying again in a minute");
                        break;
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
            if let Err(error) = store.prune_tasks(clock.now().minus(keep)).await {
                warn!(error = %chain(&error), "old tasks could not be removed; trying again in a minute");
            }
            if removed > 0 {
                info!(
                    removed,
                    "removed chunks, hours and partitions older than the retention period"
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}
