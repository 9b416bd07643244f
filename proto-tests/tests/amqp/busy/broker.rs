//! The broker of a busy connection: as touchy as the real one (it ends the test where that would close the connection), with
//! queues that are never empty. `q0`, `q1` and `q2` are there, `qx` is not.

use crate::hand::{Frame, bytes};
use crate::rng::Rng;
use std::collections::{BTreeMap, VecDeque};

/// Channels from here on are the gate's own.
const GATES: u16 = 2_000;

#[derive(Clone)]
struct Consumer {
    queue: String,
    prefetch: usize,
    /// Its consume-ok is still to be said.
    asked: bool,
}

#[derive(Default)]
pub(super) struct Channel {
    inbox: VecDeque<Frame>,
    /// Frames that are still to be sent.
    out: VecDeque<Vec<u8>>,
    consumers: BTreeMap<String, Consumer>,
    prefetch: usize,
    /// By delivery tag: the consumer's.
    pub(super) unacked: BTreeMap<u64, String>,
    pub(super) in_tx: BTreeMap<u64, String>,
    delivered: u64,
    tx: bool,
    /// A commit that is not answered yet.
    committing: bool,
    /// Deliveries of consumers that were cancelled without waiting: they come when something else has been answered.
    late: Vec<(String, Consumer)>,
    /// A message that is coming in: what is left of it, once that is known.
    content: Option<Option<u64>>,
    body: Vec<u8>,
    pub(super) published: Vec<Vec<u8>>,
    opened: bool,
    /// The broker has closed it.
    closed: bool,
}

impl Channel {
    fn in_hand(&self, tag: &str) -> usize {
        self.unacked.values().filter(|of| *of == tag).count()
    }

    /// Forgets all but what is under way.
    fn reset(&mut self) {
        let (inbox, out) = (std::mem::take(&mut self.inbox), std::mem::take(&mut self.out));
        *self = Channel { inbox, out, ..Channel::default() };
    }

    pub(super) fn has_sent_all(&self) -> bool {
        self.out.is_empty()
    }

    pub(super) fn consumers(&self) -> usize {
        self.consumers.len()
    }
}

#[derive(Default)]
pub(super) struct Broker {
    pub(super) channels: BTreeMap<u16, Channel>,
    names: u64,
    /// The worker is sealed: it must get nothing.
    pub(super) sealed: bool,
    /// Short of memory: it reads nothing.
    pub(super) deaf: bool,
}

impl Broker {
    pub(super) fn receive(&mut self, frame: Frame) {
        if frame.channel > 0 {
            self.channels.entry(frame.channel).or_default().inbox.push_back(frame);
        }
    }

    fn say(&mut self, number: u16, line: &str) {
        self.channels.entry(number).or_default().out.push_back(bytes(&format!("{number} {line}")));
    }

    /// One channel does one thing.
    pub(super) fn step(&mut self, rng: &mut Rng) {
        let Some(number) = self.channels.keys().copied().nth(rng.below(self.channels.len().max(1))) else { return };
        match rng.below(7) {
            0..=2 if self.deaf => {}
            0..=2 => (0..=rng.below(3)).for_each(|_| self.look(number, rng)),
            3 => self.answer_slowly(number),
            4 => self.say_something(number, rng),
            _ => {
                let channel = &self.channels[&number];
                let Some(tag) = channel.consumers.keys().nth(rng.below(channel.consumers.len().max(1))) else { return };
                let (tag, consumer) = (tag.clone(), channel.consumers[tag].clone());
                if !consumer.asked && channel.in_hand(&tag) < consumer.prefetch {
                    self.deliver(number, &tag, rng);
                }
            }
        }
    }

    /// Looks at what has come.
    fn look(&mut self, number: u16, rng: &mut Rng) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let Some(frame) = channel.inbox.pop_front() else { return };
        let late = std::mem::take(&mut channel.late);
        if channel.closed {
            self.frame_when_closed(number, &frame);
        } else if frame.kind != 1 || channel.content.is_some() {
            channel.content_frame(&frame);
        } else {
            self.method(number, &frame, rng);
        }
        for (tag, _) in late {
            if self.channels.get(&number).is_some_and(|channel| channel.opened && !channel.closed) {
                self.deliver(number, &tag, rng);
            }
        }
    }

    /// A queue or a disk answers.
    fn answer_slowly(&mut self, number: u16) {
        let Some(channel) = self.channels.get_mut(&number).filter(|channel| !channel.closed) else { return };
        if std::mem::take(&mut channel.committing) {
            channel.in_tx.clear();
            return self.say(number, "tx.commit-ok");
        }
        if let Some((tag, consumer)) = channel.consumers.iter_mut().find(|(_, consumer)| consumer.asked) {
            consumer.asked = false;
            let line = format!("consume-ok {tag}");
            self.say(number, &line);
        }
    }

    /// A publisher's confirm, a message that is returned.
    fn say_something(&mut self, number: u16, rng: &mut Rng) {
        let channel = &self.channels[&number];
        if !channel.opened || channel.closed || number >= GATES {
            return;
        }
        match rng.below(4) {
            0 => self.say(number, "ack 3 multiple"),
            1 => ["return", "header 3 id=3", "body abc"].iter().for_each(|line| self.say(number, line)),
            _ => {}
        }
    }

    /// It closes a channel by itself.
    pub(super) fn kill(&mut self, number: u16) {
        if self.channels.get(&number).is_some_and(|channel| channel.opened && !channel.closed) {
            self.refuse(number, "406 0/0");
        }
    }

    /// It ends a consumer by itself.
    pub(super) fn end_one(&mut self, number: u16, rng: &mut Rng) {
        let Some(channel) = self.channels.get_mut(&number).filter(|channel| !channel.closed) else { return };
        let there: Vec<String> =
            channel.consumers.iter().filter(|(_, consumer)| !consumer.asked).map(|(tag, _)| tag.clone()).collect();
        let Some(tag) = there.get(rng.below(there.len().max(1))) else { return };
        channel.consumers.remove(tag);
        self.say(number, &format!("cancel {tag} nowait"));
    }

    /// A message by a consumer, or (without a tag) for a get.
    fn deliver(&mut self, number: u16, of: &str, rng: &mut Rng) {
        if of == "draingate-probe" {
            return; // its channel has what it may have
        }
        assert!(!self.sealed || number >= GATES, "a job for a sealed worker, by {of:?} on {number}");
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.delivered += 1;
        let tag = channel.delivered;
        channel.unacked.insert(tag, of.to_owned());
        let long = "xy".repeat(60);
        let mut body = ["", "abc", "{\"a\": 1}", &long][rng.below(4)].as_bytes();
        let properties = ["", "message=m", "id=3", "offset=4", "type=t correlation=9"][rng.below(5)];
        let method = if of.is_empty() { format!("get-ok {tag}") } else { format!("deliver {of} {tag}") };
        self.say(number, &method);
        self.say(number, &format!("header {} {properties}", body.len()));
        while !body.is_empty() {
            let (piece, rest) = body.split_at(rng.below(body.len() + 1).min(50));
            self.channels.entry(number).or_default().out.push_back(crate::frames::frame(3, number, piece));
            body = rest;
        }
    }

    fn refuse(&mut self, number: u16, why: &str) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.reset();
        (channel.opened, channel.closed) = (true, true);
        self.say(number, &format!("close {why}"));
    }

    fn frame_when_closed(&mut self, number: u16, frame: &Frame) {
        match frame.id {
            (20, 41) => self.channels.entry(number).or_default().reset(),
            (20, 40) => self.say(number, "close-ok"),
            _ => {}
        }
    }

    fn method(&mut self, number: u16, frame: &Frame, rng: &mut Rng) {
        let channel = self.channels.entry(number).or_default();
        assert!(channel.opened != (frame.id == (20, 10)), "504: {:?} on {number}", frame.id);
        assert!(!channel.committing, "504: {:?} on {number} during a commit", frame.id);
        match frame.id {
            (20, 10) => {
                channel.opened = true;
                self.say(number, "open-ok");
            }
            (20, 40) => {
                channel.reset();
                self.say(number, "close-ok");
            }
            (50, 10) => self.declare(number, frame),
            (60, 10) => {
                channel.prefetch = usize::from(u16::from_be_bytes([frame.payload[8], frame.payload[9]]));
                self.say(number, "qos-ok");
            }
            (60, 20) => self.consume(number, frame),
            (60, 30) => self.cancel(number, frame, rng),
            (60, 40) => channel.content = Some(None),
            (60, 70) if frame.name(6).0 == "qx" => self.refuse(number, "404 60/70"),
            (60, 70) if rng.below(2) == 0 => self.say(number, "get-empty"),
            (60, 70) => self.deliver(number, "", rng),
            (60, 80 | 90 | 120) => channel.settle(frame),
            (60, 110) => {
                channel.unacked.clear();
                self.say(number, "recover-ok");
            }
            (90, 10) => {
                channel.tx = true;
                self.say(number, "tx.select-ok");
            }
            (90, 20) => channel.committing = true,
            other => panic!("what is {other:?}?"),
        }
    }

    fn declare(&mut self, number: u16, frame: &Frame) {
        let (queue, _) = frame.name(6);
        let unlike = "406 50/10 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received \
                      the value '?' of type 'longstr' but current is none";
        match queue.as_str() {
            "qx" => self.refuse(number, "404 50/10"),
            _ if frame.has(b"x-queue-typeS\0\0\0\x01?") => self.refuse(number, unlike),
            _ => self.say(number, &format!("declare-ok {queue} 0")),
        }
    }

    fn consume(&mut self, number: u16, frame: &Frame) {
        let (queue, at) = frame.name(6);
        let (mut tag, at) = frame.name(at);
        if queue == "qx" {
            return self.refuse(number, "404 60/20");
        }
        if frame.has(b"x-priority") {
            return self.refuse(number, "406 60/20");
        }
        assert!(!frame.has(b"x-stream-offset"), "406: {queue} is no stream");
        if tag.is_empty() {
            self.names += 1;
            tag = format!("amq.ctag-{}", self.names);
        }
        let channel = self.channels.entry(number).or_default();
        let prefetch = if channel.prefetch == 0 { 6 } else { channel.prefetch };
        let consumer = Consumer { queue, prefetch, asked: frame.payload[at] >> 3 & 1 == 0 };
        assert!(channel.consumers.insert(tag.clone(), consumer).is_none(), "530: the tag {tag} is in use on {number}");
    }

    fn cancel(&mut self, number: u16, frame: &Frame, rng: &mut Rng) {
        let (tag, at) = frame.name(4);
        let nowait = frame.payload[at] & 1 == 1;
        let channel = self.channels.entry(number).or_default();
        if let Some(consumer) = channel.consumers.remove(&tag) {
            assert!(!consumer.asked, "541: {tag} of {} is cancelled before its consume-ok", consumer.queue);
            let racing = rng.below(consumer.prefetch.saturating_sub(channel.in_hand(&tag)) + 1).min(2);
            if nowait {
                channel.late.extend(std::iter::repeat_n((tag.clone(), consumer), racing));
            } else {
                (0..racing).for_each(|_| self.deliver(number, &tag, rng));
            }
        }
        if !nowait {
            self.say(number, &format!("cancel-ok {tag}"));
        }
    }

    /// Sends some of what is ready, the channels' frames mixed.
    pub(super) fn send(&mut self, most: usize, rng: &mut Rng) -> Vec<u8> {
        let mut sent = Vec::new();
        for _ in 0..most {
            let ready: Vec<u16> = self.channels.iter().filter(|(_, c)| !c.out.is_empty()).map(|(n, _)| *n).collect();
            let Some(number) = ready.get(rng.below(ready.len().max(1))) else { break };
            if rng.below(20) == 0 {
                sent.extend(bytes("0 heartbeat"));
            }
            let out = &mut self.channels.entry(*number).or_default().out;
            let n = out.len().min(1 + rng.below(4));
            out.drain(..n).for_each(|frame| sent.extend(frame));
        }
        sent
    }
}

impl Channel {
    /// A header or a body.
    fn content_frame(&mut self, frame: &Frame) {
        let left = match (frame.kind, self.content) {
            (2, Some(None)) => frame.number(4),
            (3, Some(Some(left))) => left.checked_sub(frame.payload.len() as u64).expect("501: too long"),
            other => panic!("505: {other:?} {:?}", frame.id),
        };
        if frame.kind == 3 {
            self.body.extend(&frame.payload);
        }
        self.content = (left > 0).then_some(Some(left));
        if left == 0 {
            self.published.push(std::mem::take(&mut self.body));
        }
    }

    fn settle(&mut self, frame: &Frame) {
        let (tag, bits) = (frame.number(4), frame.payload[12]);
        let multiple = frame.id.1 != 90 && bits & 1 == 1;
        assert!(self.unacked.contains_key(&tag), "406: unknown delivery tag {tag}");
        let from = if multiple { 0 } else { tag };
        let tags: Vec<u64> = self.unacked.range(from..=tag).map(|(tag, _)| *tag).collect();
        for tag in tags {
            let of = self.unacked.remove(&tag).unwrap_or_default();
            if self.tx {
                self.in_tx.insert(tag, of);
            }
        }
    }
}
