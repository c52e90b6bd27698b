//! Attacks on a server on this host, by those who have no token, by readers, and by agents that are enrolled: bounded in number,
//! from loopback addresses of their own, and until a moment that the test sets. Sockets are written to by hand where no
//! client would do what is done here.

pub mod agents;
pub mod http1;
pub mod http2;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long somebody waits before he tries again whose connection was ended.
const AGAIN: Duration = Duration::from_millis(100);

/// Who attacks whom, how long.
#[derive(Debug, Clone)]
pub struct Attack {
    /// The server.
    pub target: SocketAddr,
    /// When it ends.
    pub until: Instant,
    /// A token that may read.
    pub token: String,
    /// One that may push for the agent `pusher`.
    pub writer: String,
    done: Arc<Mutex<BTreeMap<&'static str, Counts>>>,
}

/// Threads of the attackers' own: those who mean well are not to wait for them within this process, but at the server alone.
#[derive(Debug)]
pub struct Field(Option<Runtime>);

impl Default for Field {
    /// Two threads, as the server has.
    fn default() -> Self {
        let mut runtime = Builder::new_multi_thread();
        Self(Some(
            runtime.worker_threads(2).enable_all().build().expect("threads"),
        ))
    }
}

impl Field {
    /// Where tasks are started on it.
    ///
    /// # Panics
    /// Never: it is there until it is dropped.
    pub fn handle(&self) -> &Handle {
        self.0.as_ref().expect("threads").handle()
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// How often something was tried, and how often the server put an end to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Connections, calls, messages or frames.
    pub tried: u64,
    /// Of connections and calls, those that the server refused or ended.
    pub ended: u64,
}

impl Attack {
    /// On the server at an address (`http://127.0.0.1:PORT`), from now on.
    ///
    /// # Panics
    /// It is none.
    pub fn new(url: &str, token: String, writer: String, lasts: Duration) -> Self {
        let (_, target) = url.split_once("://").expect("an address");
        Self {
            target: target.parse().expect("an address"),
            until: Instant::now() + lasts,
            token,
            writer,
            done: Arc::default(),
        }
    }

    /// What was done, by kind.
    pub fn done(&self) -> BTreeMap<&'static str, Counts> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what was done.
    pub fn note(&self, what: &'static str, tried: u64, ended: u64) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = done.entry(what).or_default();
        counts.tried += tried;
        counts.ended += ended;
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Connects from one of the loopback addresses, 127.0.0.NUMBER.
    ///
    /// # Errors
    /// The server does not take the connection.
    pub async fn connect(&self, number: u8) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, number)), 0))?;
        let stream = tokio::time::timeout(Duration::from_secs(5), socket.connect(self.target)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Has so many do something to a connection again and again, each on one of its own, until it is over.
    pub fn repeat<Doing>(
        &self,
        attackers: &mut JoinSet<()>,
        what: &'static str,
        (many, from): (usize, u8),
        act: impl Fn(Self, TcpStream) -> Doing + Clone + Send + Sync + 'static,
    ) where
        Doing: Future<Output = io::Result<()>> + Send + 'static,
    {
        for _ in 0..many {
            let (attack, act) = (self.clone(), act.clone());
            attackers.spawn(async move {
                while !attack.is_over() {
                    let until = attack.until;
                    let once = async {
                        let stream = attack.connect(from).await?;
                        act(attack.clone(), stream).await
                    };
                    // One that is still at it when all is over goes with the others.
                    let ended = tokio::time::timeout_at(until, once).await;
                    attack.note(what, 1, u64::from(matches!(ended, Ok(Err(_)))));
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
    }
}
