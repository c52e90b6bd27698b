//! Asking the provider: what it says of itself (OpenID Connect Discovery), its keys, tokens for a code, and who that is.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use nodeglass_runtime::config::Secret;
use nodeglass_runtime::tls::Pin;
use nodeglass_runtime::tls::client::{self, Trust};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::OidcSettings;
use super::jwt::Keys;
use crate::identity::totp::escape;

/// How long the provider may take for an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The largest answer of a provider that is read: lists of keys and of groups are some kilobytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What a provider says of itself; what else it says does not matter.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    pub(super) userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// What a provider gives for a code.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    pub(super) access_token: Option<String>,
}

/// A provider that can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It does not answer, or not as it should.
    #[error("{what} can't be had from the provider: check that this host reaches it, and what its log says")]
    Http {
        /// What was asked for.
        what: &'static str,
        /// Why there is none.
        #[source]
        source: reqwest::Error,
    },
    /// It refuses.
    #[error("the provider answers with status {status} when it is asked for {what}: {error}")]
    Status {
        /// What was asked for.
        what: &'static str,
        /// Its answer.
        status: u16,
        /// Its code for why.
        error: String,
    },
    /// It says too much, or something else.
    #[error("what the provider gives for {what} can't be read")]
    Answer {
        /// What was asked for.
        what: &'static str,
    },
    /// It is another one, or leads to addresses without TLS.
    #[error("the provider says of itself that {0}, which is not what access.oidc.issuer says")]
    Another(String),
}

/// Asks the provider.
#[derive(Debug)]
pub(super) struct Client(reqwest::Client);

impl Client {
    /// One that trusts a CA's file, or those that the system trusts.
    pub(super) fn new(settings: &OidcSettings) -> anyhow::Result<Self> {
        let trust = match &settings.ca {
            Some(ca) => Trust::File(ca.clone()),
            // On this host, without TLS, nobody needs to be trusted.
            None if settings.issuer.starts_with("http://") => Trust::Pin(Pin([0; 32])),
            None => Trust::System,
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(client::config(&trust)?)
            .timeout(ANSWER)
            // Whoever could send it elsewhere could have it tell its secret there.
            .redirect(Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self(client))
    }

    /// What the provider says of itself.
    pub(super) async fn metadata(&self, issuer: &str) -> Result<Metadata, ClientError> {
        const WHAT: &str = "its description";
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let metadata: Metadata = self.ask(WHAT, self.0.get(url)).await?;
        if metadata.issuer != issuer {
            return Err(ClientError::Another(format!("it is {:?}", metadata.issuer)));
        }
        let endpoints = [
            Some(&metadata.authorization_endpoint),
            Some(&metadata.token_endpoint),
            Some(&metadata.jwks_uri),
            metadata.userinfo_endpoint.as_ref(),
        ];
        let unsafe_one = endpoints
            .into_iter()
            .flatten()
            .find(|endpoint| !is_safe(endpoint));
        if let Some(endpoint) = unsafe_one {
            return Err(ClientError::Another(format!(
                "it is asked at {endpoint:?}, without TLS"
            )));
        }
        Ok(metadata)
    }

    /// Its keys.
    pub(super) async fn keys(&self, metadata: &Metadata) -> Result<Keys, ClientError> {
        self.ask("its keys", self.0.get(&metadata.jwks_uri)).await
    }

    /// Tokens for a code.
    pub(super) async fn exchange(
        &self,
        metadata: &Metadata,
        settings: &OidcSettings,
        code: &str,
        redirect: &str,
        verifier: &str,
    ) -> Result<Tokens, ClientError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
            ("client_id", &settings.client_id),
        ];
        let mut request = self.0.post(&metadata.token_endpoint);
        if let Some(secret) = &settings.client_secret {
            let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
            let by_post = methods.is_some_and(|methods| {
                let takes = |method| methods.iter().any(|one| one == method);
                takes("client_secret_post") && !takes("client_secret_basic")
            });
            if by_post {
                form.push(("client_secret", secret.expose()));
            } else {
                // RFC 6749, 2.3.1: both are encoded before they are put together.
                let pair = format!("{}:{}", escape(&settings.client_id), escape(secret.expose()));
                request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
            }
        }
        let form: Vec<String> = form
            .into_iter()
            .map(|(name, value)| format!("{name}={}", escape(value)))
            .collect();
        let request = request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.join("&"));
        self.ask("tokens", request).await
    }

    /// Who an access token is of.
    pub(super) async fn user_info(
        &self,
        endpoint: &str,
        token: &str,
    ) -> Result<BTreeMap<String, Value>, ClientError> {
        let token = Secret::from(format!("Bearer {token}"));
        let request = self.0.get(endpoint).header(header::AUTHORIZATION, token.expose());
        self.ask("who somebody is", request).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let http = |source: reqwest::Error| ClientError::Http {
            what,
            // An address may have a code in it.
            source: source.without_url(),
        };
        let request = request.header(header::ACCEPT, "application/json");
        let response = request.send().await.map_err(http)?;
        let status = response.status();
        let body = read(response)
            .await
            .map_err(http)?
            .ok_or(ClientError::Answer { what })?;
        if !status.is_success() {
            let told: Option<Value> = serde_json::from_slice(&body).ok();
            let error = told
                .as_ref()
                .and_then(|told| told["error"].as_str())
                .unwrap_or("no reason");
            return Err(ClientError::Status {
                what,
                status: status.as_u16(),
                error: error.chars().filter(|c| !c.is_control()).take(80).collect(),
            });
        }
        serde_json::from_slice(&body).map_err(|_| ClientError::Answer { what })
    }
}

/// The whole answer; `None` if it is too large.
async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// Whether what is said there can't be heard on the way: by TLS, or on this host.
pub fn is_safe(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return false;
    }
    let host = crate::config::host_of(url).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let is_local = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    scheme == "https" || (scheme == "http" && is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_tls_are_this_host_s_alone() {
        for safe in [
            "https://id.example.org",
            "https://id.example.org/x",
            "http://127.0.0.1:1/x",
            "http://localhost/x",
            "http://[::1]:80",
        ] {
            assert!(is_safe(safe), "{safe}");
        }
        for unsafe_ in [
            "http://id.example.org",
            "http://127.0.0.1.evil.example",
            "ftp://localhost",
            "id.example.org",
            "https://",
            "https://user@id.example.org",
            "http://localhost@evil.example",
        ] {
            assert!(!is_safe(unsafe_), "{unsafe_}");
        }
    }
}
