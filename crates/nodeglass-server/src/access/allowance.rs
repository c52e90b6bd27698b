//! How often somebody may call: an allowance for each token and each address, which fills up evenly.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time that a limit is about.
pub const WINDOW: Duration = Duration::from_mins(1);

/// Callers whose allowances are remembered. One that has not called for a minute has all of it again, and need not be
/// remembered: only an attack from very many addresses reaches this, and shares one allowance among the rest of them.
const REMEMBERED: usize = 50_000;

/// The allowances of callers of one kind, told apart by `K`.
#[derive(Debug)]
pub(super) struct Allowances<K> {
    /// Calls in a minute; 0 for any number.
    per_minute: u64,
    left: Mutex<Left<K>>,
}

#[derive(Debug)]
struct Left<K> {
    by_caller: HashMap<K, Allowance>,
    /// Of all for whom there was no room.
    others: Option<Allowance>,
}

/// What a caller may still spend.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    calls: f64,
    at: Instant,
}

/// How a caller stands after a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Calls in a minute.
    pub limit: u64,
    /// Calls that may follow at once.
    pub remaining: u64,
    /// When the allowance is whole again.
    pub reset: Duration,
}

/// A caller has spent its allowance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    /// How it stands.
    pub standing: Standing,
    /// When it may make the next call.
    pub wait: Duration,
}

impl<K: Hash + Eq> Allowances<K> {
    /// Allows each caller so many calls in a minute; 0 for any number.
    pub(super) fn new(per_minute: u64) -> Self {
        Self {
            per_minute,
            left: Mutex::new(Left {
                by_caller: HashMap::new(),
                others: None,
            }),
        }
    }

    /// Takes one call off the caller's allowance; `None` where there is no limit.
    ///
    /// # Errors
    /// It is spent.
    pub(super) fn spend(&self, caller: K) -> Result<Option<Standing>, Spent> {
        if self.per_minute == 0 {
            return Ok(None);
        }
        let (most, now) = (self.per_minute as f64, Instant::now());
        let fresh = Allowance { calls: most, at: now };
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.by_caller.len() >= REMEMBERED && !left.by_caller.contains_key(&caller) {
            left.by_caller
                .retain(|_, allowance| now.duration_since(allowance.at) < WINDOW);
        }
        let allowance = if left.by_caller.len() >= REMEMBERED && !left.by_caller.contains_key(&caller) {
            left.others.get_or_insert(fresh)
        } else {
            left.by_caller.entry(caller).or_insert(fresh)
        };
        let per_second = most / WINDOW.as_secs_f64();
        let gained = now.duration_since(allowance.at).as_secs_f64() * per_second;
        allowance.calls = (allowance.calls + gained).min(most);
        allowance.at = now;
        let is_spent = allowance.calls < 1.0;
        if !is_spent {
            allowance.calls -= 1.0;
        }
        let standing = Standing {
            limit: self.per_minute,
            remaining: allowance.calls as u64,
            reset: Duration::from_secs_f64((most - allowance.calls) / per_second),
        };
        if is_spent {
            let wait = Duration::from_secs_f64((1.0 - allowance.calls) / per_second);
            return Err(Spent { standing, wait });
        }
        Ok(Some(standing))
    }
}

/// Whom an address stands for: an IPv6 network is mostly one household's or host's, which has all of its addresses.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// The allowance that is nearer its end, if anything limits a caller: that one is told.
pub fn nearer(one: Option<Standing>, other: Option<Standing>) -> Option<Standing> {
    let both = one.into_iter().chain(other);
    both.min_by_key(|standing| standing.remaining)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_allowance_is_spent_and_fills_up_evenly() {
        let allowances = Allowances::new(60);
        for left in (0..60).rev() {
            let standing = allowances.spend("me").unwrap().unwrap();
            assert_eq!((standing.limit, standing.remaining), (60, left));
        }
        let spent = allowances.spend("me").unwrap_err();
        assert_eq!(
            (spent.wait, spent.standing.reset),
            (Duration::from_secs(1), WINDOW)
        );
        assert!(allowances.spend("you").is_ok(), "others have theirs");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(allowances.spend("me").is_ok() && allowances.spend("me").is_ok());
        assert!(allowances.spend("me").is_err());
        tokio::time::advance(WINDOW * 10).await;
        assert_eq!(
            allowances.spend("me").unwrap().unwrap().remaining,
            59,
            "not more than a minute's"
        );
        assert_eq!(Allowances::new(0).spend("me"), Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn callers_without_number_share_what_is_left() {
        let allowances = Allowances::new(60);
        for caller in 0..REMEMBERED {
            allowances.spend(caller).unwrap();
        }
        for caller in 0..60 {
            allowances.spend(REMEMBERED + caller).unwrap();
        }
        assert!(allowances.spend(REMEMBERED * 2).is_err());
        assert!(allowances.spend(1).is_ok(), "those who were there keep theirs");
        tokio::time::advance(WINDOW).await;
        assert!(
            allowances.spend(REMEMBERED * 2).is_ok(),
            "those who are gone are forgotten"
        );
        assert_eq!(allowances.left.lock().unwrap().by_caller.len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        let household = |text: &str| household(text.parse().unwrap()).to_string();
        assert_eq!(household("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(household("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(household("192.0.2.1"), "192.0.2.1");
    }
}
