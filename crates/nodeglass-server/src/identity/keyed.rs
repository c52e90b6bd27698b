//! Values by the hash of a secret. Where one lies tells nothing: hashes are found by their first bytes, and then compared
//! in constant time.

use std::collections::HashMap;

use nodeglass_store::TokenHash;
use subtle::ConstantTimeEq;

/// Values by hash.
#[derive(Debug, Clone)]
pub(super) struct Keyed<T>(HashMap<[u8; 8], Vec<(TokenHash, T)>>);

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Keyed<T> {
    /// The value of this hash.
    pub(super) fn get(&self, hash: &TokenHash) -> Option<&T> {
        let mut found = None;
        for (known, value) in self.0.get(&place(hash))? {
            if known.0.ct_eq(&hash.0).into() {
                found = Some(value);
            }
        }
        found
    }

    /// Keeps a value; one that was there goes.
    pub(super) fn insert(&mut self, hash: TokenHash, value: T) {
        self.remove(&hash);
        self.0.entry(place(&hash)).or_default().push((hash, value));
    }

    /// Lets go of a value, and gives it.
    pub(super) fn remove(&mut self, hash: &TokenHash) -> Option<T> {
        let place = place(hash);
        let there = self.0.get_mut(&place)?;
        let index = there
            .iter()
            .position(|(known, _)| bool::from(known.0.ct_eq(&hash.0)))?;
        let (_, value) = there.swap_remove(index);
        if there.is_empty() {
            self.0.remove(&place);
        }
        Some(value)
    }

    /// All of them.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values().flatten().map(|(_, value)| value)
    }

    /// Keeps those that `keep` wants.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|_, there| {
            there.retain(|(_, value)| keep(value));
            !there.is_empty()
        });
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn place(hash: &TokenHash) -> [u8; 8] {
    let mut place = [0; 8];
    place.copy_from_slice(&hash.0[..8]);
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_begin_alike_are_told_apart() {
        let (mut one, mut other) = ([7; 32], [7; 32]);
        (one[31], other[31]) = (1, 2);
        let (one, other) = (TokenHash(one), TokenHash(other));
        let mut keyed = Keyed::default();
        keyed.insert(one, "one");
        keyed.insert(other, "other");
        assert_eq!(
            (keyed.get(&one), keyed.get(&other)),
            (Some(&"one"), Some(&"other"))
        );
        assert_eq!(keyed.get(&TokenHash([7; 32])), None);
        keyed.insert(one, "again");
        assert_eq!((keyed.len(), keyed.remove(&one)), (2, Some("again")));
        assert_eq!((keyed.get(&one), keyed.get(&other)), (None, Some(&"other")));
        keyed.retain(|_| false);
        assert!(keyed.is_empty());
    }
}
