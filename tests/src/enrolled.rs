//! Hosts that are enrolled within the test: with strings, as the program does it, and by the database, for fleets.

use anyhow::Context;
use nodeglass_agent::enrol::enrol;
use nodeglass_agent::identity::Identity;
use nodeglass_model::{AgentId, Clock, SystemClock};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_proto::v1;
use nodeglass_runtime::tls::key::PrivateKey;
use nodeglass_server::enrol::{key_hash, server_id};
use nodeglass_store::Store;

/// Keys that are given to agents in one transaction.
const AT_ONCE: usize = 500;

/// Enrols a host by a string.
///
/// # Panics
/// It is none, or the server refuses.
pub async fn by_string(string: &str) -> Identity {
    let enrolment = Enrolment::decode(string).expect("an enrolment string");
    let key = PrivateKey::generate().expect("a key");
    enrol(&enrolment, key, None, None).await.expect("an enrolment")
}

/// Enrols hosts of these names with keys of their own, by way of the database: thousands in seconds. One that is there already
/// gets another key.
///
/// # Errors
/// The database does not answer.
pub async fn by_database(
    store: &dyn Store,
    server: &str,
    ca_pin: Option<[u8; 32]>,
    names: impl IntoIterator<Item = AgentId>,
) -> anyhow::Result<Vec<Identity>> {
    let server_id = server_id(store).await?;
    let mut keys = Vec::new();
    for name in names {
        keys.push((name, PrivateKey::generate()?));
    }
    for some in keys.chunks(AT_ONCE) {
        let hashes: Vec<_> = some
            .iter()
            .map(|(name, key)| (name.clone(), key_hash(&key.public())))
            .collect();
        store.enrol_keys(&hashes, SystemClock.now()).await?;
    }
    let identity = |(name, key): (AgentId, PrivateKey)| {
        let enrolled = v1::EnrolResponse {
            agent_id: name.to_string(),
            server_id: server_id.clone(),
            certificate: None,
        };
        Identity::new(server.to_owned(), ca_pin, key, enrolled).context("an identity")
    };
    keys.into_iter().map(identity).collect()
}

/// The same for one.
///
/// # Errors
/// The database does not answer.
pub async fn one_by_database(
    store: &dyn Store,
    server: &str,
    ca_pin: Option<[u8; 32]>,
    name: AgentId,
) -> anyhow::Result<Identity> {
    let made = by_database(store, server, ca_pin, [name]).await?;
    made.into_iter().next().context("an agent")
}
