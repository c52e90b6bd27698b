//! Signing in at a provider of identities: OpenID Connect, authorisation code with PKCE. One provider is known, the one of
//! the configuration; what its claims allow is said there, too.

mod client;
mod flow;
mod grants;
mod jwt;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_runtime::config::Secret;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::Role;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tracing::{debug, warn};

use self::client::{Client, Metadata};
pub use self::client::{ClientError, is_safe};
use self::flow::Flows;
pub use self::flow::{Begun, local_path};
pub use self::grants::{Grant, GrantError};
use self::jwt::{Expected, JwtError, Keys};
use super::totp::escape;
use crate::access::Selector;

/// How long what a provider says of itself is taken for true.
const METADATA: Duration = Duration::from_hours(1);
/// How often at most its keys are read anew because a token names another.
const KEYS: Duration = Duration::from_secs(30);

/// What the configuration says of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// Its address, as it names itself: `https://id.example.org`.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there; without one the code's proof is all there is.
    pub client_secret: Option<Secret>,
    /// The file of the CA of its certificate, if systems don't know it.
    pub ca: Option<PathBuf>,
    /// What it is asked for, `openid` among it.
    pub scopes: Vec<String>,
    /// The claim that is somebody's name.
    pub name_claim: String,
    /// The claim with somebody's groups: a text, or a list of texts.
    pub groups_claim: String,
    /// What groups may do; the first that fits holds.
    pub grants: Vec<Grant>,
    /// What the button says.
    pub title: String,
}

impl OidcSettings {
    /// A text that is another one when claims are read otherwise; sessions from before don't count then.
    pub fn tag(&self) -> String {
        let Self {
            issuer,
            client_id,
            name_claim,
            groups_claim,
            grants,
            ..
        } = self;
        let text = format!("{issuer}\n{client_id}\n{name_claim}\n{groups_claim}\n{grants:?}");
        let hash = Sha256::digest(text.as_bytes());
        let mut tag = String::with_capacity(16);
        for byte in &hash[..8] {
            use std::fmt::Write as _;
            // Texts take everything.
            let _ = write!(tag, "{byte:02x}");
        }
        tag
    }
}

/// Why somebody could not sign in at the provider.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider can't be reached, or says something else than it should.
    #[error("the provider can't be asked")]
    Provider(#[from] ClientError),
    /// It was not begun here, not by this browser, or too long ago.
    #[error("this sign-in was not begun here, or too long ago: begin again")]
    NotBegun,
    /// Too many are begun at once.
    #[error("too many sign-ins are under way: try again in a minute")]
    TooMany,
    /// The provider refused.
    #[error("the provider says {0:?}")]
    Refused(String),
    /// Its ID token is not right.
    #[error("the provider's ID token is not taken")]
    Token(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It does not say who it is.
    #[error("the provider does not say the claim {0:?}: ask it for a scope that has it")]
    NoName(String),
    /// Nothing is granted to any of the groups.
    #[error("{name:?} is in no group that may do anything here")]
    NothingGranted {
        /// Who it was.
        name: String,
    },
}

/// Somebody whom the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Which agents it may see.
    pub agents: Selector,
    /// Where it wanted to go.
    pub return_to: String,
}

/// The provider.
#[derive(Debug)]
pub struct Oidc {
    settings: OidcSettings,
    client: Client,
    flows: Flows,
    known: Mutex<Option<(Instant, Arc<Metadata>)>>,
    keys: Mutex<Option<(Instant, Arc<Keys>)>>,
}

impl Oidc {
    /// Sets it up; the provider is asked when somebody signs in.
    ///
    /// # Errors
    /// There is nobody to trust for TLS.
    pub fn new(settings: OidcSettings) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(&settings)?,
            settings,
            flows: Flows::default(),
            known: Mutex::default(),
            keys: Mutex::default(),
        })
    }

    /// What the configuration says.
    pub fn settings(&self) -> &OidcSettings {
        &self.settings
    }

    /// Begins a sign-in; the browser is to go to the provider, which sends it back to `redirect`, and then to `return_to`.
    ///
    /// # Errors
    /// The provider does not say where that is.
    pub async fn begin(&self, redirect: &str, return_to: &str) -> Result<Begun, OidcError> {
        let metadata = self.metadata().await?;
        let flow = self.flows.begin(redirect, return_to).ok_or(OidcError::TooMany)?;
        let parameters = [
            ("response_type", "code"),
            ("client_id", self.settings.client_id.as_str()),
            ("redirect_uri", redirect),
            ("scope", &self.settings.scopes.join(" ")),
            ("state", &flow.state),
            ("nonce", &flow.nonce),
            ("code_challenge", &flow.challenge),
            ("code_challenge_method", "S256"),
        ];
        let parameters = parameters.map(|(name, value)| format!("{name}={}", escape(value)));
        let endpoint = &metadata.authorization_endpoint;
        let mark = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Begun {
            location: format!("{endpoint}{mark}{}", parameters.join("&")),
            cookie: flow.cookie,
        })
    }

    /// Ends a sign-in: what the provider sent the browser back with, and the cookie that it got at the beginning.
    ///
    /// # Errors
    /// It was not begun here, the provider refused, or what it says is not right.
    pub async fn finish(
        &self,
        answer: &Answer<'_>,
        cookie: Option<&str>,
        now: UnixMillis,
    ) -> Result<Known, OidcError> {
        let flow = self.flows.end(answer.state, cookie).ok_or(OidcError::NotBegun)?;
        // RFC 9207: an answer of another provider is none.
        if answer.issuer.is_some_and(|issuer| issuer != self.settings.issuer) {
            return Err(OidcError::NotBegun);
        }
        if let Some(error) = answer.error {
            return Err(OidcError::Refused(error.chars().take(80).collect()));
        }
        let code = answer.code.ok_or(OidcError::NotBegun)?;
        let metadata = self.metadata().await?;
        let tokens = self
            .client
            .exchange(&metadata, &self.settings, code, &flow.redirect, &flow.verifier)
            .await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client: &self.settings.client_id,
            nonce: &flow.nonce,
        };
        let claims = self.verified(&metadata, &tokens.id_token, expected, now).await?;
        let mut more = claims.more;
        let is_told =
            more.contains_key(&self.settings.groups_claim) && more.contains_key(&self.settings.name_claim);
        if let (false, Some(endpoint), Some(token)) =
            (is_told, &metadata.userinfo_endpoint, &tokens.access_token)
        {
            let info = self.client.user_info(endpoint, token).await?;
            // Core, 5.3.2: of somebody else it is worth nothing.
            if info.get("sub").and_then(Value::as_str) == Some(claims.sub.as_str()) {
                for (name, value) in info {
                    more.entry(name).or_insert(value);
                }
            }
        }
        more.insert("sub".to_owned(), claims.sub.into());
        let name = more.get(&self.settings.name_claim).and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| OidcError::NoName(self.settings.name_claim.clone()))?;
        let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
        let groups = texts(more.get(&self.settings.groups_claim));
        let grant = self.settings.grants.iter().find(|grant| grant.is_for(&groups));
        let grant = grant.ok_or_else(|| OidcError::NothingGranted { name: name.clone() })?;
        Ok(Known {
            name,
            role: grant.role,
            agents: grant.agents.clone(),
            return_to: flow.return_to,
        })
    }

    async fn verified(
        &self,
        metadata: &Metadata,
        token: &str,
        expected: Expected<'_>,
        now: UnixMillis,
    ) -> Result<jwt::Claims, OidcError> {
        let refused = |error: JwtError| {
            warn!(%error, "a provider's ID token is refused");
            OidcError::Token(error.into())
        };
        let keys = self.keys(metadata, false).await?;
        match jwt::verify(token, &keys, expected, now) {
            // Providers change their keys.
            Err(JwtError::UnknownKey | JwtError::Signature) => {
                let keys = self.keys(metadata, true).await?;
                jwt::verify(token, &keys, expected, now).map_err(refused)
            }
            done => done.map_err(refused),
        }
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        if let Some(known) = fresh(&self.known, METADATA) {
            return Ok(known);
        }
        let metadata = self.client.metadata(&self.settings.issuer).await;
        let metadata =
            metadata.inspect_err(|error| debug!(error = %chain(error), "a provider says nothing of itself"));
        Ok(keep(&self.known, metadata?))
    }

    async fn keys(&self, metadata: &Metadata, anew: bool) -> Result<Arc<Keys>, OidcError> {
        let age = if anew { KEYS } else { METADATA };
        if let Some(known) = fresh(&self.keys, age) {
            return Ok(known);
        }
        let keys = self.client.keys(metadata).await?;
        Ok(keep(&self.keys, keys))
    }
}

/// What a browser comes back with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// Which sign-in it is.
    pub state: &'a str,
    /// What the provider gives tokens for.
    pub code: Option<&'a str>,
    /// Why it does not.
    pub error: Option<&'a str>,
    /// Who answers.
    pub issuer: Option<&'a str>,
}

fn fresh<T>(known: &Mutex<Option<(Instant, Arc<T>)>>, age: Duration) -> Option<Arc<T>> {
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let (at, value) = known.as_ref()?;
    (at.elapsed() < age).then(|| value.clone())
}

fn keep<T>(known: &Mutex<Option<(Instant, Arc<T>)>>, value: T) -> Arc<T> {
    let value = Arc::new(value);
    *known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), value.clone()));
    value
}

/// A text, or those of a list.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
