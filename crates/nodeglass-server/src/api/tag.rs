//! Entity tags: who asks again and again is told when nothing has changed, and saves itself the answer.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash, Hasher};

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use foldhash::quality::{FixedState, FoldHasher};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::live::Live;

/// What an answer is made from, as a short text that changes with it.
#[derive(Debug)]
pub(super) struct Tag(HeaderValue);

impl Tag {
    /// The tag of what `hash` takes in. Tags of another start of the server are others.
    pub(super) fn new(live: &Live, hash: impl FnOnce(&mut FoldHasher<'_>)) -> Self {
        let mut state = Self::hasher();
        live.making().hash(&mut state);
        hash(&mut state);
        Self::from_hash(&state)
    }

    /// The tag of bytes that this program holds.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut state = Self::hasher();
        bytes.hash(&mut state);
        Self::from_hash(&state)
    }

    /// One that takes in a whole answer in a few microseconds. Nobody gains by two answers of one tag: it is their own that they
    /// would not get.
    fn hasher() -> FoldHasher<'static> {
        FixedState::default().build_hasher()
    }

    fn from_hash(state: &FoldHasher<'_>) -> Self {
        let text = format!("\"{:016x}\"", state.finish());
        Self(HeaderValue::from_str(&text).expect("hexadecimal digits in quotes"))
    }

    /// The answer, or "not modified" to a caller who has it already.
    pub(super) fn answer(self, known: &Known, answer: impl FnOnce() -> Response) -> Response {
        let mut response = if known.has(&self) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            answer()
        };
        response.headers_mut().insert(header::ETAG, self.0);
        response
    }
}

/// The tags of the answers that a caller has.
#[derive(Debug)]
pub(super) struct Known(Vec<HeaderValue>);

impl Known {
    /// What the headers say of it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(
            headers
                .get_all(header::IF_NONE_MATCH)
                .into_iter()
                .cloned()
                .collect(),
        )
    }

    fn has(&self, wanted: &Tag) -> bool {
        let lists = self.0.iter().filter_map(|list| list.to_str().ok());
        let mut known = lists.flat_map(|list| list.split(','));
        known.any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == wanted.0.as_bytes()
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_answer_is_not_given_it_again() {
        let live = Live::default();
        let tag = |number: u64| Tag::new(&live, |state| number.hash(state));
        let status = |number, has: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, has.parse().unwrap());
            let response = tag(number).answer(&Known::of(&headers), || StatusCode::OK.into_response());
            assert_eq!(response.headers()[header::ETAG], tag(number).0);
            response.status()
        };
        let known = tag(1).0;
        let known = known.to_str().unwrap();
        assert_eq!(status(1, known), StatusCode::NOT_MODIFIED);
        assert_eq!(
            status(1, &format!("\"other\", W/{known}")),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(status(1, "*"), StatusCode::NOT_MODIFIED);
        assert_eq!(status(2, known), StatusCode::OK);
        assert_eq!(status(1, "\"other\""), StatusCode::OK);
        let restarted = Tag::new(&Live::default(), |state| 1_u64.hash(state));
        assert_ne!(restarted.0, known);
    }
}
