//! Becoming an agent: the string's token and a key that is made here go to the server, a name and a certificate come back.

use std::time::Duration;

use nodeglass_model::AgentId;
use nodeglass_proto::enrolment::{self, Enrolment};
use nodeglass_proto::limits::{MAX_MESSAGE_BYTES, REQUEST_TIMEOUT};
use nodeglass_proto::pushback::pushed_back;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_service_client::AgentServiceClient;
use nodeglass_runtime::tls::client::Trust;
use nodeglass_runtime::tls::key::{KeyError, PrivateKey};
use tokio::time::Instant;
use tonic::Status;

use crate::dialer::{DialError, Dialer};
use crate::identity::{Identity, IdentityError};

/// How long a server that has its hands full is asked again.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The server can't be reached, or does not prove to be the one of the string.
    #[error("can't enrol this host")]
    Connect(#[from] DialError),
    /// The server refuses.
    #[error("the server refused: {}", .0.message())]
    Refused(Box<Status>),
    /// The server does not answer.
    #[error(
        "the server does not answer: try again; the same string is good for this host until it has answered"
    )]
    Silent,
    /// A name where the string has one already.
    #[error("this string is for the agent {0}, and for no other: leave --name out")]
    OtherName(AgentId),
    /// The system can't sign.
    #[error("the key can't be used")]
    Key(#[from] KeyError),
    /// The answer can't be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The name that a host asks for, where its string leaves that to it.
#[derive(Debug, Clone)]
pub enum Name {
    /// This one.
    Said(AgentId),
    /// This one, with a number if it is taken.
    Proposed(AgentId),
}

/// Enrols this host with a key.
///
/// # Errors
/// See [`EnrolError`].
pub async fn enrol(
    enrolment: &Enrolment,
    key: PrivateKey,
    name: Option<Name>,
    trust: Option<Trust>,
) -> Result<Identity, EnrolError> {
    let (name, may_number) = match (&enrolment.agent, name) {
        (Some(agent), Some(Name::Said(said))) if said != *agent => {
            return Err(EnrolError::OtherName(agent.clone()));
        }
        (Some(_), _) | (None, None) => (String::new(), false),
        (None, Some(Name::Said(name))) => (name.to_string(), false),
        (None, Some(Name::Proposed(name))) => (name.to_string(), true),
    };
    let request = v1::EnrolRequest {
        signature: key.sign(&enrolment::message(&enrolment.token, &name))?,
        token: enrolment.token.clone(),
        public_key: key.public().point().to_owned(),
        name,
        may_number,
    };
    let dialer = Dialer::to(enrolment.server.clone(), enrolment.ca_pin, trust);
    let channel = dialer.connect().await?;
    let mut client = AgentServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let until = Instant::now() + PATIENCE;
    let enrolled = loop {
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, client.enrol(request.clone()));
        match answer.await.map_err(|_| EnrolError::Silent)? {
            Ok(enrolled) => break enrolled.into_inner(),
            Err(status) => match pushed_back(&status) {
                Some(pause) if Instant::now() + pause < until => tokio::time::sleep(pause).await,
                _ => return Err(EnrolError::Refused(Box::new(status))),
            },
        }
    };
    let server = enrolment.server.clone();
    Ok(Identity::new(server, enrolment.ca_pin, key, enrolled)?)
}
