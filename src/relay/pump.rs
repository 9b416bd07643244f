//! The pump: one future drives both sockets of a connection and its gate. One wake-up reads, asks the gate, and writes
//! the original bytes from the buffer they were read into; only what a socket does not take is copied.
//!
//! What holds at all times:
//! - Actions are carried out in the gate's order; a fact reaches the fleet before later bytes reach a socket.
//! - A side is read only while the other takes what comes of it, so a connection owns at most a read's worth of bytes
//!   per direction, plus what the gate has not consumed.
//! - The mark is looked at after each read: what is read after a drain was answered is judged as marked.
//! - The clock is read after each read, so that nothing is timed from before it was sent; the timer is set only if it
//!   would fire too late.
//!
//! Here is what a turn does; `judge` reads and carries verdicts out, `patience` knows what is waited for how long.

mod judge;
mod news;
mod parked;
mod patience;
mod scratch;

use super::lane::Lane;
use crate::fleet::ClosedBy;
use crate::gate::{Action, Gate, GateError, Side};
use crate::hub::{Clock, Flags, Handle};
use crate::job::{ConnId, JobEvent, Millis};
use crate::telemetry::ThreadMeter;
use parked::Parked;
use rustix::event::{PollFd, PollFlags, Timespec};
use scratch::{SCRATCH, Scratch};
use std::future::poll_fn;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

/// Read at once. 32 KiB were measured best: larger ones leave the processor's cache.
const READ: usize = 32 * 1024;
/// Turns without giving way to other connections.
const MAX_ROUNDS: usize = 16;
/// How long a client that was told the end may take to close.
const PARTING: Duration = Duration::from_secs(1);

/// What a connection is made of: anything that can be read and written.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether the peer will send no more, as the kernel knows at this moment: the runtime may hear of it later, and not
    /// at all while something is unread. Costs a system call.
    fn peer_has_left(&self) -> bool {
        false
    }

    /// False if a read would find nothing, as far as the stream has been told by now.
    fn may_have_more(&self) -> bool {
        true
    }

    /// [`Stream::peer_has_left`] as far as the stream has been told by now.
    fn peer_is_leaving(&self) -> bool {
        self.peer_has_left()
    }
}

impl Stream for TcpStream {
    fn peer_has_left(&self) -> bool {
        has_left(self)
    }
}

/// [`Stream::peer_has_left`] of a plain socket.
pub(super) fn has_left(socket: &impl AsFd) -> bool {
    let end = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    let mut question = [PollFd::new(socket, end)];
    let told = rustix::event::poll(&mut question, Some(&Timespec::default()));
    told.is_ok() && question[0].revents().intersects(end)
}

impl Stream for DuplexStream {}

/// Where the facts go that a gate tells.
pub trait FactSink: Send {
    /// In the order of the bytes. Those behind the facts are written after it returns.
    fn events(&mut self, events: impl Iterator<Item = JobEvent>);
    /// The same for one that somebody else tells, together with those of other connections: it is appended.
    fn hand_over(&mut self, event: JobEvent, facts: &mut Vec<(ConnId, JobEvent)>);
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Who ended it.
    pub by: ClosedBy,
    /// Why, if the gate gave it up.
    pub error: Option<GateError>,
    /// False if the gate was not waited for any longer after its client's end.
    pub settled: bool,
    /// Bytes handed to the client.
    pub to_client: u64,
    /// Bytes handed to the broker.
    pub to_broker: u64,
}

/// The parts of a [`Pump`].
pub struct Parts<C, B, G, F> {
    /// The client's socket.
    pub client: C,
    /// The broker's socket.
    pub broker: B,
    /// The gate.
    pub gate: G,
    /// Where facts go.
    pub facts: F,
    /// How the hub reaches this connection.
    pub handle: Arc<Handle>,
    /// The gate's clock.
    pub clock: Clock,
    /// Byte counters of this thread.
    pub meter: Arc<ThreadMeter>,
}

/// See the module.
pub struct Pump<C, B, G, F> {
    parts: Parts<C, B, G, F>,
    /// Indexed by [`Side`].
    lanes: [Lane; 2],
    parked: Option<Box<Parked>>,
    flags: Flags,
    /// Registered with the handle.
    waker: Option<Waker>,
    /// The end of the millisecond in which was read last.
    now: Millis,
    /// When the timer will fire.
    armed: Option<Millis>,
    /// When bytes moved last.
    moved: Millis,
    /// When the client, of whom nothing more is read, is looked for again.
    look_at: Millis,
    /// Who ended first, and when.
    first_end: Option<(Side, Millis)>,
    closing: Option<Box<Result<(), GateError>>>,
    settled: bool,
}

impl<S: Stream, G: Gate, F: FactSink> Pump<S, S, G, F> {
    /// The client's stream and the broker's.
    pub fn streams(&mut self) -> [&mut S; 2] {
        [&mut self.parts.client, &mut self.parts.broker]
    }

    /// The same, taken apart.
    pub fn into_streams(self) -> [S; 2] {
        [self.parts.client, self.parts.broker]
    }
}

/// Ends the stream of a client that has not closed, which is given a moment to read its last bytes: closing with something
/// unread would reset the connection and could take them away.
pub async fn part(client: &mut impl Stream) {
    if client.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 64];
    let until_end = async { while matches!(client.read(&mut rest).await, Ok(number) if number > 0) {} };
    let _ = tokio::time::timeout(PARTING, until_end).await;
}

impl<C: Stream, B: Stream, G: Gate, F: FactSink> Pump<C, B, G, F> {
    /// A pump for a connection whose sockets are both open.
    pub fn new(parts: Parts<C, B, G, F>) -> Self {
        Pump {
            parts,
            lanes: [Lane::new(), Lane::new()],
            parked: None,
            flags: Flags::default(),
            waker: None,
            now: 0,
            armed: None,
            moved: 0,
            look_at: 0,
            first_end: None,
            closing: None,
            settled: true,
        }
    }

    /// Relays until the end, on a tokio runtime: for streams that are no plain sockets. Those stay open until
    /// [`Pump::part`], so that the fleet hears of the end first.
    pub async fn run(&mut self) -> Closed {
        // the pump counts its own turns (MAX_ROUNDS); being cut short by the runtime could lose a timer
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        tokio::task::unconstrained(poll_fn(|cx| {
            let mut closed = self.turn(self.parts.clock.now(), cx);
            while self.tell_parked() {
                closed = self.resume(self.parts.clock.now(), cx, false);
            }
            if let Some(closed) = closed {
                return Poll::Ready(*closed);
            }
            if let Some(at) = self.timer() {
                sleep.as_mut().reset(self.parts.clock.instant(at));
            }
            if self.armed.is_some() && sleep.as_mut().poll(cx).is_ready() {
                self.armed = None;
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }))
        .await
    }

    /// Ends both streams, see [`part`].
    pub async fn part(&mut self) {
        let _ = self.parts.broker.shutdown().await;
        if self.client_ended_first() {
            let _ = self.parts.client.shutdown().await;
        } else {
            part(&mut self.parts.client).await;
        }
    }

    /// Whether it was the client.
    pub fn client_ended_first(&self) -> bool {
        matches!(self.first_end, Some((Side::Client, _)))
    }

    /// The clock counts whole milliseconds, so this moment lies before the end of the present one. What begins now is timed
    /// from there: nothing is ever answered before its time.
    fn look_at_clock(&mut self) {
        self.pass_to(self.parts.clock.now());
    }

    /// It is not earlier than this by the clock.
    fn pass_to(&mut self, now: Millis) {
        self.now = self.now.max(now + 1);
    }

    /// Moves what can be moved now, until something has to be told ([`Pump::is_parked`]). `Some`: that was the end. The
    /// context's waker is called from other threads, and by streams that are no [`super::socket::Socket`]. `now` may lie a
    /// little back: it is for what is overdue.
    pub fn turn(&mut self, now: Millis, cx: &mut Context<'_>) -> Option<Box<Closed>> {
        if self.parked.is_some() {
            return if self.is_parked() { None } else { self.resume(now, cx, false) };
        }
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.parts.handle.register(cx.waker());
            self.waker = Some(cx.waker().clone());
        }
        self.pass_to(now);
        let closed = SCRATCH.with_borrow_mut(|scratch| self.relay(cx, scratch));
        self.lanes.iter_mut().for_each(Lane::trim);
        closed
    }

    /// Moves what can be moved now.
    fn relay(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Option<Box<Closed>> {
        // one that panicked has left its own behind
        scratch.clear();
        if self.heed_flags(scratch) && self.parks_orders(cx, scratch) {
            return None;
        }
        if self.heed_time(scratch) && self.parks_orders(cx, scratch) {
            return None;
        }
        for round in 1.. {
            // the first time something is there to be read, almost always
            if (round > 1 && self.rests()) || !self.move_some(cx, scratch) {
                self.stop_at_boundary();
                break;
            }
            self.moved = self.now;
            if !self.may_step() {
                break;
            }
            if round == MAX_ROUNDS {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if self.is_parked() {
            return None;
        }
        self.give_up_waiting(cx);
        self.finished(cx)
    }

    /// Nothing waits, and nothing is there to be read, as far as is known.
    fn rests(&self) -> bool {
        let may_have_more = self.parts.client.may_have_more() || self.parts.broker.may_have_more();
        !may_have_more && self.lanes.iter().all(Lane::flows)
    }

    /// A turn would find nothing to do: as far as is known, and without one that ends what is overdue.
    fn is_at_rest(&self) -> bool {
        let flags = self.parts.handle.flags();
        let told = flags == self.flags && !flags.asks_to_confirm() && !flags.stopping();
        let early = |at: Option<Millis>| at.is_none_or(|at| at >= self.now);
        told && self.closing.is_none() && self.rests() && early(self.armed) && early(self.parts.gate.next_timeout())
    }

    /// Writes what waits, and reads from each side. False if nothing could be done.
    fn move_some(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let mut moved = self.lanes.iter().any(|lane| lane.backlog() > 0) && self.flush(cx);
        for side in [Side::Client, Side::Broker] {
            moved |= self.may_step() && self.step(side, cx, scratch);
        }
        moved
    }

    fn may_step(&self) -> bool {
        self.closing.is_none() && self.parked.is_none()
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        let [client, broker] = &mut self.lanes;
        let before = client.written;
        let to_client = client.flush(&mut self.parts.client, cx);
        if client.written != before {
            self.parts.gate.flushed(client.written);
        }
        broker.flush(&mut self.parts.broker, cx) | to_client
    }

    /// Looks at the flags and tells the gate what has changed. What it orders is left to be carried out. False if nothing
    /// has changed.
    #[inline]
    fn heed_flags(&mut self, scratch: &mut Scratch) -> bool {
        let flags = self.parts.handle.flags();
        let changed = flags != self.flags || flags.asks_to_confirm();
        if changed {
            self.take_flags(flags, scratch);
        }
        changed
    }

    #[cold]
    fn take_flags(&mut self, mut flags: Flags, scratch: &mut Scratch) {
        self.look_at_clock();
        let confirm = flags.asks_to_confirm();
        if confirm {
            self.parts.handle.confirming();
            flags = self.parts.handle.flags();
        }
        let question = flags.asks().then(|| self.parts.handle.take_question()).flatten();
        if flags.asks() {
            flags = self.parts.handle.flags();
        }
        let before = std::mem::replace(&mut self.flags, flags);
        if flags.system() != before.system() {
            self.parts.gate.set_system(flags.system());
        }
        if flags.pauses() != before.pauses() && self.closing.is_none() {
            let paused = self.parts.handle.paused();
            self.parts.gate.pause(self.now, &paused, &mut scratch.actions);
        }
        if flags.stopping_now() {
            self.close(Ok(()));
        } else if flags.marked() != before.marked() && self.closing.is_none() {
            self.parts.gate.mark(self.now, flags.marked(), &mut scratch.actions);
        }
        if let Some(question) = question.filter(|_| self.closing.is_none()) {
            self.parts.gate.ask(question, &mut scratch.actions);
        }
        if confirm {
            scratch.actions.push(Action::Event(JobEvent::MarkTaken));
        }
    }

    /// From here on only what has been ordered is still written. The first reason counts.
    fn close(&mut self, result: Result<(), GateError>) {
        if self.closing.is_none() {
            self.closing = Some(Box::new(result));
            self.moved = self.now;
        }
    }

    /// The gate is leaving, and nothing is under way on this connection.
    fn stop_at_boundary(&mut self) {
        let half_way = |lane: &Lane| lane.backlog() > 0 || lane.hungry;
        if self.flags.stopping() && !self.lanes.iter().any(half_way) && self.parts.gate.at_safe_boundary() {
            self.close(Ok(()));
        }
    }

    fn lane(&mut self, side: Side) -> &mut Lane {
        &mut self.lanes[side as usize]
    }
}
