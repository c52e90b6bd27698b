//! Taking connections: a bounded number at a time, at a bounded rate, and from one address a bounded number of those whom
//! nobody knows yet.

mod addresses;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::tasks::TaskGroup;
use addresses::Addresses;
pub use addresses::Guest;

/// The pause after a failed accept, which means that open files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How much of a second's connections may be taken at once after a rest.
const AT_ONCE: Duration = Duration::from_millis(200);

/// How many connections are taken. More wait in the kernel's queue, where they cost next to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Open at once.
    pub at_once: usize,
    /// Taken in a second, so that those who come back all together leave time for those who are here.
    pub per_second: u32,
    /// Open at once from one address, of those that have not proved who they are; 0 for any number.
    pub strangers: usize,
}

/// Takes connections until `stop`, within `bounds`, each served by what `serve` makes of it. Those in hand are left to
/// finish in `tasks`.
pub async fn connections<Serving>(
    listener: TcpListener,
    bounds: Bounds,
    tasks: TaskGroup,
    stop: CancellationToken,
    serve: impl Fn(TcpStream, Guest) -> Serving,
) where
    Serving: Future<Output = Result<(), String>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(bounds.at_once));
    let mut turns = Pace::new(bounds.per_second);
    let addresses = Addresses::default();
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
            () = stop.cancelled() => return,
        };
        let accept = async {
            loop {
                let (stream, peer) = listener.accept().await?;
                // One too many from one address takes no turn from others.
                let Some(guest) = addresses.admit(peer.ip(), bounds.strangers) else {
                    debug!(%peer, "too many connections without a token from this address");
                    continue;
                };
                if let Some(until) = turns.next(Instant::now()) {
                    tokio::time::sleep_until(until).await;
                }
                return std::io::Result::Ok((stream, peer, guest));
            }
        };
        let (stream, peer, guest) = tokio::select! {
            accepted = accept => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        // Not an async block, which would hold what serves the connection twice.
        let served = serve(stream, guest).map(move |ended| {
            if let Err(error) = ended {
                debug!(%peer, error, "connection ended");
            }
            drop(place);
        });
        tasks.spawn_transient("connection", served);
    }
}

/// Evenly spaced turns, of which a few may be taken at once after a rest.
#[derive(Debug)]
struct Pace {
    gap: Duration,
    /// When the next turn would be, had all been taken in time.
    due: Instant,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        let gap = Duration::from_secs(1) / per_second.max(1);
        let now = Instant::now();
        Self {
            gap,
            due: now.checked_sub(AT_ONCE).unwrap_or(now),
        }
    }

    /// Takes the next turn; gives when it is, unless it is now.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        // Somebody who always comes late does not save up.
        self.due = self.due.max(now.checked_sub(AT_ONCE).unwrap_or(now));
        let turn = self.due;
        self.due += self.gap;
        (turn > now).then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many connections of many that wait are taken within a while.
    async fn taken_within(bounds: Bounds, waiting: usize, span: Duration) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (sender, mut taken) = tokio::sync::mpsc::unbounded_channel();
        let serve = move |stream: TcpStream, guest: Guest| {
            let sender = sender.clone();
            async move { sender.send((stream, guest)).map_err(|error| error.to_string()) }
        };
        let mut clients = Vec::new();
        for _ in 0..waiting {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        tokio::time::pause();
        let accepting = connections(listener, bounds, TaskGroup::new(), stop, serve);
        let _ = tokio::time::timeout(span, accepting).await;
        let mut count = 0;
        while taken.try_recv().is_ok() {
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn connections_are_taken_at_a_bounded_rate() {
        let bounds = Bounds {
            at_once: 1_000,
            per_second: 20,
            strangers: 0,
        };
        // A fifth of a second's at once, then one in each 50 ms.
        let count = taken_within(bounds, 60, Duration::from_millis(1_020)).await;
        assert!((20..=25).contains(&count), "{count}");
    }

    #[tokio::test]
    async fn one_address_has_so_many_strangers_and_others_are_not_disturbed() {
        let bounds = Bounds {
            at_once: 1_000,
            per_second: 1_000,
            strangers: 7,
        };
        assert_eq!(taken_within(bounds, 60, Duration::from_secs(5)).await, 7);
    }

    #[test]
    fn a_rest_saves_up_no_more_than_a_little() {
        let began = Instant::now();
        let mut turns = Pace::new(100);
        let at = |millis| began + Duration::from_millis(millis);
        let later = at(10_000);
        let at_once = std::iter::repeat_with(|| turns.next(later)).take_while(Option::is_none);
        assert_eq!(at_once.count(), 21);
        assert_eq!(turns.next(later), Some(at(10_020)));
        assert_eq!(turns.next(at(10_500)), None);
    }
}
