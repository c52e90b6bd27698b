//! The dashboard: its bundle, served from the program itself. Anybody may have it; the figures in it come from the API,
//! which asks who wants them.
//!
//! Pages are listed by name, so that no path of the API is ever taken for one: what is not listed is the API's to answer.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// A file of the bundle.
struct File {
    path: &'static str,
    bytes: &'static [u8],
    /// Compressed, where that is worth it.
    gzip: Option<&'static [u8]>,
}

static BUNDLE: &[File] = include!(concat!(env!("OUT_DIR"), "/bundle.rs"));

/// The addresses at which the page shows something. `dashboard/src/App.tsx` knows the same.
const PAGES: &[&str] = &[
    "/",
    "/hosts/{id}",
    "/compare",
    "/boards",
    "/boards/{id}",
    "/manage",
    "/manage/{part}",
    "/server",
];

/// Everything comes from this server and nothing runs but the bundle: no script of others, no frame around the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What goes with every file of the page.
const GUARDS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// A file's name changes with its content: who has it need not ask again for a year.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// The page itself names those files: it is asked for each time, and mostly answered with "not modified".
const EACH_TIME: &str = "no-cache";

/// The page's entity tag.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = Sha256::digest(file("/index.html").map_or(&[][..], |file| file.bytes));
    let text = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..12]));
    HeaderValue::from_str(&text).expect("letters and digits in quotes")
});

/// The page at all its addresses, and its files.
pub fn router() -> Router {
    PAGES
        .iter()
        .fold(Router::new(), |router, path| router.route(path, get(page)))
        .route("/assets/{name}", get(asset))
}

fn file(path: &str) -> Option<&'static File> {
    BUNDLE.iter().find(|file| file.path == path)
}

async fn page(headers: HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes().ends_with(TAG.as_bytes()));
    let mut response = match file("/index.html") {
        Some(_) if is_known => StatusCode::NOT_MODIFIED.into_response(),
        Some(file) => file.respond(&headers, EACH_TIME),
        None => ApiError::NoSuchPath("/".to_owned()).into_response(),
    };
    response.headers_mut().insert(header::ETAG, TAG.clone());
    response
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let path = format!("/assets/{name}");
    match file(&path) {
        Some(file) => file.respond(&headers, FOREVER),
        None => ApiError::NoSuchPath(path.chars().take(200).collect()).into_response(),
    }
}

impl File {
    fn respond(&self, asked: &HeaderMap, keep: &'static str) -> Response {
        let takes_gzip = asked
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .any(is_gzip);
        let gzip = self.gzip.filter(|_| takes_gzip);
        let mut response = Response::new(Body::from(gzip.unwrap_or(self.bytes)));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(content_type(self.path)),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if gzip.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for (name, value) in GUARDS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Whether an entry of `Accept-Encoding` takes gzip: `gzip`, `gzip;q=0.5`, `*`; not `gzip;q=0`.
fn is_gzip(entry: &str) -> bool {
    let mut parts = entry.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let is_refused = parts.any(|part| {
        let quality = part
            .strip_prefix("q=")
            .and_then(|value| value.parse::<f32>().ok());
        quality == Some(0.0)
    });
    (name.eq_ignore_ascii_case("gzip") || name == "*") && !is_refused
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_files_of_the_bundle_alone() {
        let page = file("/index.html").expect("the page");
        let page = std::str::from_utf8(page.bytes).unwrap();
        let named: Vec<&str> = page
            .split('"')
            .filter(|text| text.starts_with("/assets/"))
            .collect();
        assert!(named.len() >= 3, "a script, a style and an icon: {named:?}");
        for path in named {
            assert!(file(path).is_some(), "{path}");
        }
        assert!(!page.contains("<style") && !page.contains("javascript:"));
    }

    #[test]
    fn every_file_has_a_type() {
        for file in BUNDLE {
            assert_ne!(
                content_type(file.path),
                "application/octet-stream",
                "{}",
                file.path
            );
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for takes in ["gzip", " GZIP ", "gzip;q=0.5", "*"] {
            assert!(is_gzip(takes), "{takes}");
        }
        for refuses in ["", "br", "gzip;q=0", "gzip; q=0.0", "xgzip"] {
            assert!(!is_gzip(refuses), "{refuses}");
        }
    }
}
