//! Signing in at a provider of identities that others wrote: npm's `oidc-provider`, a certified one, as a process on this
//! host. The test is the browser: it follows redirects, keeps cookies, and fills in the provider's forms.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use nodeglass_tests::PATIENCE;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::FakeAgent;
use nodeglass_tests::host_tree::holds;
use nodeglass_tests::on_every_database;
use nodeglass_tests::people::answer;
use nodeglass_tests::server::{Server, plain_http};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

on_every_database!(people_sign_in_at_their_provider);

const SECRET: &str = "provider-secret-0123456789";

struct Provider {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    issuer: String,
}

impl Provider {
    async fn start() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc-provider");
        let installed = tokio::task::spawn_blocking(move || xtask::tools::npm::install(&source));
        let directory = installed.await.unwrap().unwrap();
        let mut command = Command::new(xtask::tools::npm::node());
        command
            .arg("provider.mjs")
            .current_dir(directory)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().expect("Node.js");
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = line(&mut output).await;
        Self {
            _process: process,
            input,
            output,
            issuer: format!("http://127.0.0.1:{port}"),
        }
    }

    async fn send_back_to(&mut self, server: &Server) {
        let address = format!("{}/api/v1/session/oidc/callback\n", server.url);
        self.input.write_all(address.as_bytes()).await.unwrap();
        assert_eq!(line(&mut self.output).await, "ready");
    }
}

async fn line(output: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(PATIENCE, output.next_line()).await;
    line.expect("the provider's word in time")
        .unwrap()
        .expect("a line")
}

/// Follows redirects by hand, and keeps cookies as browsers do.
struct Browser {
    http: reqwest::Client,
    /// By host and port, path and name.
    cookies: BTreeMap<(String, String, String), String>,
}

impl Browser {
    fn new() -> Self {
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        // Without TLS nobody needs to be trusted.
        let trust = nodeglass_runtime::tls::client::Trust::Pin(nodeglass_runtime::tls::Pin([0; 32]));
        let config = nodeglass_runtime::tls::client::config(&trust).unwrap();
        Self {
            http: builder.tls_backend_preconfigured(config).build().unwrap(),
            cookies: BTreeMap::new(),
        }
    }

    async fn send(&mut self, method: Method, url: &str, form: Option<&str>) -> Response {
        let (host, path) = split(url);
        let fitting = self
            .cookies
            .iter()
            .filter(|((of, under, _), _)| *of == host && path.starts_with(under.as_str()));
        let cookies: Vec<_> = fitting
            .map(|((_, _, name), value)| format!("{name}={value}"))
            .collect();
        let mut request = self
            .http
            .request(method, url)
            .header("cookie", cookies.join("; "));
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.to_owned());
        }
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            let path = text.split("; ").find_map(|part| {
                let (key, path) = part.split_once('=')?;
                key.eq_ignore_ascii_case("path").then_some(path)
            });
            let key = (host.clone(), path.unwrap_or("/").to_owned(), name.to_owned());
            self.cookies.insert(key, value.to_owned());
        }
        response
    }

    /// Goes to the provider, signs in there, and follows until `until` is where it would go next.
    async fn sign_in(&mut self, server: &Server, user: &str, until: impl Fn(&str) -> bool) -> String {
        let begin = format!("{}/api/v1/session/oidc?return_to=/fleet%3Fq%3Dweb", server.url);
        let mut response = self.send(Method::GET, &begin, None).await;
        let mut at = begin;
        for _ in 0..20 {
            if response.status().is_redirection() {
                let location = response.headers()["location"].to_str().unwrap();
                let (host, _) = split(&at);
                at = if location.starts_with('/') {
                    format!("http://{host}{location}")
                } else {
                    location.to_owned()
                };
                if until(&at) {
                    return at;
                }
                response = self.send(Method::GET, &at, None).await;
            } else {
                let status = response.status();
                let page = response.text().await.unwrap();
                assert_eq!(status, StatusCode::OK, "{at}: {page}");
                let form = if page.contains("name=\"login\"") {
                    format!("prompt=login&login={user}&password=anything")
                } else {
                    "prompt=consent".to_owned()
                };
                response = self.send(Method::POST, &at.clone(), Some(&form)).await;
            }
        }
        panic!("{user} goes round in circles, now at {at}");
    }
}

/// A URL's host with its port, and its path.
fn split(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").expect("an address of this host");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('?').next().unwrap();
    (host.to_owned(), format!("/{path}"))
}

async fn people_sign_in_at_their_provider(database: Database) {
    let mut provider = Provider::start().await;
    let issuer = &provider.issuer;
    let config = format!(
        "access:\n  oidc:\n    issuer: {issuer}\n    client_id: nodeglass\n    client_secret: {SECRET}\n    title: Our own\n    \
         grants: ['ops: admin', 'web-team: viewer web-*']\n"
    );
    let server = Server::start_logging(&database, &config, "trace").await;
    provider.send_back_to(&server).await;
    let (status, ways) = answer(server.anonymous("/api/v1/session/ways")).await;
    assert_eq!((status, &ways["oidc"]), (StatusCode::OK, &json!("Our own")));
    for name in ["web-1", "db-1"] {
        drop(FakeAgent::open(&server.enrolment(name).await, 1).await.unwrap());
    }
    let is_back = |at: &str| at.contains("/oidc/callback");
    let callback = async |browser: &mut Browser, at: &str| {
        let response = browser.send(Method::GET, at, None).await;
        let location = response
            .headers()
            .get("location")
            .map(|location| location.to_str().unwrap().to_owned());
        (response.status(), location, response.text().await.unwrap())
    };

    // Of several groups the first that something is granted to counts; it goes where it wanted to go.
    let mut ann = Browser::new();
    let at = ann.sign_in(&server, "ann", is_back).await;
    // Another browser can't use the answer, and then nobody can.
    let (status, _, body) = callback(&mut Browser::new(), &at).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert!(body.contains("sign_in_failed"), "{body}");
    assert_eq!(
        callback(&mut ann, &at).await.0,
        StatusCode::UNAUTHORIZED,
        "it is used"
    );
    let at = ann.sign_in(&server, "ann", is_back).await;
    let (status, location, body) = callback(&mut ann, &at).await;
    assert_eq!(
        (status, location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/fleet?q=web")),
        "{body}"
    );
    assert_eq!(
        callback(&mut ann, &at).await.0,
        StatusCode::UNAUTHORIZED,
        "nor twice"
    );
    let session = format!("{}/api/v1/session", server.url);
    let me: serde_json::Value = ann.send(Method::GET, &session, None).await.json().await.unwrap();
    assert_eq!(
        (&me["name"], &me["kind"], &me["role"]),
        (&json!("ann"), &json!("oidc"), &json!("admin")),
        "{me}"
    );
    assert!(
        me["session"]["csrf_token"].is_string() && me.get("agents").is_none(),
        "{me}"
    );

    // A group with some agents.
    let mut bob = Browser::new();
    let at = bob.sign_in(&server, "bob", is_back).await;
    assert_eq!(callback(&mut bob, &at).await.0, StatusCode::SEE_OTHER);
    let list = format!("{}/api/v1/metrics/agents", server.url);
    let list: serde_json::Value = bob.send(Method::GET, &list, None).await.json().await.unwrap();
    let names: Vec<_> = list["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| &agent["agent_id"])
        .collect();
    assert_eq!(names, ["web-1"]);

    // Somebody whom the provider knows and to whom nothing is granted.
    let mut eve = Browser::new();
    let at = eve.sign_in(&server, "eve", is_back).await;
    let (status, _, body) = callback(&mut eve, &at).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert!(body.contains("no group"), "{body}");
    // An answer that claims to be another provider's, and one that is no answer.
    let at = eve.sign_in(&server, "bob", is_back).await;
    let other = at
        .split('&')
        .filter(|part| !part.starts_with("iss="))
        .collect::<Vec<_>>()
        .join("&");
    assert_eq!(
        callback(&mut eve, &format!("{other}&iss=https%3A%2F%2Fevil.example"))
            .await
            .0,
        StatusCode::UNAUTHORIZED
    );
    let made_up = format!("{}/api/v1/session/oidc/callback?state=x&code=y", server.url);
    assert_eq!(callback(&mut eve, &made_up).await.0, StatusCode::UNAUTHORIZED);
    assert!(server.logged("TRACE") > 0 && server.logged(SECRET) == 0);
    assert!(!holds(&database.dump().await, SECRET));

    // What its groups mean changed while the server was away: the session is worth nothing any more.
    let changed = config.replace("ops: admin", "ops: viewer");
    let mut server = server;
    assert_eq!(server.terminate().await, Some(0));
    server.reconfigure(&changed);
    server.start_again().await;
    let session = format!("{}/api/v1/session", server.url);
    assert_eq!(
        ann.send(Method::GET, &session, None).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let without = plain_http()
        .get(format!("{}/api/v1/session", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
}
