//! ID tokens (OpenID Connect Core, 2 and 3.1.3.7): who signed one, for whom, and until when. The signatures are checked by
//! `ring`, which this process has for TLS; algorithms that anybody could sign by (`none`, or a shared secret) are not known.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeglass_model::UnixMillis;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// Seconds by which the provider's clock may differ from ours.
const LEEWAY_SECONDS: i64 = 60;
/// The oldest that a token may be: it comes straight from the provider.
const OLDEST_SECONDS: i64 = 600;

/// The keys that a provider signs with.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Key>,
}

/// One of them (RFC 7517); what else may be in it does not matter.
#[derive(Debug, Clone, Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// What a token says.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    iss: String,
    pub(super) sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nonce: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub(super) more: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JwtError {
    /// It is none.
    #[error("it is no token in three parts of base64url and JSON")]
    Form,
    /// Signed in a way that is not taken.
    #[error("it is signed by {0:?}, which is not taken")]
    Algorithm(String),
    /// The provider has no such key, as far as is known.
    #[error("none of the provider's keys is the one that it names")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("its signature is wrong")]
    Signature,
    /// It is of another provider.
    #[error("it was issued by {0:?}")]
    Issuer(String),
    /// It is for somebody else.
    #[error("it is for another client")]
    Audience,
    /// Too late, or from too long ago.
    #[error("it is not of now: check the clocks of the provider and of this host")]
    Time,
    /// It answers another sign-in.
    #[error("it has another nonce")]
    Nonce,
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: &'a str,
}

/// Reads a token whose signature is of one of the keys.
///
/// # Errors
/// Another signature, or anything in it that is not as expected.
pub(super) fn verify(
    token: &str,
    keys: &Keys,
    expected: Expected<'_>,
    now: UnixMillis,
) -> Result<Claims, JwtError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Form)?;
    let (header, payload) = signed.split_once('.').ok_or(JwtError::Form)?;
    let header: Header = json(header)?;
    // Nothing that a token may ask to be understood is.
    if header.crit.is_some() {
        return Err(JwtError::Form);
    }
    let signature = decode(signature)?;
    let mut tried = keys.keys.iter().filter(|key| key.may_sign(&header)).peekable();
    if !is_known(&header.alg) {
        return Err(JwtError::Algorithm(header.alg.chars().take(20).collect()));
    }
    if tried.peek().is_none() {
        return Err(JwtError::UnknownKey);
    }
    if !tried.any(|key| key.verifies(&header.alg, signed.as_bytes(), &signature).is_some()) {
        return Err(JwtError::Signature);
    }
    let claims: Claims = json(payload)?;
    claims.check(expected, now)?;
    Ok(claims)
}

fn decode(text: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Form)
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, JwtError> {
    serde_json::from_slice(&decode(part)?).map_err(|_| JwtError::Form)
}

fn is_known(algorithm: &str) -> bool {
    [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
    ]
    .contains(&algorithm)
}

impl Key {
    fn may_sign(&self, header: &Header) -> bool {
        let family = match header.alg.get(..2) {
            Some("RS" | "PS") => "RSA",
            Some("ES") => "EC",
            Some("Ed") => "OKP",
            _ => return false,
        };
        self.kty == family
            && self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.alg.as_deref().is_none_or(|alg| alg == header.alg)
            && (header.kid.is_none() || self.kid == header.kid)
    }

    fn verifies(&self, algorithm: &str, message: &[u8], signed: &[u8]) -> Option<()> {
        let part = |part: &Option<String>| decode(part.as_deref()?).ok();
        let rsa = match algorithm {
            "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
            "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
            "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
            "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
            "ES256" | "ES384" => {
                let (curve, method): (_, &dyn signature::VerificationAlgorithm) = match algorithm {
                    "ES256" => ("P-256", &signature::ECDSA_P256_SHA256_FIXED),
                    _ => ("P-384", &signature::ECDSA_P384_SHA384_FIXED),
                };
                if self.crv.as_deref() != Some(curve) {
                    return None;
                }
                // A point, not compressed.
                let point = [&[4][..], &part(&self.x)?, &part(&self.y)?].concat();
                return UnparsedPublicKey::new(method, point).verify(message, signed).ok();
            }
            "EdDSA" => {
                if self.crv.as_deref() != Some("Ed25519") {
                    return None;
                }
                let key = UnparsedPublicKey::new(&signature::ED25519, part(&self.x)?);
                return key.verify(message, signed).ok();
            }
            _ => return None,
        };
        let (n, e) = (part(&self.n)?, part(&self.e)?);
        RsaPublicKeyComponents { n, e }.verify(rsa, message, signed).ok()
    }
}

impl Claims {
    fn check(&self, expected: Expected<'_>, now: UnixMillis) -> Result<(), JwtError> {
        let Expected {
            issuer,
            client,
            nonce,
        } = expected;
        if self.iss != issuer {
            return Err(JwtError::Issuer(self.iss.chars().take(100).collect()));
        }
        let is_ours = match &self.aud {
            Audience::One(one) => one == client,
            Audience::Several(several) => {
                several.iter().any(|one| one == client) && (several.len() == 1 || self.azp.is_some())
            }
        };
        if !is_ours || self.azp.as_deref().is_some_and(|party| party != client) {
            return Err(JwtError::Audience);
        }
        let now = now.seconds();
        if self.exp.saturating_add(LEEWAY_SECONDS) <= now
            || self.iat.saturating_sub(LEEWAY_SECONDS) > now
            || self.iat.saturating_add(OLDEST_SECONDS) < now
        {
            return Err(JwtError::Time);
        }
        if self.nonce.as_deref() != Some(nonce) {
            return Err(JwtError::Nonce);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
