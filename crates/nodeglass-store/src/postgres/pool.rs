//! Connections to PostgreSQL that are known to be alive when they are lent, and that never hold anybody up for long.
//!
//! `sqlx` has a pool of its own. It waits without a limit for a connection that died in silence to come back, and asks
//! the server for a sign of life before and after each statement, which costs as much as a small query. Here a connection
//! is asked only after it lay idle, within a limit; and whoever stops waiting in the middle of a statement closes it.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError};
use sqlx::{ConnectOptions, Connection, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::error::ACQUIRE_TIMEOUT;

/// A connection that lay idle for less is lent without a question. What comes every second or two needs none.
const FRESH: Duration = Duration::from_secs(3);
/// How long a connection may lie idle: whatever stands between forgets connections that carry nothing.
const LONGEST_IDLE: Duration = Duration::from_mins(10);
/// How long a connection is used: a server's process grows with what it has seen, and a database that moved is followed.
const LONGEST_LIFE: Duration = Duration::from_mins(30);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What lies between us and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Nothing that matters: a connection is a session of the server's.
    Direct,
    /// A pooler such as `PgBouncer`, which may carry each transaction to another session: nothing outlives a transaction.
    Pooler,
}

/// Connections to one database. A clone shares them.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    options: PgConnectOptions,
    route: Route,
    silence: Duration,
    room: Arc<Semaphore>,
    idle: Mutex<Vec<Kept>>,
    /// When the server last showed a sign of life.
    heard: Mutex<Instant>,
}

/// A connection with its history.
struct Kept {
    connection: PgConnection,
    born: Instant,
    used: Instant,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the options: they hold the password.
        let room = self.0.room.available_permits();
        f.debug_struct("Pool")
            .field("route", &self.0.route)
            .field("room", &room)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of at most `size` connections, none of which is opened yet.
    pub(crate) fn new(options: PgConnectOptions, route: Route, size: u32, silence: Duration) -> Self {
        Self(Arc::new(Shared {
            options,
            route,
            silence,
            room: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::default(),
            heard: Mutex::new(Instant::now()),
        }))
    }

    pub(crate) fn route(&self) -> Route {
        self.0.route
    }

    /// Lends a connection.
    pub(crate) async fn acquire(&self) -> Result<Lease, Error> {
        let room = timeout(ACQUIRE_TIMEOUT, self.0.room.clone().acquire_owned());
        let room = room.await.map_err(|_| Error::PoolTimedOut)?;
        let room = room.map_err(|_| Error::PoolClosed)?;
        while let Some(mut kept) = self.take_idle() {
            if kept.used.elapsed() >= FRESH {
                match within(self.0.silence, kept.connection.ping()).await {
                    Ok(()) => self.hear(),
                    Err(error) => {
                        // The others lay there no shorter.
                        self.forget_idle();
                        if is_silence(&error) {
                            return Err(error);
                        }
                        continue;
                    }
                }
            }
            return Ok(self.lease(kept, room));
        }
        let connection = self.connect().await?;
        let now = Instant::now();
        let kept = Kept {
            connection,
            born: now,
            used: now,
        };
        Ok(self.lease(kept, room))
    }

    fn lease(&self, kept: Kept, room: OwnedSemaphorePermit) -> Lease {
        Lease {
            kept,
            pool: self.clone(),
            _room: room,
        }
    }

    async fn connect(&self) -> Result<PgConnection, Error> {
        let connection = within(self.0.silence, self.0.options.connect()).await?;
        self.hear();
        Ok(connection)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last and may still be used.
    fn take_idle(&self) -> Option<Kept> {
        let mut idle = self.idle();
        idle.retain(|kept| kept.used.elapsed() < LONGEST_IDLE && kept.born.elapsed() < LONGEST_LIFE);
        idle.pop()
    }

    fn forget_idle(&self) {
        self.idle().clear();
    }

    fn hear(&self) {
        *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_silent(&self) -> bool {
        let heard = *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.elapsed() >= self.0.silence
    }

    /// Waits for an answer as long as it takes (its caller has a deadline, and so has the server), but no longer than the
    /// server shows that it is there at all.
    pub(crate) async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut answer = std::pin::pin!(answer);
        loop {
            if let Ok(answer) = timeout(self.0.silence, &mut answer).await {
                if answer.is_ok() {
                    self.hear();
                }
                return answer;
            }
            if !self.is_silent() {
                continue;
            }
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                alive = self.seek_sign_of_life() => alive?,
            }
        }
    }

    /// Knocks once more. A server that turns us away is there.
    async fn seek_sign_of_life(&self) -> Result<(), Error> {
        match self.connect().await {
            Ok(connection) => farewell(connection).await,
            Err(Error::Database(_)) => self.hear(),
            Err(error) => {
                self.forget_idle();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Lets go of all connections; none is lent any more.
    pub(crate) async fn close(&self) {
        self.0.room.close();
        let idle = std::mem::take(&mut *self.idle());
        for kept in idle {
            farewell(kept.connection).await;
        }
    }
}

/// A connection that is lent. Dropped, it is closed: nobody knows what is still on its way. See [`Lease::give_back`].
pub(crate) struct Lease {
    kept: Kept,
    pool: Pool,
    _room: OwnedSemaphorePermit,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

impl Lease {
    /// The connection and the pool it is of.
    pub(crate) fn parts(&mut self) -> (&mut PgConnection, &Pool) {
        (&mut self.kept.connection, &self.pool)
    }

    /// Gives a connection back on which nothing is open.
    pub(crate) fn give_back(self) {
        let Self { mut kept, pool, .. } = self;
        if pool.0.room.is_closed() {
            return;
        }
        kept.used = Instant::now();
        pool.idle().push(kept);
    }

    /// Gives it back after an error, unless the connection has suffered from it.
    pub(crate) fn give_back_after(self, error: &Error) {
        if !spoils(error) {
            return self.give_back();
        }
        if matches!(error, Error::Io(_)) {
            // Where one connection broke, the others are hardly better.
            self.pool.forget_idle();
        }
    }
}

/// Whether a connection is of no use after this error.
fn spoils(error: &Error) -> bool {
    /// A prepared statement that no longer fits its tables, or that is not there: kept, it would fail again and again.
    const STALE_STATEMENT: [&str; 3] = ["0A000", "26000", "42P05"];
    match error {
        Error::Database(error) => {
            let stale = error.code().is_some_and(|code| STALE_STATEMENT.contains(&&*code));
            let fatal = error
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|error| !matches!(error.severity(), sqlx::postgres::PgSeverity::Error));
            stale || fatal
        }
        Error::RowNotFound | Error::ColumnDecode { .. } | Error::Decode(_) | Error::Encode(_) => false,
        _ => true,
    }
}

/// Gives something its deadline; [`is_silence`] knows the error.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, call).await.unwrap_or_else(|_| {
        let silence = io::Error::new(io::ErrorKind::TimedOut, "the database shows no sign of life");
        Err(Error::Io(silence))
    })
}

fn is_silence(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

async fn farewell(connection: PgConnection) {
    // Politeness; the server notices in any case.
    let _ = timeout(FAREWELL, connection.close()).await;
}
