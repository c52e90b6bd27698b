//! Taking connections, a bounded number at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::tasks::TaskGroup;

/// The pause after a failed accept, which means that open files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until `stop`, at most `most` at a time, each served by what `serve` makes of it. Those in hand are
/// left to finish in `tasks`.
pub async fn connections<Serving>(
    listener: TcpListener,
    most: usize,
    tasks: TaskGroup,
    stop: CancellationToken,
    serve: impl Fn(TcpStream) -> Serving,
) where
    Serving: Future<Output = Result<(), String>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
            () = stop.cancelled() => return,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        let served = serve(stream);
        tasks.spawn_transient("connection", async move {
            if let Err(error) = served.await {
                debug!(%peer, error, "connection ended");
            }
            drop(place);
        });
    }
}
