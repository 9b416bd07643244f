//! A busy connection: several channels at once, each with consumers, gets, transactions, publishes and acks of all kinds,
//! their frames mixed and cut anywhere; a broker that closes channels and ends consumers by itself and stops reading now
//! and then; drains and pauses that come and go. Nobody has anything to complain of, nothing reaches a sealed worker, and
//! what the gate takes for in flight is what the broker has handed out.

mod broker;
mod client;

use crate::hand::{Frame, Hand, bytes};
use crate::rng::Rng;
use broker::Broker;
use client::Client;
use draingate::gate::Side;
use std::collections::BTreeSet;

/// The queues that the client speaks of; the last is not there.
const QUEUES: [&str; 7] = ["q0", "q1", "q2", "q0", "q1", "q2", "qx"];

struct Play {
    hand: Hand,
    broker: Broker,
    client: Client,
    rng: Rng,
    marked: bool,
    /// On its way to the gate, by the side that sent it.
    wire: [Vec<u8>; 2],
    seed: u64,
}

impl Drop for Play {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with seed {}", self.seed);
        }
    }
}

impl Play {
    fn new(seed: u64) -> Play {
        let (broker, client) = (Broker::default(), Client::default());
        let rng = Rng::new(seed);
        Play { hand: Hand::new(), broker, client, rng, marked: false, wire: Default::default(), seed }
    }

    /// Some of what is on its way arrives, or all of it.
    fn arrive(&mut self, side: Side, all: bool) {
        let wire = &mut self.wire[side as usize];
        let n = match self.rng.below(3) {
            0 if !all => self.rng.below(wire.len() + 1).min(12),
            1 if !all => self.rng.below(wire.len() + 1),
            _ => wire.len(),
        };
        let arrived: Vec<u8> = wire.drain(..n).collect();
        self.hand.feed(side, &arrived);
    }

    /// What the gate has put out is heard.
    fn hear(&mut self) {
        for frame in Frame::take_all(&mut self.hand.written[Side::Broker as usize]) {
            self.broker.receive(frame);
        }
        for frame in Frame::take_all(&mut self.hand.written[Side::Client as usize]) {
            self.client.hears(&frame);
        }
        for (number, channel) in &self.client.channels {
            let Some(there) = self.broker.channels.get(number).filter(|_| channel.open) else { continue };
            for tag in channel.unacked.iter().filter(|tag| there.unacked.contains_key(tag)) {
                assert!(self.hand.in_flight.contains(&(*number, *tag)), "{number}.{tag} is not in flight");
            }
        }
        self.broker.sealed = self.marked && self.hand.at_broker == 0 && self.hand.bound.is_empty();
    }

    fn mark(&mut self, marked: bool) {
        self.marked = marked;
        self.broker.sealed &= marked;
        self.hand.mark(marked);
    }

    /// The broker stops reading, or goes on.
    fn turn_deaf(&mut self, deaf: bool) {
        if self.broker.deaf != deaf {
            self.broker.deaf = deaf;
            let word = if deaf { "0 connection.blocked" } else { "0 connection.unblocked" };
            self.wire[Side::Broker as usize].extend(bytes(word));
        }
    }

    fn step(&mut self) {
        let number = 1 + u16::try_from(self.rng.below(3)).unwrap_or(0);
        match self.rng.below(40) {
            0..=11 => {
                self.broker.step(&mut self.rng);
                let most = [0, 0, 3, 12][self.rng.below(4)];
                let sent = self.broker.send(most, &mut self.rng);
                self.wire[Side::Broker as usize].extend(sent);
            }
            12..=17 => self.arrive(Side::Broker, false),
            18..=25 => {
                self.client.speak(&mut self.rng);
                let sent = self.client.send(&mut self.rng);
                self.wire[Side::Client as usize].extend(sent);
            }
            26..=31 => self.arrive(Side::Client, false),
            32 => self.mark(true),
            33 => self.mark(false),
            34 => self.hand.pass(5),
            35 | 36 => self.hand.pass(300),
            37 => match self.rng.below(16) {
                0 | 1 => self.turn_deaf(!self.broker.deaf),
                2..=5 => self.broker.kill(number),
                _ => {}
            },
            38 if self.rng.below(3) == 0 => self.broker.end_one(number, &mut self.rng),
            39 => {
                let paused: &[&str] = [&["q0"][..], &["q1", "q2"], &[], &[]][self.rng.below(4)];
                self.hand.pause(paused);
            }
            _ => {}
        }
        self.hear();
    }

    /// Nothing new is said by the client: all settles.
    fn rest(&mut self) {
        self.turn_deaf(false);
        for _ in 0..600 {
            if self.client.at_a_loss {
                return;
            }
            self.broker.step(&mut self.rng);
            let sent = self.broker.send(1_000, &mut self.rng);
            self.wire[Side::Broker as usize].extend(sent);
            self.arrive(Side::Broker, true);
            self.hear();
            let sent = self.client.send(&mut self.rng);
            self.wire[Side::Client as usize].extend(sent);
            self.arrive(Side::Client, true);
            self.hand.pass(50);
            self.hear();
        }
    }

    /// All has settled: nobody waits for anything, nothing was lost. Returned is on how many channels consumers are missing.
    fn look(&self) -> usize {
        assert!(self.hand.waiting.iter().all(Vec::is_empty), "something is held back for ever");
        let mut missing = 0;
        for (number, channel) in &self.client.channels {
            let (consumers, there) = (channel.rests(), self.broker.channels.get(number));
            missing += usize::from(there.map_or(0, broker::Channel::consumers) != consumers);
            if let Some(there) = there.filter(|_| channel.open) {
                assert_eq!(there.published, channel.published, "what was published on {number}");
            }
        }
        let mut open = BTreeSet::new();
        for (number, channel) in &self.broker.channels {
            assert!(channel.has_sent_all());
            open.extend(channel.unacked.keys().chain(channel.in_tx.keys()).map(|tag| (*number, *tag)));
        }
        assert_eq!(self.hand.in_flight, open, "in flight");
        missing
    }

    fn run(&mut self) {
        for _ in 0..400 {
            self.step();
            if self.client.at_a_loss {
                return;
            }
        }
        self.mark(true);
        (0..4).for_each(|_| self.rest());
        if self.client.at_a_loss {
            return;
        }
        self.look();
        assert_eq!(self.hand.at_broker, 0, "it is never sealed");
        assert!(self.broker.channels.values().all(|c| c.consumers() == 0), "sealed, and there are consumers");
        self.mark(false);
        self.hand.pause(&[]);
        // one that went on with less than its prefetch is away for a moment when it is renewed
        let all_are_back = (0..8).any(|_| {
            self.client.finish();
            self.rest();
            self.client.at_a_loss || self.look() == 0
        });
        assert!(all_are_back, "a consumer is lost");
    }
}

#[test]
fn many_things_at_once() {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    (0..asked.unwrap_or(40)).for_each(|seed| Play::new(seed).run());
}
