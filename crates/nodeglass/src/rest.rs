//! Calls of a server's REST API, for the commands that move many samples.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use nodeglass_proto::limits::CONNECT_TIMEOUT;
use nodeglass_runtime::tls::Pin;
use nodeglass_runtime::tls::client::{self, Trust};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// How long a server may be silent amid an answer: longer than its database may take for a page.
const SILENCE: Duration = Duration::from_mins(1);
/// How often a call is made again that the server had no time for.
const TRIES: u32 = 20;
/// The pause before that if the server names none, and the longest that is kept to.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// A server's REST API.
pub(crate) struct Rest {
    http: Client,
    server: String,
    bearer: String,
    tries: u32,
}

/// What a server says of a call that failed.
#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
}

/// A call that the server refused, as an error that callers can look into.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    /// The server's word for it, if it has one: `no_metrics`.
    pub(crate) code: Option<String>,
    message: String,
    /// When to ask again, if the server says so.
    pub(crate) retry_after: Option<Duration>,
}

impl Rest {
    /// Whose word is `trust`ed for who an `https://` server is.
    pub(crate) fn new(server: &str, bearer: String, trust: Option<Trust>) -> anyhow::Result<Self> {
        // Without TLS nobody is trusted.
        let trust = trust.unwrap_or(Trust::Pin(Pin([0; 32])));
        let config = client::config(&trust).context("the server can't be verified")?;
        let http = Client::builder()
            .tls_backend_preconfigured(config)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            .user_agent(concat!("nodeglass/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            server: server.trim_end_matches('/').to_owned(),
            bearer,
            tries: TRIES,
        })
    }

    /// The same for who asks again by itself, and shows meanwhile why there is no answer.
    pub(crate) fn impatient(self) -> Self {
        Self { tries: 1, ..self }
    }

    /// The answer to a question, once it begins.
    pub(crate) async fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Response> {
        let call = || self.http.get(self.url(path, parameters));
        self.send(call).await
    }

    /// The answer to a body.
    pub(crate) async fn post(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        body: Bytes,
    ) -> anyhow::Result<Response> {
        let call = || self.http.post(self.url(path, parameters)).body(body.clone());
        self.send(call).await
    }

    /// The answer to a call that shows or changes something: JSON, or null where there is nothing to say.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        // What is empty is not said.
        let said: Vec<_> = parameters
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .cloned()
            .collect();
        let call = || {
            let call = self.http.request(method.clone(), self.url(path, &said));
            match body {
                Some(body) => call
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.to_string()),
                None => call,
            }
        };
        let bytes = self.send(call).await?.bytes().await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).context("the server's answer can't be read")
    }

    fn url(&self, path: &str, parameters: &[(&str, String)]) -> String {
        let mut url = format!("{}/api/v1/{path}", self.server);
        for (number, (name, value)) in parameters.iter().enumerate() {
            url.push(if number == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            for byte in value.bytes() {
                let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
                if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
                    url.push(char::from(byte));
                } else {
                    url.extend(['%', digit(byte >> 4), digit(byte & 15)]);
                }
            }
        }
        url
    }

    /// Makes a call, again and again while the server has no time for it.
    async fn send(&self, call: impl Fn() -> RequestBuilder) -> anyhow::Result<Response> {
        let mut tries = 0;
        loop {
            tries += 1;
            let sent = call().header(AUTHORIZATION, &self.bearer).send().await;
            let answer = sent.with_context(|| {
                format!("can't talk to a server at {}; is it running there?", self.server)
            })?;
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            let busy = [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ];
            let named = answer.headers().get(RETRY_AFTER);
            let named = named.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
            let retry_after = named.map(|seconds| Duration::from_secs(seconds).min(PAUSE.1));
            if busy.contains(&status) && tries < self.tries {
                tokio::time::sleep(retry_after.unwrap_or(PAUSE.0)).await;
                continue;
            }
            let text = answer.text().await.unwrap_or_default();
            let (code, message) = match serde_json::from_str::<Problem>(&text) {
                // It names a path that an older server does not have.
                Ok(problem) if problem.code == "not_found" => (
                    Some(problem.code),
                    "this server is older and can't do that: bring it up to date".to_owned(),
                ),
                Ok(problem) => (Some(problem.code), problem.message),
                Err(_) => (None, format!("the server at {} answered {status}", self.server)),
            };
            return Err(Refused {
                code,
                message,
                retry_after,
            }
            .into());
        }
    }
}
