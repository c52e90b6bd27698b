//! The bytes of one connection, read as soon as they come or at the beat of many agents.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::beat::{Beat, Seat};

/// A connection's socket, and who tells when there is something to read.
#[derive(Debug)]
pub(crate) struct Wire(By);

#[derive(Debug)]
enum By {
    /// The runtime, at once.
    Runtime(TcpStream),
    /// The beat, among many agents.
    Beat(Seat),
}

impl Wire {
    /// Has it read by `beat` from now on, or at once without one. Who waits for it now must look again: his waker is lost.
    pub(super) fn settle(&mut self, beat: Option<&Arc<Beat>>, context: &Context<'_>) -> io::Result<()> {
        self.0 = match (&self.0, beat) {
            (By::Runtime(_), None) | (By::Beat(_), Some(_)) => return Ok(()),
            (By::Runtime(stream), Some(beat)) => match Seat::take(beat, twin(stream)?)? {
                Some(seat) => By::Beat(seat),
                None => return Ok(()),
            },
            (By::Beat(seat), None) => By::Runtime(TcpStream::from_std(seat.stream()?)?),
        };
        context.waker().wake_by_ref();
        Ok(())
    }

    /// Leaves nothing in the kernel's buffers for the other end.
    pub(super) fn abandon(&self) {
        let settings = match &self.0 {
            By::Runtime(stream) => SockRef::from(stream),
            By::Beat(seat) => seat.settings(),
        };
        // If it can't be, the kernel gives up by itself after a while.
        let _ = settings.set_linger(Some(std::time::Duration::ZERO));
    }
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self(By::Runtime(stream))
    }
}

/// The same connection once more.
fn twin(stream: &TcpStream) -> io::Result<std::net::TcpStream> {
    use std::os::fd::AsFd;
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            By::Runtime(stream) => Pin::new(stream).poll_read(context, buffer),
            By::Beat(seat) => seat.poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            By::Runtime(stream) => Pin::new(stream).poll_write(context, bytes),
            By::Beat(seat) => seat.poll_write_bytes(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            By::Runtime(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            By::Beat(seat) => seat.poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel has it all.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            By::Runtime(stream) => Pin::new(stream).poll_shutdown(context),
            By::Beat(seat) => Poll::Ready(seat.shutdown()),
        }
    }
}
