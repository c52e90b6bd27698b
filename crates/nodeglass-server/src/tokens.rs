//! Tokens: 256 random bits with a prefix that says what they are for. Only their hashes are kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeglass_runtime::config::Secret;
use nodeglass_store::TokenHash;
use sha2::{Digest, Sha256};

/// The prefix of a token that makes one host an agent.
pub const AGENT: &str = "nga_";
/// The prefix of a token that makes many hosts agents.
pub const FLEET: &str = "ngf_";
/// The prefix of a person's or a program's token.
pub const API: &str = "ngt_";

/// Makes a token.
///
/// # Panics
/// If the operating system has no random numbers, without which nothing here is safe.
pub fn generate(prefix: &str) -> Secret {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).expect("random numbers from the operating system");
    Secret::from(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random)))
}

/// What is kept of a token.
pub fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}
