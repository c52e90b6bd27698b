//! Making a host an agent, and taking that back.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use nodeglass_model::AgentId;
use nodeglass_proto::{enrolment, v1};
use nodeglass_runtime::telemetry::chain;
use nodeglass_runtime::tls::key::PublicKey;
use nodeglass_store::{AgentRecord, Claim, ClaimRefusal, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tracing::{debug, info, warn};

use super::{QUESTION, Registrar, key_hash};
use crate::error::ApiError;
use crate::live::LiveAgent;
use crate::{glob, tokens};

/// How often revocations are looked for: those of other programs, and those before which a session was not yet open.
const LOOK: Duration = Duration::from_secs(2);
/// How long a session that is to end may take to say so. Then its connection is cut; its agent may not be reading.
const LAST_WORD: Duration = Duration::from_secs(2);

/// A session that was told to end.
pub(super) struct Ending {
    agent: Arc<LiveAgent>,
    session: u64,
    cut_at: Instant,
}

impl Registrar {
    /// Makes the key of a host that of an agent, by the token of its string.
    ///
    /// # Errors
    /// The request proves nothing, or the token is not good for this.
    pub async fn enrol(&self, request: v1::EnrolRequest) -> Result<v1::EnrolResponse, Status> {
        let key = PublicKey::new(&request.public_key)
            .map_err(|error| Status::invalid_argument(format!("public_key: {error}")))?;
        let message = enrolment::message(&request.token, &request.name);
        if !key.verifies(&message, &request.signature) {
            return Err(Status::invalid_argument(
                "signature: it does not prove that whoever asks has the private key of public_key",
            ));
        }
        let name: Option<AgentId> = Some(request.name)
            .filter(|name| !name.is_empty())
            .map(|name| name.parse())
            .transpose()
            .map_err(|error: nodeglass_model::IdError| Status::invalid_argument(error.to_string()))?;
        let token = tokens::hash(&request.token);
        let claiming = async {
            let _turn = self.questions.acquire().await.map_err(|_| ApiError::Overloaded)?;
            if request.token.starts_with(tokens::FLEET)
                && let Some(fleet) = self.store.fleet_token(token).await.map_err(ApiError::from)?
                && let Some(name) = name
                    .as_ref()
                    .filter(|name| !glob::fits(&fleet.pattern, name.as_str()))
            {
                return Err(Status::permission_denied(format!(
                    "the fleet token {:?} is for agents whose names are like {:?}, and {name} is not: give another with --name",
                    fleet.name, fleet.pattern
                )));
            }
            let claim = Claim {
                token,
                key: key_hash(&key),
                name,
                may_number: request.may_number,
                at: self.clock.now(),
            };
            self.store
                .claim(&claim)
                .await
                .map_err(|error| Status::from(ApiError::from(error)))?
                .map_err(|refusal| refused(&refusal))
        };
        let enrolled = tokio::time::timeout(QUESTION, claiming)
            .await
            .map_err(|_| Status::from(ApiError::Overloaded))??;
        info!(agent = %enrolled.id, key = ?key_hash(&key), "a host was enrolled");
        // It is there from now on, for whoever asks for it, too.
        self.live.admit_enrolled(&AgentRecord {
            key: enrolled.agent,
            id: enrolled.id.clone(),
            system_info: None,
        });
        if let Some(labels) = &enrolled.labels {
            let kept = self.store.save_labels(enrolled.agent, labels).await;
            kept.map_err(|error| Status::from(ApiError::from(error)))?;
        }
        let certificate = self
            .certificate(&enrolled.id, &key)
            .map_err(|error| Status::from(ApiError::Internal(error.into())))?;
        // The key that it had before is another's no longer; its session ends.
        self.look().await;
        Ok(v1::EnrolResponse {
            agent_id: enrolled.id.to_string(),
            server_id: self.server_id.clone(),
            certificate: Some(certificate),
        })
    }

    /// Takes an agent's key and string from it, for good, and ends its session; `false` if it had neither.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn revoke(&self, agent: &LiveAgent) -> Result<bool, StoreError> {
        let done = self.store.revoke_agent(agent.key, self.clock.now()).await?;
        self.look().await;
        Ok(done)
    }

    /// Forgets what is known of an agent, so that the database is asked again: it has another name, or is gone.
    pub fn forget(&self, agent: nodeglass_store::AgentKey) {
        self.directory.forget(&[agent].into());
    }

    /// Looks for revocations until `stop`, and sees to it that sessions end which were opened with a key that is revoked.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.look().await;
            self.ending().retain(|session| {
                let Some(open) = session
                    .agent
                    .session()
                    .filter(|open| open.number == session.session)
                else {
                    return false;
                };
                if Instant::now() >= session.cut_at {
                    open.cut();
                }
                true
            });
            let now = Instant::now();
            let cuts = self
                .ending()
                .iter()
                .map(|session| session.cut_at)
                .filter(|at| *at > now)
                .min();
            let next = cuts.map_or(now + LOOK, |cut| cut.min(now + LOOK));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn ending(&self) -> MutexGuard<'_, Vec<Ending>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for revocations, and tells sessions to end.
    async fn look(&self) {
        loop {
            let found = match self.store.revocations(self.directory.revoked_to()).await {
                Ok(found) => found,
                Err(error) => {
                    debug!(error = %chain(&error), "revocations can't be looked for; looking again");
                    return;
                }
            };
            for (key, agent) in self.directory.revoke(&found) {
                warn!(agent = %agent.id, ?key, "this key is revoked");
                let Some(session) = agent.session().filter(|session| session.origin.hash() == key) else {
                    continue;
                };
                session.end(super::NotKnown::Revoked.into());
                self.ending().push(Ending {
                    session: session.number,
                    agent,
                    cut_at: Instant::now() + LAST_WORD,
                });
            }
            if found.is_empty() {
                return;
            }
        }
    }
}

fn refused(refusal: &ClaimRefusal) -> Status {
    let (code, grpc) = match refusal {
        ClaimRefusal::Unknown => ("unknown_token", Code::Unauthenticated),
        ClaimRefusal::Expired(_) => ("expired_token", Code::Unauthenticated),
        ClaimRefusal::Spent(_) => ("spent_token", Code::PermissionDenied),
        ClaimRefusal::Exhausted(_) => ("exhausted_token", Code::PermissionDenied),
        ClaimRefusal::Withdrawn(_) => ("revoked_token", Code::PermissionDenied),
        ClaimRefusal::KeyRevoked => ("revoked", Code::PermissionDenied),
        ClaimRefusal::KeyTaken(_) => ("key_taken", Code::AlreadyExists),
        ClaimRefusal::NameTaken(_) => ("name_taken", Code::AlreadyExists),
        ClaimRefusal::NoName => ("missing_name", Code::InvalidArgument),
    };
    let mut status = Status::new(grpc, refusal.to_string());
    status
        .metadata_mut()
        .insert("nodeglass-code", MetadataValue::from_static(code));
    status
}
