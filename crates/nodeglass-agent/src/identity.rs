//! Who this agent is: its key, which was made here and stays here, its name, the server that knows it, and the certificate
//! that the server gave it. Kept in the data directory, readable by its owner alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeglass_model::{AgentId, UnixMillis};
use nodeglass_proto::proof::{self, NONCE_BYTES, Proof};
use nodeglass_proto::v1;
use nodeglass_runtime::private;
use nodeglass_runtime::tls::identity::times_of;
use nodeglass_runtime::tls::key::{KeyError, PrivateKey, PublicKey};
use serde::{Deserialize, Serialize};

/// Name, key and server.
const IDENTITY: &str = "identity.json";
/// The certificate, apart because it changes.
const CERTIFICATE: &str = "certificate.der";
/// The key of an enrolment that has not come to its end.
const PENDING: &str = "enrolling.json";

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nobody enrolled this host.
    #[error("this host is not enrolled: run `nodeglass-server agent add NAME` on the server, then `nodeglass-agent enroll STRING --data-dir {}` here; or start with `nodeglass-agent run --local-only`, which serves this host's figures on the local endpoint and needs no server", .0.display())]
    NotEnrolled(PathBuf),
    /// The file is not as we write it.
    #[error("{} is damaged: enrol this host again with `nodeglass-agent enroll STRING`", .0.display())]
    Damaged(PathBuf),
    /// The server's answer makes no sense.
    #[error("the server's answer can't be read: is it of another version?")]
    Answer,
    /// The system can't make keys.
    #[error("no key can be made")]
    Key(#[from] KeyError),
    /// The file can't be read or written.
    #[error("can't use {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Who this agent is. Clones share the certificate.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The server's address.
    pub server: String,
    /// The CA that it is known by.
    pub ca_pin: Option<[u8; 32]>,
    /// This agent's name.
    pub agent: AgentId,
    /// A number of this run of the program: copies of a host have each their own.
    pub instance: u64,
    server_id: Vec<u8>,
    key: Arc<PrivateKey>,
    certificate: Arc<RwLock<Option<Certificate>>>,
    directory: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Certificate {
    der: Vec<u8>,
    /// When it is to be renewed: at two thirds of its time.
    renew: SystemTime,
    /// When it holds.
    begin: SystemTime,
}

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Kept {
    agent: AgentId,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_pin: Option<String>,
    server_id: String,
    /// PKCS #8.
    key: String,
}

/// The same of an enrolment that has not come to its end.
#[derive(Serialize, Deserialize)]
struct Pending {
    token: String,
    key: String,
}

impl Certificate {
    fn read(der: Vec<u8>) -> Option<Self> {
        let (begin, end) = times_of(&der.as_slice().into())?;
        let holds = end.duration_since(begin).ok()?;
        Some(Self {
            der,
            renew: begin + holds * 2 / 3,
            begin,
        })
    }
}

fn file(path: &Path) -> impl Fn(io::Error) -> IdentityError {
    |source| IdentityError::File {
        path: path.to_owned(),
        source,
    }
}

/// Reads a file of JSON; `None` if there is none.
fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, IdentityError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|_| IdentityError::Damaged(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file(path)(error)),
    }
}

fn write(directory: &Path, name: &str, content: &[u8]) -> Result<(), IdentityError> {
    let path = directory.join(name);
    private::make_dir(directory)
        .and_then(|()| private::write(&path, content))
        .map_err(file(&path))
}

fn key_from(text: &str, path: &Path) -> Result<PrivateKey, IdentityError> {
    let pkcs8 = BASE64.decode(text).ok();
    pkcs8
        .and_then(|pkcs8| PrivateKey::from_pkcs8(&pkcs8).ok())
        .ok_or_else(|| IdentityError::Damaged(path.to_owned()))
}

/// The key to enrol with by a string's token: the one that was made for it before, if its enrolment had no answer, so that
/// a second try is one of the same host.
///
/// # Errors
/// No key can be made or kept.
pub fn pending_key(data_dir: &Path, token: &str) -> Result<PrivateKey, IdentityError> {
    let path = data_dir.join(PENDING);
    if let Ok(Some(pending)) = read::<Pending>(&path)
        && pending.token == token
        && let Ok(key) = key_from(&pending.key, &path)
    {
        return Ok(key);
    }
    let key = PrivateKey::generate()?;
    let pending = Pending {
        token: token.to_owned(),
        key: BASE64.encode(key.pkcs8()),
    };
    let text = serde_json::to_vec(&pending).expect("an object of texts");
    write(data_dir, PENDING, &text)?;
    Ok(key)
}

impl Identity {
    /// What a server's answer to an enrolment makes of this host.
    ///
    /// # Errors
    /// The answer can't be read.
    pub fn new(
        server: String,
        ca_pin: Option<[u8; 32]>,
        key: PrivateKey,
        enrolled: v1::EnrolResponse,
    ) -> Result<Self, IdentityError> {
        let agent = enrolled.agent_id.parse().map_err(|_| IdentityError::Answer)?;
        let certificate = enrolled.certificate.unwrap_or_default().certificate;
        Ok(Self {
            server,
            ca_pin,
            agent,
            instance: instance()?,
            server_id: enrolled.server_id,
            key: Arc::new(key),
            certificate: Arc::new(RwLock::new(Certificate::read(certificate))),
            directory: None,
        })
    }

    /// Reads what [`Identity::save`] wrote.
    ///
    /// # Errors
    /// The host is not enrolled, or the files can't be read.
    pub fn load(data_dir: &Path) -> Result<Self, IdentityError> {
        let path = data_dir.join(IDENTITY);
        let kept: Kept = read(&path)?.ok_or_else(|| IdentityError::NotEnrolled(data_dir.to_owned()))?;
        let damaged = || IdentityError::Damaged(path.clone());
        let decode = |text: &str| BASE64.decode(text).map_err(|_| damaged());
        let ca_pin = kept.ca_pin.as_deref().map(decode).transpose()?;
        Ok(Self {
            server: kept.server,
            ca_pin: ca_pin.map(TryInto::try_into).transpose().map_err(|_| damaged())?,
            agent: kept.agent,
            instance: instance()?,
            server_id: decode(&kept.server_id)?,
            key: Arc::new(key_from(&kept.key, &path)?),
            // Without it the key is proved otherwise, and another comes.
            certificate: Arc::new(RwLock::new(
                fs::read(data_dir.join(CERTIFICATE))
                    .ok()
                    .and_then(Certificate::read),
            )),
            directory: Some(data_dir.to_owned()),
        })
    }

    /// Keeps it in a directory, where later certificates go, too. One that is there already is replaced.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn save(&mut self, data_dir: &Path) -> Result<(), IdentityError> {
        let kept = Kept {
            agent: self.agent.clone(),
            server: self.server.clone(),
            ca_pin: self.ca_pin.map(|pin| BASE64.encode(pin)),
            server_id: BASE64.encode(&self.server_id),
            key: BASE64.encode(self.key.pkcs8()),
        };
        let text = serde_json::to_vec_pretty(&kept).expect("an object of texts");
        write(data_dir, IDENTITY, &text)?;
        let certificate = self.certificate();
        write(data_dir, CERTIFICATE, certificate.as_deref().unwrap_or_default())?;
        // If it stays, it is a key that is known to nobody, or this one.
        let _ = fs::remove_file(data_dir.join(PENDING));
        self.directory = Some(data_dir.to_owned());
        Ok(())
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    pub(crate) fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The certificate, if there is one. The server looks after its time.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let certificate = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        certificate.as_ref().map(|certificate| certificate.der.clone())
    }

    /// Whether another certificate should be asked for.
    pub fn is_renewal_due(&self, now: UnixMillis) -> bool {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.0.unsigned_abs());
        let certificate = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        certificate
            .as_ref()
            .is_none_or(|certificate| now >= certificate.renew || now < certificate.begin)
    }

    /// Takes another certificate, and keeps it. What is none is passed over.
    ///
    /// # Errors
    /// It is taken, and can't be kept.
    pub fn take_certificate(&self, der: Vec<u8>) -> Result<(), IdentityError> {
        let Some(certificate) = Certificate::read(der) else {
            return Ok(());
        };
        let kept = match &self.directory {
            Some(directory) => write(directory, CERTIFICATE, &certificate.der),
            None => Ok(()),
        };
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
        kept
    }

    /// Lets the certificate go, as if there had never been one.
    pub fn forget_certificate(&self) {
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The words that prove the key to the server at a moment, as the value of the header `authorization`.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn proof(&self, at: UnixMillis) -> Result<String, KeyError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::Random)?;
        let signature = self.key.sign(&proof::message(&self.server_id, at, &nonce))?;
        let proof = Proof {
            public_key: self.key.public().point().to_owned(),
            at,
            nonce,
            signature,
        };
        Ok(proof.encode())
    }
}

fn instance() -> Result<u64, KeyError> {
    getrandom::u64().map_err(|_| KeyError::Random)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(key: PrivateKey) -> Identity {
        let enrolled = v1::EnrolResponse {
            agent_id: "web-01".into(),
            server_id: vec![3; 16],
            certificate: None,
        };
        Identity::new("https://h:1".into(), Some([7; 32]), key, enrolled).unwrap()
    }

    #[test]
    fn is_kept_privately_and_says_when_it_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("agent");
        let error = Identity::load(&data_dir).unwrap_err().to_string();
        assert!(error.contains("nodeglass-agent enroll"), "{error}");

        let mut saved = identity(PrivateKey::generate().unwrap());
        saved.save(&data_dir).unwrap();
        let kept = Identity::load(&data_dir).unwrap();
        assert_eq!(
            (&kept.server, kept.ca_pin, &kept.agent),
            (&saved.server, saved.ca_pin, &saved.agent)
        );
        assert_eq!(
            (kept.public_key(), &kept.server_id),
            (saved.public_key(), &saved.server_id)
        );
        assert_ne!(kept.instance, saved.instance, "each run has its own");
        #[cfg(unix)]
        for name in [IDENTITY, CERTIFICATE] {
            use std::os::unix::fs::PermissionsExt;
            let bits = fs::metadata(data_dir.join(name)).unwrap().permissions().mode();
            assert_eq!(bits & 0o777, 0o600, "{name}");
        }
        let key = BASE64.encode(saved.key.pkcs8());
        assert!(!format!("{kept:?}").contains(&key), "the key is not shown");

        fs::write(data_dir.join(IDENTITY), "{").unwrap();
        let error = Identity::load(&data_dir).unwrap_err().to_string();
        assert!(error.contains("enrol this host again"), "{error}");
    }

    #[test]
    fn a_second_try_with_the_same_string_is_one_of_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path();
        let first = pending_key(data_dir, "nga_1").unwrap();
        assert_eq!(pending_key(data_dir, "nga_1").unwrap().public(), first.public());
        let other = pending_key(data_dir, "nga_2").unwrap();
        assert_ne!(other.public(), first.public(), "another string, another key");
        identity(other).save(data_dir).unwrap();
        assert!(!data_dir.join(PENDING).exists());
    }

    #[test]
    fn what_is_signed_is_for_one_server_and_never_the_same() {
        let identity = identity(PrivateKey::generate().unwrap());
        let proof = |at| Proof::decode(&identity.proof(UnixMillis(at)).unwrap()).unwrap();
        let (first, second) = (proof(5), proof(5));
        assert_ne!(first.nonce, second.nonce);
        let key = PublicKey::new(&first.public_key).unwrap();
        assert_eq!(key, identity.public_key());
        let message = proof::message(&[3; 16], UnixMillis(5), &first.nonce);
        assert!(key.verifies(&message, &first.signature));
        let elsewhere = proof::message(&[4; 16], UnixMillis(5), &first.nonce);
        assert!(!key.verifies(&elsewhere, &first.signature));
    }
}
