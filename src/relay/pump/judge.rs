//! From a socket through the gate to the other socket.

use super::super::lane::Input;
use super::news::{News, take_facts};
use super::{FactSink, Pump, READ, Scratch, Stream};
use crate::gate::{Action, Gate, GateError, Side};
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Read on so far from a side that the gate does not want to hear now, to notice its end.
pub(super) const HELD_LIMIT: usize = 16 * 1024;
/// Bytes that the gate may leave unconsumed while it wants more.
const CARRY_LIMIT: usize = 1 << 20;
/// Given to the kernel with one call, at most: what is left out of a read, or put in, makes two or three of it.
const PIECES: usize = 8;
/// Answers of the gate's own that may wait for a side that does not read, before it is not read either.
const ANSWERS_LIMIT: usize = 64 * 1024;

/// Pieces that go to one side in a row.
struct Row<'a> {
    to: Side,
    pieces: [IoSlice<'a>; PIECES],
    number: usize,
}

impl<'a> Row<'a> {
    fn to(to: Side) -> Row<'a> {
        Row { to, pieces: [IoSlice::new(&[]); PIECES], number: 0 }
    }

    /// False if it goes to the other side, or there is no room.
    fn push(&mut self, to: Side, piece: &'a [u8]) -> bool {
        let fits = to == self.to && self.number < PIECES;
        if fits {
            self.pieces[self.number] = IoSlice::new(piece);
            self.number += 1;
        }
        fits
    }
}

impl<C: Stream, B: Stream, G: Gate, F: FactSink> Pump<C, B, G, F> {
    /// Reads from one side and lets the gate judge, or tells the gate that the side has ended. False if nothing could
    /// be done.
    #[inline]
    pub(super) fn step(&mut self, side: Side, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let may_have_more = match side {
            Side::Client => self.parts.client.may_have_more(),
            Side::Broker => self.parts.broker.may_have_more(),
        };
        // nothing to do otherwise: almost always of one of the two
        (may_have_more || !self.lane(side).flows()) && self.try_step(side, cx, scratch)
    }

    fn try_step(&mut self, side: Side, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let wants = self.parts.gate.wants(side);
        let blocked = self.lane(side.other()).backlog() > 0 || self.lane(side).backlog() > ANSWERS_LIMIT;
        let lane = self.lane(side);
        let kept = lane.carried().len();
        if kept > 0 && wants && !lane.hungry {
            if !blocked {
                self.judge(side, cx, scratch, wants, 0);
            }
            return !blocked;
        }
        match lane.input {
            Input::Told => return false,
            Input::Ended => {
                self.ended(side, cx, scratch);
                return true;
            }
            // nobody is there to hear the answers: what is held back will never matter
            Input::Open if lane.is_dead() && !wants => {
                lane.input = Input::Ended;
                return true;
            }
            Input::Open => (),
        }
        let room = if wants { READ } else { HELD_LIMIT.saturating_sub(kept) };
        if blocked {
            return false;
        }
        if room == 0 {
            return side == Side::Client && self.look_for_end(cx, scratch);
        }
        match self.read(side, cx, scratch, kept, room) {
            Poll::Pending => return false,
            // told before the other side is read again: what the broker has just handed out for a client that is gone
            // must not be written to it
            Poll::Ready(0) => self.ended(side, cx, scratch),
            Poll::Ready(read) => self.judge(side, cx, scratch, wants, read),
        }
        true
    }

    /// Reads behind the place of the `kept` bytes. 0 is the end, however it came.
    fn read(
        &mut self,
        side: Side,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        kept: usize,
        room: usize,
    ) -> Poll<usize> {
        scratch.hold(kept + room);
        let mut into = ReadBuf::new(&mut scratch.buffer[kept..kept + room]);
        let result = match side {
            Side::Client => Pin::new(&mut self.parts.client).poll_read(cx, &mut into),
            Side::Broker => Pin::new(&mut self.parts.broker).poll_read(cx, &mut into),
        };
        let read = into.filled().len();
        let failed = ready!(result).is_err();
        self.look_at_clock();
        if failed {
            return Poll::Ready(0);
        }
        match side {
            Side::Client => self.parts.meter.from_client(read),
            Side::Broker => self.parts.meter.from_broker(read),
        }
        Poll::Ready(read)
    }

    /// Presents what was carried with the `read` bytes behind it, as marked at this moment, and carries the verdict
    /// out. What the gate does not consume, or does not want to hear now, is carried on.
    fn judge(&mut self, side: Side, cx: &mut Context<'_>, scratch: &mut Scratch, mut wants: bool, read: usize) {
        if self.heed_flags(scratch) {
            self.carry_out_orders(cx, scratch);
            if self.closing.is_some() {
                return;
            }
            wants = self.parts.gate.wants(side);
        }
        let lane = &mut self.lanes[side as usize];
        let kept = lane.carried().len();
        let whole = kept + read;
        if !wants {
            lane.carry(&scratch.buffer[kept..whole]);
            lane.hungry = false;
            return;
        }
        if kept > 0 {
            scratch.hold(whole);
            scratch.buffer[..kept].copy_from_slice(lane.carried());
            lane.unload();
        }
        let input = &scratch.buffer[..whole];
        let consumed = self.parts.gate.input(self.now, side, input, &mut scratch.actions).min(whole);
        match self.news(&scratch.actions) {
            News::None => self.act(cx, &scratch.actions, side, input),
            news if self.park(cx, side, scratch, news, consumed, whole) => return,
            _ => self.carry_out(cx, scratch, side, whole),
        }
        scratch.clear();
        self.keep(side, &scratch.buffer[..whole], consumed);
        scratch.trim();
    }

    /// Carries on what the gate has not consumed of its input.
    #[inline]
    pub(super) fn keep(&mut self, side: Side, input: &[u8], consumed: usize) {
        let lane = &mut self.lanes[side as usize];
        lane.hungry = false;
        if consumed < input.len() {
            self.keep_rest(side, &input[consumed..]);
        }
    }

    #[cold]
    fn keep_rest(&mut self, side: Side, rest: &[u8]) {
        let lane = &mut self.lanes[side as usize];
        lane.carry(rest);
        lane.hungry = self.parts.gate.wants(side);
        if lane.carried().len() > CARRY_LIMIT {
            let what = format!("{} bytes that make no whole", lane.carried().len());
            self.close(Err(GateError::OutOfStep { side, what }));
        }
    }

    /// A side has ended. What it sent before and the gate did not want so far may be wanted now; else the end is told.
    pub(super) fn ended(&mut self, side: Side, cx: &mut Context<'_>, scratch: &mut Scratch) {
        let lane = self.lane(side);
        lane.input = Input::Ended;
        if !lane.carried().is_empty() && !lane.hungry && !self.parts.gate.wants(side) {
            self.parts.gate.ending(self.now, side, &mut scratch.actions);
            self.carry_out(cx, scratch, side, 0);
            if self.closing.is_some() || self.parts.gate.wants(side) {
                return;
            }
        }
        self.tell_end(side, cx, scratch);
    }

    pub(super) fn tell_end(&mut self, side: Side, cx: &mut Context<'_>, scratch: &mut Scratch) {
        self.heed_flags(scratch);
        self.carry_out_orders(cx, scratch);
        if self.closing.is_some() {
            return;
        }
        let now = self.now;
        self.first_end.get_or_insert((side, now));
        let lane = self.lane(side);
        lane.input = Input::Told;
        lane.unload();
        lane.hungry = false;
        if side == Side::Client && lane.backlog() > 0 {
            // the gate takes what lies beyond `written` as never delivered: so it must not be
            lane.kill();
        }
        let written = self.lane(Side::Client).written;
        self.parts.gate.end(now, side, written, &mut scratch.actions);
        self.carry_out(cx, scratch, side, 0);
        if side == Side::Broker {
            self.close(Ok(()));
        }
    }

    /// Carries out what the gate ordered without having read anything.
    pub(super) fn carry_out_orders(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) {
        if !scratch.actions.is_empty() {
            self.carry_out(cx, scratch, Side::Client, 0);
        }
    }

    /// Carries out what the gate ordered about the first `whole` bytes of the buffer, which `from` sent. All facts are told
    /// first, together: each telling is a turn with the fleet, and a line in the journal.
    pub(super) fn carry_out(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch, from: Side, whole: usize) {
        let news = self.news(&scratch.actions);
        if news > News::None {
            if news == News::Job {
                self.look_before_delivery(false);
            }
            self.parts.facts.events(take_facts(&mut scratch.actions));
        }
        self.act(cx, &scratch.actions, from, &scratch.buffer[..whole]);
        scratch.actions.clear();
    }

    /// The rest of [`Pump::carry_out`].
    pub(super) fn act(&mut self, cx: &mut Context<'_>, actions: &[Action], from: Side, input: &[u8]) {
        let before = self.lane(Side::Client).written;
        // facts come first, most often, or what is left in their place
        let is_fact = |action: &Action| match action {
            Action::Event(_) => true,
            Action::Forward(range) => range.is_empty(),
            _ => false,
        };
        let to_do = &actions[actions.iter().position(|action| !is_fact(action)).unwrap_or(actions.len())..];
        match to_do {
            // almost always
            [Action::Forward(range)] => self.send(cx, from.other(), input.get(range.clone()).unwrap_or_default()),
            [Action::Send { to, bytes }] => self.send(cx, *to, bytes),
            _ => self.act_in_order(cx, to_do, from, input),
        }
        let written = self.lane(Side::Client).written;
        if written != before {
            self.parts.gate.flushed(written);
        }
    }

    /// What goes to one side without anything to the other in between becomes one write.
    fn act_in_order(&mut self, cx: &mut Context<'_>, actions: &[Action], from: Side, input: &[u8]) {
        let mut row = Row::to(from.other());
        for action in actions {
            let (to, piece) = match action {
                // to be told, or behind the end
                Action::Event(_) => continue,
                Action::Forward(range) => (from.other(), input.get(range.clone()).unwrap_or_default()),
                Action::Send { to, bytes } => (*to, &bytes[..]),
                Action::Close(result) => {
                    self.close(result.clone());
                    break;
                }
            };
            // one that is empty was a fact
            if !piece.is_empty() && !row.push(to, piece) {
                self.send_row(cx, &row);
                row = Row::to(to);
                row.push(to, piece);
            }
        }
        self.send_row(cx, &row);
    }

    fn send_row(&mut self, cx: &mut Context<'_>, row: &Row<'_>) {
        let lane = &mut self.lanes[row.to as usize];
        match (&row.pieces[..row.number], row.to) {
            ([], _) => (),
            ([piece], to) => self.send(cx, to, piece),
            (pieces, Side::Client) => lane.send_all(&mut self.parts.client, cx, pieces),
            (pieces, Side::Broker) => lane.send_all(&mut self.parts.broker, cx, pieces),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, to: Side, bytes: &[u8]) {
        let lane = &mut self.lanes[to as usize];
        match to {
            Side::Client => lane.send(&mut self.parts.client, cx, bytes),
            Side::Broker => lane.send(&mut self.parts.broker, cx, bytes),
        }
    }
}
