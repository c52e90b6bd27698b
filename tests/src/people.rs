//! Callers of a test: with tokens of their own, or signed in as a browser is, with a cookie and its token.

use nodeglass_model::UnixMillis;
use nodeglass_proto::v1::metrics_service_client::MetricsServiceClient;
use nodeglass_server::identity::totp;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::fake_agent::now;
use crate::server::Server;

/// Somebody with a token.
#[derive(Debug, Clone)]
pub struct TokenCaller {
    url: String,
    http: reqwest::Client,
    /// The token.
    pub token: String,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    url: String,
    http: reqwest::Client,
    /// The cookie: name and value.
    pub cookie: String,
    /// What goes with it.
    pub csrf: String,
    /// What the server said of who it is.
    pub me: Value,
}

impl TokenCaller {
    /// Somebody with a token that is made now, by the admin: `{"name": …, "role": …, "agents": […]}`.
    ///
    /// # Panics
    /// It can't be made.
    pub async fn make(server: &Server, what: &Value) -> Self {
        let made = server
            .post("/api/v1/tokens")
            .json(what)
            .send()
            .await
            .expect("an answer");
        let status = made.status();
        let body: Value = made.json().await.expect("JSON");
        assert_eq!(status, StatusCode::CREATED, "{body}");
        Self::new(server, body["token"].as_str().expect("a token"))
    }

    /// Somebody with a token.
    pub fn new(server: &Server, token: &str) -> Self {
        Self {
            url: server.url.clone(),
            http: server.client(),
            token: token.to_owned(),
        }
    }

    /// A call to be sent.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.token)
    }

    /// A call's status and JSON.
    ///
    /// # Panics
    /// Nothing comes back.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.call(Method::GET, path)).await
    }

    /// Changes something.
    ///
    /// # Panics
    /// Nothing comes back.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.call(method, path).json(body)).await
    }

    /// A gRPC client.
    ///
    /// # Panics
    /// The server is not there.
    pub async fn grpc(&self) -> MetricsServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(self.url.clone()).expect("an address");
        MetricsServiceClient::new(endpoint.connect().await.expect("a connection"))
    }

    /// A gRPC message with the token.
    ///
    /// # Panics
    /// The token is none.
    pub fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.token).parse().expect("a token");
        request.metadata_mut().insert("authorization", token);
        request
    }
}

impl SignedIn {
    /// Signs in.
    ///
    /// # Errors
    /// The status and the body of a refusal.
    ///
    /// # Panics
    /// Nothing comes back.
    pub async fn with(server: &Server, credentials: &Value) -> Result<Self, (StatusCode, Value)> {
        let request = server.anonymous_post("/api/v1/session").json(credentials);
        let response = request.send().await.expect("an answer");
        if response.status() != StatusCode::OK {
            return Err((response.status(), response.json().await.expect("JSON")));
        }
        Ok(Self::of(server, response).await)
    }

    /// What an answer that begins a session says.
    ///
    /// # Panics
    /// It has no cookie.
    pub async fn of(server: &Server, response: Response) -> Self {
        let cookie = session_cookie(&response).expect("a session's cookie");
        let me: Value = response.json().await.expect("JSON");
        let csrf = me["session"]["csrf_token"].as_str().expect("a token").to_owned();
        Self {
            url: server.url.clone(),
            http: server.client(),
            cookie,
            csrf,
            me,
        }
    }

    /// A user with its password.
    ///
    /// # Errors
    /// The status and the body of a refusal.
    pub async fn user(server: &Server, user: &str, password: &str) -> Result<Self, (StatusCode, Value)> {
        Self::with(server, &json!({ "user": user, "password": password })).await
    }

    /// A call with the cookie alone.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.header("cookie", &self.cookie)
    }

    /// A call as our own pages make it.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("x-csrf-token", &self.csrf)
    }

    /// A call's status and JSON; null where there is no body.
    ///
    /// # Panics
    /// Nothing comes back.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.call(method, path).json(body)).await
    }

    /// Asks for something.
    ///
    /// # Panics
    /// Nothing comes back.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.call(Method::GET, path)).await
    }
}

/// The session's cookie that an answer sets, as it is sent back.
pub fn session_cookie(response: &Response) -> Option<String> {
    let cookies = response.headers().get_all("set-cookie").into_iter();
    let cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    cookies
        .filter(|cookie| cookie.contains("=ngs_"))
        .map(str::to_owned)
        .next()
}

/// What becomes of a call: its status, and its JSON, null without one.
///
/// # Panics
/// Nothing comes back.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// The code of an authenticator with this secret, so many steps from now.
///
/// # Panics
/// It is not in base 32.
pub fn totp_code(secret: &str, steps: i64) -> String {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in secret.chars() {
        word = word << 5 | letters.find(letter).expect("a letter of base 32") as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits & 0xff) as u8);
        }
    }
    totp::code_at(&bytes, UnixMillis(now().0 + steps * 30_000))
}
