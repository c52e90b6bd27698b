//! A TCP relay that can fall silent: connections stay, new ones are taken, and nothing passes any more.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The relay, gone when it is dropped.
pub(crate) struct Relay {
    pub(crate) port: u16,
    silent: Arc<watch::Sender<bool>>,
    _accepting: JoinSet<()>,
}

impl Relay {
    /// Starts one before a port of this host.
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = Arc::new(watch::Sender::new(false));
        let mut accepting = JoinSet::new();
        let shared = silent.clone();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let silent = shared.subscribe();
                connections.spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
                        return;
                    };
                    let (client, server) = (client.into_split(), server.into_split());
                    let up = carry(client.0, server.1, silent.clone());
                    let down = carry(server.0, client.1, silent);
                    tokio::join!(up, down);
                });
            }
        });
        Self {
            port,
            silent,
            _accepting: accepting,
        }
    }

    /// From now on nothing passes, or only what comes from now on: what was swallowed is gone, and its connection with it.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    silent: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut has_swallowed = false;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        has_swallowed |= *silent.borrow();
        // A stream with a hole in it carries nothing any more, whatever becomes of the network.
        if !has_swallowed && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
