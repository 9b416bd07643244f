//! The AMQP 0-9-1 gate: RabbitMQ.
//!
//! Frames stream through; methods are read, bodies are not (`frame`, `method`, `table`). Of each channel the gate keeps
//! what is half-way, the ordered replies owed, the consumers and the unsettled jobs (`channel`, `consumer`, `unacked`).
//! A marked worker's job consumers are cancelled at the broker and resumed when the mark is lifted (`drain`); whether a
//! queue exists is asked on a channel of the gate's own (`inquiry`). Consume-ok and cancel-ok keep no order and are
//! matched by their tag; a frame of the gate's own goes in between two frames and never inside a message of its channel.

mod broker;
mod channel;
mod client;
mod consumer;
mod content;
mod drain;
mod frame;
mod handshake;
mod inquiry;
mod method;
mod proof;
mod queues;
mod table;
mod unacked;

use super::{Action, Gate, GateError, Side};
use crate::job::{FetchEnd, JobEvent, Millis, Place, System};
use bytes::Bytes;
use channel::Channel;
use drain::Hold;
use frame::{AROUND, At, END, Head, Kind, NotAmqp, WHOLE_MAX};
use globset::GlobSet;
use handshake::Tuned;
use inquiry::Inquiry;
use queues::Queues;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// What a gate for RabbitMQ needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct AmqpSettings {
    /// Queues that hold jobs (`gate.fetch`), as globs.
    pub fetch: GlobSet,
    /// Queues that never hold jobs (`gate.pass`), as globs.
    pub pass: GlobSet,
    /// Whether a tag in the user name (`user+tag`) is stripped and told.
    pub user_tag: bool,
}

impl Default for AmqpSettings {
    fn default() -> Self {
        AmqpSettings { fetch: GlobSet::empty(), pass: GlobSet::empty(), user_tag: false }
    }
}

/// ```text
/// Running ──framing lost, nothing of the gate's own under way, not marked──▶ Opaque ──mark──▶ Closed
///    └─framing lost otherwise, either side ends──▶ Closed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Running,
    /// A blind pipe.
    Opaque,
    Closed,
}

/// Why the client's next frame has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wait {
    /// A consume or a get whose queue is being asked for, until then at the latest.
    Existence { queue: Vec<u8>, until: Millis },
    /// A consume-ok on this channel is under way, and what the client sends could not be told from it.
    ConsumeOk { channel: u16 },
    /// The client uses the number of the gate's own channel.
    Number,
}

/// What becomes of a frame.
enum Verdict {
    /// Forwarded.
    Pass,
    /// Consumed, and not forwarded.
    Swallow,
    /// Something else is forwarded instead.
    Replace(Bytes),
    /// Not consumed yet.
    Wait(Wait),
    /// It must not be; why.
    Refuse(String),
}

/// What became of the input at hand.
enum Step {
    /// More bytes are needed, or the client has to wait.
    Rest,
    /// So many bytes pass.
    Pass(usize),
    /// So many bytes do not.
    Drop(usize, Option<Bytes>),
    Lost(&'static str),
    Refuse(String),
}

/// The gate of one RabbitMQ connection.
pub struct AmqpGate {
    settings: Arc<AmqpSettings>,
    seed: u64,
    system: System,
    mode: Mode,
    marked: bool,
    /// By the side that sends.
    at: [At; 2],
    /// Frames of the gate's own that wait for their place, by the side they go to.
    outbox: [VecDeque<(u16, Bytes)>; 2],
    tuned: Tuned,
    channels: BTreeMap<u16, Channel>,
    queues: Queues,
    consumers: u32,
    hold: Option<Hold>,
    /// A hold ended before all was cancelled: what is left is cancelled at the next boundary.
    overdue: bool,
    wait: Option<Wait>,
    inquiry: Option<Inquiry>,
    /// Queues to be asked for next.
    inquiries: VecDeque<Vec<u8>>,
    /// When bytes of the client were last forwarded.
    forwarded: Millis,
    /// connection.close has passed: nothing of the gate's own may follow.
    closing: bool,
    /// The client will send nothing behind what it has sent.
    ending: bool,
    /// Reasons told already.
    told: BTreeSet<String>,
    /// A consumer is parked, or was resumed with less than its prefetch.
    attention: bool,
    now: Millis,
}

impl AmqpGate {
    /// A gate for a fresh connection. `seed` makes the names of jobs unique, also over restarts of draingate.
    pub fn new(settings: Arc<AmqpSettings>, seed: u64) -> AmqpGate {
        AmqpGate {
            settings,
            seed,
            system: System::Unknown,
            mode: Mode::Running,
            marked: false,
            at: [At::Greeting, At::Boundary],
            outbox: [VecDeque::new(), VecDeque::new()],
            tuned: Tuned::default(),
            channels: BTreeMap::new(),
            queues: Queues::default(),
            consumers: 0,
            hold: None,
            overdue: false,
            wait: None,
            inquiry: None,
            inquiries: VecDeque::new(),
            forwarded: 0,
            closing: false,
            ending: false,
            told: BTreeSet::new(),
            attention: false,
            now: 0,
        }
    }

    fn at(&mut self, side: Side) -> &mut At {
        &mut self.at[side as usize]
    }

    fn relay(&mut self, from: Side, input: &[u8], out: &mut Vec<Action>) -> usize {
        let mut at = 0;
        let mut run = 0..0;
        while at < input.len() && self.mode == Mode::Running {
            if self.at[from as usize] == At::Boundary {
                if from == Side::Client {
                    self.cancel_overdue();
                }
                if !self.outbox[from.other() as usize].is_empty() {
                    Self::flush(&mut run, out);
                    self.post(from.other(), out);
                }
                if from == Side::Client && self.keeps_client() {
                    break;
                }
            }
            match self.step(from, &input[at..], out) {
                Step::Rest => break,
                Step::Pass(n) => {
                    if run.end != at {
                        Self::flush(&mut run, out);
                        run.start = at;
                    }
                    run.end = at + n;
                    at += n;
                }
                Step::Drop(n, instead) => {
                    Self::flush(&mut run, out);
                    if let Some(bytes) = instead {
                        out.push(Action::Send { to: from.other(), bytes });
                    }
                    at += n;
                }
                Step::Lost(what) => {
                    Self::flush(&mut run, out);
                    run = at..at;
                    self.lost(from, what, out);
                }
                Step::Refuse(what) => {
                    Self::flush(&mut run, out);
                    run = at..at;
                    self.close(Err(GateError::OutOfStep { side: from, what }), out);
                }
            }
        }
        Self::flush(&mut run, out);
        if from == Side::Client && at > 0 {
            self.forwarded = self.now;
        }
        match self.mode {
            Mode::Running => at,
            Mode::Opaque if at < input.len() => {
                out.push(Action::Forward(at..input.len()));
                input.len()
            }
            _ => input.len(),
        }
    }

    /// One frame, or as much of it as is there.
    fn step(&mut self, from: Side, input: &[u8], out: &mut Vec<Action>) -> Step {
        match *self.at(from) {
            At::Greeting => self.greeting(input),
            At::Passing { left, tap } => self.pass_on(from, input, left, tap, out),
            At::Boundary => match Head::read(input) {
                // a broker that does not speak the client's version answers with a greeting of its own and leaves
                Err(_) if from == Side::Broker && input[0] == b'A' => Step::Lost("a greeting instead of a frame"),
                Err(NotAmqp(what)) => Step::Lost(what),
                Ok(None) => Step::Rest,
                Ok(Some(head)) => self.frame(from, head, input, out),
            },
        }
    }

    fn frame(&mut self, from: Side, head: Head, input: &[u8], out: &mut Vec<Action>) -> Step {
        let wanted = match head.kind {
            Kind::Method => head.size <= WHOLE_MAX,
            Kind::Header => self.wants_header(from, head),
            Kind::Body | Kind::Heartbeat => false,
        };
        if !wanted {
            return self.stream(from, head, input, out);
        }
        let Some(frame) = input.get(..head.whole()) else { return Step::Rest };
        if frame[head.whole() - 1] != END {
            return Step::Lost("a frame without its end octet");
        }
        let payload = &frame[AROUND - 1..head.whole() - 1];
        if head.kind == Kind::Header {
            self.header(from, head.channel, payload, out);
            return Step::Pass(head.whole());
        }
        let Some(id) = method::id(payload) else { return Step::Lost("a method frame without a method") };
        if self.channels.get(&head.channel).is_some_and(|c| c.is_open() && !c.is_clear(from)) {
            return Step::Lost("a method inside a message");
        }
        let verdict = match from {
            Side::Client => self.client_method(head.channel, id, payload, out),
            Side::Broker => self.broker_method(head.channel, id, payload, out),
        };
        match verdict {
            Verdict::Pass => Step::Pass(head.whole()),
            Verdict::Swallow => Step::Drop(head.whole(), None),
            Verdict::Replace(bytes) => Step::Drop(head.whole(), Some(bytes)),
            Verdict::Refuse(what) => Step::Refuse(what),
            // nothing is kept back from a client that has ended: the broker hears all that it has sent
            Verdict::Wait(_) if self.ending => Step::Pass(head.whole()),
            Verdict::Wait(wait) => {
                self.wait = Some(wait);
                Step::Rest
            }
        }
    }

    /// Framing is lost, or a side does what the protocol does not allow. The broker gets it as it is, for its own
    /// answer, if that harms nobody.
    fn lost(&mut self, side: Side, what: &str, out: &mut Vec<Action>) {
        if self.marked || !self.is_plain() {
            return self.close(Err(GateError::OutOfStep { side, what: what.to_owned() }), out);
        }
        self.mode = Mode::Opaque;
        out.push(Action::Event(JobEvent::Opaque));
    }

    /// Nothing of the gate's own is under way.
    fn is_plain(&self) -> bool {
        self.hold.is_none()
            && self.inquiry.is_none()
            && self.outbox.iter().all(VecDeque::is_empty)
            && self.channels.values().all(Channel::is_plain)
    }

    fn close(&mut self, why: Result<(), GateError>, out: &mut Vec<Action>) {
        if self.mode == Mode::Closed {
            return;
        }
        self.mode = Mode::Closed;
        for number in self.channels.keys().copied().collect::<Vec<_>>() {
            self.channel_gone(number, out);
        }
        out.push(Action::Close(why));
    }

    /// A channel is over: the broker has taken back what was not settled, and what was settled is as good as told.
    fn channel_gone(&mut self, number: u16, out: &mut Vec<Action>) {
        let Some(mut channel) = self.channels.remove(&number) else { return };
        let sent = channel.unacked.confirm(usize::MAX);
        self.tell_settled(number, sent, out);
        for open in channel.unacked.requeue() {
            self.tell_requeued(number, open, out);
        }
        for consumer in channel.consumers.values().filter(|c| c.is_job()) {
            let from = if consumer.is_at_broker() { Place::Broker } else { Place::Gate };
            out.push(Action::Event(JobEvent::FetchAnswered { from, end: FetchEnd::Vanished, blocking: true }));
        }
        for owed in channel.owed {
            if let channel::Owed::Get { job: true, .. } = owed {
                let end = FetchEnd::Error;
                out.push(Action::Event(JobEvent::FetchAnswered { from: Place::Broker, end, blocking: false }));
            }
        }
        if self.wait == Some(Wait::ConsumeOk { channel: number }) {
            self.wait = None;
        }
    }

    /// Puts a frame of the gate's own in line.
    fn enqueue(&mut self, to: Side, channel: u16, bytes: Bytes) {
        self.outbox[to as usize].push_back((channel, bytes));
    }

    /// Sends what waits, as far as its place has come.
    fn post(&mut self, to: Side, out: &mut Vec<Action>) {
        let from = to.other();
        if self.at[from as usize] != At::Boundary {
            return;
        }
        let mut late = VecDeque::new();
        for (number, bytes) in std::mem::take(&mut self.outbox[to as usize]) {
            let clear = self.channels.get(&number).is_none_or(|c| c.is_clear(from));
            // one that waits keeps those behind it on the same channel waiting
            if clear && !late.iter().any(|(other, _)| *other == number) {
                out.push(Action::Send { to, bytes });
            } else {
                late.push_back((number, bytes));
            }
        }
        self.outbox[to as usize] = late;
    }

    /// What a call may have made possible.
    fn settle(&mut self, out: &mut Vec<Action>) {
        if self.mode != Mode::Running {
            return;
        }
        self.advance(out);
        for to in [Side::Client, Side::Broker] {
            if !self.outbox[to as usize].is_empty() {
                self.post(to, out);
            }
        }
    }

    /// A run of forwarded bytes ends.
    fn flush(run: &mut Range<usize>, out: &mut Vec<Action>) {
        if run.start < run.end {
            out.push(Action::Forward(run.clone()));
        }
        run.start = run.end;
    }

    /// Tells a reason that stands in the way of a seal or a judgement, once.
    fn blocked(&mut self, reason: String, out: &mut Vec<Action>) {
        if self.told.insert(reason.clone()) {
            out.push(Action::Event(JobEvent::Blocked(reason)));
        }
    }
}

impl Gate for AmqpGate {
    fn input(&mut self, now: Millis, from: Side, input: &[u8], out: &mut Vec<Action>) -> usize {
        self.now = now;
        match self.mode {
            Mode::Closed => input.len(),
            Mode::Opaque => {
                out.push(Action::Forward(0..input.len()));
                input.len()
            }
            Mode::Running => {
                let consumed = self.relay(from, input, out);
                self.settle(out);
                consumed
            }
        }
    }

    fn ending(&mut self, now: Millis, from: Side, out: &mut Vec<Action>) {
        self.now = now;
        if from == Side::Client && !self.ending {
            self.ending = true;
            self.hold = None;
            self.wait = None;
            self.settle(out);
        }
    }

    fn end(&mut self, now: Millis, _from: Side, _written: u64, out: &mut Vec<Action>) {
        self.now = now;
        self.close(Ok(()), out);
    }

    fn mark(&mut self, now: Millis, marked: bool, out: &mut Vec<Action>) {
        self.now = now;
        if self.marked == marked {
            return;
        }
        self.marked = marked;
        match (self.mode, marked) {
            (Mode::Opaque, true) => self.close(Err(GateError::OpaqueMarked), out),
            (Mode::Running, _) => {
                self.mark_changed();
                self.settle(out);
            }
            _ => {}
        }
    }

    fn set_system(&mut self, system: System) {
        self.system = system;
    }

    fn next_timeout(&self) -> Option<Millis> {
        if self.mode != Mode::Running {
            return None;
        }
        let waiting = match &self.wait {
            Some(Wait::Existence { until, .. }) => Some(*until),
            _ => None,
        };
        let proof = self.channels.values().filter_map(|channel| channel.proof.due).min();
        [self.hold_due(), waiting, proof].into_iter().flatten().min()
    }

    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        self.now = now;
        if self.mode != Mode::Running {
            return;
        }
        self.hold_time();
        if let Some(Wait::Existence { until, queue }) = self.wait.clone()
            && now >= until
        {
            self.queues.answered(&queue, true);
            self.wait = None;
        }
        self.ask_due_proofs();
        self.settle(out);
    }

    fn wants(&self, from: Side) -> bool {
        match from {
            Side::Broker => true,
            Side::Client if self.mode != Mode::Running => true,
            Side::Client => !(self.at[0] == At::Boundary && self.keeps_client()),
        }
    }

    fn flushed(&mut self, _written: u64) {}

    fn at_safe_boundary(&self) -> bool {
        match self.mode {
            Mode::Opaque | Mode::Closed => true,
            Mode::Running => {
                self.hold.is_none()
                    && self.wait.is_none()
                    && self.inquiry.is_none()
                    && self.at.iter().all(|at| matches!(at, At::Boundary | At::Greeting))
                    && self.channels.values().all(|channel| {
                        channel.content.iter().all(channel::Content::is_none)
                            && channel.owed.is_empty()
                            && channel.unacked.is_empty()
                    })
            }
        }
    }
}
