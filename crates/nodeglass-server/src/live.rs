//! The live store: every agent with its state and its latest sample, in memory.
//!
//! Readers take what is there or wait for the next sample; a slow reader misses samples, never the latest, and holds
//! nobody up. A sample is turned into text once, for all readers ([`LiveSample`]); the last few are kept for those who
//! come back ([`Ring`]), as long as there are such.

mod agent;
mod ring;
mod sample;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use nodeglass_model::AgentId;
use nodeglass_store::AgentRecord;
use tokio_util::sync::CancellationToken;

pub use agent::{Cloned, Latest, LiveAgent, Onlooker, Overview};
use ring::Ring;
pub use sample::LiveSample;

/// How often samples are let go that were kept for readers who did not come back.
const SWEEP: Duration = Duration::from_secs(10);

/// All agents.
#[derive(Debug)]
pub struct Live {
    agents: RwLock<BTreeMap<AgentId, Arc<LiveAgent>>>,
    making: u64,
    order: Arc<Order>,
    /// How often an agent was added.
    admitted: AtomicU64,
}

/// The order in which samples of all agents are shown. Who has its number so far can see all of them.
#[derive(Debug, Default)]
pub(crate) struct Order(Mutex<u64>);

impl Order {
    /// Shows the next one.
    fn next(&self, show: impl FnOnce(u64)) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        show(*last + 1);
        *last += 1;
    }

    fn last(&self) -> u64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Live {
    fn default() -> Self {
        // Without randomness a client may take an answer of the server before for one of this one.
        let making = getrandom::u64().unwrap_or_default();
        Self {
            agents: RwLock::default(),
            making,
            order: Arc::default(),
            admitted: AtomicU64::new(0),
        }
    }
}

impl Live {
    /// A number that another server's live store doesn't have: the numbers of samples count from its start.
    pub fn making(&self) -> u64 {
        self.making
    }

    /// The place of the newest sample in the order of all; what has a lower one can be seen.
    pub fn order(&self) -> u64 {
        self.order.last()
    }

    /// How often an agent was added, so that it can be seen whether one was.
    pub fn admitted(&self) -> u64 {
        self.admitted.load(Ordering::Relaxed)
    }

    /// The agent of that name.
    pub fn find(&self, id: &str) -> Option<Arc<LiveAgent>> {
        let id: AgentId = id.parse().ok()?;
        self.agents
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// All agents, by name.
    pub fn all(&self) -> Vec<Arc<LiveAgent>> {
        self.agents
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The agents after one of that name, by name, as long as `wanted` wants more.
    pub fn after(&self, id: Option<&AgentId>, mut wanted: impl FnMut(&Arc<LiveAgent>) -> bool) {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        let start = id.map_or(Bound::Unbounded, Bound::Excluded);
        for agent in agents
            .range::<AgentId, _>((start, Bound::Unbounded))
            .map(|(_, agent)| agent)
        {
            if !wanted(agent) {
                return;
            }
        }
    }

    /// Lets go, until `stop`, of what was kept for readers who did not come back.
    pub async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => self.after(None, |agent| {
                    agent.sweep();
                    true
                }),
                () = stop.cancelled() => {}
            }
        }
    }

    /// The names most like `id` among the agents that may be shown, for error messages.
    pub fn nearest(&self, id: &str, may_show: impl Fn(&LiveAgent) -> bool) -> Vec<String> {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<(f64, &AgentId)> = agents
            .iter()
            .filter(|(_, agent)| may_show(agent))
            .map(|(known, _)| (strsim::jaro_winkler(id, known.as_str()), known))
            .filter(|(likeness, _)| *likeness > 0.7)
            .collect();
        names.sort_by(|a, b| b.0.total_cmp(&a.0));
        names
            .into_iter()
            .take(3)
            .map(|(_, name)| name.to_string())
            .collect()
    }

    /// Makes an enrolled agent known, if it is not yet.
    pub fn admit(&self, record: &AgentRecord) -> Arc<LiveAgent> {
        let mut agents = self.agents.write().unwrap_or_else(PoisonError::into_inner);
        agents
            .entry(record.id.clone())
            .or_insert_with(|| {
                self.admitted.fetch_add(1, Ordering::Relaxed);
                Arc::new(LiveAgent::new(record, self.order.clone()))
            })
            .clone()
    }
}
