//! Removes samples that are older than what is to be kept, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::Clock;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::Store;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often to look for old samples.
const LOOK: Duration = Duration::from_mins(1);
/// Samples removed by one statement: a short one, so that the writer never waits long.
const BATCH: u32 = 2_000;
/// The pause between two statements.
const PAUSE: Duration = Duration::from_millis(50);

/// Removes what is older than `keep`, until `stop`.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, keep: Duration, stop: CancellationToken) {
    let work = async {
        loop {
            let mut removed = 0;
            loop {
                match store.prune(clock.now().minus(keep), BATCH).await {
                    Ok(0) => break,
                    Ok(some) => removed += some,
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
                info!(removed, "removed samples older than the retention period");
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}
