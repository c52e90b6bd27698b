//! What the database keeps and must not tell whoever reads a copy of it: sealed with a key that lies beside it, in the data
//! directory.

use std::io;
use std::path::Path;

use nodeglass_runtime::private;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The key's file in the data directory.
const FILE: &str = "identity.key";
/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// Seals and opens.
#[derive(Debug)]
pub struct Seal(LessSafeKey);

/// Something sealed that can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("it was sealed with another identity.key, or damaged")]
pub struct Sealed;

impl Seal {
    /// Reads the key of a data directory, or makes one.
    ///
    /// # Errors
    /// The file can't be read or made, or is none of ours; the message names it.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
        if private::create(&path, &key)? {
            return Self::of(&key);
        }
        let key = std::fs::read(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("can't read {}: {error}", path.display()))
        })?;
        Self::of(&key).map_err(|_| {
            let length = key.len();
            io::Error::other(format!(
                "{} is {length} bytes long and not {KEY_BYTES}: restore it, or remove it and have one-time codes set up anew",
                path.display()
            ))
        })
    }

    fn of(key: &[u8]) -> io::Result<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key)
            .map_err(|_| io::Error::other("a key of another length"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a secret of somebody, for whom alone it can be opened again.
    ///
    /// # Panics
    /// The operating system has no random numbers.
    pub fn seal(&self, owner: &str, secret: &[u8]) -> Vec<u8> {
        // Random ones do not repeat within the few secrets that there are.
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("random numbers from the operating system");
        let mut sealed = secret.to_vec();
        let sealing = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(sealing, Aad::from(owner.as_bytes()), &mut sealed)
            .expect("a secret of some bytes");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// It was for somebody else, by another key, or is damaged.
    pub fn unseal(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, Sealed> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Sealed)?;
        let mut secret = sealed.to_vec();
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut secret);
        let length = opened.map_err(|_| Sealed)?.len();
        secret.truncate(length);
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_for_its_owner_alone_and_by_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let sealed = Seal::open(directory.path()).unwrap().seal("ann", b"secret");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        let again = Seal::open(directory.path()).unwrap();
        assert_eq!(again.unseal("ann", &sealed).unwrap(), b"secret");
        assert!(again.unseal("bob", &sealed).is_err());
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(again.unseal("ann", &damaged).is_err());
        assert!(again.unseal("ann", &sealed[..3]).is_err());
        let other = tempfile::tempdir().unwrap();
        assert!(Seal::open(other.path()).unwrap().unseal("ann", &sealed).is_err());
        std::fs::write(directory.path().join(FILE), b"short").unwrap();
        assert!(
            Seal::open(directory.path())
                .unwrap_err()
                .to_string()
                .contains(FILE)
        );
    }
}
