//! Passwords: kept as argon2id hashes, and checked a few at a time, so that whoever signs in does not starve the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use nodeglass_runtime::config::Secret;
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// What OWASP asks of argon2id: 19 MiB, passed over twice, by one thread.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const THREADS: u32 = 1;
/// Random bytes with which a hash is salted.
const SALT_BYTES: usize = 16;
/// Checks that wait for their turn; each takes some 50 ms, so more would wait for longer than people do.
const WAITING: usize = 32;
/// Letters that a password has at least and at most. Length is what counts (NIST SP 800-63B); the upper bound is for
/// those who send megabytes.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=256;
/// What is checked for a name that nobody has, so that it takes as long as for one that somebody has. No password fits it.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too short or too long.
    #[error("a password has {} to {} letters: some words that make no sentence are good", LENGTH.start(), LENGTH.end())]
    Length,
    /// What everybody tries first.
    #[error("a password must not have the name of its user in it")]
    Name,
    /// One letter again and again.
    #[error("a password must have at least five letters that differ")]
    Uniform,
}

/// Checks and hashes passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Passwords {
    fn default() -> Self {
        // A quarter of the processors, so that most are left for samples.
        let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            turns: Arc::new(Semaphore::new((processors / 4).max(1))),
            waiting: Arc::default(),
        }
    }
}

impl Passwords {
    /// Whether a password is the one of a hash. Without one it takes as long, and is not.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool, ApiError> {
        let (password, hash) = (password.clone(), hash.unwrap_or(NOBODY).to_owned());
        self.in_turn(move || verify(&password, &hash)).await
    }

    /// What is kept of a password.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn hash(&self, password: &Secret) -> Result<String, ApiError> {
        let password = password.clone();
        self.in_turn(move || hash(&password)).await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let waits = Waits::enter(&self.waiting).ok_or(ApiError::Overloaded)?;
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| ApiError::Overloaded)?;
        drop(waits);
        let work = move || {
            // Held to its end, whether or not somebody still waits for it.
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| ApiError::Internal(error.into()))
    }
}

/// One who waits for a turn.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let waits = Self(waiting);
        (before < WAITING).then_some(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a user of that name may have that password.
///
/// # Errors
/// It may not, and why.
pub fn check(name: &str, password: &Secret) -> Result<(), Unfit> {
    let text = password.expose();
    if !LENGTH.contains(&text.chars().count()) {
        return Err(Unfit::Length);
    }
    if text.to_lowercase().contains(&name.to_lowercase()) {
        return Err(Unfit::Name);
    }
    let different: std::collections::BTreeSet<char> = text.chars().collect();
    if different.len() < 5 {
        return Err(Unfit::Uniform);
    }
    Ok(())
}

/// What is kept of a password. Takes a while; servers use [`Passwords`].
///
/// # Panics
/// The operating system has no random numbers.
pub fn hash(password: &Secret) -> String {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).expect("random numbers from the operating system");
    let salt = SaltString::encode_b64(&salt).expect("a salt of sixteen bytes");
    let hashed = argon2().hash_password(password.expose().as_bytes(), &salt);
    hashed.expect("a password of some bytes").to_string()
}

fn verify(password: &Secret, hash: &str) -> bool {
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|hash| {
        argon2()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok()
    })
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, THREADS, None).expect("parameters within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_hash_alone() {
        let passwords = Passwords::default();
        let password = Secret::from("correct horse battery".to_owned());
        let hash = passwords.hash(&password).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!hash.contains("horse"));
        assert!(passwords.verify(&password, Some(&hash)).await.unwrap());
        let other = Secret::from("correct horse batterz".to_owned());
        assert!(!passwords.verify(&other, Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&password, None).await.unwrap());
        assert!(PasswordHash::new(NOBODY).is_ok(), "it is checked like any other");
    }

    #[tokio::test]
    async fn more_than_can_wait_are_turned_away() {
        let passwords = Passwords {
            turns: Arc::new(Semaphore::new(0)),
            waiting: Arc::default(),
        };
        let waiting = || tokio::time::timeout(std::time::Duration::from_millis(50), passwords.in_turn(|| ()));
        let all = futures_util::future::join_all((0..=WAITING).map(|_| waiting())).await;
        let refused = all
            .iter()
            .filter(|one| matches!(one, Ok(Err(ApiError::Overloaded))));
        assert_eq!(refused.count(), 1);
        assert_eq!(
            passwords.waiting.load(Ordering::Relaxed),
            0,
            "who gives up waits no more"
        );
    }

    #[test]
    fn passwords_that_are_guessed_first_are_refused() {
        let checked = |name: &str, password: &str| check(name, &Secret::from(password.to_owned()));
        assert_eq!(checked("ann", "correct horse battery"), Ok(()));
        assert_eq!(checked("ann", "elevenletter"[..11].into()), Err(Unfit::Length));
        assert_eq!(checked("ann", &"ab".repeat(200)), Err(Unfit::Length));
        assert_eq!(checked("battery", "correct horse Battery"), Err(Unfit::Name));
        assert_eq!(checked("ann", "aaaaaaaaaaaab"), Err(Unfit::Uniform));
    }
}
