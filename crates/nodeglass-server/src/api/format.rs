//! The forms in which figures are given: JSON, CSV and Arrow's stream, as the caller's `Accept` asks.
//!
//! Long answers are written piece by piece while they are sent, so none is in memory twice.

mod arrow;
mod csv;
mod json;
mod sheet;

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use nodeglass_runtime::telemetry::chain;
use tracing::warn;

pub(super) use json::{Rows, write as write_json};
pub(super) use sheet::{Cells, Sheet};

use crate::error::ApiError;

/// Rows that are written at once: some hundred kilobytes.
pub(super) const PIECE: usize = 4_096;

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// As the calls describe it.
    Json,
    /// A line of names, then lines of values; times as RFC 3339.
    Csv,
    /// Arrow's IPC stream; times as milliseconds in UTC.
    Arrow,
}

impl Format {
    const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Arrow];

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The form that these headers ask for most; JSON if they don't say.
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let asked: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|range| !range.is_empty())
            .collect();
        if asked.is_empty() {
            return Ok(Self::Json);
        }
        let mut best: Option<(f64, Self)> = None;
        for format in Self::ALL {
            let wish = format.wish(&asked);
            if wish > best.map_or(0.0, |(most, _)| most) {
                best = Some((wish, format));
            }
        }
        best.map(|(_, format)| format)
            .ok_or_else(|| ApiError::NotAcceptable(asked.join(", ").chars().take(80).collect()))
    }

    /// How much it is asked for, from 0 to 1: as the narrowest range says that covers it.
    fn wish(self, asked: &[&str]) -> f64 {
        let media_type = self.media_type();
        let group = media_type.split('/').next().unwrap_or_default();
        let mut found = (0, 0.0);
        for range in asked {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let narrowness = if name == media_type {
                3
            } else if name.strip_suffix("/*") == Some(group) {
                2
            } else if name == "*/*" {
                1
            } else {
                continue;
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            if narrowness > found.0 {
                found = (narrowness, quality.unwrap_or(1.0));
            }
        }
        found.1
    }

    /// An answer in this form.
    pub(super) fn respond(self, body: Body) -> Response {
        let mut response = body.into_response();
        let media_type = HeaderValue::from_static(self.media_type());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media_type);
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        response
    }

    /// An answer of sheets with the same columns, as CSV or Arrow.
    pub(super) fn sheets(
        self,
        sheets: impl Stream<Item = Result<Sheet, ApiError>> + Send + 'static,
    ) -> Response {
        let writer = match self {
            Self::Arrow => Writer::Arrow(Box::default()),
            Self::Json | Self::Csv => Writer::Csv(csv::Writer::default()),
        };
        let state = (Box::pin(sheets), Some(writer));
        let pieces = stream::unfold(state, async |(mut sheets, writer)| {
            let mut writer = writer?;
            let written = match sheets.next().await {
                Some(Ok(sheet)) => writer.add(&sheet),
                Some(Err(error)) => Err(error),
                None => return Some((writer.end(), (sheets, None))),
            };
            let left = written.is_ok().then_some(writer);
            Some((written, (sheets, left)))
        });
        self.respond(broken_off(pieces))
    }
}

/// A body that is broken off where a piece of it could not be made: the caller has the beginning already, and sees that it
/// has no end. Whoever compresses it may look for more after the end.
pub(super) fn broken_off(pieces: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static) -> Body {
    Body::from_stream(
        pieces
            .map(|piece| piece.inspect_err(|error| warn!(error = %chain(error), "an answer was broken off")))
            .fuse(),
    )
}

/// A body of pieces that are made while it is sent.
pub(super) fn in_pieces(pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Body {
    Body::from_stream(stream::iter(
        pieces.map(|piece| Ok::<_, Infallible>(Bytes::from(piece))),
    ))
}

enum Writer {
    Csv(csv::Writer),
    Arrow(Box<arrow::Writer>),
}

impl Writer {
    fn add(&mut self, sheet: &Sheet) -> Result<Bytes, ApiError> {
        match self {
            Self::Csv(writer) => Ok(writer.add(sheet)),
            Self::Arrow(writer) => writer.add(sheet),
        }
    }

    fn end(self) -> Result<Bytes, ApiError> {
        match self {
            Self::Csv(_) => Ok(Bytes::new()),
            Self::Arrow(writer) => writer.end(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Format {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &[&'static str]) -> Result<Format, ApiError> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        Format::of(&headers)
    }

    #[test]
    fn the_narrowest_range_and_the_highest_wish_count() {
        for (accept, expected) in [
            (&[][..], Format::Json),
            (&["*/*"], Format::Json),
            (&["text/*"], Format::Csv),
            (&["text/csv, application/json;q=0.5"], Format::Csv),
            (&["text/html", "application/json;q=0.9"], Format::Json),
            (&["*/*, application/json;q=0.1, text/csv; q=0.2"], Format::Arrow),
            (&["application/vnd.apache.arrow.stream"], Format::Arrow),
            (&["Application/JSON;charset=utf-8"], Format::Json),
        ] {
            assert_eq!(format(accept).unwrap(), expected, "{accept:?}");
        }
        for accept in ["text/html", "application/json;q=0", "nonsense"] {
            assert!(
                matches!(format(&[accept]), Err(ApiError::NotAcceptable(_))),
                "{accept}"
            );
        }
    }
}
