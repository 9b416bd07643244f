//! Holding, slicing, delivering and putting back: the life of a fetch.
//!
//! ```text
//!              ┌────────────── undrain ──────────────┐
//! asked ──▶ at the broker ──slice ends, marked──▶ held by the gate ──client's own time-out──▶ empty
//!   │          ├─ slice ends, not marked: the next slice      ▲
//!   │          ├─ element ──▶ delivered (put back if the client has gone)
//!   │          └─ error, own time-out ──▶ passed on           │
//!   └────────────────── marked ───────────────────────────────┘
//! ```
//! The broker's answer is authoritative: nothing is answered for it while a fetch is there.

use super::broker::Current;
use super::client::ClientAt;
use super::encode::encode;
use super::leaves::Leaves;
use super::owed::{Fetch, Owed};
use super::pop::{Pop, Wait};
use super::session::ReplyMode;
use super::undo::{PutBack, not_handed_out};
use super::{Mode, RespGate};
use crate::dialect;
use crate::gate::{Action, Gate, Side};
use crate::job::{Fate, FetchEnd, JobEvent, JobKey, Millis, Place};
use bytes::Bytes;
use std::sync::Arc;

/// Fetches that wait longer than this go to the broker in slices.
const SLICE_OVER: Millis = 2_000;
/// By how many tenths a slice may be shorter: the first of a fetch by half, so that workers which all began to wait at once
/// (after a restart, after an undrain) do not have their slices end at once for a minute.
const SPREAD_FIRST: Millis = 5;
const SPREAD: Millis = 1;
/// With less than this left a fetch is not sent to the broker once more.
const REST_MIN: Millis = 10;

impl RespGate {
    /// A fetch arrived. True if it is to be forwarded as it is.
    pub(super) fn ask(&mut self, now: Millis, pop: Arc<Pop>, takes_due: bool, out: &mut Vec<Action>) -> bool {
        let wait = pop.wait();
        let blocking = wait.is_some();
        if blocking && !self.owed.only_skips() {
            return self.wait_for_turn(now);
        }
        if pop.name() == b"xreadgroup" {
            self.takes_up(false, out);
            // who moves due jobs to a stream on the connection that it reads the stream on has moved them by now
            let moved = std::mem::take(&mut self.memory.took_due);
            out.extend(moved.then_some(Action::Event(JobEvent::SchedulerReturned)));
        }
        self.memory.took_due |= takes_due;
        let refused = self.refuses(&pop);
        let place = if refused { Place::Gate } else { Place::Broker };
        if !takes_due {
            self.tell_before_fetch(out);
        }
        let queues = self.queues_of(&pop);
        let list = self.private_list(&pop);
        if pop.stays_pending() || list.is_some() {
            out.push(Action::Event(JobEvent::Acknowledges));
        }
        if let Some(list) = list {
            self.memory.lists.add(&list);
        }
        out.push(Action::Event(JobEvent::FetchAsked { place, queues, blocking }));
        if refused && !blocking {
            out.push(Action::Event(JobEvent::FetchAnswered { from: Place::Gate, end: FetchEnd::Empty, blocking }));
            self.owed.push(Owed::Nothing(pop.empty()));
            self.settle_front(out);
            return false;
        }
        let deadline = match wait {
            Some(Wait::Ms(ms)) => Some(now.saturating_add(ms)),
            Some(Wait::Forever) | None => None,
        };
        let long = matches!(wait, Some(Wait::Forever)) || deadline.is_some_and(|d| d > now + SLICE_OVER);
        let fetch = Fetch { pop, deadline, sliced: long, takes_due, left_out: None };
        if refused {
            self.hold(now, fetch);
            return false;
        }
        if long {
            self.send_slice(now, SPREAD_FIRST, fetch, out);
            return false;
        }
        self.asked |= blocking;
        self.forward_fetch(fetch, out)
    }

    /// What the worker's job system says by asking for a job. Said later if it becomes known while the worker waits.
    pub(super) fn tell_before_fetch(&mut self, out: &mut Vec<Action>) {
        self.dialects(out, |memory, events| dialect::asks(memory, events));
    }

    /// The command comes again when the replies before it have come. Not to be forwarded now.
    pub(super) fn wait_for_turn(&mut self, now: Millis) -> bool {
        self.client = ClientAt::Waiting;
        self.waiting_since = now;
        false
    }

    fn hold(&mut self, now: Millis, fetch: Fetch) {
        self.broker_quiet_since = now;
        self.held = Some(Box::new(fetch));
    }

    /// Sends the fetch to the broker for as long as one slice, or what is left.
    fn send_slice(&mut self, now: Millis, spread: Millis, mut fetch: Fetch, out: &mut Vec<Action>) {
        let left = fetch.deadline.map_or(Millis::MAX, |d| d.saturating_sub(now));
        let ms = self.jittered_slice(now, spread).min(left);
        fetch.sliced = true;
        let slice = self.slice(&mut fetch, ms);
        self.send(Side::Broker, slice, out);
        self.asked = true;
        self.owed.push(Owed::Fetch(fetch));
    }

    /// A slice, or up to so many tenths of it less: many workers must not come back to the broker in step.
    fn jittered_slice(&self, now: Millis, spread: Millis) -> Millis {
        let mixed = (self.memory.seed ^ now).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
        self.settings.slice * (10_240 - spread * (1_024 - mixed)) / 10_240
    }

    /// Whether too little is left of a fetch's time-out for asking the broker once more.
    fn is_short(&self, fetch: &Fetch, now: Millis) -> bool {
        let least = if self.whole_seconds && !fetch.pop.waits_in_ms() { 1_000 } else { REST_MIN };
        fetch.deadline.is_some_and(|d| d < now + least)
    }

    /// A mark or a pause was lifted: a held fetch that nothing refuses any more is served at once with what is left of its
    /// time-out.
    pub(super) fn resume(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.held.as_ref().is_none_or(|fetch| self.refuses(&fetch.pop)) {
            return;
        }
        let Some(fetch) = self.held.take() else { return };
        if self.is_short(&fetch, now) {
            self.held = Some(fetch);
            return;
        }
        out.push(Action::Event(JobEvent::FetchMoved { to: Place::Broker }));
        self.send_slice(now, SPREAD_FIRST, *fetch, out);
    }

    /// The broker had nothing within a slice, or refused it.
    pub(super) fn slice_over(&mut self, now: Millis, fetch: Fetch, out: &mut Vec<Action>) {
        self.asked = false;
        let over = fetch.deadline.is_some_and(|d| now >= d);
        if std::mem::take(&mut self.rejudge) && self.is_fetch(&fetch.pop) && !fetch.takes_due {
            self.tell_before_fetch(out);
        }
        if self.mode == Mode::Orphaned {
            self.answered(Place::Broker, FetchEnd::Vanished, true, out);
        } else if over {
            self.answered(Place::Broker, FetchEnd::Empty, true, out);
            let nothing = fetch.pop.empty().reply(self.session.proto);
            self.send(Side::Client, nothing, out);
        } else if (self.refuses(&fetch.pop) && self.is_fetch(&fetch.pop)) || self.is_short(&fetch, now) {
            out.push(Action::Event(JobEvent::FetchMoved { to: Place::Gate }));
            self.hold(now, fetch);
        } else {
            self.send_slice(now, SPREAD, fetch, out);
        }
    }

    /// The worker's job system has become known: what was taken for a fetch goes to the broker if it is none.
    pub(super) fn release_if_no_fetch(&mut self, now: Millis, out: &mut Vec<Action>) {
        let Some(fetch) = self.held.take_if(|f| f.deadline.is_none_or(|d| now < d)) else { return };
        if !self.refuses(&fetch.pop) || self.is_fetch(&fetch.pop) {
            self.held = Some(fetch);
            return;
        }
        self.answered(Place::Gate, FetchEnd::Empty, true, out);
        let command = match fetch.deadline {
            Some(deadline) => fetch.pop.slice(deadline - now, self.whole_seconds),
            None => encode(fetch.pop.args()),
        };
        self.send(Side::Broker, command, out);
        self.owed.push(Owed::Blocking);
    }

    /// Answers a held fetch whose own time-out is over.
    pub(super) fn answer_overdue(&mut self, now: Millis, out: &mut Vec<Action>) {
        let speaking = self.is_broker_speaking();
        let overdue = |f: &mut Box<Fetch>| !speaking && f.deadline.is_some_and(|d| now >= d);
        let Some(fetch) = self.held.take_if(overdue) else { return };
        self.answered(Place::Gate, FetchEnd::Empty, true, out);
        let nothing = fetch.pop.empty().reply(self.session.proto);
        self.send(Side::Client, nothing, out);
    }

    pub(super) fn answered(&mut self, from: Place, end: FetchEnd, blocking: bool, out: &mut Vec<Action>) {
        out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking }));
    }

    /// The client has gone. What the broker handed out for it and it did not get goes back; what it asked for is
    /// settled; then the connection closes.
    pub(super) fn client_gone(&mut self, now: Millis, written: u64, out: &mut Vec<Action>) {
        self.mode = Mode::Orphaned;
        self.dialects(out, |memory, events| dialect::closed(memory, true, events));
        if self.held.take().is_some() {
            self.answered(Place::Gate, FetchEnd::Vanished, true, out);
        }
        if self.asked {
            out.push(Action::Event(JobEvent::FetchOrphaned));
        }
        self.flushed(written);
        // the last one first, so that they stand in their old order again
        for retained in std::mem::take(&mut self.retained).into_iter().rev() {
            let (leaves, keys) = retained.brought.into_parts();
            match &retained.pop {
                Some(pop) => self.put_back(now, pop, &leaves, retained.overflow, keys, out),
                None => not_handed_out(keys, Fate::Kept, out),
            }
        }
        if let (Some(Current::Read), Some(reading)) = (self.current, &mut self.reading) {
            reading.raise_max(super::reply::ORPHAN_MAX);
        }
        self.settle_orphan(out);
    }

    /// Pushes an element back at the end it came from, on the same broker connection (right database, user, ACL).
    pub(super) fn put_back(
        &mut self,
        now: Millis,
        pop: &Pop,
        leaves: &Leaves,
        overflow: bool,
        keys: Vec<JobKey>,
        out: &mut Vec<Action>,
    ) {
        if pop.stays_pending() {
            return not_handed_out(keys, Fate::Kept, out);
        }
        // in the middle of a command of the client's nothing can be sent any more
        let commands = if overflow || !self.client.at_boundary() { None } else { pop.put_back(leaves, now) };
        let Some(commands) = commands else {
            return out.push(Action::Event(JobEvent::Orphan(Fate::Lost)));
        };
        if self.session.transaction.take().is_some() {
            self.send(Side::Broker, Bytes::from_static(b"*1\r\n$7\r\nDISCARD\r\n"), out);
            self.owed.push(Owed::Skip);
        }
        if std::mem::take(&mut self.session.replies) != ReplyMode::On {
            self.send(Side::Broker, Bytes::from_static(b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$2\r\nON\r\n"), out);
            self.owed.push(Owed::Skip);
        }
        self.bring_back(PutBack::new(keys, pop.look(leaves), commands), out);
    }

    /// Closes once nothing is left to settle. A blocking command that is no fetch ends with its client, as at Redis.
    pub(super) fn settle_orphan(&mut self, out: &mut Vec<Action>) {
        let settled = match self.owed.front() {
            None => true,
            Some(Owed::Blocking) => !self.owed.has_unsettled(),
            Some(_) => false,
        };
        if self.mode == Mode::Orphaned && settled {
            self.close(Ok(()), out);
        }
    }
}
