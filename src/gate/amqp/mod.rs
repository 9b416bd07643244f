//! The AMQP 0-9-1 gate: RabbitMQ.
//!
//! Frames stream through; methods are read, bodies are not (`frame`, `method`, `table`); whole messages and acks at
//! once (`quick`), all else frame by frame (`relay`). Of each channel the gate keeps what is half-way, the ordered
//! replies owed, the consumers and the unsettled jobs (`channel`, `consumer`, `unacked`). A marked worker's job
//! consumers are cancelled at the broker and resumed when the mark is lifted (`drain`), and so are those of paused
//! queues (`pause`); whether a queue exists, lives, what it is like and whether it would refuse a consumer is asked on a
//! channel of the gate's own (`inquiry`, `leader`, `likeness`, `probe`), and on others the places of streams' consumers are
//! kept (`anchor`). Consume-ok and cancel-ok keep no order and are matched by their tag; a frame of the gate's own goes in
//! between two frames and never inside a message of its channel.

mod anchor;
mod arrival;
mod ask;
mod broker;
mod cancel;
mod channel;
mod client;
mod consume;
mod consumer;
mod content;
mod drain;
mod frame;
mod handshake;
mod inquiry;
mod leader;
mod likeness;
mod method;
mod pause;
mod probe;
mod proof;
mod queues;
mod quick;
mod reasons;
mod relay;
mod table;
mod unacked;

use super::{Action, Gate, GateError, Side};
use crate::job::{FetchEnd, JobEvent, Millis, Place, System};
use crate::question;
use crate::queue::PausedQueues;
use anchor::Anchor;
use bytes::Bytes;
use channel::Channel;
use drain::Hold;
use frame::At;
use globset::GlobSet;
use handshake::Tuned;
use inquiry::{Inquiry, Question};
use leader::Leaders;
use pause::Pauses;
use queues::Queues;
use relay::{Step, Verdict};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What a gate for RabbitMQ needs to know of the configuration.
#[derive(Clone, Debug, Default)]
pub struct AmqpSettings {
    /// Queues that hold jobs (`gate.fetch`), as globs.
    pub fetch: GlobSet,
    /// Queues that never hold jobs (`gate.pass`), as globs.
    pub pass: GlobSet,
    /// Whether a tag in the user name (`user+tag`) is stripped and told.
    pub user_tag: bool,
    /// Where the answers to the gate's own questions go to, see [`crate::question`]; `None`: there are none.
    pub nonce: Option<u64>,
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
    /// A consume-ok, cancel-ok or commit-ok on this channel is under way, and what the client sends must not overtake it.
    Tag { channel: u16 },
    /// The client uses the number of a channel of the gate's own.
    Number(u16),
}

/// The gate of one RabbitMQ connection.
pub struct AmqpGate {
    settings: Arc<AmqpSettings>,
    seed: u64,
    system: System,
    mode: Mode,
    marked: bool,
    pauses: Pauses,
    /// By the side that sends.
    at: [At; 2],
    /// Frames of the gate's own that wait for their place, by the side they go to.
    outbox: [VecDeque<(u16, Bytes)>; 2],
    tuned: Tuned,
    channels: BTreeMap<u16, Channel>,
    queues: Queues,
    leaders: Leaders,
    /// Numbers given so far, to consumers and to queues of the gate's own.
    numbers: u32,
    hold: Hold,
    wait: Option<Wait>,
    inquiry: Option<Inquiry>,
    asking: ask::Asking,
    /// Places of streams' consumers that are kept.
    anchors: Vec<Anchor>,
    /// Queues to be asked for next.
    inquiries: VecDeque<(Vec<u8>, Question)>,
    /// When the queues of parked consumers are asked for.
    keep: Option<Millis>,
    /// When bytes of the client were last forwarded.
    forwarded: Millis,
    /// connection.close has passed: nothing of the gate's own may follow.
    closing: bool,
    /// The client will send nothing behind what it has sent.
    ending: bool,
    /// What went wrong, although the connection goes on or ends in due form: said at its end.
    odd: Option<GateError>,
    /// The broker is gone: nobody knows what it has kept.
    broker_gone: bool,
    /// The broker is short of memory or disk, and reads nothing from this connection.
    deaf: bool,
    /// The broker has closed the connection because it leaves.
    broker_leaves: bool,
    /// Reasons told already that stay.
    told: BTreeSet<String>,
    /// Reasons told that are those of consumers, and go with them.
    bound: BTreeSet<String>,
    /// Those of the consumers may be others by now.
    reasons_changed: bool,
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
            pauses: Pauses::default(),
            at: [At::Greeting, At::Boundary],
            outbox: [VecDeque::new(), VecDeque::new()],
            tuned: Tuned::default(),
            channels: BTreeMap::new(),
            queues: Queues::default(),
            leaders: Leaders::default(),
            numbers: 0,
            hold: Hold::Off,
            wait: None,
            inquiry: None,
            asking: ask::Asking::default(),
            anchors: Vec::new(),
            inquiries: VecDeque::new(),
            keep: None,
            forwarded: 0,
            closing: false,
            ending: false,
            odd: None,
            broker_gone: false,
            deaf: false,
            broker_leaves: false,
            told: BTreeSet::new(),
            bound: BTreeSet::new(),
            reasons_changed: false,
            attention: false,
            now: 0,
        }
    }

    fn at(&mut self, side: Side) -> &mut At {
        &mut self.at[side as usize]
    }

    /// Nothing of the gate's own is under way.
    fn is_plain(&self) -> bool {
        !self.holds()
            && self.inquiry.is_none()
            && self.anchors.is_empty()
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

    /// A channel is over: the broker has taken back what was not settled, unless it is gone itself; and what was settled
    /// is as good as told.
    fn channel_gone(&mut self, number: u16, out: &mut Vec<Action>) {
        let Some(mut channel) = self.channels.remove(&number) else { return };
        self.reasons_changed = true;
        let sent = channel.unacked.confirm(usize::MAX);
        self.tell_settled(number, &sent, out);
        for open in channel.unacked.requeue().into_iter().filter(|_| !self.broker_gone) {
            self.tell_requeued(number, open, out);
        }
        for consumer in channel.consumers.values().filter(|c| c.is_job()) {
            let from = if consumer.is_at_broker() { Place::Broker } else { Place::Gate };
            out.push(Action::Event(JobEvent::FetchAnswered { from, end: FetchEnd::Vanished, blocking: true }));
        }
        let gets = channel.owed.iter().filter(|owed| matches!(owed, channel::Owed::Get { job: true, .. })).count();
        for _ in 0..gets + usize::from(channel.content[Side::Broker as usize].is_untold_get()) {
            let (from, end) = (Place::Broker, FetchEnd::Error);
            out.push(Action::Event(JobEvent::FetchAnswered { from, end, blocking: false }));
        }
        self.tag_wait_ends(number);
        self.lift_hold();
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
            let clear = self.channels.get(&number).is_none_or(|c| c.may_follow(from));
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
        self.put_question(out);
        self.tell_pauses_if_changed(out);
        for to in [Side::Client, Side::Broker] {
            if !self.outbox[to as usize].is_empty() {
                self.post(to, out);
            }
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
            if self.holds() {
                self.hold = Hold::Off;
            }
            self.wait = None;
            self.settle(out);
        }
    }

    fn end(&mut self, now: Millis, from: Side, _written: u64, out: &mut Vec<Action>) {
        self.now = now;
        // one that has refused something lives on; of one that leaves the client's end may be heard first
        let gone = from == Side::Broker || self.broker_leaves;
        self.broker_gone = gone && !matches!(self.odd, Some(GateError::Refused(_)));
        let why = self.odd.take().map_or(Ok(()), Err);
        self.close(why, out);
    }

    fn broker_leaves(&self) -> bool {
        self.broker_leaves
    }

    /// What is taken without acknowledgement is none of the jobs that are told.
    fn takes_back(&self) -> bool {
        true
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

    fn pause(&mut self, now: Millis, paused: &Arc<PausedQueues>, out: &mut Vec<Action>) {
        self.now = now;
        if self.mode == Mode::Closed {
            return;
        }
        self.take_pauses(paused, out);
        self.settle(out);
    }

    fn set_system(&mut self, system: System) {
        self.system = system;
    }

    fn ask(&mut self, question: question::Question, out: &mut Vec<Action>) {
        self.asking.wants(question);
        self.settle(out);
    }

    fn next_timeout(&self) -> Option<Millis> {
        if self.mode == Mode::Running { self.next_due() } else { None }
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
        self.ask_parked();
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
                !self.holds()
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
