//! A reader's stream of one agent's samples: what is there now, then each new one, at most one in each interval. That of many
//! agents is [`feed()`].

mod feed;
mod places;
mod view;
mod watched;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use nodeglass_model::SampleId;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::live::{Latest, LiveAgent, LiveSample, Onlooker};

pub use feed::{Choice, Event, FeedWish, News, Seen, Shape, feed};
pub use places::{Books, Place, Places};
pub use view::View;
pub(crate) use view::filter;
pub(crate) use watched::watched;

/// What a reader wants.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// At most one sample in this time; zero for all of them.
    pub interval: Duration,
    /// The last sample that the reader has seen, if it comes back. What it missed since is given first, if it is known.
    pub seen: Option<SampleId>,
    /// How often a silent stream gives a sign of life; `None` for never.
    pub sign_of_life: Option<Duration>,
}

struct State {
    latest: watch::Receiver<Latest>,
    /// What the reader missed, to be given first.
    missed: VecDeque<Arc<LiveSample>>,
    wish: Wish,
    stop: CancellationToken,
    /// There is no agent of that name any more.
    gone: CancellationToken,
    /// When the next sample may be given; `None` for as soon as it comes, which the others then keep time with.
    due: Option<Instant>,
    /// Whether what is given first was there before the reader.
    is_old: bool,
    place: Place,
    _onlooker: Option<Onlooker>,
}

/// The stream; `None` among its samples is a sign of life. It ends at `stop`, or with the agent, and gives its place back when it is dropped.
///
/// While it is read its agent is asked for samples as often as the interval says.
///
/// Samples and intervals never keep quite the same time: a sample that comes up to half an interval early counts for
/// it, so that a stream at the agent's own pace has every sample.
pub fn samples(
    agent: &Arc<LiveAgent>,
    wish: Wish,
    stop: CancellationToken,
    place: Place,
) -> impl Stream<Item = Option<Arc<LiveSample>>> + Send + use<> {
    let (mut latest, missed) = agent.follow(wish.seen);
    let is_old = missed.is_none() && latest.borrow().sample.is_some();
    if missed.is_none() {
        latest.mark_changed();
    }
    // Without an interval a reader takes what comes.
    let onlooker = (!wish.interval.is_zero()).then(|| agent.look_on(wish.interval));
    let state = State {
        latest,
        missed: spaced(missed.unwrap_or_default(), wish.interval),
        wish,
        stop,
        gone: agent.gone().clone(),
        due: None,
        is_old,
        place,
        _onlooker: onlooker,
    };
    futures_util::stream::unfold(state, next)
}

/// Of samples that were missed, as many as the interval allows. The newest is among them.
pub(crate) fn spaced(missed: Vec<Arc<LiveSample>>, interval: Duration) -> VecDeque<Arc<LiveSample>> {
    let mut kept: VecDeque<Arc<LiveSample>> = VecDeque::new();
    for live in missed.into_iter().rev() {
        let until = live.timestamp.plus(interval / 2);
        if kept.front().is_none_or(|later| until <= later.timestamp) {
            kept.push_front(live);
        }
    }
    kept
}

async fn next(mut state: State) -> Option<(Option<Arc<LiveSample>>, State)> {
    state.place.taken();
    if let Some(live) = state.missed.pop_front() {
        return Some((Some(live), state.give()));
    }
    let early = state.wish.interval / 2;
    let alive_until = state.wish.sign_of_life.map(|every| Instant::now() + every);
    let silence = async {
        match alive_until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(silence);
    loop {
        tokio::select! {
            () = state.stop.cancelled() => return None,
            () = state.gone.cancelled() => return None,
            changed = state.latest.changed() => changed.ok()?,
            () = &mut silence => return Some((None, state.give())),
        }
        // At the agent's own pace it is due when it comes, so that no timer is needed.
        let may_give = state.due.map(|due| due.checked_sub(early).unwrap_or(due));
        if let Some(may_give) = may_give.filter(|at| *at > Instant::now()) {
            state.latest.mark_changed();
            tokio::select! {
                () = state.stop.cancelled() => return None,
                () = state.gone.cancelled() => return None,
                () = tokio::time::sleep_until(may_give) => continue,
                () = &mut silence => return Some((None, state.give())),
            }
        }
        let sample = state.latest.borrow_and_update().sample.clone();
        if let Some(sample) = sample {
            // Due times keep to a grid; a stream that had to wait starts a new one. What was there before says nothing of when
            // samples come.
            if !std::mem::take(&mut state.is_old) {
                let now = Instant::now();
                let on_grid = state.due.filter(|due| now <= *due + state.wish.interval);
                state.due = Some(on_grid.unwrap_or(now) + state.wish.interval);
            }
            return Some((Some(sample), state.give()));
        }
    }
}

impl State {
    fn give(self) -> Self {
        self.place.given();
        self
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use nodeglass_model::{Sample, UnixMillis};
    use nodeglass_store::{AgentKey, AgentRecord};

    use super::*;
    use crate::live::Live;

    fn agent() -> Arc<LiveAgent> {
        Live::default().admit(&AgentRecord {
            key: AgentKey(1),
            id: "host".parse().unwrap(),
            system_info: None,
        })
    }

    fn place() -> Place {
        Places::new(1).take(None).unwrap()
    }

    /// Shows a sample of so many seconds.
    fn show(agent: &LiveAgent, second: u64) {
        let sample = Sample {
            timestamp: UnixMillis(second as i64 * 1000),
            ..Default::default()
        };
        agent.show(
            SampleId {
                epoch: 1,
                seq: second,
            },
            sample,
        );
    }

    /// The timestamps that a stream gives of samples that come every `every` for a minute.
    async fn given(interval: Duration, every: Duration) -> Vec<i64> {
        let agent = agent();
        let stop = CancellationToken::new();
        let wish = Wish {
            interval,
            ..Default::default()
        };
        let stream = samples(&agent, wish, stop.clone(), place());
        let sender = tokio::spawn(async move {
            let began = Instant::now();
            while began.elapsed() < Duration::from_mins(1) {
                let timestamp = UnixMillis(i64::try_from(began.elapsed().as_millis()).unwrap());
                let sample = Sample {
                    timestamp,
                    ..Default::default()
                };
                agent.show(SampleId { epoch: 1, seq: 1 }, sample);
                tokio::time::sleep(every).await;
            }
            stop.cancel();
        });
        let found = stream.map(|live| live.unwrap().timestamp.0).collect().await;
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

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_shortly_before_a_sample_has_it_and_the_others_at_once() {
        let agent = agent();
        show(&agent, 1);
        for early in [100, 400, 900] {
            let wish = Wish {
                interval: Duration::from_secs(1),
                ..Default::default()
            };
            let stream = samples(&agent, wish, CancellationToken::new(), place());
            let mut stream = std::pin::pin!(stream);
            assert!(stream.next().await.is_some());
            tokio::time::sleep(Duration::from_millis(early)).await;
            for second in 2..5 {
                show(&agent, second);
                let began = Instant::now();
                assert_eq!(stream.next().await.unwrap().unwrap().id.unwrap().seq, second);
                assert_eq!(began.elapsed(), Duration::ZERO, "{early} ms, sample {second}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// The seconds of the samples that a reader is given within half a second.
    async fn given_at_once(agent: &Arc<LiveAgent>, interval: u64, seen: u64) -> Vec<u64> {
        let seen = SampleId { epoch: 1, seq: seen };
        let wish = Wish {
            interval: Duration::from_secs(interval),
            seen: Some(seen),
            ..Default::default()
        };
        let stream = samples(agent, wish, CancellationToken::new(), place());
        let soon = stream.take_until(tokio::time::sleep(Duration::from_millis(499)));
        soon.map(|live| live.unwrap().id.unwrap().seq).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_comes_back_has_what_it_missed() {
        let agent = agent();
        show(&agent, 1);
        // Nobody read so far, so nothing is known but the latest.
        assert_eq!(given_at_once(&agent, 1, 0).await, [1]);
        for second in 2..=9 {
            show(&agent, second);
        }
        assert_eq!(given_at_once(&agent, 1, 4).await, [5, 6, 7, 8, 9]);
        assert_eq!(given_at_once(&agent, 4, 1).await, [3, 5, 7, 9]);
        assert_eq!(
            given_at_once(&agent, 1, 9).await,
            [0_u64; 0],
            "it has all of them"
        );
        assert_eq!(
            given_at_once(&agent, 1, 100).await,
            [9],
            "of that it knows nothing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn samples_are_kept_for_readers_only() {
        let agent = agent();
        given_at_once(&agent, 1, 0).await;
        show(&agent, 1);
        assert_eq!(given_at_once(&agent, 1, 0).await, [1]);
        tokio::time::advance(Duration::from_mins(2)).await;
        show(&agent, 2);
        show(&agent, 3);
        assert_eq!(given_at_once(&agent, 1, 1).await, [3], "the second is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn several_readers_of_an_agent_share_one_text_for_each_sample() {
        let agent = agent();
        show(&agent, 1);
        let places = Places::new(50);
        let readers: Vec<_> = (0..50)
            .map(|_| {
                let place = places.take(None).unwrap();
                let stream = samples(&agent, Wish::default(), CancellationToken::new(), place);
                tokio::spawn(
                    stream
                        .take(4)
                        .map(|live| live.unwrap().event())
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        for second in 2..=4 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            show(&agent, second);
        }
        // Kept till the end, so that no two can lie at the same place one after the other.
        let mut events = Vec::new();
        for reader in readers {
            events.extend(reader.await.unwrap());
        }
        let made: std::collections::HashSet<_> = events.iter().map(|event| event.as_ptr()).collect();
        assert_eq!((events.len(), made.len()), (200, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_shows_that_it_is_alive() {
        let agent = agent();
        let wish = Wish {
            sign_of_life: Some(Duration::from_secs(15)),
            ..Default::default()
        };
        let stream = samples(&agent, wish, CancellationToken::new(), place());
        let minute = stream.take_until(tokio::time::sleep(Duration::from_secs(59)));
        assert!(minute.map(|live| live.is_none()).collect::<Vec<_>>().await == [true; 3]);
    }
}
