//! Who agents are: strings that make hosts agents, keys and certificates, and the one place that decides whose a call is.
//!
//! An agent is known by its key ([`identify`]). It is remembered whose each key is ([`directory`]), so that agents come back
//! while the database is away; what is revoked is looked for each second, by whatever program it was said.

mod claim;
mod directory;
mod identify;
mod proofs;
pub mod strings;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use nodeglass_model::{AgentId, Clock};
use nodeglass_proto::v1;
use nodeglass_runtime::tls::TlsError;
use nodeglass_runtime::tls::authority::Authority;
use nodeglass_runtime::tls::key::PublicKey;
use nodeglass_store::{KeyHash, Store};
use tokio::sync::Semaphore;

pub use identify::{Known, NotKnown};

use crate::live::Live;
use claim::Ending;
use directory::Directory;
use proofs::Proofs;

/// Claims and unknown keys that the database is asked about at once: who tries tokens must not keep it busy.
const QUESTIONS: usize = 8;
/// How long they wait for their turn and their answer together.
const QUESTION: Duration = Duration::from_secs(5);

/// What an agent's key is known by.
pub fn key_hash(key: &PublicKey) -> KeyHash {
    KeyHash(key.hash())
}

/// Knows agents by their keys, and makes hosts agents.
pub struct Registrar {
    store: Arc<dyn Store>,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    authority: Arc<Authority>,
    /// How long agents' certificates hold.
    lifetime: Duration,
    /// For whom agents sign.
    server_id: Vec<u8>,
    directory: Directory,
    proofs: Proofs,
    questions: Semaphore,
    /// Sessions that were told to end.
    ending: Mutex<Vec<Ending>>,
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar").finish_non_exhaustive()
    }
}

impl Registrar {
    /// Reads whose every key is, of the agents that `live` has.
    ///
    /// # Errors
    /// The database does not answer, or the system has no random numbers.
    pub async fn open(
        store: Arc<dyn Store>,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
        authority: Arc<Authority>,
        lifetime: Duration,
    ) -> anyhow::Result<Self> {
        let server_id = server_id(store.as_ref()).await?;
        let directory = Directory::read(store.as_ref(), &live).await?;
        Ok(Self {
            proofs: Proofs::new(clock.now()),
            store,
            live,
            clock,
            authority,
            lifetime,
            server_id,
            directory,
            questions: Semaphore::new(QUESTIONS),
            ending: Mutex::default(),
        })
    }

    /// One for tests, with a CA of its own that is gone again.
    #[cfg(test)]
    pub(crate) async fn of_test(store: Arc<dyn Store>, live: Arc<Live>, clock: Arc<dyn Clock>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::open(directory.path()).unwrap());
        let opened = Self::open(store, live, clock, authority, Duration::from_hours(1));
        opened.await.unwrap()
    }

    /// Whether a key that was proved is still that of an agent.
    pub fn still_knows(&self, key: &PublicKey) -> bool {
        self.directory.find(key_hash(key)).is_some()
    }

    /// A certificate for an agent's key.
    ///
    /// # Errors
    /// It can't be made.
    pub fn certificate(&self, agent: &AgentId, key: &PublicKey) -> Result<v1::Certificate, TlsError> {
        certificate(&self.authority, agent, key, self.lifetime)
    }
}

/// The name by which agents sign for the server of this database.
///
/// # Errors
/// The database does not answer, or the system has no random numbers.
pub async fn server_id(store: &dyn Store) -> anyhow::Result<Vec<u8>> {
    let mut fresh = [0; 16];
    getrandom::fill(&mut fresh)?;
    Ok(store.server_id(fresh).await?)
}

fn certificate(
    authority: &Authority,
    agent: &AgentId,
    key: &PublicKey,
    lifetime: Duration,
) -> Result<v1::Certificate, TlsError> {
    let made = authority.agent_certificate(agent.as_str(), key, lifetime, SystemTime::now())?;
    Ok(v1::Certificate {
        certificate: made.to_vec(),
    })
}

/// Makes a key that of an agent beside the server, without a string: for who has the database anyway.
///
/// # Errors
/// The database does not answer, or no certificate can be made.
pub async fn enrol_here(
    store: &dyn Store,
    authority: &Authority,
    lifetime: Duration,
    agent: &AgentId,
    key: &PublicKey,
    clock: &dyn Clock,
) -> anyhow::Result<v1::EnrolResponse> {
    store
        .enrol_keys(&[(agent.clone(), key_hash(key))], clock.now())
        .await?;
    Ok(v1::EnrolResponse {
        agent_id: agent.to_string(),
        server_id: server_id(store).await?,
        certificate: Some(certificate(authority, agent, key, lifetime)?),
    })
}
