//! The RESP gate: Redis and Valkey.
//!
//! Commands of the client are recognised by their head and counted into the FIFO of replies owed (`owed`); replies are
//! paired with its front. A fetch of a marked worker is held, a long blocking one goes to the broker in slices. A
//! blocking fetch is alone: it waits until the replies before it have come, and what the client pipelined behind it
//! waits until it is answered.

mod again;
mod ask;
mod broker;
mod claim;
mod client;
mod command;
mod commands;
mod delivery;
mod empty;
mod encode;
mod fetch;
mod footing;
mod leaves;
mod noted;
mod owed;
mod pause;
mod pop;
mod quick;
mod reply;
mod request;
mod scan;
mod session;
mod slice;
mod sync;
mod table;
mod told;
mod transaction;
mod undo;
mod verdict;

use super::run::Run;
use super::{Action, Gate, GateError, Side};
use crate::dialect::{self, Memory};
use crate::job::{Fate, JobEvent, Millis, System};
use crate::question::Question;
use crate::queue::PausedQueues;
use crate::rare::Rare;
use broker::Current;
use bytes::Bytes;
use client::ClientAt;
use delivery::Retained;
use globset::GlobSet;
use owed::{Fetch, Owed, Replies};
use pause::Pauses;
use reply::Reading;
use scan::Scanner;
use session::Session;
use std::collections::LinkedList;
use std::ops::Range;
use std::sync::Arc;
use told::Told;

/// What a gate for Redis needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct RespSettings {
    /// How long a slice of a long blocking fetch lasts at the broker, in milliseconds.
    pub slice: Millis,
    /// Keys that hold jobs (`gate.fetch`), as globs.
    pub fetch: GlobSet,
    /// Keys that never hold jobs (`gate.pass`), as globs.
    pub pass: GlobSet,
    /// Whether a tag in the user name (`user+tag`) is stripped and told.
    pub user_tag: bool,
    /// Where the answers to the gate's own questions go to, see [`crate::question`]; `None`: there are none.
    pub nonce: Option<u64>,
}

impl Default for RespSettings {
    fn default() -> Self {
        RespSettings { slice: 1_000, fetch: GlobSet::empty(), pass: GlobSet::empty(), user_tag: false, nonce: None }
    }
}

/// ```text
/// Running ──framing lost, nothing owed, not marked──▶ Opaque ──mark──▶ Closed
///    ├─client ends──▶ Orphaned ──all settled──▶ Closed
///    └─framing lost otherwise, broker ends──▶ Closed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Running,
    /// The client has gone; what it asked for is being settled with the broker.
    Orphaned,
    /// A blind pipe.
    Opaque,
    Closed,
}

/// The gate of one Redis or Valkey connection.
#[derive(Debug)]
pub struct RespGate {
    settings: Arc<RespSettings>,
    memory: Memory,
    session: Session,
    mode: Mode,
    marked: bool,
    /// Since when.
    marked_at: Millis,
    pauses: Rare<Pauses>,
    client: ClientAt,
    scanner: Scanner,
    /// What the value under the scanner is, if one has begun.
    current: Option<Current>,
    /// Reads it along, if it is not all there.
    reading: Option<Box<Reading>>,
    owed: Replies,
    /// The fetch that the gate keeps to itself. While it does, nothing behind it has been read.
    held: Option<Box<Fetch>>,
    latest: Rare<again::Latest>,
    /// A blocking fetch is in `owed`, alone but for questions of the gate's own before it.
    asked: bool,
    /// The worker's job system became known while a fetch was held: it may be none.
    rejudge: bool,
    /// The broker takes whole seconds only (before Redis 6).
    whole_seconds: bool,
    /// Bytes ordered to the client in the connection's life.
    sent: u64,
    /// Most often none, and hardly ever a second one: without any it owns no memory.
    retained: LinkedList<Retained>,
    /// When the broker last heard from the gate while it holds a fetch.
    broker_quiet_since: Millis,
    /// When the fetch that waits for the replies before it began to.
    waiting_since: Millis,
    /// The client has ended; what it sent before is all that comes.
    ending: bool,
    asking: Rare<ask::Asking>,
    told: Rare<Told>,
}

/// While a fetch is held the broker's side is pinged this often, or the server's `timeout` would cut it.
const PING_EVERY: Millis = 30_000;

impl RespGate {
    /// A gate for a fresh connection. `seed` spreads the slices of many connections over time and makes the names of
    /// nameless jobs unique (the connection's number will do).
    pub fn new(settings: Arc<RespSettings>, seed: u64) -> RespGate {
        RespGate {
            settings,
            memory: Memory { seed, ..Memory::default() },
            session: Session::default(),
            mode: Mode::Running,
            marked: false,
            marked_at: 0,
            pauses: Rare::default(),
            client: ClientAt::Start,
            scanner: Scanner::new(),
            current: None,
            reading: None,
            owed: Replies::default(),
            held: None,
            latest: Rare::default(),
            asked: false,
            rejudge: false,
            whole_seconds: false,
            sent: 0,
            retained: LinkedList::new(),
            broker_quiet_since: 0,
            waiting_since: 0,
            ending: false,
            asking: Rare::default(),
            told: Rare::default(),
        }
    }

    fn close(&mut self, why: Result<(), GateError>, out: &mut Vec<Action>) {
        if self.mode != Mode::Closed {
            self.mode = Mode::Closed;
            self.dialects(out, |memory, events| dialect::closed(memory, false, events));
            // nobody will say whether these went back
            out.extend(self.owed.abandon().iter().map(|_| Action::Event(JobEvent::Orphan(Fate::Lost))));
            out.push(Action::Close(why));
        }
    }

    fn out_of_step(&mut self, side: Side, what: &str, out: &mut Vec<Action>) {
        self.close(Err(GateError::OutOfStep { side, what: what.to_owned() }), out);
    }

    /// Framing is lost while nothing is owed: bytes go on as they are, and nothing is known of them any more.
    fn go_opaque(&mut self, out: &mut Vec<Action>) {
        if self.marked {
            return self.close(Err(GateError::OpaqueMarked), out);
        }
        self.mode = Mode::Opaque;
        out.push(Action::Event(JobEvent::Opaque));
    }

    fn send(&mut self, to: Side, bytes: Bytes, out: &mut Vec<Action>) {
        if to == Side::Client {
            self.sent += bytes.len() as u64;
        }
        out.push(Action::Send { to, bytes });
    }

    /// Sends what the gate itself answers and nothing keeps back any more.
    fn settle_front(&mut self, out: &mut Vec<Action>) {
        while !self.is_broker_speaking() {
            let bytes = match self.owed.front() {
                Some(Owed::Answer(bytes)) => bytes.clone(),
                Some(Owed::Nothing(empty)) => empty.reply(self.session.proto),
                _ => break,
            };
            self.owed.pop();
            self.send(Side::Client, bytes, out);
        }
        self.settle_broken(out);
        self.settle_orphan(out);
    }

    /// Adds a consumed stretch of the broker's bytes to the run to be forwarded.
    fn extend(&mut self, run: &mut Run, stretch: Range<usize>, out: &mut Vec<Action>) {
        self.sent += stretch.len() as u64;
        run.pass(stretch, out);
    }

    /// Asks the dialects something. What they tell by that goes on to the fleet.
    #[inline]
    fn dialects<R>(&mut self, out: &mut Vec<Action>, ask: impl FnOnce(&mut Memory, &mut Vec<JobEvent>) -> R) -> R {
        let mut events = Vec::new();
        let answer = ask(&mut self.memory, &mut events);
        Self::emit(events, out);
        answer
    }

    #[inline]
    fn emit(events: Vec<JobEvent>, out: &mut Vec<Action>) {
        // almost always
        if !events.is_empty() {
            out.extend(events.into_iter().map(Action::Event));
        }
    }
}

impl Gate for RespGate {
    fn input(&mut self, now: Millis, from: Side, input: &[u8], out: &mut Vec<Action>) -> usize {
        match (self.mode, from) {
            (Mode::Closed, _) | (Mode::Orphaned, Side::Client) => input.len(),
            (Mode::Opaque, _) => {
                out.push(Action::Forward(0..input.len()));
                input.len()
            }
            (_, Side::Client) => self.client_input(now, input, out),
            (_, Side::Broker) => {
                let consumed = self.broker_input(now, input, out);
                self.tell_pauses_if_fewer(out);
                if self.asking.is_there() {
                    self.put_question(out);
                }
                consumed
            }
        }
    }

    /// The bound on replies owed need not hold the rest back any longer: it is no more than what has been sent. What waits
    /// behind a fetch is another matter: Redis too forgets it with a client that leaves.
    fn ending(&mut self, _now: Millis, from: Side, _out: &mut Vec<Action>) {
        self.ending |= from == Side::Client;
    }

    fn end(&mut self, now: Millis, from: Side, written: u64, out: &mut Vec<Action>) {
        match (from, self.mode) {
            (Side::Client, Mode::Running) => self.client_gone(now, written, out),
            (Side::Client, Mode::Orphaned) => {}
            _ => self.close(Ok(()), out),
        }
    }

    fn mark(&mut self, now: Millis, marked: bool, out: &mut Vec<Action>) {
        if self.marked == marked {
            return;
        }
        self.marked = marked;
        self.marked_at = now;
        match (self.mode, marked) {
            (Mode::Opaque, true) => self.close(Err(GateError::OpaqueMarked), out),
            (Mode::Running, true) if matches!(self.client, ClientAt::Garbage) => {
                self.close(Err(GateError::OpaqueMarked), out);
            }
            (Mode::Running, false) => self.resume(now, out),
            _ => {}
        }
    }

    fn pause(&mut self, now: Millis, paused: &Arc<PausedQueues>, out: &mut Vec<Action>) {
        self.take_pauses(now, paused, out);
        if self.mode == Mode::Running {
            self.resume(now, out);
        }
    }

    fn set_system(&mut self, system: System) {
        self.rejudge |= self.memory.system != system && (self.held.is_some() || self.asked);
        self.memory.system = system;
    }

    fn ask(&mut self, question: Question, out: &mut Vec<Action>) {
        self.asking.wants(question);
        self.put_question(out);
    }

    fn next_timeout(&self) -> Option<Millis> {
        let Some(held) = &self.held else { return self.sync_due() };
        if self.mode != Mode::Running {
            return None;
        }
        if self.rejudge {
            return Some(0);
        }
        let ping = self.broker_quiet_since + PING_EVERY;
        let deadline = held.deadline.filter(|_| !self.is_broker_speaking());
        Some(deadline.map_or(ping, |d| d.min(ping)))
    }

    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.mode != Mode::Running {
            return;
        }
        if std::mem::take(&mut self.rejudge) {
            self.release_if_no_fetch(now, out);
            if self.held.as_ref().is_some_and(|fetch| !fetch.takes_due) {
                self.tell_before_fetch(out);
            }
        }
        self.answer_overdue(now, out);
        self.sync_if_due(now, out);
        if self.held.is_some() && now >= self.broker_quiet_since + PING_EVERY {
            self.broker_quiet_since = now;
            self.send(Side::Broker, Bytes::from_static(b"*1\r\n$4\r\nPING\r\n"), out);
            self.owed.push(Owed::Skip);
        }
    }

    fn may_get_job(&self) -> bool {
        self.mode == Mode::Orphaned && self.owed.has_unsettled()
    }

    fn wants(&self, from: Side) -> bool {
        match from {
            Side::Broker => true,
            Side::Client if self.mode != Mode::Running => true,
            Side::Client if self.held.is_some() || self.asked => false,
            Side::Client => match self.client {
                ClientAt::Broken => false,
                ClientAt::Waiting => self.owed.only_skips(),
                ClientAt::Start => !self.owed.is_full() || self.ending,
                ClientAt::Tail { .. } | ClientAt::Garbage => true,
            },
        }
    }

    fn flushed(&mut self, written: u64) {
        while self.retained.front().is_some_and(|r| r.end <= written) {
            self.retained.pop_front();
        }
    }

    fn at_safe_boundary(&self) -> bool {
        match self.mode {
            Mode::Opaque | Mode::Closed => true,
            Mode::Orphaned => false,
            Mode::Running => {
                self.owed.only_skips()
                    && matches!(self.client, ClientAt::Start)
                    && self.scanner.at_start()
                    && self.session.transaction.is_none()
                    && self.retained.is_empty()
            }
        }
    }
}
