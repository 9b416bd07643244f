//! A socket that knows whether it is worth asking: the reactor notes what the kernel reports of it, and a read or write
//! that could only find nothing is answered without a system call.

use super::pump::{Stream, has_left};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module. Over TCP or a Unix socket: nothing here is asked of the kernel that it does not answer for both. It wakes
/// nobody: whoever polls it is told by the reactor when to do so again.
#[derive(Debug)]
pub struct Socket {
    stream: socket2::Socket,
    readable: bool,
    writable: bool,
    /// The peer will send no more; what it has sent may still be unread.
    ending: bool,
}

impl Socket {
    /// The stream must not block. It is taken for ready until it has been tried.
    pub fn new(stream: impl Into<socket2::Socket>) -> Socket {
        Socket { stream: stream.into(), readable: true, writable: true, ending: false }
    }

    /// From now on the kernel reports changes of it under this token.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.stream.as_raw_fd()), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// And no longer.
    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut SourceFd(&self.stream.as_raw_fd()))
    }

    /// The kernel has reported a change.
    pub(super) fn note(&mut self, event: &Event) {
        let broken = event.is_error();
        self.ending |= event.is_read_closed() || broken;
        self.readable |= event.is_readable() || self.ending;
        self.writable |= event.is_writable() || event.is_write_closed() || broken;
    }

    /// The stream, for another runtime.
    pub(super) fn into_inner(self) -> socket2::Socket {
        self.stream
    }
}

impl Read for Socket {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.readable {
            match recv(&self.stream, &mut *into, RecvFlags::empty()) {
                Ok((number, _)) => {
                    // less than there was room for: the kernel has no more, and will report what comes. It reports an
                    // end only once
                    self.readable = number == into.len() || self.ending;
                    return Ok(number);
                }
                Err(Errno::WOULDBLOCK) => self.readable = false,
                Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Socket {
    /// Writes `length` bytes, or as many as the kernel takes.
    #[inline]
    fn put(&mut self, length: usize, send: impl Fn(&socket2::Socket) -> Result<usize, Errno>) -> io::Result<usize> {
        while self.writable {
            match send(&self.stream) {
                Ok(number) => {
                    // it took less than it was given: it is full
                    self.writable = number == length;
                    return Ok(number);
                }
                Err(Errno::WOULDBLOCK) => self.writable = false,
                Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes.len(), |stream| send(stream, bytes, SendFlags::NOSIGNAL))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let nothing_else = SendAncillaryBuffer::default;
        self.put(length, |stream| sendmsg(stream, pieces, &mut nothing_else(), SendFlags::NOSIGNAL))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What would block is waited for.
#[inline]
fn poll<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        poll(self.read(into.initialize_unfilled()).map(|number| into.advance(number)))
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        poll(self.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll(self.write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}

impl Stream for Socket {
    fn may_have_more(&self) -> bool {
        self.readable
    }

    fn peer_has_left(&self) -> bool {
        has_left(&self.stream)
    }

    fn peer_is_leaving(&self) -> bool {
        self.ending
    }
}
