//! The client of a busy connection: it does what it may, on three channels at once, and looks closely at what it hears.

use super::QUEUES;
use crate::frames::frame;
use crate::hand::{Frame, bytes};
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Of consumers; one is to be named by the broker.
const TAGS: [&str; 4] = ["a", "bb", "ctag1.0123456789", ""];

/// A consumer as the client has it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Asked,
    There,
    Leaving,
}

#[derive(Default)]
pub(super) struct Channel {
    pub(super) open: bool,
    /// It waits for an answer before it says anything else.
    waits: bool,
    closing: bool,
    out: VecDeque<Vec<u8>>,
    /// Replies that are due in order.
    pub(super) owed: VecDeque<&'static str>,
    /// By tag (the empty one until the broker has chosen): the state and the queue.
    consumers: BTreeMap<String, (State, String)>,
    /// Tags that it has cancelled: deliveries may still come for them.
    left: BTreeSet<String>,
    /// Cancel-oks that are due.
    answers: BTreeMap<String, usize>,
    pub(super) unacked: BTreeSet<u64>,
    /// A message that is coming: its delivery tag (0: it is none) and, once known, what is left of it.
    content: Option<(u64, Option<u64>)>,
    tx: bool,
    pub(super) published: Vec<Vec<u8>>,
}

#[derive(Default)]
pub(super) struct Client {
    pub(super) channels: BTreeMap<u16, Channel>,
    messages: u64,
    /// The broker has ended a consumer that has a namesake: of which of the two it spoke nobody can know.
    pub(super) at_a_loss: bool,
}

impl Client {
    pub(super) fn hears(&mut self, frame: &Frame) {
        let Some(channel) = self.channels.get_mut(&frame.channel) else {
            assert_eq!(frame.channel, 0, "a frame on a channel of the gate's own: {:?}", frame.id);
            return;
        };
        // who closes a channel hears nothing else on it
        if channel.closing && !matches!(frame.id, (20, 40 | 41)) {
            return;
        }
        assert!(channel.open || channel.waits || channel.closing, "{:?} on a closed channel", frame.id);
        self.at_a_loss |= channel.hears(frame);
    }

    /// Says something on one of its channels.
    pub(super) fn speak(&mut self, rng: &mut Rng) {
        let number = 1 + u16::try_from(rng.below(3)).unwrap_or(0);
        let channel = self.channels.entry(number).or_default();
        if channel.closing || channel.waits || !channel.out.is_empty() {
            return;
        }
        if !channel.open {
            channel.waits = true;
            channel.owed.extend(["open-ok", "declare-ok"]);
            return channel.say(number, &["open", "declare q0 durable x-queue-type=classic"]);
        }
        let queue = QUEUES[rng.below(QUEUES.len())];
        match rng.below(26) {
            0..=3 => channel.consume(number, queue, rng),
            4..=6 => channel.cancel(number, rng),
            7..=12 => channel.settle(number, rng),
            13 | 14 => channel.ask(number, "get", &format!("get {queue}")),
            15 => channel.ask(number, "qos-ok", &format!("qos {}", 1 + rng.below(4))),
            16 => channel.ask(number, "declare-ok", &format!("declare {queue} durable")),
            17 if !channel.tx && channel.content.is_none() => channel.ask_and_wait(number, "recover-ok", "recover"),
            18 if rng.below(3) == 0 => {
                channel.tx = true;
                channel.ask(number, "tx.select-ok", "tx.select");
            }
            19 | 20 if channel.tx => channel.ask_and_wait(number, "tx.commit-ok", "tx.commit"),
            21 if rng.below(3) == 0 => {
                channel.closing = true;
                channel.say(number, &["close 200 0/0"]);
            }
            _ => {
                self.messages += 1;
                channel.publish(number, self.messages, rng);
            }
        }
    }

    /// Acknowledges all that it has, and commits what it has said before.
    pub(super) fn finish(&mut self) {
        let free = |channel: &Channel| channel.open && !channel.closing && !channel.waits && channel.content.is_none();
        for (number, channel) in self.channels.iter_mut().filter(|(_, channel)| free(channel)) {
            if let Some(last) = channel.unacked.pop_last() {
                channel.unacked.clear();
                channel.say(*number, &[&format!("ack {last} multiple")]);
            }
            if channel.tx {
                channel.ask_and_wait(*number, "tx.commit-ok", "tx.commit");
            }
        }
    }

    /// Sends some of what is ready, the channels' frames mixed.
    pub(super) fn send(&mut self, rng: &mut Rng) -> Vec<u8> {
        let mut sent = Vec::new();
        for _ in 0..=rng.below(8) {
            let ready: Vec<u16> = self.channels.iter().filter(|(_, c)| !c.out.is_empty()).map(|(n, _)| *n).collect();
            let Some(number) = ready.get(rng.below(ready.len().max(1))) else { break };
            let out = &mut self.channels.entry(*number).or_default().out;
            let n = out.len().min(1 + rng.below(4));
            out.drain(..n).for_each(|frame| sent.extend(frame));
            if rng.below(20) == 0 {
                sent.extend(bytes("0 heartbeat"));
            }
        }
        sent
    }
}

impl Channel {
    fn say(&mut self, number: u16, lines: &[&str]) {
        self.out.extend(lines.iter().map(|line| bytes(&format!("{number} {line}"))));
    }

    fn ask(&mut self, number: u16, reply: &'static str, line: &str) {
        self.owed.push_back(reply);
        self.say(number, &[line]);
    }

    fn ask_and_wait(&mut self, number: u16, reply: &'static str, line: &str) {
        self.waits = true;
        self.ask(number, reply, line);
    }

    fn consume(&mut self, number: u16, queue: &str, rng: &mut Rng) {
        let tag = TAGS[rng.below(TAGS.len())];
        if self.consumers.contains_key(tag) {
            return;
        }
        let nowait = !tag.is_empty() && rng.below(6) == 0;
        let state = if nowait { State::There } else { State::Asked };
        self.consumers.insert(tag.to_owned(), (state, queue.to_owned()));
        let name = if tag.is_empty() { "-" } else { tag };
        self.say(number, &[&format!("consume {queue} {name}{}", if nowait { " nowait" } else { "" })]);
    }

    fn cancel(&mut self, number: u16, rng: &mut Rng) {
        let there = self.consumers.iter().filter(|(_, (state, _))| *state == State::There);
        let there: Vec<String> = there.map(|(tag, _)| tag.clone()).collect();
        let Some(tag) = there.get(rng.below(there.len().max(1))) else { return };
        self.left.insert(tag.clone());
        if rng.below(3) == 0 {
            self.consumers.remove(tag);
            return self.say(number, &[&format!("cancel {tag} nowait")]);
        }
        if let Some((state, _)) = self.consumers.get_mut(tag) {
            *state = State::Leaving;
        }
        *self.answers.entry(tag.clone()).or_default() += 1;
        self.say(number, &[&format!("cancel {tag}")]);
    }

    fn settle(&mut self, number: u16, rng: &mut Rng) {
        let Some(tag) = self.unacked.iter().copied().nth(rng.below(self.unacked.len().max(1))) else { return };
        let (method, multiple) =
            [("ack", false), ("ack", true), ("nack", false), ("nack", true), ("reject", false)][rng.below(5)];
        let flags = [if multiple { " multiple" } else { "" }, if method == "ack" { "" } else { " requeue" }].concat();
        self.unacked.retain(|other| *other > tag || (!multiple && *other != tag));
        self.say(number, &[&format!("{method} {tag}{flags}")]);
    }

    fn publish(&mut self, number: u16, message: u64, rng: &mut Rng) {
        let body = [String::new(), message.to_string(), format!("{message}{}", "z".repeat(120))][rng.below(3)].clone();
        let exchange = ["-", "ex", "celeryev"][rng.below(3)];
        let key = ["key", "worker.heartbeat"][rng.below(2)];
        let properties = ["", " correlation=9", " id=3"][rng.below(3)];
        self.say(number, &[&format!("publish {exchange} {key}"), &format!("header {}{properties}", body.len())]);
        let mut left = body.as_bytes();
        while !left.is_empty() {
            let (piece, rest) = left.split_at(rng.below(left.len() + 1).min(50));
            self.out.push_back(frame(3, number, piece));
            left = rest;
        }
        self.published.push(body.into_bytes());
    }

    /// True if it does not know what is meant.
    fn hears(&mut self, frame: &Frame) -> bool {
        if !self.closing && (frame.kind != 1 || self.content.is_some()) {
            self.content_frame(frame);
            return false;
        }
        match frame.id {
            (20, 40) => {
                let (mut out, closing) = (VecDeque::new(), self.closing);
                out.push_back(bytes(&format!("{} close-ok", frame.channel)));
                // both at once: its own close-ok is still to come
                *self = Channel { out, closing, ..Channel::default() };
            }
            (20, 41) => {
                assert!(self.closing, "a close-ok that was not asked for");
                *self = Channel { out: std::mem::take(&mut self.out), ..Channel::default() };
            }
            (60, 21) => return self.consume_ok(frame),
            (60, 30) => {
                let (tag, _) = frame.name(4);
                let namesake = self.left.contains(&tag);
                let gone = self.consumers.remove(&tag).map(|(state, _)| state);
                assert!(gone.is_some() || namesake, "the end of {tag}, which is not there");
                self.left.insert(tag);
                return namesake && matches!(gone, Some(State::There | State::Asked));
            }
            (60, 31) => self.cancel_ok(frame),
            (60, 50) => self.content = Some((0, None)),
            (60, 60) => {
                let (tag, at) = frame.name(4);
                assert!(self.consumers.contains_key(&tag) || self.left.contains(&tag), "a delivery for {tag}");
                self.content = Some((frame.number(at), None));
            }
            (60, 80) => {}
            _ => self.ordered(frame),
        }
        false
    }

    fn ordered(&mut self, frame: &Frame) {
        let what = match frame.id {
            (20, 11) => "open-ok",
            (50, 11) => "declare-ok",
            (60, 11) => "qos-ok",
            (60, 71 | 72) => "get",
            (60, 111) => "recover-ok",
            (90, 11) => "tx.select-ok",
            (90, 21) => "tx.commit-ok",
            other => panic!("the client hears {other:?}"),
        };
        assert_eq!(self.owed.pop_front(), Some(what), "another reply than the one that was due");
        self.waits &= !matches!(what, "open-ok" | "recover-ok" | "tx.commit-ok");
        self.open |= what == "open-ok";
        if what == "recover-ok" {
            self.unacked.clear();
        }
        if frame.id == (60, 71) {
            self.content = Some((frame.number(4), None));
        }
    }

    fn consume_ok(&mut self, frame: &Frame) -> bool {
        let (tag, _) = frame.name(4);
        let asked = if self.consumers.contains_key(&tag) { tag.clone() } else { String::new() };
        let Some((state, queue)) = self.consumers.remove(&asked) else {
            assert!(self.left.contains(&tag), "a consume-ok of {tag}");
            return true;
        };
        assert_eq!(state, State::Asked, "a consume-ok of {tag} that was not due");
        self.consumers.insert(tag, (State::There, queue));
        false
    }

    fn cancel_ok(&mut self, frame: &Frame) {
        let (tag, _) = frame.name(4);
        let due = self.answers.get_mut(&tag).filter(|due| **due > 0);
        let due = due.unwrap_or_else(|| panic!("a cancel-ok of {tag} that was not asked for"));
        *due -= 1;
        // the broker may have ended it before, and another have begun
        if *due == 0 && self.consumers.get(&tag).is_some_and(|(state, _)| *state == State::Leaving) {
            self.consumers.remove(&tag);
        }
    }

    fn content_frame(&mut self, frame: &Frame) {
        let (tag, left) = match (frame.kind, self.content) {
            (2, Some((tag, None))) => (tag, frame.number(4)),
            (3, Some((tag, Some(left)))) => (tag, left.checked_sub(frame.payload.len() as u64).expect("too long")),
            other => panic!("the client hears {other:?} {:?}", frame.id),
        };
        self.content = (left > 0).then_some((tag, Some(left)));
        if left == 0 && tag > 0 {
            assert!(self.unacked.insert(tag), "{tag} a second time");
        }
    }

    /// Nothing is due any more; so many consumers of queues that are there.
    pub(super) fn rests(&self) -> usize {
        assert!(self.owed.is_empty(), "not answered: {:?}", self.owed);
        assert!(self.consumers.values().all(|(state, _)| *state == State::There), "{:?}", self.consumers);
        self.consumers.values().filter(|(_, queue)| queue != "qx").count()
    }
}
