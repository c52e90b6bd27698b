//! One question to an HTTP server on a Unix socket, within a time and a size.
//!
//! The clients that are well kept either need an asynchronous runtime or have no stable way to a Unix socket; a GET
//! whose connection is closed after it needs neither.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A thousand containers with all their labels and mounts.
const MOST_BODY_BYTES: usize = 8 << 20;
/// Status line and headers.
const MOST_HEAD_BYTES: u64 = 64 << 10;
const MOST_HEADERS: usize = 64;
/// The line before each chunk: its size, and extensions that nobody uses.
const MOST_CHUNK_LINE_BYTES: u64 = 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The socket is absent, refuses, or did not answer in time.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server answered, but not with what was asked for.
    #[error("it answered with status {0}")]
    Status(u16),
    /// What came is no HTTP, or breaks off.
    #[error("its answer is no HTTP: {0}")]
    Malformed(&'static str),
    /// The answer has more bytes than anybody needs.
    #[error("its answer is longer than {MOST_BODY_BYTES} bytes")]
    TooLong,
}

/// The body of the answer to `GET target`. Blocks for `patience` at most once it is connected, which a server that
/// takes no more connections can delay.
///
/// # Errors
/// No connection, no answer in time, a status other than 200, or no HTTP.
pub(super) fn get(socket: &Path, target: &str, patience: Duration) -> Result<Vec<u8>, HttpError> {
    let until = Instant::now() + patience;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(patience))?;
    // The host must be named, but a socket has no name: servers take any.
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: nodeglass\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = BufReader::new(Timed { stream, until });
    let body = read_head(&mut answer)?;
    match body {
        Body::Chunked => read_chunks(&mut answer),
        Body::Sized(length) if length > MOST_BODY_BYTES => Err(HttpError::TooLong),
        Body::Sized(length) => {
            let mut body = Vec::new();
            read_exactly(&mut answer, length, &mut body)?;
            Ok(body)
        }
        Body::UntilClosed => {
            let mut body = Vec::new();
            answer.take(MOST_BODY_BYTES as u64 + 1).read_to_end(&mut body)?;
            if body.len() > MOST_BODY_BYTES {
                return Err(HttpError::TooLong);
            }
            Ok(body)
        }
    }
}

/// A stream whose reads end at a moment, however slowly its bytes drip in.
struct Timed {
    stream: UnixStream,
    until: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => late(),
            _ => error,
        })
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

/// How the end of the body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Chunked,
    Sized(usize),
    UntilClosed,
}

fn read_head(answer: &mut impl BufRead) -> Result<Body, HttpError> {
    let mut head = Vec::new();
    let mut limited = answer.take(MOST_HEAD_BYTES);
    loop {
        let before = head.len();
        let length = limited.read_until(b'\n', &mut head)?;
        if length == 0 || head.last() != Some(&b'\n') {
            return Err(HttpError::Malformed("its head has no end"));
        }
        if matches!(&head[before..], b"\r\n" | b"\n") {
            return parse_head(&head);
        }
    }
}

fn parse_head(head: &[u8]) -> Result<Body, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    if !response.parse(head).is_ok_and(|status| status.is_complete()) {
        return Err(HttpError::Malformed("its head makes no sense"));
    }
    match response.code {
        Some(200) => {}
        Some(other) => return Err(HttpError::Status(other)),
        None => return Err(HttpError::Malformed("it has no status")),
    }
    let value = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(header.value.trim_ascii())
    };
    if let Some(coding) = value("transfer-encoding") {
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        return is_chunked
            .then_some(Body::Chunked)
            .ok_or(HttpError::Malformed("its transfer coding is not known"));
    }
    match value("content-length") {
        None => Ok(Body::UntilClosed),
        Some(length) => std::str::from_utf8(length)
            .ok()
            .and_then(|length| length.parse().ok())
            .map(Body::Sized)
            .ok_or(HttpError::Malformed("its length is no number")),
    }
}

fn read_chunks(answer: &mut impl BufRead) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        answer
            .by_ref()
            .take(MOST_CHUNK_LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        let Ok(httparse::Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
            return Err(HttpError::Malformed("a chunk has no size"));
        };
        if size == 0 {
            // What may follow, trailers, nobody sends, and the connection is closed anyway.
            return Ok(body);
        }
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size <= MOST_BODY_BYTES - body.len());
        read_exactly(answer, size.ok_or(HttpError::TooLong)?, &mut body)?;
        let mut end = [0; 2];
        answer.read_exact(&mut end)?;
        if &end != b"\r\n" {
            return Err(HttpError::Malformed("a chunk is longer than its size"));
        }
    }
}

/// Appends `length` bytes. Memory grows with what comes, not with what was promised.
fn read_exactly(answer: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> Result<(), HttpError> {
    let read = answer.by_ref().take(length as u64).read_to_end(body)?;
    if read < length {
        return Err(HttpError::Malformed("it breaks off"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
