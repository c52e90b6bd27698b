//! Proofs of keys that came, so that none counts twice.
//!
//! A proof counts for a short time around its own; what came within it is remembered. What was made before this server
//! started does not count, since it may have come to the one before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_proto::proof::NONCE_BYTES;

/// How far a proof's time may be from ours. An agent whose clock is further away is told the time and signs anew, so this
/// need only cover the way.
const AROUND: Duration = Duration::from_mins(1);
/// Proofs that are remembered at most: as many sessions as may begin in the time, and more. More than that is an attack.
const REMEMBERED: usize = 120_000;

/// Why a proof does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    /// Its time is not now.
    Time,
    /// It came before.
    Repeated,
    /// There is no room to remember it.
    Full,
}

/// What came lately.
#[derive(Debug)]
pub(super) struct Proofs {
    /// When this server started.
    began: UnixMillis,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// With the moment at which each is of no use any more.
    nonces: HashMap<[u8; NONCE_BYTES], UnixMillis>,
    /// When those were let go last that are of no use.
    swept: UnixMillis,
}

impl Proofs {
    pub(super) fn new(began: UnixMillis) -> Self {
        Self {
            began,
            seen: Mutex::default(),
        }
    }

    /// Takes a proof that was made at a moment, if it was not taken before. Its signature must be right already.
    pub(super) fn take(
        &self,
        nonce: [u8; NONCE_BYTES],
        at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Stale> {
        if at < self.began || at < now.minus(AROUND) || at > now.plus(AROUND) {
            return Err(Stale::Time);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.swept < now.minus(AROUND / 4) || seen.swept > now || seen.nonces.len() >= REMEMBERED {
            seen.nonces.retain(|_, until| *until >= now);
            seen.swept = now;
        }
        if seen.nonces.len() >= REMEMBERED {
            return Err(Stale::Full);
        }
        let until = at.plus(AROUND);
        match seen.nonces.insert(nonce, until) {
            None => Ok(()),
            Some(before) => {
                seen.nonces.insert(nonce, before.max(until));
                Err(Stale::Repeated)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_700_000_000_000);

    #[test]
    fn a_proof_counts_once_and_in_its_time() {
        let proofs = Proofs::new(START);
        let now = START.plus(Duration::from_hours(1));
        let nonce = |number| [number; NONCE_BYTES];
        assert_eq!(proofs.take(nonce(1), now, now), Ok(()));
        assert_eq!(proofs.take(nonce(1), now, now), Err(Stale::Repeated));
        let later = now.plus(AROUND);
        assert_eq!(
            proofs.take(nonce(1), now, later),
            Err(Stale::Repeated),
            "to the end of its time"
        );
        let much_later = later.plus(Duration::from_millis(1));
        assert_eq!(proofs.take(nonce(1), now, much_later), Err(Stale::Time));
        assert_eq!(proofs.take(nonce(2), much_later.plus(AROUND), much_later), Ok(()));
        let ahead = much_later.plus(AROUND).plus(Duration::from_millis(1));
        assert_eq!(proofs.take(nonce(3), ahead, much_later), Err(Stale::Time));
    }

    #[test]
    fn what_is_of_no_use_is_let_go_and_what_is_stays() {
        let proofs = Proofs::new(START);
        let later = START.plus(AROUND * 10);
        for number in 0..100 {
            proofs.take([number; NONCE_BYTES], START, START).unwrap();
        }
        // Made ahead of its time, it is good, and so remembered, longer.
        proofs
            .take([200; NONCE_BYTES], later, later.minus(AROUND))
            .unwrap();
        proofs.take([201; NONCE_BYTES], later, later).unwrap();
        assert_eq!(proofs.seen.lock().unwrap().nonces.len(), 2);
        assert_eq!(
            proofs.take([200; NONCE_BYTES], later, later),
            Err(Stale::Repeated)
        );
    }

    #[test]
    fn what_came_to_the_server_before_this_one_does_not_count() {
        let proofs = Proofs::new(START);
        let before = START.minus(Duration::from_millis(1));
        assert_eq!(proofs.take([1; NONCE_BYTES], before, START), Err(Stale::Time));
        assert_eq!(proofs.take([1; NONCE_BYTES], START, START), Ok(()));
    }
}
