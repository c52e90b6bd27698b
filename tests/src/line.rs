//! The line between a server and its PostgreSQL, which fails as it is told: a database that is gone, that hangs, or that
//! takes its time, while the database itself is well.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It passes everything on.
    Open,
    /// Every piece takes so long, each way.
    Slow(Duration),
    /// Nothing passes; connections stay as they are, and new ones are taken.
    Silent,
    /// Connections end, and new ones are refused.
    Dead,
}

/// A line that can be changed, gone when it is dropped.
#[derive(Debug)]
pub struct DatabaseLine {
    /// The database's URL by way of it.
    pub url: String,
    line: watch::Sender<Line>,
    /// Aborted when it is dropped.
    _taking: JoinSet<()>,
}

impl DatabaseLine {
    /// Lays one to the database of a URL with a socket's directory for a host: `postgres://user@%2Ftmp%2Fx/database`.
    ///
    /// # Panics
    /// The URL is not like that, or there is no free port.
    pub async fn to(url: &str) -> Self {
        let (user, rest) = url.split_once('@').expect("a URL with a user");
        let (host, database) = rest.split_once('/').expect("a URL with a database");
        let socket = PathBuf::from(decoded(host)).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (line, state) = watch::channel(Line::Open);
        let mut taking = JoinSet::new();
        taking.spawn(take(listener, address, socket, state));
        Self {
            url: format!("{user}@{address}/{database}"),
            line,
            _taking: taking,
        }
    }

    /// Changes it.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

/// A percent-encoded text.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut decoded, part| {
        let (code, rest) = part.split_at(2);
        decoded.push(char::from(
            u8::from_str_radix(code, 16).expect("a percent-encoded byte"),
        ));
        decoded.push_str(rest);
        decoded
    })
}

async fn take(listener: TcpListener, address: SocketAddr, socket: PathBuf, mut line: watch::Receiver<Line>) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if *line.borrow_and_update() == Line::Dead {
            // Without a listener the kernel refuses.
            listener = None;
            connections.shutdown().await;
            let _ = line.wait_for(|line| *line != Line::Dead).await;
        }
        if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.expect("the same port again"));
        }
        let accept = async { listener.as_ref().expect("a listener").accept().await };
        tokio::select! {
            accepted = accept => if let Ok((client, _)) = accepted {
                connections.spawn(pass_on(client, socket.clone(), line.clone()));
            },
            _ = line.changed() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass_on(client: TcpStream, socket: PathBuf, line: watch::Receiver<Line>) {
    let _ = client.set_nodelay(true);
    let Ok(database) = UnixStream::connect(socket).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_database, to_database) = database.into_split();
    // When one direction ends, so does the other: the database has no use for half a connection.
    tokio::select! {
        () = carry(from_client, to_database, line.clone()) => {}
        () = carry(from_database, to_client, line) => {}
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        let came = Instant::now();
        loop {
            let delay = match *line.borrow_and_update() {
                Line::Open | Line::Dead => break,
                Line::Slow(delay) => delay,
                Line::Silent => Duration::MAX,
            };
            let left = delay.saturating_sub(came.elapsed());
            tokio::select! {
                () = tokio::time::sleep(left) => break,
                changed = line.changed() => if changed.is_err() { return },
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
