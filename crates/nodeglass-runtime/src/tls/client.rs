//! The client's end: whom to trust, and connections to `http://` and `https://` addresses for gRPC channels.

use std::io;
use std::path::PathBuf;
use std::pin::Pin as Boxed;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, KeyProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InvalidMessage, RootCertStore,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tower_service::Service;

use super::authority::server_name;
use super::key::PrivateKey;
use super::peer::AGENT_ALPN;
use super::{BUFFER_BYTES, Pin, TlsError, read_certificates};

/// Sessions that are remembered for the next connection: one server, and some room.
const SESSIONS: usize = 16;

/// Whose word is taken for who a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The CA of this pin, which the server shows with its certificate.
    Pin(Pin),
    /// The CAs of a PEM file.
    File(PathBuf),
    /// The CAs that this host's system trusts; those of `SSL_CERT_FILE` and `SSL_CERT_DIR` if they are set.
    System,
}

/// A configuration for connections to servers that prove who they are. TLS 1.3; the next connection to the same server is
/// resumed with a ticket, as long as this configuration lives.
///
/// # Errors
/// There is no CA to trust.
pub fn config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    config_as(trust, None)
}

/// A certificate of the client's own, in DER, with its key.
pub type Shown<'a> = (Vec<u8>, &'a PrivateKey);

fn config_as(trust: &Trust, shown: Option<Shown<'_>>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(client_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| TlsError::Unusable {
            path: "the cryptography of this system".into(),
            source,
        })?;
    let builder = match trust {
        Trust::Pin(pin) => {
            let verifier = PinnedCa { pin: *pin, provider };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trust::File(_) | Trust::System => builder.with_root_certificates(roots(trust)?),
    };
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let unusable = |source| TlsError::Unusable {
                path: "this agent's key".into(),
                source,
            };
            let key = ring::sign::any_ecdsa_type(&key.to_der()).map_err(unusable)?;
            let certified = CertifiedKey::new(vec![certificate.into()], key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

/// What a client needs of the cryptography: it is part of every agent, which is to be small.
fn client_provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        key_provider: &NoKeys,
        ..ring::default_provider()
    }
}

/// Keys are not read from files here; that of an agent is read by its kind, without those that it can't have.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("keys are not read here".to_owned()))
    }
}

fn roots(trust: &Trust) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Trust::File(path) = trust {
        for certificate in read_certificates(path)? {
            roots.add(certificate).map_err(|source| TlsError::Unusable {
                path: path.clone(),
                source,
            })?;
        }
    } else {
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(TlsError::NoRoots);
        }
    }
    Ok(roots)
}

/// Takes the CA of a pin from what the server shows, and verifies the server's certificate against it as against any
/// other root: signatures, times, purpose and name.
#[derive(Debug)]
struct PinnedCa {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_ours = |certificate: &&CertificateDer<'_>| Pin::of(certificate) == Some(self.pin);
        let ca = intermediates
            .iter()
            .find(is_ours)
            .ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, intermediates, now, algorithms)?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Why there is no TLS connection to a server.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The address has no host that could be verified.
    #[error("{0:?} is no name that a server can prove: give a host name or an address")]
    Name(String),
    /// The certificate comes from somebody else.
    #[error(
        "the server at {0} does not prove to be the one that this host was enrolled with: its certificate is not from the \
         CA of the enrolment. If the server was set up anew, enrol this host again"
    )]
    OtherCa(String, #[source] io::Error),
    /// The certificate comes from a CA that is not trusted here.
    #[error(
        "the certificate of {0} is not from a CA that is trusted here. A server's own CA is in tls/ca.pem of its data \
         directory: copy that file here and name it (--ca FILE, NODEGLASS_CA, or the agent's key ca)"
    )]
    UnknownCa(String, #[source] io::Error),
    /// The certificate is for others.
    #[error(
        "the certificate of {0} is not for that name: use a name or address that it is for, or set the server's public_url"
    )]
    OtherName(String, #[source] io::Error),
    /// The certificate's time is over.
    #[error(
        "the certificate of {0} has expired: it must be renewed there, unless this host's clock is wrong"
    )]
    Expired(String, #[source] io::Error),
    /// The certificate's time has not come.
    #[error("the certificate of {0} does not hold yet: is this host's clock right?")]
    NotYet(String, #[source] io::Error),
    /// The other end speaks something else.
    #[error("what listens at {0} does not speak TLS: is its address http:// rather than https://?")]
    NotTls(String, #[source] io::Error),
    /// Anything else.
    #[error("no TLS connection with {0}")]
    Failed(String, #[source] io::Error),
}

impl HandshakeError {
    fn new(host: String, trust: &Trust, error: io::Error) -> Self {
        use CertificateError as Bad;
        match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(bad)) => match bad {
                Bad::Expired | Bad::ExpiredContext { .. } => Self::Expired(host, error),
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => Self::NotYet(host, error),
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Self::OtherName(host, error),
                Bad::UnknownIssuer | Bad::BadSignature if matches!(trust, Trust::Pin(_)) => {
                    Self::OtherCa(host, error)
                }
                Bad::UnknownIssuer | Bad::BadSignature => Self::UnknownCa(host, error),
                _ => Self::Failed(host, error),
            },
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::NotTls(host, error),
            _ => Self::Failed(host, error),
        }
    }
}

/// A connection, with TLS or without.
pub type Connection = TokioIo<Either<TcpStream, TlsStream<TcpStream>>>;

/// Connects gRPC channels: `https://` with TLS, `http://` without.
#[derive(Clone)]
pub struct Connector {
    tcp: HttpConnector,
    tls: Option<(Arc<ClientConfig>, Trust)>,
}

impl Connector {
    /// For servers that prove who they are as `trust` wants it.
    ///
    /// # Errors
    /// There is no CA to trust.
    pub fn new(trust: Trust) -> Result<Self, TlsError> {
        let mut config = config(&trust)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            tls: Some((Arc::new(config), trust)),
            ..Self::plain()
        })
    }

    /// For an agent, which shows a certificate if it has one.
    ///
    /// # Errors
    /// There is no CA to trust, or the key can't be used.
    pub fn of_agent(trust: Trust, shown: Option<Shown<'_>>) -> Result<Self, TlsError> {
        let mut config = config_as(&trust, shown)?;
        config.alpn_protocols = vec![AGENT_ALPN.to_vec(), b"h2".to_vec()];
        Ok(Self {
            tls: Some((Arc::new(config), trust)),
            ..Self::plain()
        })
    }

    /// For `http://` alone.
    pub fn plain() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, tls: None }
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Boxed<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.tcp.call(uri.clone());
        let tls = self.tls.clone().filter(|_| uri.scheme_str() == Some("https"));
        Box::pin(async move {
            let Some((config, trust)) = tls else {
                return Ok(TokioIo::new(Either::Left(connecting.await?.into_inner())));
            };
            let host = uri.host().unwrap_or_default().to_owned();
            let name = server_name(&host).ok_or_else(|| HandshakeError::Name(host.clone()))?;
            let stream = connecting.await?.into_inner();
            let shaken = TlsConnector::from(config).connect_with(name, stream, |connection| {
                connection.set_buffer_limit(Some(BUFFER_BYTES));
            });
            let stream = shaken
                .await
                .map_err(|error| HandshakeError::new(host, &trust, error))?;
            Ok(TokioIo::new(Either::Right(stream)))
        })
    }
}
