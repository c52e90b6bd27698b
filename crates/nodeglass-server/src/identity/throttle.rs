//! How often somebody may try to sign in: per name and per address, so that passwords are not found by trying.
//!
//! A name that somebody attacks stays open to its owner where it has signed in from before: such pairs have tries of their
//! own.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Tries with one name at once, and after what time there is another: 10, and then 240 an hour.
const NAME: Bucket = Bucket {
    most: 10.0,
    each: Duration::from_secs(15),
};
/// Tries from one address, of a whole office perhaps.
const ADDRESS: Bucket = Bucket {
    most: 30.0,
    each: Duration::from_secs(3),
};
/// Names and addresses remembered; far more than there are, so that only an attack reaches it.
const REMEMBERED: usize = 20_000;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    most: f64,
    each: Duration,
}

/// Counts tries.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Tries>);

#[derive(Debug, Default)]
struct Tries {
    names: HashMap<String, Left>,
    addresses: HashMap<IpAddr, Left>,
    /// Names with addresses from which they have signed in.
    known: HashMap<(String, IpAddr), Left>,
}

/// What is left of a bucket, and when.
#[derive(Debug, Clone, Copy)]
struct Left {
    tries: f64,
    at: Instant,
}

impl Throttle {
    /// Takes a try.
    ///
    /// # Errors
    /// There is none left; the answer is after what time there will be.
    pub fn take(&self, name: &str, address: Option<IpAddr>) -> Result<(), Duration> {
        let address = address.map(network);
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = address {
            take(&mut tries.addresses, address, ADDRESS)?;
            let pair = (name.to_owned(), address);
            if tries.known.contains_key(&pair) {
                return take(&mut tries.known, pair, NAME);
            }
        }
        take(&mut tries.names, name.to_owned(), NAME)
    }

    /// Gives back what a good try took, and remembers where it came from.
    pub fn succeeded(&self, name: &str, address: Option<IpAddr>) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.names.remove(name);
        if let Some(address) = address.map(network) {
            tries.addresses.remove(&address);
            make_room(&mut tries.known, NAME);
            let full = Left {
                tries: NAME.most,
                at: Instant::now(),
            };
            tries.known.insert((name.to_owned(), address), full);
        }
    }
}

fn take<K: Eq + Hash + Clone>(all: &mut HashMap<K, Left>, key: K, bucket: Bucket) -> Result<(), Duration> {
    let now = Instant::now();
    if !all.contains_key(&key) {
        make_room(all, bucket);
    }
    let left = all.entry(key).or_insert(Left {
        tries: bucket.most,
        at: now,
    });
    left.tries = left.refilled(bucket, now);
    left.at = now;
    if left.tries < 1.0 {
        return Err(bucket.each.mul_f64(1.0 - left.tries));
    }
    left.tries -= 1.0;
    Ok(())
}

impl Left {
    fn refilled(&self, bucket: Bucket, now: Instant) -> f64 {
        let gained = now.duration_since(self.at).as_secs_f64() / bucket.each.as_secs_f64();
        (self.tries + gained).min(bucket.most)
    }
}

/// Forgets what is full again, and if that is not enough whatever was tried longest ago.
fn make_room<K: Eq + Hash + Clone>(all: &mut HashMap<K, Left>, bucket: Bucket) {
    if all.len() < REMEMBERED {
        return;
    }
    let now = Instant::now();
    all.retain(|_, left| left.refilled(bucket, now) < bucket.most);
    if all.len() >= REMEMBERED {
        let mut times: Vec<Instant> = all.values().map(|left| left.at).collect();
        let (_, middle, _) = times.select_nth_unstable(REMEMBERED / 2);
        let middle = *middle;
        all.retain(|_, left| left.at > middle);
    }
}

/// Who has one IPv6 address mostly has all of its /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_and_an_address_have_so_many_tries_and_then_one_now_and_then() {
        let throttle = Throttle::default();
        for number in 0..10 {
            throttle.take("ann", Some(v4(number))).unwrap();
        }
        let wait = throttle.take("ann", Some(v4(99))).unwrap_err();
        assert!(wait <= NAME.each && wait > Duration::from_secs(14), "{wait:?}");
        throttle.take("bob", Some(v4(99))).unwrap();
        tokio::time::advance(wait).await;
        throttle.take("ann", Some(v4(99))).unwrap();
        assert!(throttle.take("ann", Some(v4(99))).is_err());
        for number in 0..28 {
            throttle.take(&format!("user-{number}"), Some(v4(98))).unwrap();
        }
        throttle.take("user-a", Some(v4(98))).unwrap();
        throttle.take("user-b", Some(v4(98))).unwrap();
        assert!(throttle.take("user-c", Some(v4(98))).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_signed_in_from_there_is_not_kept_out_by_others() {
        let throttle = Throttle::default();
        throttle.take("ann", Some(v4(1))).unwrap();
        throttle.succeeded("ann", Some(v4(1)));
        for number in 100..110 {
            throttle.take("ann", Some(v4(number))).unwrap();
        }
        assert!(throttle.take("ann", Some(v4(2))).is_err());
        throttle.take("ann", Some(v4(1))).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_neighbours_in_a_network_are_one() {
        let throttle = Throttle::default();
        for number in 0..REMEMBERED as u32 + 10 {
            let _ = throttle.take(&format!("user-{number}"), Some(v4(number)));
        }
        let tries = throttle.0.lock().unwrap();
        assert!(tries.names.len() <= REMEMBERED && tries.addresses.len() <= REMEMBERED);
        drop(tries);
        let six = |text: &str| network(text.parse().unwrap());
        assert_eq!(six("2001:db8::1"), six("2001:db8::ffff:2"));
        assert_ne!(six("2001:db8::1"), six("2001:db8:0:1::1"));
        assert_eq!(six("::ffff:10.0.0.1"), six("10.0.0.1"));
    }
}
