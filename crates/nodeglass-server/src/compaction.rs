//! Runs compaction: closes slots of staged samples on time, turns them into chunks, and merges chunks, beside everything
//! else and after it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nodeglass_model::Clock;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::tiers::SlotLimits;
use nodeglass_store::{CompactError, Compacted, Compactor, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A slot is closed early once it has so many bytes: ten thousand agents' five minutes and as much again. What is in a
/// slot is in no chunk yet, so this bounds what a replayed backlog takes.
const SLOT_BYTES: u64 = 512 << 20;

/// How often at least to look for work.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often at most, for short slots.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// After a step it rests as long as the step took, up to this, so that it never has more than half of a core.
const LONGEST_REST: Duration = Duration::from_millis(200);
/// With so many closed slots waiting it is behind, and does not rest.
const BEHIND: usize = 3;

/// How long to leave the work to another server that was faster.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(5);

/// What compaction has done since the start of the server, and how it stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// What was done.
    pub done: Compacted,
    /// Rounds that failed.
    pub failures: u64,
    /// Closed slots that waited at the last look: more than a few, and it does not keep up.
    pub slots_behind: usize,
}

/// Where others read how compaction stands.
#[derive(Debug, Default)]
pub struct Totals(Mutex<Progress>);

impl Totals {
    /// How it stands.
    pub fn read(&self) -> Progress {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Compacts what is stored, until `stop`. A slot is open for `interval`; no small chunk waits longer than `merge_age`.
pub async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    merge_age: Duration,
    totals: Arc<Totals>,
    stop: CancellationToken,
) {
    let mut compaction = Compaction {
        store,
        clock,
        limits: SlotLimits {
            age: interval,
            bytes: SLOT_BYTES,
        },
        totals,
        compactor: Compactor::default().merging_after(merge_age),
        wait: (interval / 10).clamp(SHORTEST_WAIT, LONGEST_WAIT),
    };
    tokio::select! {
        () = compaction.run() => {}
        () = stop.cancelled() => {}
    }
}

struct Compaction {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    limits: SlotLimits,
    totals: Arc<Totals>,
    compactor: Compactor,
    wait: Duration,
}

/// What to do after a round.
enum Next {
    /// There is more.
    Again,
    /// There is nothing to do.
    Wait,
    /// Another server is at it.
    Leave,
}

impl Compaction {
    async fn run(&mut self) {
        let mut is_failing = false;
        loop {
            let next = self.round().await;
            match &next {
                Ok(_) if is_failing => info!("compaction works again"),
                Err(error) if !is_failing => {
                    warn!(error = %chain(error), "compaction does not work and is tried again; samples stay in staging");
                }
                _ => {}
            }
            is_failing = next.is_err();
            self.totals
                .update(|totals| totals.failures += u64::from(is_failing));
            match next {
                Ok(Next::Again) => {}
                Ok(Next::Wait) => tokio::time::sleep(self.wait).await,
                Ok(Next::Leave) | Err(_) => tokio::time::sleep(LEFT_TO_OTHERS).await,
            }
        }
    }

    /// Closes the slot if it is time; then packs slots or, if there is none, merges chunks, until it is time to look again.
    async fn round(&mut self) -> Result<Next, CompactError> {
        let look_again = Instant::now() + self.wait;
        let store = self.store.clone();
        store.close_slot(self.clock.now(), self.limits).await?;
        while store.drop_slots(self.clock.now()).await? {}
        loop {
            let began = Instant::now();
            let now = self.clock.now();
            let mut done = self.compactor.pack_slot(store.as_ref(), now).await?;
            let slots_behind = self.compactor.slots_behind();
            self.totals.update(|totals| totals.slots_behind = slots_behind);
            let is_behind = slots_behind >= BEHIND;
            if done.is_none() {
                done = self.compactor.merge(store.as_ref(), now).await?;
            }
            let Some(done) = done else {
                return Ok(Next::Wait);
            };
            self.totals.update(|totals| totals.done += done);
            if done.stale > 0 {
                return Ok(Next::Leave);
            }
            if !is_behind {
                tokio::time::sleep(began.elapsed().min(LONGEST_REST)).await;
            }
            if Instant::now() >= look_again {
                return Ok(Next::Again);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_chunk::row;
    use nodeglass_model::{AgentId, Sample, SampleId, SystemClock, TimeRange, UnixMillis};
    use nodeglass_store::tiers::Levels;
    use nodeglass_store::{AgentKey, StagedSample};

    use super::*;

    /// Ten minutes ahead, so that every slot is old enough.
    #[derive(Debug)]
    struct Ahead;

    impl Clock for Ahead {
        fn now(&self) -> UnixMillis {
            SystemClock.now().plus(Duration::from_mins(10))
        }
    }

    fn samples(agent: AgentKey, count: u64) -> Vec<StagedSample> {
        let sample = |seq| {
            let mut sample = Sample {
                timestamp: UnixMillis::from_seconds(1_763_700_000 + seq as i64),
                ..Sample::default()
            };
            sample.load.load1 = Some(seq as f64);
            StagedSample {
                agent,
                id: SampleId { epoch: 1, seq },
                timestamp: sample.timestamp,
                payload: row::encode(&sample),
                weight: 1,
            }
        };
        (1..=count).map(sample).collect()
    }

    /// Waits until it is so, at most ten seconds.
    async fn until(mut is_so: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so().await {
            assert!(Instant::now() < deadline, "it never came to that");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn samples_become_full_chunks_by_themselves_and_it_stops_when_told() {
        let directory = tempfile::tempdir().unwrap();
        let store = nodeglass_store::open(&format!("sqlite://{}/store.db", directory.path().display()))
            .await
            .unwrap();
        let id: AgentId = "web-1".parse().unwrap();
        let agent = store.enrol_agent(&id, UnixMillis(1)).await.unwrap();
        store.append(&samples(agent, 800)).await.unwrap();
        let totals = Arc::<Totals>::default();
        let stop = CancellationToken::new();
        let interval = Duration::from_secs(1);
        let running = tokio::spawn(run(
            store.clone(),
            Arc::new(Ahead),
            interval,
            Duration::MAX,
            totals.clone(),
            stop.clone(),
        ));
        until(async || totals.read().done.full_chunks == 1).await;
        let Progress {
            done,
            failures,
            slots_behind,
        } = totals.read();
        assert_eq!(slots_behind, 0);
        assert_eq!(
            (done.samples, done.merged_samples, done.merges, failures),
            (800, 800, 1, 0)
        );
        assert!(done.bytes_out > 0 && done.bytes_in > done.bytes_out, "{done:?}");
        let all = TimeRange {
            start: UnixMillis(0),
            end: UnixMillis(i64::MAX),
        };
        let outline = store.outline(agent, all, Levels::All, &[]).await.unwrap();
        assert_eq!(
            (
                outline.chunks.len(),
                outline.chunks[0].points,
                outline.staged.len()
            ),
            (1, 800, 0)
        );

        stop.cancel();
        tokio::time::timeout(Duration::from_secs(1), running)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_database_that_is_away_is_counted_and_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = nodeglass_store::open(&format!("sqlite://{}/store.db", directory.path().display()))
            .await
            .unwrap();
        store.close().await;
        let totals = Arc::<Totals>::default();
        let stop = CancellationToken::new();
        let second = Duration::from_secs(1);
        let running = tokio::spawn(run(
            store,
            Arc::new(Ahead),
            second,
            Duration::MAX,
            totals.clone(),
            stop.clone(),
        ));
        until(async || totals.read().failures > 0).await;
        stop.cancel();
        tokio::time::timeout(second, running).await.unwrap().unwrap();
    }
}
