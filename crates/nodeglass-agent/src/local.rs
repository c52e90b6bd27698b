//! The local endpoint: this host's figures over HTTP, without a server, for Prometheus and for whoever is on the host.
//!
//! This file owns the socket and its connections; [`answers`] says what there is at which path, `negotiation` which form
//! of it a client wants. It reads, and changes nothing; it has no login and so listens on loopback unless told otherwise.

mod answers;
mod negotiation;
mod summary;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nodeglass_runtime::accept::{self, Bounds, Guest};
use nodeglass_runtime::tasks::TaskGroup;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub use answers::{Answers, Latest};

/// A few scrapers and people. More wait until one ends.
const CONNECTIONS: Bounds = Bounds {
    at_once: 64,
    per_second: 100,
    strangers: 0,
};
/// How long a connection may stay silent, and the head of a call take to come.
const HEADERS: Duration = Duration::from_secs(30);
/// Headers in one call.
const MAX_HEADERS: usize = 64;
/// What is read of a connection at once, and so the largest head of a call. Bodies are not read.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// How long an answer may wait for the other end to take it.
#[cfg(target_os = "linux")]
const STALLED: Duration = Duration::from_secs(30);
/// How long connections stay open for their last answers once the agent is told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Whether and where the endpoint is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalConfig {
    /// Whether it is.
    pub enabled: bool,
    /// Where.
    pub listen: SocketAddr,
}

/// Takes hold of an address; needs a tokio runtime.
///
/// # Errors
/// The address is in use, or not this host's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Takes connections until `stop`, and then lets those in hand finish.
pub async fn serve(listener: TcpListener, answers: Answers, tasks: TaskGroup, stop: CancellationToken) {
    let answers = Arc::new(answers);
    let ends = stop.clone();
    let serve = |stream, guest| connection(stream, guest, answers.clone(), ends.clone());
    accept::connections(listener, CONNECTIONS, tasks, stop, serve).await;
}

async fn connection(
    stream: TcpStream,
    _guest: Guest,
    answers: Arc<Answers>,
    stop: CancellationToken,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    // The kernel ends a connection whose other end takes nothing: it must not hold its place for ever.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream)
        .set_tcp_user_timeout(Some(STALLED))
        .map_err(|error| error.to_string())?;

    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let answers = answers.clone();
        async move { Ok::<_, std::convert::Infallible>(answers.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(|error| error.to_string()),
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    match tokio::time::timeout(LAST_ANSWERS, connection).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("the other end does not take the last answer".to_owned()),
    }
}
