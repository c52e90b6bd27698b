//! People who sign in: passwords, cookies, one-time codes.

use nodeglass_tests::database::Database;
use nodeglass_tests::people::{SignedIn, TokenCaller, answer, totp_code};
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::{eventually, on_every_database};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::agents_with_samples;

on_every_database!(
    users_sign_in_with_cookies_that_other_sites_can_t_use,
    one_time_codes_are_taken_once,
);

const PASSWORD: &str = "correct horse battery";

async fn add_user(server: &Server, name: &str, role: &str) {
    let body = json!({ "name": name, "role": role, "password": PASSWORD });
    let (status, body) = answer(server.post("/api/v1/users").json(&body)).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
}

async fn users_sign_in_with_cookies_that_other_sites_can_t_use(database: Database) {
    let server = Server::start(&database).await;
    add_user(&server, "ann", "admin").await;
    let weak = json!({ "name": "bob", "role": "viewer", "password": "bob-bob-bob-bob" });
    let (status, body) = answer(server.post("/api/v1/users").json(&weak)).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::CONFLICT, &json!("weak_password"))
    );
    let (wrong, unknown) = (
        SignedIn::user(&server, "ann", "correct horse batterx")
            .await
            .unwrap_err(),
        SignedIn::user(&server, "eve", PASSWORD).await.unwrap_err(),
    );
    assert_eq!(
        (wrong.0, &wrong.1["code"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_credentials"))
    );
    assert_eq!(
        wrong.1["detail"], unknown.1["detail"],
        "a name that is there looks like one that is not"
    );

    let request = json!({ "user": "ann", "password": PASSWORD });
    let response = server
        .anonymous_post("/api/v1/session")
        .json(&request)
        .send()
        .await
        .unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"),
        "{cookie}"
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
    let ann = SignedIn::of(&server, response).await;
    assert_eq!(
        (&ann.me["name"], &ann.me["kind"], &ann.me["role"]),
        (&json!("ann"), &json!("user"), &json!("admin"))
    );
    assert_eq!(ann.get("/api/v1/session").await.1["session"], ann.me["session"]);

    // Without the token, or from another site's page, nothing is changed.
    let make = json!({ "name": "made", "role": "viewer" });
    let post = |request: reqwest::RequestBuilder| answer(request.json(&make));
    let path = "/api/v1/tokens";
    let (status, body) = post(ann.bare(Method::POST, path)).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::FORBIDDEN, &json!("missing_csrf_token"))
    );
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let (status, body) = post(ann.call(Method::POST, path).header(name, value)).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::FORBIDDEN, &json!("cross_site")),
            "{name} {value}"
        );
        let request = server
            .anonymous_post("/api/v1/session")
            .header(name, value)
            .json(&request);
        assert_eq!(
            answer(request).await.0,
            StatusCode::FORBIDDEN,
            "nobody is signed in from there"
        );
    }
    let own = ann.call(Method::POST, path).header("origin", &server.url);
    assert_eq!(post(own).await.0, StatusCode::CREATED);

    // Own passwords; the other sessions end, this one goes on.
    let other = SignedIn::user(&server, "ann", PASSWORD).await.unwrap();
    let password = "/api/v1/session/password";
    let body = json!({ "old": "wrong-wrong-wrong", "new": "staple battery horse" });
    assert_eq!(
        ann.send(Method::PUT, password, &body).await.0,
        StatusCode::UNAUTHORIZED
    );
    let body = json!({ "old": PASSWORD, "new": "staple battery horse" });
    assert_eq!(
        ann.send(Method::PUT, password, &body).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(ann.get("/api/v1/session").await.0, StatusCode::OK);
    let (status, body) = other.get("/api/v1/session").await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::UNAUTHORIZED, &json!("signed_out"))
    );
    assert!(SignedIn::user(&server, "ann", PASSWORD).await.is_err());
    let as_token = TokenCaller::new(&server, TOKEN)
        .send(Method::PUT, password, &body)
        .await;
    assert_ne!(as_token.0, StatusCode::NO_CONTENT, "tokens have no passwords");

    // A token signs in, too; a ticket is good once and for streams alone.
    let by_token = SignedIn::with(&server, &json!({ "token": TOKEN })).await.unwrap();
    assert_eq!(by_token.me["kind"], "token");
    let _agents = agents_with_samples(&server, &["host"]).await;
    let ticket = by_token
        .send(Method::POST, "/api/v1/tickets", &Value::Null)
        .await
        .1;
    let ticket = ticket["ticket"].as_str().unwrap();
    let list = format!("/api/v1/metrics/agents?ticket={ticket}");
    assert_eq!(
        server.anonymous(&list).send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let stream = format!("/api/v1/agents/host/metrics/stream?interval=1&ticket={ticket}");
    assert_eq!(
        server.anonymous(&stream).send().await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(
        server.anonymous(&stream).send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );

    // Signing out.
    let sessions = ann.get("/api/v1/sessions").await.1;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 2, "{sessions}");
    assert_eq!(
        ann.send(Method::DELETE, "/api/v1/session", &Value::Null).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(ann.get("/api/v1/session").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(by_token.get("/api/v1/session").await.0, StatusCode::OK);
    let short = "access: {sessions: {idle: 1s, absolute: 1h}}";
    let another = Database::like(&database).await;
    let server = Server::start_with(&another, Some(short)).await;
    let idle = SignedIn::with(&server, &json!({ "token": TOKEN })).await.unwrap();
    // Looked at from outside: each call of its own is a use.
    eventually("the end of what nobody uses", async || {
        let open = server.ok("/api/v1/sessions").await;
        open["sessions"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(idle.get("/api/v1/session").await.0, StatusCode::UNAUTHORIZED);
}

async fn one_time_codes_are_taken_once(database: Database) {
    let server = Server::start_logged(&database, "{}").await;
    add_user(&server, "ann", "viewer").await;
    let ann = SignedIn::user(&server, "ann", PASSWORD).await.unwrap();
    let totp = "/api/v1/session/totp";
    let (status, begun) = ann
        .send(Method::POST, totp, &json!({ "password": PASSWORD }))
        .await;
    assert_eq!(status, StatusCode::OK, "{begun}");
    let secret = begun["secret"].as_str().unwrap().to_owned();
    assert!(begun["otpauth_url"].as_str().unwrap().contains(&secret));
    assert!(
        SignedIn::user(&server, "ann", PASSWORD).await.is_ok(),
        "not before it is confirmed"
    );
    assert_eq!(
        ann.send(Method::PUT, totp, &json!({ "code": "000000" })).await.0,
        StatusCode::UNAUTHORIZED
    );
    let first = totp_code(&secret, 0);
    let (status, confirmed) = ann.send(Method::PUT, totp, &json!({ "code": first })).await;
    assert_eq!(status, StatusCode::OK, "{confirmed}");

    let with = |code: &str| json!({ "user": "ann", "password": PASSWORD, "code": code });
    let needed = SignedIn::user(&server, "ann", PASSWORD).await.unwrap_err();
    assert_eq!(
        (needed.0, &needed.1["code"]),
        (StatusCode::UNAUTHORIZED, &json!("code_required"))
    );
    assert!(
        SignedIn::with(&server, &with(&first)).await.is_err(),
        "that one was used"
    );
    let next = totp_code(&secret, 1);
    let signed_in = SignedIn::with(&server, &with(&next)).await.unwrap();
    assert_eq!(signed_in.me["one_time_codes"], true);
    assert!(SignedIn::with(&server, &with(&next)).await.is_err(), "nor twice");
    let recovery = confirmed["recovery_codes"][0].as_str().unwrap();
    let recovered = SignedIn::with(&server, &with(&recovery.to_uppercase())).await;
    assert!(recovered.is_ok());
    assert!(SignedIn::with(&server, &with(recovery)).await.is_err());

    // Nothing of it is in a copy of the database or in the log.
    let dump = dump(&database).await;
    for secret in [PASSWORD, secret.as_str(), recovery, &ann.cookie, &ann.csrf, TOKEN] {
        let secret = secret.split_once('=').map_or(secret, |(_, value)| value);
        assert!(!dump.contains(secret), "the database has {secret}");
        assert_eq!(server.logged(secret), 0, "the log has {secret}");
    }
    assert!(dump.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
    let reset = server
        .request_of(Method::PATCH, "/api/v1/users/ann")
        .json(&json!({ "one_time_codes": false }));
    assert_eq!(answer(reset).await.0, StatusCode::NO_CONTENT);
    assert!(SignedIn::user(&server, "ann", PASSWORD).await.is_ok());

    // Passwords are not found by trying.
    let mut tried = 0;
    let refused = loop {
        tried += 1;
        let (status, body) = SignedIn::user(&server, "eve", PASSWORD).await.unwrap_err();
        if status != StatusCode::UNAUTHORIZED {
            break (status, body);
        }
    };
    assert_eq!(
        (refused.0, &refused.1["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_tries"))
    );
    assert!((5..=15).contains(&tried), "{tried}");
}

/// Everything of the tables about who may call, as text.
async fn dump(database: &Database) -> String {
    let everybody = database.everybody().await;
    let mut text = format!("{:?} {:?}", everybody.tokens, everybody.sessions);
    for user in everybody.users {
        text.push_str(&user.password_hash);
        text.push_str(&String::from_utf8_lossy(&user.totp_secret.unwrap_or_default()));
    }
    if let Some(file) = database.url().strip_prefix("sqlite://") {
        for path in [file.to_owned(), format!("{file}-wal")] {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()));
        }
    }
    text
}
