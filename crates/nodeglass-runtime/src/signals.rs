//! Being asked to end: SIGTERM and SIGINT, or Ctrl-C where there are no signals. Being asked to read files anew: SIGHUP.

use std::io;

/// The requests to end, from the moment it is installed: one that comes before anybody waits is not lost.
#[derive(Debug)]
pub struct Termination {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

/// Puts the handlers in place. From here on, the signals no longer end the process by themselves.
///
/// # Errors
/// The system refused a handler; end the program, as nobody could stop it in an orderly way.
///
/// # Panics
/// Outside a tokio runtime.
#[cfg(unix)]
pub fn install() -> io::Result<Termination> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Termination {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    })
}

/// Does nothing yet: the handler is in place once [`Termination::received`] is polled.
///
/// # Errors
/// None on this system.
#[cfg(not(unix))]
pub fn install() -> io::Result<Termination> {
    Ok(Termination {})
}

/// The requests to read files anew (SIGHUP), from the moment it is installed. There are none where there are no signals.
#[derive(Debug)]
pub struct Hangup {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Hangup {
    /// Puts the handler in place. From here on, the signal no longer ends the process.
    ///
    /// # Errors
    /// The system refused the handler.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    /// Waits for the next request.
    pub async fn received(&mut self) {
        #[cfg(unix)]
        if self.hangup.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}

impl Termination {
    /// Waits for the next request to end, and gives its name.
    #[cfg(unix)]
    pub async fn received(&mut self) -> &'static str {
        tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            else => std::future::pending().await,
        }
    }

    /// Waits for the next request to end, and gives its name.
    #[cfg(not(unix))]
    pub async fn received(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(error) => {
                tracing::error!(%error, "can't listen for Ctrl-C");
                std::future::pending().await
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn raise(signal: &str) {
        let pid = std::process::id().to_string();
        let status = std::process::Command::new("kill").args([signal, &pid]).status();
        assert!(status.unwrap().success());
    }

    /// One test, as all tests of this process share its signals.
    #[tokio::test]
    async fn signals_are_told_apart_and_kept_until_somebody_waits() {
        let mut termination = install().unwrap();
        raise("-TERM");
        assert_eq!(termination.received().await, "SIGTERM");
        raise("-INT");
        assert_eq!(termination.received().await, "SIGINT");

        let mut termination = install().unwrap();
        let waiting = tokio::spawn(async move { termination.received().await });
        tokio::task::yield_now().await;
        raise("-INT");
        assert_eq!(waiting.await.unwrap(), "SIGINT");

        let mut hangup = Hangup::install().unwrap();
        raise("-HUP");
        hangup.received().await;
    }
}
