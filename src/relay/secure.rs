//! A [`Socket`] with TLS around it. Agreed on elsewhere; here bytes are read and written.

use super::pump::Stream;
use super::socket::Socket;
use rustls::Connection;
use std::io::{self, Read, Write};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Encrypted at once: two records. No more is ever in our hands that the kernel has not taken.
const AT_ONCE: usize = 32 * 1024;

/// See the module.
pub struct SecureSocket {
    pub(super) socket: Socket,
    session: Connection,
    /// Something has been decrypted and not been read.
    more: bool,
    /// Of the bytes that were to be written so many have been encrypted. They are written when the kernel has all of them: a
    /// job that the client has not been handed must never count as one that it has.
    owed: usize,
}

impl SecureSocket {
    /// Both sides have agreed.
    pub fn new(socket: Socket, session: Connection) -> SecureSocket {
        SecureSocket { socket, session, more: true, owed: 0 }
    }

    /// The peer is told that no more comes, as far as it listens.
    pub(super) fn into_socket(mut self) -> Socket {
        self.session.send_close_notify();
        // one that takes nothing now has not been cut off any worse by this
        let _ = self.push();
        self.socket
    }

    /// Lets the kernel have what is encrypted.
    fn push(&mut self) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What has been decrypted by now; an end without TLS' own farewell is an error.
    fn take(&mut self, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = into.remaining();
        match self.session.reader().read(into.initialize_unfilled()) {
            Ok(number) => {
                into.advance(number);
                self.more = number == room;
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.more = false;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Reads what the kernel has and decrypts it.
    fn pull(&mut self) -> Poll<io::Result<()>> {
        match self.session.read_tls(&mut self.socket) {
            Ok(_) => (),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        }
        let understood = self.session.process_new_packets();
        // TLS answers by itself here and there: new keys, or what is wrong
        let pushed = self.push();
        Poll::Ready(match understood {
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            Ok(_) => match pushed {
                Poll::Ready(result) => result,
                Poll::Pending => Ok(()),
            },
        })
    }
}

impl AsyncRead for SecureSocket {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Poll::Ready(result) = this.take(into) {
                return Poll::Ready(result);
            }
            ready!(this.pull())?;
        }
    }
}

impl AsyncWrite for SecureSocket {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // who was told to wait comes again with the same bytes
        if this.owed == 0 {
            this.owed = this.session.writer().write(&bytes[..bytes.len().min(AT_ONCE)])?;
        }
        ready!(this.push())?;
        Poll::Ready(Ok(mem::take(&mut this.owed)))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().push()
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.send_close_notify();
        ready!(this.push())?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

impl Stream for SecureSocket {
    fn may_have_more(&self) -> bool {
        self.more || self.socket.may_have_more()
    }

    fn peer_has_left(&self) -> bool {
        self.socket.peer_has_left()
    }

    fn peer_is_leaving(&self) -> bool {
        self.socket.peer_is_leaving()
    }
}
