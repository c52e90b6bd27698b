//! One session for each key: who takes whose place, and who is a copy. And the certificate of the key.
//!
//! A session that is opened while another of the same key is open may come from the same agent, which has lost its connection
//! or started again, or from a copy of its host. The open session's agent is asked whether it is there: what does not answer
//! is gone, and the newer takes its place; what answers has a copy, which is refused.

use std::time::Duration;

use nodeglass_proto::pushback::push_back;
use nodeglass_proto::v1;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_runtime::telemetry::chain;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataValue;
use tracing::{debug, warn};

use super::{End, Next, Session};
use crate::events::Kind;
use crate::live::Cloned;

/// How long an agent may take to say that it is there. One that is needs a way there and back; one whose host lost its power
/// has its own next start held up by as much.
const PROBE: Duration = Duration::from_secs(2);
/// When a copy is to come back: it may be the host itself by then, and its copy gone.
const COPY_PAUSE: Duration = Duration::from_mins(1);
/// The least time between two certificates in one session.
const CERTIFICATE_PAUSE: Duration = Duration::from_secs(1);

impl Session {
    /// Waits until no other session of this key is in the way.
    ///
    /// # Errors
    /// This host is a copy of one that is there.
    pub(super) async fn take_place(&mut self) -> Result<(), End> {
        while let Some(open) = self.agent.session() {
            match tokio::time::timeout(PROBE, open.probe()).await {
                // It has ended by itself.
                Ok(false) => tokio::task::yield_now().await,
                Err(_) => {
                    self.instead_of = Some(open.number);
                    return Ok(());
                }
                Ok(true) => {
                    let (kept, refused) = (&open.origin, &self.origin);
                    let is_news = self.agent.note_copy(Cloned {
                        at: self.shared.clock.now(),
                        seen: Instant::now(),
                        kept: kept.address(),
                        refused: refused.address(),
                    });
                    if is_news {
                        warn!(
                            agent = %self.agent.id, kept = ?kept.address(), kept_instance = ?kept.instance(),
                            refused = ?refused.address(), refused_instance = ?refused.instance(),
                            "two hosts report as one agent: the one that came later is refused; enrol it under a name of its own"
                        );
                        let detail = serde_json::json!({
                            "kept_address": kept.address().map(|address| address.to_string()),
                            "refused_address": refused.address().map(|address| address.to_string()),
                        });
                        let events = self.shared.registry.events();
                        events.note(&self.agent, Kind::Cloned, &detail);
                    }
                    return Err(copy());
                }
            }
        }
        Ok(())
    }

    /// Asks the agent whether it is there, on behalf of somebody.
    pub(super) fn probe(&mut self, asker: oneshot::Sender<()>) {
        self.probes.retain(|(_, asker)| !asker.is_closed());
        // A number that can't be known beforehand, or an answer would say nothing of when it was given.
        let nonce = getrandom::u64().unwrap_or_default();
        // Where there is no room the agent does not read, and won't answer.
        self.outbound.try_send(Down::Probe(v1::Probe { nonce }));
        self.probes.push((nonce, asker));
    }

    /// Takes the agent's word that it is there.
    pub(super) fn answer_probe(&mut self, nonce: u64) {
        if let Some(place) = self.probes.iter().position(|(asked, _)| *asked == nonce) {
            // Who asked may have waited long enough.
            let _ = self.probes.swap_remove(place).1.send(());
        }
    }

    /// Gives the agent another certificate for the key that it opened the session with.
    pub(super) fn certify(&mut self) -> Next {
        if self.certified.is_some_and(|at| at.elapsed() < CERTIFICATE_PAUSE) {
            debug!(agent = %self.agent.id, "one certificate after the other is asked for; this one is not given");
            return Next::default();
        }
        self.certified = Some(Instant::now());
        match self
            .shared
            .registrar
            .certificate(&self.agent.id, &self.origin.key)
        {
            Ok(certificate) => Next::say(Down::Certificate(certificate)),
            Err(error) => {
                warn!(agent = %self.agent.id, error = %chain(&error), "no certificate can be made");
                Next::default()
            }
        }
    }
}

fn copy() -> Status {
    let mut status = Status::permission_denied(
        "another host that is connected has the same key: this host is a copy of it, or it of this. Enrol the copy under a name \
         of its own: `nodeglass-server agent add NAME`, and `nodeglass-agent enroll STRING` there",
    );
    status
        .metadata_mut()
        .insert("nodeglass-code", MetadataValue::from_static("cloned"));
    push_back(status, COPY_PAUSE)
}
