//! Places for streams, and the watch over their readers.
//!
//! A stream whose reader does not read is not polled, so it can't end itself: each notes when it gave something, and when
//! it was asked for more. One task looks over all of them and cuts off those who take nothing: of an HTTP/2 connection, on
//! which others may read, the one call, and else the connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::listener::{Call, Connection};

/// How long a reader may take for what it was given. Until then it has whatever its connection buffers, and then the
/// latest. With [`LOOK`], and with what the buffers of its connection take, nobody holds a place for 30 s without reading.
const TAKES: Duration = Duration::from_secs(15);
/// How often the readers are looked over.
const LOOK: Duration = Duration::from_secs(3);

/// All places.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    /// What the readers' times count from.
    began: Instant,
    /// Streams that were opened, for which there was no place, and whose readers were cut off.
    opened: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    readers: Mutex<Readers>,
}

#[derive(Debug, Default)]
struct Readers {
    next: u64,
    open: HashMap<u64, Arc<Reader>>,
}

#[derive(Debug)]
struct Reader {
    /// When it was given what it has not taken yet, in milliseconds and one; 0 while it waits for more.
    given: AtomicU64,
    connection: Option<Connection>,
    call: Option<Call>,
    was_cut: AtomicBool,
}

impl Reader {
    /// Cuts it off, and says whether it was not yet.
    fn cut(&self) -> bool {
        match (&self.call, &self.connection) {
            (Some(call), _) => call.end(),
            (None, Some(connection)) => connection.cut(),
            (None, None) => {}
        }
        !self.was_cut.swap(true, Ordering::Relaxed)
    }
}

/// What became of streams so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// Those that are open.
    pub open: usize,
    /// Those that were opened.
    pub opened: u64,
    /// Those for which there was no place.
    pub refused: u64,
    /// Those whose readers were cut off.
    pub cut: u64,
}

/// A stream's place, free again when it and all that share it are dropped.
#[derive(Debug, Clone)]
pub struct Place(Arc<Held>);

#[derive(Debug)]
struct Held {
    places: Places,
    number: u64,
    reader: Arc<Reader>,
}

impl Places {
    /// So many.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            began: Instant::now(),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            readers: Mutex::default(),
        }))
    }

    /// How many there are.
    pub fn most(&self) -> usize {
        self.0.most
    }

    /// What became of streams so far.
    pub fn books(&self) -> Books {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Books {
            open: self.readers().open.len(),
            opened: read(&self.0.opened),
            refused: read(&self.0.refused),
            cut: read(&self.0.cut),
        }
    }

    /// Takes one for the stream that the call of this task gives on that connection, if it is known; `None` if all are taken.
    pub fn take(&self, connection: Option<Connection>) -> Option<Place> {
        let mut readers = self.readers();
        if readers.open.len() >= self.0.most {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        let reader = Arc::new(Reader {
            given: AtomicU64::new(0),
            connection,
            call: Call::own(),
            was_cut: AtomicBool::new(false),
        });
        let number = readers.next;
        readers.next += 1;
        readers.open.insert(number, reader.clone());
        Some(Place(Arc::new(Held {
            places: self.clone(),
            number,
            reader,
        })))
    }

    /// Cuts readers off who don't read, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => self.cut_stalled(),
                () = stop.cancelled() => {}
            }
        }
    }

    fn cut_stalled(&self) {
        let stalled_before = self.millis().saturating_sub(TAKES.as_millis() as u64);
        for reader in self.readers().open.values() {
            let given = reader.given.load(Ordering::Relaxed);
            if given > 0 && given <= stalled_before && reader.cut() {
                debug!("a reader of a stream does not read, and is cut off");
                self.0.cut.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn millis(&self) -> u64 {
        self.0.began.elapsed().as_millis() as u64 + 1
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The stream gives its reader something.
    pub(super) fn given(&self) {
        let held = &self.0;
        held.reader.given.store(held.places.millis(), Ordering::Relaxed);
    }

    /// The reader has taken what it was given, and waits for more.
    pub(crate) fn taken(&self) {
        self.0.reader.given.store(0, Ordering::Relaxed);
    }

    /// Cuts the reader off, because it does not read.
    pub(crate) fn cut(&self) {
        if self.0.reader.cut() {
            self.0.places.0.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.readers().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off_within_half_a_minute_and_nobody_else() {
        let places = Places::new(3);
        let stop = CancellationToken::new();
        let watching = tokio::spawn(places.clone().watch(stop.clone()));
        let connections = [(); 3].map(|()| Connection::default());
        let [stalled, slow, waiting] = connections
            .clone()
            .map(|connection| places.take(Some(connection)).unwrap());
        assert!(places.take(None).is_none());
        stalled.given();
        for _ in 0..3 {
            slow.given();
            tokio::time::sleep(Duration::from_millis(9_900)).await;
            slow.taken();
        }
        let cut = connections.each_ref().map(Connection::is_cut);
        assert_eq!(cut, [true, false, false]);
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(!connections[2].is_cut(), "nothing came that it could take");
        drop((stalled, slow, waiting));
        assert!(places.take(None).is_some());
        stop.cancel();
        watching.await.unwrap();
    }
}
