//! How an agent proves its key where no certificate is seen: a few signed words in the metadata of a call.
//!
//! They say for which server they are, when they were made, and hold a number that is used once, so that they are of no use
//! elsewhere, later, or twice. `authorization: Nodeglass-Key WORDS`, in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeglass_model::UnixMillis;
use prost::Message;
use tonic::Status;

use crate::v1;

/// The scheme of the header.
pub const SCHEME: &str = "Nodeglass-Key";
/// Bytes of the number that is used once.
pub const NONCE_BYTES: usize = 16;
/// What is signed begins with this, so that it is never taken for anything else that is signed with the same key.
const CONTEXT: &[u8] = b"nodeglass agent proof v1\0";
/// The longest header that is looked at.
const LONGEST: usize = 512;
/// In the metadata of a refusal: the server's time, for an agent whose clock is another.
const SERVER_TIME: &str = "nodeglass-time-ms";

/// The words as they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The public key, as a point.
    pub public_key: Vec<u8>,
    /// When it was made.
    pub at: UnixMillis,
    /// The number that is used once.
    pub nonce: [u8; NONCE_BYTES],
    /// The signature of [`Proof::message`].
    pub signature: Vec<u8>,
}

/// What is signed: for the server of that name, at a time, with a number that is used once.
pub fn message(server: &[u8], at: UnixMillis, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
    let mut message = CONTEXT.to_vec();
    message.extend((server.len() as u64).to_be_bytes());
    message.extend(server);
    message.extend(at.0.to_be_bytes());
    message.extend(nonce);
    message
}

impl Proof {
    /// The value of the header.
    pub fn encode(&self) -> String {
        let words = v1::KeyProof {
            public_key: self.public_key.clone(),
            at: self.at.0.unsigned_abs(),
            nonce: self.nonce.to_vec(),
            signature: self.signature.clone(),
        };
        format!("{SCHEME} {}", URL_SAFE_NO_PAD.encode(words.encode_to_vec()))
    }

    /// Reads the value of the header; `None` if it is none of ours. Nothing of it is true yet.
    pub fn decode(value: &str) -> Option<Self> {
        let (scheme, coded) = value.split_once(' ').filter(|_| value.len() <= LONGEST)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let words = v1::KeyProof::decode(&URL_SAFE_NO_PAD.decode(coded.trim()).ok()?[..]).ok()?;
        Some(Self {
            public_key: words.public_key,
            at: UnixMillis(i64::try_from(words.at).ok()?),
            nonce: words.nonce.try_into().ok()?,
            signature: words.signature,
        })
    }
}

/// Adds the server's time to a refusal.
pub fn tell_time(mut status: Status, now: UnixMillis) -> Status {
    status.metadata_mut().insert(SERVER_TIME, now.0.into());
    status
}

/// The server's time in a refusal; `None` if it says none.
pub fn told_time(status: &Status) -> Option<UnixMillis> {
    let millis = status.metadata().get(SERVER_TIME)?.to_str().ok()?;
    millis.parse().ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proof() -> Proof {
        Proof {
            public_key: vec![4; 65],
            at: UnixMillis(1_700_000_000_123),
            nonce: [7; NONCE_BYTES],
            signature: vec![9; 71],
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let header = proof().encode();
        assert_eq!(Proof::decode(&header), Some(proof()));
        assert_eq!(
            Proof::decode(&header.to_ascii_lowercase().replace("nodeglass-key", "Bearer")),
            None
        );
        assert_eq!(Proof::decode(&format!("{header}{}", "A".repeat(LONGEST))), None);
        let status = tell_time(Status::unauthenticated("late"), UnixMillis(5));
        assert_eq!(told_time(&status), Some(UnixMillis(5)));
        assert_eq!(told_time(&Status::ok("")), None);
    }

    #[test]
    fn no_part_of_what_is_signed_can_be_taken_for_another() {
        let at = UnixMillis(1);
        let one = message(b"ab", at, &[1; NONCE_BYTES]);
        for other in [
            message(b"a", at, &[1; NONCE_BYTES]),
            message(b"abc", at, &[1; NONCE_BYTES]),
            message(b"ab", UnixMillis(2), &[1; NONCE_BYTES]),
            message(b"ab", at, &[2; NONCE_BYTES]),
        ] {
            assert_ne!(one, other);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_no_danger(value: String, coded in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Proof::decode(&value);
            let _ = Proof::decode(&format!("{SCHEME} {}", URL_SAFE_NO_PAD.encode(coded)));
        }
    }
}
