//! A caller that keeps its connection and times each answer, from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::programs::{self, Server, Stream, TOKEN};

/// One connection to a server.
pub(super) struct Client {
    stream: BufReader<Box<dyn Stream>>,
    body: Vec<u8>,
}

impl Client {
    /// Connects as the server speaks.
    pub(super) fn connect(server: &Server) -> anyhow::Result<Self> {
        Ok(Self::over(server.connect()?))
    }

    /// Connects without TLS, to whoever is there.
    pub(super) fn plain(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self::over(Box::new(programs::connect(address)?)))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            body: Vec::new(),
        }
    }

    /// Calls for a path under `/api/v1`; gives how long it took until the whole answer was there. What it says is in
    /// [`Client::body`].
    ///
    /// # Errors
    /// No answer, or another one than 200.
    pub(super) fn get(&mut self, path: &str) -> anyhow::Result<Duration> {
        let call =
            format!("GET /api/v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        let began = Instant::now();
        self.stream.get_mut().write_all(call.as_bytes())?;
        self.stream.get_mut().flush()?;
        let status = self.line()?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
            chunked |= line.starts_with("transfer-encoding:") && line.ends_with("chunked");
        }
        self.body.clear();
        if chunked {
            loop {
                let size = usize::from_str_radix(self.line()?.trim(), 16).context("the length of a chunk")?;
                self.take(size)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.take(length.context("the length of an answer")?)?;
        }
        let took = began.elapsed();
        ensure!(
            status.split_whitespace().nth(1) == Some("200"),
            "{path} is answered with {status}: {}",
            String::from_utf8_lossy(&self.body)
        );
        Ok(took)
    }

    /// The last answer.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(
            self.stream.read_line(&mut line)? > 0,
            "the server ended the connection"
        );
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    fn take(&mut self, size: usize) -> anyhow::Result<()> {
        let start = self.body.len();
        self.body.resize(start + size, 0);
        Ok(self.stream.read_exact(&mut self.body[start..])?)
    }
}
