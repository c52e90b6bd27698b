//! A relay between an agent and its server that counts: the bytes both ways, and the segments that they travel in.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::ensure;

/// What an IPv4 segment with time stamps has before its bytes: 20 of IP, 20 of TCP, 12 of the option.
const HEADERS: u64 = 52;

/// Takes connections on a port of its own until the program ends, and passes them on.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    bytes: AtomicU64,
    connections: AtomicU64,
    newest: Mutex<Option<TcpStream>>,
}

/// What went over the relay up to now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    /// Bytes of the connection, both ways, without headers.
    pub(super) bytes: u64,
    /// Bytes with the headers of TCP and IP, pure acknowledgements among them.
    pub(super) with_headers: u64,
    connections: u64,
}

impl Relay {
    /// One that passes on to `server`.
    pub(super) fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let counted = Arc::new(Counted::default());
        let counts = counted.clone();
        thread::spawn(move || {
            for agent in listener.incoming().flatten() {
                // An agent whose connection ends tries again, and says so.
                let _ = pass(&agent, server, &counts);
            }
        });
        Ok(Self { address, counted })
    }

    /// What went over it so far.
    pub(super) fn traffic(&self) -> anyhow::Result<Traffic> {
        let bytes = self.counted.bytes.load(Ordering::Relaxed);
        let newest = self.counted.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = newest.as_ref().map_or(Ok(0), segments)?;
        Ok(Traffic {
            bytes,
            with_headers: bytes + segments * HEADERS,
            connections: self.counted.connections.load(Ordering::Relaxed),
        })
    }
}

impl Traffic {
    /// What went over since `before`.
    ///
    /// # Errors
    /// The agent has connected anew since: its greeting is not what it costs.
    pub(super) fn since(self, before: Self) -> anyhow::Result<Self> {
        ensure!(
            self.connections == before.connections && self.connections > 0,
            "the agent's connection to the server broke while it was measured"
        );
        Ok(Self {
            bytes: self.bytes - before.bytes,
            with_headers: self.with_headers - before.with_headers,
            connections: self.connections,
        })
    }
}

fn pass(agent: &TcpStream, server: SocketAddr, counts: &Arc<Counted>) -> std::io::Result<()> {
    let upstream = TcpStream::connect(server)?;
    for stream in [agent, &upstream] {
        stream.set_nodelay(true)?;
    }
    counts.connections.fetch_add(1, Ordering::Relaxed);
    *counts.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent.try_clone()?);
    for (from, to) in [(agent, &upstream), (&upstream, agent)] {
        let (mut from, mut to, counts) = (from.try_clone()?, to.try_clone()?, counts.clone());
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                counts.bytes.fetch_add(read as u64, Ordering::Relaxed);
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

/// Segments that a connection has received and sent.
fn segments(stream: &TcpStream) -> anyhow::Result<u64> {
    #[expect(unsafe_code, reason = "no safe binding has TCP_INFO")]
    // SAFETY: plain numbers, for which zeroes are values.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    #[expect(unsafe_code, reason = "no safe binding has TCP_INFO")]
    // SAFETY: `info` is valid for writing `len` bytes, and the kernel writes no more.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    ensure!(result == 0, "TCP_INFO: {}", std::io::Error::last_os_error());
    Ok(u64::from(info.tcpi_segs_in) + u64::from(info.tcpi_segs_out))
}
