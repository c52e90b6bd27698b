//! Tickets: what a browser puts into the address of a stream, where a token must not stand. Each is good once, and for half
//! a minute; they are in memory alone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nodeglass_runtime::config::Secret;
use tokio::time::Instant;

use super::keyed::Keyed;
use crate::access::Caller;
use crate::error::ApiError;
use crate::tokens;

/// The prefix of a ticket.
pub const PREFIX: &str = "ngk_";
/// How long one is good.
pub const GOOD: Duration = Duration::from_secs(30);
/// Tickets that are good at once; callers use theirs at once, so only a mistake or an attack reaches it.
const OPEN: usize = 10_000;

/// All tickets that were not used yet.
#[derive(Debug, Default)]
pub struct Tickets(Mutex<Keyed<(Caller, Instant)>>);

impl Tickets {
    /// Makes one, with which somebody else's call is the caller's.
    ///
    /// # Errors
    /// There are too many.
    pub fn issue(&self, caller: &Caller) -> Result<Secret, ApiError> {
        let ticket = tokens::generate(PREFIX);
        let until = Instant::now() + GOOD;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN {
            let now = Instant::now();
            open.retain(|(_, until)| *until > now);
        }
        if open.len() >= OPEN {
            return Err(ApiError::Overloaded);
        }
        open.insert(tokens::hash(ticket.expose()), (caller.clone(), until));
        Ok(ticket)
    }

    /// Whose a ticket is; it is good no more. One whose owner's rights have ended meanwhile is nobody's.
    pub fn redeem(&self, ticket: &str) -> Option<Caller> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, until) = open.remove(&tokens::hash(ticket))?;
        (until > Instant::now() && !caller.ended().is_cancelled()).then_some(caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_and_not_for_long() {
        let tickets = Tickets::default();
        let caller = Caller::anybody();
        let ticket = tickets.issue(&caller).unwrap();
        assert_eq!(
            tickets.redeem("ngk_other").map(|caller| caller.name.clone()),
            None
        );
        assert_eq!(tickets.redeem(ticket.expose()).unwrap().name, caller.name);
        assert!(tickets.redeem(ticket.expose()).is_none(), "used");
        let ticket = tickets.issue(&caller).unwrap();
        tokio::time::advance(GOOD).await;
        assert!(tickets.redeem(ticket.expose()).is_none(), "too late");
        let ticket = tickets.issue(&caller).unwrap();
        caller.ended().cancel();
        assert!(tickets.redeem(ticket.expose()).is_none(), "revoked");
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_and_no_more() {
        let tickets = Tickets::default();
        let caller = Caller::anybody();
        for _ in 0..OPEN {
            tickets.issue(&caller).unwrap();
        }
        assert!(matches!(tickets.issue(&caller), Err(ApiError::Overloaded)));
        tokio::time::advance(GOOD).await;
        tickets.issue(&caller).unwrap();
    }
}
