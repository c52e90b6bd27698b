//! Agents as people manage them: labels, settings, groups, names, what was forgotten, and what happened.
//!
//! Labels, settings and selectors are JSON here; what they mean is the server's business.

use std::fmt;

use async_trait::async_trait;
use nodeglass_model::{AgentId, TimeRange, UnixMillis};

use crate::{AgentKey, StoreError};

/// What is kept of one agent beside its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its short name.
    pub agent: AgentKey,
    /// When it was enrolled.
    pub enrolled_at: UnixMillis,
    /// Its labels that were said on the server, as JSON.
    pub labels: Option<String>,
    /// What is asked of it alone, as JSON.
    pub settings: Option<String>,
    /// What it last said is in force, as JSON.
    pub report: Option<String>,
    /// What was last seen of it.
    pub seen: Seen,
}

/// What an agent says of itself when it greets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The labels of its own configuration, as JSON.
    pub own_labels: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// The epoch of its samples: another one, and it was started anew.
    pub epoch: Option<u64>,
    /// When its host started, roughly.
    pub booted_at: Option<UnixMillis>,
}

/// A name that an agent had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub id: AgentId,
    /// Whose it was.
    pub agent: AgentKey,
    /// When it was given up.
    pub since: UnixMillis,
}

/// A named selection of agents, with what is asked of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    /// Its name.
    pub name: String,
    /// Of two groups that ask for the same thing, the one with the higher place decides.
    pub place: i32,
    /// Whom it has, as JSON.
    pub selector: String,
    /// What is asked of them, as JSON.
    pub settings: String,
}

/// An agent whose data are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Its short name, which no other agent gets.
    pub agent: AgentKey,
    /// Its name, which another may have by now.
    pub id: AgentId,
    /// When it was forgotten.
    pub at: UnixMillis,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its number, higher than those of all before. One that is there already is left alone.
    pub id: i64,
    /// When.
    pub at: UnixMillis,
    /// To whom; `None` for the server itself, and for an agent that is forgotten.
    pub agent: Option<AgentKey>,
    /// That agent's name at the time.
    pub name: Option<String>,
    /// What.
    pub kind: String,
    /// More of it, as JSON.
    pub detail: Option<String>,
}

/// Which events are wanted.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// Of one agent; `None` for all, and the server's own.
    pub agent: Option<AgentKey>,
    /// Of these kinds; empty for all.
    pub kinds: Vec<String>,
    /// Within this time.
    pub range: TimeRange,
    /// With lower numbers than this one.
    pub before: Option<i64>,
    /// At most so many, the newest.
    pub limit: u32,
}

/// What is known of agents beside their samples.
#[async_trait]
pub trait Registry: Send + Sync + fmt::Debug {
    /// What is kept of one agent, or of all.
    async fn registered(&self, agent: Option<AgentKey>) -> Result<Vec<Registered>, StoreError>;

    /// Former names of agents that there are, the oldest first.
    async fn aliases(&self) -> Result<Vec<Alias>, StoreError>;

    /// Keeps the labels that were said on the server, in place of those before.
    async fn save_labels(&self, agent: AgentKey, json: &str) -> Result<(), StoreError>;

    /// Keeps what is asked of one agent.
    async fn save_settings(&self, agent: AgentKey, json: &str) -> Result<(), StoreError>;

    /// Keeps what an agent says is in force.
    async fn save_report(&self, agent: AgentKey, json: &str) -> Result<(), StoreError>;

    /// Keeps what an agent says of itself.
    async fn save_seen(&self, agent: AgentKey, seen: &Seen) -> Result<(), StoreError>;

    /// Every group, the lowest place first.
    async fn groups(&self) -> Result<Vec<GroupRecord>, StoreError>;

    /// Keeps a group; one of the same name is replaced.
    async fn save_group(&self, group: &GroupRecord) -> Result<(), StoreError>;

    /// Removes a group; `false` if there is none of that name.
    async fn remove_group(&self, name: &str) -> Result<bool, StoreError>;

    /// Gives an agent another name, and remembers the one before.
    ///
    /// # Errors
    /// [`StoreError::AgentExists`] if another agent has it.
    async fn rename_agent(
        &self,
        agent: AgentKey,
        from: &AgentId,
        to: &AgentId,
        at: UnixMillis,
    ) -> Result<(), StoreError>;

    /// Takes an agent out: its enrolment, its labels and settings. Its data are kept, and come back to an agent that is
    /// enrolled under the name, or are erased by [`Registry::erase_data`] step by step. `false` if there is no such agent.
    async fn forget_agent(
        &self,
        agent: AgentKey,
        keeps_data: bool,
        at: UnixMillis,
    ) -> Result<bool, StoreError>;

    /// Agents whose data are still to be erased, those first that were forgotten first.
    async fn being_forgotten(&self) -> Result<Vec<Forgotten>, StoreError>;

    /// Erases at most `limit` rows of each kind of what is of an agent; says how many it was. Nothing else waits for it.
    async fn erase_data(&self, agent: AgentKey, limit: u32) -> Result<u64, StoreError>;

    /// Notes that nothing is left of an agent.
    async fn finish_forgetting(&self, agent: AgentKey, at: UnixMillis) -> Result<(), StoreError>;

    /// Keeps events, some hundreds at a time.
    async fn add_events(&self, events: &[EventRecord]) -> Result<(), StoreError>;

    /// Events, the newest first.
    async fn events(&self, query: &EventQuery) -> Result<Vec<EventRecord>, StoreError>;

    /// Removes at most `limit` events from before a moment; says how many it was.
    async fn prune_events(&self, before: UnixMillis, limit: u32) -> Result<u64, StoreError>;

    /// Removes all but the newest `keep` events of an agent; says how many it was.
    async fn prune_agent_events(&self, agent: AgentKey, keep: u32) -> Result<u64, StoreError>;
}
