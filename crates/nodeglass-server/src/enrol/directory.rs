//! Whose each key is, in memory: what was asked once is known until it is revoked, while the database is away, too.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use nodeglass_store::{AgentKey, KeyHash, Revocation, Store, StoreError};

use crate::live::{Live, LiveAgent};

/// All keys that are known, and up to where revocations are.
#[derive(Debug)]
pub(super) struct Directory(RwLock<Keys>);

#[derive(Debug, Default)]
struct Keys {
    agents: HashMap<KeyHash, Arc<LiveAgent>>,
    /// The number of the last revocation that was looked at.
    revoked_to: i64,
}

impl Directory {
    /// Reads the keys of the agents that `live` has.
    pub(super) async fn read(store: &dyn Store, live: &Live) -> Result<Self, StoreError> {
        // In this order: a key that is revoked meanwhile is found among the revocations.
        let revoked_to = store.last_revocation().await?;
        let by_key: HashMap<AgentKey, _> = live.all().into_iter().map(|agent| (agent.key, agent)).collect();
        let keys = store.agent_keys().await?.into_iter();
        let agents = keys.filter_map(|(agent, key)| Some((key, by_key.get(&agent)?.clone())));
        Ok(Self(RwLock::new(Keys {
            agents: agents.collect(),
            revoked_to,
        })))
    }

    /// Whose a key is, if that is known.
    pub(super) fn find(&self, key: KeyHash) -> Option<Arc<LiveAgent>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.agents.get(&key).cloned()
    }

    /// Asks the store whose a key is, and remembers it.
    pub(super) async fn ask(
        &self,
        store: &dyn Store,
        live: &Live,
        key: KeyHash,
    ) -> Result<Option<Arc<LiveAgent>>, StoreError> {
        loop {
            let before = self.revoked_to();
            let Some(record) = store.agent_by_key(key).await? else {
                return Ok(None);
            };
            let agent = live.admit(&record);
            let mut keys = self.write();
            // What was revoked since the question is not in its answer.
            if keys.revoked_to == before {
                keys.agents.insert(key, agent.clone());
                return Ok(Some(agent));
            }
        }
    }

    /// The number of the last revocation that was looked at.
    pub(super) fn revoked_to(&self) -> i64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).revoked_to
    }

    /// Forgets keys that were revoked; gives them with the agents whose they were.
    pub(super) fn revoke(&self, revocations: &[Revocation]) -> Vec<(KeyHash, Arc<LiveAgent>)> {
        let mut keys = self.write();
        let mut gone = Vec::new();
        for revocation in revocations {
            keys.revoked_to = keys.revoked_to.max(revocation.number);
            let agent = keys.agents.remove(&revocation.key);
            gone.extend(agent.map(|agent| (revocation.key, agent)));
        }
        gone
    }

    /// Forgets what is known of agents, so that the store is asked again: another name, or none.
    pub(super) fn forget(&self, agents: &HashSet<AgentKey>) {
        self.write()
            .agents
            .retain(|_, agent| !agents.contains(&agent.key));
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
