//! TLS: who a server is and how that is proved. Certificates and keys are read and checked ([`identity`]), made where
//! nobody brings any ([`authority`]), and trusted ([`client`]), by a CA's [`Pin`], by a file or as the system does.
//!
//! Which connections speak TLS is left to the server's and the agent's configuration.

pub mod authority;
pub mod client;
pub mod error;
pub mod identity;
pub mod key;
pub mod peer;
mod pin;
#[cfg(test)]
mod tests;
mod validity;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub use error::TlsError;
pub use pin::Pin;

/// What a connection buffers of what it is told to send, above what the socket takes: one record. Whoever writes waits
/// for the socket then, rather than fill memory.
pub const BUFFER_BYTES: usize = 16 << 10;

/// The cryptography of every connection.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM file, in its order.
///
/// # Errors
/// The file can't be read, or holds none.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let not_pem = || TlsError::NotPem {
        path: path.to_owned(),
        what: "certificate",
        begin: "-----BEGIN CERTIFICATE-----",
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(not_pem()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}
