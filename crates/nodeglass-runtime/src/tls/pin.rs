//! A CA by the hash of its key: short enough to be part of a string that people paste.

use std::fmt;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use super::{TlsError, read_certificates};

/// SHA-256 of a CA's `SubjectPublicKeyInfo`, as HPKP and `curl --pinnedpubkey` have it. It names the key and not the
/// certificate, so a CA's certificate can be written anew for the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// The pin of a certificate's key; `None` if it is no certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone().into_owned()).ok()?;
        let key = &roots.roots.first()?.subject_public_key_info;
        let mut hash = Sha256::new();
        // What an anchor holds is the inside of the sequence; its header belongs to what is hashed.
        hash.update(sequence_header(key.len()));
        hash.update(key.as_ref());
        Some(Self(hash.finalize().into()))
    }

    /// The pin of the first certificate of a PEM file.
    ///
    /// # Errors
    /// The file can't be read, or holds no certificate.
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        let certificate = read_certificates(path)?.remove(0);
        Self::of(&certificate).ok_or_else(|| TlsError::Unusable {
            path: path.to_owned(),
            source: rustls::CertificateError::BadEncoding.into(),
        })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The DER header of a sequence of so many bytes.
fn sequence_header(length: usize) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    let bytes = length.to_be_bytes();
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    match significant {
        [] => vec![SEQUENCE, 0],
        [short @ 0..=0x7F] => vec![SEQUENCE, *short],
        long => [&[SEQUENCE, 0x80 | long.len() as u8], long].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> CertificateDer<'static> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/tls/fixtures")
            .join(name);
        read_certificates(&path).unwrap().remove(0)
    }

    /// As `openssl x509 -pubkey -noout -in F | openssl pkey -pubin -outform der | openssl dgst -sha256` has it.
    #[test]
    fn is_what_openssl_says() {
        for (name, pin) in [
            ("ecdsa.pem", include_str!("fixtures/ecdsa.pin")),
            ("rsa.pem", include_str!("fixtures/rsa.pin")),
        ] {
            let expected = format!("sha256:{}", pin.trim());
            assert_eq!(Pin::of(&fixture(name)).unwrap().to_string(), expected, "{name}");
        }
        assert_eq!(Pin::of(&CertificateDer::from(vec![0x30, 0])), None);
    }

    #[test]
    fn headers_have_the_shortest_length() {
        assert_eq!(sequence_header(0), [0x30, 0]);
        assert_eq!(sequence_header(0x7F), [0x30, 0x7F]);
        assert_eq!(sequence_header(0x80), [0x30, 0x81, 0x80]);
        assert_eq!(sequence_header(0x0122), [0x30, 0x82, 1, 0x22]);
    }
}
