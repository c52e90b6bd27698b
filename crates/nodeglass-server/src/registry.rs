//! Agents as things that people manage: what they are called, what is asked of them, and letting go of them.
//!
//! All of it lies in memory, in each agent's [`Profile`](crate::live::Profile), so that lists and selections need no
//! database; every change is kept in the store first.

mod erase;
mod greeting;
pub mod groups;
pub mod labels;
pub mod selector;
pub mod settings;

use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use nodeglass_model::{AgentId, Clock};
use nodeglass_store::registry::Registered;
use nodeglass_store::{Store, StoreError};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::enrol::Registrar;
use crate::error::ApiError;
use crate::events::{Events, Kind};
use crate::live::{Live, LiveAgent};
use groups::{Group, GroupSaid, MAX_GROUPS};
use labels::SaidLabels;
use settings::{AgentSettings, Report, Wanted};

/// How long a session waits for what the store has of its agent; without it, it is as if nothing was said.
const LEARN: Duration = Duration::from_secs(2);
/// Names that an agent may have had before.
const MAX_FORMER: usize = 16;

/// What people do with agents.
#[derive(Debug)]
pub struct Registry {
    live: Arc<Live>,
    store: Arc<dyn Store>,
    registrar: Arc<Registrar>,
    clock: Arc<dyn Clock>,
    events: Arc<Events>,
    /// How often the server's configuration has agents send.
    collection_interval: Option<Duration>,
    /// By their places, the lowest first.
    groups: RwLock<Arc<Vec<Group>>>,
    /// One change at a time, so that none is lost between reading and keeping.
    changing: tokio::sync::Mutex<()>,
    /// Somebody is to be erased.
    erase: Notify,
    /// An agent said what is in force.
    reported: Notify,
    /// What agents said, so that those who said the same share it.
    reports: Mutex<Vec<Weak<Report>>>,
}

impl Registry {
    /// Sets it up; [`Registry::load`] fills it.
    pub fn new(
        live: Arc<Live>,
        store: Arc<dyn Store>,
        registrar: Arc<Registrar>,
        clock: Arc<dyn Clock>,
        events: Arc<Events>,
        collection_interval: Option<Duration>,
    ) -> Self {
        Self {
            live,
            store,
            registrar,
            clock,
            events,
            collection_interval,
            groups: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            erase: Notify::new(),
            reported: Notify::new(),
            reports: Mutex::default(),
        }
    }

    /// One for tests: nobody keeps its events.
    #[cfg(test)]
    pub(crate) async fn of_test(live: Arc<Live>, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let registrar = Arc::new(Registrar::of_test(store.clone(), live.clone(), clock.clone()).await);
        let (events, _) = Events::new(store.clone(), clock.clone(), Duration::from_hours(24));
        Self::new(live, store, registrar, clock, events, None)
    }

    /// Who knows the agents' keys.
    pub fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// Where events are noted.
    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Reads what the store has of all agents.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(&self) -> Result<(), StoreError> {
        let groups = self.store.groups().await?;
        let groups = groups.iter().filter_map(|record| {
            Group::of_record(record)
                .inspect_err(|error| {
                    warn!(
                        group = record.name,
                        error, "a newer server made a group that this one can't read; passed over"
                    );
                })
                .ok()
        });
        self.set_groups(groups.collect());
        self.learn_all().await
    }

    /// Reads what the store has of agents that are not known yet.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn learn_all(&self) -> Result<(), StoreError> {
        let known = self.store.registered(None).await?;
        let aliases = self.store.aliases().await?;
        for known in &known {
            let Some(agent) = self.live.of_key(known.agent) else {
                continue;
            };
            if !agent.is_learnt() {
                let former = aliases.iter().filter(|alias| alias.agent == known.agent);
                let former: Vec<_> = former.map(|alias| alias.id.clone()).collect();
                self.take_over(&agent, known, &former);
            }
        }
        Ok(())
    }

    /// Reads what the store has of one agent, unless it is known; waits a moment for it.
    async fn learn(&self, agent: &LiveAgent) {
        if agent.is_learnt() {
            return;
        }
        let ask = async {
            let known = self.store.registered(Some(agent.key)).await?;
            let aliases = self.store.aliases().await?;
            Ok::<_, StoreError>((known, aliases))
        };
        if let Ok(Ok((known, aliases))) = tokio::time::timeout(LEARN, ask).await
            && let Some(known) = known.first()
        {
            let former = aliases.into_iter().filter(|alias| alias.agent == agent.key);
            let former: Vec<_> = former.map(|alias| alias.id).collect();
            self.take_over(agent, known, &former);
        }
    }

    fn take_over(&self, agent: &LiveAgent, known: &Registered, former: &[AgentId]) {
        agent.change_profile(|profile| {
            profile.load(&agent.id, known);
            profile.former = former.into();
        });
        self.live.set_aliases(agent.key, former);
        self.regroup(agent);
    }

    /// Every group, the lowest first.
    pub fn groups(&self) -> Arc<Vec<Group>> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_groups(&self, mut groups: Vec<Group>) {
        groups.sort_by(|one, other| (one.place, &one.name).cmp(&(other.place, &other.name)));
        *self.groups.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(groups);
    }

    /// Puts an agent into the groups that mean it.
    fn regroup(&self, agent: &LiveAgent) {
        let groups = self.groups();
        let of = groups
            .iter()
            .filter(|group| group.name != groups::ALL && group.choices.means(agent));
        let names: Box<[Arc<str>]> = of.map(|group| Arc::from(group.name.as_str())).collect();
        if agent.profile().groups != names {
            agent.change_profile(|profile| profile.groups.clone_from(&names));
        }
    }

    /// What is asked of an agent, all together.
    pub fn wanted(&self, agent: &LiveAgent) -> Wanted {
        let profile = agent.profile();
        let mut wanted = Wanted::of_server(self.collection_interval);
        for group in self.groups().iter().filter(|group| profile.is_in(&group.name)) {
            wanted.and(&group.settings, &format!("group:{}", group.name));
        }
        if let Some(settings) = &profile.settings {
            wanted.and(settings, "agent");
        }
        wanted
    }

    /// Changes labels of the server's: those that are given, or all of them if `replaces`.
    ///
    /// # Errors
    /// A label that can't be, or a database that does not answer.
    pub async fn label(&self, agent: &LiveAgent, changes: &Changes, replaces: bool) -> Result<(), ApiError> {
        let _turn = self.changing.lock().await;
        let profile = agent.profile();
        let mut said = if replaces {
            SaidLabels::new()
        } else {
            profile.said.clone()
        };
        for (name, value) in changes {
            // One of the agent's own can only be covered.
            if value.is_some() || profile.own.contains_key(name) {
                said.insert(name.clone(), value.clone());
            } else {
                said.remove(name);
            }
        }
        if replaces {
            // What the list does not have is not to be there.
            let hidden = profile.own.keys().filter(|name| !changes.contains_key(*name));
            let hidden: Vec<_> = hidden.cloned().map(|name| (name, None)).collect();
            said.extend(hidden);
        }
        let wrong = |error: nodeglass_model::label::LabelError| ApiError::Parameter {
            name: "labels",
            problem: error.to_string(),
        };
        for (name, value) in changes {
            nodeglass_model::label::check(name, value.as_deref().unwrap_or_default()).map_err(wrong)?;
        }
        labels::check(&said).map_err(wrong)?;
        let json = serde_json::to_string(&said).expect("texts can be written");
        self.store.save_labels(agent.key, &json).await?;
        agent.change_profile(|profile| profile.said = said.clone());
        self.regroup(agent);
        agent.nudge();
        self.events
            .note(agent, Kind::LabelsChanged, &json!({ "labels": *agent.labels() }));
        Ok(())
    }

    /// Says what is asked of an agent alone.
    ///
    /// # Errors
    /// Settings that can't be, or a database that does not answer.
    pub async fn set_settings(
        &self,
        agent: &LiveAgent,
        change: impl FnOnce(&AgentSettings) -> Result<AgentSettings, String>,
    ) -> Result<(), ApiError> {
        let _turn = self.changing.lock().await;
        let before = agent.profile().settings.clone().unwrap_or_default();
        let settings = change(&before).map_err(wrong_settings)?;
        settings.check().map_err(wrong_settings)?;
        let json = serde_json::to_string(&settings).expect("texts and numbers can be written");
        self.store.save_settings(agent.key, &json).await?;
        let kept = (!settings.is_empty()).then(|| Box::new(settings.clone()));
        agent.change_profile(|profile| profile.settings.clone_from(&kept));
        agent.nudge();
        if *before != settings {
            self.events
                .note(agent, Kind::SettingsChanged, &json!({ "settings": settings }));
        }
        Ok(())
    }

    /// Waits until an agent has said what is in force of what is asked of it now; `false` if it does not in time, or is away.
    pub async fn applied(&self, agent: &LiveAgent, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            let reported = self.reported.notified();
            tokio::pin!(reported);
            reported.as_mut().enable();
            if self.is_applied(agent) {
                return true;
            }
            if !agent.is_connected() || tokio::time::timeout_at(until, reported).await.is_err() {
                return false;
            }
        }
    }

    /// Whether an agent has said what is in force of what is asked of it now.
    pub fn is_applied(&self, agent: &LiveAgent) -> bool {
        let revision = self.wanted(agent).revision();
        let profile = agent.profile();
        profile
            .report
            .as_ref()
            .is_some_and(|report| report.revision == revision)
    }

    /// Makes or changes a group.
    ///
    /// # Errors
    /// A group that can't be, too many, or a database that does not answer.
    pub async fn save_group(&self, name: &str, said: &GroupSaid) -> Result<Group, ApiError> {
        let _turn = self.changing.lock().await;
        let group = Group::new(name, said).map_err(|problem| ApiError::Parameter {
            name: "group",
            problem,
        })?;
        let mut groups = Vec::clone(&self.groups());
        groups.retain(|known| known.name != name);
        if groups.len() >= MAX_GROUPS {
            return Err(ApiError::Parameter {
                name: "group",
                problem: format!("there are {MAX_GROUPS} groups already, which is the most"),
            });
        }
        self.store.save_group(&group.to_record()).await?;
        groups.push(group.clone());
        self.change_groups(groups);
        self.events.note_of(
            None,
            Kind::GroupChanged,
            &json!({ "group": name, "agents": group.said().agents, "settings": group.settings }),
        );
        Ok(group)
    }

    /// Removes a group; `false` if there is none of that name.
    ///
    /// # Errors
    /// A database that does not answer.
    pub async fn remove_group(&self, name: &str) -> Result<bool, ApiError> {
        let _turn = self.changing.lock().await;
        let found = self.store.remove_group(name).await?;
        let mut groups = Vec::clone(&self.groups());
        groups.retain(|known| known.name != name);
        self.change_groups(groups);
        if found {
            self.events.note_of(
                None,
                Kind::GroupChanged,
                &json!({ "group": name, "removed": true }),
            );
        }
        Ok(found)
    }

    fn change_groups(&self, groups: Vec<Group>) {
        self.set_groups(groups);
        for agent in self.live.all() {
            self.regroup(&agent);
            agent.nudge();
        }
    }

    /// Gives an agent another name. Its history stays; it goes on in a new session; who asks for the old name is told the
    /// new one until another agent has it.
    ///
    /// # Errors
    /// Another agent has the name, or the database does not answer.
    pub async fn rename(&self, agent: &LiveAgent, name: &AgentId) -> Result<Arc<LiveAgent>, ApiError> {
        let _turn = self.changing.lock().await;
        if agent.id == *name {
            return Err(ApiError::Parameter {
                name: "name",
                problem: format!("the agent is called {name} already"),
            });
        }
        let now = self.clock.now();
        let renamed = self.store.rename_agent(agent.key, &agent.id, name, now).await;
        renamed.map_err(|error| match error {
            StoreError::AgentExists(name) => ApiError::NameTaken(name),
            other => other.into(),
        })?;
        let mut former = agent.profile().former.to_vec();
        former.retain(|known| known != name && *known != agent.id);
        former.push(agent.id.clone());
        if former.len() > MAX_FORMER {
            former.remove(0);
        }
        self.live.set_aliases(agent.key, &former);
        let renamed = self.live.rename(agent, name.clone());
        self.registrar.forget(agent.key);
        renamed.change_profile(|profile| profile.former = former.clone().into());
        self.regroup(&renamed);
        info!(from = %agent.id, to = %name, "an agent was renamed");
        self.events
            .note(&renamed, Kind::Renamed, &json!({ "from": agent.id, "to": name }));
        Ok(renamed)
    }

    /// Lets go of an agent: its session ends, its key opens none any more, and nothing shows it. Its data go in the
    /// background, or stay and come back to an agent that is enrolled under the name.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn forget(&self, agent: &LiveAgent, keeps_data: bool) -> Result<(), ApiError> {
        let _turn = self.changing.lock().await;
        self.store
            .forget_agent(agent.key, keeps_data, self.clock.now())
            .await?;
        self.registrar.forget(agent.key);
        self.live.forget(agent, !keeps_data);
        info!(agent = %agent.id, keeps_data, "an agent was forgotten");
        self.events.note_of(
            Some(agent.id.as_str()),
            Kind::Forgotten,
            &json!({ "data": if keeps_data { "keep" } else { "delete" } }),
        );
        self.erase.notify_one();
        Ok(())
    }
}

/// Labels to be set, or taken away.
pub type Changes = SaidLabels;

fn wrong_settings(problem: String) -> ApiError {
    ApiError::Parameter {
        name: "settings",
        problem,
    }
}

#[cfg(test)]
mod tests;
