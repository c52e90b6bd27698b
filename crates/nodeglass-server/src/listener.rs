//! The one listener: gRPC over HTTP/2, REST and SSE over either, told apart by what the client speaks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use nodeglass_proto::limits::{
    CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_FRAME_BYTES, MAX_HEADER_BYTES,
    STREAM_WINDOW_BYTES,
};
use nodeglass_runtime::tasks::TaskGroup;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Connections at once: 10,000 agents and their readers, within the usual limit of open files.
const MAX_CONNECTIONS: usize = 20_000;
/// Streams on one HTTP/2 connection: an agent needs one, a program a few.
const MAX_STREAMS: u32 = 100;
/// How long the headers of an HTTP/1 call may take to come.
const HEADERS: Duration = Duration::from_secs(10);
/// Headers in one HTTP/1 call.
const MAX_HEADERS: usize = 64;
/// What is read of an HTTP/1 connection at once, and so the largest head of a call.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// What one HTTP/2 stream buffers for a slow reader.
const MAX_SEND_BUFFER_BYTES: usize = 256 << 10;
/// Streams that a client may open and reset before it is cut off (the rapid-reset attack).
const MAX_RESETS: usize = 100;
/// The pause after a failed accept, which means that open files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until `stop`, and then lets those in hand finish.
pub async fn serve(listener: TcpListener, router: Router, tasks: TaskGroup, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
            () = stop.cancelled() => return,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        let (router, stop) = (router.clone(), stop.clone());
        tasks.spawn_transient("connection", async move {
            if let Err(error) = connection(stream, router, stop).await {
                debug!(%peer, error, "connection ended");
            }
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let builder = builder();
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended.map_err(|error| error.to_string()),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await.map_err(|error| error.to_string())
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .adaptive_window(false);
    builder
}

/// Takes hold of an address.
///
/// # Errors
/// The address is in use, or not this host's; the message says which it was.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("can't listen on {address}: {error}")))
}
