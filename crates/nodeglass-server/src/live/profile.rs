//! What is known of one agent beside its samples: who it is said to be, and what is asked of it.

use std::sync::Arc;

use nodeglass_model::{AgentId, UnixMillis};
use nodeglass_store::registry::Registered;
use tracing::warn;

use crate::registry::labels::{Labels, OwnLabels, SaidLabels};
use crate::registry::settings::{AgentSettings, Report};

/// What is known. It is never changed in place: who has it looks at one moment's.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Whether the store was asked.
    pub is_loaded: bool,
    /// When it was enrolled.
    pub enrolled_at: Option<UnixMillis>,
    /// The version of its program.
    pub version: Option<Box<str>>,
    /// The epoch of its samples.
    pub epoch: Option<u64>,
    /// When its host started, roughly.
    pub booted_at: Option<UnixMillis>,
    /// The labels of its own configuration.
    pub own: OwnLabels,
    /// Those that were said on the server.
    pub said: SaidLabels,
    /// What holds of both.
    pub labels: Arc<Labels>,
    /// The groups that it is in, but for that of all agents, in the order of their places.
    pub groups: Box<[Arc<str>]>,
    /// What is asked of it alone.
    pub settings: Option<Box<AgentSettings>>,
    /// What it last said is in force.
    pub report: Option<Arc<Report>>,
    /// Names that it had before, the oldest first.
    pub former: Box<[AgentId]>,
}

impl Profile {
    /// Takes over what the store has.
    pub(crate) fn load(&mut self, id: &AgentId, known: &Registered) {
        fn read<T: serde::de::DeserializeOwned>(id: &AgentId, json: Option<&str>) -> Option<T> {
            serde_json::from_str(json?)
                .inspect_err(|error| {
                    warn!(agent = %id, %error, "a newer server wrote what this one can't read of an agent; passed over");
                })
                .ok()
        }
        let settings: Option<AgentSettings> = read(id, known.settings.as_deref());
        let report: Option<Report> = read(id, known.report.as_deref());
        self.is_loaded = true;
        self.enrolled_at = Some(known.enrolled_at);
        self.said = read(id, known.labels.as_deref()).unwrap_or_default();
        self.settings = settings.filter(|settings| !settings.is_empty()).map(Box::new);
        self.report = report.map(Arc::new);
        // What the agent said in a session that began before is newer.
        if self.epoch.is_none() {
            self.own = read(id, known.seen.own_labels.as_deref()).unwrap_or_default();
            self.version = known.seen.version.as_deref().map(Into::into);
            self.epoch = known.seen.epoch;
            self.booted_at = known.seen.booted_at;
        }
    }

    /// Whether it is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        group == crate::registry::groups::ALL || self.groups.iter().any(|name| **name == *group)
    }
}
