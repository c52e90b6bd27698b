//! Strings that make hosts agents: for one host, and for a fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use nodeglass_model::{AgentId, Clock};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_runtime::config::Secret;
use nodeglass_runtime::tls::Pin;
use nodeglass_store::{AgentKey, FleetToken, Invitation, Store, StoreError};

use crate::tokens;

/// The longest name of a fleet token.
const MAX_NAME_BYTES: usize = 64;
/// The longest that a string for one host may be good.
pub const LONGEST_VALID: Duration = Duration::from_hours(24 * 30);

/// Where hosts come in: what strings have besides their tokens.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// The address that agents are to connect to.
    pub url: String,
    /// The pin of the CA that the server's certificate comes from, if systems don't know it.
    pub ca_pin: Option<Pin>,
}

impl Entrance {
    /// The string with this token, for one agent or for many.
    pub fn string(&self, agent: Option<AgentId>, token: &Secret) -> String {
        Enrolment {
            server: self.url.clone(),
            ca_pin: self.ca_pin.as_ref().map(|pin| pin.0),
            agent,
            token: token.expose().to_owned(),
        }
        .encode()
    }
}

/// Checks a fleet token's name.
///
/// # Errors
/// It can't be one; says what could.
pub fn check_fleet_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        return Err(format!(
            "a fleet token's name has 1 to {MAX_NAME_BYTES} bytes, and no control characters"
        ));
    }
    Ok(())
}

/// What a host is invited as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitedAs {
    /// An agent that there was not, with labels from the start.
    New {
        /// Names and values.
        labels: BTreeMap<String, String>,
    },
    /// An agent that may be there already. It keeps its key until the string is used, and the host that uses it takes its
    /// place then.
    Replacement,
}

impl Default for InvitedAs {
    fn default() -> Self {
        let labels = BTreeMap::new();
        Self::New { labels }
    }
}

/// Labels as the store has them.
pub(crate) fn label_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).expect("labels are texts")
}

/// Makes the token of a string for one host; gives it with the agent that it is for.
///
/// # Errors
/// [`StoreError::AgentExists`] for a new agent, or a database that does not answer.
pub async fn invite(
    store: &dyn Store,
    agent: &AgentId,
    as_what: InvitedAs,
    valid: Duration,
    clock: &dyn Clock,
) -> Result<(AgentKey, Secret), StoreError> {
    let token = tokens::generate(tokens::AGENT);
    let at = clock.now();
    let invitation = Invitation {
        agent: agent.clone(),
        token: tokens::hash(token.expose()),
        replace: as_what == InvitedAs::Replacement,
        labels: match as_what {
            InvitedAs::New { labels } if !labels.is_empty() => Some(label_text(&labels)),
            InvitedAs::New { .. } | InvitedAs::Replacement => None,
        },
        at,
        until: at.plus(valid),
    };
    store.invite(&invitation).await.map(|agent| (agent, token))
}

/// What a fleet token is to be.
#[derive(Debug, Clone)]
pub struct NewFleetToken {
    /// What people call it.
    pub name: String,
    /// How many hosts may use it; `None` for any number.
    pub max_uses: Option<u64>,
    /// How long it is good; `None` for ever.
    pub valid: Option<Duration>,
    /// What the hosts' names must be like, with `*` and `?`.
    pub pattern: String,
    /// The labels that they are given, as JSON.
    pub labels: String,
}

/// Makes the token of a string for many hosts; `None` if there is one of that name.
///
/// # Errors
/// A database that does not answer.
pub async fn add_fleet_token(
    store: &dyn Store,
    fleet: NewFleetToken,
    clock: &dyn Clock,
) -> Result<Option<Secret>, StoreError> {
    let token = tokens::generate(tokens::FLEET);
    let at = clock.now();
    let fleet = FleetToken {
        name: fleet.name,
        created_at: at,
        until: fleet.valid.map(|valid| at.plus(valid)),
        max_uses: fleet.max_uses,
        uses: 0,
        pattern: fleet.pattern,
        labels: fleet.labels,
        revoked_at: None,
    };
    let added = store
        .add_fleet_token(&fleet, tokens::hash(token.expose()))
        .await?;
    Ok(added.then_some(token))
}
