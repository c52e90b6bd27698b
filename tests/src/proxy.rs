//! A proxy between agents and a server that spoils their connections as it is told.
//!
//! TCP itself hides lost and doubled packets, so those can't be played here; what programs see of a bad network is played:
//! connections that end, with and without notice, bytes that come late or in pieces, and connections that stay open and
//! carry nothing any more.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::chance::Chance;

/// What the proxy does to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing: it passes everything on.
    Calm,
    /// Each new connection gets a random [`Fault`] at a random byte.
    Storm,
    /// Nothing passes in either direction; connections stay as they are, and new ones are taken.
    Silence,
}

/// What happens to one direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The whole connection ends at once, amid whatever was on its way.
    Drop,
    /// The connection is reset: what was sent and not read is lost.
    Reset,
    /// Every piece comes late.
    Delay,
    /// This direction carries nothing any more; the other goes on.
    Stall,
    /// This direction is closed; the other goes on.
    HalfClose,
}

const FAULTS: [Fault; 5] = [
    Fault::Drop,
    Fault::Reset,
    Fault::Delay,
    Fault::Stall,
    Fault::HalfClose,
];
/// The latest byte at which a fault strikes, up and down: a greeting with what the host is takes some thousands, an
/// acknowledgement some tens.
const LATEST_BYTE: (u64, u64) = (4_000, 300);
/// The longest that a piece is held back.
const LONGEST_DELAY_MS: u64 = 150;
/// How long a connection stays in a storm that was stalled or half-closed and that nobody gave up.
const STALLED: Duration = Duration::from_secs(2);

/// The proxy, gone when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it is reached: `http://127.0.0.1:PORT`.
    pub url: String,
    weather: watch::Sender<Weather>,
    shared: Arc<Shared>,
    /// Aborted when they are dropped.
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    chance: Mutex<Chance>,
    struck: [AtomicU64; FAULTS.len()],
    accepted: AtomicU64,
    /// What passed in either direction, if it is recorded.
    recorded: Option<Mutex<Vec<u8>>>,
}

impl Shared {
    fn draw<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one direction of a connection has before it.
#[derive(Debug, Clone, Copy)]
struct Fate {
    fault: Fault,
    at: u64,
}

impl Proxy {
    /// Starts one before a server (`http://host:port` or `https://host:port`, whose TLS passes through).
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start(server: &str, chance: Chance) -> Self {
        Self::start_with(server, chance, None).await
    }

    /// The same, which records what passes.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn recording(server: &str, chance: Chance) -> Self {
        Self::start_with(server, chance, Some(Mutex::default())).await
    }

    async fn start_with(server: &str, chance: Chance, recorded: Option<Mutex<Vec<u8>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let (_, target) = server.split_once("://").expect("an address");
        let target = target.to_owned();
        let (weather, current) = watch::channel(Weather::Calm);
        let shared = Arc::new(Shared {
            chance: Mutex::new(chance),
            struck: Default::default(),
            accepted: AtomicU64::new(0),
            recorded,
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, current, shared.clone()));
        Self {
            url,
            weather,
            shared,
            _accepting: accepting,
        }
    }

    /// A server's address by way of this proxy.
    ///
    /// # Panics
    /// It is none.
    pub fn redirect(&self, server: &str) -> String {
        let (scheme, _) = server.split_once("://").expect("an address");
        format!("{scheme}://{}", self.url.trim_start_matches("http://"))
    }

    /// Changes the weather. Calm ends what the storm still holds, and lets pass what silence held back.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// What passed in both directions so far, piece by piece.
    ///
    /// # Panics
    /// It is not recorded.
    pub fn recorded(&self) -> Vec<u8> {
        let recorded = self.shared.recorded.as_ref().expect("a recording proxy");
        recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were opened.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How often a fault has struck.
    pub fn struck(&self, fault: Fault) -> u64 {
        self.shared.struck[fault as usize].load(Ordering::Relaxed)
    }

    /// All faults with how often each has struck.
    pub fn all_struck(&self) -> [(Fault, u64); FAULTS.len()] {
        FAULTS.map(|fault| (fault, self.struck(fault)))
    }
}

async fn accept(
    listener: TcpListener,
    target: String,
    weather: watch::Receiver<Weather>,
    shared: Arc<Shared>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((agent, _)) = accepted else { continue };
                shared.accepted.fetch_add(1, Ordering::Relaxed);
                let (target, weather, shared) = (target.clone(), weather.clone(), shared.clone());
                connections.spawn(async move {
                    // A server that is away is one more thing that goes wrong.
                    if let Ok(server) = TcpStream::connect(target).await {
                        pass_on(agent, server, weather, &shared).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries both directions until one of them ends the connection.
async fn pass_on(agent: TcpStream, server: TcpStream, weather: watch::Receiver<Weather>, shared: &Shared) {
    let _ = (agent.set_nodelay(true), server.set_nodelay(true));
    let in_storm = *weather.borrow() == Weather::Storm;
    let upwards = shared.draw(|chance| chance.below(2) == 0);
    let latest = if upwards { LATEST_BYTE.0 } else { LATEST_BYTE.1 };
    let fate = in_storm.then(|| {
        shared.draw(|chance| Fate {
            fault: FAULTS[chance.below(FAULTS.len() as u64) as usize],
            at: chance.below(latest),
        })
    });
    let (from_agent, to_agent) = agent.into_split();
    let (from_server, to_server) = server.into_split();
    let up = carry(
        from_agent,
        to_server,
        fate.filter(|_| upwards),
        weather.clone(),
        shared,
    );
    let down = carry(from_server, to_agent, fate.filter(|_| !upwards), weather, shared);
    tokio::pin!(up, down);
    let (mut up_open, mut down_open) = (true, true);
    while up_open || down_open {
        // Each direction gives back its ends, which are held until the connection is over.
        let (ended, end) = tokio::select! {
            end = &mut up, if up_open => { up_open = false; end }
            end = &mut down, if down_open => { down_open = false; end }
        };
        match end {
            End::Closed => {
                let mut to = ended.1;
                let _ = to.shutdown().await;
            }
            End::Dropped => return,
            End::Reset => {
                for stream in [ended.0.as_ref(), ended.1.as_ref()] {
                    let _ = stream.set_zero_linger();
                }
                return;
            }
        }
    }
}

/// How one direction ended.
enum End {
    /// In order, or half-closed by a fault: the other may go on.
    Closed,
    /// For both.
    Dropped,
    /// For both, by a reset.
    Reset,
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fate: Option<Fate>,
    mut weather: watch::Receiver<Weather>,
    shared: &Shared,
) -> ((OwnedReadHalf, OwnedWriteHalf), End) {
    let end = carry_on(&mut from, &mut to, fate, &mut weather, shared).await;
    ((from, to), end.unwrap_or(End::Dropped))
}

async fn carry_on(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut fate: Option<Fate>,
    weather: &mut watch::Receiver<Weather>,
    shared: &Shared,
) -> io::Result<End> {
    let mut carried = 0_u64;
    let mut buffer = vec![0; 4096];
    let mut delayed = false;
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(End::Closed);
        }
        let _ = weather.wait_for(|weather| *weather != Weather::Silence).await;
        let is_calm = *weather.borrow() == Weather::Calm;
        let mut piece = &buffer[..read];
        if let Some(recorded) = &shared.recorded {
            let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
            recorded.extend_from_slice(piece);
        }
        if let Some(Fate { fault, at }) = fate.filter(|fate| !is_calm && carried + read as u64 > fate.at) {
            shared.struck[fault as usize].fetch_add(1, Ordering::Relaxed);
            fate = None;
            // What lies before the byte still passes, so that messages are cut anywhere.
            let (before, after) = piece.split_at(at.saturating_sub(carried).min(read as u64) as usize);
            to.write_all(before).await?;
            carried += before.len() as u64;
            piece = after;
            match fault {
                Fault::Drop => return Ok(End::Dropped),
                Fault::Reset => return Ok(End::Reset),
                Fault::HalfClose => {
                    to.shutdown().await?;
                    hold(weather).await;
                    return Ok(End::Dropped);
                }
                Fault::Stall => {
                    hold(weather).await;
                    return Ok(End::Dropped);
                }
                Fault::Delay => delayed = true,
            }
        }
        if delayed && !is_calm {
            tokio::time::sleep(shared.draw(|chance| chance.millis(LONGEST_DELAY_MS))).await;
        }
        to.write_all(piece).await?;
        carried += piece.len() as u64;
    }
}

/// Holds a connection that carries nothing in this direction, until calm comes or a while is over.
async fn hold(weather: &mut watch::Receiver<Weather>) {
    let calm = weather.wait_for(|weather| *weather == Weather::Calm);
    let _ = tokio::time::timeout(STALLED, calm).await;
}
