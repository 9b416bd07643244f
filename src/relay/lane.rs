//! One side of a connection without its socket: what was read from it and waits for the gate, and what waits to be
//! written to it. Both are empty, and own no memory, as long as everything flows.

use crate::rare::{Blank, Rare};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// ```text
/// Open ──EOF or error──▶ Ended ──the gate has been told──▶ Told
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// More may come.
    Open,
    /// No more will come; what came before may not all have been judged.
    Ended,
    /// The gate knows.
    Told,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) input: Input,
    /// The gate has seen all that is carried and waits for what comes behind it.
    pub(super) hungry: bool,
    /// Whatever is ordered to be written is thrown away.
    dead: bool,
    /// Bytes handed to the socket in this connection's life.
    pub(super) written: u64,
    waiting: Rare<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Read, and not consumed by the gate.
    carry: Vec<u8>,
    /// Ordered to be written, from `sent` on: 0 <= sent <= pending.len(), and both are 0 when nothing waits.
    pending: Vec<u8>,
    sent: usize,
}

impl Blank for Waiting {
    const BLANK: &'static Waiting = &Waiting { carry: Vec::new(), pending: Vec::new(), sent: 0 };
}

impl Lane {
    pub(super) fn new() -> Lane {
        Lane { input: Input::Open, hungry: false, dead: false, written: 0, waiting: Rare::default() }
    }

    /// More may come, nothing waits, and nothing is thrown away: almost always.
    pub(super) fn flows(&self) -> bool {
        self.input == Input::Open && !self.dead && !self.waiting.is_there()
    }

    /// What was read, and not consumed by the gate.
    pub(super) fn carried(&self) -> &[u8] {
        &self.waiting.carry
    }

    /// Carries more of it.
    pub(super) fn carry(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.waiting.carry.extend_from_slice(bytes);
        }
    }

    /// The gate is given what was carried, or will never be.
    pub(super) fn unload(&mut self) {
        if !self.carried().is_empty() {
            self.waiting.carry.clear();
        }
    }

    /// How much waits to be written.
    pub(super) fn backlog(&self) -> usize {
        self.waiting.pending.len() - self.waiting.sent
    }

    /// Nothing can be written any more.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Throws away what waits and what will be ordered.
    pub(super) fn kill(&mut self) {
        self.dead = true;
        if self.waiting.is_there() {
            self.waiting.pending = Vec::new();
            self.waiting.sent = 0;
        }
    }

    /// Writes as much as the socket takes and keeps the rest.
    pub(super) fn send<W: AsyncWrite + Unpin>(&mut self, writer: &mut W, cx: &mut Context<'_>, bytes: &[u8]) {
        if self.dead || bytes.is_empty() {
            return;
        }
        if self.backlog() > 0 {
            self.waiting.pending.extend_from_slice(bytes);
            return;
        }
        match write(writer, cx, bytes) {
            (taken, Ok(())) => {
                self.written += taken as u64;
                if taken < bytes.len() {
                    self.waiting.pending.extend_from_slice(&bytes[taken..]);
                }
            }
            (taken, Err(_)) => {
                self.written += taken as u64;
                self.kill();
            }
        }
    }

    /// The same of several pieces in a row, with one call where the socket can.
    pub(super) fn send_all<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) {
        let mut taken = 0;
        if !self.dead && self.backlog() == 0 && writer.is_write_vectored() {
            match Pin::new(&mut *writer).poll_write_vectored(cx, pieces) {
                Poll::Ready(Ok(number)) => taken = number,
                Poll::Ready(Err(_)) => self.kill(),
                Poll::Pending => (),
            }
            self.written += taken as u64;
        }
        for piece in pieces {
            let out = taken.min(piece.len());
            taken -= out;
            self.send(writer, cx, &piece[out..]);
        }
    }

    /// Writes more of what waits. True if the socket took any, or broke.
    pub(super) fn flush<W: AsyncWrite + Unpin>(&mut self, writer: &mut W, cx: &mut Context<'_>) -> bool {
        if self.backlog() == 0 {
            return false;
        }
        let (taken, result) = write(writer, cx, &self.waiting.pending[self.waiting.sent..]);
        self.waiting.sent += taken;
        self.written += taken as u64;
        if result.is_err() {
            self.kill();
            return true;
        }
        if self.backlog() == 0 {
            self.waiting.pending.clear();
            self.waiting.sent = 0;
        }
        taken > 0
    }

    /// Gives memory back that is not needed now.
    #[inline]
    pub(super) fn trim(&mut self) {
        if self.waiting.is_there() {
            self.trim_waiting();
        }
    }

    fn trim_waiting(&mut self) {
        let Waiting { carry, pending, .. } = &mut *self.waiting;
        match (carry.is_empty(), pending.is_empty()) {
            (true, true) => self.waiting = Rare::default(),
            (true, false) => *carry = Vec::new(),
            (false, true) => *pending = Vec::new(),
            (false, false) => (),
        }
    }
}

/// Writes until all is taken, the socket is full (then it will wake the task), or it fails.
#[inline]
fn write<W: AsyncWrite + Unpin>(writer: &mut W, cx: &mut Context<'_>, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match Pin::new(&mut *writer).poll_write(cx, &bytes[taken..]) {
            Poll::Ready(Ok(0)) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(number)) => taken += number,
            Poll::Ready(Err(error)) => return (taken, Err(error)),
            Poll::Pending => break,
        }
    }
    // nothing for a plain socket; one that keeps bytes of its own (TLS) lets go of them here
    match Pin::new(writer).poll_flush(cx) {
        Poll::Ready(Err(error)) => (taken, Err(error)),
        _ => (taken, Ok(())),
    }
}
