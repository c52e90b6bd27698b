//! What happens to agents, for those who ask later: noted at once, kept a little after by a task of its own.
//!
//! Noting never waits and never fails: what finds no room is counted and let go, so that a fleet that comes back at once
//! floods neither memory nor database. Whoever follows live has each event the moment it is noted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use nodeglass_model::Clock;
use nodeglass_runtime::backoff::Backoff;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::registry::EventRecord;
use nodeglass_store::{AgentKey, Store, StoreError};
use serde_json::Value;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::live::LiveAgent;

/// Events that wait to be kept: a fleet of 10,000 that comes at once, less than 3 MiB.
const QUEUE: usize = 10_000;
/// Events in one statement.
const GROUP: usize = 500;
/// The pause between two statements, so that a flood of events is a trickle for the database.
const PAUSE: Duration = Duration::from_millis(500);
/// Events of one agent that are kept within a minute: more than any has that is well, few enough of one that is not.
const PER_MINUTE: u32 = 30;
/// Events of one agent that are kept at all.
const PER_AGENT: u32 = 1_000;
/// How often what is too old or too much is removed.
const PRUNE: Duration = Duration::from_mins(1);
/// Rows that one statement removes.
const PRUNE_ROWS: u32 = 1_000;
/// Agents looked at for too many events each time.
const PRUNE_AGENTS: usize = 100;
/// Events that a follower may be behind.
const FOLLOW: usize = 1_024;
/// The pause after a first failure to keep events, and the longest one.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long the last events may take, once the server is told to stop.
const LAST: Duration = Duration::from_secs(2);

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)+) => {
        /// What can happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Its name for programs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }
        }
    };
}

kinds! {
    /// An agent opened a session.
    Connected = "connected",
    /// An agent said goodbye, or was sent away.
    Disconnected = "disconnected",
    /// An agent vanished without a word.
    Lost = "lost",
    /// The agent's program was started anew.
    Restarted = "restarted",
    /// Its host was started anew.
    Rebooted = "rebooted",
    /// Its clock was set.
    ClockStepped = "clock_stepped",
    /// Its program has another version.
    Upgraded = "upgraded",
    /// It was enrolled.
    Enrolled = "enrolled",
    /// It was given another name.
    Renamed = "renamed",
    /// It was taken out.
    Forgotten = "forgotten",
    /// Its labels were changed.
    LabelsChanged = "labels_changed",
    /// What is asked of it was changed.
    SettingsChanged = "settings_changed",
    /// It could not do all that is asked of it.
    SettingsRefused = "settings_refused",
    /// Two hosts have its identity.
    Cloned = "cloned",
    /// Its enrolment was revoked.
    Revoked = "revoked",
    /// Samples are missing for good.
    Gap = "gap",
    /// A group was made, changed or removed.
    GroupChanged = "group_changed",
    /// The server was started.
    ServerStarted = "server_started",
}

/// Where events are noted.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Sender<EventRecord>,
    followers: broadcast::Sender<Arc<EventRecord>>,
    clock: Arc<dyn Clock>,
    last: AtomicI64,
    dropped: Arc<AtomicU64>,
    started: Instant,
}

impl Events {
    /// Where events are noted, and the task that keeps them in `store`, for so long.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, keep: Duration) -> (Arc<Self>, EventKeeper) {
        let (queue, events) = mpsc::channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let keeper = EventKeeper {
            store,
            clock: clock.clone(),
            keep,
            events,
            dropped: dropped.clone(),
            minute: Instant::now(),
            in_minute: HashMap::new(),
            touched: HashSet::new(),
        };
        let noted = Arc::new(Self {
            queue,
            followers: broadcast::Sender::new(FOLLOW),
            clock,
            last: AtomicI64::new(0),
            dropped,
            started: Instant::now(),
        });
        (noted, keeper)
    }

    /// Notes what happened to an agent, with more of it as an object, or null.
    pub fn note(&self, agent: &LiveAgent, kind: Kind, detail: &Value) {
        self.add(Some(agent.key), Some(agent.id.to_string()), kind, detail);
    }

    /// Notes what happened to the server, or to an agent of that name that there is no more.
    pub fn note_of(&self, name: Option<&str>, kind: Kind, detail: &Value) {
        self.add(None, name.map(str::to_owned), kind, detail);
    }

    fn add(&self, agent: Option<AgentKey>, name: Option<String>, kind: Kind, detail: &Value) {
        let at = self.clock.now();
        let event = EventRecord {
            id: self.number(at.0),
            at,
            agent,
            name,
            kind: kind.name().to_owned(),
            detail: (!detail.is_null()).then(|| detail.to_string()),
        };
        if self.followers.receiver_count() > 0 {
            // Nobody may follow any more by now.
            let _ = self.followers.send(Arc::new(event.clone()));
        }
        if self.queue.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A number that is higher than those before, over restarts too: of its moment, with room for 4,096 in each millisecond.
    /// JavaScript holds it exactly.
    fn number(&self, millis: i64) -> i64 {
        let least = millis << 12;
        let next = |last: i64| Some((last + 1).max(least));
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        (before.unwrap_or_default() + 1).max(least)
    }

    /// Follows what happens from now on; who is too slow misses some.
    pub fn follow(&self) -> broadcast::Receiver<Arc<EventRecord>> {
        self.followers.subscribe()
    }

    /// Events that were not kept: there was no room, or there were too many of one agent.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether the server was started so lately that agents come back because of that.
    pub fn is_young(&self) -> bool {
        /// A fleet of 10,000 is back within half a minute; one whose agents waited long for us, within another.
        const YOUNG: Duration = Duration::from_mins(2);
        self.started.elapsed() < YOUNG
    }
}

/// The task that keeps events.
#[derive(Debug)]
pub struct EventKeeper {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keep: Duration,
    events: mpsc::Receiver<EventRecord>,
    dropped: Arc<AtomicU64>,
    /// When the minute began that is counted.
    minute: Instant,
    in_minute: HashMap<AgentKey, u32>,
    /// Agents that had events since they were last looked at for too many.
    touched: HashSet<AgentKey>,
}

impl EventKeeper {
    /// Keeps events until `stop`, and those then that are left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let (mut group, mut is_failing) = (Vec::new(), false);
        let mut prune_at = Instant::now() + PRUNE;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(prune_at), if group.is_empty() => {
                    prune_at = Instant::now() + PRUNE;
                    if let Err(error) = self.prune().await {
                        debug!(error = %chain(&error), "old events are not removed; trying again in a minute");
                    }
                    continue;
                }
                _ = self.events.recv_many(&mut group, GROUP), if group.is_empty() => self.thin_out(&mut group),
                () = std::future::ready(()), if !group.is_empty() => {}
            }
            let pause = match self.store.add_events(&group).await {
                Ok(()) => {
                    if std::mem::take(&mut is_failing) {
                        info!("events are kept again");
                    }
                    backoff.reset();
                    group.clear();
                    PAUSE
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(error = %chain(&error), "events are not kept; trying again");
                    }
                    backoff.next_delay()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        let last = async {
            loop {
                if !group.is_empty() && self.store.add_events(&group).await.is_err() {
                    return;
                }
                group.clear();
                while group.len() < GROUP
                    && let Ok(event) = self.events.try_recv()
                {
                    group.push(event);
                }
                if group.is_empty() {
                    return;
                }
            }
        };
        // Whoever still asks at the end is told of most.
        let _ = tokio::time::timeout(LAST, last).await;
    }

    /// Lets go of what an agent has too much of: one that flaps tells nothing new with each turn.
    fn thin_out(&mut self, group: &mut Vec<EventRecord>) {
        if self.minute.elapsed() >= Duration::from_mins(1) {
            self.minute = Instant::now();
            self.in_minute.clear();
        }
        group.retain(|event| {
            let Some(agent) = event.agent else { return true };
            let count = self.in_minute.entry(agent).or_default();
            *count += 1;
            let is_kept = *count <= PER_MINUTE;
            if is_kept {
                self.touched.insert(agent);
            } else {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            is_kept
        });
    }

    async fn prune(&mut self) -> Result<(), StoreError> {
        let before = self.clock.now().minus(self.keep);
        while self.store.prune_events(before, PRUNE_ROWS).await? == u64::from(PRUNE_ROWS) {
            tokio::time::sleep(PAUSE).await;
        }
        let agents: Vec<_> = self.touched.iter().take(PRUNE_AGENTS).copied().collect();
        for agent in agents {
            self.store.prune_agent_events(agent, PER_AGENT).await?;
            self.touched.remove(&agent);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
