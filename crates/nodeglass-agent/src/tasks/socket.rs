//! The socket at which a running agent is told of tasks: a Unix socket that its owner alone may open (mode 0600), and
//! at which only root and the agent's own user are heard.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nodeglass_collect::TaskRegistry;
use nodeglass_model::Clock;
use nodeglass_runtime::tasks::TaskGroup;
use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::protocol::{self, Answer};

/// A request holds a command line at most, which the kernel bounds to a few pages in practice.
pub const MAX_LINE_BYTES: usize = 128 * 1024;
/// Whoever speaks does so for a moment; more at once are a mistake somewhere.
const MAX_CONNECTIONS: usize = 32;
/// A connection that says nothing for this long is closed; so is one that does not take its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a failure to accept, so that a want of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A socket that is open; its file goes with it.
pub struct TaskSocket {
    listener: UnixListener,
    path: PathBuf,
    registry: TaskRegistry,
    clock: Arc<dyn Clock>,
}

impl TaskSocket {
    /// Opens the socket. A file that an agent left behind is replaced.
    ///
    /// # Errors
    /// The path can't be used, or another agent listens there.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(path: &Path, registry: TaskRegistry, clock: Arc<dyn Clock>) -> io::Result<Self> {
        if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
            if BlockingStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another agent listens there",
                ));
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            registry,
            clock,
        })
    }

    /// Answers until `stop`.
    pub async fn run(self, tasks: TaskGroup, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "a connection to the task socket was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // One that finds no room is closed at once; whoever it is tries again or does without.
            let Ok(place) = room.clone().try_acquire_owned() else {
                debug!("too many connections to the task socket");
                continue;
            };
            let (registry, clock, stop) = (self.registry.clone(), self.clock.clone(), stop.clone());
            tasks.spawn_transient("task connection", async move {
                tokio::select! {
                    served = serve(stream, &registry, &*clock) => {
                        if let Err(error) = served {
                            debug!(%error, "a connection to the task socket broke");
                        }
                    }
                    () = stop.cancelled() => {}
                }
                drop(place);
            });
        }
    }
}

impl Drop for TaskSocket {
    fn drop(&mut self) {
        // What is left behind is replaced by the next agent.
        drop(fs::remove_file(&self.path));
    }
}

/// Answers the requests of one connection.
async fn serve(stream: UnixStream, registry: &TaskRegistry, clock: &dyn Clock) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    if peer != 0 && peer != geteuid().as_raw() {
        let refusal = Answer::refuse("forbidden", "only root and the agent's own user may speak here");
        return send(&mut write, &refusal).await;
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut read).take(MAX_LINE_BYTES as u64);
        match timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0)) | Err(_) => return Ok(()),
            Ok(Err(error)) => return Err(error),
        }
        if line.last() != Some(&b'\n') && line.len() >= MAX_LINE_BYTES {
            let message = format!("a request is one line of at most {MAX_LINE_BYTES} bytes");
            return send(&mut write, &Answer::refuse("too_long", message)).await;
        }
        let (registry, request, at) = (registry.clone(), std::mem::take(&mut line), clock.now());
        // It reads files of the kernel, and may look through all control groups.
        let answered =
            tokio::task::spawn_blocking(move || protocol::answer(request.trim_ascii(), &registry, at));
        let answer = answered.await.map_err(io::Error::other)?;
        send(&mut write, &answer).await?;
    }
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    let mut text = serde_json::to_vec(answer)?;
    text.push(b'\n');
    timeout(PATIENCE, write.write_all(&text)).await?
}

#[cfg(test)]
mod tests;
