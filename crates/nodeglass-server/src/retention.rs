//! How long what is of each agent is kept: what queries go by, and the task that removes what is older, a little at a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use nodeglass_model::{Clock, UnixMillis};
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::tiers::{AgentRetention, Retention};
use nodeglass_store::{AgentKey, Store, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often to look for what is too old, and for what was said of single agents.
const LOOK: Duration = Duration::from_mins(1);
/// The same where little is kept.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// What goes too late by this part of the time that it is kept hardly matters.
const PART: u32 = 8;
/// The pause between two statements.
const PAUSE: Duration = Duration::from_millis(50);
/// What hourly figures are of.
const HOUR: Duration = Duration::from_hours(1);

/// How long what is of each agent is kept.
#[derive(Debug)]
pub struct Kept {
    usual: Retention,
    /// What was said of single agents, as it was last read.
    of_agents: RwLock<HashMap<AgentKey, AgentRetention>>,
    /// Samples up to this moment went because the database was too large. Known once some went since the start.
    cut: AtomicI64,
}

/// Since when what is of an agent is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Samples.
    pub samples: UnixMillis,
    /// Figures of whole hours: the first hour that is.
    pub hours: UnixMillis,
}

impl Since {
    /// Before everything.
    pub const EVER: Self = Self {
        samples: UnixMillis(i64::MIN),
        hours: UnixMillis(i64::MIN),
    };

    /// Since when both are there.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            samples: self.samples.max(other.samples),
            hours: self.hours.max(other.hours),
        }
    }
}

impl Kept {
    /// What is kept as long as the configuration says.
    pub fn new(usual: Retention) -> Self {
        Self {
            usual,
            of_agents: RwLock::default(),
            cut: AtomicI64::new(i64::MIN),
        }
    }

    /// Reads what was said of single agents.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn look(&self, store: &dyn Store) -> Result<(), StoreError> {
        let said = store.retention_overrides().await?.into_iter().collect();
        *self.of_agents.write().unwrap_or_else(PoisonError::into_inner) = said;
        Ok(())
    }

    /// Since when what is of an agent is kept.
    pub fn since(&self, agent: AgentKey, now: UnixMillis) -> Since {
        let of_agents = self.of_agents.read().unwrap_or_else(PoisonError::into_inner);
        let own = of_agents.get(&agent).copied().unwrap_or_default();
        let samples = now.minus(own.raw.unwrap_or(self.usual.raw));
        Since {
            samples: samples.max(UnixMillis(self.cut.load(Ordering::Relaxed))),
            hours: now.minus(own.rollups.unwrap_or(self.usual.rollups)).floor(HOUR),
        }
    }

    /// How long something may wait that is removed only after it was dealt with.
    pub fn patience(&self) -> Duration {
        self.usual.raw / PART
    }
}

/// Removes what is older than is to be kept, until `stop`.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, kept: Arc<Kept>, stop: CancellationToken) {
    let look = kept.patience().clamp(LOOK_SOON, LOOK);
    let work = async {
        loop {
            if let Err(error) = remove(store.as_ref(), clock.as_ref(), &kept).await {
                warn!(error = %chain(&error), "what is too old could not be removed; trying again in a minute at most");
            }
            tokio::time::sleep(look).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

async fn remove(store: &dyn Store, clock: &dyn Clock, kept: &Kept) -> Result<(), StoreError> {
    kept.look(store).await?;
    let mut removed = 0;
    loop {
        let done = store.retain(&kept.usual, clock.now()).await?;
        removed += done.chunks + done.rollups + done.partitions;
        if let Some(cut) = done.cut
            && kept.cut.fetch_max(cut.0, Ordering::Relaxed) < cut.0
        {
            warn!(
                until = %cut,
                "the database holds as much as metrics.storage.max_bytes lets it, so samples go before their time"
            );
        }
        if !done.more {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    store.prune_tasks(kept.usual.raw, clock.now()).await?;
    if removed > 0 {
        info!(
            removed,
            "removed chunks, hours and partitions that are not kept any longer"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodeglass_model::SystemClock;

    const DAY: Duration = Duration::from_hours(24);

    #[tokio::test]
    async fn what_was_said_of_an_agent_takes_the_place_of_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", directory.path().display());
        let store = nodeglass_store::open(&url).await.unwrap();
        let enrol = async |name: &str| {
            let id = name.parse().unwrap();
            store.enrol_agent(&id, UnixMillis(0)).await.unwrap()
        };
        let (usual, long) = (enrol("usual").await, enrol("long").await);
        let kept = Kept::new(Retention {
            raw: DAY,
            rollups: 10 * DAY,
            max_bytes: None,
        });
        let now = UnixMillis::from_seconds(100 * 86_400 + 1_234);
        let days = |agent| {
            let Since { samples, hours } = kept.since(agent, now);
            (
                now.since(samples).as_secs() / 86_400,
                (now.0 - hours.0) / 86_400_000,
            )
        };
        let own = AgentRetention {
            raw: Some(30 * DAY),
            rollups: None,
        };
        store.set_retention(long, own).await.unwrap();
        assert_eq!((days(usual), days(long)), ((1, 10), (1, 10)));
        remove(store.as_ref(), &SystemClock, &kept).await.unwrap();
        assert_eq!((days(usual), days(long)), ((1, 10), (30, 10)));
        assert_eq!(kept.since(usual, now).hours.0 % 3_600_000, 0);

        // What went for its size is gone for all.
        let cut = now.minus(5 * DAY);
        kept.cut.store(cut.0, Ordering::Relaxed);
        assert_eq!((days(usual), days(long)), ((1, 10), (5, 10)));
        store.close().await;
    }
}
