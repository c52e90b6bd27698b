//! Registration: an agent that pushes is made known, with what it says of its host.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::system::{OperatingSystem, SystemInfo, SystemSoftware};
use nodeglass_model::{AgentId, IdError};
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::{AgentRecord, StoreError};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use utoipa::ToSchema;

use super::{Pushes, SILENT_INTERVALS, USUAL, has_no_session, lock};
use crate::access::Caller;
use crate::error::ApiError;
use crate::live::LiveAgent;
use crate::queries::inside;

/// The longest time that one may say to be between two words.
const LONGEST: Duration = Duration::from_hours(24);

/// What somebody says of a host that will push.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Its name, as in the paths of the API.
    #[serde(alias = "id", alias = "name")]
    pub agent_id: String,
    /// The host's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Its operating system: `Linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// That system's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Seconds between its pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_interval: Option<u64>,
    /// Seconds between its signs of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_interval: Option<u64>,
}

/// The longest text of a registration.
const MAX_TEXT_BYTES: usize = 256;

impl Pushes {
    /// Makes an agent that pushes known, and keeps what it says of its host; `true` if it is new. It may be done again at any time.
    ///
    /// # Errors
    /// A name that is none, a database that does not answer, or an agent that has an agent of ours.
    pub async fn register(
        &self,
        caller: &Caller,
        registration: &Registration,
    ) -> Result<(Arc<LiveAgent>, bool), ApiError> {
        let intervals = intervals(registration)?;
        let system = self.system(registration)?;
        let (agent, is_new) = match self.queries.agent(caller, &registration.agent_id).await {
            Ok(agent) => (agent, false),
            Err(unknown @ ApiError::UnknownAgent { .. }) => {
                self.enrol(caller, &registration.agent_id, unknown).await?
            }
            Err(error) => return Err(error),
        };
        has_no_session(&agent)?;
        if let Some(system) = system {
            let json = serde_json::to_string(&system).map_err(|error| ApiError::Internal(error.into()))?;
            self.store.save_system_info(agent.key, &json).await?;
            agent.describe(system);
        }
        let pusher = self.pusher(agent.key);
        let mut pusher = lock(&pusher);
        pusher.interval = intervals.or(pusher.interval);
        agent.hear(pusher.interval.unwrap_or(USUAL) * SILENT_INTERVALS);
        Ok((agent, is_new))
    }

    /// Makes the agent, which has no key: an agent of ours takes its name with `agent add --replace`.
    async fn enrol(
        &self,
        caller: &Caller,
        name: &str,
        unknown: ApiError,
    ) -> Result<(Arc<LiveAgent>, bool), ApiError> {
        let id: AgentId = name.parse().map_err(|error: IdError| ApiError::Parameter {
            name: "agent_id",
            problem: error.to_string(),
        })?;
        if !caller.may_make(&id) {
            // Whether there is one is nobody's business who may not see it.
            return Err(unknown);
        }
        match self.store.enrol_agent(&id, self.clock.now()).await {
            Ok(key) => {
                info!(agent = %id, "registered: it pushes its samples");
                let record = AgentRecord {
                    key,
                    id,
                    system_info: None,
                };
                Ok((self.queries.live().admit_enrolled(&record), true))
            }
            // Somebody else was faster.
            Err(StoreError::AgentExists(_)) => Ok((self.queries.agent(caller, name).await?, false)),
            Err(error) => {
                warn!(error = %chain(&error), "an agent can't be registered");
                Err(error.into())
            }
        }
    }

    fn system(&self, registration: &Registration) -> Result<Option<SystemInfo>, ApiError> {
        let Registration {
            hostname,
            os,
            os_version,
            ..
        } = registration;
        let texts = [("hostname", hostname), ("os", os), ("os_version", os_version)];
        for (name, text) in texts {
            if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
                let problem = format!("it is longer than {MAX_TEXT_BYTES} bytes");
                return Err(ApiError::Parameter { name, problem });
            }
        }
        if texts.iter().all(|(_, text)| text.is_none()) {
            return Ok(None);
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Ok(Some(SystemInfo {
            timestamp: self.clock.now(),
            hardware: None,
            software: Some(SystemSoftware {
                os: OperatingSystem {
                    name: text(os),
                    version: text(os_version),
                    ..Default::default()
                },
                hostname: text(hostname),
                ..Default::default()
            }),
            network_interfaces: None,
        }))
    }
}

/// The longer of the intervals that a registration names: so long its host may be silent.
fn intervals(registration: &Registration) -> Result<Option<Duration>, ApiError> {
    let named = [
        ("metrics_interval", registration.metrics_interval),
        ("heartbeat_interval", registration.heartbeat_interval),
    ];
    for (name, seconds) in named {
        if let Some(seconds) = seconds {
            inside(name, seconds, 1..=LONGEST.as_secs())?;
        }
    }
    // Whoever gives signs of life at all is silent no longer than between two of them.
    let seconds = registration.heartbeat_interval.or(registration.metrics_interval);
    Ok(seconds.map(Duration::from_secs))
}
