//! A certificate authority of the server's own: made at its first start, kept beside its data, and used to sign the
//! server's certificate, which is renewed long before its end and when the server's names change.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, ServerName};
use tracing::info;

use super::error::{TlsError, moment};
use super::identity::{Identity, check_signed};
use super::key::PublicKey;
use super::{Pin, read_certificates};
use crate::private;

const DAY: Duration = Duration::from_hours(24);
/// How long a server's certificate holds.
const HOLDS: Duration = DAY.saturating_mul(90);
/// How long before its end it is renewed: a server that is looked at once a month is never late.
const RENEWED_BEFORE: Duration = DAY.saturating_mul(30);
/// How far a client's clock may be behind the server's.
const BEHIND: Duration = DAY;
/// The same of an agent's certificate, which the server itself looks at, and perhaps a proxy before it.
const AGENT_BEHIND: Duration = Duration::from_mins(5);
/// The CA's certificate holds from before there was any to a time that none of its keys will see. It does not depend on
/// the clock of the host that makes it, which may be wrong at a first start.
const CA_YEARS: (i32, i32) = (2024, 2100);
/// Names and addresses in one certificate.
const MAX_NAMES: usize = 100;

/// The names and addresses that a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// What every server is called on its own host: `localhost` and the loopback addresses.
    pub fn local() -> Self {
        Self(["localhost", "127.0.0.1", "::1"].map(str::to_owned).into())
    }

    /// Adds a host name or an address; white space and case are no matter.
    ///
    /// # Errors
    /// It is neither.
    pub fn add(&mut self, name: &str) -> Result<(), TlsError> {
        let name = name.trim().to_ascii_lowercase();
        let Some(name) = server_name(&name) else {
            return Err(TlsError::Name(name));
        };
        if self.0.len() < MAX_NAMES {
            self.0.insert(name.to_str().into_owned());
        }
        Ok(())
    }

    /// Those of them that a certificate is not for.
    fn missing_in<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a str> {
        let is_missing =
            |name: &&String| server_name(name).is_some_and(|server_name| !identity.covers(&server_name));
        self.0.iter().filter(is_missing).map(String::as_str)
    }
}

/// A text as the name of a server: a host name, or an address with or without the brackets of a URL.
pub fn server_name(name: &str) -> Option<ServerName<'static>> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    ServerName::try_from(bare.unwrap_or(name).to_owned()).ok()
}

/// A CA whose key lies in a directory.
pub struct Authority {
    directory: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    pin: Pin,
}

impl Authority {
    /// Where the CA's certificate lies in its directory.
    pub fn certificate_path(directory: &Path) -> PathBuf {
        directory.join("ca.pem")
    }

    /// Opens the CA of a directory; makes it if there is none.
    ///
    /// # Errors
    /// The directory can't be read or written, or holds something else.
    pub fn open(directory: &Path) -> Result<Self, TlsError> {
        private::make_dir(directory).map_err(TlsError::Write)?;
        let key_path = directory.join("ca.key");
        if !key_path.exists() {
            let key = KeyPair::generate()?;
            // Two that start at once end up with the same key, that of the first.
            if private::create(&key_path, key.serialize_pem().as_bytes()).map_err(TlsError::Write)? {
                info!(directory = %directory.display(), "made a certificate authority");
            }
        }
        let key = key_pair(&key_path)?;
        let params = ca_params(&key);
        let path = Self::certificate_path(directory);
        let certificate = if path.exists() {
            read_certificates(&path)?.remove(0)
        } else {
            // All that is in it follows from the key.
            let made = params.self_signed(&key)?;
            private::write(&path, made.pem().as_bytes()).map_err(TlsError::Write)?;
            made.der().clone()
        };
        let pin = Pin::of(&certificate).ok_or_else(|| TlsError::NotPem {
            path: path.clone(),
            what: "certificate of a CA",
            begin: "-----BEGIN CERTIFICATE-----",
        })?;
        if Pin::of(params.self_signed(&key)?.der()) != Some(pin) {
            return Err(TlsError::KeyMismatch {
                certificate: path,
                key: key_path,
            });
        }
        Ok(Self {
            directory: directory.to_owned(),
            certificate,
            issuer: Issuer::new(params, key),
            pin,
        })
    }

    /// By what clients know it.
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// The server's certificate: the one that is there if it is for all of `names` and does not end soon, else a new one.
    ///
    /// # Errors
    /// It can't be made or kept.
    pub fn identity(&self, names: &Names, now: SystemTime) -> Result<Identity, TlsError> {
        let [certificate, key] = self.identity_files();
        let ca = Self::certificate_path(&self.directory);
        let load = || Identity::load(&certificate, &key, Some(&ca), now);
        if certificate.exists() {
            match load() {
                Ok(identity) => match self.reason_to_renew(&identity, names, now) {
                    None => return Ok(identity),
                    Some(reason) => info!(reason, "renewing the server's certificate"),
                },
                Err(error) => info!(%error, "making the server's certificate anew"),
            }
        }
        self.issue(names, now)?;
        let identity = load()?;
        info!(until = %moment(identity.end()), "made a certificate for the server");
        Ok(identity)
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A client certificate for an agent of that name and its key. It is good for nothing else.
    ///
    /// # Errors
    /// It can't be made.
    pub fn agent_certificate(
        &self,
        name: &str,
        key: &PublicKey,
        holds: Duration,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        set_times(&mut params, now - AGENT_BEHIND.min(holds / 10), now + holds);
        params.serial_number = Some(serial()?);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?.der().clone())
    }

    /// The files of the server's certificate and of its key.
    pub fn identity_files(&self) -> [PathBuf; 2] {
        ["server.pem", "server.key"].map(|name| self.directory.join(name))
    }

    fn reason_to_renew(&self, identity: &Identity, names: &Names, now: SystemTime) -> Option<String> {
        if now + RENEWED_BEFORE > identity.end() {
            return Some(format!("it ends at {}", moment(identity.end())));
        }
        if let Err(error) = check_signed(identity.chain(), &self.certificate, now) {
            return Some(error.to_string());
        }
        let missing: Vec<&str> = names.missing_in(identity).collect();
        (!missing.is_empty()).then(|| format!("it is not for {}", missing.join(", ")))
    }

    fn issue(&self, names: &Names, now: SystemTime) -> Result<(), TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name("Nodeglass server");
        set_times(&mut params, now - BEHIND, now + HOLDS);
        params.serial_number = Some(serial()?);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        for name in &names.0 {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            });
        }
        let made = params.signed_by(&key, &self.issuer)?;
        let [certificate_path, key_path] = self.identity_files();
        private::write(&key_path, key.serialize_pem().as_bytes())
            .and_then(|()| private::write(&certificate_path, made.pem().as_bytes()))
            .map_err(TlsError::Write)
    }
}

fn key_pair(path: &Path) -> Result<KeyPair, TlsError> {
    let pem = super::read(path)?;
    KeyPair::from_pem(&String::from_utf8_lossy(&pem)).map_err(|_| TlsError::NotPem {
        path: path.to_owned(),
        what: "private key of a CA",
        begin: "-----BEGIN PRIVATE KEY-----",
    })
}

fn ca_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Two CAs of two servers that a host trusts must not be called the same.
    let id = params.key_identifier(key).into_iter().take(4);
    let id = id.fold(0_u32, |id, byte| id << 8 | u32::from(byte));
    params.distinguished_name = common_name(&format!("Nodeglass CA {id:08x}"));
    params.not_before = date_time_ymd(CA_YEARS.0, 1, 1);
    params.not_after = date_time_ymd(CA_YEARS.1, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Has a certificate hold from one moment to another; those before 1970 are 1970.
fn set_times(params: &mut CertificateParams, begin: SystemTime, end: SystemTime) {
    let since_1970 = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(begin);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(end);
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// 127 random bits: no two certificates of a CA have the same.
fn serial() -> Result<SerialNumber, TlsError> {
    let mut serial = [0_u8; 16];
    getrandom::fill(&mut serial)
        .map_err(|error| TlsError::Write(std::io::Error::other(error.to_string())))?;
    // A number that is positive, and has all its bytes.
    serial[0] = serial[0] & 0x7F | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}
