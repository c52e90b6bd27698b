//! Headers that every answer has: what browsers may do with it, and how the caller stands with its allowance.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::access::{Standing, WINDOW};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a page of another origin may read of an answer, where CORS lets it read any.
pub(super) const EXPOSED: [HeaderName; 8] = [
    header::ETAG,
    header::RETRY_AFTER,
    LIMIT,
    REMAINING,
    RESET,
    POLICY,
    super::guard::REQUEST_ID,
    header::WWW_AUTHENTICATE,
];

/// What an answer is unless its handler says otherwise: no page, in no frame, of no other type than it says, not kept
/// without asking again, and no place whose address is told to others.
///
/// `Strict-Transport-Security` is left to a proxy: it would hold for every port of the host.
const SAFE: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "private, no-cache"),
];

/// What a page of our own may do: its own scripts, styles and calls, and nothing from elsewhere.
pub(super) const OF_PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds what an answer does not have yet.
pub(super) fn secure(headers: &mut HeaderMap) {
    for (name, value) in SAFE {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Says how the caller stands.
pub(super) fn allowance(headers: &mut HeaderMap, standing: Standing) {
    let Standing {
        limit,
        remaining,
        reset,
    } = standing;
    headers.insert(LIMIT, limit.into());
    headers.insert(REMAINING, remaining.into());
    headers.insert(RESET, (reset.as_secs_f64().ceil() as u64).into());
    let policy = format!("{limit};w={}", WINDOW.as_secs());
    headers.insert(POLICY, HeaderValue::from_str(&policy).expect("digits"));
}
