//! Samples that hosts and programs without our agent push as JSON: they go the way of all samples, to the live view, the
//! writer and the ledger, and are answered once they are stored.
//!
//! A push has an identity as every sample has: its epoch is [`EPOCH`] or [`NUMBERED`], its number comes from its `Idempotency-Key` or its time. So
//! a push that is made again is stored once, by the same rule as an agent's sample that is sent again. What was pushed lately is
//! remembered besides, so that a repetition without a time has the time that it had at first, and other figures under the same key
//! or time are refused rather than lost.

mod body;
mod register;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nodeglass_model::{Clock, SampleId, UnixMillis};
use nodeglass_store::{AgentKey, Store};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::error::ApiError;
use crate::ingest::{Ingest, NotTaken};
use crate::live::LiveAgent;
use crate::queries::Queries;

use body::Before;
pub use body::{
    ALL_INTERFACES, DiskUsage, InvalidPush, MAX_CUSTOM, Moment, NetworkCounters, NetworkIo, NetworkRates,
    Push,
};
pub use register::Registration;

/// The epoch of pushed samples. No journal comes near it, and every program can hold it as a number.
pub const EPOCH: u64 = (1 << 53) - 1;
/// The epoch of those without a time, which have a number instead: numbers and times look alike.
const NUMBERED: u64 = EPOCH - 1;
/// Bits of a number that is made of a key, for the same reason.
const KEY_BITS: u32 = 53;
/// The largest body of a push; the largest that makes sense has a few KiB.
pub const MAX_PUSH_BYTES: usize = 64 << 10;
/// The longest `Idempotency-Key`.
pub const MAX_KEY_BYTES: usize = 128;
/// Pushes of an agent that are remembered, to know a repetition: at one a second, two minutes.
const REMEMBERED: usize = 128;
/// Custom metrics of one agent since the server started: each is a series for good, in each of its chunks.
const MAX_NAMES: usize = 256;
/// How long a push waits until it is stored. The writer gathers for a second at most; what takes longer is trouble.
const STORED: Duration = Duration::from_secs(10);
/// How often somebody pushes or gives a sign of life who did not say how often.
const USUAL: Duration = Duration::from_mins(1);
/// An agent that pushes is shown as connected for so many of its intervals after its last word.
const SILENT_INTERVALS: u32 = 3;

/// Takes pushes.
#[derive(Clone)]
pub struct Pushes {
    ingest: Ingest,
    queries: Arc<Queries>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    pushers: Arc<Mutex<HashMap<AgentKey, Arc<Mutex<Pusher>>>>>,
}

/// What is remembered of an agent that pushes.
#[derive(Debug, Default)]
struct Pusher {
    recent: VecDeque<Remembered>,
    /// The highest number that was given to a push without a time.
    last: u64,
    names: BTreeSet<String>,
    before: Option<Before>,
    interval: Option<Duration>,
}

/// One push.
#[derive(Debug, Clone)]
struct Remembered {
    name: Name,
    digest: [u8; 32],
    id: SampleId,
    at: UnixMillis,
}

/// What makes two pushes the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Key(String),
    Time(UnixMillis),
}

/// What became of a push that is stored now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The time that it has.
    pub at: UnixMillis,
    /// Whether it came before, as far as is remembered.
    pub is_repeated: bool,
}

impl Pushes {
    /// Takes pushes by way of `ingest`.
    pub fn new(ingest: Ingest, queries: Arc<Queries>, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            ingest,
            queries,
            store,
            clock,
            pushers: Arc::default(),
        }
    }

    /// Takes a push of an agent, and waits until it is stored.
    ///
    /// # Errors
    /// It can't be meant so, says other than an earlier one of the same name, or is not stored in time: then it may be made again.
    pub async fn push(
        &self,
        agent: &Arc<LiveAgent>,
        push: &Push,
        key: Option<&str>,
    ) -> Result<Pushed, ApiError> {
        has_no_session(agent)?;
        let (stored, pushed) = self.hand_in(agent, push, key)?;
        match tokio::time::timeout(STORED, stored).await {
            Ok(Ok(())) => Ok(pushed),
            Ok(Err(_)) | Err(_) => Err(ApiError::NotStored),
        }
    }

    fn hand_in(
        &self,
        agent: &Arc<LiveAgent>,
        push: &Push,
        key: Option<&str>,
    ) -> Result<(oneshot::Receiver<()>, Pushed), ApiError> {
        let now = self.clock.now();
        let given = push.moment()?;
        let text = serde_json::to_vec(push).map_err(|error| ApiError::Internal(error.into()))?;
        let digest: [u8; 32] = Sha256::digest(&text).into();
        let pusher = self.pusher(agent.key);
        // Held until it is handed in: of two that are the same the second finds the first.
        let mut pusher = lock(&pusher);
        let name = match (key, given) {
            (Some(key), _) => Some(Name::Key(key.to_owned())),
            (None, at) => at.map(Name::Time),
        };
        let known = name.as_ref().and_then(|name| pusher.known(name));
        if known.as_ref().is_some_and(|known| known.digest != digest) {
            return Err(ApiError::OtherPush(match key {
                Some(_) => "Idempotency-Key",
                None => "timestamp",
            }));
        }
        let (id, at) = match &known {
            Some(known) => (known.id, known.at),
            None => pusher.identify(key, given, now),
        };
        let is_repeated = known.is_some();
        let sample = push.sample(at, pusher.before.as_ref())?;
        pusher.may_name(push)?;
        let stored = self
            .ingest
            .take_pushed(agent, id, sample, !is_repeated)
            .map_err(|not_taken| match not_taken {
                NotTaken::Refused { code, message } => ApiError::Refused { code, message },
                NotTaken::NoRoom => ApiError::Overloaded,
            })?;
        if let Some(name) = name.filter(|_| !is_repeated) {
            pusher.remember(Remembered { name, digest, id, at });
        }
        pusher.take_over(push, at);
        agent.hear(pusher.interval.unwrap_or(USUAL) * SILENT_INTERVALS);
        Ok((stored, Pushed { at, is_repeated }))
    }

    /// Takes a sign of life.
    ///
    /// # Errors
    /// The agent has an agent of ours.
    pub fn heartbeat(&self, agent: &LiveAgent) -> Result<(), ApiError> {
        has_no_session(agent)?;
        let pusher = self.pusher(agent.key);
        let interval = lock(&pusher).interval;
        agent.hear(interval.unwrap_or(USUAL) * SILENT_INTERVALS);
        Ok(())
    }

    /// There are as many as agents were enrolled.
    fn pusher(&self, agent: AgentKey) -> Arc<Mutex<Pusher>> {
        let mut pushers = self.pushers.lock().unwrap_or_else(PoisonError::into_inner);
        pushers.entry(agent).or_default().clone()
    }
}

fn lock(pusher: &Mutex<Pusher>) -> MutexGuard<'_, Pusher> {
    pusher.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two that report as one would mix their figures up.
fn has_no_session(agent: &LiveAgent) -> Result<(), ApiError> {
    if agent.session().is_some() {
        return Err(ApiError::HasAgent(agent.id.to_string()));
    }
    Ok(())
}

impl Pusher {
    fn known(&self, name: &Name) -> Option<Remembered> {
        self.recent
            .iter()
            .rev()
            .find(|known| known.name == *name)
            .cloned()
    }

    fn remember(&mut self, push: Remembered) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(push);
    }

    /// The identity and the time of a push that is not known. With a time, both follow from what was sent, so that the store
    /// knows it again however late it is repeated; without one it has a number that no other push has.
    fn identify(
        &mut self,
        key: Option<&str>,
        given: Option<UnixMillis>,
        now: UnixMillis,
    ) -> (SampleId, UnixMillis) {
        let seq = match (key, given) {
            (Some(key), Some(_)) => number_of(key),
            (None, Some(at)) => at.0.unsigned_abs(),
            (_, None) => {
                self.last = now.0.unsigned_abs().max(self.last + 1);
                self.last
            }
        };
        let epoch = if given.is_some() { EPOCH } else { NUMBERED };
        (SampleId { epoch, seq }, given.unwrap_or(now))
    }

    /// Whether the agent may have these custom metrics, too.
    fn may_name(&self, push: &Push) -> Result<(), ApiError> {
        let new = push
            .custom()
            .filter(|(name, _)| !self.names.contains(*name))
            .count();
        if self.names.len() + new > MAX_NAMES {
            return Err(InvalidPush {
                field: "custom_metrics",
                problem: format!(
                    "an agent has at most {MAX_NAMES} of them, and each is a series: don't put into a name what changes"
                ),
            }
            .into());
        }
        Ok(())
    }

    fn take_over(&mut self, push: &Push, at: UnixMillis) {
        self.names.extend(push.custom().map(|(name, _)| name.to_owned()));
        let is_newer = self.before.as_ref().is_none_or(|(then, _)| *then < at);
        if let Some(counters) = push.counters().filter(|_| is_newer) {
            self.before = Some((at, counters.clone()));
        }
    }
}

/// The number that a key stands for, 1 or more.
fn number_of(key: &str) -> u64 {
    let digest = Sha256::digest(key.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    (u64::from_le_bytes(bytes) >> (u64::BITS - KEY_BITS)).max(1)
}

impl From<InvalidPush> for ApiError {
    fn from(invalid: InvalidPush) -> Self {
        Self::Parameter {
            name: invalid.field,
            problem: invalid.problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_690_538_400_000);

    #[test]
    fn a_push_has_the_identity_that_its_key_or_its_time_gives_it() {
        let at = Some(UnixMillis(NOW.0 - 5_000));
        let identify = |key, at| Pusher::default().identify(key, at, NOW);
        assert_ne!(
            identify(None, None).0,
            identify(None, Some(NOW)).0,
            "one that came at a moment, and one that is of it"
        );
        assert_eq!(
            identify(None, at),
            Pusher::default().identify(None, at, UnixMillis(NOW.0 + 9))
        );
        assert_eq!(identify(Some("a"), at), identify(Some("a"), at));
        assert_ne!(identify(Some("a"), at), identify(Some("b"), at));
        assert_ne!(identify(Some("a"), at), identify(None, at));
        let mut pusher = Pusher::default();
        let first = pusher.identify(None, None, NOW);
        let second = pusher.identify(None, None, NOW);
        assert_eq!((first.1, second.1), (NOW, NOW));
        assert_ne!(first.0, second.0, "two within a millisecond are two");
        for key in ["", "a", "x"] {
            assert!((1..=1 << KEY_BITS).contains(&number_of(key)), "{key}");
        }
    }

    #[test]
    fn the_last_pushes_are_remembered_and_no_more() {
        let mut pusher = Pusher::default();
        let name = |number: usize| Name::Key(number.to_string());
        for number in 0..=REMEMBERED {
            pusher.remember(Remembered {
                name: name(number),
                digest: [0; 32],
                id: SampleId { epoch: 1, seq: 1 },
                at: NOW,
            });
        }
        assert!(pusher.known(&name(0)).is_none());
        assert!(pusher.known(&name(1)).is_some());
        assert_eq!(pusher.recent.len(), REMEMBERED);
    }

    #[test]
    fn an_agent_has_so_many_custom_metrics_and_no_more() {
        let push = |number: usize| -> Push {
            serde_json::from_str(&format!(r#"{{"custom_metrics": {{"m{number}": 1}}}}"#)).unwrap()
        };
        let mut pusher = Pusher::default();
        for number in 0..MAX_NAMES {
            pusher.may_name(&push(number)).unwrap();
            pusher.take_over(&push(number), NOW);
        }
        pusher.may_name(&push(7)).unwrap();
        assert!(pusher.may_name(&push(MAX_NAMES)).is_err());
    }
}
