//! An error as a caller of REST gets it: problem details (RFC 9457) with a code of ours.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::codes::Code;

/// The form of an error's body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a call failed (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Where the kind of error is described, on this server.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/api/docs#unknown_agent")]
    kind: String,
    /// The kind of error in a few words, always the same.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong this time, and what to do; for people.
    detail: String,
    /// The path of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri-reference")]
    instance: Option<String>,
    /// The kind of error, for programs; it does not change.
    #[schema(example = "unknown_agent")]
    code: &'static str,
    /// The same as `detail`.
    message: String,
    /// The call's number, as in the header `x-request-id` and the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    /// An error of that kind.
    pub fn new(code: Code, detail: String) -> Self {
        Self {
            kind: format!("/api/docs#{}", code.name),
            title: code.title,
            status: code.status.as_u16(),
            message: detail.clone(),
            detail,
            instance: None,
            code: code.name,
            request_id: None,
        }
    }

    /// The same, of the call at `path` with this number.
    pub fn of_call(mut self, path: &str, request_id: &str) -> Self {
        self.instance = Some(path.to_owned());
        self.request_id = Some(request_id.to_owned());
        self
    }

    /// Its code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Its JSON.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be written to memory")
    }
}

/// The status is the caller's to set. The problem goes along as an extension of the response, so that whoever knows the
/// call can say which it was.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Body::from(self.body()).into_response();
        let media_type = HeaderValue::from_static(MEDIA_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response.extensions_mut().insert(self);
        response
    }
}
