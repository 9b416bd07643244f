//! A read with facts in it waits, judged and not yet written, until the facts of all connections of the thread that have
//! any have been told together: one turn with the fleet and one write to the journal for all of them, and one question to
//! the kernel who has left meanwhile. See `super::super::reactor`. That a fetch was asked may be told behind its bytes: nothing
//! else happens on the connection until then, and a mark is in force only when the connection has said so behind that.

use super::{Closed, FactSink, Pump, SCRATCH, Scratch, Stream};
use crate::gate::{Action, Gate, Side};
use crate::job::{ConnId, JobEvent};
use std::task::Context;

/// Larger reads do not wait: they would have to be copied, and bring facts enough to be told by themselves.
const PARK: usize = 4 * 1024;

/// Kept for the next reads, with their room.
const SPARE: usize = 64;

/// What is left to do of a read.
pub(super) struct Parked {
    from: Side,
    /// What was presented to the gate; nothing if it has ordered something by itself, or if the bytes are out.
    input: Vec<u8>,
    /// How much of it the gate has consumed.
    consumed: usize,
    /// What the gate has ordered, without the facts.
    actions: Vec<Action>,
    /// Taken by [`Pump::hand_over`].
    events: Vec<JobEvent>,
    /// A job is among the facts.
    delivers: bool,
}

impl Parked {
    fn new() -> Parked {
        let (input, actions, events) = (Vec::new(), Vec::new(), Vec::new());
        Parked { from: Side::Client, input, consumed: 0, actions, events, delivers: false }
    }
}

impl<C: Stream, B: Stream, G: Gate, F: FactSink> Pump<C, B, G, F> {
    /// Whether a read waits for its facts to be told: [`Pump::hand_over`] them, then [`Pump::resume`]. Nothing else
    /// happens on this connection until then.
    pub fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// The facts that wait, in their order behind what is there.
    pub fn hand_over(&mut self, facts: &mut Vec<(ConnId, JobEvent)>) {
        if let Some(parked) = &mut self.parked {
            self.parts.facts.hand_over(&mut parked.events, facts);
        }
    }

    /// The facts have been told: does what is left of the read, and goes on as [`Pump::turn`] does. `asked`: both streams
    /// know of an end that the kernel knew of when the facts had been told.
    pub fn resume(&mut self, cx: &mut Context<'_>, asked: bool) -> Option<Closed> {
        let Some(mut parked) = self.parked.take() else { return self.turn(cx) };
        debug_assert!(parked.events.is_empty(), "handed over before");
        self.look_at_clock();
        let closed = SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            std::mem::swap(&mut scratch.actions, &mut parked.actions);
            let (from, consumed, whole) = (parked.from, parked.consumed, parked.input.len());
            scratch.hold(whole);
            scratch.buffer[..whole].copy_from_slice(&parked.input);
            if parked.delivers {
                self.look_before_delivery(asked);
            }
            if scratch.spare.len() < SPARE {
                scratch.spare.push(parked);
            }
            self.act(cx, scratch, from, whole);
            if whole > 0 {
                self.keep(from, scratch, consumed, whole);
            }
            self.relay(cx, scratch)
        });
        self.lanes.iter_mut().for_each(super::Lane::trim);
        closed
    }

    /// Tells the facts that wait without those of others. False if none do.
    pub(super) fn tell_parked(&mut self) -> bool {
        if let Some(parked) = &mut self.parked {
            self.parts.facts.events(&mut parked.events);
            parked.events.clear();
        }
        self.is_parked()
    }

    /// What the gate ordered without having read anything waits like a read if there are facts in it: a drain or a
    /// time-out may concern thousands of connections. Else it is carried out, and this is false.
    pub(super) fn parks_orders(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let parked = !scratch.actions.is_empty() && self.park(cx, Side::Client, scratch, 0, 0);
        if !parked {
            self.carry_out_orders(cx, scratch);
        }
        parked
    }

    /// Puts a read aside that has facts to tell. False if it has none, or is too large.
    pub(super) fn park(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        scratch: &mut Scratch,
        consumed: usize,
        whole: usize,
    ) -> bool {
        if whole > PARK || !scratch.take_events() {
            return false;
        }
        let mut parked = scratch.spare.pop().unwrap_or_else(|| Box::new(Parked::new()));
        parked.from = from;
        parked.input.clear();
        parked.delivers = scratch.delivers();
        std::mem::swap(&mut parked.events, &mut scratch.events);
        if whole > 0 && parked.events.iter().all(|event| matches!(event, JobEvent::FetchAsked { .. })) {
            self.act(cx, scratch, from, whole);
            self.keep(from, scratch, consumed, whole);
        } else {
            parked.input.extend_from_slice(&scratch.buffer[..whole]);
            parked.consumed = consumed;
            std::mem::swap(&mut parked.actions, &mut scratch.actions);
        }
        scratch.clear();
        self.parked = Some(parked);
        true
    }
}

impl Scratch {
    /// Takes the facts out of the actions. False if there are none.
    pub(super) fn take_events(&mut self) -> bool {
        let mut closed = false;
        let facts = self.actions.extract_if(.., |action| {
            closed |= matches!(action, Action::Close(_));
            !closed && matches!(action, Action::Event(_))
        });
        let facts = facts.filter_map(|action| if let Action::Event(event) = action { Some(event) } else { None });
        self.events.extend(facts);
        !self.events.is_empty()
    }

    /// Whether a job is among the facts.
    pub(super) fn delivers(&self) -> bool {
        self.events.iter().any(|event| matches!(event, JobEvent::Delivered(_) | JobEvent::Taken(_)))
    }
}
