//! How the rest of the server reaches an open session: words of what became of samples, and questions to the agent.

use nodeglass_model::SampleId;
use nodeglass_proto::v1;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// A request to the agent and where its answer goes.
#[derive(Debug)]
pub struct Answer {
    /// What to ask.
    pub request: v1::TaskRequest,
    /// Where to answer; dropped if the session ends first.
    pub answer: oneshot::Sender<v1::TaskResponse>,
}

/// What became of samples that the session took.
#[derive(Debug)]
pub(super) enum Word {
    /// They are committed.
    Stored(Vec<SampleId>),
    /// There was no room for some after all; the agent must send them again.
    TurnedAway,
}

/// How the rest of the server reaches an open session.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    pub(crate) number: u64,
    pub(crate) replaced: CancellationToken,
    pub(super) words: mpsc::UnboundedSender<Word>,
    pub(super) requests: mpsc::Sender<Box<Answer>>,
}

impl SessionHandle {
    /// A session that nobody is at the other end of.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self {
            number: 0,
            replaced: CancellationToken::new(),
            words: mpsc::unbounded_channel().0,
            requests: mpsc::channel(1).0,
        }
    }

    /// Says which samples are stored. What waits here is bounded by the writer's queue, through which all of it came.
    pub(crate) fn acknowledge(&self, ids: Vec<SampleId>) {
        // A session that has ended needs no acknowledgement: its agent will send the samples again.
        let _ = self.words.send(Word::Stored(ids));
    }

    /// Says that there was no room for samples that the session had handed on.
    pub(crate) fn turn_away(&self) {
        let _ = self.words.send(Word::TurnedAway);
    }

    /// Asks the agent something; `false` if the session can't take it.
    pub async fn ask(&self, question: Answer) -> bool {
        self.requests.send(Box::new(question)).await.is_ok()
    }
}
