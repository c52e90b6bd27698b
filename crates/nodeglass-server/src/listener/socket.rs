//! One connection as the rest of the server knows it: it can be cut from outside, whatever it waits for.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use nodeglass_runtime::accept::Guest;
use nodeglass_runtime::tls::key::PublicKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::beat::Beat;
use super::wire::Wire;

/// What somebody may send without a token, at once and in a second after that: some hundred calls, or the greeting of an
/// agent. A flood of frames that cost little to send and something to answer ends up here.
const STRANGER_BYTES: usize = 256 << 10;
const STRANGER_BYTES_PER_SEC: usize = 64 << 10;
/// How long somebody waits who has sent too much.
const STRANGER_PAUSE: Duration = Duration::from_millis(100);

/// A handle to a connection. It travels with each of its calls, in the request's extensions.
#[derive(Debug, Clone, Default)]
pub struct Connection(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Calls that came so far.
    calls: AtomicU64,
    is_cut: AtomicBool,
    cut: Notify,
    /// Whoever is at the other end has shown a token or a certificate.
    is_known: AtomicBool,
    /// Whether an agent is at the other end.
    is_agents: AtomicBool,
    /// Whether somebody looks at that agent now.
    is_looked_at: AtomicBool,
    /// By which agents are read.
    beat: Option<Arc<Beat>>,
    guest: Option<Guest>,
    /// Of the other end.
    address: Option<SocketAddr>,
    /// For which the other end showed a certificate.
    agent_key: Option<PublicKey>,
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(beat) = self.beat.as_ref().filter(|_| *self.is_agents.get_mut()) {
            beat.leave();
        }
    }
}

impl Connection {
    /// A connection with the other end at `address`, which showed an agent's certificate for `agent_key` or is counted among
    /// those whom nobody knows.
    pub(super) fn new(
        address: Option<SocketAddr>,
        agent_key: Option<PublicKey>,
        guest: Guest,
        beat: Arc<Beat>,
    ) -> Self {
        Self(Arc::new(State {
            address,
            agent_key,
            guest: Some(guest),
            beat: Some(beat),
            calls: AtomicU64::default(),
            is_cut: AtomicBool::default(),
            cut: Notify::default(),
            is_known: AtomicBool::default(),
            is_agents: AtomicBool::default(),
            is_looked_at: AtomicBool::default(),
        }))
    }

    /// Says that whoever is at the other end has proved who it is: it is read as fast as it sends, and is no longer counted
    /// among the strangers of its address.
    pub fn vouch(&self) {
        if !self.0.is_known.swap(true, Ordering::Relaxed)
            && let Some(guest) = &self.0.guest
        {
            guest.is_known();
        }
    }

    /// Says that an agent has opened a session: what it sends may wait a moment for what others send.
    pub fn belongs_to_agent(&self) {
        if let Some(beat) = &self.0.beat
            && !self.0.is_agents.swap(true, Ordering::Relaxed)
        {
            beat.enter();
        }
    }

    /// Says whether somebody looks at that agent, who sees what it sends at once.
    pub fn set_looked_at(&self, is_looked_at: bool) {
        self.0.is_looked_at.store(is_looked_at, Ordering::Relaxed);
    }

    /// By what it is read, if nobody minds that it is not read at once: an agent's alone, among many.
    fn patient(&self) -> Option<&Arc<Beat>> {
        let is_agents =
            self.0.is_agents.load(Ordering::Relaxed) && !self.0.is_looked_at.load(Ordering::Relaxed);
        let is_alone = || self.0.calls.load(Ordering::Relaxed) <= 1;
        let beat = self.0.beat.as_ref().filter(|beat| is_agents && beat.is_on());
        beat.filter(|_| is_alone())
    }

    fn is_known(&self) -> bool {
        self.0.is_known.load(Ordering::Relaxed)
    }

    /// The address of the other end, which may be a proxy's.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// The same without its port.
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.address.map(|address| address.ip())
    }

    /// The key of the agent at the other end, if it showed a certificate of this server's CA which held at that time.
    pub fn agent_key(&self) -> Option<PublicKey> {
        self.0.agent_key
    }

    /// Ends the connection at once, with all that is on its way: for one whose other end is dead or does not read.
    pub fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Relaxed);
        self.0.cut.notify_one();
    }

    /// Ends the connection at once if it never carried but one call. One on which many came may be a proxy's, with the
    /// calls of others; keepalive finds it if it is dead.
    pub fn cut_if_alone(&self) {
        if self.0.calls.load(Ordering::Relaxed) <= 1 {
            self.cut();
        }
    }

    /// Whether it was cut.
    pub fn is_cut(&self) -> bool {
        self.0.is_cut.load(Ordering::Relaxed)
    }

    /// Waits until it is cut. Only the connection itself does.
    pub(super) async fn until_cut(&self) {
        self.0.cut.notified().await;
    }

    /// Notes that something was asked.
    pub(super) fn speak(&self) {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether anything was asked.
    pub(super) fn has_spoken(&self) -> bool {
        self.0.calls.load(Ordering::Relaxed) > 0
    }
}

/// Bytes as they are, or within TLS.
pub(super) type Stream = Either<Wire, TlsStream<Wire>>;

fn wire_of(stream: &mut Stream) -> &mut Wire {
    match stream {
        Either::Left(plain) => plain,
        Either::Right(tls) => tls.get_mut().0,
    }
}

/// The connection's socket. Cut, it leaves nothing in the kernel's buffers for an end that will never take it.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    connection: Connection,
    /// What a stranger may still send before it has to wait, and when that was worked out.
    allowance: (usize, Instant),
    /// Made when a stranger has to wait.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: Stream, connection: Connection) -> Self {
        Self {
            stream,
            connection,
            allowance: (STRANGER_BYTES, Instant::now()),
            pause: None,
        }
    }

    /// How much a stranger may send now; it waits for its turn if that is nothing.
    fn poll_allowance(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            let (left, since) = &mut self.allowance;
            let now = Instant::now();
            let earned =
                now.saturating_duration_since(*since).as_millis() as usize * STRANGER_BYTES_PER_SEC / 1000;
            if earned > 0 {
                (*left, *since) = (left.saturating_add(earned).min(STRANGER_BYTES), now);
            }
            if *left > 0 {
                return Poll::Ready(*left);
            }
            self.pause = Some(Box::pin(tokio::time::sleep(STRANGER_PAUSE)));
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.connection.is_cut() {
            wire_of(&mut self.stream).abandon();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.connection.is_known() {
            self.pause = None;
            let Self {
                stream, connection, ..
            } = &mut *self;
            wire_of(stream).settle(connection.patient(), context)?;
            return Pin::new(stream).poll_read(context, buffer);
        }
        let most = std::task::ready!(self.poll_allowance(context)).min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        self.allowance.0 -= read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
