//! What can be wrong with certificates and keys, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

/// Why there is no certificate to show, or nobody to trust.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read {}: see to it that it is there and that this program's user may read it", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file can't be written.
    #[error("can't keep certificates")]
    Write(#[source] io::Error),
    /// A file holds something else.
    #[error("{} holds no {what}: it must be a PEM file, with a line {begin:?}", path.display())]
    NotPem {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// How that begins.
        begin: &'static str,
    },
    /// The key is that of another certificate.
    #[error(
        "the key {} does not belong to the certificate {}: give the key that the certificate was made for. In a file of \
         several certificates the server's own must be the first", key.display(), certificate.display()
    )]
    KeyMismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("the certificate {} ended at {}: renew it, or set this host's clock", path.display(), moment(*end))]
    Expired {
        /// Which file.
        path: PathBuf,
        /// When it ended.
        end: SystemTime,
    },
    /// The certificate's time has not come.
    #[error("the certificate {} begins at {} only: set this host's clock, or wait", path.display(), moment(*begin))]
    NotYet {
        /// Which file.
        path: PathBuf,
        /// When it begins.
        begin: SystemTime,
    },
    /// The certificate or key can't be used.
    #[error("{} can't be used: make it anew, with an ECDSA (P-256, P-384), Ed25519 or RSA key", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The certificate does not come from the CA that is named with it.
    #[error(
        "the certificate {} does not come from the CA {}: give the CA that signed it, and the certificates between them \
         in the certificate's own file", certificate.display(), ca.display()
    )]
    OtherCa {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the CA.
        ca: PathBuf,
        /// What does not fit.
        #[source]
        source: rustls::Error,
    },
    /// A certificate can't be made.
    #[error("can't make a certificate")]
    Make(#[from] rcgen::Error),
    /// A name that no certificate can have.
    #[error("{0:?} is neither a host's name nor an address")]
    Name(String),
    /// This host trusts nobody.
    #[error(
        "this host knows no certificate authorities: install its package ca-certificates, or name a file of them"
    )]
    NoRoots,
}

/// A moment as messages show it.
pub(super) fn moment(at: SystemTime) -> impl std::fmt::Display {
    humantime::format_rfc3339_seconds(at)
}
