//! One side of a connection: a socket as it is, or with TLS around it.

use super::pump::Stream;
use super::secure::SecureSocket;
use super::socket::Socket;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module. The plain one is what is fast.
pub enum Wire {
    /// Bytes as they are.
    Plain(Socket),
    /// Bytes with TLS around them.
    Secure(Box<SecureSocket>),
}

impl Wire {
    /// What the reactor watches.
    pub fn socket(&mut self) -> &mut Socket {
        match self {
            Wire::Plain(socket) => socket,
            Wire::Secure(secure) => &mut secure.socket,
        }
    }

    /// The stream, for another runtime. No more is written to it, nor read, but its end.
    pub(super) fn into_inner(self) -> socket2::Socket {
        match self {
            Wire::Plain(socket) => socket.into_inner(),
            Wire::Secure(secure) => secure.into_socket().into_inner(),
        }
    }
}

impl AsyncRead for Wire {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_read(cx, into),
            Wire::Secure(secure) => Pin::new(&mut **secure).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Wire {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Wire::Secure(secure) => Pin::new(&mut **secure).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, pieces),
            Wire::Secure(secure) => Pin::new(&mut **secure).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Wire::Plain(_))
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Wire::Secure(secure) => Pin::new(&mut **secure).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Wire::Secure(secure) => Pin::new(&mut **secure).poll_shutdown(cx),
        }
    }
}

impl Stream for Wire {
    #[inline]
    fn may_have_more(&self) -> bool {
        match self {
            Wire::Plain(socket) => socket.may_have_more(),
            Wire::Secure(secure) => secure.may_have_more(),
        }
    }

    fn peer_has_left(&self) -> bool {
        match self {
            Wire::Plain(socket) => socket.peer_has_left(),
            Wire::Secure(secure) => secure.peer_has_left(),
        }
    }

    fn peer_is_leaving(&self) -> bool {
        match self {
            Wire::Plain(socket) => socket.peer_is_leaving(),
            Wire::Secure(secure) => secure.peer_is_leaving(),
        }
    }
}
