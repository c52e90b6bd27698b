//! The other end of a server's connection: which agent's key its client certificate has.
//!
//! Only who says in its greeting that it is an agent ([`AGENT_ALPN`]) is asked for a certificate, so that no browser asks
//! its user for one. A handshake proves that the other end has the key of what it shows; whether that is a certificate of
//! ours that holds now is looked at behind it, and one that is not counts as none: the agent may prove its key otherwise,
//! and gets another certificate then.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::key::{self, PublicKey};
use super::{TlsError, provider};

/// The protocol that an agent offers beside HTTP/2. It is never chosen; it says who is asking.
pub const AGENT_ALPN: &[u8] = b"nodeglass-agent";

/// Client certificates of a CA.
#[derive(Debug, Clone)]
pub struct AgentCertificates(Arc<dyn ClientCertVerifier>);

impl AgentCertificates {
    /// Those that come from this CA.
    ///
    /// # Errors
    /// It is no CA.
    pub fn of(ca: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let unusable = |source| TlsError::Unusable {
            path: "the certificate authority of the agents".into(),
            source,
        };
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned()).map_err(unusable)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        verifier
            .map(Self)
            .map_err(|error| unusable(Error::General(error.to_string())))
    }

    /// The key for which the other end showed a certificate.
    ///
    /// # Errors
    /// It is none of ours, or does not hold now.
    pub fn key(&self, shown: &[CertificateDer<'_>], now: SystemTime) -> Result<PublicKey, Error> {
        let (certificate, above) = shown.split_first().ok_or(Error::NoCertificatesPresented)?;
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.0
            .verify_client_cert(certificate, above, UnixTime::since_unix_epoch(since_1970))?;
        key::of_certificate(certificate).ok_or_else(|| rustls::CertificateError::BadEncoding.into())
    }
}

/// Asks for a certificate, and has it proved that the other end has its key. No more: see above.
#[derive(Debug)]
pub(super) struct Asking(Arc<CryptoProvider>);

impl Asking {
    pub(super) fn new() -> Self {
        Self(provider())
    }
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
