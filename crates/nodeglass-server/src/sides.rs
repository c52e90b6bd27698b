//! Keeps what agents say of their sides of the ledger, so that a restart of the server does not forget it: once a minute
//! what every agent said last, soon what is news, and at the end whatever is left. Many agents share a statement, since
//! one for each of them would cost the database more than their samples do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nodeglass_runtime::telemetry::chain;
use nodeglass_store::{AgentKey, Store};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::live::LiveAgent;

/// How often they are kept while nothing of note happens.
const EVERY: Duration = Duration::from_mins(1);
/// How long news are gathered: sessions that end together, or gaps that many agents have for the same reason.
const GATHER: Duration = Duration::from_secs(1);
/// Agents in one statement: some hundred kilobytes.
const GROUP: usize = 500;

/// Which agents have said something that is not kept yet.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    waiting: Mutex<Waiting>,
    news: Notify,
    open: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// To be kept with the next round.
    said: HashMap<AgentKey, Arc<LiveAgent>>,
    /// To be kept soon.
    news: HashMap<AgentKey, Arc<LiveAgent>>,
}

/// An open session of an agent. What the agent said last is kept soon after it is dropped.
#[derive(Debug)]
pub(crate) struct Speaker {
    sides: Arc<Sides>,
    agent: Arc<LiveAgent>,
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.said(true);
        self.sides.open.fetch_sub(1, Ordering::Release);
        self.sides.news.notify_one();
    }
}

impl Speaker {
    /// Notes that the agent has said something, and whether it is news.
    pub(crate) fn said(&self, is_news: bool) {
        let mut waiting = self.sides.waiting();
        let Waiting { said, news } = &mut *waiting;
        if !is_news {
            said.entry(self.agent.key).or_insert_with(|| self.agent.clone());
        } else if news.insert(self.agent.key, self.agent.clone()).is_none() && news.len() == 1 {
            self.sides.news.notify_one();
        }
    }
}

impl Sides {
    /// For a session that begins.
    pub(crate) fn open(self: &Arc<Self>, agent: &Arc<LiveAgent>) -> Speaker {
        self.open.fetch_add(1, Ordering::Relaxed);
        Speaker {
            sides: self.clone(),
            agent: agent.clone(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps them until `stop`, and then until every session has ended and what was said last is kept.
    pub(crate) async fn run(self: Arc<Self>, store: Arc<dyn Store>, stop: CancellationToken) {
        let mut keeper = Keeper {
            store,
            is_failing: false,
        };
        let mut next = Instant::now() + EVERY;
        while !stop.is_cancelled() {
            let is_round = tokio::select! {
                () = tokio::time::sleep_until(next) => true,
                () = self.news.notified() => false,
                () = stop.cancelled() => break,
            };
            if is_round {
                next = Instant::now() + EVERY;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    () = stop.cancelled() => break,
                }
            }
            let taken = self.take(is_round);
            keeper.keep(taken, &stop).await;
        }
        while self.open.load(Ordering::Acquire) > 0 {
            self.news.notified().await;
        }
        keeper.keep(self.take(true), &stop).await;
    }

    /// Takes what is to be kept now: news, and with a round everything.
    fn take(&self, is_round: bool) -> Vec<Arc<LiveAgent>> {
        let mut waiting = self.waiting();
        let mut taken = std::mem::take(&mut waiting.news);
        if is_round {
            taken.extend(std::mem::take(&mut waiting.said));
        } else {
            waiting.said.retain(|agent, _| !taken.contains_key(agent));
        }
        // Of one that was forgotten with all that was of it nothing is to come back.
        let said = taken.into_values();
        said.filter(|agent| !agent.is_erased()).collect()
    }
}

struct Keeper {
    store: Arc<dyn Store>,
    is_failing: bool,
}

impl Keeper {
    /// One try is enough: it is said again with the next heartbeat.
    async fn keep(&mut self, agents: Vec<Arc<LiveAgent>>, stop: &CancellationToken) {
        for group in agents.chunks(GROUP) {
            let said = group.iter().filter_map(|agent| {
                let side = serde_json::to_string(&agent.side()?).expect("a ledger has only text keys");
                Some((agent.key, side))
            });
            let said: Vec<_> = said.collect();
            if said.is_empty() {
                continue;
            }
            match self.store.save_agent_sides(&said).await {
                Ok(()) if self.is_failing => {
                    self.is_failing = false;
                    info!("the agents' sides of the ledger are kept again");
                }
                Ok(()) => {}
                Err(error) => {
                    if !self.is_failing || stop.is_cancelled() {
                        warn!(error = %chain(&error), "the agents' sides of the ledger are not kept; trying again each minute");
                    }
                    self.is_failing = true;
                    // The others would fare no better.
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::UnixMillis;
    use nodeglass_proto::v1::Heartbeat;
    use nodeglass_store::AgentRecord;

    use super::*;
    use crate::live::Live;

    async fn kept(store: &Arc<dyn Store>) -> usize {
        store.agent_sides().await.unwrap().len()
    }

    #[tokio::test]
    async fn news_are_kept_soon_and_the_rest_at_the_end_of_the_last_session() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", directory.path().display());
        let store = nodeglass_store::open(&url).await.unwrap();
        let (live, sides, stop) = (Live::default(), Arc::<Sides>::default(), CancellationToken::new());
        let mut speakers = Vec::new();
        for number in 0..GROUP as u16 + 20 {
            let id = format!("host-{number}").parse().unwrap();
            let key = store.enrol_agent(&id, UnixMillis(0)).await.unwrap();
            let system_info = None;
            let agent = live.admit(&AgentRecord { key, id, system_info });
            let sampled = u64::from(number);
            let heartbeat = Heartbeat {
                sampled,
                ..Default::default()
            };
            agent.change_side(|side| side.update(heartbeat));
            speakers.push(sides.open(&agent));
        }
        let running = tokio::spawn(sides.clone().run(store.clone(), stop.clone()));
        let began = Instant::now();
        for (number, speaker) in speakers.iter().enumerate() {
            speaker.said(number < 10);
        }
        while kept(&store).await < 10 {
            assert!(began.elapsed() < EVERY / 2, "news are kept soon");
            tokio::time::sleep(GATHER / 10).await;
        }
        assert_eq!(kept(&store).await, 10, "what is none waits for the round");
        let last = speakers.split_off(1);
        stop.cancel();
        drop(last);
        tokio::task::yield_now().await;
        assert!(!running.is_finished(), "a session may have something to say yet");
        drop(speakers);
        running.await.unwrap();
        assert_eq!(kept(&store).await, GROUP + 20);
        store.close().await;
    }
}
