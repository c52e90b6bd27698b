//! Whether an agent is connected: its session, or that it pushed a short while ago.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::ingest::SessionHandle;

/// Whether an agent is connected. What most want to know comes first, next to what the agent has before.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Presence {
    /// Whether there is a session, for those who want to know no more.
    has_session: AtomicBool,
    session: Mutex<Option<SessionHandle>>,
    /// Until when it counts as connected without a session, because it pushes.
    present_until: Mutex<Option<Instant>>,
}

impl Presence {
    /// The open session.
    pub(super) fn session(&self) -> Option<SessionHandle> {
        self.lock().clone()
    }

    /// Whether a session is open, or it pushed a short while ago.
    pub(super) fn is_connected(&self) -> bool {
        self.has_session.load(Ordering::Acquire) || self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Counts it as connected for so long.
    pub(super) fn hear(&self, present: Duration) {
        *self.present_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + present);
    }

    fn until(&self) -> Option<Instant> {
        *self.present_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session in the place of one, which ends, or of none; `false` if there is another.
    pub(super) fn open(&self, session: SessionHandle, instead_of: Option<u64>) -> bool {
        let mut open = self.lock();
        if let Some(before) = open.as_ref() {
            if instead_of != Some(before.number) {
                return false;
            }
            before.end(Status::aborted(
                "another session of this agent was opened, and this one did not answer",
            ));
        }
        *open = Some(session);
        self.has_session.store(true, Ordering::Release);
        true
    }

    /// Closes a session, unless another has taken its place.
    pub(super) fn close(&self, number: u64) {
        let mut session = self.lock();
        if session.as_ref().is_some_and(|open| open.number == number) {
            *session = None;
            self.has_session.store(false, Ordering::Release);
        }
    }

    /// The same for an agent of another name, which is yet to open a session.
    pub(super) fn without_session(&self) -> Self {
        Self {
            present_until: Mutex::new(self.until()),
            ..Self::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<SessionHandle>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
