//! What a session says to its agent: its messages in their order, and between them which samples are stored.
//!
//! The writer commits samples of hundreds of agents at once. What is stored of an agent's goes past its session into what the
//! agent is answered, so that the session, whose state no cache has by then, need not wake up to pass it on.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use nodeglass_model::{SampleId, contiguous};
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_proto::{seq_range_to_wire, v1};
use nodeglass_runtime::tasks::TaskGroup;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tonic::Status;

/// Messages to one agent that wait for its connection; a full queue means that the agent has stopped reading.
const MESSAGES: usize = 32;
/// How long something may wait for the agent's connection.
const SEND: Duration = Duration::from_secs(20);
/// The same once the server is told to stop.
const LAST_SEND: Duration = Duration::from_secs(1);

/// Boxed, as a channel takes room for 32 of what it carries, and there is one for each agent.
type Said = Box<Result<v1::ServerMessage, Status>>;

/// The way to an agent, and what it is answered.
pub(in crate::ingest) fn channel() -> (Outbound, Answers) {
    let (messages, received) = mpsc::channel(MESSAGES);
    let settled = Arc::<Settled>::default();
    let answers = Answers {
        messages: received,
        settled: settled.clone(),
        is_greeted: false,
    };
    (Outbound { messages, settled }, answers)
}

/// The end for an agent that takes nothing of what it is sent.
pub(super) fn unread() -> Status {
    Status::deadline_exceeded("the agent does not read what it is sent")
}

/// A session's way to its agent.
pub(in crate::ingest) struct Outbound {
    messages: mpsc::Sender<Said>,
    pub(super) settled: Arc<Settled>,
}

impl Outbound {
    /// Says something; waits for room, up to a time.
    ///
    /// # Errors
    /// The agent does not take it.
    pub(super) fn send(&self, message: Down, tasks: &TaskGroup) -> impl Future<Output = Result<(), Status>> {
        self.send_boxed(boxed(message), tasks)
    }

    async fn send_boxed(&self, message: Said, tasks: &TaskGroup) -> Result<(), Status> {
        let gone = || Status::cancelled("the connection is gone");
        let message = match self.messages.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(message)) => message,
            Err(TrySendError::Closed(_)) => return Err(gone()),
        };
        let stop = tasks.shutdown_token();
        tokio::select! {
            biased;
            sent = self.messages.send(message) => sent.map_err(|_| gone()),
            () = tokio::time::sleep(SEND) => Err(unread()),
            () = async { stop.cancelled().await; tokio::time::sleep(LAST_SEND).await } => {
                Err(Status::unavailable("the server is stopping"))
            }
        }
    }

    /// Says something if there is room for it.
    pub(super) fn try_send(&self, message: Down) {
        // Where there is no room the agent does not read.
        let _ = self.messages.try_send(boxed(message));
    }

    /// Says why it ends, if there is room for it.
    pub(super) fn end(&self, why: Status) {
        let _ = self.messages.try_send(Box::new(Err(why)));
    }
}

fn boxed(message: Down) -> Said {
    Box::new(Ok(v1::ServerMessage {
        message: Some(message),
    }))
}

/// What becomes of the samples that a session hands to the writer.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Those that are stored, of which the agent has not been told.
    stored: Mutex<Stored>,
    /// Told by [`Answers`].
    teller: AtomicWaker,
    /// How many are with the writer.
    waiting: AtomicUsize,
    none_waits: Notify,
}

#[derive(Debug, Default)]
struct Stored {
    ids: Vec<SampleId>,
    /// When the first of them was stored.
    since: Option<Instant>,
}

impl Settled {
    /// Notes that a sample goes to the writer.
    pub(super) fn one_more_waits(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that so many are with the writer no more.
    pub(super) fn fewer_wait(&self, count: usize) {
        let fewer = |waiting: usize| Some(waiting.saturating_sub(count));
        let before = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        if before.is_ok_and(|waiting| waiting <= count) {
            self.none_waits.notify_one();
        }
    }

    /// Has the agent told that samples are stored.
    ///
    /// # Errors
    /// It has not taken what was said before for [`SEND`].
    pub(super) fn store(&self, ids: Vec<SampleId>) -> Result<(), Status> {
        let count = ids.len();
        let is_read = {
            let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            let since = *stored.since.get_or_insert_with(Instant::now);
            if stored.ids.is_empty() {
                stored.ids = ids;
            } else {
                stored.ids.extend(ids);
            }
            since.elapsed() < SEND
        };
        self.teller.wake();
        self.fewer_wait(count);
        if is_read { Ok(()) } else { Err(unread()) }
    }

    /// What the agent is to be told, if there is anything.
    fn take(&self) -> Option<v1::Acknowledgement> {
        let Stored { ids, .. } =
            std::mem::take(&mut *self.stored.lock().unwrap_or_else(PoisonError::into_inner));
        (!ids.is_empty()).then(|| v1::Acknowledgement {
            stored: contiguous(ids).into_iter().map(seq_range_to_wire).collect(),
            rejected: Vec::new(),
        })
    }

    /// Waits until none is with the writer.
    pub(super) async fn all(&self) {
        while self.waiting.load(Ordering::Relaxed) > 0 {
            self.none_waits.notified().await;
        }
    }
}

/// What an agent is answered, until its session ends.
pub struct Answers {
    messages: mpsc::Receiver<Said>,
    settled: Arc<Settled>,
    /// Whether something was said, which is the welcome: nothing goes before it.
    is_greeted: bool,
}

impl Stream for Answers {
    type Item = Result<v1::ServerMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_greeted {
            self.settled.teller.register(context.waker());
            // First: the last of the messages is the session's end.
            if let Some(words) = self.settled.take() {
                return Poll::Ready(Some(*boxed(Down::Acknowledgement(words))));
            }
        }
        let message = ready!(self.messages.poll_recv(context));
        self.is_greeted = true;
        Poll::Ready(message.map(|message| *message))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn id(seq: u64) -> SampleId {
        SampleId { epoch: 1, seq }
    }

    /// What was said last: the runs of an acknowledgement, or another message's name.
    async fn said(answers: &mut Answers) -> String {
        match answers.next().await {
            Some(Ok(v1::ServerMessage {
                message: Some(Down::Acknowledgement(words)),
            })) => {
                let runs = words
                    .stored
                    .iter()
                    .map(|run| format!("{}-{}", run.first, run.last));
                runs.collect::<Vec<_>>().join(" ")
            }
            Some(Ok(v1::ServerMessage {
                message: Some(Down::Welcome(_)),
            })) => "welcome".to_owned(),
            Some(Err(end)) => end.message().to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_welcome_comes_first_and_the_end_last() {
        let (outbound, mut answers) = channel();
        outbound.settled.store(vec![id(2), id(1)]).unwrap();
        assert!(
            answers.next().now_or_never().is_none(),
            "nothing goes before the welcome"
        );
        outbound.try_send(Down::Welcome(v1::Welcome::default()));
        outbound.end(Status::unavailable("over"));
        outbound.settled.store(vec![id(4)]).unwrap();
        assert_eq!(said(&mut answers).await, "welcome");
        assert_eq!(said(&mut answers).await, "1-2 4-4");
        assert_eq!(said(&mut answers).await, "over");
    }

    #[tokio::test]
    async fn who_waits_is_told_when_something_is_stored() {
        let (outbound, mut answers) = channel();
        outbound.try_send(Down::Welcome(v1::Welcome::default()));
        assert_eq!(said(&mut answers).await, "welcome");
        let told = tokio::spawn(async move { said(&mut answers).await });
        tokio::task::yield_now().await;
        outbound.settled.store(vec![id(7)]).unwrap();
        let told = tokio::time::timeout(SEND, told)
            .await
            .expect("who waits is woken");
        assert_eq!(told.unwrap(), "7-7");
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_found_out() {
        let (outbound, mut answers) = channel();
        outbound.try_send(Down::Welcome(v1::Welcome::default()));
        assert_eq!(said(&mut answers).await, "welcome");
        outbound.settled.store(vec![id(1)]).unwrap();
        tokio::time::advance(SEND / 2).await;
        outbound.settled.store(vec![id(2)]).unwrap();
        assert_eq!(said(&mut answers).await, "1-2", "it reads, late");
        tokio::time::advance(SEND / 2).await;
        outbound.settled.store(vec![id(3)]).unwrap();
        tokio::time::advance(SEND).await;
        assert!(outbound.settled.store(vec![id(4)]).is_err());
    }

    #[tokio::test]
    async fn what_the_writer_has_is_waited_for() {
        let settled = Settled::default();
        settled.all().now_or_never().expect("nothing is with the writer");
        settled.one_more_waits();
        settled.one_more_waits();
        settled.fewer_wait(1);
        let mut all = std::pin::pin!(settled.all());
        assert!(all.as_mut().now_or_never().is_none(), "one is left");
        settled.store(vec![id(2)]).unwrap();
        all.now_or_never().expect("none is left");
    }
}
