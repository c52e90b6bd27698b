//! Which key is which agent's: enrolment strings, fleet tokens, keys and their revocation.
//!
//! Keys and tokens are here by their hashes alone. Whether somebody has the key that he names is the server's business.

use std::fmt;

use async_trait::async_trait;
use nodeglass_model::{AgentId, UnixMillis};

use crate::{AgentKey, AgentRecord, StoreError, TokenHash};

/// Revocations that are read at once.
pub(crate) const REVOCATIONS: i64 = 1_000;
/// The highest number that is added to a name which is taken: `web-9999`.
const MAX_NUMBER: u32 = 9_999;

/// SHA-256 of a public key's `SubjectPublicKeyInfo`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(")?;
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("..)")
    }
}

/// A string that is to make one host an agent.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The agent.
    pub agent: AgentId,
    /// The string's token.
    pub token: TokenHash,
    /// Whether there may be an agent of that name already. It keeps its key until the string is used.
    pub replace: bool,
    /// The labels that a new agent is given, as JSON. One that there is keeps its own.
    pub labels: Option<String>,
    /// When it is made.
    pub at: UnixMillis,
    /// The last moment at which it is good.
    pub until: UnixMillis,
}

/// A string that is to make many hosts agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetToken {
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// The last moment at which it is good; `None` for ever.
    pub until: Option<UnixMillis>,
    /// How many hosts may use it; `None` for any number.
    pub max_uses: Option<u64>,
    /// How many have.
    pub uses: u64,
    /// What their names must be like, with `*` and `?`.
    pub pattern: String,
    /// The labels that they are given, as JSON.
    pub labels: String,
    /// When it was revoked.
    pub revoked_at: Option<UnixMillis>,
}

/// A host's claim to be an agent. That it has the key has been proved.
#[derive(Debug, Clone)]
pub struct Claim {
    /// What it claims it with.
    pub token: TokenHash,
    /// The key that is to be the agent's.
    pub key: KeyHash,
    /// The name that it asks for, where the token leaves that to it.
    pub name: Option<AgentId>,
    /// Whether a number may be added to a name that is taken.
    pub may_number: bool,
    /// When it is made.
    pub at: UnixMillis,
}

/// What became of a claim that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The agent.
    pub agent: AgentKey,
    /// Its name.
    pub id: AgentId,
    /// The labels of the fleet token, as JSON, if it was one and this is the first time.
    pub labels: Option<String>,
}

/// Why a claim is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefusal {
    /// Nobody made that token.
    #[error(
        "the enrolment string is not known here: it may have been replaced by a newer one of the same agent, or be of another \
         server; make one with `nodeglass-server agent add NAME`"
    )]
    Unknown,
    /// Its time is over.
    #[error(
        "the enrolment string ended at {0}: make another with `nodeglass-server agent add NAME --replace`"
    )]
    Expired(UnixMillis),
    /// Another host has used it.
    #[error(
        "the enrolment string was used already, by another host or an earlier `enroll` here: each is good for one. Make another \
         with `nodeglass-server agent add {0} --replace`"
    )]
    Spent(AgentId),
    /// The fleet token was used as often as it may be.
    #[error(
        "the fleet token {0:?} was used as often as it may be: make another with `nodeglass-server fleet-token add`"
    )]
    Exhausted(String),
    /// The fleet token was revoked.
    #[error("the fleet token {0:?} was revoked: make another with `nodeglass-server fleet-token add`")]
    Withdrawn(String),
    /// The key is one that was revoked.
    #[error("this key was revoked: enrol the host with another string, which makes another key")]
    KeyRevoked,
    /// The key is another agent's.
    #[error(
        "this key belongs to the agent {0} already: remove its identity from this host and enrol it again"
    )]
    KeyTaken(AgentId),
    /// The name is another agent's.
    #[error("there is an agent {0} already: choose another name with --name")]
    NameTaken(AgentId),
    /// No name was given.
    #[error("this string is for many hosts, each under a name of its own: give one with --name")]
    NoName,
}

/// A key that is no agent's any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the order of revocations.
    pub number: i64,
    /// The key.
    pub key: KeyHash,
    /// Whose it was.
    pub agent: AgentKey,
}

/// Which key is which agent's.
#[async_trait]
pub trait Enrolments: Send + Sync {
    /// Adds an agent, without a key.
    ///
    /// # Errors
    /// [`StoreError::AgentExists`] if there is one of that name.
    async fn enrol_agent(&self, id: &AgentId, at: UnixMillis) -> Result<AgentKey, StoreError>;

    /// Keeps a string that is to make a host an agent, and adds the agent if it is new. An older string of the agent is
    /// worth nothing from then on.
    ///
    /// # Errors
    /// [`StoreError::AgentExists`] if there is one of that name and it is not to be replaced.
    async fn invite(&self, invitation: &Invitation) -> Result<AgentKey, StoreError>;

    /// Makes a key an agent's, and spends what it is claimed with, in one transaction. The same key may claim again what it
    /// has been granted. The key that the agent had before is revoked.
    async fn claim(&self, claim: &Claim) -> Result<Result<Enrolled, ClaimRefusal>, StoreError>;

    /// Makes keys those of agents without a string, in one transaction; agents that are new are added.
    async fn enrol_keys(
        &self,
        keys: &[(AgentId, KeyHash)],
        at: UnixMillis,
    ) -> Result<Vec<AgentKey>, StoreError>;

    /// The agent that has this key.
    async fn agent_by_key(&self, key: KeyHash) -> Result<Option<AgentRecord>, StoreError>;

    /// The keys of all agents.
    async fn agent_keys(&self) -> Result<Vec<(AgentKey, KeyHash)>, StoreError>;

    /// Takes an agent's key and string from it, for good; `false` if it had neither.
    async fn revoke_agent(&self, agent: AgentKey, at: UnixMillis) -> Result<bool, StoreError>;

    /// Whether this key was revoked.
    async fn is_revoked(&self, key: KeyHash) -> Result<bool, StoreError>;

    /// At most a thousand revocations after that of a number, in order.
    async fn revocations(&self, after: i64) -> Result<Vec<Revocation>, StoreError>;

    /// The number of the last revocation; 0 if there is none.
    async fn last_revocation(&self) -> Result<i64, StoreError>;

    /// The name by which agents sign for this server: what is there, or else `fresh`, which is kept.
    async fn server_id(&self, fresh: [u8; 16]) -> Result<Vec<u8>, StoreError>;

    /// Keeps a fleet token; `false` if there is one of that name.
    async fn add_fleet_token(&self, fleet: &FleetToken, token: TokenHash) -> Result<bool, StoreError>;

    /// Every fleet token, by name.
    async fn fleet_tokens(&self) -> Result<Vec<FleetToken>, StoreError>;

    /// The fleet token of that hash.
    async fn fleet_token(&self, token: TokenHash) -> Result<Option<FleetToken>, StoreError>;

    /// Makes a fleet token worth nothing; `false` if there is none of that name that is worth something. Agents that it
    /// enrolled stay.
    async fn revoke_fleet_token(&self, name: &str, at: UnixMillis) -> Result<bool, StoreError>;
}

/// The name with the lowest number that nobody has, 2 or more; `None` if there is none. `taken` begin with `name` and a `-`.
pub(crate) fn numbered(name: &AgentId, taken: &[String]) -> Option<AgentId> {
    let mut numbers: Vec<u32> = taken
        .iter()
        .filter_map(|taken| taken.strip_prefix(name.as_str())?.strip_prefix('-')?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let mut free = 2;
    for number in numbers {
        if number == free {
            free += 1;
        }
    }
    (free <= MAX_NUMBER).then(|| format!("{name}-{free}").parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_number_that_is_free_is_added() {
        let name: AgentId = "web".parse().unwrap();
        let numbered = |taken: &[&str]| {
            let taken: Vec<String> = taken.iter().map(ToString::to_string).collect();
            numbered(&name, &taken).map(|name| name.to_string())
        };
        assert_eq!(numbered(&["web"]).as_deref(), Some("web-2"));
        assert_eq!(
            numbered(&["web", "web-3", "web-2", "web-x", "webs-4"]).as_deref(),
            Some("web-4")
        );
        assert_eq!(numbered(&["web-3"]).as_deref(), Some("web-2"));
        let all: Vec<String> = (2..=MAX_NUMBER).map(|number| format!("web-{number}")).collect();
        assert_eq!(super::numbered(&name, &all), None);
        let long: AgentId = "x".repeat(128).parse().unwrap();
        assert_eq!(super::numbered(&long, &[]), None, "no room for a number");
    }
}
