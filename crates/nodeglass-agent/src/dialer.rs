//! Connections to the server: who it has to prove to be, what is shown to it, and what is remembered from one connection to
//! the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nodeglass_proto::connection::endpoint;
use nodeglass_runtime::tls::client::{Connector, Trust};
use nodeglass_runtime::tls::{Pin, TlsError};
use tonic::transport::Channel;

use crate::identity::Identity;

/// Connects to one server. Clones share what they remember, so that the next connection is cheaper than the first.
#[derive(Clone)]
pub struct Dialer {
    server: String,
    trust: Trust,
    identity: Option<Identity>,
    connector: Arc<Mutex<Option<Connector>>>,
}

/// Why there is no connection. Trying again is worth it: files, clocks and servers are put right.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The server's address is none.
    #[error("the enrolment names the server {0:?}, which is not an address: enrol this host again")]
    Address(String),
    /// There is nobody to trust.
    #[error("the server can't be verified")]
    Trust(#[from] TlsError),
    /// The server can't be reached, or does not prove to be the one.
    #[error("can't reach the server")]
    Connect(#[from] tonic::transport::Error),
}

impl Dialer {
    /// For the server of an identity, which is shown to it. `trust` goes before the CA that the identity names; without
    /// either the system's CAs are trusted.
    pub fn new(identity: &Identity, trust: Option<Trust>) -> Self {
        Self {
            identity: Some(identity.clone()),
            ..Self::to(identity.server.clone(), identity.ca_pin, trust)
        }
    }

    /// The same for who has no identity yet.
    pub fn to(server: String, ca_pin: Option<[u8; 32]>, trust: Option<Trust>) -> Self {
        let named = || ca_pin.map_or(Trust::System, |pin| Trust::Pin(Pin(pin)));
        Self {
            server,
            trust: trust.unwrap_or_else(named),
            identity: None,
            connector: Arc::default(),
        }
    }

    /// Whether the server is spoken to with TLS.
    pub fn speaks_tls(&self) -> bool {
        self.server.starts_with("https://")
    }

    /// Has the next connection show the certificate that there is then.
    pub fn forget(&self) {
        *self.made() = None;
    }

    /// Connects.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn connect(&self) -> Result<Channel, DialError> {
        let address = || DialError::Address(self.server.clone());
        let endpoint = endpoint(
            &self.server,
            concat!("nodeglass-agent/", env!("CARGO_PKG_VERSION")),
        )
        .map_err(|_| address())?;
        let connector = match endpoint.uri().scheme_str() {
            Some("https") => self.connector()?,
            Some("http") => Connector::plain(),
            _ => return Err(address()),
        };
        Ok(endpoint.connect_with_connector(connector).await?)
    }

    /// Made once it is needed, and again as long as it can't be made.
    fn connector(&self) -> Result<Connector, TlsError> {
        let mut made = self.made();
        if let Some(connector) = &*made {
            return Ok(connector.clone());
        }
        let identity = self.identity.as_ref();
        let shown = identity.and_then(|identity| Some((identity.certificate()?, identity.key())));
        Ok(made
            .insert(Connector::of_agent(self.trust.clone(), shown)?)
            .clone())
    }

    fn made(&self) -> MutexGuard<'_, Option<Connector>> {
        self.connector.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
