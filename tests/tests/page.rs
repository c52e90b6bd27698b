//! The dashboard as the server serves it: to everybody, compressed, kept by browsers as long as it may be, and never in the
//! way of the API.

use nodeglass_tests::database::Database;
use nodeglass_tests::on_every_database;
use nodeglass_tests::server::Server;
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

on_every_database!(
    the_page_is_served_and_the_api_stays_itself,
    dashboards_are_kept_for_those_who_may_change_them,
);

async fn the_page_is_served_and_the_api_stays_itself(database: Database) {
    let server = Server::start(&database).await;
    let page = server.anonymous("/").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let tag = page.headers()[header::ETAG].clone();
    let text = page.text().await.unwrap();
    assert!(text.starts_with("<!doctype html>"), "{text}");

    let again = server.anonymous("/").header(header::IF_NONE_MATCH, tag);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    for path in [
        "/hosts/web-01",
        "/hosts/a%2Fb",
        "/compare?range=1h",
        "/boards/web",
        "/server",
    ] {
        let other = server.anonymous(path).send().await.unwrap();
        assert_eq!(other.status(), StatusCode::OK, "{path}");
        assert_eq!(other.text().await.unwrap(), text, "{path}");
    }

    let mut sent_bytes = text.len();
    for path in text.split('"').filter(|text| text.starts_with("/assets/")) {
        let plain = server.anonymous(path).send().await.unwrap();
        assert_eq!(plain.status(), StatusCode::OK, "{path}");
        assert_eq!(
            plain.headers()[header::CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        let whole = plain.bytes().await.unwrap();
        let compressed = server.anonymous(path).header(header::ACCEPT_ENCODING, "br, gzip");
        let compressed = compressed.send().await.unwrap();
        let is_compressed = compressed.headers().contains_key(header::CONTENT_ENCODING);
        let bytes = compressed.bytes().await.unwrap();
        if is_compressed {
            let mut read = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut read).unwrap();
            assert_eq!(read, whole, "{path}");
        }
        sent_bytes += bytes.len();
    }
    // With the one font, which the style names, a first visit stays within its bar.
    assert!(sent_bytes + 49_000 <= 250 * 1024, "{sent_bytes} bytes");

    for path in [
        "/api/v1/nothing",
        "/api/nothing",
        "/nothing",
        "/assets/nothing.js",
    ] {
        let answer = server.request(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["status"], 404, "{path}: {body}");
    }
    let closed = server.anonymous("/api/v1/metrics/agents").send().await.unwrap();
    assert_eq!(closed.status(), StatusCode::UNAUTHORIZED);
}

async fn dashboards_are_kept_for_those_who_may_change_them(database: Database) {
    let server = Server::start(&database).await;
    let (viewer, operator) = (
        server.add_token("looks", "viewer").await,
        server.add_token("works", "operator").await,
    );
    let path = "/api/v1/dashboards/web-tier";
    let save = async |token: &str, path: &str, body: Value| {
        let call = server
            .client()
            .put(format!("{}{path}", server.url))
            .bearer_auth(token);
        let answer = call.json(&body).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let first = json!({ "name": "Web tier", "content": { "panels": [{ "title": "CPU" }] } });
    let (status, refused) = save(&viewer, path, first.clone()).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::FORBIDDEN, &json!("forbidden"))
    );
    let (status, saved) = save(&operator, path, first.clone()).await;
    assert_eq!(
        (status, &saved["revision"], &saved["saved_by"]),
        (StatusCode::OK, &json!(1), &json!("test-works"))
    );
    let (status, again) = save(&operator, path, first).await;
    assert_eq!(
        (status, &again["code"]),
        (StatusCode::CONFLICT, &json!("outdated_dashboard"))
    );
    let (status, changed) = save(
        &operator,
        path,
        json!({ "name": "Web", "revision": 1, "content": {} }),
    )
    .await;
    assert_eq!((status, &changed["revision"]), (StatusCode::OK, &json!(2)));

    let shown = server.ok(path).await;
    assert_eq!((&shown["name"], &shown["content"]), (&json!("Web"), &json!({})));
    let listed = server.ok("/api/v1/dashboards").await;
    assert_eq!(listed["dashboards"][0]["id"], "web-tier");
    assert!(listed["dashboards"][0].get("content").is_none());

    for (path, body) in [
        (
            "/api/v1/dashboards/No_Good",
            json!({ "name": "x", "content": {} }),
        ),
        (path, json!({ "name": " ", "revision": 2, "content": {} })),
        (path, json!({ "name": "x", "revision": 2, "content": [] })),
        (
            path,
            json!({ "name": "x", "revision": 2, "content": {}, "more": 1 }),
        ),
    ] {
        assert_eq!(
            save(&operator, path, body.clone()).await.0,
            StatusCode::BAD_REQUEST,
            "{path}: {body}"
        );
    }
    let remove = async |token: &str| {
        let call = server
            .client()
            .delete(format!("{}{path}", server.url))
            .bearer_auth(token);
        call.send().await.unwrap().status()
    };
    assert_eq!(remove(&viewer).await, StatusCode::FORBIDDEN);
    assert_eq!(remove(&operator).await, StatusCode::NO_CONTENT);
    assert_eq!(remove(&operator).await, StatusCode::NOT_FOUND);
    let (status, gone) = server.get(path).await;
    assert_eq!(
        (status, &gone["code"]),
        (StatusCode::NOT_FOUND, &json!("unknown_dashboard"))
    );
}
