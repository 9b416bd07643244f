//! A door with a limit: beyond it new connections wait in the kernel's queue until one ends, so that callers of the
//! API can never use up the file descriptors that the workers' connections need.

use super::auth::Caller;
use super::door::Door;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module.
pub(super) struct Limited<D> {
    door: D,
    permits: Arc<Semaphore>,
}

/// A connection that counts.
pub(super) struct Admitted<S> {
    stream: S,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<D: Door> Limited<D> {
    pub(super) fn new(door: D, most: usize) -> Limited<D> {
        Limited { door, permits: Arc::new(Semaphore::new(most)) }
    }

    /// The next caller, when there is room for it.
    pub(super) async fn accept(&mut self) -> (Admitted<D::Io>, Caller) {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (stream, peer) = self.door.accept().await;
        let caller = D::caller(&stream, &peer);
        (Admitted { stream, _permit: permit }, caller)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Admitted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Admitted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
