//! Bodies of calls: JSON, read with errors as every other.

use std::error::Error;

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The largest body of a call that does not say otherwise: settings and names are far smaller.
pub(super) const MAX_BODY_BYTES: usize = 256 << 10;

/// A body of JSON. A route whose body may be larger says so with [`super::routes::Routes::with_body`].
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::MediaType("application/json"));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| not_read(&error))?;
        // A list would be taken for the fields of an object in their order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(ApiError::Body("it must be an object".to_owned()));
        }
        let body = serde_json::from_slice(&bytes).map_err(|error| ApiError::Body(error.to_string()))?;
        Ok(Self(body))
    }
}

/// Why a body could not be taken in.
pub(super) fn not_read(error: &BytesRejection) -> ApiError {
    match error {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            ApiError::TooLarge(None)
        }
        _ if is_too_large(error) => ApiError::TooLarge(None),
        _ => ApiError::Body("it broke off: send it again".to_owned()),
    }
}

/// Whether something failed because it was too large.
pub(super) fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let name = media_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    name == "application/json" || (name.starts_with("application/") && name.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::body::Body;
    use axum::extract::DefaultBodyLimit;
    use axum::response::Response;
    use axum::routing::post;
    use axum::{RequestExt, Router};
    use tower::ServiceExt;

    use super::*;

    async fn read(media_type: &str, body: &'static str) -> Result<BTreeMap<String, u8>, ApiError> {
        let request = Request::post("/").header(header::CONTENT_TYPE, media_type);
        let request = request.body(Body::from(body)).unwrap();
        request.extract().await.map(|JsonBody(body)| body)
    }

    #[tokio::test]
    async fn a_body_of_another_form_is_refused_with_a_code() {
        let body = r#"{"a":1}"#;
        for media_type in ["application/json; charset=utf-8", "application/merge-patch+json"] {
            assert_eq!(read(media_type, body).await.unwrap()["a"], 1);
        }
        let code = async |media_type, body| read(media_type, body).await.unwrap_err().code().name;
        assert_eq!(code("text/plain", body).await, "unsupported_media_type");
        assert_eq!(code("application/json", "[1").await, "invalid_body");
        assert_eq!(code("application/json", r#"{"a":"b"}"#).await, "invalid_body");
        assert_eq!(code("application/json", "[]").await, "invalid_body");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_with_a_code() {
        let handler = async |JsonBody(_): JsonBody<Vec<u8>>| ();
        let router: Router = Router::new()
            .route("/", post(handler))
            .layer(DefaultBodyLimit::max(5));
        let request = Request::post("/").header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from("[1,2,3]")).unwrap();
        let response: Response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 413);
    }
}
