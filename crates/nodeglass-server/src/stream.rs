//! A reader's stream of one agent's samples: what is there now, then each new one, at most one in each interval.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::live::{Latest, LiveAgent, LiveSample, Onlooker};

struct State {
    latest: watch::Receiver<Latest>,
    interval: Duration,
    stop: CancellationToken,
    /// When the next sample may be given.
    due: Instant,
    _permit: OwnedSemaphorePermit,
    _onlooker: Option<Onlooker>,
}

/// The stream. It ends at `stop`, and gives the permit back when it is dropped.
///
/// While it is read its agent is asked for samples as often as the interval says.
///
/// Samples and intervals never keep quite the same time: a sample that comes up to half an interval early counts for
/// it, so that a stream at the agent's own pace has every sample.
pub fn samples(
    agent: &Arc<LiveAgent>,
    interval: Duration,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Arc<LiveSample>> + Send + use<> {
    let mut latest = agent.follow();
    latest.mark_changed();
    // Without an interval a reader takes what comes.
    let onlooker = (!interval.is_zero()).then(|| agent.look_on(interval));
    let state = State {
        latest,
        interval,
        stop,
        due: Instant::now(),
        _permit: permit,
        _onlooker: onlooker,
    };
    futures_util::stream::unfold(state, next)
}

async fn next(mut state: State) -> Option<(Arc<LiveSample>, State)> {
    let early = state.interval / 2;
    loop {
        let may_give = state.due.checked_sub(early).unwrap_or(state.due);
        tokio::select! {
            () = state.stop.cancelled() => return None,
            () = tokio::time::sleep_until(may_give) => {}
        }
        tokio::select! {
            () = state.stop.cancelled() => return None,
            changed = state.latest.changed() => changed.ok()?,
        }
        let sample = state.latest.borrow_and_update().sample.clone();
        if let Some(sample) = sample {
            // Due times keep to a grid; a stream that had to wait starts a new one.
            let now = Instant::now();
            state.due = if now > state.due + state.interval {
                now
            } else {
                state.due
            } + state.interval;
            return Some((sample, state));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use nodeglass_model::{Sample, UnixMillis};
    use nodeglass_store::{AgentKey, AgentRecord, TokenHash};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::live::Live;

    /// The timestamps that a stream gives of samples that come every `every` for a minute.
    async fn given(interval: Duration, every: Duration) -> Vec<i64> {
        let id = "host".parse().unwrap();
        let agent = Live::default().admit(&AgentRecord {
            key: AgentKey(1),
            id,
            token: TokenHash([0; 32]),
            system_info: None,
        });
        let stop = CancellationToken::new();
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let stream = samples(&agent, interval, stop.clone(), permit);
        let sender = tokio::spawn(async move {
            let began = Instant::now();
            while began.elapsed() < Duration::from_mins(1) {
                let timestamp = UnixMillis(i64::try_from(began.elapsed().as_millis()).unwrap());
                agent.show(Sample {
                    timestamp,
                    ..Default::default()
                });
                tokio::time::sleep(every).await;
            }
            stop.cancel();
        });
        let found = stream.map(|live| live.sample.timestamp.0).collect().await;
        sender.await.unwrap();
        found
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_at_the_pace_of_the_samples_has_every_one() {
        assert_eq!(
            given(Duration::from_secs(5), Duration::from_millis(4_990))
                .await
                .len(),
            13
        );
        assert_eq!(
            given(Duration::from_secs(5), Duration::from_millis(5_010))
                .await
                .len(),
            12
        );
        assert_eq!(given(Duration::ZERO, Duration::from_secs(1)).await.len(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slower_stream_has_one_in_each_interval() {
        let found = given(Duration::from_secs(10), Duration::from_secs(1)).await;
        assert!((6..=7).contains(&found.len()), "{found:?}");
    }
}
