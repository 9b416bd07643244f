//! Scripts against the AMQP gate: text with a made-up clock, played whole, byte by byte and in random cuts.
//!
//! ```text
//! W> 1 ack 5          the worker sends this frame (see `frames`)
//! B> 1 ack 5          the broker has received exactly this next
//! B< 1 qos-ok         the broker sends this frame
//! W< 1 qos-ok         the worker has received exactly this next
//! W= .., B= ..        it is sent, and has arrived unchanged
//! W+ .., B+ ..        sent, together with the next line
//! E Delivered ..      this event came next (a * at the end stands for any rest)
//! DRAIN, UNDRAIN, PAUSE q,r (these queues and no others), RESUME (none), SYSTEM celery, +20ms, +1s, SAFE, UNSAFE, HELD, FREE
//! W gone, B gone      that side has closed (`W ending`: it will say no more)
//! ASK, ASK all        question 3 is put, about active tasks or about all lists (`ASK first`: and about what it knows)
//! CLOSED, CLOSED text the gate closed both sides (with an error that contains the text)
//! handshake           the usual beginning, with channel 1 (numbers behind it: those that the client's tune-ok has)
//! consumer            the same, and what [`CONSUMER`] says
//! ```
//! Before each new input everything that the gate put out must have been expected.

use crate::frames::{describe, encode};
use crate::rng::Rng;
use crate::{event, hand};
use draingate::gate::amqp::{AmqpGate, AmqpSettings};
use draingate::gate::{Action, Gate, GateError, Side};
use draingate::job::System;
use draingate::question::{List, Question};
use draingate::queue::PausedQueues;
use std::collections::VecDeque;
use std::sync::Arc;

/// How input is cut.
#[derive(Clone, Debug)]
enum Cuts {
    Whole,
    Bytes,
    Random(Rng),
}

/// A gate between two made-up sockets, and a pump of a few lines.
pub struct World {
    pub gate: AmqpGate,
    now: u64,
    cuts: Cuts,
    /// Sent and not consumed yet, by the side that sent it.
    pub waiting: [Vec<u8>; 2],
    /// To be sent with the next line.
    joined: [Vec<u8>; 2],
    /// Put out and not expected yet, by the side it went to.
    pub written: [Vec<u8>; 2],
    events: VecDeque<String>,
    closed: Option<Result<(), GateError>>,
    /// How often the set of paused queues has changed.
    pauses: u64,
}

/// Zero of the scripts' clock.
const ZERO: u64 = 1_700_000_000_000;

/// Plays a script in all cuts.
#[track_caller]
pub fn play(text: &str) {
    play_with(AmqpSettings::default(), text);
}

/// The same with settings.
#[track_caller]
pub fn play_with(settings: AmqpSettings, text: &str) {
    let cuts = (1..=6).map(|seed| Cuts::Random(Rng::new(seed)));
    for cuts in [Cuts::Whole, Cuts::Bytes].into_iter().chain(cuts) {
        let mut world = World::new(settings.clone(), cuts);
        world.play(text);
    }
}

impl World {
    fn new(settings: AmqpSettings, cuts: Cuts) -> World {
        World {
            gate: AmqpGate::new(Arc::new(settings), 7),
            now: ZERO,
            cuts,
            waiting: Default::default(),
            joined: Default::default(),
            written: Default::default(),
            events: VecDeque::new(),
            closed: None,
            pauses: 0,
        }
    }

    /// A world for properties: input goes in random cuts.
    pub fn random(seed: u64) -> World {
        World::new(AmqpSettings::default(), Cuts::Random(Rng::new(seed)))
    }

    /// Marks or unmarks.
    pub fn mark(&mut self, marked: bool) {
        let mut out = Vec::new();
        self.gate.mark(self.now, marked, &mut out);
        self.carry_out(Side::Client, &[], out);
        self.pump();
    }

    /// Pauses these queues, and no others.
    pub fn pause(&mut self, names: &[&str]) {
        self.pauses += 1;
        let names = names.iter().map(|name| (*name).to_owned());
        let mut out = Vec::new();
        self.gate.pause(self.now, &Arc::new(PausedQueues::new(self.pauses, names)), &mut out);
        self.carry_out(Side::Client, &[], out);
        self.pump();
    }

    /// The delivery tags that the events so far have left in flight.
    pub fn in_flight(&self) -> std::collections::BTreeSet<u64> {
        let mut open = std::collections::BTreeSet::new();
        for event in &self.events {
            let mut words = event.split(' ');
            let (what, key) = (words.next(), words.next().unwrap_or_default());
            let Some(tag) = key.rsplit('.').next().and_then(|tag| tag.parse().ok()) else { continue };
            match what {
                Some("Delivered") => assert!(open.insert(tag), "delivered twice: {key}"),
                Some("Ended") => assert!(open.remove(&tag), "ended twice: {key}"),
                _ => {}
            }
        }
        open
    }

    /// How many fetches are at the broker, by the events so far.
    pub fn at_broker(&self) -> i64 {
        let one = |event: &String| match event.split(' ').take(2).collect::<Vec<_>>()[..] {
            ["FetchAsked", "broker"] | ["FetchMoved", "broker"] => 1,
            ["FetchAnswered", "broker"] | ["FetchMoved", "gate"] => -1,
            _ => 0,
        };
        self.events.iter().map(one).sum()
    }

    /// Time passes.
    pub fn pass(&mut self, millis: u64) {
        self.now += millis;
        while self.gate.next_timeout().is_some_and(|due| due <= self.now) && self.closed.is_none() {
            let mut out = Vec::new();
            self.gate.timeout(self.now, &mut out);
            self.carry_out(Side::Client, &[], out);
            self.pump();
        }
    }

    #[track_caller]
    pub fn play(&mut self, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(why) = self.line(line) {
                panic!("line {} ({:?}): {line}\n  {why}\n{}", number + 1, self.cuts, self.picture());
            }
        }
        if let Err(why) = self.nothing_left() {
            panic!("at the end ({:?}): {why}\n{}", self.cuts, self.picture());
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let rest = line.get(3..).unwrap_or_default();
        match line.get(..2).unwrap_or_default() {
            "W>" => self.send(Side::Client, &encode(rest)?),
            "B<" => self.send(Side::Broker, &encode(rest)?),
            "W+" => self.join(Side::Client, &encode(rest)?),
            "B+" => self.join(Side::Broker, &encode(rest)?),
            "B>" => self.expect(Side::Broker, &encode(rest)?),
            "W<" => self.expect(Side::Client, &encode(rest)?),
            "W=" => {
                let bytes = encode(rest)?;
                self.send(Side::Client, &bytes)?;
                self.expect(Side::Broker, &bytes)
            }
            "B=" => {
                let bytes = encode(rest)?;
                self.send(Side::Broker, &bytes)?;
                self.expect(Side::Client, &bytes)
            }
            "E " => self.expect_event(&line[2..]),
            _ => self.other(line),
        }
    }

    fn other(&mut self, line: &str) -> Result<(), String> {
        let mut out = Vec::new();
        match line {
            "DRAIN" | "UNDRAIN" => {
                self.nothing_left()?;
                self.gate.mark(self.now, line == "DRAIN", &mut out);
                self.carry_out(Side::Client, &[], out);
                self.pump();
            }
            _ if line == "RESUME" || line.starts_with("PAUSE ") => {
                self.nothing_left()?;
                let names = line.strip_prefix("PAUSE ").map(|names| names.split(',').collect::<Vec<_>>());
                self.pause(&names.unwrap_or_default());
            }
            "ASK" | "ASK all" | "ASK first" => {
                self.nothing_left()?;
                let lists = List::of(line == "ASK all", line == "ASK first");
                self.gate.ask(Question { nonce: 7, number: 3, lists }, &mut out);
                self.carry_out(Side::Client, &[], out);
            }
            "SYSTEM celery" => self.gate.set_system(System::Celery),
            "SAFE" | "UNSAFE" if self.gate.at_safe_boundary() != (line == "SAFE") => {
                return Err("it is the contrary".to_owned());
            }
            "HELD" | "FREE" if self.gate.wants(Side::Client) != (line == "FREE") => {
                return Err("it is the contrary".to_owned());
            }
            "SAFE" | "UNSAFE" | "HELD" | "FREE" => {}
            "W ending" => {
                self.gate.ending(self.now, Side::Client, &mut out);
                self.carry_out(Side::Client, &[], out);
                self.pump();
            }
            "W gone" | "B gone" => self.gone(if line == "W gone" { Side::Client } else { Side::Broker }),
            "consumer" => self.play(CONSUMER),
            _ if line.starts_with("handshake") => {
                let tuned = line["handshake".len()..].trim();
                self.play(&HANDSHAKE.replace("tune-ok", &format!("tune-ok {tuned}")));
            }
            _ if line.starts_with("CLOSED") => {
                let why = line["CLOSED".len()..].trim();
                match self.closed.take() {
                    Some(Ok(())) if why.is_empty() => {}
                    Some(Err(error)) if !why.is_empty() && error.to_string().contains(why) => {}
                    other => return Err(format!("it is {other:?}")),
                }
            }
            _ => return self.time(line),
        }
        Ok(())
    }

    fn time(&mut self, line: &str) -> Result<(), String> {
        let text = line.strip_prefix('+').ok_or_else(|| format!("what is {line}?"))?;
        let millis = match text.strip_suffix("ms") {
            Some(n) => n.parse::<u64>(),
            None => text.trim_end_matches('s').parse::<u64>().map(|n| n * 1_000),
        };
        let until = self.now + millis.map_err(|_| format!("what is {line}?"))?;
        self.nothing_left()?;
        let mut turns = 0;
        while let Some(due) = self.gate.next_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let mut out = Vec::new();
            self.gate.timeout(self.now, &mut out);
            self.carry_out(Side::Client, &[], out);
            self.pump();
            turns += 1;
            if turns > 100 {
                return Err("the gate wants to be woken for ever".to_owned());
            }
        }
        self.now = until;
        Ok(())
    }

    fn join(&mut self, from: Side, bytes: &[u8]) -> Result<(), String> {
        self.nothing_left()?;
        self.joined[from as usize].extend(bytes);
        Ok(())
    }

    fn send(&mut self, from: Side, bytes: &[u8]) -> Result<(), String> {
        self.nothing_left()?;
        let joined = std::mem::take(&mut self.joined[from as usize]);
        self.feed(from, &[joined.as_slice(), bytes].concat());
        Ok(())
    }

    /// Bytes come from a side, in cuts.
    pub fn feed(&mut self, from: Side, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = match &mut self.cuts {
                Cuts::Whole => bytes.len(),
                Cuts::Bytes => 1,
                Cuts::Random(rng) => 1 + rng.below(bytes.len().min(40)),
            };
            self.waiting[from as usize].extend(&bytes[..n]);
            bytes = &bytes[n..];
            self.present(from);
            self.pump();
        }
    }

    /// As the pump does: what is wanted now is presented.
    fn present(&mut self, from: Side) {
        if !self.gate.wants(from) || self.closed.is_some() {
            return;
        }
        let input = std::mem::take(&mut self.waiting[from as usize]);
        let mut out = Vec::new();
        let used = self.gate.input(self.now, from, &input, &mut out);
        assert!(used <= input.len(), "more consumed than there is");
        self.carry_out(from, &input, out);
        self.waiting[from as usize] = input[used..].to_vec();
    }

    /// Presents what was held back, when it is wanted again.
    fn pump(&mut self) {
        for _ in 0..4 {
            for from in [Side::Client, Side::Broker] {
                if !self.waiting[from as usize].is_empty() {
                    self.present(from);
                }
            }
        }
    }

    fn gone(&mut self, side: Side) {
        let mut out = Vec::new();
        if !self.waiting[side as usize].is_empty() && !self.gate.wants(side) {
            self.gate.ending(self.now, side, &mut out);
            self.carry_out(side, &[], std::mem::take(&mut out));
            self.pump();
        }
        self.gate.end(self.now, side, 0, &mut out);
        self.carry_out(side, &[], out);
    }

    fn carry_out(&mut self, from: Side, input: &[u8], out: Vec<Action>) {
        for action in out {
            assert!(self.closed.is_none(), "ordered after the close: {action:?}");
            match action {
                Action::Forward(range) => self.written[from.other() as usize].extend(&input[range]),
                Action::Send { to, bytes } => self.written[to as usize].extend(&bytes),
                Action::Event(event) => self.events.extend(hand::each(event).iter().map(event::text)),
                Action::Close(why) => self.closed = Some(why),
            }
        }
    }

    fn expect(&mut self, at: Side, bytes: &[u8]) -> Result<(), String> {
        let written = &mut self.written[at as usize];
        if !written.starts_with(bytes) {
            return Err(format!("expected {:?}", describe(bytes)));
        }
        written.drain(..bytes.len());
        Ok(())
    }

    fn expect_event(&mut self, text: &str) -> Result<(), String> {
        let Some(event) = self.events.pop_front() else { return Err("there is no event".to_owned()) };
        let text = text.trim();
        let fits = text.strip_suffix('*').map_or(event == text, |start| event.starts_with(start));
        if fits { Ok(()) } else { Err(format!("the event is {event}")) }
    }

    fn nothing_left(&self) -> Result<(), String> {
        let silent = self.written.iter().all(Vec::is_empty) && self.events.is_empty();
        if silent && self.closed.is_none() { Ok(()) } else { Err("something has not been expected".to_owned()) }
    }

    fn picture(&self) -> String {
        let [client, broker] = &self.written;
        let held = describe(&self.waiting[0]);
        format!(
            "  worker has: {:?}\n  broker has: {:?}\n  events: {:?}\n  held: {held:?}\n  closed: {:?}",
            describe(client),
            describe(broker),
            self.events,
            self.closed
        )
    }
}

/// A consumer of jobs on channel 1.
pub const CONSUMER: &str = "
    handshake
    W= 1 qos 2
    B= 1 qos-ok
    W= 1 declare q durable
    B= 1 declare-ok q
    W= 1 consume q t
    E FetchAsked broker q blocking
    B= 1 consume-ok t
";

const HANDSHAKE: &str = "
    W= greeting
    B= 0 start
    W= 0 start-ok
    E User guest
    B= 0 tune
    W= 0 tune-ok
    W= 0 connection.open
    B= 0 connection.open-ok
    W= 1 open
    B= 1 open-ok
";
