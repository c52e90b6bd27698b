//! The live store: every agent with its state and its latest sample, in memory.
//!
//! Readers take what is there or wait for the next sample; a slow reader misses samples, never the latest, and holds
//! nobody up. A sample is turned into text once, for all readers ([`LiveSample`]); the last few are kept for those who
//! come back ([`Ring`]), as long as there are such.

mod agent;
mod hot;
mod presence;
mod profile;
mod ring;
mod sample;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use nodeglass_model::AgentId;
use nodeglass_store::{AgentKey, AgentRecord};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use agent::{Cloned, Latest, LiveAgent, Onlooker, Overview};
use hot::Hot;
pub(crate) use hot::Place;
pub use profile::Profile;
use ring::Ring;
pub use sample::LiveSample;
pub(crate) use sample::named;

/// How often samples are let go that were kept for readers who did not come back.
const SWEEP: Duration = Duration::from_secs(10);
/// How long one that was forgotten can't be brought back: longer than it takes to open a session, or to list agents.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// All agents.
#[derive(Debug)]
pub struct Live {
    agents: RwLock<BTreeMap<AgentId, Arc<LiveAgent>>>,
    names: RwLock<Names>,
    making: u64,
    order: Arc<Order>,
    hot: Arc<Hot>,
    /// How often an agent was added.
    admitted: AtomicU64,
}

/// The order in which samples of all agents are shown. Who has its number so far can see all of them.
#[derive(Debug, Default)]
pub(crate) struct Order(AtomicU64);

impl Order {
    /// The next place. It is taken while nobody can read the agent's latest sample, so that whoever knows of it finds the sample there.
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn last(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Which agent is meant, by other things than its name.
#[derive(Debug, Default)]
struct Names {
    by_key: HashMap<AgentKey, AgentId>,
    /// Names that agents had before.
    former: HashMap<AgentId, AgentKey>,
    /// Agents that were forgotten a moment ago: who was let in before that must not bring them back.
    forgotten: HashMap<AgentKey, Instant>,
}

impl Default for Live {
    fn default() -> Self {
        // Without randomness a client may take an answer of the server before for one of this one.
        let making = getrandom::u64().unwrap_or_default();
        Self {
            agents: RwLock::default(),
            names: RwLock::default(),
            making,
            order: Arc::default(),
            hot: Arc::default(),
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

    /// Which figures are kept of all agents.
    pub(crate) fn hot(&self) -> &Hot {
        &self.hot
    }

    /// How often an agent was added, so that it can be seen whether one was.
    pub fn admitted(&self) -> u64 {
        self.admitted.load(Ordering::Relaxed)
    }

    /// The agent of that name.
    pub fn find(&self, id: &str) -> Option<Arc<LiveAgent>> {
        self.agents
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    fn has(&self, id: &str) -> bool {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        agents.contains_key(id)
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

    /// Whether all of these agents are known, and of each what is said of it.
    pub(crate) fn has_learnt_all(&self, keys: &[AgentKey]) -> bool {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        let names = self.names();
        keys.iter().all(|key| names.by_key.contains_key(key))
            && agents.values().all(|agent| agent.is_learnt())
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
                () = tokio::time::sleep(SWEEP) => {
                    self.hot.sweep();
                    self.after(None, |agent| {
                        agent.sweep();
                        true
                    });
                }
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

    /// Makes an enrolled agent known, if it is not yet. One that was renamed since the record was read is the same; one that
    /// was forgotten a moment ago is gone, and in no list.
    pub fn admit(&self, record: &AgentRecord) -> Arc<LiveAgent> {
        let mut agents = self.write();
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = names.by_key.get(&record.key).and_then(|id| agents.get(id)) {
            return agent.clone();
        }
        names.forgotten.retain(|_, at| at.elapsed() < FORGOTTEN);
        if names.forgotten.contains_key(&record.key) {
            let gone = LiveAgent::new(record, self.order.clone(), self.hot.clone());
            gone.gone().cancel();
            return Arc::new(gone);
        }
        names.by_key.insert(record.key, record.id.clone());
        agents
            .entry(record.id.clone())
            .or_insert_with(|| {
                self.admitted.fetch_add(1, Ordering::Relaxed);
                Arc::new(LiveAgent::new(record, self.order.clone(), self.hot.clone()))
            })
            .clone()
    }

    /// Makes an agent known that was enrolled just now, if need be again: that it was forgotten before is over.
    pub fn admit_enrolled(&self, record: &AgentRecord) -> Arc<LiveAgent> {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.forgotten.remove(&record.key);
        drop(names);
        self.admit(record)
    }

    /// The agent of that key.
    pub fn of_key(&self, key: AgentKey) -> Option<Arc<LiveAgent>> {
        let id = self.names().by_key.get(&key)?.clone();
        self.find(id.as_str())
    }

    /// The agent that had that name before, unless another has it now.
    pub fn renamed(&self, id: &str) -> Option<Arc<LiveAgent>> {
        if self.has(id) {
            return None;
        }
        let key = *self.names().former.get(id)?;
        self.of_key(key)
    }

    /// Says which names an agent had before.
    pub(crate) fn set_aliases(&self, key: AgentKey, former: &[AgentId]) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.former.retain(|_, of| *of != key);
        names.former.extend(former.iter().map(|name| (name.clone(), key)));
    }

    /// Gives an agent another name. Whoever has it under the old one sees it end.
    pub(crate) fn rename(&self, agent: &LiveAgent, id: AgentId) -> Arc<LiveAgent> {
        let mut agents = self.write();
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let renamed = Arc::new(agent.renamed(id.clone()));
        agents.remove(&agent.id);
        agents.insert(id.clone(), renamed.clone());
        names.by_key.insert(agent.key, id);
        drop((agents, names));
        agent.leave(false);
        renamed
    }

    /// Takes an agent out. Whoever has it sees it end.
    pub(crate) fn forget(&self, agent: &LiveAgent, is_erased: bool) {
        let mut agents = self.write();
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        agents.remove(&agent.id);
        names.by_key.remove(&agent.key);
        names.former.retain(|_, of| *of != agent.key);
        names.forgotten.insert(agent.key, Instant::now());
        drop((agents, names));
        agent.leave(is_erased);
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<AgentId, Arc<LiveAgent>>> {
        self.agents.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }
}
