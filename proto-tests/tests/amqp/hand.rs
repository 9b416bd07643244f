//! A gate between two made-up sockets for models of whole connections: what goes where, and what the facts so far come to.

use crate::frames::encode;
use draingate::gate::amqp::{AmqpGate, AmqpSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::{JobEvent, JobKey, Millis, Place, Settling};
use draingate::queue::PausedQueues;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The bytes of a line.
pub fn bytes(line: &str) -> Vec<u8> {
    encode(line).unwrap_or_else(|why| panic!("{line}: {why}"))
}

/// What is told of many jobs at a time, told of each.
pub fn each(event: JobEvent) -> Vec<JobEvent> {
    let JobEvent::Settled { keys, how } = event else { return vec![event] };
    let one = |key| match how {
        Settling::Acked => JobEvent::Acked(key),
        Settling::Ended(outcome) => JobEvent::Ended { key, outcome },
    };
    keys.into_iter().map(one).collect()
}

/// One frame.
pub struct Frame {
    pub kind: u8,
    pub channel: u16,
    /// Class and method; zeros if it is none.
    pub id: (u8, u8),
    pub payload: Vec<u8>,
}

impl Frame {
    /// Takes whole frames off the front, and drops the greeting.
    pub fn take_all(bytes: &mut Vec<u8>) -> Vec<Frame> {
        let mut frames = Vec::new();
        if bytes.len() >= 8 && bytes.starts_with(b"AMQP") {
            bytes.drain(..8);
        }
        while let Some(size) = bytes.get(3..7).map(|s| u32::from_be_bytes([s[0], s[1], s[2], s[3]]) as usize) {
            if bytes.len() < size + 8 {
                break;
            }
            let frame: Vec<u8> = bytes.drain(..size + 8).collect();
            assert_eq!(frame[size + 7], 0xCE, "no end octet");
            let id = if frame[0] == 1 { (frame[8], frame[10]) } else { (0, 0) };
            let (channel, payload) = (u16::from_be_bytes([frame[1], frame[2]]), frame[7..size + 7].to_vec());
            frames.push(Frame { kind: frame[0], channel, id, payload });
        }
        frames
    }

    /// The name at a place, and the place behind it.
    pub fn name(&self, at: usize) -> (String, usize) {
        let end = at + 1 + usize::from(self.payload[at]);
        (String::from_utf8_lossy(&self.payload[at + 1..end]).into_owned(), end)
    }

    /// The long number at a place.
    pub fn number(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.payload[at..at + 8].try_into().expect("eight"))
    }

    /// Whether these bytes are somewhere in it.
    pub fn has(&self, bytes: &[u8]) -> bool {
        self.payload.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// See the module.
pub struct Hand {
    pub gate: AmqpGate,
    now: Millis,
    /// Sent and not consumed yet, by the side that sent it.
    pub waiting: [Vec<u8>; 2],
    /// Put out and not looked at yet, by the side it went to.
    pub written: [Vec<u8>; 2],
    /// Channels and delivery tags.
    pub in_flight: BTreeSet<(u16, u64)>,
    /// Fetches at the broker.
    pub at_broker: i64,
    /// Reasons why it cannot be sealed.
    pub bound: BTreeSet<String>,
    /// How often the paused queues have changed.
    pauses: u64,
}

impl Hand {
    /// An open connection.
    pub fn new() -> Hand {
        let mut hand = Hand {
            gate: AmqpGate::new(Arc::new(AmqpSettings::default()), 7),
            now: 1_700_000_000_000,
            waiting: Default::default(),
            written: Default::default(),
            in_flight: BTreeSet::new(),
            at_broker: 0,
            bound: BTreeSet::new(),
            pauses: 0,
        };
        for line in ["greeting", "0 start-ok", "0 tune-ok", "0 connection.open"] {
            hand.feed(Side::Client, &bytes(line));
        }
        for line in ["0 start", "0 tune", "0 connection.open-ok"] {
            hand.feed(Side::Broker, &bytes(line));
        }
        hand.written = Default::default();
        hand
    }

    fn note(&mut self, event: JobEvent) {
        let place = |key: &JobKey| match key {
            JobKey::Delivery { channel, tag, .. } => (*channel, *tag),
            other => panic!("{other:?}"),
        };
        match &event {
            JobEvent::Delivered(job) => assert!(self.in_flight.insert(place(&job.key)), "twice: {event:?}"),
            JobEvent::Ended { key, .. } => assert!(self.in_flight.remove(&place(key)), "ended twice: {event:?}"),
            JobEvent::FetchAsked { place: Place::Broker, .. } | JobEvent::FetchMoved { to: Place::Broker } => {
                self.at_broker += 1;
            }
            JobEvent::FetchAnswered { from: Place::Broker, .. } | JobEvent::FetchMoved { to: Place::Gate } => {
                self.at_broker -= 1;
            }
            JobEvent::Bound(why) => assert!(self.bound.insert(why.clone()), "bound twice: {why}"),
            JobEvent::Unbound(why) => assert!(self.bound.remove(why), "not bound: {why}"),
            JobEvent::Blocked(why) => panic!("blocked: {why}"),
            _ => {}
        }
        assert!(self.at_broker >= 0, "more was answered than asked");
    }

    fn heed(&mut self, from: Side, input: &[u8], out: Vec<Action>) {
        for action in out {
            match action {
                Action::Forward(range) => self.written[from.other() as usize].extend(&input[range]),
                Action::Send { to, bytes } => self.written[to as usize].extend(&bytes[..]),
                Action::Event(event) => each(event).into_iter().for_each(|event| self.note(event)),
                Action::Close(why) => panic!("the gate closes: {why:?}"),
            }
        }
    }

    /// Presents what waits on a side, if it is wanted.
    fn present(&mut self, side: Side) {
        if !self.gate.wants(side) {
            return;
        }
        let (input, mut out) = (std::mem::take(&mut self.waiting[side as usize]), Vec::new());
        let used = self.gate.input(self.now, side, &input, &mut out);
        self.heed(side, &input, out);
        self.waiting[side as usize] = input[used..].to_vec();
    }

    fn present_both(&mut self) {
        for side in [Side::Client, Side::Broker, Side::Client] {
            self.present(side);
        }
    }

    /// Bytes come from a side.
    pub fn feed(&mut self, from: Side, bytes: &[u8]) {
        self.waiting[from as usize].extend(bytes);
        self.present(from);
        self.present_both();
    }

    /// Sets or lifts the mark.
    pub fn mark(&mut self, marked: bool) {
        let mut out = Vec::new();
        self.gate.mark(self.now, marked, &mut out);
        self.heed(Side::Client, &[], out);
        self.present_both();
    }

    /// Pauses these queues, and no others.
    pub fn pause(&mut self, names: &[&str]) {
        self.pauses += 1;
        let names = names.iter().map(|name| (*name).to_owned());
        let mut out = Vec::new();
        self.gate.pause(self.now, &Arc::new(PausedQueues::new(self.pauses, names)), &mut out);
        self.heed(Side::Client, &[], out);
        self.present_both();
    }

    /// Time passes.
    pub fn pass(&mut self, millis: u64) {
        self.now += millis;
        for turn in 0.. {
            assert!(turn < 100, "it wants to be woken for ever");
            if self.gate.next_timeout().is_none_or(|due| due > self.now) {
                break;
            }
            let mut out = Vec::new();
            self.gate.timeout(self.now, &mut out);
            self.heed(Side::Client, &[], out);
            self.present_both();
        }
    }
}
