//! Has many agents' connections read together. Each that sends now and then wakes a thread and finds the processor's caches
//! cold; those that are read one after the other wake one for all of them, and share what the first has fetched.
//!
//! As long as there are many agents, what has come on their connections waits in the kernel for the next beat, and wakes
//! nobody. Calls of people and programs never wait.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long what an agent sent may wait. Nobody looks on; agents that are looked at are read at once.
const LONGEST: Duration = Duration::from_millis(250);
/// Short enough that what all agents of a large server send comes in parts.
const SHORTEST: Duration = Duration::from_millis(20);
/// So many are to be read together: enough that they share what each needs, and few enough that a call between them does not
/// wait long.
const TOGETHER: usize = 50;
/// From so many agents on there are several messages in a beat.
const MANY: usize = 200;
/// Connections of which the kernel tells at once.
const AT_ONCE: usize = 256;

/// Who is read at the next beat.
#[derive(Debug)]
pub(super) struct Beat {
    agents: AtomicUsize,
    is_on: AtomicBool,
    /// Has come to be, or to be no more.
    many: Notify,
    seats: Mutex<Seats>,
}

#[derive(Debug)]
struct Seats {
    poll: mio::Poll,
    ears: HashMap<Token, Arc<Ear>>,
    next: usize,
}

impl Beat {
    /// One for no agents yet.
    ///
    /// # Errors
    /// The system has no more of what tells which connections have something to read.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            agents: AtomicUsize::new(0),
            is_on: AtomicBool::new(false),
            many: Notify::new(),
            seats: Mutex::new(Seats {
                poll: mio::Poll::new()?,
                ears: HashMap::new(),
                next: 0,
            }),
        })
    }

    /// Counts one more agent's connection, until [`Beat::leave`].
    pub(super) fn enter(&self) {
        if self.agents.fetch_add(1, Ordering::Relaxed) + 1 >= MANY {
            self.many.notify_one();
        }
    }

    pub(super) fn leave(&self) {
        self.agents.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether agents wait for each other at all.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Beats until `stop` while there are many agents.
    ///
    /// # Errors
    /// The system does not tell which connections have something to read.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) -> io::Result<()> {
        let mut events = Events::with_capacity(AT_ONCE);
        while !stop.is_cancelled() {
            tokio::select! {
                () = self.many.notified() => {}
                () = stop.cancelled() => break,
            }
            self.is_on.store(true, Ordering::Relaxed);
            let mut beat = SHORTEST;
            while self.agents.load(Ordering::Relaxed) >= MANY && !stop.is_cancelled() {
                tokio::select! {
                    () = tokio::time::sleep(beat) => beat = next(beat, self.turn(&mut events)?),
                    () = stop.cancelled() => {}
                }
            }
            self.dismiss();
        }
        Ok(())
    }

    /// Lets all read on whose connections something has come; says how many they are.
    fn turn(&self, events: &mut Events) -> io::Result<usize> {
        let mut seats = self.seats();
        let mut all = 0;
        loop {
            match seats.poll.poll(events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                told => told?,
            }
            let mut told = 0;
            for event in &*events {
                told += 1;
                if let Some(ear) = seats.ears.get(&event.token()) {
                    ear.hear(event);
                }
            }
            all += told;
            if told < AT_ONCE {
                return Ok(all);
            }
        }
    }

    /// Has all look for themselves from now on.
    fn dismiss(&self) {
        let seats = self.seats();
        self.is_on.store(false, Ordering::Relaxed);
        for ear in seats.ears.values() {
            ear.is_readable.store(true, Ordering::Release);
            ear.reader.wake();
            ear.writer.wake();
        }
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to the next beat, when `told` came within one of `beat`.
fn next(beat: Duration, told: usize) -> Duration {
    let wanted = beat.mul_f64(TOGETHER as f64 / told.max(1) as f64);
    wanted.clamp(beat / 2, beat * 2).clamp(SHORTEST, LONGEST)
}

/// What the kernel told of a connection, and who wants to know.
#[derive(Debug)]
struct Ear {
    is_readable: AtomicBool,
    /// The other end has said all it will; nothing more is told.
    is_over: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Ear {
    fn hear(&self, event: &Event) {
        let is_over = event.is_read_closed() || event.is_write_closed() || event.is_error();
        if is_over {
            self.is_over.store(true, Ordering::Release);
        }
        if is_over || event.is_readable() {
            self.is_readable.store(true, Ordering::Release);
            self.reader.wake();
        }
        if is_over || event.is_writable() {
            self.writer.wake();
        }
    }
}

/// A connection that is read at the beat.
#[derive(Debug)]
pub(super) struct Seat {
    stream: TcpStream,
    token: Token,
    ear: Arc<Ear>,
    beat: Arc<Beat>,
}

impl Seat {
    /// For a connection that does not block; `None` if there are no longer many.
    pub(super) fn take(beat: &Arc<Beat>, stream: TcpStream) -> io::Result<Option<Self>> {
        // Something may have come before there was anybody to tell.
        let ear = Arc::new(Ear {
            is_readable: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        });
        let mut seats = beat.seats();
        if !beat.is_on() {
            return Ok(None);
        }
        let token = Token(seats.next);
        seats.next = seats.next.wrapping_add(1);
        let both = Interest::READABLE | Interest::WRITABLE;
        let socket = stream.as_raw_fd();
        seats
            .poll
            .registry()
            .register(&mut SourceFd(&socket), token, both)?;
        seats.ears.insert(token, ear.clone());
        drop(seats);
        Ok(Some(Self {
            stream,
            token,
            ear,
            beat: beat.clone(),
        }))
    }

    /// The connection, for whoever reads it at once when the seat is given up.
    pub(super) fn stream(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// The connection's settings.
    pub(super) fn settings(&self) -> SockRef<'_> {
        SockRef::from(&self.stream)
    }

    pub(super) fn poll_read(&self, context: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let ear = &self.ear;
        loop {
            if !ear.is_readable.swap(false, Ordering::AcqRel) {
                ear.reader.register(context.waker());
                if !ear.is_readable.swap(false, Ordering::AcqRel) {
                    return Poll::Pending;
                }
            }
            let room = buffer.remaining();
            match (&self.stream).read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    // The kernel tells of what comes from now on, and not of what it has already.
                    if read == room || ear.is_over.load(Ordering::Acquire) {
                        ear.is_readable.store(true, Ordering::Release);
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    ear.is_readable.store(true, Ordering::Release);
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes with `write`, or is told at the beat after there is room.
    fn poll_write(
        &self,
        context: &Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut is_told = false;
        loop {
            match write(&self.stream) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if is_told {
                        return Poll::Pending;
                    }
                    // There may be room again before it is known who waits for it.
                    self.ear.writer.register(context.waker());
                    is_told = true;
                }
                written => return Poll::Ready(written),
            }
        }
    }

    pub(super) fn poll_write_bytes(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write(context, |mut stream| stream.write(bytes))
    }

    pub(super) fn poll_write_vectored(
        &self,
        context: &Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(context, |mut stream| stream.write_vectored(parts))
    }

    pub(super) fn shutdown(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.beat.seats();
        // It can only fail for one that is not there.
        let _ = seats
            .poll
            .registry()
            .deregister(&mut SourceFd(&self.stream.as_raw_fd()));
        seats.ears.remove(&self.token);
    }
}

#[cfg(test)]
mod tests;
