//! The one place that decides which agent a call is from: by the client certificate of its connection, or else by the words
//! that it signed. Nothing that an agent says in its messages changes that.

use std::sync::Arc;

use http::{HeaderMap, header};
use nodeglass_model::UnixMillis;
use nodeglass_proto::proof::{self, Proof, tell_time};
use nodeglass_runtime::tls::key::PublicKey;
use nodeglass_store::StoreError;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::proofs::Stale;
use super::{QUESTION, Registrar, key_hash};
use crate::error::ApiError;
use crate::listener::Connection;
use crate::live::LiveAgent;

/// The agent that a call is from.
#[derive(Debug, Clone)]
pub struct Known {
    /// Which.
    pub agent: Arc<LiveAgent>,
    /// The key that it proved.
    pub key: PublicKey,
}

/// Why a call is from no agent.
#[derive(Debug, thiserror::Error)]
pub enum NotKnown {
    /// No key was proved.
    #[error(
        "agents prove who they are with a key of their own, and this call has neither a certificate nor signed words: enrol \
         this host with `nodeglass-agent enroll STRING`"
    )]
    NoKey,
    /// The words are not signed by the key that they name, or for another server.
    #[error(
        "the signed words do not prove the key that they name to this server: if its database was set up anew, enrol this host \
         again with `nodeglass-agent enroll STRING`"
    )]
    WrongProof,
    /// The words are of another time than this server's.
    #[error("the signed words are of another time: this server's clock says {0}")]
    OtherTime(UnixMillis),
    /// The words came before.
    #[error("the signed words came before: sign new ones for each call")]
    Repeated,
    /// The key is nobody's.
    #[error(
        "this key belongs to no agent here: enrol this host with `nodeglass-agent enroll STRING` and the string that \
         `nodeglass-server agent add NAME` prints"
    )]
    UnknownKey,
    /// The key was somebody's.
    #[error(
        "this agent was revoked, or another host has taken its place: to have this host back, enrol it with a new string \
         (`nodeglass-server agent add NAME --replace`)"
    )]
    Revoked,
    /// Too many are asked about.
    #[error("many agents that are not known yet come at once: come back a little later")]
    Busy,
    /// The database can't tell.
    #[error("the database does not answer")]
    Database(#[from] StoreError),
}

impl NotKnown {
    fn class(&self) -> (&'static str, Code) {
        match self {
            Self::NoKey => ("missing_key", Code::Unauthenticated),
            Self::WrongProof => ("wrong_proof", Code::Unauthenticated),
            Self::OtherTime(_) => ("other_time", Code::Unauthenticated),
            Self::Repeated => ("repeated_proof", Code::Unauthenticated),
            Self::UnknownKey => ("unknown_key", Code::Unauthenticated),
            Self::Revoked => ("revoked", Code::PermissionDenied),
            Self::Busy | Self::Database(_) => ("busy", Code::Unavailable),
        }
    }
}

impl From<NotKnown> for Status {
    fn from(error: NotKnown) -> Self {
        let (code, grpc) = error.class();
        let mut status = match error {
            NotKnown::Database(error) => return ApiError::from(error).into(),
            NotKnown::Busy => return ApiError::Overloaded.into(),
            NotKnown::OtherTime(now) => tell_time(Self::new(grpc, error.to_string()), now),
            error => Self::new(grpc, error.to_string()),
        };
        status
            .metadata_mut()
            .insert("nodeglass-code", MetadataValue::from_static(code));
        status
    }
}

impl Registrar {
    /// The agent that a call is from, which came on `connection` with these headers.
    ///
    /// # Errors
    /// It is from none; see [`NotKnown`].
    pub async fn identify(
        &self,
        connection: Option<&Connection>,
        headers: &HeaderMap,
    ) -> Result<Known, NotKnown> {
        let key = match connection.and_then(Connection::agent_key) {
            Some(key) => key,
            None => self.proved(headers)?,
        };
        let hash = key_hash(&key);
        if let Some(agent) = self.directory.find(hash) {
            return Ok(Known { agent, key });
        }
        let asking = async {
            let _turn = self.questions.acquire().await.map_err(|_| NotKnown::Busy)?;
            match self.directory.ask(self.store.as_ref(), &self.live, hash).await? {
                Some(agent) => Ok(Known { agent, key }),
                None if self.store.is_revoked(hash).await? => Err(NotKnown::Revoked),
                None => Err(NotKnown::UnknownKey),
            }
        };
        tokio::time::timeout(QUESTION, asking)
            .await
            .unwrap_or(Err(NotKnown::Busy))
    }

    /// The key that the words in the headers prove.
    fn proved(&self, headers: &HeaderMap) -> Result<PublicKey, NotKnown> {
        let value = headers.get(header::AUTHORIZATION).ok_or(NotKnown::NoKey)?;
        let words = value
            .to_str()
            .ok()
            .and_then(Proof::decode)
            .ok_or(NotKnown::NoKey)?;
        let key = PublicKey::new(&words.public_key).map_err(|_| NotKnown::WrongProof)?;
        let message = proof::message(&self.server_id, words.at, &words.nonce);
        if !key.verifies(&message, &words.signature) {
            return Err(NotKnown::WrongProof);
        }
        let now = self.clock.now();
        match self.proofs.take(words.nonce, words.at, now) {
            Ok(()) => Ok(key),
            Err(Stale::Time) => Err(NotKnown::OtherTime(now)),
            Err(Stale::Repeated) => Err(NotKnown::Repeated),
            Err(Stale::Full) => Err(NotKnown::Busy),
        }
    }
}
