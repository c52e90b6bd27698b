//! Keys of an agent's own: ECDSA on P-256, which every library, proxy and security chip knows. The private one never leaves
//! its host; the public one, by its hash, is what an agent is known by.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};

/// The bytes of a public key: a point, uncompressed.
pub const POINT_BYTES: usize = 65;
/// What stands before the point in a `SubjectPublicKeyInfo` of P-256 (RFC 5480).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a key can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The operating system has no random numbers.
    #[error("the operating system has no random numbers")]
    Random,
    /// Not a private key of P-256 in PKCS #8.
    #[error("not a private key on P-256 in PKCS #8")]
    Private,
    /// Not a point of P-256, uncompressed.
    #[error("a public key must be a point on P-256, uncompressed: {POINT_BYTES} bytes that begin with 4")]
    Public,
}

/// A private key with its public one.
pub struct PrivateKey {
    pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.public.hash()).finish()
    }
}

impl PrivateKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::Random)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// Reads a key as [`PrivateKey::pkcs8`] gives it.
    ///
    /// # Errors
    /// [`KeyError::Private`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &SystemRandom::new())
            .map_err(|_| KeyError::Private)?;
        let public = PublicKey::new(pair.public_key().as_ref()).map_err(|_| KeyError::Private)?;
        Ok(Self {
            pkcs8: pkcs8.to_owned(),
            pair,
            public,
        })
    }

    /// The key in PKCS #8; a secret.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The same for a TLS library.
    pub(super) fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pkcs8.clone()).into()
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_owned())
            .map_err(|_| KeyError::Random)
    }
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; POINT_BYTES]);

impl PublicKey {
    /// Takes the bytes of a point. Whether it lies on the curve shows when a signature is checked.
    ///
    /// # Errors
    /// [`KeyError::Public`].
    pub fn new(point: &[u8]) -> Result<Self, KeyError> {
        const UNCOMPRESSED: u8 = 4;
        let point: [u8; POINT_BYTES] = point.try_into().map_err(|_| KeyError::Public)?;
        if point[0] == UNCOMPRESSED {
            Ok(Self(point))
        } else {
            Err(KeyError::Public)
        }
    }

    /// Its bytes.
    pub fn point(&self) -> &[u8] {
        &self.0
    }

    /// What it is known by: SHA-256 of its `SubjectPublicKeyInfo`, as `openssl pkey -pubin -outform der | sha256sum` has it.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(SPKI_HEAD);
        hash.update(self.0);
        hash.finalize().into()
    }

    /// Whether a message was signed with its private key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// The key of a certificate; `None` if it is no certificate, or its key is of another kind.
pub(super) fn of_certificate(certificate: &CertificateDer<'_>) -> Option<PublicKey> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let spki = parsed.subject_public_key_info();
    PublicKey::new(spki.as_ref().strip_prefix(&SPKI_HEAD)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signs_is_verified_by_its_public_key_alone() {
        let (key, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let signature = key.sign(b"it is me").unwrap();
        assert!(key.public().verifies(b"it is me", &signature));
        assert!(!key.public().verifies(b"it is he", &signature));
        assert!(!other.public().verifies(b"it is me", &signature));
        assert!(!key.public().verifies(b"it is me", &[]));
        assert_ne!(key.public().hash(), other.public().hash());

        let again = PrivateKey::from_pkcs8(key.pkcs8()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(PublicKey::new(key.public().point()), Ok(key.public()));
        assert!(!format!("{key:?}").contains(&format!("{:?}", key.pkcs8())));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(PublicKey::new(&[4; 64]), Err(KeyError::Public));
        assert_eq!(PublicKey::new(&[2; 65]), Err(KeyError::Public));
        assert!(matches!(PrivateKey::from_pkcs8(b"none"), Err(KeyError::Private)));
        // The right length, and not on the curve.
        let nowhere = PublicKey::new(&[4; 65]).unwrap();
        let signature = PrivateKey::generate().unwrap().sign(b"x").unwrap();
        assert!(!nowhere.verifies(b"x", &signature));
    }
}
