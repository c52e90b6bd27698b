//! The one listener: gRPC over HTTP/2, REST and SSE over either, told apart by what the client speaks; with TLS or without.

mod beat;
mod calls;
mod socket;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::TryFutureExt;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use nodeglass_proto::limits::{
    CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_FRAME_BYTES, MAX_HEADER_BYTES,
    STREAM_WINDOW_BYTES,
};
use nodeglass_runtime::accept::{self, Bounds, Guest};
use nodeglass_runtime::tasks::TaskGroup;
use socket2::TcpKeepalive;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::warn;

use beat::Beat;
pub use calls::Call;
use calls::Calls;
pub use socket::Connection;
use socket::Socket;
pub(crate) use wire::Wire;

use crate::tls::Tls;

/// 10,000 agents and their readers, within the usual limit of open files. When they all come at once they are taken within
/// ten seconds, and those who are here already are served meanwhile.
const AT_ONCE: usize = 20_000;
const PER_SECOND: u32 = 1_000;
/// Connections that wait in the kernel until they are taken. More are told nothing, and try again after a second.
const BACKLOG: u32 = 4_096;
/// What the kernel holds at most of what it has not yet sent on a connection: what a reader who does not read costs.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 << 10;
/// Streams on one HTTP/2 connection: an agent needs one, a program a few.
const MAX_STREAMS: u32 = 100;
/// How long a connection may take to its first call.
const FIRST_CALL: Duration = Duration::from_secs(10);
/// How long an HTTP/1 connection may take to each later one. Longer than clients keep theirs, which is 90 s in many: one that
/// is closed by us may be in use again at that moment, and its call fails.
const NEXT_CALL: Duration = Duration::from_mins(2);
/// What is read of an HTTP/1 connection at once, and so the largest head of a call.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// What one HTTP/2 stream buffers for a slow reader.
const MAX_SEND_BUFFER_BYTES: usize = 256 << 10;
/// Streams that a client may open and reset before it is cut off (the rapid-reset attack).
const MAX_RESETS: usize = 100;
/// How long data may wait for the other end to take it.
#[cfg(target_os = "linux")]
const STALLED: Duration = Duration::from_secs(30);
/// How often the kernel asks again whether a host is still there that was silent for [`KEEPALIVE_INTERVAL`], until it is
/// [`STALLED`].
#[cfg(target_os = "linux")]
const PROBES: Duration = Duration::from_secs(5);
/// How often a program is asked whether it is still there (HTTP/2 PING) whose host is. Seldom: it wakes us for each of thousands.
const PINGS: Duration = Duration::from_mins(1);
/// How long connections stay open for their last answers once the server is told to stop. Sessions take up to 3 s.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Takes connections until `stop`, and then lets those in hand finish. From one address so many are taken, at most, that have
/// shown no token yet; 0 for any number.
///
/// # Errors
/// The system has no room for what tells of many agents' connections together.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<Tls>>,
    strangers: usize,
    tasks: TaskGroup,
    stop: CancellationToken,
) -> io::Result<()> {
    let (ends, beat) = (stop.clone(), Arc::new(Beat::new()?));
    tasks.spawn("beat", beat.clone().run(stop.clone()).err_into());
    let serve = |stream, guest| {
        let service = (router.clone(), beat.clone());
        // Of its own, because each time that it is looked at takes its lock.
        connection(stream, guest, service, tls.clone(), ends.child_token())
    };
    let bounds = Bounds {
        at_once: AT_ONCE,
        per_second: PER_SECOND,
        strangers,
    };
    accept::connections(listener, bounds, tasks, stop, serve).await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    guest: Guest,
    (router, beat): (Router, Arc<Beat>),
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) -> Result<(), String> {
    let peer = stream.peer_addr().map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    // The kernel ends a connection whose other end takes nothing: a stalled reader must not hold its stream for ever.
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(&stream);
        let alive = TcpKeepalive::new()
            .with_time(KEEPALIVE_INTERVAL)
            .with_interval(PROBES);
        let set = socket.set_tcp_user_timeout(Some(STALLED));
        set.and_then(|()| socket.set_tcp_keepalive(&alive))
            .and_then(|()| socket.set_tcp_notsent_lowat(UNSENT_BYTES))
            .map_err(|error| error.to_string())?;
    }

    let (stream, agent_key) = match &tls {
        // In a box of its own: what a handshake needs is not kept for as long as the connection.
        Some(tls) => tokio::select! {
            shaken = Box::pin(tls.accept(stream)) => {
                let (stream, key) = shaken?;
                (Either::Right(stream), key)
            }
            () = stop.cancelled() => return Ok(()),
        },
        None => (Either::Left(stream.into()), None),
    };

    let handle = Connection::new(Some(peer), agent_key, guest, beat);
    let calls = handle.clone();
    let service = router.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        calls.speak();
        request.extensions_mut().insert(calls.clone());
        request
    });
    let builder = builder();
    let socket = TokioIo::new(Socket::new(stream, handle.clone()));
    let connection = builder.serve_connection_with_upgrades(socket, TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let silence = async {
        tokio::time::sleep(FIRST_CALL).await;
        if handle.has_spoken() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(|error| error.to_string()),
        () = silence => return Err("nothing was asked".to_owned()),
        () = handle.until_cut() => return Err("cut: the other end is gone, or does not read".to_owned()),
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    match tokio::time::timeout(LAST_ANSWERS, connection).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("the other end does not take the last answers".to_owned()),
    }
}

fn builder() -> Builder<Calls> {
    let mut builder = Builder::new(Calls);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_CALL)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PINGS)
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
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A server that starts again takes its address back from connections that are not quite gone.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| io::Error::new(error.kind(), format!("can't listen on {address}: {error}")))
}

/// Lets this process have as many open files, and so connections, as the system allows it.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )
    {
        warn!(%error, ?current, "the number of connections stays limited by the limit of open files");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net;

    use super::*;

    /// Asks on a connection: the stream and the whole answer, which is none if it was closed. No time passes meanwhile, because
    /// a thread is waited for.
    async fn ask(mut stream: net::TcpStream) -> (net::TcpStream, String) {
        let asking = move || {
            let mut answer = Vec::new();
            if stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").is_ok() {
                let mut bytes = [0; 1024];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    answer.extend_from_slice(&bytes[..read]);
                    if answer.ends_with(b"whole") {
                        break;
                    }
                }
            }
            (stream, String::from_utf8(answer).unwrap())
        };
        tokio::task::spawn_blocking(asking).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_for_longer_than_clients_keep_theirs() {
        let (tasks, stop) = (TaskGroup::new(), CancellationToken::new());
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(async || "whole");
        let serving = tokio::spawn(serve(listener, router, None, 0, tasks, stop.clone()));
        let stream = net::TcpStream::connect(address).unwrap();
        let (stream, first) = ask(stream).await;
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        tokio::time::advance(Duration::from_secs(91)).await;
        let (stream, second) = ask(stream).await;
        assert!(second.starts_with("HTTP/1.1 200"), "it is still there: {second}");
        tokio::time::advance(NEXT_CALL + Duration::from_secs(1)).await;
        let (_, third) = ask(stream).await;
        assert_eq!(third, "", "it is not kept for ever");
        stop.cancel();
        serving.await.unwrap().unwrap();
    }
}
