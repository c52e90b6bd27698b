//! A connection to the system bus, or to systemd itself: authentication, and one call after the other.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::Units;
use super::wire::{Call, ERROR, FIXED, METHOD_RETURN, message_length, parse_message, parse_units};
use crate::linux::host_root::HostRoot;
use crate::linux::proc_file::is_absence;

/// Where the bus listens; and systemd itself, to root only and also where there is no bus.
const SYSTEM_BUS: &str = "run/dbus/system_bus_socket";
const PRIVATE: &str = "run/systemd/private";

/// A host with ten thousand units answers with about three megabytes.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What comes before the answer: that the name was acquired, and whatever is broadcast.
const MOST_MESSAGES: usize = 64;

/// A line of the authentication is shorter.
const LONGEST_LINE: usize = 512;

/// Who we are is what the socket says, so nothing is claimed.
const AUTHENTICATE: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\n";
const BEGIN: &[u8] = b"BEGIN\r\n";

const HELLO: Call = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
};

const LIST_UNITS: Call = Call {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "ListUnits",
};

/// Why systemd did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    #[error("systemd can't be asked over D-Bus: {0}")]
    Io(#[from] io::Error),
    #[error("the bus does not let us in")]
    Refused,
    #[error("systemd refuses to list its units: {0}")]
    Error(String),
    #[error("what came over D-Bus is no answer")]
    Broken,
    #[error("the list of units is longer than {MOST_BYTES} bytes")]
    TooLong,
}

/// An open connection.
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
}

impl Bus {
    /// Connects to the first that lets us; `None` if there is nobody.
    pub(super) fn connect(root: &HostRoot, until: Instant) -> Result<Option<Self>, BusError> {
        for (path, is_bus) in [(SYSTEM_BUS, true), (PRIVATE, false)] {
            let stream = match UnixStream::connect(root.path(path)) {
                Ok(stream) => stream,
                Err(error) if is_absence(&error) || error.kind() == io::ErrorKind::ConnectionRefused => {
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let mut bus = Self { stream, serial: 0 };
            bus.authenticate(until)?;
            if is_bus {
                bus.call(HELLO, until)?;
            }
            return Ok(Some(bus));
        }
        Ok(None)
    }

    /// Asks for the units.
    pub(super) fn list_units(&mut self, until: Instant) -> Result<Units, BusError> {
        let answer = self.call(LIST_UNITS, until)?;
        let message = parse_message(&answer).ok_or(BusError::Broken)?;
        parse_units(&message).ok_or(BusError::Broken)
    }

    /// One byte at a time, since what comes after the line is not ours to read yet.
    fn authenticate(&mut self, until: Instant) -> Result<(), BusError> {
        self.send(AUTHENTICATE, until)?;
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                if line.len() == LONGEST_LINE {
                    return Err(BusError::Broken);
                }
                let mut byte = [0];
                self.receive(&mut byte, until)?;
                line.push(byte[0]);
            }
            if line.starts_with(b"OK ") {
                return self.send(BEGIN, until);
            } else if !line.starts_with(b"DATA") {
                return Err(BusError::Refused);
            }
        }
    }

    /// The message that answers a call.
    fn call(&mut self, call: Call, until: Instant) -> Result<Vec<u8>, BusError> {
        self.serial = self.serial.wrapping_add(1).max(1);
        self.send(&call.encode(self.serial), until)?;
        for _ in 0..MOST_MESSAGES {
            let bytes = self.receive_message(until)?;
            let message = parse_message(&bytes).ok_or(BusError::Broken)?;
            if message.reply_to != Some(self.serial) {
                continue;
            }
            match message.kind {
                METHOD_RETURN => return Ok(bytes),
                ERROR => {
                    return Err(BusError::Error(
                        message.error_name.unwrap_or("no reason").to_owned(),
                    ));
                }
                _ => {}
            }
        }
        Err(BusError::Broken)
    }

    fn receive_message(&mut self, until: Instant) -> Result<Vec<u8>, BusError> {
        let mut fixed = [0; FIXED];
        self.receive(&mut fixed, until)?;
        let length = message_length(&fixed).ok_or(BusError::Broken)?;
        if length > MOST_BYTES {
            return Err(BusError::TooLong);
        }
        let mut bytes = vec![0; length];
        bytes[..FIXED].copy_from_slice(&fixed);
        self.receive(&mut bytes[FIXED..], until)?;
        Ok(bytes)
    }

    fn send(&mut self, bytes: &[u8], until: Instant) -> Result<(), BusError> {
        self.stream.set_write_timeout(Some(left(until)?))?;
        Ok(self.stream.write_all(bytes)?)
    }

    /// Fills the buffer, by the deadline also if bytes trickle in.
    fn receive(&mut self, mut buffer: &mut [u8], until: Instant) -> Result<(), BusError> {
        while !buffer.is_empty() {
            self.stream.set_read_timeout(Some(left(until)?))?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(length) => buffer = &mut buffer[length..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The time that is left; an error where none is.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}
