//! Answers whose readers are watched by what was sent of them. gRPC's encoder takes what comes next from a stream before it
//! has given away what it took, so the stream itself does not know whether its reader reads.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::Place;

/// The body of an answer, and the place that it holds.
struct Watched {
    body: Body,
    place: Place,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.place.taken();
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.place.given();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Has the reader of an answer watched that has a place among its extensions.
pub(crate) fn watched(mut answer: Response) -> Response {
    match answer.extensions_mut().remove::<Place>() {
        Some(place) => answer.map(|body| Body::new(Watched { body, place })),
        None => answer,
    }
}
