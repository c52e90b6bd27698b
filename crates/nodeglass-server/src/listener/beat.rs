//! Has many agents' connections read together. Each that sends now and then finds the processor's caches cold; those that are
//! read one after the other share what the first has fetched.
//!
//! What has come on an agent's connection waits for the next beat, as long as there are many agents. Calls of people and
//! programs never wait.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long what an agent sent may wait: not long for who looks on, and some ten agents' messages of a thousand agents.
const BEAT: Duration = Duration::from_millis(40);
/// From so many agents on there are several messages in a beat.
const MANY: usize = 200;

/// Who is read at the next beat.
#[derive(Debug, Default)]
pub(super) struct Beat {
    agents: AtomicUsize,
    is_on: AtomicBool,
    /// `None` while nobody has to wait.
    waiting: Mutex<Option<Vec<Arc<Ear>>>>,
    many: Notify,
}

impl Beat {
    /// Counts one more agent's connection, until [`Beat::leave`].
    pub(super) fn enter(&self) {
        if self.agents.fetch_add(1, Ordering::Relaxed) + 1 >= MANY {
            self.many.notify_one();
        }
    }

    pub(super) fn leave(&self) {
        self.agents.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether agents wait for each other at all.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Beats until `stop` while there are many agents.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if self.agents.load(Ordering::Relaxed) < MANY {
                self.turn(None);
                tokio::select! {
                    () = self.many.notified() => {}
                    () = stop.cancelled() => {}
                }
            } else {
                self.turn(Some(Vec::new()));
                tokio::select! {
                    () = tokio::time::sleep(BEAT) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        self.turn(None);
    }

    /// Lets all read that wait; who comes from now on waits in `next`.
    fn turn(&self, next: Option<Vec<Arc<Ear>>>) {
        self.is_on.store(next.is_some(), Ordering::Relaxed);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = std::mem::replace(&mut *waiting, next);
        drop(waiting);
        for ear in ready.into_iter().flatten() {
            ear.is_waiting.store(false, Ordering::Release);
            ear.task.wake();
        }
    }
}

/// What the system wakes instead of a connection's task.
#[derive(Debug)]
pub(super) struct Ear {
    beat: Arc<Beat>,
    task: AtomicWaker,
    is_waiting: AtomicBool,
}

impl Ear {
    /// One, and what wakes it.
    pub(super) fn new(beat: Arc<Beat>) -> (Arc<Self>, Waker) {
        let ear = Arc::new(Self {
            beat,
            task: AtomicWaker::new(),
            is_waiting: AtomicBool::new(false),
        });
        let waker = Waker::from(ear.clone());
        (ear, waker)
    }

    /// Wakes this task at the beat after there is something to read.
    pub(super) fn listen_for(&self, task: &Waker) {
        self.task.register(task);
    }
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut waiting = self.beat.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = &mut *waiting {
            waiting.push(self.clone());
            return;
        }
        drop(waiting);
        self.is_waiting.store(false, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_agents_are_read_together_and_few_at_once() {
        let (beat, stop) = (Arc::<Beat>::default(), CancellationToken::new());
        let running = tokio::spawn(beat.clone().run(stop.clone()));
        let woken = Arc::new(Counter(AtomicUsize::new(0)));
        let count = || woken.0.load(Ordering::Relaxed);
        let (ear, waker) = Ear::new(beat.clone());
        let listen = || ear.listen_for(&Waker::from(woken.clone()));
        listen();
        waker.wake_by_ref();
        assert_eq!(count(), 1, "one agent waits for nobody");

        (0..MANY).for_each(|_| beat.enter());
        tokio::time::sleep(BEAT / 2).await;
        assert!(beat.is_on());
        listen();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(count(), 1);
        tokio::time::sleep(BEAT).await;
        assert_eq!(count(), 2, "the next beat wakes it once");

        listen();
        waker.wake_by_ref();
        stop.cancel();
        running.await.unwrap();
        assert_eq!(count(), 3, "who waited at the end is woken");
        listen();
        waker.wake_by_ref();
        assert_eq!(count(), 4);
    }
}
