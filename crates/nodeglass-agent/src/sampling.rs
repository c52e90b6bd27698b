//! Takes samples on time and puts them into the buffer, as the current plan says.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_collect::{Depth, Sampler};
use nodeglass_model::Clock;
use nodeglass_model::filter::MetricFilter;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::buffer::SampleBuffer;

/// How soon the second sample follows the first: rates need two readings, and somebody may be waiting to see them.
const SECOND_SAMPLE: Duration = Duration::from_secs(1);

/// What to sample, and how often. The server can change it while the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplingPlan {
    /// Whether to sample at all.
    pub running: bool,
    /// The time from one sample to the next.
    pub interval: Duration,
    /// What a sample has in it.
    pub filter: MetricFilter,
}

/// Samples until `stop`.
///
/// # Errors
/// The sampling thread panicked, which is a mistake of ours; the agent ends and is started again by its supervisor.
pub async fn run(
    mut sampler: Sampler,
    buffer: Arc<SampleBuffer>,
    mut plan: watch::Receiver<SamplingPlan>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), tokio::task::JoinError> {
    let mut due = Instant::now();
    let (mut taken, mut reported) = (0_u64, 0);
    loop {
        let SamplingPlan {
            running, interval, ..
        } = plan.borrow().clone();
        tokio::select! {
            () = tokio::time::sleep_until(due), if running => {}
            changed = plan.changed() => {
                // The plan's owner lives as long as the agent.
                if changed.is_err() {
                    return Ok(());
                }
                let SamplingPlan { running, interval, filter } = plan.borrow_and_update().clone();
                info!(running, interval_s = interval.as_secs_f64(), "sampling plan changed");
                sampler.set_filter(filter);
                due = due.min(Instant::now() + interval);
                continue;
            }
            () = stop.cancelled() => return Ok(()),
        }
        let at = clock.now();
        // Reading /proc takes a fraction of a millisecond, but a hung mount may take its whole deadline.
        let (back, sample) = tokio::task::spawn_blocking(move || {
            let sample = sampler.sample(at, Depth::Full);
            (sampler, sample)
        })
        .await?;
        sampler = back;
        buffer.push(&sample);
        // Every loss is counted; the log has the first, and then fewer the more there are.
        let lost = buffer.lost();
        if lost > reported && lost.is_power_of_two() {
            reported = lost;
            let evicted = buffer.books().evicted;
            warn!(lost, ?evicted, "samples went before the server had stored them");
        }
        taken += 1;
        let until_next = if taken == 1 {
            interval.min(SECOND_SAMPLE)
        } else {
            interval
        };
        // A host that slept, or was too busy, goes on from now rather than catching up.
        due = (due + until_next).max(Instant::now());
    }
}
