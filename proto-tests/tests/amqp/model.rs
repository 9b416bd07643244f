//! The gate between a client that does as it should and a model of RabbitMQ that is as touchy as the real one: it ends the
//! test where that would close the connection. Random steps of either, drains that come and go, and messages under way.

use crate::frames::encode;
use crate::rng::Rng;
use crate::script::World;
use draingate::gate::Side;
use std::collections::{BTreeMap, VecDeque};

const TAGS: [&str; 2] = ["a", "bb"];

/// A consumer as the broker has it.
struct Consumer {
    prefetch: usize,
    /// Its consume-ok is still to be said.
    asked: bool,
}

/// One classic queue that is never empty, and what of it is on one connection.
#[derive(Default)]
struct Broker {
    /// Received, and not looked at yet.
    inbox: VecDeque<Vec<u8>>,
    consumers: BTreeMap<String, Consumer>,
    prefetch: usize,
    /// By delivery tag: the consumer's tag.
    unacked: BTreeMap<u64, String>,
    delivered: u64,
    /// A commit that is not answered yet.
    committing: bool,
    in_tx: Vec<u64>,
    /// Deliveries of consumers that were cancelled without waiting: they come when something else has been answered.
    late: Vec<String>,
}

fn names(payload: &[u8], skip: usize) -> Vec<String> {
    let (mut names, mut rest) = (Vec::new(), &payload[skip..]);
    while let [length, behind @ ..] = rest {
        let Some((name, more)) = behind.split_at_checked(usize::from(*length)) else { break };
        names.push(String::from_utf8_lossy(name).into_owned());
        rest = more;
    }
    names
}

impl Broker {
    /// Takes whole frames in.
    fn receive(&mut self, bytes: &mut Vec<u8>) {
        while bytes.len() >= 7 {
            let size = u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]) as usize;
            if bytes.len() < size + 8 {
                break;
            }
            self.inbox.push_back(bytes.drain(..size + 8).collect());
        }
    }

    fn in_hand(&self, tag: &str) -> usize {
        self.unacked.values().filter(|of| *of == tag).count()
    }

    fn deliver(&mut self, tag: &str, out: &mut Vec<String>) {
        self.delivered += 1;
        self.unacked.insert(self.delivered, tag.to_owned());
        out.push(format!("1 message {tag} {} abc", self.delivered));
    }

    /// Does one thing: looks at a frame, or something that takes its time.
    fn step(&mut self, rng: &mut Rng) -> Vec<String> {
        let mut out = Vec::new();
        match rng.below(4) {
            0 | 1 => {
                if let Some(frame) = self.inbox.pop_front() {
                    let late = std::mem::take(&mut self.late);
                    self.frame(&frame, rng, &mut out);
                    late.iter().for_each(|tag| self.deliver(tag, &mut out));
                }
            }
            2 => self.slow(&mut out),
            _ => {
                let tags: Vec<String> = self.consumers.keys().cloned().collect();
                let Some(tag) = tags.get(rng.below(tags.len().max(1))).cloned() else { return out };
                let consumer = &self.consumers[&tag];
                if !consumer.asked && self.in_hand(&tag) < consumer.prefetch {
                    self.deliver(&tag, &mut out);
                }
            }
        }
        out
    }

    /// A queue or a disk answers.
    fn slow(&mut self, out: &mut Vec<String>) {
        if std::mem::take(&mut self.committing) {
            self.in_tx.drain(..).for_each(|tag| drop(self.unacked.remove(&tag)));
            return out.push("1 tx.commit-ok".to_owned());
        }
        if let Some((tag, consumer)) = self.consumers.iter_mut().find(|(_, consumer)| consumer.asked) {
            consumer.asked = false;
            out.push(format!("1 consume-ok {tag}"));
        }
    }

    fn frame(&mut self, frame: &[u8], rng: &mut Rng, out: &mut Vec<String>) {
        let (channel, payload) = (u16::from_be_bytes([frame[1], frame[2]]), &frame[7..frame.len() - 1]);
        if frame[0] != 1 || channel == 0 {
            return;
        }
        assert!(channel != 1 || !self.committing, "504: said during a commit: {payload:02x?}");
        let number = |at: usize| u64::from_be_bytes(payload[at..at + 8].try_into().expect("eight"));
        match (payload[1], payload[3]) {
            (20, 10) => out.push(format!("{channel} open-ok")),
            (20, 40) => out.push(format!("{channel} close-ok")),
            (50, 10) => out.push(format!("{channel} declare-ok q")),
            (60, 10) => {
                self.prefetch = usize::from(u16::from_be_bytes([payload[8], payload[9]]));
                out.push("1 qos-ok".to_owned());
            }
            (60, 20) => {
                let tag = names(payload, 6)[1].clone();
                let consumer = Consumer { prefetch: self.prefetch, asked: true };
                assert!(self.consumers.insert(tag, consumer).is_none(), "530: the tag is in use");
            }
            (60, 30) => {
                let tag = names(payload, 4)[0].clone();
                let nowait = payload[payload.len() - 1] & 1 == 1;
                if let Some(consumer) = self.consumers.remove(&tag) {
                    assert!(!consumer.asked, "541: cancelled before its consume-ok");
                    let racing = rng.below(consumer.prefetch.saturating_sub(self.in_hand(&tag)) + 1);
                    match nowait {
                        true => self.late.extend(std::iter::repeat_n(tag.clone(), racing)),
                        false => (0..racing).for_each(|_| self.deliver(&tag, out)),
                    }
                }
                if !nowait {
                    out.push(format!("1 cancel-ok {tag}"));
                }
            }
            (60, 80) => {
                let tag = number(4);
                assert!(self.unacked.contains_key(&tag), "406: unknown delivery tag {tag}");
                self.in_tx.push(tag);
            }
            (90, 10) => out.push("1 tx.select-ok".to_owned()),
            (90, 20) => self.committing = true,
            other => panic!("what is {other:?}?"),
        }
    }

    /// Without a transaction an ack counts at once.
    fn settle(&mut self) {
        self.in_tx.drain(..).for_each(|tag| drop(self.unacked.remove(&tag)));
    }
}

/// A consumer as the client has it.
#[derive(Clone, Copy, PartialEq)]
enum Mine {
    None,
    Asked,
    There,
    Leaving,
}

struct Client {
    consumers: [Mine; 2],
    unacked: Vec<u64>,
    /// Waits for its commit-ok.
    committing: bool,
    tx: bool,
}

impl Client {
    /// What it hears.
    fn hears(&mut self, bytes: &mut Vec<u8>) {
        let mut broker = Broker::default();
        broker.receive(bytes);
        for frame in broker.inbox {
            let payload = &frame[7..frame.len() - 1];
            if frame[0] != 1 || payload[0] != 0 {
                continue;
            }
            let mine = |tag: &str| TAGS.iter().position(|of| *of == tag).unwrap_or_else(|| panic!("whose is {tag}?"));
            match (payload[1], payload[3]) {
                (60, 21) => {
                    let of = &mut self.consumers[mine(&names(payload, 4)[0])];
                    assert!(*of == Mine::Asked, "a consume-ok that was not due");
                    *of = Mine::There;
                }
                (60, 31) => {
                    let of = &mut self.consumers[mine(&names(payload, 4)[0])];
                    assert!(*of == Mine::Leaving, "a cancel-ok that was not due");
                    *of = Mine::None;
                }
                (60, 60) => {
                    let tag = &names(payload, 4)[0];
                    let _ = mine(tag);
                    let at = 5 + tag.len();
                    self.unacked.push(u64::from_be_bytes(payload[at..at + 8].try_into().expect("eight")));
                }
                (90, 21) => self.committing = false,
                _ => {}
            }
        }
    }

    /// What it says next.
    fn says(&mut self, rng: &mut Rng) -> Option<String> {
        if self.committing {
            return None;
        }
        let which = rng.below(2);
        let (tag, of) = (TAGS[which], &mut self.consumers[which]);
        match (rng.below(6), *of) {
            (0 | 1, Mine::None) => {
                *of = Mine::Asked;
                Some(format!("1 consume q {tag}"))
            }
            (0, Mine::There) => {
                *of = Mine::Leaving;
                Some(format!("1 cancel {tag}"))
            }
            (1, Mine::There) => {
                *of = Mine::None;
                Some(format!("1 cancel {tag} nowait"))
            }
            (2 | 3, _) if !self.unacked.is_empty() => {
                let at = rng.below(self.unacked.len());
                Some(format!("1 ack {}", self.unacked.remove(at)))
            }
            (4, _) if self.tx => {
                self.committing = true;
                Some("1 tx.commit".to_owned())
            }
            _ => None,
        }
    }
}

struct Play {
    world: World,
    broker: Broker,
    client: Client,
    rng: Rng,
    marked: bool,
}

impl Play {
    fn new(seed: u64, tx: bool) -> Play {
        let client = Client { consumers: [Mine::None; 2], unacked: Vec::new(), committing: false, tx };
        let broker = Broker::default();
        let mut play = Play { world: World::random(seed), broker, client, rng: Rng::new(seed ^ 77), marked: false };
        for line in ["greeting", "0 start-ok", "0 tune-ok", "0 connection.open"] {
            play.world.feed(Side::Client, &encode(line).expect("a frame"));
        }
        for line in ["0 start", "0 tune", "0 connection.open-ok"] {
            play.world.feed(Side::Broker, &encode(line).expect("a frame"));
        }
        play.world.written[1].drain(..8);
        let tx = if tx { "1 tx.select" } else { "0 heartbeat" };
        for line in ["1 open", "1 declare q durable x-queue-type=classic", "1 qos 3", tx] {
            play.world.feed(Side::Client, &encode(line).expect("a frame"));
        }
        (0..60).for_each(|_| play.broker());
        play
    }

    fn broker(&mut self) {
        self.broker.receive(&mut self.world.written[1]);
        let lines = self.broker.step(&mut self.rng);
        if !self.client.tx {
            self.broker.settle();
        }
        for line in lines {
            let comes = line.contains("message");
            assert!(!(comes && self.marked && self.world.at_broker() == 0), "a job came to a sealed worker");
            self.world.feed(Side::Broker, &encode(&line).expect("a frame"));
        }
        self.client.hears(&mut self.world.written[0]);
    }

    fn mark(&mut self, marked: bool) {
        self.marked = marked;
        self.world.mark(marked);
    }

    fn step(&mut self) {
        match self.rng.below(20) {
            0..=8 => self.broker(),
            9..=15 => {
                if let Some(line) = self.client.says(&mut self.rng) {
                    self.world.feed(Side::Client, &encode(&line).expect("a frame"));
                }
            }
            16 => self.mark(true),
            17 => self.mark(false),
            18 => self.world.pass(5),
            _ => self.world.pass(300),
        }
    }

    /// Nothing more is said by the client: all settles.
    fn rest(&mut self) {
        for _ in 0..400 {
            self.broker();
            self.world.pass(50);
        }
    }

    fn run(&mut self) {
        (0..150).for_each(|_| self.step());
        self.mark(true);
        self.rest();
        assert_eq!(self.world.at_broker(), 0, "it is never sealed");
        assert!(self.broker.consumers.is_empty(), "sealed, and the broker has consumers");
        let open: Vec<u64> = self.broker.unacked.keys().copied().collect();
        assert_eq!(self.world.in_flight().into_iter().collect::<Vec<_>>(), open, "in flight");
        self.mark(false);
        let acks: Vec<u64> = std::mem::take(&mut self.client.unacked);
        for tag in acks {
            self.world.feed(Side::Client, &encode(&format!("1 ack {tag}")).expect("a frame"));
        }
        if self.client.tx {
            self.world.feed(Side::Client, &encode("1 tx.commit").expect("a frame"));
        }
        // renewed, too, where it had less at first
        (0..3).for_each(|_| self.rest());
        let there = self.client.consumers.iter().filter(|of| matches!(of, Mine::There)).count();
        assert_eq!(self.broker.consumers.len(), there, "those of the client's are back");
        assert!(!self.client.consumers.contains(&Mine::Asked), "a consume is not answered");
        assert!(self.world.waiting[0].is_empty(), "the client is held for ever");
    }
}

#[test]
fn a_touchy_broker_has_nothing_to_complain_of() {
    (0..100).for_each(|seed| Play::new(seed, false).run());
}

#[test]
fn nor_has_it_with_transactions() {
    (0..100).for_each(|seed| Play::new(seed, true).run());
}
