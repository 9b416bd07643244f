//! What a pump waits for, and how long: the gate's own time-outs, a gate that has to settle something after its client
//! has gone, and last bytes that a socket does not take.

use super::super::lane::Input;
use super::judge::HELD_LIMIT;
use super::{Closed, FactSink, Pump, Scratch, Stream};
use crate::fleet::ClosedBy;
use crate::gate::{Gate, Side};
use crate::job::Millis;
use std::task::Context;

/// Silence after which a gate that does not close after its client's end is not waited for.
const LINGER: Millis = 30_000;
/// The same of one that may still get a job (a broker that stands still does what it was asked when it goes on), and of any,
/// however much the broker goes on talking.
const LINGER_AT_MOST: Millis = 600_000;
/// Silence after which a client that has ended is not written to any more.
const STALL: Millis = 5_000;
/// How often it is looked whether a client is still there of whom nothing more is read.
const LOOK_EVERY: Millis = 1_000;
/// Silence after which last bytes that nobody takes are thrown away.
const FLUSH: Millis = 10_000;

impl<C: Stream, B: Stream, G: Gate, F: FactSink> Pump<C, B, G, F> {
    /// Lets the gate know when its time is over. What it orders is left to be carried out. False if it is not.
    pub(super) fn heed_time(&mut self, scratch: &mut Scratch) -> bool {
        if self.armed.is_some_and(|at| at < self.now) {
            self.armed = None;
        }
        let over = self.closing.is_none() && self.parts.gate.next_timeout().is_some_and(|at| at < self.now);
        if over {
            self.parts.gate.timeout(self.now, &mut scratch.actions);
        }
        over
    }

    /// Nothing more is read of the client, because it has pipelined enough behind what the gate holds: its end would not be
    /// noticed by reading. True if it has left.
    pub(super) fn look_for_end(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        if self.now < self.look_at {
            return false;
        }
        self.look_at = self.now + LOOK_EVERY;
        if !self.parts.client.peer_has_left() {
            return false;
        }
        self.parts.gate.ending(self.now, Side::Client, &mut scratch.actions);
        self.carry_out(cx, scratch, Side::Client, 0);
        if self.closing.is_none() && !self.parts.gate.wants(Side::Client) {
            self.tell_end(Side::Client, cx, scratch);
        }
        true
    }

    /// A job is about to be handed over: what is written to a client that has left would be lost with it. Its end is told
    /// in its turn, and the gate then finds that the job was not written.
    /// `asked`: see [`Pump::resume`].
    pub(super) fn look_before_delivery(&mut self, asked: bool) {
        let client = &self.parts.client;
        let has_left = || if asked { client.peer_is_leaving() } else { client.peer_has_left() };
        if self.lanes[Side::Client as usize].input == Input::Open && has_left() {
            self.lane(Side::Client).kill();
        }
    }

    /// Ends what has been waited for long enough after the client's end.
    pub(super) fn give_up_waiting(&mut self, cx: &mut Context<'_>) {
        if self.closing.is_some() || self.lane(Side::Client).input != Input::Told {
            return;
        }
        let silent = self.now.saturating_sub(self.moved);
        let since_end = self.first_end.map_or(0, |(_, at)| self.now.saturating_sub(at));
        if silent >= STALL && self.lane(Side::Client).backlog() > 0 {
            self.lane(Side::Client).kill();
            self.moved = self.now;
            cx.waker().wake_by_ref(); // the broker can be read again
        } else if silent >= self.linger() || since_end >= LINGER_AT_MOST {
            self.settled = false;
            self.close(Ok(()));
        }
    }

    /// For how long a broker may be silent after the client's end.
    fn linger(&self) -> Millis {
        if self.parts.gate.may_get_job() { LINGER_AT_MOST } else { LINGER }
    }

    /// Closing, and all that was ordered has been written or waited for in vain.
    pub(super) fn finished(&mut self, cx: &mut Context<'_>) -> Option<Box<Closed>> {
        self.closing.as_ref()?;
        self.flush(cx);
        let full = self.lanes.iter().any(|lane| lane.backlog() > 0);
        if full && !self.flags.stopping_now() && self.now.saturating_sub(self.moved) < FLUSH {
            return None;
        }
        let error = self.closing.take().and_then(|why| why.err());
        let by = match self.first_end {
            _ if error.is_some() => ClosedBy::Gate,
            Some((Side::Client, _)) if self.parts.gate.broker_leaves() => ClosedBy::Broker,
            Some((Side::Client, _)) => ClosedBy::Client,
            Some((Side::Broker, _)) => ClosedBy::Broker,
            None => ClosedBy::Gate,
        };
        let [client, broker] = &self.lanes;
        let (to_client, to_broker) = (client.written, broker.written);
        Some(Box::new(Closed { by, error, settled: self.settled, to_client, to_broker }))
    }

    /// When the timer is to be set, if it would fire too late. One that fires too early finds nothing to do, which costs
    /// less than setting it anew for every command.
    pub fn timer(&mut self) -> Option<Millis> {
        // a gate whose time-out is always due must not make this spin
        let due = self.deadline()?.max(self.now + 1);
        if self.armed.is_some_and(|at| at <= due) {
            return None;
        }
        self.armed = Some(due);
        Some(due)
    }

    fn deadline(&mut self) -> Option<Millis> {
        if let Some(parked) = &self.parked {
            return parked.until;
        }
        if self.closing.is_some() {
            return Some(self.moved + FLUSH);
        }
        let of_gate = self.parts.gate.next_timeout();
        let client = self.lane(Side::Client);
        if client.flows() {
            return of_gate;
        }
        let unread = client.input == Input::Open && client.carried().len() >= HELD_LIMIT;
        if client.input != Input::Told {
            let look = (unread && !self.parts.gate.wants(Side::Client)).then_some(self.look_at);
            return [of_gate, look].into_iter().flatten().min();
        }
        let patience = if client.backlog() > 0 { STALL } else { self.linger() };
        Some(of_gate.unwrap_or(Millis::MAX).min(self.moved + patience))
    }
}
