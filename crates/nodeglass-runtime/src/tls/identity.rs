//! What a server shows: its certificate with those above it, and the key that belongs to it, read and checked.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};

use super::error::TlsError;
use super::peer::Asking;
use super::validity::{Validity, parse_validity};
use super::{provider, read, read_certificates};

/// From when to when a certificate holds; `None` if it is none.
pub fn times_of(certificate: &CertificateDer<'_>) -> Option<(SystemTime, SystemTime)> {
    parse_validity(certificate).map(|validity| (validity.begin, validity.end))
}

/// A certificate that holds, the certificates above it, and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

impl Identity {
    /// Reads a certificate and its key from PEM files, and checks that they can be used at `now`. `ca` is the file of the
    /// CA that the certificate comes from; it is shown with it, so that clients find it by its [`Pin`](super::Pin).
    ///
    /// # Errors
    /// A file can't be read, is not PEM, or does not fit the other; the certificate does not hold now. The message says
    /// what to do.
    pub fn load(
        certificate: &Path,
        key: &Path,
        ca: Option<&Path>,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        let mut chain = read_certificates(certificate)?;
        let not_pem = || TlsError::NotPem {
            path: key.to_owned(),
            what: "private key without a password",
            begin: "-----BEGIN PRIVATE KEY-----",
        };
        let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| not_pem())?;
        let unusable = |source| TlsError::Unusable {
            path: certificate.to_owned(),
            source,
        };
        let validity = parse_validity(&chain[0])
            .ok_or_else(|| unusable(rustls::CertificateError::BadEncoding.into()))?;
        if let Some(ca) = ca {
            let anchor = read_certificates(ca)?.remove(0);
            check_signed(&chain, &anchor, now).map_err(|source| TlsError::OtherCa {
                certificate: certificate.to_owned(),
                ca: ca.to_owned(),
                source,
            })?;
            if !chain.contains(&anchor) {
                chain.push(anchor);
            }
        }
        let key = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::KeyMismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            },
            source @ Error::InvalidCertificate(_) => unusable(source),
            source => TlsError::Unusable {
                path: key.to_owned(),
                source,
            },
        })?;
        if now > validity.end {
            return Err(TlsError::Expired {
                path: certificate.to_owned(),
                end: validity.end,
            });
        }
        if now < validity.begin {
            return Err(TlsError::NotYet {
                path: certificate.to_owned(),
                begin: validity.begin,
            });
        }
        Ok(Self {
            key: Arc::new(key),
            validity,
        })
    }

    /// Whether it is a certificate for this host name or address.
    pub fn covers(&self, name: &ServerName<'_>) -> bool {
        let certificate = self.key.cert.first().map(ParsedCertificate::try_from);
        certificate.is_some_and(|parsed| parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok()))
    }

    /// Whether the other is the same certificate, shown with the same ones above it.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }

    /// The last moment at which it holds.
    pub fn end(&self) -> SystemTime {
        self.validity.end
    }

    /// The certificate itself, and those above it that are shown with it.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// What a server needs that shows this certificate and speaks HTTP. TLS 1.2 and 1.3. Who has been here before comes
    /// back with a ticket: nothing is kept for it on the server, whose key for tickets lives as long as this configuration.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn server_config(&self) -> Result<ServerConfig, TlsError> {
        self.config(Arc::new(NoClientAuth))
    }

    /// The same for agents, who are asked for a certificate and need not have one; see [`peer`](super::peer).
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn agents_config(&self) -> Result<ServerConfig, TlsError> {
        self.config(Arc::new(Asking::new()))
    }

    fn config(&self, clients: Arc<dyn ClientCertVerifier>) -> Result<ServerConfig, TlsError> {
        let unusable = |source| TlsError::Unusable {
            path: "the cryptography of this system".into(),
            source,
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.key.clone())));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = Ticketer::new().map_err(unusable)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A client keeps one connection; each one brings a ticket for the next.
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

/// Whether a chain leads up to a CA, at a moment.
pub(super) fn check_signed(
    chain: &[CertificateDer<'_>],
    ca: &CertificateDer<'_>,
    now: SystemTime,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned())?;
    let (certificate, above) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(certificate)?,
        &roots,
        above,
        UnixTime::since_unix_epoch(since_1970),
        provider().signature_verification_algorithms.all,
    )
}
