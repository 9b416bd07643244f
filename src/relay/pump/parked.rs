//! A read with facts in it waits, judged and not yet written, until the facts of all connections of the thread that have
//! any have been told together: one turn with the fleet and one write to the journal for all of them, and, if a job is among
//! them that would be lost with its client, one question to the kernel who has left meanwhile. See `super::super::reactor`.
//! That a fetch was asked may be told after its bytes were written: nothing else happens on the connection until then, and a
//! mark is in force only when the connection has said so after that.

use super::news::{News, take_facts};
use super::{Closed, FactSink, Pump, SCRATCH, Scratch, Stream};
use crate::gate::{Action, Gate, Side};
use crate::job::{ConnId, JobEvent, Millis};
use std::task::Context;

/// Larger reads do not wait: they would have to be copied, and bring facts enough to be told by themselves.
const PARK: usize = 4 * 1024;

/// So long a client's answer waits until it is known whose the connection is, at most.
const WAIT: Millis = 1_000;

/// Kept for the next reads, with their room.
const SPARE: usize = 64;

/// What is left to do of a read.
pub(super) struct Parked {
    from: Side,
    /// What was presented to the gate; nothing if it has ordered something by itself, or if the bytes are out.
    input: Vec<u8>,
    /// How much of it the gate has consumed.
    consumed: usize,
    /// What the gate has ordered. The facts are taken by [`Pump::hand_over`].
    actions: Vec<Action>,
    /// What is among them.
    news: News,
    /// All but the facts has been done.
    done: bool,
    /// The facts have been told, but the rest waits until it is known whose the connection is: until then at most.
    pub(super) until: Option<Millis>,
}

impl Parked {
    fn new() -> Parked {
        let (input, actions) = (Vec::new(), Vec::new());
        Parked { from: Side::Client, input, consumed: 0, actions, news: News::None, done: false, until: None }
    }
}

impl Scratch {
    /// Keeps the room of one that is not parked any more.
    fn keep_spare(&mut self, mut parked: Box<Parked>) {
        if self.spare.len() < SPARE {
            parked.input.clear();
            parked.actions.clear();
            self.spare.push(parked);
        }
    }
}

impl<C: Stream, B: Stream, G: Gate, F: FactSink> Pump<C, B, G, F> {
    /// Whether a read waits for its facts to be told: [`Pump::hand_over`] them, then [`Pump::resume`]. Nothing else
    /// happens on this connection until then.
    pub fn is_parked(&self) -> bool {
        self.parked.as_ref().is_some_and(|parked| parked.until.is_none())
    }

    /// The facts that wait, in their order behind what is there. True if a job is handed over next, which would be lost with
    /// a client that has left.
    pub fn hand_over(&mut self, facts: &mut Vec<(ConnId, JobEvent)>) -> bool {
        let Some(parked) = &mut self.parked else { return false };
        take_facts(&mut parked.actions).for_each(|fact| self.parts.facts.hand_over(fact, facts));
        parked.news == News::Job
    }

    /// The facts have been told: does what is left of the read, and goes on as [`Pump::turn`] does. `asked`: both streams
    /// know of an end that the kernel knew of when the facts had been told.
    pub fn resume(&mut self, now: Millis, cx: &mut Context<'_>, asked: bool) -> Option<Box<Closed>> {
        if self.waits(now) {
            return None;
        }
        let Some(parked) = self.parked.take() else { return self.turn(now, cx) };
        debug_assert!(News::among(&parked.actions) == News::None, "handed over before");
        self.pass_to(now);
        if parked.news == News::Job {
            self.look_before_delivery(asked);
        }
        if !parked.done {
            self.act(cx, &parked.actions, parked.from, &parked.input);
        }
        if !parked.input.is_empty() {
            self.keep(parked.from, &parked.input, parked.consumed);
        }
        let closed = SCRATCH.with_borrow_mut(|scratch| {
            scratch.keep_spare(parked);
            if self.is_at_rest() { None } else { self.relay(cx, scratch) }
        });
        self.lanes.iter_mut().for_each(super::Lane::trim);
        closed
    }

    /// What has been told is of a job, and it is not known yet whose the connection is: see [`crate::fleet::Effect::Wait`].
    fn waits(&mut self, now: Millis) -> bool {
        let Some(parked) = &mut self.parked else { return false };
        if !self.parts.handle.flags().waits() || *parked.until.get_or_insert(now + WAIT) <= now {
            return false;
        }
        self.armed = self.armed.filter(|at| *at > now);
        true
    }

    /// Tells the facts that wait without those of others. False if none do.
    pub(super) fn tell_parked(&mut self) -> bool {
        if let Some(parked) = &mut self.parked {
            self.parts.facts.events(take_facts(&mut parked.actions));
        }
        self.is_parked()
    }

    /// What the gate ordered without having read anything waits like a read if there are facts in it: a drain or a
    /// time-out may concern thousands of connections. Else it is carried out, and this is false.
    pub(super) fn parks_orders(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let news = self.news(&scratch.actions);
        let parked = news > News::None && self.park(cx, Side::Client, scratch, news, 0, 0);
        if !parked {
            self.carry_out_orders(cx, scratch);
        }
        parked
    }

    /// Puts a read aside that has facts to tell. False if it is too large.
    pub(super) fn park(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        scratch: &mut Scratch,
        news: News,
        consumed: usize,
        whole: usize,
    ) -> bool {
        if whole > PARK {
            return false;
        }
        let mut parked = scratch.spare.pop().unwrap_or_else(|| Box::new(Parked::new()));
        std::mem::swap(&mut parked.actions, &mut scratch.actions);
        (parked.from, parked.consumed, parked.news, parked.until) = (from, consumed, news, None);
        parked.done = whole > 0 && news == News::Asked;
        let input = &scratch.buffer[..whole];
        if parked.done {
            self.act(cx, &parked.actions, from, input);
            self.keep(from, input, consumed);
        } else {
            parked.input.extend_from_slice(input);
        }
        self.parked = Some(parked);
        true
    }
}
