//! How the rest of the server reaches an open session: what became of its samples, words to it, and questions to the agent.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use nodeglass_model::SampleId;
use nodeglass_proto::v1;
use nodeglass_runtime::tls::key::PublicKey;
use nodeglass_store::KeyHash;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::answers::Settled;
use crate::enrol::key_hash;
use crate::listener::Connection;

/// A request to the agent and where its answer goes.
#[derive(Debug)]
pub struct Answer {
    /// What to ask.
    pub request: v1::TaskRequest,
    /// Where to answer; dropped if the session ends first.
    pub answer: oneshot::Sender<v1::TaskResponse>,
}

/// What a session is told.
#[derive(Debug)]
pub(super) enum Word {
    /// There was no room for some after all; the agent must send them again.
    TurnedAway,
    /// Somebody wants to know whether the agent is there.
    Probe(oneshot::Sender<()>),
    /// The session is to end.
    End(Box<Status>),
}

/// Where a session comes from.
#[derive(Debug)]
pub struct Origin {
    /// The key that its agent proved.
    pub key: PublicKey,
    /// What it comes in on, if that is known.
    pub(super) connection: Option<Connection>,
    /// The run of the agent's program, once it has greeted.
    pub(super) instance: OnceLock<u64>,
}

impl Origin {
    /// What its key is known by.
    pub fn hash(&self) -> KeyHash {
        key_hash(&self.key)
    }

    /// The address that it comes from, which may be a proxy's.
    pub fn address(&self) -> Option<SocketAddr> {
        self.connection.as_ref()?.address()
    }

    /// The run of the agent's program.
    pub fn instance(&self) -> Option<u64> {
        self.instance.get().copied()
    }
}

/// How the rest of the server reaches an open session.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    pub(crate) number: u64,
    pub(crate) origin: Arc<Origin>,
    pub(super) settled: Arc<Settled>,
    pub(super) words: mpsc::UnboundedSender<Word>,
    pub(super) requests: mpsc::Sender<Box<Answer>>,
}

impl SessionHandle {
    /// A session that nobody is at the other end of.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self {
            number: 0,
            origin: Arc::new(Origin {
                key: nodeglass_runtime::tls::key::PrivateKey::generate()
                    .unwrap()
                    .public(),
                connection: None,
                instance: OnceLock::new(),
            }),
            settled: Arc::default(),
            words: mpsc::unbounded_channel().0,
            requests: mpsc::channel(1).0,
        }
    }

    /// Has the agent told which samples are stored. What waits to be told is bounded by time, and by what an agent may send in it.
    pub(crate) fn acknowledge(&self, ids: Vec<SampleId>) {
        // A session that has ended needs no acknowledgement: its agent will send the samples again.
        if let Err(end) = self.settled.store(ids) {
            self.end(end);
        }
    }

    /// Says that there was no room for samples that the session had handed on.
    pub(crate) fn turn_away(&self) {
        let _ = self.words.send(Word::TurnedAway);
    }

    /// Tells it to end with a word.
    pub(crate) fn end(&self, status: Status) {
        // One that has ended needs no word.
        let _ = self.words.send(Word::End(Box::new(status)));
    }

    /// Cuts its connection, unless others share it.
    pub(crate) fn cut(&self) {
        if let Some(connection) = &self.origin.connection {
            connection.cut_if_alone();
        }
    }

    /// Whether its agent is there: waits for a word of it that answers this question. `false` if the session ends.
    pub(crate) async fn probe(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.words.send(Word::Probe(answer)).is_ok() && answered.await.is_ok()
    }

    /// Asks the agent something; `false` if the session can't take it.
    pub async fn ask(&self, question: Answer) -> bool {
        self.requests.send(Box::new(question)).await.is_ok()
    }
}
