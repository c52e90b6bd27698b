//! Connections by address, of those that have not proved who they are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many there are from each address.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Addresses {
    /// Counts one more from an address; `None` if there are so many already. With `most` 0 there is room for any number.
    pub(super) fn admit(&self, address: IpAddr, most: usize) -> Option<Guest> {
        let address = neighbourhood(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if most > 0 && *count >= most {
            return None;
        }
        *count += 1;
        Some(Guest {
            addresses: self.clone(),
            address,
            is_counted: AtomicBool::new(true),
        })
    }
}

/// One connection of somebody whom nobody knows yet; counted until it is known or gone.
#[derive(Debug)]
pub struct Guest {
    addresses: Addresses,
    address: IpAddr,
    is_counted: AtomicBool,
}

impl Guest {
    /// Counts it no longer: it proved who it is.
    pub fn is_known(&self) {
        if !self.is_counted.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.is_known();
    }
}

/// What one host has for itself: an IPv4 address, or the half of an IPv6 address that networks are given.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_or_gone_makes_room() {
        let addresses = Addresses::default();
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let guests: Vec<_> = (0..2).filter_map(|_| addresses.admit(one, 2)).collect();
        assert!(addresses.admit(one, 2).is_none());
        assert!(
            addresses.admit("10.0.0.2".parse().unwrap(), 2).is_some(),
            "another address"
        );
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert!(addresses.admit(mapped, 2).is_none(), "the same address");
        guests[0].is_known();
        guests[0].is_known();
        let third = addresses.admit(one, 2);
        assert!(third.is_some() && addresses.admit(one, 2).is_none());
        drop((guests, third));
        assert!(addresses.0.lock().unwrap().is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let addresses = Addresses::default();
        let held = addresses.admit("2001:db8::1".parse().unwrap(), 1);
        assert!(held.is_some());
        assert!(addresses.admit("2001:db8::ffff".parse().unwrap(), 1).is_none());
        assert!(addresses.admit("2001:db8:0:1::1".parse().unwrap(), 1).is_some());
    }
}
