//! A scenario: what both sides of a connection send, read by read, and a pump of a few lines that gives it to a gate.
//! What the gate must do with it is checked on every turn: each byte is taken and goes on as it is.

use crate::amqp;
use crate::fleet::Beside;
use draingate::gate::amqp::{AmqpGate, AmqpSettings};
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::{Protocol, System};
use std::sync::Arc;

/// What one side sends, as it comes out of one read.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Who.
    pub from: Side,
    /// What.
    pub bytes: Vec<u8>,
    /// Where delivery tags stand, which grow from cycle to cycle.
    pub tags: Vec<usize>,
    /// Where ids of jobs begin: no two are the same.
    pub ids: Vec<usize>,
}

impl Turn {
    /// The client sends.
    pub fn client(bytes: impl Into<Vec<u8>>) -> Turn {
        Turn { from: Side::Client, bytes: bytes.into(), tags: Vec::new(), ids: Vec::new() }
    }

    /// The broker sends.
    pub fn broker(bytes: impl Into<Vec<u8>>) -> Turn {
        Turn { from: Side::Broker, bytes: bytes.into(), tags: Vec::new(), ids: Vec::new() }
    }

    /// The delivery tags in all of that have grown.
    fn grow(&mut self, by: u64) {
        for &at in &self.tags {
            let tag = &mut self.bytes[at..at + 8];
            let mut number = [0; 8];
            number.copy_from_slice(tag);
            tag.copy_from_slice(&(u64::from_be_bytes(number) + by).to_be_bytes());
        }
        for &at in &self.ids {
            // as if the digits were those of a number
            for digit in self.bytes[at..at + 8].iter_mut().rev() {
                *digit = if *digit == b'9' { b'0' } else { *digit + 1 };
                if *digit != b'0' {
                    break;
                }
            }
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, also in the baseline.
    pub name: &'static str,
    /// Whose gate.
    pub protocol: Protocol,
    /// What the fleet knows of the worker.
    pub system: System,
    /// Once.
    pub before: Vec<Turn>,
    /// Over and over.
    pub cycle: Vec<Turn>,
    /// Commands with their replies, or frames, in a cycle.
    pub units: u64,
    /// How far delivery tags grow with each cycle.
    pub tags: u64,
    /// The fleet hears what the gate tells, and time passes.
    pub whole: bool,
}

impl Scenario {
    /// Bytes of a cycle.
    pub fn bytes(&self) -> u64 {
        self.cycle.iter().map(|turn| turn.bytes.len() as u64).sum()
    }
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    [crate::redis::scenarios(), crate::rabbitmq::scenarios()].concat()
}

/// A scenario under way.
pub struct Run {
    gate: Box<dyn Gate>,
    cycle: Vec<Turn>,
    tags: u64,
    out: Vec<Action>,
    now: u64,
    to_client: u64,
    fleet: Option<Beside>,
    /// What the gate told the fleet.
    pub events: u64,
}

impl Run {
    /// The gate has seen all that comes before the first cycle.
    pub fn new(scenario: &Scenario) -> Run {
        let gate: Box<dyn Gate> = match scenario.protocol {
            Protocol::Redis => Box::new(RespGate::new(Arc::new(RespSettings::default()), 7)),
            Protocol::Amqp => Box::new(AmqpGate::new(Arc::new(AmqpSettings::default()), 7)),
        };
        let (tags, cycle) = (scenario.tags, scenario.cycle.clone());
        let now = 1_700_000_000_000;
        let fleet = scenario.whole.then(|| Beside::new(now, scenario.protocol));
        let mut run = Run { gate, cycle, tags, out: Vec::new(), now, to_client: 0, fleet, events: 0 };
        run.gate.set_system(scenario.system);
        scenario.before.iter().for_each(|turn| run.turn(turn));
        run
    }

    /// One cycle: in a millisecond, or in as many that the gate's questions come due now and then.
    pub fn cycle(&mut self) {
        self.now += if self.fleet.is_some() { 50 } else { 1 };
        if self.fleet.is_some() && self.gate.next_timeout().is_some_and(|at| at <= self.now) {
            self.gate.timeout(self.now, &mut self.out);
            self.carry_out(&Turn::client([]));
        }
        let mut cycle = std::mem::take(&mut self.cycle);
        for turn in &mut cycle {
            self.turn(turn);
            turn.grow(self.tags);
        }
        self.cycle = cycle;
    }

    fn turn(&mut self, turn: &Turn) {
        assert!(self.gate.wants(turn.from), "the gate wants nothing of {:?}", turn.from);
        let taken = self.gate.input(self.now, turn.from, &turn.bytes, &mut self.out);
        assert_eq!(taken, turn.bytes.len(), "the gate has not taken all");
        self.carry_out(turn);
        std::hint::black_box(self.gate.next_timeout());
    }

    fn carry_out(&mut self, turn: &Turn) {
        let (mut next, mut asked) = (0, Vec::new());
        for action in self.out.drain(..) {
            match action {
                Action::Forward(range) => {
                    assert_eq!(range.start, next, "bytes are out of order");
                    next = range.end;
                }
                Action::Event(event) => {
                    self.events += 1;
                    if let Some(fleet) = &mut self.fleet {
                        fleet.hear(event);
                    }
                }
                // whether acks have come
                Action::Send { to: Side::Broker, bytes } if amqp::is_cancel(&bytes) => asked.push(bytes),
                other => panic!("this traffic passes as it is, but the gate ordered {other:?}"),
            }
        }
        assert_eq!(next, turn.bytes.len(), "the gate has not forwarded all");
        if turn.from == Side::Broker {
            self.to_client += next as u64;
            self.gate.flushed(self.to_client);
        }
        if let Some(fleet) = &mut self.fleet {
            fleet.tell(self.now);
        }
        for cancel in asked {
            let answer = amqp::cancelled(&cancel);
            let taken = self.gate.input(self.now, Side::Broker, &answer, &mut self.out);
            assert_eq!(taken, answer.len(), "the gate has not taken the answer to its question");
            // it is the gate's alone
            self.carry_out(&Turn::broker([]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_passes_the_gate_as_it_is_and_jobs_are_seen() {
        for scenario in all() {
            let mut run = Run::new(&scenario);
            let before = run.events;
            (0..50).for_each(|_| run.cycle());
            let told = ["rpop", "deliver", "celery", "job path"].iter().any(|word| scenario.name.contains(word));
            let jobs = told && !scenario.name.contains("no_ack");
            assert_eq!(run.events > before, jobs, "{}: {} events", scenario.name, run.events - before);
            let Some(fleet) = &run.fleet else { continue };
            let (jobs, in_flight) = (50 * scenario.tags as usize, fleet.in_flight(run.now));
            // Celery's are over when the worker reports, and here it never does
            let most = if scenario.name.contains("celery") { jobs } else { jobs / 2 };
            assert!((1..=most).contains(&in_flight), "{}: {in_flight} of {jobs} in flight", scenario.name);
            // what RabbitMQ keeps until it is done is not written
            let kept = scenario.name.starts_with("amqp") && !scenario.name.contains("celery");
            assert_eq!(fleet.journal < jobs * 5, kept, "{}: {} bytes of journal", scenario.name, fleet.journal);
        }
    }
}
